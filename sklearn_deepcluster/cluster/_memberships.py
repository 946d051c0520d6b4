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


def alternate(X, centers, m, max_iter, tol, weight=None):
    """Alternate memberships and centres until no membership changes by more than `tol`.

    With a weight (n,) of the rows, these count as often in the means and in the objective.
    """
    weight = np.ones(1) if weight is None else weight
    weight = np.broadcast_to(weight, len(X))[:, None]
    log_u = np.full((len(X), len(centers)), -np.inf)
    _renew_memberships(log_u, X, centers, m, weight)
    n_iter, change = 0, np.inf
    while change > tol and n_iter < max_iter:
        centers = _means(log_u, X, centers, m, weight)
        change, reached = _renew_memberships(log_u, X, centers, m, weight)
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


def objective(log_u, squared, m, weight=1.0):
    """The sum of squared distances weighted by memberships to the power m, and by row (b, 1)."""
    return float((weight * np.exp(m * log_u) * squared).sum())


def _renew_memberships(log_u, X, centers, m, weight):
    """Overwrite the memberships; return the largest change of one, and the objective."""
    change = total = 0.0
    for part in row_blocks(X, centers):
        squared = cdist(X[part], centers, "sqeuclidean")
        new = log_memberships(squared, m)
        change = max(change, float(np.abs(np.exp(new) - np.exp(log_u[part])).max()))
        total += objective(new, squared, m, weight[part])
        log_u[part] = new
    return change, total


def _means(log_u, X, centers, m, weight):
    """Weighted means of the rows; a centre that no row belongs to stays."""
    # Relative to the heaviest row of each cluster: of a large m all powers would vanish.
    heaviest = log_u.max(axis=0)
    heaviest[np.isneginf(heaviest)] = 0.0
    mass, total = np.zeros(len(centers)), np.zeros(centers.shape)
    for part in row_blocks(X, centers):
        powers = weight[part] * np.exp(m * (log_u[part] - heaviest))
        mass += powers.sum(axis=0)
        total += powers.T @ X[part].astype(np.float64)
    mass = mass[:, None]
    return np.where(mass > 0, total / np.where(mass > 0, mass, 1), centers)


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
