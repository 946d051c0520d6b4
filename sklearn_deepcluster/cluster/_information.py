"""What IMSAT is trained by: the information of clusters, perturbations and their lengths."""

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from torch import nn

from sklearn_deepcluster._engine import generator, map_blocks
from sklearn_deepcluster.cluster._agglomeration import distances_to_neighbors
from sklearn_deepcluster.cluster._neighbors import nearest_neighbors
from sklearn_deepcluster.cluster._softmax import SoftmaxLayer
from sklearn_deepcluster.cluster._start import RAW_BYTES
from sklearn_deepcluster.losses import mutual_information, weighted
from sklearn_deepcluster.nn import Stochastic

# Of much data radii are distances to some of so many rows.
_PART_ROWS = 5_000


class InformationLoss(SoftmaxLayer, Stochastic):
    r"""The objective of IMSAT.

    .. math::
        L = R - \lambda \left( \mu H(\bar p) - \frac{1}{b} \sum_{i \in B} H(p_i) \right), \quad
        R = \frac{1}{b} \sum_{i \in B} KL(p(x_i) \,\Vert\, p(T(x_i)))

    with the soft-max p, its mean over the batch and the entropy H. T adds the direction of length
    :math:`\epsilon_i` in which p changes the most; with an augmentation it is that, or the sum of
    both divergences. Gradients do not pass p(x_i) in R.

    Parameters
    ----------
    weight : Tensor of shape (k, e)
    bias : Tensor of shape (k,)
        Start of the soft-max layer; both are learned.
    lam, mu : float
    radii : Tensor of shape (n,) or None
        Lengths of the adversarial perturbations of all rows; None has none.
    xi : float
        Length of the step by which their direction is found, in mean radii.
    n_power_iter : int
    augmentation : callable or None
    shape : tuple of int
        Of a sample as the augmentation gets it; -1 is a flat one.
    """

    def __init__(
        self,
        weight,
        bias,
        lam,
        mu,
        *,
        radii,
        xi=4.0,
        n_power_iter=1,
        augmentation=None,
        shape=(-1,),
    ):
        super().__init__(weight, bias)
        self.lam = lam
        self.mu = mu
        self.register_buffer("radii", radii)
        self.reach = None if radii is None else xi * float(radii.double().mean())
        self.n_power_iter = n_power_iter
        self.augmentation = augmentation
        self.shape = shape

    def forward(self, step):
        """Return the terms of the loss for a batch."""
        log_proba = self.log_proba(step.outputs[0])
        marginal, conditional = mutual_information(log_proba, step.own_weight)
        known = log_proba.detach()
        augmented = 0.0
        if self.radii is not None:
            moved = step.x + self._adversarial(step, known)
            augmented = augmented + self._divergence(step, known, moved)
        if self.augmentation is not None:
            augmented = augmented + self._divergence(step, known, self._augmented(step))
        loss = augmented - self.lam * (self.mu * marginal - conditional)
        terms = {"augmented": augmented, "marginal": marginal, "conditional": conditional}
        return step.scaled({"loss": loss, **{name: term.detach() for name, term in terms.items()}})

    def _divergence(self, step, known, x):
        """Mean divergence of what is known of a batch from what the network says of x."""
        log_proba = self.log_proba(step.network(x)[0])
        if step.weight is None:
            return nn.functional.kl_div(log_proba, known, log_target=True, reduction="batchmean")
        of_rows = nn.functional.kl_div(log_proba, known, log_target=True, reduction="none").sum(1)
        return weighted(of_rows, step.own_weight).mean()

    def _adversarial(self, step, known):
        """Perturbations (b, d) of the lengths of their rows, along which p changes the most."""
        x = step.x
        direction = torch.randn(x.shape, generator=self.generator, device=x.device, dtype=x.dtype)
        for _ in range(self.n_power_iter):
            direction = _unit(direction, x).requires_grad_()
            change = self._divergence(step, known, x + self.reach * direction)
            (direction,) = torch.autograd.grad(change, direction, allow_unused=True)
            if direction is None:
                raise ValueError(
                    "adversarial=True expects an encoder that its input has a gradient in; this "
                    "one's output does not change with small changes of it."
                )
        return self.radii[step.index].unsqueeze(1) * _unit(direction, x)

    def _augmented(self, step):
        x = step.x.reshape(len(step.x), *self.shape)
        moved = self.augmentation(x.clone())
        if not torch.is_tensor(moved) or moved.shape != x.shape:
            made = tuple(moved.shape) if torch.is_tensor(moved) else type(moved).__name__
            raise ValueError(f"augmentation made {made} of a Tensor of shape {tuple(x.shape)}.")
        if not torch.equal(moved.isfinite(), x.isfinite()):
            raise ValueError(
                "augmentation made numbers of what is none, or the other way round: values must "
                "stay finite, and the NaN at the end of sequences where it is."
            )
        return moved.to(x.dtype).reshape(step.x.shape)


def _unit(direction, x):
    """Rows of length 1, or 0; no step beyond the end of a sequence, where x is NaN."""
    direction = torch.where(x.isnan(), 0.0, direction)
    return nn.functional.normalize(direction, eps=torch.finfo(torch.float32).tiny)


def neighbor_radii(rows, n_neighbors, seed):
    """Distances of all rows to their `n_neighbors`-th neighbour, float32 Tensor (n,).

    Equal rows count as one. Of rows that are too many bytes to be held as float32 the neighbour is
    that of the same share of a part of them, drawn by `seed`, or the nearest in it.
    """
    n, part = len(rows), None
    held = RAW_BYTES // (4 * rows.n_features)
    known = rows
    if n > held:
        part = torch.randperm(n, generator=generator(seed))[: max(2, min(held, _PART_ROWS))]
        part = part.sort().values
        known = rows.some(part)
    X, place = np.unique(map_blocks(torch.nan_to_num, known).numpy(), axis=0, return_inverse=True)
    if len(X) == 1:
        return torch.zeros(n, dtype=torch.float32)
    if part is not None:
        n_neighbors = max(1, round(n_neighbors * len(part) / n))
    n_neighbors = min(n_neighbors, len(X) - 1)
    search = NearestNeighbors(n_neighbors=n_neighbors).fit(X)
    found = nearest_neighbors(search, X, "auto")
    own = torch.from_numpy(distances_to_neighbors(X, X, found[:, -1:])[:, 0]).sqrt().float()
    own = own[torch.from_numpy(place)]
    if part is None:
        return own

    def nearest(x):
        distances, _ = search.kneighbors(torch.nan_to_num(x).cpu().numpy())
        return torch.from_numpy(distances[:, -1:])

    radii = map_blocks(nearest, rows)[:, 0].float()
    radii[part] = own  # without the row itself
    return radii
