"""Networks and layers, in torch only."""

from sklearn_deepcluster.nn._autoencoder import (
    AutoencoderModule,
    conv_decoder,
    conv_encoder,
    identity_mlp,
    mlp,
    stages,
    tied_decoder,
)
from sklearn_deepcluster.nn._layers import (
    ACTIVATIONS,
    Corruption,
    Dropout,
    MaskingNoise,
    TiedLinear,
)

__all__ = [
    "ACTIVATIONS",
    "AutoencoderModule",
    "Corruption",
    "Dropout",
    "MaskingNoise",
    "TiedLinear",
    "conv_decoder",
    "conv_encoder",
    "identity_mlp",
    "mlp",
    "stages",
    "tied_decoder",
]
