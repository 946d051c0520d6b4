"""Deep clustering estimators that behave like scikit-learn's own."""

from sklearn_deepcluster.cluster import (
    DCEC,
    DEC,
    DEKM,
    DEPICT,
    IDEC,
    GraphAgglomerative,
    KMeansNet,
    KNet,
)
from sklearn_deepcluster.persistence import load_model, save_model
from sklearn_deepcluster.representation import (
    Autoencoder,
    ConvAutoencoder,
    IdentityAutoencoder,
)

__version__ = "0.1.0.dev0"

__all__ = [
    "DCEC",
    "DEC",
    "DEKM",
    "DEPICT",
    "IDEC",
    "Autoencoder",
    "ConvAutoencoder",
    "GraphAgglomerative",
    "IdentityAutoencoder",
    "KMeansNet",
    "KNet",
    "__version__",
    "load_model",
    "save_model",
]
