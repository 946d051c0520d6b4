"""Objectives and their parts, in torch only."""

from sklearn_deepcluster.losses._dekm import dekm_targets, scatter_rotation, within_scatter
from sklearn_deepcluster.losses._divergence import (
    assignment_overlap,
    cauchy_schwarz,
    corner_similarity,
    ddc_terms,
)
from sklearn_deepcluster.losses._information import mutual_information
from sklearn_deepcluster.losses._reconstruction import IdentityLoss, ReconstructionLoss
from sklearn_deepcluster.losses._spectral import spectral_loss
from sklearn_deepcluster.losses._student_t import (
    EPS,
    kl_divergence,
    squared_distances,
    student_t_log_assignment,
    target_distribution,
)
from sklearn_deepcluster.losses._weighted import squared_error, weighted

__all__ = [
    "EPS",
    "IdentityLoss",
    "ReconstructionLoss",
    "assignment_overlap",
    "cauchy_schwarz",
    "corner_similarity",
    "ddc_terms",
    "dekm_targets",
    "kl_divergence",
    "mutual_information",
    "scatter_rotation",
    "spectral_loss",
    "squared_error",
    "squared_distances",
    "student_t_log_assignment",
    "target_distribution",
    "weighted",
    "within_scatter",
]
