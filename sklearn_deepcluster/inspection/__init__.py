"""Pictures of what clusterers have learned, and how; they need matplotlib."""

from sklearn_deepcluster.inspection._cluster_samples import ClusterSamplesDisplay
from sklearn_deepcluster.inspection._embedding import EmbeddingDisplay
from sklearn_deepcluster.inspection._importance import ImportanceDisplay
from sklearn_deepcluster.inspection._kernel_matrix import KernelMatrixDisplay
from sklearn_deepcluster.inspection._kernel_trace import KernelDistanceDisplay, KernelTrace
from sklearn_deepcluster.inspection._layer_kernels import LayerKernelDisplay
from sklearn_deepcluster.inspection._layers import ideal_kernel_distance
from sklearn_deepcluster.inspection._loss_curves import LossCurvesDisplay

__all__ = [
    "ClusterSamplesDisplay",
    "EmbeddingDisplay",
    "ImportanceDisplay",
    "KernelDistanceDisplay",
    "KernelMatrixDisplay",
    "KernelTrace",
    "LayerKernelDisplay",
    "LossCurvesDisplay",
    "ideal_kernel_distance",
]
