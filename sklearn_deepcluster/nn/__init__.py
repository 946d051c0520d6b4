"""Networks and layers, in torch only."""

from sklearn_deepcluster.nn._augmentation import AffineJitter
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
    untracked,
)
from sklearn_deepcluster.nn._patches import (
    ContextTask,
    PatchGrid,
    PositionClassifier,
    PositionLoss,
    choose_patches,
)
from sklearn_deepcluster.nn._spectral import SpectralModule, orthonormalizer
from sklearn_deepcluster.nn._variational import VariationalModule, ends_with_sigmoid

__all__ = [
    "ACTIVATIONS",
    "AffineJitter",
    "AutoencoderModule",
    "BlockEncoder",
    "ContextTask",
    "Corruption",
    "Dropout",
    "Exposing",
    "MaskingNoise",
    "PatchGrid",
    "PositionClassifier",
    "PositionLoss",
    "RecurrentEncoder",
    "SpectralModule",
    "Stochastic",
    "TiedLinear",
    "TupleEncoder",
    "VariationalModule",
    "block_convnet",
    "block_mlp",
    "block_sides",
    "choose_patches",
    "conv_decoder",
    "conv_encoder",
    "ends_with_sigmoid",
    "identity_mlp",
    "linear",
    "mlp",
    "orthonormalizer",
    "pack",
    "same_padded",
    "stages",
    "tied_decoder",
    "untracked",
]
