"""Agglomeration on a graph of nearest neighbours: from rows to labels; see :mod:`._graph`."""

import itertools
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array, issparse
from scipy.sparse.csgraph import connected_components
from sklearn.preprocessing import normalize
from sklearn.utils import gen_batches

from sklearn_deepcluster._engine import TOO_LARGE, Standard, dense_rows
from sklearn_deepcluster._engine._standard import BACKGROUND_SHARE
from sklearn_deepcluster._input import distinct_entries
from sklearn_deepcluster.cluster._merger import Merger
from sklearn_deepcluster.cluster._moves import improve_modularity, modularity, shared_edges

# Weights of the nearest neighbours must not vanish: the width of the kernel is doubled until the
# farthest of them is above this.
_LEAST_WEIGHT = 1e-5
BLOCK_VALUES = 2**20
# Rows of length 1 lean to one side where their mean is as long as this.
_LEAN = 0.1

# Weight of each further step of a walk, per linkage.
STEP_WEIGHT = {"degree": 0.0, "path_integral": 0.01, "modularity": 0.0}

# Modularity decides from this many clusters per cluster that is asked for.
FINE_PER_CLUSTER = 30
# Or from this many, where their number is not known.
_FINE = 600
# Single rows move for so many numbers of clusters less and more than modularity has led to.
_COUNTS_AROUND = 4


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
    graph = csr_array((weights, neighbors.ravel(), ends), shape=(len(neighbors),) * 2)
    return Edges(graph, width, _leaves(X, neighbors, distances, n_clusters))


def merged(X, edges, n_clusters, linkage):
    """The merger by walks with so many clusters left, and how many the edges alone have led to."""
    graph = edges.graph.maximum(edges.graph.T)
    merger = Merger(graph, edges.leaves, STEP_WEIGHT[linkage])
    return merger, merge_down(merger, X, n_clusters)


def by_modularity(X, edges, n_clusters, resolutions=(1.0,)):
    """Clusters of sorted rows by modularity of each resolution.

    Returns
    -------
    partitions : list of ndarray of shape (n,)
    mergers : list of Merger
        With so many clusters left, from which single rows have moved to the partitions.
    shared : csr_array of shape (n, n)
        The edges, see :func:`~sklearn_deepcluster.cluster._moves.shared_edges`.
    n_pieces : int
        How many clusters the edges alone have led to.
    """
    fine = Merger(edges.graph, edges.leaves, STEP_WEIGHT["modularity"])
    fine.merge_until(FINE_PER_CLUSTER * n_clusters)
    shared, partitions, mergers = shared_edges(fine.flow), [], []
    for resolution in resolutions:
        merger = fine.copy()
        merger.prefer_modularity(resolution)
        n_pieces = merge_down(merger, X, n_clusters)
        labels = np.unique(merger.labels, return_inverse=True)[1]
        partitions.append(improve_modularity(shared, labels, resolution))
        mergers.append(merger)
    return partitions, mergers, shared, n_pieces


def most_modular(edges):
    """As many clusters as are most modular, but for single rows.

    Returns
    -------
    merger : Merger
        At the number to which merging gains.
    before : Merger
        At a number before.
    shared : csr_array of shape (n, n)
    """
    before = Merger(edges.graph, edges.leaves, STEP_WEIGHT["modularity"])
    before.merge_until(_FINE)
    merger = before.copy()
    merger.prefer_modularity()
    merger.merge_until(1, gaining=True)
    return merger, before, shared_edges(before.flow)


def count_clusters(edges):
    """The number of clusters whose partition is the most modular one.

    At least 2, unless nearest neighbours join all rows: those that have no clusters have modular
    partitions, too. No fewer than the graph has pieces.
    """
    merger, before, shared = most_modular(edges)
    reached = {}
    before.prefer_modularity()
    for count in range(merger.n_clusters + _COUNTS_AROUND, 1, -1)[: 2 * _COUNTS_AROUND + 1]:
        before.merge_until(count)
        labels = np.unique(before.labels, return_inverse=True)[1]
        labels = improve_modularity(shared, labels)
        reached[before.n_clusters] = modularity(shared, labels)
    return max(reached, key=reached.get) if reached else merger.n_clusters


def merge_down(merger, X, n_clusters):
    """Merge until so many clusters are left; return how many the edges alone have led to."""
    merger.merge_until(n_clusters)
    n_pieces = merger.n_clusters
    if n_pieces > n_clusters:
        _join_pieces(merger, X, n_clusters)
    return n_pieces


def unsigned_zeros(X):
    """X with 0.0 for -0.0, which has other bytes; of sparse X no zero is stored."""
    return X if issparse(X) else np.asarray(X) + 0


def angular_standard(X):
    """What to subtract from rows of length 1 before they are compared by angle: mean or zero.

    It is zero where zero has a meaning, as no value is negative or many are zero: what pixels and
    counts share tells them from darkness and from nothing, what embeddings share tells nothing.
    It is zero, too, where rows lean to no side, and of sparse rows, which stay so.
    """
    if issparse(X):
        return Standard()
    blocks = (np.asarray(X[part]) for part in gen_batches(X.shape[0], _step(X)))
    found = [(rows.min(), np.count_nonzero(rows)) for rows in blocks]
    low, n_nonzero = min(pair[0] for pair in found), sum(pair[1] for pair in found)
    if low >= 0 or n_nonzero <= (1 - BACKGROUND_SHARE) * X.shape[0] * X.shape[1]:
        return Standard()
    units = rows_of(X, Standard(), "cosine")
    # A sum in an order that depends on the values alone.
    order = canonical_order(units)
    parts = (order[part] for part in gen_batches(len(order), _step(units)))
    center = sum(units[part].sum(axis=0, dtype=np.float64) for part in parts) / len(units)
    return Standard(center) if np.linalg.norm(center) >= _LEAN else Standard()


