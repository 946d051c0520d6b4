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
    autoencoder : Autoencoder, ConvAutoencoder or FrozenEstimator
        The representation to start from; None is ``ConvAutoencoder()``. It is cloned and trained;
        a fitted one in ``sklearn.frozen.FrozenEstimator`` is used as it is, and not changed. Its
        ``random_state=None``, ``device="auto"`` and ``precision="auto"`` take the values given
        here.

    init : {"k-means", "ac-gdl", "ac-pic", "ac-mod"}, array-like or clusterer
        Initial clustering of the embedding: k-means with 20 starts, ``GraphAgglomerative`` by
        degree linkage, path integral or modularity, centres of shape
        (n_clusters, n_components), or a clusterer, which is cloned and given `n_clusters`, and a
        seed if it has none.

    optimizer : {"adam", "adamw", "sgd", "rmsprop", "adagrad", "adadelta"} or class
        Optimiser, or a subclass of ``torch.optim.Optimizer``. The paper uses "adam" on
        MNIST and "sgd" with ``lr=0.1, momentum=0.99`` on USPS and Reuters.

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

    def _default_network(self, form):
        return ConvAutoencoder()
