"""Unsupervised companion objectives: what the layers of a network are told of its clusters.

Reference: Trosten, "Deep Image Clustering with Tensor Kernels and Unsupervised Companion
Objectives" (master's thesis, UiT, 2019). A clusterer has them by giving its task a
:class:`CompanionLoss`; its objective then needs a method ``assignments``.
"""

import dataclasses

import torch
from torch import nn

from sklearn_deepcluster._engine import generator
from sklearn_deepcluster.kernels import batch_kernel, squared_distance_matrix, tensor_distances
from sklearn_deepcluster.losses import cauchy_schwarz, weighted
from sklearn_deepcluster.nn import Exposing, linear

# Probabilities are kept this far from 0 and 1.
_CLIP = 1e-7


class CompanionLoss(nn.Module):
    """Base of the companions: a term per intermediate output, weighed by `lam`.

    Parameters
    ----------
    lam : float
    n_outputs : int
        Number of intermediate outputs.
    """

    def __init__(self, lam, n_outputs):
        super().__init__()
        self.lam = lam
        self.n_outputs = n_outputs

    def forward(self, u, outputs, weight=None):
        """Sum of the terms.

        Parameters
        ----------
        u : Tensor of shape (b, k)
            Soft assignments.
        outputs : sequence of Tensors of shape (b, ...)
        weight : Tensor of shape (b,), default=None
            How much each row counts, with mean 1.
        """
        return sum(self.term(u, y, layer, weight) for layer, y in enumerate(outputs))


class TensorCompanion(CompanionLoss):
    r"""Cauchy-Schwarz overlap of the clusters under a kernel of each intermediate output.

    .. math:: \sum_l d(U, K^l)

    with the tensor kernel of maps, and the Gaussian kernel of vectors.

    Parameters
    ----------
    lam, n_outputs : see :class:`CompanionLoss`
    sigma_scale, bandwidth : see :func:`~sklearn_deepcluster.kernels.batch_kernel`
    bfloat16 : bool, default=False
        See :func:`~sklearn_deepcluster.kernels.tensor_distances`.
    """

    def __init__(self, lam, n_outputs, sigma_scale=0.15, bandwidth="code", bfloat16=False):
        super().__init__(lam, n_outputs)
        self.bfloat16 = bfloat16
        self.sigma_scale = sigma_scale
        self.bandwidth = bandwidth

    def term(self, u, y, layer, weight=None):
        if y.ndim == 2:
            distances = squared_distance_matrix(y, y)
        else:
            distances = tensor_distances(y, bfloat16=self.bfloat16)
        kernel = batch_kernel(distances, self.sigma_scale, self.bandwidth, weight)
        return cauchy_schwarz(u, kernel, weight)


class SoftmaxCompanion(CompanionLoss):
    r"""Linear soft-max classifiers of the intermediate outputs, which are to match the clusters.

    .. math:: \sum_l \frac{1}{b} \sum_{i, j} u_{ij} \ln \frac{u_{ij}}{\tilde u^l_{ij}}
              + (1 - u_{ij}) \ln \frac{1 - u_{ij}}{1 - \tilde u^l_{ij}}

    The classifiers are trained along and then dropped. The mean over the batch, not the sum as
    printed, so that the weight does not depend on its size.

    Parameters
    ----------
    lam : float
    widths : sequence of int
        Values of each intermediate output.
    n_clusters : int
    seed : int
        For the classifiers.
    target_grad : bool, default=True
        Whether the clusters learn from the classifiers, too.
    """

    def __init__(self, lam, widths, n_clusters, seed, target_grad=True):
        super().__init__(lam, len(widths))
        rng = generator(seed)
        self.classifiers = nn.ModuleList(linear(width, n_clusters, rng) for width in widths)
        self.target_grad = target_grad

    def term(self, u, y, layer, weight=None):
        if u.shape[1] == 1:
            return 0.0 * u.sum()
        target = u if self.target_grad else u.detach()
        found = self.classifiers[layer](y.flatten(1)).softmax(1)
        return weighted(_binary_divergence(target, found).sum(1), weight).mean()


def _binary_divergence(p, q):
    """Divergence of two coins with the chances p and q, entry by entry."""
    p, q = (x.clamp(_CLIP, 1.0 - _CLIP) for x in (p, q))
    return p * (p / q).log() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).log()


class WithCompanion(nn.Module):
    """An objective and a companion, for a network that also gives its intermediate outputs.

    Parameters
    ----------
    objective : nn.Module
        With a method ``assignments`` that maps embedded rows (b, e) to soft assignments (b, k).
    companion : CompanionLoss
    """

    def __init__(self, objective, companion):
        super().__init__()
        self.objective = objective
        self.companion = companion

    def forward(self, step):
        """Return the terms of the loss for a batch."""
        n = self.companion.n_outputs
        terms = self.objective(dataclasses.replace(step, outputs=step.outputs[:-n]))
        u = self.objective.assignments(step.outputs[0])
        own = step.scaled({"companion": self.companion(u, step.outputs[-n:], step.own_weight)})
        loss = terms["loss"] + self.companion.lam * own["companion"]
        return {**terms, "loss": loss, **own}

    def after_step(self, step):
        """What the objective does once the weights have moved."""
        after_step = getattr(self.objective, "after_step", None)
        if after_step is not None:
            after_step(dataclasses.replace(step, outputs=step.outputs[: -self.companion.n_outputs]))


def output_widths(module, rows):
    """Values of each intermediate output of `module` for one row."""
    module.eval()
    with torch.no_grad():
        probe = Exposing(module, module.taps)(rows.take(torch.zeros(2, dtype=torch.int64)))
    return [y[0].numel() for y in probe[len(probe) - len(module.taps) :]]
