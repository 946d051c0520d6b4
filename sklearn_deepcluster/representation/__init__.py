"""Transformers that learn an embedding."""

from sklearn_deepcluster.representation._autoencoder import Autoencoder
from sklearn_deepcluster.representation._conv import ConvAutoencoder
from sklearn_deepcluster.representation._identity import IdentityAutoencoder

__all__ = ["Autoencoder", "ConvAutoencoder", "IdentityAutoencoder"]
