"""DBC: discriminatively boosted image clustering.

Reference: Li, Qiao, Zhang, "Discriminatively boosted image clustering with fully convolutional
auto-encoders" (Pattern Recognition 83, 2018). Implemented: soft k-means scores and their boosted
targets, on a convolutional autoencoder with batch normalisation that is trained end to end.

The table of layers of the paper is not public, so the network is an approximation: convolutions of
stride 2 instead of pooling and unpooling, and its linear layer is the convolution whose kernel is
the last map. There is no separate curriculum: targets follow ever sharper scores.
"""

import numbers

from sklearn_deepcluster.cluster._dec import DEC
from sklearn_deepcluster.representation import Autoencoder, ConvAutoencoder
from sklearn_deepcluster.utils._sklearn import Interval


class DBC(DEC):
    """Discriminatively boosted clustering: DEC whose targets are boosted, on images.

    Targets are the soft assignment to the power `boost`, over all rows, divided by the mass of the
    clusters if `balance` is set. With a boost of 2 and balance they are those of ``DEC``; what
    differs is the network, a convolutional one with batch normalisation.

    Give images as arrays (n_samples, height, width) or (n_samples, channels, height, width), or
    flat rows with ``autoencoder=ConvAutoencoder(sample_shape=..., batch_norm=True)``.

    Parameters
    ----------
    autoencoder : Autoencoder, ConvAutoencoder or FrozenEstimator
        The representation to start from; None is ``ConvAutoencoder(batch_norm=True)``, and
        ``Autoencoder()`` where X has flat rows (``set_params(autoencoder__...)``, which does not
        know X, takes the former). It is cloned and trained; a fitted one in
        ``sklearn.frozen.FrozenEstimator`` is used as it is, and not changed. Its
        ``random_state=None``, ``device="auto"`` and ``precision="auto"`` take the values given
        here.

    boost : float
        Power of the assignments, 1 or more: the larger, the more easy rows count.

    balance : bool
        Whether targets are divided by the mass of their cluster, which keeps clusters of similar
        size.

    See Also
    --------
    DEC : The same on a fully connected network.
    DCEC : Keeps the decoder.

    References
    ----------
    .. [1] F. Li, H. Qiao, B. Zhang, "Discriminatively Boosted Image Clustering with Fully
       Convolutional Auto-Encoders", Pattern Recognition 83, 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_deepcluster import DBC, ConvAutoencoder
    >>> images = load_digits(n_class=3).images[:150]
    >>> ae = ConvAutoencoder(
    ...     filters=(8, 16), kernel_sizes=(3, 3), n_components=3, batch_norm=True, min_steps=50
    ... )
    >>> dbc = DBC(3, autoencoder=ae, min_steps=30, random_state=0).fit(images)
    >>> dbc.predict_proba(images).shape
    (150, 3)
    """

    _parameter_constraints = {
        **DEC._parameter_constraints,
        "boost": [Interval(numbers.Real, 1, None, closed="left")],
        "balance": ["boolean"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        autoencoder=None,
        init="k-means",
        boost=2.0,
        balance=True,
        alpha=1.0,
        max_epochs=50,
        min_steps=1000,
        update_interval="auto",
        tol=1e-3,
        drift_tol=0.01,
        batch_size=256,
        optimizer="adam",
        lr=1e-4,
        momentum=0.9,
        n_init=1,
        n_jobs=None,
        memory=None,
        checkpoint=None,
        warm_start=False,
        callbacks=None,
        net_params=None,
        device="auto",
        precision="auto",
        verbose=0,
        random_state=None,
    ):
        self.n_clusters = n_clusters
        self.autoencoder = autoencoder
        self.init = init
        self.boost = boost
        self.balance = balance
        self.alpha = alpha
        self.max_epochs = max_epochs
        self.min_steps = min_steps
        self.update_interval = update_interval
        self.tol = tol
        self.drift_tol = drift_tol
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.n_init = n_init
        self.n_jobs = n_jobs
        self.memory = memory
        self.checkpoint = checkpoint
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.precision = precision
        self.verbose = verbose
        self.random_state = random_state

    def _default_network(self, form):
        if form is not None and len(form.sample_shape) == 1:
            return Autoencoder()
        return ConvAutoencoder(batch_norm=True)

    def _target_kind(self):
        return self.boost, float(self.balance)
