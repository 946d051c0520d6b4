"""Patches of images and the task of telling their relative position (Doersch et al., 2015)."""

import itertools

import torch
from torch import nn

from sklearn_deepcluster.nn._autoencoder import mlp
from sklearn_deepcluster.nn._encoders import same_padded

# Cells of the grid along a side.
_CELLS = 3
_LARGEST_CELL = 28
# Units of the hidden layers that compare two patches.
_WIDTH = 100


class PatchGrid(nn.Module):
    """A grid of 3 x 3 cells in an image, with a patch at some place in each.

    Along a side below 3 pixels there is one cell, which spans it. Where both sides are, columns of
    zeros are added on the right until there are three.

    Parameters
    ----------
    sides : tuple of int
        Height and width of the images.
    patch, jitter : int
        A cell has `patch` + `jitter` pixels along a side, its patch `patch`.

    Attributes
    ----------
    size : tuple of int
        Height and width of a patch.
    moves : Tensor of shape (k, 2)
        From the middle cell to its neighbours, down and to the right: the positions.
    """

    def __init__(self, sides, patch, jitter):
        super().__init__()
        self.patch, self.jitter = patch, jitter
        self.columns = _CELLS - sides[1] if max(sides) < _CELLS else 0
        sides = (sides[0], sides[1] + self.columns)
        is_long = [side >= _CELLS for side in sides]
        self.size = tuple(
            patch if long else side for side, long in zip(sides, is_long, strict=True)
        )
        self.room = [
            side - _CELLS * (patch + jitter) if long else 0
            for side, long in zip(sides, is_long, strict=True)
        ]
        steps = itertools.product(*((-1, 0, 1) if long else (0,) for long in is_long))
        buffers = {
            "is_long": is_long,
            "pitch": [long * (patch + jitter) for long in is_long],
            "moves": [step for step in steps if any(step)],
        }
        for name, values in buffers.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.int64), persistent=False)

    def draw(self, n, rng):
        """Draw a pair of patches for each of `n` images.

        Returns
        -------
        corners : Tensor of shape (n, 2, 2)
            Row and column of the patch in the middle cell, and of the other one.
        position : Tensor of shape (n,)
            The number of the move between their cells.
        """

        def integers(high, *shape):
            return torch.randint(high, shape, generator=rng, device=rng.device)

        position = integers(len(self.moves), n)
        offset = torch.stack([integers(room + 1, n) for room in self.room], dim=1)
        shift = integers(self.jitter + 1, n, 2, 2) * self.is_long
        moves = torch.stack([torch.zeros_like(offset), self.moves[position]], dim=1)
        return offset.unsqueeze(1) + (1 + moves) * self.pitch + shift, position

    def middle(self, n):
        """Corners (n, 1 + k, 2) of the middle patch and of every neighbour, without chance."""
        moves = torch.cat([torch.zeros_like(self.moves[:1]), self.moves])
        offset = torch.tensor(self.room, device=moves.device) // 2
        corners = offset + (1 + moves) * self.pitch + self.jitter // 2 * self.is_long
        return corners.expand(n, -1, -1)

    def cut(self, images, corners):
        """Cut patches.

        Parameters
        ----------
        images : Tensor of shape (n, channels, height, width)
        corners : Tensor of shape (n, m, 2)

        Returns
        -------
        patches : Tensor of shape (n * m, channels, height, width)
            The `m` of an image come one after the other.
        """
        images = nn.functional.pad(images, (0, self.columns))
        rows, columns = (
            corners[..., axis, None] + torch.arange(side, device=images.device)
            for axis, side in enumerate(self.size)
        )
        which = torch.arange(len(images), device=images.device).view(-1, 1, 1, 1)
        patches = images.permute(0, 2, 3, 1)[which, rows[..., :, None], columns[..., None, :]]
        return patches.flatten(0, 1).permute(0, 3, 1, 2)


def choose_patches(sides, patch_size, jitter):
    """Size and jitter of the patches of images with these sides, by the parameters.

    Raises
    ------
    ValueError
        If the grid does not fit into the images.
    """
    side = min((side for side in sides if side >= _CELLS), default=_CELLS)
    patch = patch_size
    if patch == "auto":
        cell = min(round(2 * side / 7), _LARGEST_CELL)
        patch = cell - cell // 7
        if jitter != "auto":
            patch = max(1, min(patch, side // _CELLS - jitter))
    if jitter == "auto":
        jitter = max(0, min(patch // 6, side // _CELLS - patch))
    needed = _CELLS * (patch + jitter)
    if needed > side:
        raise ValueError(
            f"patch_size={patch_size!r} and jitter={jitter} do not fit into images of "
            f"{sides[0]} x {sides[1]} pixels: three cells of {patch} + {jitter} pixels need "
            f"{needed}. Lower patch_size or jitter."
        )
    return int(patch), int(jitter)


class PositionClassifier(nn.Module):
    """Which position a second patch has to the first, from the maps of both.

    Parameters
    ----------
    n_in : int
        Values of the maps of a patch.
    n_positions : int
    rng : torch.Generator
    """

    def __init__(self, n_in, n_positions, rng):
        super().__init__()
        self.summary = mlp([n_in, _WIDTH], rng, output_activation="relu")
        self.comparison = mlp([2 * _WIDTH, _WIDTH, _WIDTH, n_positions], rng)

    def forward(self, first, second):
        """Logits (n, n_positions) for maps (n, channels, height, width) of the patches."""
        pair = [self.summary(maps.flatten(1)) for maps in (first, second)]
        return self.comparison(torch.cat(pair, dim=1))


class ContextTask(nn.Module):
    """The blocks of an encoder and a classifier, to be trained on drawn pairs of patches.

    Parameters
    ----------
    module : AutoencoderModule
        Around a :class:`BlockEncoder` of images; its blocks are trained, not its head.
    grid : PatchGrid
    classifier : PositionClassifier
    rng : torch.Generator, optional
        What the pairs are drawn from.
    """

    def __init__(self, module, grid, classifier, rng=None):
        super().__init__()
        self.blocks = module.encoder.blocks
        self.grid = grid
        self.classifier = classifier
        self.shaped = module.shaped
        self.rng = rng

    def maps(self, x, corners):
        """Maps (n, m, channels, height, width) of the `m` patches of each row."""
        y = self.grid.cut(self.shaped(x), corners)
        for block in self.blocks:
            y = same_padded(block, y)
        return y.unflatten(0, corners.shape[:2])

    def forward(self, x):
        """Return logits and positions of a pair of patches of each row."""
        corners, position = self.grid.draw(len(x), self.rng)
        maps = self.maps(x, corners)
        return self.classifier(maps[:, 0], maps[:, 1]), position

    def surprise(self, x):
        """Cross-entropy (n,) of each row, the mean over all positions, without chance."""
        maps = self.maps(x, self.grid.middle(len(x)))
        middle, others = maps[:, :1].expand_as(maps[:, 1:]), maps[:, 1:]
        logits = self.classifier(middle.flatten(0, 1), others.flatten(0, 1))
        logits = logits.unflatten(0, others.shape[:2])
        return -logits.log_softmax(2).diagonal(dim1=1, dim2=2).mean(1)


class PositionLoss(nn.Module):
    """Cross-entropy of the positions, and which share of them is found."""

    def forward(self, step):
        """Return the terms of the loss for logits (n, k) and positions (n,)."""
        logits, position = step.outputs
        position = position.long()
        error = nn.functional.cross_entropy(logits, position, reduction="none")
        found = (logits.argmax(1) == position).to(error.dtype).mean()
        return {"loss": step.mean(error), "accuracy": found}
