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
from sklearn_deepcluster.nn._encoders import (
    BlockEncoder,
    Exposing,
    RecurrentEncoder,
    TupleEncoder,
    block_convnet,
    block_mlp,
    block_sides,
    pack,
    same_padded,
)
from sklearn_deepcluster.nn._layers import (
    ACTIVATIONS,
    Corruption,
    Dropout,
    MaskingNoise,
    Stochastic,
    TiedLinear,
    linear,
)

__all__ = [
    "ACTIVATIONS",
    "AutoencoderModule",
    "BlockEncoder",
    "Corruption",
    "Dropout",
    "Exposing",
    "MaskingNoise",
    "RecurrentEncoder",
    "Stochastic",
    "TiedLinear",
    "TupleEncoder",
    "block_convnet",
    "block_mlp",
    "block_sides",
    "conv_decoder",
    "conv_encoder",
    "identity_mlp",
    "linear",
    "mlp",
    "pack",
    "same_padded",
    "stages",
    "tied_decoder",
]
