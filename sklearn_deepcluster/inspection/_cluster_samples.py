"""Samples of each cluster, as images."""

import numpy as np

from sklearn_deepcluster.inspection._common import checked_labels
from sklearn_deepcluster.inspection._images import (
    as_images,
    draw_montage,
    image_shape,
    scaled,
    select_by,
    select_rows,
)


class ClusterSamplesDisplay:
    """Images of some samples of each cluster, a row per cluster.

    Use `from_estimator` or `from_predictions` to make one.

    Parameters
    ----------
    images : list of ndarray of shape (m, height, width) or (m, height, width, 3)
        The samples of each cluster.

    clusters : ndarray of shape (n_clusters,)
        Its label.

    counts : ndarray of shape (n_clusters,)
        How many samples it has in all.

    order : str, default=""
        In words, which samples are drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the picture.

    figure_ : matplotlib Figure
        That of the axes.

    im_ : matplotlib AxesImage
        All samples, in one picture.

    See Also
    --------
    ImportanceDisplay : Which pixels a clusterer looks at.

    References
    ----------
    .. [1] D. J. Trosten, "Deep Image Clustering with Tensor Kernels and Unsupervised Companion
       Objectives", master's thesis, UiT The Arctic University of Norway, 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_deepcluster import GraphAgglomerative
    >>> from sklearn_deepcluster.inspection import ClusterSamplesDisplay
    >>> images = load_digits(n_class=3).images
    >>> clusterer = GraphAgglomerative(3).fit(images)
    >>> display = ClusterSamplesDisplay.from_estimator(clusterer, images, n_samples=5)
    >>> [len(row) for row in display.images]
    [5, 5, 5]
    """

    def __init__(self, images, clusters, counts, order=""):
        self.images = images
        self.clusters = clusters
        self.counts = counts
        self.order = order

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        n_samples=10,
        selection="typical",
        sample_shape=None,
        random_state=0,
        ax=None,
        **kwargs,
    ):
        """Draw samples of X, clustered by a fitted clusterer.

        Parameters
        ----------
        estimator : clusterer
            Fitted.

        X : array-like of shape (n_samples, n_features) or image array

        n_samples : int, default=10
            Samples per cluster, at most.

        selection : {"typical", "random"}, default="typical"
            "typical": the most probable ones by ``predict_proba``; of clusterers without it those
            nearest the centre in the embedding, or nearest the mean where there is no embedding.

        sample_shape : tuple of int, default=None
            (height, width) or (channels, height, width) of an image. None is the shape of the
            images that X holds, or that the estimator was fitted on.

        random_state : int, RandomState instance or None, default=0
            For random samples.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : ClusterSamplesDisplay

        Raises
        ------
        ValueError
            If the shape of the images is not known.
        """
        shape = image_shape(sample_shape, X, estimator)
        labels = estimator.predict(X)
        scores, order = select_by(selection, estimator, X, labels)
        return cls._of_rows(
            as_images(X, shape), labels, n_samples, scores, order, random_state, ax, kwargs
        )

    @classmethod
    def from_predictions(
        cls,
        X,
        labels,
        *,
        scores=None,
        n_samples=10,
        sample_shape=None,
        random_state=0,
        ax=None,
        **kwargs,
    ):
        """Draw samples of X by given labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or image array

        labels : array-like of shape (n_samples,)

        scores : array-like of shape (n_samples,), default=None
            The samples of the highest scores are drawn; None draws random ones.

        n_samples : int, default=10
            Samples per cluster, at most.

        sample_shape : tuple of int, default=None
            (height, width) or (channels, height, width) of an image; None is the shape of the
            images that X holds.

        random_state : int, RandomState instance or None, default=0
            For random samples.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : ClusterSamplesDisplay
        """
        shape = image_shape(sample_shape, X)
        labels = checked_labels(X, labels)
        if scores is not None:
            scores = np.asarray(scores)
            if scores.shape != labels.shape:
                raise ValueError(f"scores has shape {scores.shape}, labels {labels.shape}.")
        order = "random" if scores is None else "highest-scoring"
        return cls._of_rows(
            as_images(X, shape), labels, n_samples, scores, order, random_state, ax, kwargs
        )

    @classmethod
    def _of_rows(cls, images, labels, n_samples, scores, order, random_state, ax, kwargs):
        clusters, chosen = select_rows(labels, n_samples, scores=scores, random_state=random_state)
        counts = np.array([(labels == cluster).sum() for cluster in clusters])
        return cls([images[rows] for rows in chosen], clusters, counts, order).plot(ax=ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : ClusterSamplesDisplay
        """
        ends = np.cumsum([len(row) for row in self.images])
        rows = np.split(scaled(np.concatenate(self.images)), ends[:-1])
        style = {"vmin": 0.0, "vmax": 1.0, "cmap": "gray_r"} | kwargs
        self.ax_, self.im_ = draw_montage(ax, rows, self.clusters, self.counts, **style)
        self.figure_ = self.ax_.figure
        self.ax_.set(xlabel=f"{self.order} samples" if self.order else "samples")
        return self