def rows_of(X, standard, metric):
    """Rows as float32, with unsigned zeros; sparse ones stay so.

    By "cosine" they have length 1 before the centre of `standard` is subtracted, and after it.
    """
    if issparse(X):
        return _sparse_rows_of(X, standard, metric)
    if metric == "euclidean":
        return unsigned_zeros(standard.apply(X))
    center = standard.row(X.shape[1])
    out = np.empty(X.shape, dtype=np.float32)
    for part in gen_batches(len(X), _step(X)):
        rows = np.asarray(X[part], dtype=np.float64)
        largest = np.abs(rows).max(axis=1, keepdims=True)
        rows = normalize(rows / np.where(largest > 0, largest, 1))
        if center is not None:
            rows = normalize(rows - center)
        out[part] = rows + 0
    return out


def _step(X):
    """How many rows make a block."""
    return max(1, BLOCK_VALUES // X.shape[1])


def _sparse_rows_of(X, standard, metric):
    rows = csr_array((X.data.astype(np.float64), X.indices, X.indptr), shape=X.shape)
    if metric == "euclidean":
        rows = _without_center(rows, standard.row(X.shape[1]))
        rows.data /= standard.scale
    else:
        rows.data /= np.repeat(abs(rows).max(axis=1).toarray(), np.diff(rows.indptr))
        rows = normalize(rows)
    with np.errstate(over="ignore"):
        rows = rows.astype(np.float32)
    if np.isinf(rows.data).any():
        raise ValueError(TOO_LARGE)
    return distinct_entries(rows)  # some may have become zero


def _without_center(rows, center):
    """Sparse rows less a centre; of a background of zeros few features have one.

    They are those in which no row is zero, so what is subtracted leaves the rows sparse.
    """
    if center is None:
        return rows
    n, (columns,) = len(rows.indptr) - 1, center.nonzero()
    ends = np.arange(0, n * len(columns) + 1, len(columns))
    return rows - csr_array(
        (np.tile(center[columns], n), np.tile(columns, n), ends), shape=rows.shape
    )


def weights_of(distances, width):
    if not width:
        return np.ones(distances.shape)
    return np.exp(-distances / width)


def _leaves(X, neighbors, distances, n_clusters):
    """Clusters to start from: equal rows, joined with their nearest neighbours if enough remain."""
    n = X.shape[0]
    rows = np.arange(n)
    equal = rows[:-1][_equal_rows(X[1:], X[:-1])]
    nearest = neighbors[rows, distances.argmin(axis=1)]
    joined = np.concatenate([rows, equal]), np.concatenate([nearest, equal + 1])
    for tails, heads in (joined, (equal, equal + 1)):
        graph = coo_array((np.ones(len(tails)), (tails, heads)), shape=(n, n))
        count, labels = connected_components(graph, directed=False)
        if count >= n_clusters:
            break
    return labels.astype(np.int64)


def _equal_rows(X, Y):
    """Which rows of X are those of Y."""
    if issparse(X):
        return np.diff((X != Y).indptr) == 0
    return (X == Y).all(axis=1)


def _join_pieces(merger, X, n_clusters):
    """Merge what no walk connects: the smallest cluster joins the one with the nearest mean."""
    members = merger.members()
    sizes = {c: len(rows) for c, rows in members.items()}
    means = {c: X[rows].sum(axis=0, dtype=np.float64) / len(rows) for c, rows in members.items()}
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
    """Order of the rows by their bytes: the same whatever order they come in.

    Of a csr_array with unsigned zeros it is that of the same rows if they were dense.
    """
    if issparse(X):
        keys = _sparse_keys(X)
        return np.array(sorted(range(len(keys)), key=keys.__getitem__))
    bytes_ = np.ascontiguousarray(X).view(np.dtype((np.void, X.dtype.itemsize * X.shape[1])))
    return np.argsort(bytes_.ravel(), kind="stable")


def _sparse_keys(X):
    """Bytes of each row of a csr_array, in the order of those that it had if it were dense.

    A zero is the least of all bytes. So of two rows the first entry in which they differ decides:
    the one that is further to the left, or else that of the larger bytes.
    """
    entries = np.empty(X.nnz, dtype=[("left", ">u8"), ("value", f"V{X.dtype.itemsize}")])
    entries["left"] = X.shape[1] - X.indices.astype(np.int64)
    entries["value"] = X.data.view(entries.dtype["value"])
    return [entries[start:stop].tobytes() for start, stop in itertools.pairwise(X.indptr)]


def distances_to_neighbors(X, Y, neighbors):
    """Squared distances of X[i] to Y[neighbors[i]], as differences: exactly 0 for equal rows.

    Sparse rows are made dense a few at a time, so that the sums have the same bits.
    """
    out = np.empty(neighbors.shape)
    step = max(1, BLOCK_VALUES // (neighbors.shape[1] * X.shape[1]))
    for start in range(0, len(neighbors), step):
        part = slice(start, start + step)
        near = dense_rows(Y, neighbors[part].ravel()).reshape(*neighbors[part].shape, -1)
        with np.errstate(over="ignore"):
            difference = dense_rows(X, part)[:, None] - near
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
