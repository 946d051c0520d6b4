"""What the graph of neighbours chooses by itself: how rows are compared, and with how many."""

import numpy as np
from sklearn.metrics import adjusted_rand_score

from sklearn_deepcluster._engine import Standard
from sklearn_deepcluster.cluster._agglomeration import (
    angular_standard,
    by_modularity,
    canonical_order,
    count_clusters,
    edges_of,
    most_modular,
    rows_of,
    unsigned_zeros,
)
from sklearn_deepcluster.cluster._moves import modularity, neighbor_edges, normalized_cut
from sklearn_deepcluster.cluster._neighbors import FEW_FEATURES, exact_neighbors, search_in

# "auto" neighbours: an eighth of the rows of a cluster of average size, within these bounds.
_NEIGHBOR_SHARE, _LEAST_NEIGHBORS, _MOST_NEIGHBORS = 1 / 8, 4, 20

# More are tried where they are this many times as many, on so many rows, with so many parts of this
# share of them. They are taken where what does not agree is two thirds as much, and the modularity
# by the fewest is as large but for a twenty-fifth.
_MORE_NEIGHBORS, _MORE, _MOST_ROWS = (10, 14, 20), 1.2, 2_000
N_PARTS, _PART, _STEADIER, _AS_CLEAR = 6, 2 / 3, 2 / 3, 0.96
# Where not even so much disagrees nothing is tried.
_STEADY = 0.02

# The metric is chosen by so many rows. A partition is clearer than another where it leaves less of
# the largest modularity that so many clusters can have: a tenth less, or .06 where angles are those
# around the mean.
_METRIC_ROWS, _BY_METRIC, _AROUND_MEAN = 4_000, 0.9, 0.94

# The number of clusters is that in so many rows.
_COUNTED_ROWS = 4_000

# Where clusters differ in size: the resolution that is tried beside 1, and taken where its
# normalised cut is less than this share.
_UNEQUAL, _LESS_CUT = 0.5, 0.8


def count_neighbors(n, n_clusters):
    """Neighbours of each of n rows, by the size of the clusters, or 20 if that is not known."""
    if n_clusters is None:
        return min(_MOST_NEIGHBORS, max(1, n - 1))
    share = round(_NEIGHBOR_SHARE * n / n_clusters)
    return min(max(share, _LEAST_NEIGHBORS), _MOST_NEIGHBORS, max(1, n - 1))


def choose_neighbors(X, n_clusters):
    """Neighbours of each row: more than by size where clusters are clearly steadier by it.

    Clusters are steady where those of a part of the rows are those that all rows have. By few
    neighbours small clusters can hang together by chance; by too many they run into one another,
    which the modularity by few tells.

    Parameters
    ----------
    X : float32 ndarray or csr_array of shape (n, d)
        In canonical order.
    n_clusters : int or None

    Returns
    -------
    n_neighbors : int
    """
    n = X.shape[0]
    first = count_neighbors(n, n_clusters)
    if n_clusters is None:
        return first
    n_part = round(_PART * n)
    counts = [first, *(c for c in _MORE_NEIGHBORS if _MORE * first <= c < n_part)]
    if len(counts) == 1 or n > _MOST_ROWS or n_part < n_clusters:
        return first
    random = np.random.RandomState(0)
    parts = [np.sort(random.permutation(n)[:n_part]) for _ in range(N_PARTS)]
    neighbors = _neighbors(X, max(counts))
    of_parts = [_neighbors(X[part], max(counts)) for part in parts]

    def judged(count):
        """Labels of all rows, how little those of parts agree with them, and the edges."""
        labels, edges = _partition(X, neighbors[:, :count], n_clusters)
        agreement = [
            adjusted_rand_score(labels[part], _partition(X[part], own[:, :count], n_clusters)[0])
            for part, own in zip(parts, of_parts, strict=True)
        ]
        return labels, 1 - np.mean(agreement), edges

    labels, unsteady, edges = judged(first)
    if unsteady < _STEADY:
        return first
    clear, limit, taken = _AS_CLEAR * modularity(edges, labels), _STEADIER * unsteady, first
    for count in counts[1:]:
        labels, unsteady, _ = judged(count)
        if unsteady < limit and modularity(edges, labels) >= clear:
            limit, taken = unsteady, count
    return taken


