"""Rows of a graph move between clusters as long as modularity grows."""

import numpy as np
from scipy.sparse import csr_array
from sklearn.neighbors import kneighbors_graph

# A sweep looks at the rows in parts: what moves at once does not see each other. Where a sweep does
# not gain, the next is made of smaller parts.
_PARTS, _FINER, _MOST_PARTS = 4, 4, 256
_MAX_SWEEPS = 50
_LEAST_GAIN = 1e-12


def improve_modularity(shared, labels, resolution=1.0):
    """Move rows to the cluster of their neighbours that gains the most modularity.

    What a hierarchy has joined it cannot take back; single rows can still change sides, as in the
    first phase of Louvain's method (Blondel and others, Journal of Statistical Mechanics, 2008),
    with the number of clusters kept: none loses its last row.

    Parameters
    ----------
    shared : csr_array of shape (n, n)
        Symmetric, of sum 1.
    labels : ndarray of shape (n,), int
        Clusters to start from, numbered 0 .. k - 1.
    resolution : float, default=1.0
        That of the modularity.

    Returns
    -------
    labels : ndarray of shape (n,), int
        Those of the sweep after which modularity was largest.
    """
    n = shared.shape[0]
    strengths = shared.sum(axis=1)
    alone = shared.diagonal()
    labels = labels.copy()
    best, kept = modularity(shared, labels, resolution), labels.copy()
    n_parts = _PARTS
    for _ in range(_MAX_SWEEPS):
        moved = sum(
            _move(shared, strengths, alone, labels, np.arange(part, n, n_parts), resolution)
            for part in range(min(n_parts, n))
        )
        reached = modularity(shared, labels, resolution)
        if reached > best:
            best, kept = reached, labels.copy()
        elif not moved or n_parts >= min(n, _MOST_PARTS):
            break
        else:
            labels = kept.copy()
            n_parts *= _FINER
    return kept


def neighbor_edges(X, n_neighbors):
    """Edges of each row to its nearest neighbours, all of one weight: symmetric, of sum 1."""
    graph = kneighbors_graph(X, n_neighbors)
    return shared_edges(csr_array(graph) / n_neighbors)


def shared_edges(flow):
    """The flow of each pair of rows, both ways, as a share of all: symmetric, of sum 1."""
    return ((flow + flow.T) / (2 * flow.shape[0])).tocsr()


def normalized_cut(shared, labels):
    """Sum over the clusters of the share of their edges that lead elsewhere (Shi, Malik, 2000).

    Parameters
    ----------
    shared : csr_array of shape (n, n)
        Symmetric, of sum 1.
    labels : ndarray of shape (n,), int
        Numbered 0 .. k - 1, none empty.
    """
    edges = shared.tocoo()
    crossing = labels[edges.row] != labels[edges.col]
    left = np.bincount(labels[edges.row], edges.data * crossing)
    return float((left / np.bincount(labels, shared.sum(axis=1))).sum())


def modularity(shared, labels, resolution=1.0):
    """Share of the edges inside clusters, less `resolution` times what is expected by chance.

    Parameters
    ----------
    shared : csr_array of shape (n, n)
        Symmetric, of sum 1.
    labels : ndarray of shape (n,), int
    resolution : float, default=1.0
    """
    edges = shared.tocoo()
    inside = edges.data[labels[edges.row] == labels[edges.col]].sum()
    by_chance = np.square(np.bincount(labels, shared.sum(axis=1))).sum()
    return float(inside - resolution * by_chance)


def _move(shared, strengths, alone, labels, rows, resolution):
    """Move some rows at once, in place; return how many moved."""
    count = int(labels.max()) + 1
    member = csr_array((np.ones(len(labels)), labels, np.arange(len(labels) + 1)))
    flows = (shared[rows] @ member).tocsr()  # a row's own cluster is among its entries: itself
    flows.sort_indices()  # of equal gains the first cluster counts
    owner = np.repeat(np.arange(len(rows)), np.diff(flows.indptr))
    own = labels[rows]
    at_home = flows.indices == own[owner]
    sizes = np.bincount(labels, strengths, minlength=count)[flows.indices]
    mass = strengths[rows][owner]
    # Both without the row itself.
    gains = flows.data - at_home * alone[rows][owner]
    gains -= resolution * mass * (sizes - at_home * mass)
    most = np.maximum.reduceat(gains, flows.indptr[:-1])
    home = np.empty(len(rows))
    home[owner[at_home]] = gains[at_home]
    first = np.flatnonzero(gains == most[owner])[::-1]
    target = own.copy()
    target[owner[first]] = flows.indices[first]
    moving = most > home + _LEAST_GAIN
    left = np.bincount(labels, minlength=count) - np.bincount(own[moving], minlength=count)
    moving &= left[own] > 0
    labels[rows[moving]] = target[moving]
    return int(moving.sum())
