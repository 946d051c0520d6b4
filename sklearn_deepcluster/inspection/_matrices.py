"""Clusters against classes, and labels of several runs against one another, as matrices."""

import itertools

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score

from sklearn_deepcluster.inspection._common import checked_labels, get_axes, name_ticks

# In larger matrices numbers cannot be read.
_MOST_NUMBERS = 20


class ClusterConfusionDisplay:
    """How many samples of each class are in each cluster.

    Clusters are put in the order of the classes that they match best (Hungarian method), so that
    what agrees is on the diagonal; clusters without a class follow. Use `from_estimator` or
    `from_predictions` to make one.

    Parameters
    ----------
    counts : ndarray of shape (n_classes, n_clusters)
        Samples, or shares of the class.

    classes : ndarray of shape (n_classes,)
        Their names.

    clusters : ndarray of shape (n_clusters,)
        Their labels.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the picture.

    figure_ : matplotlib Figure
        That of the axes.

    im_ : matplotlib AxesImage
        The matrix.

    texts_ : list of matplotlib Text
        The numbers, row by row; empty where there are more than 20 classes or clusters.

    See Also
    --------
    unsupervised_accuracy : The share on the diagonal.

    Examples
    --------
    >>> from sklearn_deepcluster.inspection import ClusterConfusionDisplay
    >>> display = ClusterConfusionDisplay.from_predictions(list("aab"), [1, 1, 0])
    >>> display.clusters
    array([1, 0])
    """

    def __init__(self, counts, classes, clusters):
        self.counts = counts
        self.classes = classes
        self.clusters = clusters

    @classmethod
    def from_estimator(cls, estimator, X, y, *, normalize=False, ax=None, **kwargs):
        """Compare the clusters that a fitted clusterer finds in X with classes.

        Parameters
        ----------
        estimator : clusterer
            Fitted.

        X : {array-like, sparse matrix} of shape (n_samples, n_features), images or sequences

        y : array-like of shape (n_samples,)
            Classes.

        normalize : bool, default=False
            Shares of the samples of a class instead of numbers.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : ClusterConfusionDisplay
        """
        return cls.from_predictions(y, estimator.predict(X), normalize=normalize, ax=ax, **kwargs)

    @classmethod
    def from_predictions(cls, y, labels, *, normalize=False, ax=None, **kwargs):
        """Compare given clusters with classes.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Classes.

        labels : array-like of shape (n_samples,)
            Clusters.

        normalize : bool, default=False
            Shares of the samples of a class instead of numbers.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : ClusterConfusionDisplay

        Raises
        ------
        ValueError
            If lengths differ, or there are NaN among the labels.
        """
        y, labels = checked_labels(labels, y), checked_labels(y, labels)
        classes, rows = np.unique(y, return_inverse=True)
        clusters, columns = np.unique(labels, return_inverse=True)
        counts = np.zeros((len(classes), len(clusters)), dtype=int)
        np.add.at(counts, (rows, columns), 1)
        matched = linear_sum_assignment(counts, maximize=True)[1]
        order = np.concatenate([matched, np.setdiff1d(np.arange(len(clusters)), matched)])
        counts = counts[:, order]
        if normalize:
            counts = counts / counts.sum(axis=1, keepdims=True)
        return cls(counts, classes, clusters[order]).plot(ax=ax, **kwargs)

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
        display : ClusterConfusionDisplay
        """
        form = ".2f" if np.issubdtype(self.counts.dtype, np.floating) else "d"
        what = "share of the class" if form == ".2f" else "samples"
        drawn = _draw_matrix(
            ax, self.counts, self.classes, self.clusters, form, what, {"vmin": 0} | kwargs
        )
        self.ax_, self.im_, self.texts_ = drawn
        self.figure_ = self.ax_.figure
        self.ax_.set(xlabel="cluster", ylabel="class")
        return self


class RunAgreementDisplay:
    """Adjusted Rand index of the labels of several runs, or methods, with one another.

    Runs that agree have found what is in the data; where each finds something else, there may be
    nothing to find, or too many clusters. Use `from_estimators` or `from_predictions` to make one.

    Parameters
    ----------
    agreement : ndarray of shape (n_runs, n_runs)
        The indices: 1 for the same clusters, 0 for what chance would give.

    names : sequence of str
        Of the runs.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the picture.

    figure_ : matplotlib Figure
        That of the axes.

    im_ : matplotlib AxesImage
        The matrix.

    texts_ : list of matplotlib Text
        The numbers, row by row; empty for more than 20 runs.

    See Also
    --------
    sklearn.metrics.adjusted_rand_score : What is drawn.

    Examples
    --------
    >>> from sklearn_deepcluster.inspection import RunAgreementDisplay
    >>> runs = {"a": [0, 0, 1], "b": [1, 1, 0]}
    >>> float(RunAgreementDisplay.from_predictions(runs).agreement[0, 1])
    1.0
    """

    def __init__(self, agreement, names):
        self.agreement = agreement
        self.names = names

    @classmethod
    def from_estimators(cls, estimators, X, *, ax=None, **kwargs):
        """Compare the clusters that fitted clusterers find in X.

        Parameters
        ----------
        estimators : dict of clusterers, or list of them
            Fitted; a list is numbered.

        X : {array-like, sparse matrix} of shape (n_samples, n_features), images or sequences

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : RunAgreementDisplay
        """
        labels = {name: model.predict(X) for name, model in _named(estimators).items()}
        return cls.from_predictions(labels, ax=ax, **kwargs)

    @classmethod
    def from_predictions(cls, labels, *, ax=None, **kwargs):
        """Compare given labels.

        Parameters
        ----------
        labels : dict of array-likes of shape (n_samples,), or list of them
            Of the same samples by each run; a list is numbered.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : RunAgreementDisplay

        Raises
        ------
        ValueError
            If there are fewer than two runs, lengths differ, or there are NaN among the labels.
        """
        labels = _named(labels)
        if len(labels) < 2:
            raise ValueError(f"An agreement needs 2 runs at least, got {len(labels)}.")
        first = next(iter(labels.values()))
        runs = [checked_labels(first, run) for run in labels.values()]
        agreement = np.eye(len(runs))
        for i, j in itertools.combinations(range(len(runs)), 2):
            agreement[i, j] = agreement[j, i] = adjusted_rand_score(runs[i], runs[j])
        return cls(agreement, list(labels)).plot(ax=ax, **kwargs)

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
        display : RunAgreementDisplay
        """
        drawn = _draw_matrix(
            ax,
            self.agreement,
            self.names,
            self.names,
            ".2f",
            "adjusted Rand index",
            {"vmin": min(0.0, self.agreement.min()), "vmax": 1} | kwargs,
        )
        self.ax_, self.im_, self.texts_ = drawn
        self.figure_ = self.ax_.figure
        self.ax_.set(xlabel="run", ylabel="run")
        return self


