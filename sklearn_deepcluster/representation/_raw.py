"""The data themselves as a representation, for methods that train none."""

from torch import nn

from sklearn_deepcluster._engine import root_mean_square
from sklearn_deepcluster.nn import AutoencoderModule
from sklearn_deepcluster.representation._base import BaseAutoencoder


class PassThrough(nn.Identity):
    """The encoder of ``"passthrough"``, told from an identity in a network of the user."""


class RawInput(BaseAutoencoder):
    """The representation ``"passthrough"``: the data themselves, at one scale."""

    n_components = None

    def __init__(self, *, device="auto", precision="auto", verbose=0, random_state=None):
        self.device = device
        self.precision = precision
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X, y=None):
        X = self._check_X(X, reset=True)
        self.scale_ = root_mean_square(X)
        self.module_ = self._build(seed=0)
        self.history_ = {"loss": [0.0]}
        return self

    def _build(self, seed):
        self.n_components_ = self.n_features_in_
        return AutoencoderModule(PassThrough(), nn.Identity())

    def _loss(self):
        return None