def choose_count(X, n_neighbors, sigma_scale):
    """The number of clusters whose partition of some rows is the most modular.

    The more rows there are to so many neighbours, the more clusters are.
    """
    some = X[:: -(-X.shape[0] // _COUNTED_ROWS)]
    neighbors = _neighbors(some, min(n_neighbors, some.shape[0] - 1))
    return count_clusters(edges_of(some, neighbors, sigma_scale, 1))


def _neighbors(X, count):
    return exact_neighbors(search_in(X, count), X, own=True)


def _partition(X, neighbors, n_clusters):
    """Labels of sorted rows by modularity, and the edges of the graph."""
    if n_clusters is None:
        merger, _, shared = most_modular(edges_of(X, neighbors, 1.0, 1))
        return np.unique(merger.labels, return_inverse=True)[1], shared
    edges = edges_of(X, neighbors, 1.0, n_clusters)
    (labels,), _, shared, _ = by_modularity(X, edges, n_clusters)
    return labels, shared


def choose_resolution(X, edges, n_clusters):
    """Clusters by modularity, of half the resolution where a clearly smaller cut parts them.

    Modularity likes clusters of one size: rather than leave a small one alone it parts a large one
    right through. The normalised cut tells, in which a cluster of any size counts alike.

    Parameters
    ----------
    X : float32 ndarray or csr_array of shape (n, d)
        In canonical order.
    edges : Edges
    n_clusters : int

    Returns
    -------
    resolution : float
    labels : ndarray of shape (n,)
    merger : Merger
    shared : csr_array of shape (n, n)
    n_pieces : int
        As :func:`~sklearn_deepcluster.cluster._agglomeration.by_modularity` has them.
    """
    resolutions = (1.0, _UNEQUAL) if n_clusters > 1 else (1.0,)
    found = by_modularity(X, edges, n_clusters, resolutions)
    partitions, mergers, shared, n_pieces = found
    cuts = [normalized_cut(shared, labels) for labels in partitions]
    chosen = len(cuts) - 1 if cuts[-1] < _LESS_CUT * cuts[0] else 0
    return resolutions[chosen], partitions[chosen], mergers[chosen], shared, n_pieces


def choose_metric(X, standard, n_clusters):
    """ "cosine" where the clusters of a sample are clearly more modular by it, or "euclidean"."""
    rows = unsigned_zeros(X)
    rows = rows[canonical_order(rows)[:: -(-X.shape[0] // _METRIC_ROWS)]]
    n, d = rows.shape
    metrics = metrics_for(d)
    if len(metrics) == 1 or n < max(2, n_clusters or 2):
        return metrics[0]
    standards = {"euclidean": standard, "cosine": angular_standard(rows)}
    reached = {}
    for metric in metrics:
        sample = rows_of(rows, standards[metric], metric)
        sample = sample[canonical_order(sample)]
        count = count_neighbors(n, n_clusters)
        labels, edges = _partition(sample, _neighbors(sample, count), n_clusters)
        reached[metric] = modularity(edges, labels)
    return clearest_metric(reached, n_clusters, standards["cosine"].center.any())


def neighbor_graphs(X, n_clusters):
    """Edges of neighbours by each metric there is to choose from, and whether angles are centred.

    Returns
    -------
    edges : dict
        Metric -> csr_array of shape (n, n).
    around_mean : bool
        See :func:`clearest_metric`.
    """
    n_neighbors = count_neighbors(X.shape[0], n_clusters)
    metrics = metrics_for(X.shape[1])
    standards = {"euclidean": Standard()}
    if "cosine" in metrics:
        standards["cosine"] = angular_standard(X)
    edges = {m: neighbor_edges(rows_of(X, standards[m], m), n_neighbors) for m in metrics}
    return edges, bool(standards[metrics[-1]].center.any())


def metrics_for(n_features):
    """Those to choose from, the first where none is clearer."""
    return ("euclidean",) if n_features <= FEW_FEATURES else ("euclidean", "cosine")


def clearest_metric(reached, n_clusters, around_mean=False):
    """ "cosine" where its modularity is clearly larger, or "euclidean".

    Parameters
    ----------
    reached : dict
        Metric -> modularity.
    n_clusters : int or None
    around_mean : bool, default=False
        Whether angles are those around the mean of the rows: then less is clear.
    """
    cosine, euclidean = reached.get("cosine"), reached["euclidean"]
    by = _AROUND_MEAN if around_mean else _BY_METRIC
    most = 1.0 if n_clusters is None else 1 - 1 / n_clusters
    clearer = cosine is not None and most - cosine < by * (most - euclidean)
    return "cosine" if clearer else "euclidean"
