"""Networks that start as the identity, from which KNet learns its kernel.

Reference: Wu, Khan, Ioannidis, Dy, "Deep Kernel Learning for Clustering" (SDM 2020), section 5.
Implemented: pretraining by Eq. 5.12, and weights that are the identity without any training.
Deviations: a hidden layer is twice as wide as the input, or 20 units at least (paper: once, or
20); Glorot's initialisation for the pretraining.
"""

import numbers

from sklearn_deepcluster._engine import generator, mean_loss
from sklearn_deepcluster.losses import IdentityLoss
from sklearn_deepcluster.nn import AutoencoderModule, identity_mlp, mlp
from sklearn_deepcluster.representation._base import BaseAutoencoder
from sklearn_deepcluster.utils._sklearn import StrOptions

_LEAST_WIDTH = 20
_NOT_OURS = ("noise", "noise_kind", "hidden_weight", "layerwise_epochs", "validation_fraction")


class IdentityAutoencoder(BaseAutoencoder):
    """Autoencoder whose embedding is the data, for methods that change the data from there.

    Encoder and decoder are multilayer perceptrons of ReLUs with as many outputs as inputs.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int
        Widths of the encoder's hidden layers; the decoder mirrors them. None is two layers of
        twice the number of features, 20 at least. With ``start="identity"`` they must be equal,
        even, and at least twice the number of features.

    start : {"identity", "pretrain"}
        "identity": weights that map every row to itself exactly, up to rounding, without any
        training. "pretrain": random weights that are trained to do so (Eq. 5.12), as in the
        paper, which leaves an error; the parameters of training are for this one.

    scale : "auto", float or None
        X is then divided by it. "auto" is the root mean square of all training values, so the
        unit of X does not matter; of standardised data it is 1. None switches it off.

    net_params : dict
        More parameters of the inner skorch net, such as ``{"optimizer__weight_decay": 1e-4}``.

    verbose : int
        1 shows a progress bar.

    random_state : int, RandomState instance or None
        Seed of weights and order. The global generators are not used.

    Attributes
    ----------
    n_components_ : int
        Dimension of the embedding: that of the data.

    history_ : dict of lists
        "loss" per epoch (mean squared error of the embedding plus that of the reconstruction, in
        units of the scale); of "identity" what rounding leaves, once.

    n_iter_ : int
        Number of epochs, or 1.

    See Also
    --------
    KNet : Learns a kernel from this start.

    References
    ----------
    .. [1] C. Wu, Z. Khan, S. Ioannidis, J. Dy, "Deep Kernel Learning for Clustering", SDM 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_deepcluster import IdentityAutoencoder
    >>> X = load_iris().data
    >>> identity = IdentityAutoencoder(random_state=0).fit(X)
    >>> bool(np.allclose(identity.transform(X) * identity.scale_ + identity.center_, X, atol=1e-5))
    True
    """

    _parameter_constraints = {
        **{
            name: constraint
            for name, constraint in BaseAutoencoder._parameter_constraints.items()
            if name not in _NOT_OURS
        },
        "hidden_layer_sizes": ["array-like", None],
        "start": [StrOptions({"identity", "pretrain"})],
    }
    # As many as there are features.
    n_components = None
    noise = 0.0
    layerwise_epochs = 0
    validation_fraction = None

    def __init__(
        self,
        *,
        hidden_layer_sizes=None,
        start="identity",
        center="auto",
        scale="auto",
        max_epochs=50,
        min_steps=2000,
        batch_size=256,
        optimizer="adam",
        lr=1e-3,
        momentum=0.9,
        checkpoint=None,
        warm_start=False,
        callbacks=None,
        net_params=None,
        device="auto",
        precision="auto",
        verbose=0,
        random_state=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.start = start
        self.center = center
        self.scale = scale
        self.max_epochs = max_epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.checkpoint = checkpoint
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.precision = precision
        self.verbose = verbose
        self.random_state = random_state

    def _build(self, form, seed):
        return self._make_module(form, generator(seed)), form.n_features_in

    def _make_module(self, form, rng):
        d = form.n_features_in
        widths = self._widths(d)
        if self.start == "identity":
            encoder, decoder = (identity_mlp(d, widths[0], len(widths), rng) for _ in range(2))
        else:
            encoder = mlp([d, *widths, d], rng)
            decoder = mlp([d, *widths[::-1], d], rng)
        return AutoencoderModule(encoder, decoder)

    def _widths(self, d):
        if self.hidden_layer_sizes is None:
            return [max(2 * d, _LEAST_WIDTH)] * 2
        widths = list(self.hidden_layer_sizes)
        given = f"hidden_layer_sizes={self.hidden_layer_sizes!r}"
        if not widths or any(not isinstance(w, numbers.Integral) or w < 1 for w in widths):
            raise ValueError(f"{given} must hold positive integers, one at least.")
        least = min(widths)
        if self.start == "identity" and (len(set(widths)) > 1 or least % 2 or least < 2 * d):
            raise ValueError(
                f"{given} cannot be the identity on {d} features: with start='identity' the "
                f"widths must be equal, even and at least {2 * d}."
            )
        return widths

    def _loss(self):
        return IdentityLoss()

    def _fit_module(self, module, rows, trainer, seed, split, resume):
        if self.start == "pretrain":
            return super()._fit_module(module, rows, trainer, seed, split, resume)
        return [{"train_loss": mean_loss(self._loss(), module, rows)}], {}
