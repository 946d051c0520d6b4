"""Self-supervised pretraining of a convolutional network by the relative position of patches.

References: Doersch, Gupta, Efros, "Unsupervised Visual Representation Learning by Context
Prediction" (ICCV 2015); Trosten, master's thesis (UiT, 2019), whose "-SS" models start from it.
Implemented: the thesis's patches, task and shared network. What it leaves open: where the patches
lie (a grid at a random place), the widths of the classifier (100), new pairs in every epoch.
Deviations: patches, which are too small for convolutions without padding, are padded; the first
linear layer, which belongs to the size of a patch, is not transferred.
"""

import itertools
import math
import numbers

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from sklearn_deepcluster._engine import generator, map_blocks
from sklearn_deepcluster.nn import mlp, same_padded
from sklearn_deepcluster.representation._base import BaseRepresentation, n_epochs
from sklearn_deepcluster.representation._encoders import ConvEncoder
from sklearn_deepcluster.utils._sklearn import Interval, StrOptions

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
        patches : Tensor of shape (n * m, channels, *size)
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
        loss = nn.functional.cross_entropy(logits, position)
        return {"loss": loss, "accuracy": (logits.argmax(1) == position).to(loss.dtype).mean()}


class ContextPredictor(BaseRepresentation):
    """Convolutional network, pretrained to tell the relative position of patches.

    Of each image two patches are drawn: one from the middle cell of a grid of 3 x 3 cells, which
    lies anywhere in the image, and one from a neighbouring cell. The convolutions are trained,
    with a classifier that is kept for ``score`` alone, to tell which of the 8 neighbours it was.
    The network is that of ``ConvEncoder``, to be trained further: its last layer, which makes the
    embedding, has random weights. ``DDC`` and ``DTKC`` with it as `encoder` are the "-SS" variants
    of the thesis.

    Parameters
    ----------
    n_components : int, default=100
        Dimension of the embedding: a linear layer, a ReLU, and batch normalisation.

    sample_shape : tuple of int, default=None
        (height, width) or (channels, height, width) of an image, where rows of X are flat. None
        is the shape of the images that X holds; a flat row is then an image one pixel high.

    filters : tuple of int, default=(32, 32)
        Channels of each block of two convolutions, batch normalisation and pooling.

    kernel_sizes : tuple of int, default=(5, 3)
        Sides of the kernels of each block. They are not padded, except on patches.

    resize : "auto", int or None, default="auto"
        Height and width that whole images are resized to for the embedding, see ``ConvEncoder``.
        Patches are cut from images of the size that they have.

    activation : str, default="relu"
        "relu", "leaky_relu", "elu", "gelu", "tanh", "sigmoid" or "identity".

    patch_size : "auto" or int, default="auto"
        Height and width of the patches. A cell of the grid has `patch_size` + `jitter` pixels, so
        three times that must fit into the image. "auto" makes cells of two sevenths of the
        smaller side, 28 pixels at most, of which a seventh, rounded down, is for the jitter: 7
        pixels of 28, 5 of 16 and 24 of 128, as in the thesis.

    jitter : "auto" or int, default="auto"
        Each patch is shifted in its cell by 0 to so many pixels, down and to the right, so that
        its border tells little. "auto" is a sixth of the patch, rounded down, as far as it fits:
        1 pixel of 28, 0 of 16 and 4 of 128, as in the thesis.

    scale : "auto", float or None, default="auto"
        X is divided by it. "auto" is the root mean square of all training values, so the unit
        of X does not matter; None switches it off.

    max_epochs : int, default=20
        Passes over the data. Every pass draws new patches, one pair of each image.

    min_steps : int, default=2000
        Small data take more passes, until this many optimisation steps were made.

    batch_size : int, default=256
        Images per step; more than there are means one batch. No batch may have a single one.

    optimizer : {"adam", "adamw", "sgd", "rmsprop", "adagrad", "adadelta"} or class, \
            default="adam"
        Optimiser, or a subclass of ``torch.optim.Optimizer``.

    lr : float, default=1e-3
        Learning rate.

    momentum : float, default=0.9
        Momentum of "sgd" and "rmsprop"; others ignore it.

    warm_start : bool, default=False
        Go on from the previous fit (with a fresh optimiser, on data of the same width).

    callbacks : list of skorch callbacks, default=None
        Copied and given to the inner skorch net. Its history has "train_loss" and "accuracy", the
        share of the positions that were found.

    net_params : dict, default=None
        More parameters of the inner skorch net, such as ``{"optimizer__weight_decay": 1e-4}``.

    device : str or torch.device, default="auto"
        "auto" is a GPU where there is one.

    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of the products in training; "auto" is bfloat16 where the hardware multiplies
        it. Losses, weights and predictions are always float32.

    verbose : int, default=0
        1 shows a progress bar.

    random_state : int, RandomState instance or None, default=None
        Seed of weights, order and patches. The global generators are not used.

    Attributes
    ----------
    module_ : torch.nn.Module
        The network, with ``encode``; it works on X / ``scale_``.

    classifier_weights_ : ndarray of shape (n_weights,)
        Weights of the classifier of positions, in a row.

    patch_size_ : int
        Height and width of the patches.

    jitter_ : int
        Largest shift of a patch in its cell.

    n_components_ : int
        Dimension of the embedding.

    scale_ : float
        Divisor of the input.

    history_ : dict of lists
        "loss" per epoch (cross-entropy of the positions, in nats).

    loss_ : float
        Loss of the last epoch.

    n_iter_ : int
        Number of epochs.

    sample_shape_ : tuple of int
        Shape of one sample as given to ``fit``.

    n_features_in_ : int
        Number of features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X had names.

    See Also
    --------
    ConvEncoder : The same network without pretraining.
    ConvAutoencoder : Pretrains a network by reconstruction.

    Notes
    -----
    Images that are less than 3 pixels high, flat rows among them, have neighbours to the left and
    to the right only, and patches as high as they are; narrow ones likewise. Where both sides are
    below 3 pixels, columns of zeros on the right make up for it.

    References
    ----------
    .. [1] C. Doersch, A. Gupta, A. A. Efros, "Unsupervised Visual Representation Learning by
       Context Prediction", ICCV 2015.
    .. [2] D. J. Trosten, "Deep Image Clustering with Tensor Kernels and Unsupervised Companion
       Objectives", master's thesis, UiT The Arctic University of Norway, 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_deepcluster import DTKC, ContextPredictor
    >>> images = load_digits(n_class=3).images
    >>> context = ContextPredictor(
    ...     filters=(4, 8), kernel_sizes=(5, 3), n_components=8, min_steps=100, random_state=0
    ... )
    >>> context.fit_transform(images).shape, context.patch_size_
    ((537, 8), 2)
    >>> dtkc = DTKC(3, encoder=context, max_epochs=2, min_steps=10, random_state=0)
    >>> dtkc.fit_predict(images).shape
    (537,)
    """

    _parameter_constraints = {
        **BaseRepresentation._parameter_constraints,
        **ConvEncoder._parameter_constraints,
        "patch_size": [StrOptions({"auto"}), Interval(numbers.Integral, 1, None, closed="left")],
        "jitter": [StrOptions({"auto"}), Interval(numbers.Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        n_components=100,
        sample_shape=None,
        filters=(32, 32),
        kernel_sizes=(5, 3),
        resize="auto",
        activation="relu",
        patch_size="auto",
        jitter="auto",
        scale="auto",
        max_epochs=20,
        min_steps=2000,
        batch_size=256,
        optimizer="adam",
        lr=1e-3,
        momentum=0.9,
        warm_start=False,
        callbacks=None,
        net_params=None,
        device="auto",
        precision="auto",
        verbose=0,
        random_state=None,
    ):
        self.n_components = n_components
        self.sample_shape = sample_shape
        self.filters = filters
        self.kernel_sizes = kernel_sizes
        self.resize = resize
        self.activation = activation
        self.patch_size = patch_size
        self.jitter = jitter
        self.scale = scale
        self.max_epochs = max_epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.precision = precision
        self.verbose = verbose
        self.random_state = random_state

    def _make_module(self, form, rng):
        encoder = ConvEncoder(
            **{name: getattr(self, name) for name in ConvEncoder._parameter_constraints}
        )
        return encoder.build(form.n_features_in, form.sample_shape, rng)[0]

    def _fit_module(self, module, rows, trainer, seed, resume):
        if len(rows) == 1:
            raise ValueError("n_samples=1: batch normalisation needs 2 images at least.")
        patch, jitter = choose_patches(module.input_shape[1:], self.patch_size, self.jitter)
        weights = None
        if resume:
            if patch != self.patch_size_:
                raise ValueError("warm_start cannot go on with another patch_size.")
            weights = self.classifier_weights_
        # Apart from the seeds that the trainer uses.
        start, pairs = generator(seed + 2), generator(seed + 3, trainer.device)
        task = _task(module, patch, jitter, start, weights, pairs).to(trainer.device)
        history = trainer.train(
            task,
            PositionLoss(),
            rows,
            seed=seed,
            stage=f"{type(self).__name__}: pretraining",
            epochs=n_epochs(len(rows), self.batch_size, self.max_epochs, self.min_steps),
        )
        module.eval()  # the trainer saw its blocks alone
        vector = parameters_to_vector(task.classifier.parameters())
        return history, {
            "classifier_weights_": vector.detach().cpu().numpy(),
            "patch_size_": patch,
            "jitter_": jitter,
        }

    def score(self, X, y=None):
        r"""Negative cross-entropy of the positions, in nats, over all neighbours of the middle.

        :math:`-\frac{1}{n k} \sum_i \sum_{j=1}^k -\ln p(j \mid x_i^0, x_i^j)` with the patch
        :math:`x_i^0` in the middle cell and :math:`x_i^j` in its j-th neighbour, of k = 8 (2 of
        images with one side below 3 pixels). Nothing is drawn: the grid lies in the middle of the
        image and every patch in the middle of its cell, half a pixel up or left of it where need
        be. 0 is best, and guessing gets :math:`-\ln k`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or image array

        y : Ignored

        Returns
        -------
        score : float
        """
        module, rows = self._fitted(X)
        parts = self.patch_size_, self.jitter_, generator(0), self.classifier_weights_
        task = _task(module, *parts).to(rows.device).eval()
        return -float(map_blocks(task.surprise, rows).double().mean())


def _task(module, patch, jitter, start, weights=None, pairs=None):
    """The task with a classifier drawn from `start`, or of these weights."""
    grid = PatchGrid(module.input_shape[1:], patch, jitter)
    blocks = module.encoder.blocks
    sides = [math.ceil(side / 2 ** len(blocks)) for side in grid.size]
    n_in = blocks[-1][0].out_channels * math.prod(sides)
    classifier = PositionClassifier(n_in, len(grid.moves), start)
    if weights is not None:
        vector_to_parameters(torch.from_numpy(np.array(weights)), classifier.parameters())
    return ContextTask(module, grid, classifier, pairs)
