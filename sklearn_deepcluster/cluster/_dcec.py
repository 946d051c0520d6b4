"""DCEC: deep convolutional embedded clustering.

Reference: Guo, Liu, Zhu, Yin, "Deep Clustering with Convolutional Autoencoders" (ICONIP 2017):
IDEC with a convolutional autoencoder.
"""

from sklearn_deepcluster.cluster._idec import IDEC
from sklearn_deepcluster.representation import ConvAutoencoder


class DCEC(IDEC):
    """Deep convolutional embedded clustering: IDEC on a convolutional autoencoder.

    Give images as arrays (n_samples, height, width) or (n_samples, channels, height, width), or
    flat rows with ``autoencoder=ConvAutoencoder(sample_shape=...)``.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.

    autoencoder : Autoencoder, ConvAutoencoder or FrozenEstimator, default=None
        The representation to start from; None is ``ConvAutoencoder()``. It is cloned and trained;
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
    IDEC : The same on a fully connected autoencoder.

    References
    ----------
    .. [1] X. Guo, X. Liu, E. Zhu, J. Yin, "Deep Clustering with Convolutional Autoencoders",
       ICONIP 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_deepcluster import DCEC, ConvAutoencoder
    >>> images = load_digits(n_class=3).images[:150]
    >>> ae = ConvAutoencoder(filters=(8, 16), kernel_sizes=(3, 3), n_components=3, min_steps=50)
    >>> dcec = DCEC(3, autoencoder=ae, min_steps=30, random_state=0).fit(images)
    >>> dcec.inverse_transform(dcec.cluster_centers_).shape
    (3, 8, 8)
    """

    def _default_network(self, sample_shape):
        return ConvAutoencoder()
