"""Kernels, bandwidths, dependence (HSIC) and orthonormal ascent, in torch alone."""

from sklearn_deepcluster.kernels._gaussian import (
    KernelOperator,
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

__all__ = [
    "KernelOperator",
    "cayley",
    "cluster_indicator",
    "gaussian_kernel",
    "hsic",
    "hsic_factor",
    "kernel_gib",
    "leading_eigenvectors",
    "median_distance",
    "projector_distance",
    "spectrum",
    "spectrum_subset",
    "squared_distance_matrix",
    "stiefel_ascent",
]
