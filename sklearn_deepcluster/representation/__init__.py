"""Transformers that learn an embedding."""

from sklearn_deepcluster.representation._autoencoder import Autoencoder
from sklearn_deepcluster.representation._conv import ConvAutoencoder

__all__ = ["Autoencoder", "ConvAutoencoder"]