def _named(runs):
    return runs if isinstance(runs, dict) else dict(enumerate(runs))


def _draw_matrix(ax, values, rows, columns, form, what, kwargs):
    """Draw a matrix with its numbers; return axes, picture and texts."""
    n_rows, n_columns = values.shape
    size = [min(max(3.6, 0.36 * n), 10.0) for n in (n_columns, n_rows)]
    ax = get_axes(ax, figsize=(size[0] + 1.4, size[1] + 0.6), layout="compressed")
    im = ax.imshow(values, **{"cmap": "Blues", "interpolation": "nearest"} | kwargs)
    ax.figure.colorbar(im, ax=ax, label=what)
    long = max(len(str(name)) for name in columns) > 3
    name_ticks(ax.xaxis, range(n_columns), columns, rotation=90 if long else 0)
    name_ticks(ax.yaxis, range(n_rows), rows)
    texts = []
    if max(values.shape) <= _MOST_NUMBERS:
        middle = sum(im.get_clim()) / 2
        for i, j in itertools.product(range(n_rows), range(n_columns)):
            color = "white" if values[i, j] > middle else "black"
            style = {"ha": "center", "va": "center", "fontsize": "small", "color": color}
            texts.append(ax.text(j, i, format(values[i, j], form), **style))
    return ax, im, texts
