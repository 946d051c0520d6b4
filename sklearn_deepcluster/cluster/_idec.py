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
    n_clusters : int, default=8
        Number of clusters.

    autoencoder : Autoencoder, ConvAutoencoder or FrozenEstimator, default=None
        The representation to start from; None is ``Autoencoder()``. It is cloned and trained;
        a fitted one in ``sklearn.frozen.FrozenEstimator`` is used as it is, and not changed. Its
        ``random_state=None``, ``device="auto"`` and ``precision="auto"`` take the values given
        here.

    init : {"k-means", "ac-gdl", "ac-pic", "ac-mod"}, array-like or clusterer, \
            default="k-means"
        Initial clustering of the embedding: k-means with 20 starts, ``GraphAgglomerative`` by
        degree linkage, path integral or modularity, centres of shape
        (n_clusters, n_components), or a clusterer, which is cloned and given `n_clusters`, and a
        seed if it has none.

    gamma : float, default=1.0
        Weight of the clustering divergence (mean over rows) relative to the reconstruction error
        (mean over rows and features, in units of the scale). 0 is the plain autoencoder.

    alpha : float, default=1.0
        Degrees of freedom of Student's t.

    max_epochs : int, default=50
        Passes over the data in the clustering phase, at most.

    min_steps : int, default=1000
        Small data take more passes, up to this many optimisation steps (see ``Autoencoder``).

    update_interval : int or "auto", default="auto"
        Steps between two refreshes of the targets, over all rows. "auto" is half an epoch, but
        at least 30 and at most 140 steps, the values of the reference implementations for
        small data and for MNIST.

    tol : float, default=1e-3
        Stop when a smaller fraction of the labels changed between two refreshes; 0 never stops.

    batch_size : int, default=256
        Rows per step; more than there are rows means one batch.

    optimizer : {"adam", "adamw", "sgd", "rmsprop", "adagrad", "adadelta"} or class, \
            default="adam"
        Optimiser, or a subclass of ``torch.optim.Optimizer``. The paper uses "adam" on
        MNIST and "sgd" with ``lr=0.1, momentum=0.99`` on USPS and Reuters.

    lr : float, default=1e-4
        Learning rate of the clustering phase.

    momentum : float, default=0.9
        Momentum of "sgd" and "rmsprop"; others ignore it.

    n_init : int, default=1
        Number of whole runs, pretraining included, with different seeds; the one with the best
        training score (see ``score``) is kept. A run with an empty cluster loses to any without.

    n_jobs : int, default=None
        Number of runs at a time, through joblib.

    memory : str, path or joblib.Memory, default=None
        Where to cache the fitted representation, so that fits which differ in clustering
        parameters alone train it once. Needs an integer `random_state`.

    warm_start : bool, default=False
        Go on from the network and centres of the previous fit.

    callbacks : list of skorch callbacks, default=None
        Copied and given to the inner skorch net of the clustering phase.

    net_params : dict, default=None
        More parameters of that net, such as ``{"optimizer__weight_decay": 1e-4}``.

    device : str or torch.device, default="auto"
        "auto" is a GPU where there is one.

    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of the products in training; "auto" is bfloat16 where the hardware multiplies
        it. Losses, weights and predictions are always float32.

    verbose : int, default=0
        1 shows progress bars.

    random_state : int, RandomState instance or None, default=None
        Seed of everything. The global generators are not used.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each training sample; equals ``predict`` of the training data.

    cluster_centers_ : ndarray of shape (n_clusters, n_components)
        Centres in the embedding.

    module_ : torch.nn.Module
        The autoencoder, with ``encode`` and ``decode``; it works on X / ``scale_``.

    history_ : dict of lists
        Per round: "loss", "kl", "reconstruction", "label_change" (from the second refresh on); and
        "pretraining_loss" per epoch of the representation.

    loss_ : float
        Loss of the last round.

    n_iter_ : int
        Number of rounds of `update_interval` steps.

    scale_ : float
        Divisor of the input.

    embedding_variance_ : float
        Total variance of the training embedding.

    n_components_ : int
        Dimension of the embedding.

    sample_shape_ : tuple of int
        Shape of one sample as given to ``fit``.

    n_features_in_ : int
        Number of features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X had names.

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
        batch_size=256,
        optimizer="adam",
        lr=1e-4,
        momentum=0.9,
        n_init=1,
        n_jobs=None,
        memory=None,
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
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.n_init = n_init
        self.n_jobs = n_jobs
        self.memory = memory
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.precision = precision
        self.verbose = verbose
        self.random_state = random_state

    def _gamma(self):
        return self.gamma
