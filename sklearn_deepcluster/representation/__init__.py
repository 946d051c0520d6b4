"""Transformers that learn an embedding, and descriptions of encoders."""

from sklearn_deepcluster.representation._autoencoder import Autoencoder
from sklearn_deepcluster.representation._context import ContextPredictor
from sklearn_deepcluster.representation._conv import ConvAutoencoder
from sklearn_deepcluster.representation._encoders import (
    ConvEncoder,
    DefaultEncoder,
    GRUEncoder,
    MLPEncoder,
)
from sklearn_deepcluster.representation._identity import IdentityAutoencoder

__all__ = [
    "Autoencoder",
    "ContextPredictor",
    "ConvAutoencoder",
    "ConvEncoder",
    "DefaultEncoder",
    "GRUEncoder",
    "IdentityAutoencoder",
    "MLPEncoder",
]
