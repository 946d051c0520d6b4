"""Agglomeration on a graph of nearest neighbours: from rows to labels; see :mod:`._graph`."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from sklearn.preprocessing import normalize

from sklearn_deepcluster._engine import TOO_LARGE
from sklearn_deepcluster.cluster._merger import Merger
from sklearn_deepcluster.cluster._moves import improve_modularity

# Weights of the nearest neighbours must not vanish: the width of the kernel is doubled until the
# farthest of them is above this.
_LEAST_WEIGHT = 1e-5
BLOCK_VALUES = 2**20

# Weight of each further step of a walk, per linkage.
STEP_WEIGHT = {"degree": 0.0, "path_integral": 0.01, "modularity": 0.0}

# Modularity decides from this many clusters per cluster that is asked for.
FINE_PER_CLUSTER = 30


class Edges(NamedTuple):
    """The graph of neighbours, and the clusters to start from."""

    graph: csr_array
    width: float
    leaves: np.ndarray


def edges_of(X, neighbors, sigma_scale, n_clusters):
    """The edges of sorted rows to their neighbours, weighted."""
    distances = distances_to_neighbors(X, X, neighbors)
    width = _kernel_width(distances, sigma_scale)
    ends = np.arange(0, neighbors.size + 1, neighbors.shape[1])
    weights = weights_of(distances, width).ravel()
    graph = csr_array((weights, neighbors.ravel(), ends), shape=(len(X), len(X)))
    return Edges(graph, width, _leaves(X, neighbors, distances, n_clusters))


def merged(X, edges, n_clusters, linkage, resolution=1.0):
    """The merger with so many clusters left, and how many the edges alone have led to."""
    graph = edges.graph if linkage == "modularity" else edges.graph.maximum(edges.graph.T)
    merger = Merger(graph, edges.leaves, STEP_WEIGHT[linkage])
    if linkage == "modularity":
        merger.merge_until(FINE_PER_CLUSTER * n_clusters)
        merger.prefer_modularity(resolution)
    return merger, merge_down(merger, X, n_clusters)


def merge_down(merger, X, n_clusters):
    """Merge until so many clusters are left; return how many the edges alone have led to."""
    merger.merge_until(n_clusters)
    n_pieces = merger.n_clusters
    if n_pieces > n_clusters:
        _join_pieces(merger, X, n_clusters)
    return n_pieces


def regrouped(merger, resolution=1.0):
    """Labels after single rows have changed sides."""
    labels = np.unique(merger.labels, return_inverse=True)[1]
    return improve_modularity(merger.flow, labels, resolution)


def rows_of(X, standard, metric):
    """Rows as float32; -0.0, which has other bytes than 0.0, becomes 0.0."""
    if metric == "euclidean":
        return standard.apply(X) + 0
    out = np.empty(X.shape, dtype=np.float32)
    step = max(1, BLOCK_VALUES // X.shape[1])
    for start in range(0, len(X), step):
        rows = np.asarray(X[start : start + step], dtype=np.float64)
        largest = np.abs(rows).max(axis=1, keepdims=True)
        out[start : start + step] = normalize(rows / np.where(largest > 0, largest, 1)) + 0
    return out


def weights_of(distances, width):
    if not width:
        return np.ones(distances.shape)
    return np.exp(-distances / width)


def _leaves(X, neighbors, distances, n_clusters):
    """Clusters to start from: equal rows, joined with their nearest neighbours if enough remain."""
    rows = np.arange(len(X))
    equal = rows[:-1][(X[1:] == X[:-1]).all(axis=1)]
    nearest = neighbors[rows, distances.argmin(axis=1)]
    joined = np.concatenate([rows, equal]), np.concatenate([nearest, equal + 1])
    for tails, heads in (joined, (equal, equal + 1)):
        graph = coo_array((np.ones(len(tails)), (tails, heads)), shape=(len(X), len(X)))
        count, labels = connected_components(graph, directed=False)
        if count >= n_clusters:
            break
    return labels.astype(np.int64)


def _join_pieces(merger, X, n_clusters):
    """Merge what no walk connects: the smallest cluster joins the one with the nearest mean."""
    members = merger.members()
    sizes = {c: len(rows) for c, rows in members.items()}
    means = {c: X[rows].mean(axis=0, dtype=np.float64) for c, rows in members.items()}
    while len(means) > n_clusters:
        smallest = min(means, key=lambda c: (sizes[c], c))
        mean = means.pop(smallest)
        others = list(means)
        gaps = np.square(np.array([means[c] for c in others]) - mean).sum(axis=1)
        nearest = others[int(gaps.argmin())]
        weights = [sizes.pop(c) for c in (smallest, nearest)]
        joint = np.average([mean, means.pop(nearest)], axis=0, weights=weights)
        new = merger.merge(smallest, nearest)
        means[new], sizes[new] = joint, sum(weights)


def canonical_order(X):
    """Order of the rows by their bytes: the same whatever order they come in."""
    bytes_ = np.ascontiguousarray(X).view(np.dtype((np.void, X.dtype.itemsize * X.shape[1])))
    return np.argsort(bytes_.ravel(), kind="stable")


def distances_to_neighbors(X, Y, neighbors):
    """Squared distances of X[i] to Y[neighbors[i]], as differences: exactly 0 for equal rows."""
    out = np.empty(neighbors.shape)
    step = max(1, BLOCK_VALUES // (neighbors.shape[1] * X.shape[1]))
    for start in range(0, len(X), step):
        part = slice(start, start + step)
        with np.errstate(over="ignore"):
            difference = X[part, None] - Y[neighbors[part]]
            out[part] = np.square(difference, out=difference).sum(axis=2)
    if np.isinf(out).any():
        raise ValueError(TOO_LARGE)
    return out


def _kernel_width(distances, sigma_scale):
    """The width s of the weights exp(-d / s) from the squared distances to the neighbours."""
    width = sigma_scale * distances.mean()
    farthest = distances.min(axis=1).max()
    while width > 0 and farthest > -np.log(_LEAST_WEIGHT) * width:
        width *= 2
    return width
