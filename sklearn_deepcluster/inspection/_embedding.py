"""An embedding in two dimensions, coloured by cluster."""

import numpy as np
from sklearn.decomposition import PCA

from sklearn_deepcluster.inspection._common import (
    checked,
    cluster_styles,
    embedding_and_labels,
    get_axes,
    some_rows,
)

# More labels than these written into the picture hide it.
_MOST_LABELS = 100


class EmbeddingDisplay:
    """Scatter plot of rows in two dimensions, coloured by label (KNet paper, figures 1, 4, 6).

    Colours are told apart with any kind of colour vision, every eight labels have another marker,
    and up to 100 labels are written at the median of their points.

    Use `from_estimator` or `from_predictions` to make one.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        What is drawn.

    labels : ndarray of shape (n,)
        Colours.

    axis_labels : tuple of str
        Of the two axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the picture.

    figure_ : matplotlib Figure
        That of the axes.

    collections_ : list of matplotlib PathCollection
        The points of each label, in sorted order.

    texts_ : list of matplotlib Text
        The labels within the picture, in the same order; empty for a single or many labels.

    See Also
    --------
    KernelMatrixDisplay : The kernel of the rows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_deepcluster.inspection import EmbeddingDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> display = EmbeddingDisplay.from_predictions(X, y)
    >>> len(display.collections_)
    3
    """

    def __init__(self, points, labels, axis_labels=("component 1", "component 2")):
        self.points = points
        self.labels = labels
        self.axis_labels = axis_labels

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, max_samples=5000, random_state=0, ax=None, **kwargs
    ):
        """Draw the embedding of X by a fitted clusterer.

        Parameters
        ----------
        estimator : clusterer
            Fitted, with ``transform``, and ``predict`` unless `y` is given.

        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array

        y : array-like of shape (n_samples,), default=None
            Labels to colour by; None takes the clusters.

        max_samples : int or None, default=5000
            Rows to draw, at most, chosen at random.

        random_state : int, RandomState instance or None, default=0
            For that choice.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``scatter``.

        Returns
        -------
        display : EmbeddingDisplay
        """
        Z, labels = embedding_and_labels(estimator, X, y)
        return cls.from_predictions(
            Z, labels, max_samples=max_samples, random_state=random_state, ax=ax, **kwargs
        )

    @classmethod
    def from_predictions(cls, Z, labels, *, max_samples=5000, random_state=0, ax=None, **kwargs):
        """Draw rows, of data or of an embedding, coloured by labels.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Of more than two components the two leading principal ones are drawn; a single one is
            drawn along the rows.

        labels : array-like of shape (n_samples,)

        max_samples : int or None, default=5000
            Rows to draw, at most, chosen at random.

        random_state : int, RandomState instance or None, default=0
            For that choice.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``scatter``.

        Returns
        -------
        display : EmbeddingDisplay
        """
        Z, labels = checked(Z, labels)
        rows = some_rows(len(Z), max_samples, random_state)
        points, axis_labels = in_the_plane(Z)
        return cls(points[rows], labels[rows], axis_labels).plot(ax=ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``scatter``.

        Returns
        -------
        display : EmbeddingDisplay
        """
        self.ax_ = get_axes(ax)
        self.figure_ = self.ax_.figure
        found = np.unique(self.labels)
        style = {"s": 8, "linewidths": 0} | kwargs
        self.collections_ = [
            self.ax_.scatter(
                *self.points[self.labels == label].T,
                **({"color": color, "marker": marker, "label": str(label)} | style),
            )
            for label, (color, marker) in zip(found, cluster_styles(len(found)), strict=True)
        ]
        self.texts_ = write_labels(self.ax_, self.points, self.labels)
        self.ax_.set(xlabel=self.axis_labels[0], ylabel=self.axis_labels[1])
        return self


def write_labels(ax, points, labels):
    """Write each label at the median of its points; return the texts, none for one or many."""
    from matplotlib.patheffects import withStroke

    found = np.unique(labels)
    if not 1 < len(found) <= _MOST_LABELS:
        return []
    halo = [withStroke(linewidth=2.5, foreground="white")]
    style = {"ha": "center", "va": "center", "weight": "bold", "path_effects": halo}
    size = "medium" if len(found) <= 20 else "small"
    return [
        ax.text(*np.median(points[labels == label], axis=0), str(label), fontsize=size, **style)
        for label in found
    ]


def in_the_plane(Z):
    """Rows (n, e) as points (n, 2), and the names of the two axes."""
    if Z.shape[1] > 2:
        names = ("principal component 1", "principal component 2")
        return PCA(2, svd_solver="full").fit_transform(Z), names
    if Z.shape[1] == 1:
        return np.column_stack([np.arange(len(Z)), Z]), ("row", "component 1")
    return Z, ("component 1", "component 2")
