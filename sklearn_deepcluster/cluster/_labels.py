"""Labels of some rows, for methods that take them: checks, and which clusters they mean."""

import numbers

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.utils import check_consistent_length, column_or_1d


def known_classes(y, n_samples, n_clusters):
    """Check labels of some rows; return classes 0, 1, ..., -1 where unknown.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Of any sortable type; -1 where there is none.
    n_samples, n_clusters : int

    Raises
    ------
    ValueError
        If they are not valid, or more classes than clusters.
    """
    y = column_or_1d(y)
    check_consistent_length(range(n_samples), y)
    if y.dtype.kind in "US":
        raise ValueError(
            "y holds strings alone, and -1 for unlabelled rows is none: use dtype=object."
        )
    if any(v is None or v != v or v in (np.inf, -np.inf) for v in y.tolist()):
        raise ValueError("y contains None, NaN or infinity; unlabelled rows have y = -1.")
    known = np.array([not (isinstance(v, numbers.Real) and v == -1) for v in y.tolist()])
    try:
        classes, codes = np.unique(y[known], return_inverse=True)
    except TypeError as error:
        raise ValueError(f"y mixes labels of types that cannot be sorted: {error}") from error
    if len(classes) > n_clusters:
        raise ValueError(f"y has {len(classes)} classes; n_clusters={n_clusters}.")
    found = np.full(len(y), -1)
    found[known] = codes
    return found


def match_classes(labels, classes, n_clusters, weight=None):
    """Cluster of each class: the assignment that most of the labelled rows agree with.

    Parameters
    ----------
    labels : ndarray of shape (m,)
        Clusters of the labelled rows.
    classes : ndarray of shape (m,)
        Their classes, 0, 1, ...
    n_clusters : int
    weight : ndarray of shape (m,), default=None
        How much each row counts.

    Returns
    -------
    clusters : ndarray of shape (n_classes,)
    """
    table = np.zeros((classes.max() + 1, n_clusters))
    np.add.at(table, (classes, labels), 1 if weight is None else weight)
    return linear_sum_assignment(table, maximize=True)[1]


def known_clusters(y, labels, n_clusters, weight=None):
    """The labelled rows, and the clusters that their classes are matched to, int64 Tensors.

    Parameters
    ----------
    y : ndarray of shape (n,)
        See :func:`known_classes`.
    labels : ndarray of shape (n,)
        Clusters of all rows.
    n_clusters : int
    weight : ndarray of shape (n,), default=None
    """
    rows = np.flatnonzero(y >= 0)
    if not len(rows):
        return torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64)
    weight = None if weight is None else weight[rows]
    clusters = match_classes(labels[rows], y[rows], n_clusters, weight)
    return torch.from_numpy(rows), torch.from_numpy(clusters[y[rows]])
