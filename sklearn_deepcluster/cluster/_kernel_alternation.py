"""Objective and schedule of KNet: the encoder, the spectral embedding U and labels in turn.

Deviations from the paper and its code, most of them options of ``KNet``. One step of the encoder
for the initial U, until the HSIC has all but stopped to rise, instead of many that follow U: the
alternation drifts. Separate clusters are told by c - 1 columns of U. The labels of the hard phase
maximise the HSIC itself (kernel k-means on its leading eigenvectors), where the code normalises the
rows of U; its targets are orthonormal indicators, where those of the code are 0 and 1. Pairs are
weighted so that the batch estimates all. Clusters that drift from the start are given up for it
(``_spectral_start.py``).
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from sklearn_deepcluster._engine import Schedule, generator, in_rounds
from sklearn_deepcluster.cluster._dekm import label_change
from sklearn_deepcluster.cluster._spectral_start import HeldSchedule, SpectralStart, rounded
from sklearn_deepcluster.cluster._updates import update_of
from sklearn_deepcluster.kernels import (
    cluster_indicator,
    gaussian_kernel,
    hsic_factor,
    leading_eigenvectors,
    projector_distance,
)

# Rows on which the HSIC is followed during a step of the encoder.
_WATCHED_ROWS = 2000
# Mean leading eigenvalue, of at most 1, beyond which the clusters are separate.
_SEPARATE = 0.9


class HSICLoss(nn.Module):
    r"""The objective of a batch B, which estimates that of all n rows without bias.

    .. math:: L = -\frac{n (n - 1)}{b (b - 1)} \sum_{i \ne j \in B} (v_i \cdot v_j)
              \exp\Bigl(-\frac{\lVert f(x_i) - f(x_j) \rVert^2}{2 \sigma^2}\Bigr)
              + \lambda \frac{n}{b} \sum_{i \in B} \lVert x_i - g(f(x_i)) \rVert^2

    The targets are a :class:`Factor`.

    Parameters
    ----------
    sigma : float
    """

    def __init__(self, sigma):
        super().__init__()
        self.sigma = sigma

    def value(self, z, index, factor):
        """HSIC of rows with the embedding z, scaled to all rows; the diagonal left out."""
        b, n = len(z), len(factor)
        if b < 2:
            return 0.0 * z.sum()
        v = factor[index]
        weights = v @ v.T
        weights = weights - torch.diag(weights.diagonal())
        scale = n * (n - 1) / (b * (b - 1))
        return scale * (weights * gaussian_kernel(z, z, self.sigma)).sum()

    def forward(self, step):
        """Return the terms of the loss of a batch."""
        factor, lam = step.targets
        hsic = self.value(step.outputs[0], step.index, factor)
        terms = {"loss": -hsic, "hsic": hsic.detach()}
        if lam > 0:
            error = (step.x - step.outputs[1]).square().sum() * (len(factor) / len(step.x))
            terms["loss"] = terms["loss"] + lam * error
            terms["reconstruction"] = error.detach()
        return terms


class Factor(NamedTuple):
    """The factor V (n, c) of the weights of all pairs, and the weight of the reconstruction."""

    v: torch.Tensor
    lam: float


class HSICSchedule(Schedule):
    """Between rounds: has the encoder converged, then a new U or new labels; stop if they stay.

    Parameters
    ----------
    task : Task
    objective : HSICLoss
    kernel : KernelSettings
    estimator : KNet
    """

    def __init__(self, task, objective, kernel, estimator):
        self.task = task
        self.objective = objective
        self.kernel = kernel
        self.estimator = estimator
        self.update = update_of(estimator.update)
        order = torch.randperm(len(task.rows), generator=generator(task.seed))
        self.watched = order[:_WATCHED_ROWS].sort().values
        # How often U and the labels have followed.
        self.n_soft = self.n_hard = 0

    def begin(self, operator, labels=None):
        """The first targets: the eigenvectors of the start, or `labels` to go on from."""
        estimator = self.estimator
        k = estimator.n_vectors or estimator.n_clusters
        self.u, values = leading_eigenvectors(operator, k)
        telling = max(1, estimator.n_clusters - 1)
        # Where the kernel separates the clusters from the start, they are certain, and the encoder
        # is to follow them to the end; elsewhere it would learn the errors of U by heart.
        separate = estimator.normalize_degree and float(values[:telling].mean()) > _SEPARATE
        self.start = None
        if labels is None:
            self.start = self._spectral_start(operator, self.u, values, telling, separate)
        if separate and estimator.n_vectors is None:
            # The next vector is one within a cluster: to follow it for long would split that.
            self.u, values = self.u[:, :telling], values[:telling]
        self.least_gain = -np.inf if separate else estimator.inner_tol
        if labels is None and estimator.max_iter == 0:
            labels = self._rounded(values)
        return self._targets(operator, labels)

    def refresh(self, net):
        if len(net.history) == 1:  # nothing was trained yet
            return None
        z = self.task.embed()
        if self.labels is None and not self._converged(z):
            return None
        operator = self.kernel.operator(z, self.objective.sigma)
        before = self.u
        self.u, values = self.update.follow(operator, self.u)
        moved = projector_distance(before, self.u)
        net.history.record("projector_distance", moved)
        net.history.record("spectral_hsic", float(values.sum()))
        labels = None
        if self.labels is not None:
            labels = self._rounded(values)
            change = label_change(self.labels, labels)
            net.history.record("label_change", change)
            self.n_hard += 1
            net.stop_training |= change < self.estimator.tol
            net.stop_training |= self.n_hard == self.estimator.n_refine
        else:
            self.n_soft += 1
            if moved < self.estimator.tol or self.n_soft == self.estimator.max_iter:
                if self.estimator.n_refine == 0:
                    net.stop_training = True
                    return None
                labels = self._rounded(values)
        return self._targets(operator, labels)

    def _targets(self, operator, labels):
        """Targets for U, or for the clusters where there are labels."""
        u, lam = self.u, self.estimator.lam
        if labels is not None:
            u, lam = cluster_indicator(torch.from_numpy(labels), self.estimator.n_clusters), 0.0
        v = hsic_factor(u, operator.scaling).float().to(self.task.trainer.device)
        self.labels, self.factor = labels, v
        self.value, self.n_inner = -np.inf, 0
        return Factor(v, lam)

    def _converged(self, z):
        """Whether the encoder gains no more, or has been trained for long enough."""
        device = self.task.trainer.device
        value = float(self.objective.value(z[self.watched].to(device), self.watched, self.factor))
        gain, self.value = value - self.value, value
        self.n_inner += 1
        most = -(-self.estimator.max_steps // self.estimator.update_interval)
        return gain <= self.least_gain * abs(value) or self.n_inner >= most

    def _rounded(self, values):
        """Labels from U, whose columns have these eigenvalues."""
        estimator = self.estimator
        return rounded(self.u, values, estimator.rounding, estimator.n_clusters, self.task.seed)

    def _spectral_start(self, operator, u, values, telling, separate):
        """What the clusters are not to drift from; None where they may."""
        estimator = self.estimator
        k = estimator.n_clusters
        if estimator.drift_tol is None or estimator.n_refine == 0 or not 1 < k < len(u):
            return None
        ways = {(u.shape[1], "kernel"), (u.shape[1], "rows")}
        if estimator.n_vectors is None:
            ways.add((telling, "kernel"))
        candidates = [
            rounded(u[:, :m], values[:m], how, k, self.task.seed) for m, how in sorted(ways)
        ]
        return SpectralStart.chosen(operator, candidates, k, by_cut=separate)


def hold_start(task, objective, labels, operator, centers, *, max_steps, update_interval):
    """Train for the labels of the start; return its centres in the embedding, and the history.

    Centres (n_clusters, e) are those of clusters without a row.
    """
    held = HeldSchedule(task, labels, centers)
    v = hsic_factor(held.indicator(), operator.scaling).float()
    history = task.train(
        objective,
        rounds=-(-max_steps // update_interval),
        batches=in_rounds(update_interval, reshuffle=True),
        targets=Factor(v.to(task.trainer.device), 0.0),
        schedule=[held],
    )
    return held.centers(task.embed()), history
