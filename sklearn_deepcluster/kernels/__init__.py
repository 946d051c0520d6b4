"""Kernels, bandwidths, dependence (HSIC) and orthonormal ascent, in torch alone."""

from sklearn_deepcluster.kernels._gaussian import (
    KernelOperator,
    batch_kernel,
    gaussian_kernel,
    kernel_gib,
    median_distance,
    squared_distance_matrix,
)
from sklearn_deepcluster.kernels._hsic import (
    cluster_indicator,
    hsic,
    hsic_factor,
    leading_eigenvectors,
    projector_distance,
)
from sklearn_deepcluster.kernels._stiefel import cayley, stiefel_ascent
from sklearn_deepcluster.kernels._subset import spectrum, spectrum_subset
from sklearn_deepcluster.kernels._tensor import (
    naive_tensor_distances,
    projector_factors,
    tensor_distances,
    unfoldings,
)

__all__ = [
    "KernelOperator",
    "batch_kernel",
    "cayley",
    "cluster_indicator",
    "gaussian_kernel",
    "hsic",
    "hsic_factor",
    "kernel_gib",
    "leading_eigenvectors",
    "median_distance",
    "naive_tensor_distances",
    "projector_distance",
    "projector_factors",
    "spectrum",
    "spectrum_subset",
    "squared_distance_matrix",
    "stiefel_ascent",
    "tensor_distances",
    "unfoldings",
]
