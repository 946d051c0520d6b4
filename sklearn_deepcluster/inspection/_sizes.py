"""How many samples the clusters have."""

import numpy as np

from sklearn_deepcluster.inspection._common import (
    PALETTE,
    checked_labels,
    get_axes,
    last_step,
    name_ticks,
)


class ClusterSizesDisplay:
    """Bars of the number of samples of each cluster, empty ones included.

    Use `from_estimator` or `from_predictions` to make one.

    Parameters
    ----------
    clusters : sequence of length n_clusters
        Their labels.

    counts : ndarray of shape (n_clusters,)
        How many samples each has.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the picture.

    figure_ : matplotlib Figure
        That of the axes.

    bars_ : matplotlib BarContainer
        A bar for each cluster, in their order.

    See Also
    --------
    describe_clusters : The numbers, and more of each cluster.

    Examples
    --------
    >>> from sklearn_deepcluster.inspection import ClusterSizesDisplay
    >>> display = ClusterSizesDisplay.from_predictions([0, 0, 2], clusters=[0, 1, 2])
    >>> display.counts
    array([2, 0, 1])
    """

    def __init__(self, clusters, counts):
        self.clusters = clusters
        self.counts = counts

    @classmethod
    def from_estimator(cls, estimator, X, *, ax=None, **kwargs):
        """Draw the sizes of the clusters that a fitted clusterer finds in X.

        Parameters
        ----------
        estimator : clusterer
            Fitted.

        X : {array-like, sparse matrix} of shape (n_samples, n_features), images or sequences

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``bar``.

        Returns
        -------
        display : ClusterSizesDisplay
        """
        labels = estimator.predict(X)
        clusters = all_clusters(estimator, labels)
        return cls.from_predictions(labels, clusters=clusters, ax=ax, **kwargs)

    @classmethod
    def from_predictions(cls, labels, *, clusters=None, ax=None, **kwargs):
        """Draw the sizes of the clusters of given labels.

        Parameters
        ----------
        labels : array-like of shape (n_samples,)

        clusters : array-like of shape (n_clusters,), default=None
            All labels that there may be; None takes those that there are.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``bar``.

        Returns
        -------
        display : ClusterSizesDisplay

        Raises
        ------
        ValueError
            If `labels` are not one-dimensional or hold NaN, or `clusters` lacks one of them.
        """
        labels = checked_labels(labels, labels)
        clusters = np.unique(labels) if clusters is None else np.asarray(clusters)
        return cls(clusters, count_clusters(labels, clusters)).plot(ax=ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``bar``.

        Returns
        -------
        display : ClusterSizesDisplay
        """
        n = len(self.clusters)
        self.ax_ = get_axes(ax, figsize=(min(max(6.4, 0.25 * n), 12.0), 3.6))
        self.figure_ = self.ax_.figure
        places = np.arange(n)
        self.bars_ = self.ax_.bar(places, self.counts, **{"color": PALETTE[0]} | kwargs)
        style = {"rotation": 90 if n > 20 or max(map(len, map(str, self.clusters))) > 4 else 0}
        name_ticks(self.ax_.xaxis, places, self.clusters, **style)
        mean = np.sum(self.counts) / n
        self.ax_.axhline(mean, color="gray", linestyle="--", linewidth=1, label="equal sizes")
        if n <= 20:
            self.ax_.bar_label(self.bars_, fontsize="small")
        self.ax_.margins(y=0.1)
        self.ax_.legend(fontsize="small")
        self.ax_.set(xlabel="cluster", ylabel="samples")
        return self


def all_clusters(estimator, labels):
    """The clusters of a fitted clusterer, also those of which there is no sample among `labels`."""
    found = np.unique(labels)
    if not np.issubdtype(found.dtype, np.integer):
        return found
    model = last_step(estimator)
    counted = (
        getattr(model, "n_clusters_", None),
        len(getattr(model, "cluster_centers_", ())),
        getattr(model, "n_clusters", None),
    )
    n = next((count for count in counted if isinstance(count, int | np.integer) and count), 0)
    return np.union1d(np.arange(n), found)


def count_clusters(labels, clusters):
    """How many of `labels` are each of `clusters`."""
    lacking = np.setdiff1d(labels, clusters)
    if len(lacking):
        raise ValueError(f"clusters lacks labels that there are: {lacking[:5].tolist()}.")
    return np.array([np.count_nonzero(labels == cluster) for cluster in clusters])
