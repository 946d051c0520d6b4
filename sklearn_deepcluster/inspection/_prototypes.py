"""One image of each cluster."""

import numpy as np

from sklearn_deepcluster.inspection._common import checked_labels, get_panels, last_step
from sklearn_deepcluster.inspection._images import as_images, image_shape, scaled
from sklearn_deepcluster.inspection._sizes import all_clusters, count_clusters


class PrototypesDisplay:
    """An image of each cluster: its decoded centre, or the mean of its samples.

    Use `from_estimator` or `from_predictions` to make one.

    Parameters
    ----------
    images : ndarray of shape (n_clusters, height, width) or (n_clusters, height, width, 3)
        NaN where a cluster is empty and there is no centre to decode.

    clusters : ndarray of shape (n_clusters,)
        Their labels.

    counts : ndarray of shape (n_clusters,)
        How many samples they have.

    kind : {"decoded centre", "mean"}, default="mean"
        What the images are.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One for each cluster.

    figure_ : matplotlib Figure
        That of the axes.

    ims_ : list of matplotlib AxesImage
        The images.

    See Also
    --------
    ClusterSamplesDisplay : Samples of each cluster.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_deepcluster.inspection import PrototypesDisplay
    >>> digits = load_digits(n_class=3)
    >>> display = PrototypesDisplay.from_predictions(digits.images, digits.target)
    >>> display.images.shape
    (3, 8, 8)
    """

    def __init__(self, images, clusters, counts, kind="mean"):
        self.images = images
        self.clusters = clusters
        self.counts = counts
        self.kind = kind

    @classmethod
    def from_estimator(cls, estimator, X, *, sample_shape=None, axes=None, **kwargs):
        """Draw the prototypes of a fitted clusterer.

        They are what its decoder makes of its centres; without a decoder, and of pipelines, they
        are the means of the samples.

        Parameters
        ----------
        estimator : clusterer
            Fitted.

        X : array-like of shape (n_samples, n_features) or image array

        sample_shape : tuple of int, default=None
            (height, width) or (channels, height, width) of an image. None is the shape of the
            images that X holds, or that the estimator was fitted on.

        axes : array-like of matplotlib Axes, default=None
            Where to draw, one for each cluster; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : PrototypesDisplay

        Raises
        ------
        ValueError
            If the shape of the images is not known.
        """
        shape = image_shape(sample_shape, X, estimator)
        labels = estimator.predict(X)
        clusters = all_clusters(estimator, labels)
        centers = getattr(estimator, "cluster_centers_", None)
        decodes = last_step(estimator) is estimator and hasattr(estimator, "inverse_transform")
        if centers is None or not decodes or len(centers) != len(clusters):
            return cls._of_means(as_images(X, shape), labels, clusters, axes, kwargs)
        decoded = estimator.inverse_transform(centers)
        images = as_images(np.asarray(decoded).reshape(len(clusters), -1), shape)
        counts = count_clusters(labels, clusters)
        return cls(images, clusters, counts, "decoded centre").plot(axes=axes, **kwargs)

    @classmethod
    def from_predictions(cls, X, labels, *, clusters=None, sample_shape=None, axes=None, **kwargs):
        """Draw the mean of the samples of each cluster.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or image array

        labels : array-like of shape (n_samples,)

        clusters : array-like of shape (n_clusters,), default=None
            All labels that there may be; None takes those that there are.

        sample_shape : tuple of int, default=None
            (height, width) or (channels, height, width) of an image; None is the shape of the
            images that X holds.

        axes : array-like of matplotlib Axes, default=None
            Where to draw, one for each cluster; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : PrototypesDisplay
        """
        shape = image_shape(sample_shape, X)
        labels = checked_labels(X, labels)
        clusters = np.unique(labels) if clusters is None else np.asarray(clusters)
        return cls._of_means(as_images(X, shape), labels, clusters, axes, kwargs)

    @classmethod
    def _of_means(cls, images, labels, clusters, axes, kwargs):
        counts = count_clusters(labels, clusters)
        means = np.full((len(clusters), *images.shape[1:]), np.nan)
        for mean, cluster, count in zip(means, clusters, counts, strict=True):
            if count:
                mean[:] = images[labels == cluster].mean(axis=0, dtype=np.float64)
        return cls(means, clusters, counts).plot(axes=axes, **kwargs)

    def plot(self, axes=None, **kwargs):
        """Draw.

        Parameters
        ----------
        axes : array-like of matplotlib Axes, default=None
            Where to draw, one for each cluster; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : PrototypesDisplay
        """
        self.axes_ = get_panels(axes, len(self.clusters), height=1.4, n_columns=10, width=1.1)
        self.figure_ = self.axes_[0].figure
        # Each by its own values: a mean of many samples is paler than that of a few.
        style = {"cmap": "gray_r", "interpolation": "nearest"} | kwargs
        self.ims_ = []
        for ax, image, cluster, count in zip(
            self.axes_, self.images, self.clusters, self.counts, strict=True
        ):
            shown = image if np.isnan(image).any() else scaled(image)
            self.ims_.append(ax.imshow(shown, **style))
            ax.set_title(f"{cluster} ({count})", fontsize="small")
            ax.set(xticks=[], yticks=[])
        return self
