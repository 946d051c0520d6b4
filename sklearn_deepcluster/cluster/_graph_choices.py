"""What the graph of neighbours chooses by itself: how rows are compared, and with how many."""

import numpy as np
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors

from sklearn_deepcluster.cluster._agglomeration import (
    canonical_order,
    edges_of,
    merged,
    regrouped,
    rows_of,
)
from sklearn_deepcluster.cluster._moves import modularity, shared_edges
from sklearn_deepcluster.cluster._neighbors import FEW_FEATURES

# "auto" neighbours: an eighth of the rows of a cluster of average size, within these bounds.
_NEIGHBOR_SHARE, _LEAST_NEIGHBORS, _MOST_NEIGHBORS = 1 / 8, 4, 20

# More are tried where they are this many times as many, on so many rows, with so many parts of this
# share of them. They are taken where what does not agree is two thirds as much, and the modularity
# by the fewest is as large but for a fiftieth.
_MORE_NEIGHBORS, _MORE, _MOST_ROWS = (10, 14, 20), 1.2, 2_000
_N_PARTS, _PART, _STEADIER, _AS_CLEAR = 6, 2 / 3, 2 / 3, 0.98

# The metric is chosen by so many rows. A partition is clearer than another where it leaves less of
# the largest modularity that so many clusters can have: a tenth less by another metric, a third
# less in another space.
_METRIC_ROWS, _BY_METRIC, _IN_SPACE = 4_000, 0.9, 2 / 3


def count_neighbors(n, n_clusters):
    """Neighbours of each of n rows, by the size of the clusters."""
    share = round(_NEIGHBOR_SHARE * n / n_clusters)
    return min(max(share, _LEAST_NEIGHBORS), _MOST_NEIGHBORS, max(1, n - 1))


def choose_neighbors(X, n_clusters):
    """Neighbours of each row: more than by size where clusters are clearly steadier by it.

    Clusters are steady where those of a part of the rows are those that all rows have. By few
    neighbours small clusters can hang together by chance; by too many they run into one another,
    which the modularity by few tells.

    Parameters
    ----------
    X : float32 ndarray of shape (n, d)
        In canonical order.
    n_clusters : int

    Returns
    -------
    n_neighbors : int
    """
    n = len(X)
    first = count_neighbors(n, n_clusters)
    n_part = round(_PART * n)
    counts = [first, *(c for c in _MORE_NEIGHBORS if _MORE * first <= c < n_part)]
    if len(counts) == 1 or n > _MOST_ROWS or n_part < n_clusters:
        return first
    random = np.random.RandomState(0)
    parts = [np.sort(random.permutation(n)[:n_part]) for _ in range(_N_PARTS)]
    labels, edges = _partitions(X, counts, n_clusters)
    reached = [modularity(edges, found) for found in labels]
    agreement = np.zeros(len(counts))
    for part in parts:
        again, _ = _partitions(X[part], counts, n_clusters)
        agreement += [
            adjusted_rand_score(found[part], other)
            for found, other in zip(labels, again, strict=True)
        ]
    unsteady = 1 - agreement / _N_PARTS
    taken = 0
    for i in range(1, len(counts)):
        as_clear = reached[i] >= _AS_CLEAR * reached[0]
        if as_clear and unsteady[i] < min(_STEADIER * unsteady[0], unsteady[taken]):
            taken = i
    return counts[taken]


def _partitions(X, counts, n_clusters):
    """Labels for each number of neighbours, and the edges of the graph of the first."""
    search = NearestNeighbors(n_neighbors=max(counts)).fit(X)
    neighbors = search.kneighbors(return_distance=False)
    labels, first = [], None
    for count in counts:
        found, edges = _partition(X, neighbors[:, :count], n_clusters)
        first = edges if first is None else first
        labels.append(found)
    return labels, first


def _partition(X, neighbors, n_clusters):
    """Labels of sorted rows by modularity, and the edges of the graph."""
    edges = edges_of(X, neighbors, 1.0, n_clusters)
    merger, _ = merged(X, edges, n_clusters, "modularity")
    return regrouped(merger), shared_edges(merger.flow)


def choose_metric(X, standard, n_clusters):
    """ "cosine" where the clusters of a sample are clearly more modular by it, or "euclidean"."""
    rows = np.asarray(X) + 0
    rows = rows[canonical_order(rows)[:: -(-len(rows) // _METRIC_ROWS)]]
    metrics = metrics_for(rows.shape[1])
    if len(metrics) == 1 or len(rows) < max(2, n_clusters):
        return metrics[0]
    reached = {}
    for metric in metrics:
        sample = rows_of(rows, standard, metric)
        sample = sample[canonical_order(sample)]
        count = count_neighbors(len(sample), n_clusters)
        (labels,), edges = _partitions(sample, [count], n_clusters)
        reached[metric] = modularity(edges, labels)
    return clearest_metric(reached, n_clusters)


def metrics_for(n_features):
    """Those to choose from, the first where none is clearer."""
    return ("euclidean",) if n_features <= FEW_FEATURES else ("euclidean", "cosine")


def clearest_metric(reached, n_clusters):
    """ "cosine" where its modularity is clearly larger, or "euclidean"."""
    cosine, euclidean = reached.get("cosine"), reached["euclidean"]
    clearer = cosine is not None and is_clearer(cosine, euclidean, n_clusters, _BY_METRIC)
    return "cosine" if clearer else "euclidean"


def is_clearer(modularity, other, n_clusters, by=_IN_SPACE):
    """Whether a partition leaves less of the largest modularity than another, by this factor."""
    most = 1 - 1 / n_clusters
    return most - modularity < by * (most - other)
