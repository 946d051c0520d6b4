"""Pictures of embeddings and of their kernels; they need matplotlib."""

from sklearn_deepcluster.inspection._embedding import EmbeddingDisplay
from sklearn_deepcluster.inspection._kernel_matrix import KernelMatrixDisplay

__all__ = ["EmbeddingDisplay", "KernelMatrixDisplay"]
