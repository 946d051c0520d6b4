"""Memberships and centres of fuzzy c-means; see ``_fuzzy.py`` for the method."""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import log_softmax
from sklearn.utils import gen_batches

from sklearn_deepcluster.cluster._agglomeration import BLOCK_VALUES


class Run(NamedTuple):
    """A start and where it led, in the learned unit."""

    centers: np.ndarray
    objective: float
    n_iter: int
    converged: bool


def alternate(X, centers, m, max_iter, tol):
    """Alternate memberships and centres until no membership changes by more than `tol`."""
    log_u = np.full((len(X), len(centers)), -np.inf)
    _renew_memberships(log_u, X, centers, m)
    n_iter, change = 0, np.inf
    while change > tol and n_iter < max_iter:
        centers = _means(log_u, X, centers, m)
        change, reached = _renew_memberships(log_u, X, centers, m)
        n_iter += 1
    return Run(centers, reached, n_iter, change <= tol)


def log_memberships(squared, m):
    """Logarithms of the memberships of rows with these squared distances (n, k)."""
    on_center = squared == 0
    with np.errstate(divide="ignore"):
        logits = np.log(squared) / (1 - m)
    shared = on_center.any(axis=1)
    logits[shared] = np.where(on_center[shared], 0.0, -np.inf)
    return log_softmax(logits, axis=1)


def objective(log_u, squared, m):
    """The sum of squared distances weighted by memberships to the power m."""
    return float((np.exp(m * log_u) * squared).sum())


def _renew_memberships(log_u, X, centers, m):
    """Overwrite the memberships; return the largest change of one, and the objective."""
    change = total = 0.0
    for part in row_blocks(X, centers):
        squared = cdist(X[part], centers, "sqeuclidean")
        new = log_memberships(squared, m)
        change = max(change, float(np.abs(np.exp(new) - np.exp(log_u[part])).max()))
        total += objective(new, squared, m)
        log_u[part] = new
    return change, total


def _means(log_u, X, centers, m):
    """Weighted means of the rows; a centre that no row belongs to stays."""
    # Relative to the heaviest row of each cluster: of a large m all powers would vanish.
    heaviest = log_u.max(axis=0)
    heaviest[np.isneginf(heaviest)] = 0.0
    weight, total = np.zeros(len(centers)), np.zeros(centers.shape)
    for part in row_blocks(X, centers):
        powers = np.exp(m * (log_u[part] - heaviest))
        weight += powers.sum(axis=0)
        total += powers.T @ X[part].astype(np.float64)
    weight = weight[:, None]
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1), centers)


def nearest_centers(X, centers):
    """Labels by the nearest centre, and the root mean square of the distances to it."""
    labels, total = np.empty(len(X), dtype=np.int64), 0.0
    for part in row_blocks(X, centers):
        squared = cdist(X[part], centers, "sqeuclidean")
        labels[part] = squared.argmin(axis=1)
        total += squared.min(axis=1).sum()
    return labels, np.sqrt(total / len(X))


def row_blocks(X, centers):
    return gen_batches(len(X), max(1, BLOCK_VALUES // max(X.shape[1], len(centers))))
