"""IDEC: improved deep embedded clustering.

Reference: Guo, Gao, Liu, Yin, "Improved Deep Embedded Clustering with Local Structure
Preservation" (IJCAI 2017). Implemented: Eq. 6 (the sum of both terms), the rest is DEC's. The
reconstruction is averaged over features as in the authors' code; the paper writes a sum.
"""

import numbers

from sklearn_deepcluster.cluster._dec import DEC
from sklearn_deepcluster.utils._sklearn import Interval


class IDEC(DEC):
    """Improved deep embedded clustering: DEC that keeps its decoder.

    The reconstruction error stays in the objective and holds the local structure of the data
    while the clusters are sharpened. Inputs are not corrupted in this phase.

    Parameters
    ----------
    gamma : float
        Weight of the clustering divergence (mean over rows) relative to the reconstruction error
        (mean over rows and features, in units of the scale). 0 is the plain autoencoder.

    optimizer : {"adam", "adamw", "sgd", "rmsprop", "adagrad", "adadelta"} or class
        Optimiser, or a subclass of ``torch.optim.Optimizer``. The paper uses "adam" on
        MNIST and "sgd" with ``lr=0.1, momentum=0.99`` on USPS and Reuters.

    Attributes
    ----------
    module_ : torch.nn.Module
        The autoencoder, with ``encode`` and ``decode``; it works on (X - ``center_``) / ``scale_``.

    history_ : dict of lists
        Per round: "loss", "kl", "reconstruction", "label_change" (from the second refresh on); and
        "pretraining_loss" per epoch of the representation.

    See Also
    --------
    DEC : Drops the decoder.
    DCEC : IDEC on a convolutional autoencoder.

    References
    ----------
    .. [1] X. Guo, L. Gao, X. Liu, J. Yin, "Improved Deep Embedded Clustering with Local
       Structure Preservation", IJCAI 2017.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_deepcluster import IDEC, Autoencoder
    >>> X, _ = make_blobs(150, centers=3, n_features=8, random_state=0)
    >>> ae = Autoencoder(hidden_layer_sizes=(32,), n_components=3, min_steps=300)
    >>> idec = IDEC(3, autoencoder=ae, min_steps=60, random_state=0).fit(X)
    >>> idec.inverse_transform(idec.cluster_centers_).shape
    (3, 8)
    """

    _parameter_constraints = {
        **DEC._parameter_constraints,
        "gamma": [Interval(numbers.Real, 0, None, closed="left")],
    }
    _keeps_decoder = True

    def __init__(
        self,
        n_clusters=8,
        *,
        autoencoder=None,
        init="k-means",
        gamma=1.0,
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
        self.gamma = gamma
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

    def _gamma(self):
        return self.gamma
