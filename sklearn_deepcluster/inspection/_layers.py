"""Outputs of the layers of a network, their kernels, and how far these are from the ideal one."""

import contextlib

import numpy as np
import torch
from torch import nn

from sklearn_deepcluster._engine import exact_cudnn
from sklearn_deepcluster.kernels import batch_kernel, squared_distance_matrix, tensor_distances
from sklearn_deepcluster.nn import Exposing

# Rows that go through the network at a time.
_BLOCK_ROWS = 256


def ideal_kernel_distance(kernel, labels):
    r"""Normalised Frobenius distance of a kernel matrix to the ideal one of a clustering.

    .. math:: \left\lVert \frac{K}{\lVert K \rVert_F} - \frac{K^*}{\lVert K^* \rVert_F}
              \right\rVert_F, \quad K^*_{ij} = 1 \text{ where } y_i = y_j \text{, else } 0

    It is 0 for the ideal kernel and :math:`\sqrt 2`, the most, where rows of one cluster have
    nothing in common. Its square is 2 (1 - a), with the alignment a of the two kernels.

    Parameters
    ----------
    kernel : array-like or Tensor of shape (n, n)
        Not negative.

    labels : array-like or Tensor of shape (n,)

    Returns
    -------
    distance : float

    References
    ----------
    .. [1] D. J. Trosten, "Deep Image Clustering with Tensor Kernels and Unsupervised Companion
       Objectives", master's thesis, UiT The Arctic University of Norway, 2019.

    Examples
    --------
    >>> from sklearn_deepcluster.inspection import ideal_kernel_distance
    >>> ideal_kernel_distance([[1, 1, 0], [1, 1, 0], [0, 0, 1]], [0, 0, 1])
    0.0
    >>> ideal_kernel_distance([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [0, 0, 1])
    0.67...
    """
    kernel = torch.as_tensor(kernel).double()
    if not torch.is_tensor(labels):
        labels = torch.from_numpy(np.unique(labels, return_inverse=True)[1])
    ideal = (labels.unsqueeze(1) == labels).double()
    if kernel.shape != ideal.shape:
        raise ValueError(f"kernel has shape {tuple(kernel.shape)}, labels {tuple(labels.shape)}.")
    return float((kernel / kernel.norm() - ideal.to(kernel.device) / ideal.norm()).norm())


def layer_kernel(output, sigma_scale, bandwidth):
    """Kernel of an output (n, ...): tensor kernel of maps, Gaussian kernel of vectors."""
    vectors = output.ndim == 2
    distances = squared_distance_matrix(output, output) if vectors else tensor_distances(output)
    return batch_kernel(distances, sigma_scale, bandwidth)


def layer_outputs(module, x):
    """Outputs of the intermediate layers and the embedding of rows x: name -> Tensor."""
    exposing = Exposing(_Encoding(module), module.taps)
    with torch.no_grad(), evaluating(module), exact_cudnn(x.device):
        parts = [exposing(part) for part in x.split(_BLOCK_ROWS)]
    embedding, *outputs = (torch.cat(part) for part in zip(*parts, strict=True))
    named = {f"layer {i}": output for i, output in enumerate(outputs, start=1)}
    return named | {"embedding": embedding}


class _Encoding(nn.Module):
    """The encoder of a module: its forward pass alone, which calls every layer once."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return (self.module.encode(x),)


@contextlib.contextmanager
def evaluating(module):
    """Put a module in evaluation mode for a block of code; each part goes back to its own mode."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def kernel_width(owner, sigma_scale, bandwidth):
    """The two parameters of ``batch_kernel``: as given, those of `owner`, or the usual ones."""
    of_batches = hasattr(owner, "bandwidth")  # others call something else a sigma_scale
    if sigma_scale is None:
        sigma_scale = owner.sigma_scale if of_batches else 0.15
    if bandwidth is None:
        bandwidth = owner.bandwidth if of_batches else "code"
    if bandwidth not in ("code", "mvc", "thesis"):
        raise ValueError(f"bandwidth must be 'code', 'mvc' or 'thesis', got {bandwidth!r}.")
    if not sigma_scale > 0:
        raise ValueError(f"sigma_scale must be positive, got {sigma_scale!r}.")
    return sigma_scale, bandwidth
