"""What clusterers have learned, and how: pictures, which need matplotlib, tables and a report."""

from sklearn_deepcluster.inspection._cluster_samples import ClusterSamplesDisplay
from sklearn_deepcluster.inspection._describe import describe_clusters
from sklearn_deepcluster.inspection._embedding import EmbeddingDisplay
from sklearn_deepcluster.inspection._importance import ImportanceDisplay
from sklearn_deepcluster.inspection._kernel_matrix import KernelMatrixDisplay
from sklearn_deepcluster.inspection._kernel_trace import KernelDistanceDisplay, KernelTrace
from sklearn_deepcluster.inspection._layer_kernels import LayerKernelDisplay
from sklearn_deepcluster.inspection._layers import ideal_kernel_distance
from sklearn_deepcluster.inspection._loss_curves import LossCurvesDisplay
from sklearn_deepcluster.inspection._matrices import ClusterConfusionDisplay, RunAgreementDisplay
from sklearn_deepcluster.inspection._neighbor_graph import NeighborGraphDisplay
from sklearn_deepcluster.inspection._prototypes import PrototypesDisplay
from sklearn_deepcluster.inspection._report import cluster_report
from sklearn_deepcluster.inspection._silhouette import SilhouetteDisplay
from sklearn_deepcluster.inspection._sizes import ClusterSizesDisplay

__all__ = [
    "ClusterConfusionDisplay",
    "ClusterSamplesDisplay",
    "ClusterSizesDisplay",
    "EmbeddingDisplay",
    "ImportanceDisplay",
    "KernelDistanceDisplay",
    "KernelMatrixDisplay",
    "KernelTrace",
    "LayerKernelDisplay",
    "LossCurvesDisplay",
    "NeighborGraphDisplay",
    "PrototypesDisplay",
    "RunAgreementDisplay",
    "SilhouetteDisplay",
    "cluster_report",
    "describe_clusters",
    "ideal_kernel_distance",
]
