"""The graph of nearest neighbours, and where clusters cut it."""

import numbers

import numpy as np
from sklearn.neighbors import kneighbors_graph

from sklearn_deepcluster.inspection._common import (
    checked,
    cluster_styles,
    embedding_and_labels,
    get_axes,
    some_rows,
)
from sklearn_deepcluster.inspection._embedding import in_the_plane, write_labels

_BETWEEN = "#B2182B"


class NeighborGraphDisplay:
    """Nearest neighbours of samples in an embedding; edges between clusters are dashed and red.

    Neighbours are found in all components, and drawn in two dimensions. Clusters that many edges
    join are hardly apart. Use `from_estimator` or `from_predictions` to make one.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        The samples.

    labels : ndarray of shape (n,)
        Their clusters.

    edges : ndarray of shape (n_edges, 2)
        Pairs of samples that are joined, each once.

    axis_labels : tuple of str
        Of the two axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the picture.

    figure_ : matplotlib Figure
        That of the axes.

    within_, between_ : matplotlib LineCollection
        The edges within clusters, and those between them.

    collections_ : list of matplotlib PathCollection
        The points of each label, in sorted order.

    See Also
    --------
    EmbeddingDisplay : More samples, without edges.
    GraphAgglomerative : Merges clusters of such a graph.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_deepcluster.inspection import NeighborGraphDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> display = NeighborGraphDisplay.from_predictions(X, y, n_neighbors=5)
    >>> len(display.between_.get_segments()) < len(display.within_.get_segments())
    True
    """

    def __init__(self, points, labels, edges, axis_labels=("component 1", "component 2")):
        self.points = points
        self.labels = labels
        self.edges = edges
        self.axis_labels = axis_labels

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        n_neighbors=5,
        max_samples=500,
        random_state=0,
        ax=None,
        **kwargs,
    ):
        """Draw the graph of samples of X in the embedding by a fitted clusterer.

        Parameters
        ----------
        estimator : clusterer
            Fitted, with ``transform``, and ``predict`` unless `y` is given.

        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array

        y : array-like of shape (n_samples,), default=None
            Labels to take for clusters; None takes the clusters.

        n_neighbors : int, default=5
            Neighbours of each sample, among those that are drawn.

        max_samples : int or None, default=500
            Samples, at most, chosen at random.

        random_state : int, RandomState instance or None, default=0
            For that choice.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``LineCollection``.

        Returns
        -------
        display : NeighborGraphDisplay
        """
        Z, labels = embedding_and_labels(estimator, X, y)
        return cls.from_predictions(
            Z,
            labels,
            n_neighbors=n_neighbors,
            max_samples=max_samples,
            random_state=random_state,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls, Z, labels, *, n_neighbors=5, max_samples=500, random_state=0, ax=None, **kwargs
    ):
        """Draw the graph of rows, of data or of an embedding.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)

        labels : array-like of shape (n_samples,)

        n_neighbors : int, default=5
            Neighbours of each sample, among those that are drawn.

        max_samples : int or None, default=500
            Samples, at most, chosen at random.

        random_state : int, RandomState instance or None, default=0
            For that choice.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``LineCollection``.

        Returns
        -------
        display : NeighborGraphDisplay

        Raises
        ------
        ValueError
            If `n_neighbors` is not a positive int below the number of samples.
        """
        Z, labels = checked(Z, labels)
        rows = some_rows(len(Z), max_samples, random_state)
        is_count = isinstance(n_neighbors, numbers.Integral) and not isinstance(n_neighbors, bool)
        if not is_count or not 1 <= n_neighbors < len(rows):
            raise ValueError(
                f"n_neighbors={n_neighbors!r} must be an int from 1 to {len(rows) - 1}, one less "
                "than the samples that are drawn."
            )
        points, axis_labels = in_the_plane(Z)
        graph = kneighbors_graph(Z[rows], n_neighbors)
        either = (graph + graph.T).tocoo()
        edges = np.column_stack([either.row, either.col])
        edges = edges[edges[:, 0] < edges[:, 1]]
        return cls(points[rows], labels[rows], edges, axis_labels).plot(ax=ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``LineCollection``.

        Returns
        -------
        display : NeighborGraphDisplay
        """
        self.ax_ = get_axes(ax)
        self.figure_ = self.ax_.figure
        from matplotlib.collections import LineCollection

        lines = self.points[self.edges]
        cut = self.labels[self.edges[:, 0]] != self.labels[self.edges[:, 1]]
        self.within_ = LineCollection(
            lines[~cut], **{"colors": "0.7", "linewidths": 0.5, "zorder": 1} | kwargs
        )
        style = {"colors": _BETWEEN, "linewidths": 0.9, "linestyles": "--", "zorder": 2}
        name = f"between clusters ({cut.mean() if len(cut) else 0:.0%} of the edges)"
        self.between_ = LineCollection(lines[cut], **style | {"label": name} | kwargs)
        for edges in (self.within_, self.between_):
            self.ax_.add_collection(edges)
        found = np.unique(self.labels)
        self.collections_ = [
            self.ax_.scatter(
                *self.points[self.labels == label].T, color=color, marker=marker, s=10, zorder=3
            )
            for label, (color, marker) in zip(found, cluster_styles(len(found)), strict=True)
        ]
        write_labels(self.ax_, self.points, self.labels)
        self.ax_.legend(handles=[self.between_], fontsize="small")
        self.ax_.set(xlabel=self.axis_labels[0], ylabel=self.axis_labels[1])
        return self
