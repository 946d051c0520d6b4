"""Deep clustering estimators that behave like scikit-learn's own."""

from sklearn_deepcluster._version import __version__
from sklearn_deepcluster.cluster import (
    DCEC,
    DCN,
    DDC,
    DEC,
    DEKM,
    DEPICT,
    DTKC,
    IDEC,
    RDDC,
    RDTKC,
    GraphAgglomerative,
    KMeansNet,
    KNet,
    Stiefel,
)
from sklearn_deepcluster.persistence import check_savable, load_model, save_model
from sklearn_deepcluster.representation import (
    Autoencoder,
    ContextPredictor,
    ConvAutoencoder,
    ConvEncoder,
    DefaultEncoder,
    GRUEncoder,
    IdentityAutoencoder,
    MLPEncoder,
)

__all__ = [
    "DCEC",
    "DCN",
    "DDC",
    "DEC",
    "DEKM",
    "DEPICT",
    "DTKC",
    "IDEC",
    "RDDC",
    "RDTKC",
    "Autoencoder",
    "ContextPredictor",
    "ConvAutoencoder",
    "ConvEncoder",
    "DefaultEncoder",
    "GRUEncoder",
    "GraphAgglomerative",
    "IdentityAutoencoder",
    "KMeansNet",
    "KNet",
    "MLPEncoder",
    "Stiefel",
    "__version__",
    "check_savable",
    "load_model",
    "save_model",
]
