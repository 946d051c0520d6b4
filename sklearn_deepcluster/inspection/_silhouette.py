"""How near the samples of each cluster are to one another, and how far from others."""

import numpy as np
from sklearn.metrics import silhouette_samples

from sklearn_deepcluster.inspection._common import (
    checked,
    cluster_styles,
    embedding_and_labels,
    get_axes,
    name_ticks,
    some_rows,
)


class SilhouetteDisplay:
    """Silhouettes of samples, sorted, cluster by cluster.

    A silhouette compares the mean distance to the samples of the own cluster with that to the
    nearest other one: near 1 a sample is well within its cluster, near 0 between two, and below 0
    nearer to another. Use `from_estimator` or `from_predictions` to make one.

    Parameters
    ----------
    silhouettes : ndarray of shape (n,)
        Of the samples, from -1 to 1.

    labels : ndarray of shape (n,)
        Their clusters.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the picture.

    figure_ : matplotlib Figure
        That of the axes.

    bands_ : list of matplotlib PolyCollection
        The silhouettes of each cluster, in sorted order.

    mean_ : matplotlib Line2D
        At the mean of all.

    See Also
    --------
    sklearn.metrics.silhouette_samples : What is drawn.

    References
    ----------
    .. [1] P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of
       cluster analysis", Journal of Computational and Applied Mathematics 20, 1987.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_deepcluster.inspection import SilhouetteDisplay
    >>> display = SilhouetteDisplay.from_predictions(*load_iris(return_X_y=True))
    >>> round(float(display.silhouettes.mean()), 2)
    0.5
    """

    def __init__(self, silhouettes, labels):
        self.silhouettes = silhouettes
        self.labels = labels

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, max_samples=2000, random_state=0, ax=None, **kwargs
    ):
        """Draw silhouettes in the embedding of X by a fitted clusterer.

        Parameters
        ----------
        estimator : clusterer
            Fitted, with ``transform``, and ``predict`` unless `y` is given.

        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array

        y : array-like of shape (n_samples,), default=None
            Labels to take for clusters; None takes the clusters.

        max_samples : int or None, default=2000
            Samples, at most, chosen at random: the time is quadratic in them.

        random_state : int, RandomState instance or None, default=0
            For that choice.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``fill_betweenx``.

        Returns
        -------
        display : SilhouetteDisplay

        Raises
        ------
        ValueError
            If there are fewer than two clusters among the samples, or as many as samples.
        """
        Z, labels = embedding_and_labels(estimator, X, y)
        return cls.from_predictions(
            Z, labels, max_samples=max_samples, random_state=random_state, ax=ax, **kwargs
        )

    @classmethod
    def from_predictions(cls, Z, labels, *, max_samples=2000, random_state=0, ax=None, **kwargs):
        """Draw silhouettes of rows, of data or of an embedding, by labels.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)

        labels : array-like of shape (n_samples,)

        max_samples : int or None, default=2000
            Samples, at most, chosen at random: the time is quadratic in them.

        random_state : int, RandomState instance or None, default=0
            For that choice.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``fill_betweenx``.

        Returns
        -------
        display : SilhouetteDisplay

        Raises
        ------
        ValueError
            If there are fewer than two clusters among the samples, or as many as samples.
        """
        Z, labels = checked(Z, labels)
        rows = some_rows(len(Z), max_samples, random_state)
        Z, labels = Z[rows], labels[rows]
        n_found = len(np.unique(labels))
        if not 1 < n_found < len(labels):
            raise ValueError(
                f"Silhouettes need 2 clusters at least, and fewer than samples; {n_found} "
                f"found in {len(labels)} samples."
            )
        return cls(silhouette_samples(Z, labels), labels).plot(ax=ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``fill_betweenx``.

        Returns
        -------
        display : SilhouetteDisplay
        """
        found = np.unique(self.labels)
        self.ax_ = get_axes(ax, figsize=(6.4, min(max(4.8, 0.22 * len(found)), 9.0)))
        self.figure_ = self.ax_.figure
        gap = len(self.labels) / max(100, 3 * len(found))
        top, middles, self.bands_ = 0.0, [], []
        for label, (color, _) in zip(found, cluster_styles(len(found)), strict=True):
            values = np.sort(self.silhouettes[self.labels == label])[::-1]
            places = top + np.arange(len(values) + 1)
            style = {"color": color, "step": "post", "linewidth": 0} | kwargs
            heights = np.append(values, values[-1])
            self.bands_.append(self.ax_.fill_betweenx(places, 0, heights, **style))
            middles.append(top + len(values) / 2)
            top += len(values) + gap
        mean = float(self.silhouettes.mean())
        self.mean_ = self.ax_.axvline(mean, color="black", linestyle="--", linewidth=1)
        self.ax_.axvline(0, color="gray", linewidth=0.8)
        self.ax_.invert_yaxis()
        name_ticks(self.ax_.yaxis, middles, found)
        self.ax_.set(xlabel=f"silhouette (dashed: mean, {mean:.2f})", ylabel="cluster")
        return self
