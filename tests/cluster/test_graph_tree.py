"""The tree that the graph has merged by: scikit-learn's attributes, scipy's pictures and cuts."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from scipy.cluster.hierarchy import dendrogram, fcluster, is_monotonic, is_valid_linkage
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning

from sklearn_deepcluster import GraphAgglomerative
from sklearn_deepcluster.cluster import _agglomeration, _graph
from sklearn_deepcluster.cluster._merger import Merger

LINKAGES = ["degree", "path_integral", "modularity"]
every_linkage = pytest.mark.parametrize("linkage", LINKAGES)


@pytest.fixture(scope="module")
def X():
    return make_blobs(300, centers=6, n_features=4, cluster_std=3.0, random_state=0)[0]


def linkage_matrix(model):
    """The idiom of scikit-learn's example "Plot Hierarchical Clustering Dendrogram"."""
    counts = np.zeros(model.children_.shape[0])
    n_samples = len(model.labels_)
    for i, merge in enumerate(model.children_):
        current_count = 0
        for child_idx in merge:
            if child_idx < n_samples:
                current_count += 1
            else:
                current_count += counts[child_idx - n_samples]
        counts[i] = current_count
    return np.column_stack([model.children_, model.distances_, counts]).astype(float)


def groups(labels):
    return {frozenset(np.flatnonzero(labels == c).tolist()) for c in np.unique(labels)}


def below(children, n):
    """The rows below each node."""
    rows = [frozenset([row]) for row in range(n)]
    for a, b in children:
        rows.append(rows[a] | rows[b])
    return rows


def cut(children, n, n_clusters):
    """The clusters after all but the last merges."""
    rows, merges = below(children, n), children[: n - n_clusters]
    gone = {*merges.ravel().tolist()}
    return {rows[node] for node in range(n + len(merges)) if node not in gone}


@every_linkage
@pytest.mark.parametrize("n_clusters", [1, 2, 6, 40, "auto"])
def test_the_tree_cut_is_the_clusters_before_rows_move(X, linkage, n_clusters, monkeypatch):
    monkeypatch.setattr(_agglomeration, "improve_modularity", lambda shared, labels, *_: labels)
    model = GraphAgglomerative(n_clusters, linkage=linkage, resolution=1.0).fit(X)
    n, k = len(X), model.n_clusters_
    assert model.children_.shape == (n - 1, 2) and model.children_.dtype == np.int64
    assert model.distances_.shape == (n - 1,) and model.distances_.dtype == np.float64
    assert len(groups(model.labels_)) == k
    assert cut(model.children_, n, k) == groups(model.labels_)
    Z = linkage_matrix(model)
    assert is_valid_linkage(Z) and is_monotonic(Z)
    for count in (1, k, k + 1, model.n_leaves_):
        labels = fcluster(Z, count, criterion="maxclust")
        assert groups(labels) == cut(model.children_, n, count)


def test_few_rows_move_after_the_merging(X):
    model = GraphAgglomerative(6).fit(X)
    labels = fcluster(linkage_matrix(model), 6, criterion="maxclust")
    table = np.zeros((6, 6))
    np.add.at(table, (model.labels_, labels - 1), 1)
    assert 0.8 * len(X) < table.max(axis=1).sum() < len(X)


@every_linkage
@pytest.mark.parametrize("options", [{}, {"truncate_mode": "lastp", "p": 12}])
def test_scipy_draws_it(X, linkage, options):
    Z = linkage_matrix(GraphAgglomerative(6, linkage=linkage).fit(X))
    tree = dendrogram(Z, no_plot=True, **options)
    assert len(tree["leaves"]) == options.get("p", len(X))
    assert np.isfinite(tree["dcoord"]).all()


def test_distances_are_those_of_the_edges(X):
    """Of the last merges as they are; of none more, and 0 of the rows to the leaves."""
    model = GraphAgglomerative(6, n_neighbors=10).fit(X)
    n, n_first = len(X), len(X) - model.n_leaves_
    order = _graph.canonical_order(model._X)
    np.testing.assert_array_equal(order, np.arange(n))
    place = np.lexsort(model._X.T[::-1])  # rows of the model -> any order, to find those of X
    rows = _graph.rows_of(X, _graph.Standard(model.center_, model.scale_), model.metric_)
    of_model = np.empty(n, dtype=int)
    of_model[np.lexsort(rows.T[::-1])] = place
    neighbors = model._search.kneighbors(return_distance=False)
    edges = _agglomeration.edges_of(model._X, neighbors, 1.0, 6)
    flow = Merger(edges.graph, edges.leaves).flow.toarray()[np.ix_(of_model, of_model)]
    E = (flow + flow.T) / (2 * n)
    rows = below(model.children_, n)
    expected = np.empty(n - 1)
    for i, (a, b) in enumerate(model.children_):
        a, b = ([*rows[node]] for node in (a, b))
        between = E[np.ix_(a, b)].sum()
        expected[i] = E[a].sum() * E[b].sum() / between if between else np.inf
    assert np.isfinite(expected[n_first:]).all()
    np.testing.assert_allclose(model.distances_[-5:], expected[-5:])
    assert (np.diff(expected[-5:]) > 0).all()
    assert (model.distances_[:n_first] == 0).all()
    assert (model.distances_[n_first:] > 0).all()
    lowered = np.minimum.accumulate(expected[n_first:][::-1])[::-1]
    np.testing.assert_allclose(model.distances_[n_first:], lowered)
    assert (np.diff(model.distances_[n_first:]) > 0).all()


def test_equal_distances_are_told_apart():
    """Of blobs on a grid, far apart, no edge is between any two."""
    X = np.repeat(np.eye(5) * 100, 8, axis=0)
    X = X + np.random.default_rng(0).normal(size=X.shape) * 0.01
    model = GraphAgglomerative(5, n_neighbors=4).fit(X)
    assert (np.diff(model.distances_[-5:]) > 0).all()
    np.testing.assert_allclose(model.distances_[-4:], 2.0)
    for count in (2, 3, 4, 5):
        labels = fcluster(linkage_matrix(model), count, criterion="maxclust")
        assert len(np.unique(labels)) == count


@every_linkage
def test_pieces_without_connection_come_last(linkage):
    X, y = make_blobs((30, 30, 20), centers=[[0, 0], [1e3, 0], [1.2e3, 0]], random_state=0)
    with pytest.warns(ConvergenceWarning, match="falls into 3 pieces"):
        model = GraphAgglomerative(2, linkage=linkage, n_neighbors=8).fit(X)
    assert cut(model.children_, len(X), 3) == groups(y)
    assert cut(model.children_, len(X), 2) == groups(model.labels_) == groups(y > 0)
    largest = model.distances_[:-2].max()
    np.testing.assert_allclose(model.distances_[-2:], 2 * max(1, largest))


def test_the_order_of_the_rows_does_not_matter(X):
    permutation = np.random.default_rng(0).permutation(len(X))
    model, other = GraphAgglomerative(6).fit(X), GraphAgglomerative(6).fit(X[permutation])
    np.testing.assert_array_equal(model.distances_, other.distances_)
    n = len(X)
    places = [frozenset(permutation[[*rows]].tolist()) for rows in below(other.children_, n)]
    assert below(model.children_, n)[n:] == places[n:]


def test_sparse_rows_have_the_tree_of_dense_ones():
    X = np.random.default_rng(0).random((60, 30)) * (
        np.random.default_rng(1).random((60, 30)) < 0.3
    )
    dense = GraphAgglomerative(3).fit(X)
    sparse = GraphAgglomerative(3).fit(scipy.sparse.csr_array(X))
    np.testing.assert_array_equal(dense.children_, sparse.children_)
    np.testing.assert_array_equal(dense.distances_, sparse.distances_)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_rows(n):
    model = GraphAgglomerative(1).fit(np.arange(n, dtype=float)[:, None])
    assert model.children_.shape == (n - 1, 2)
    assert model.distances_.shape == (n - 1,)


def test_equal_rows_are_joined_first_and_not_one_by_one():
    X = np.repeat([[0.0], [1.0], [9.0]], 500, axis=0)
    model = GraphAgglomerative(2, n_neighbors=10).fit(X)
    n = len(X)
    assert len(groups(model.labels_)) == 2
    assert (model.distances_[: n - 3] == 0).all()
    assert {*map(len, cut(model.children_, n, 3))} == {500}
    dendrogram(linkage_matrix(model), no_plot=True)  # recursive: refuses deep trees
    alike = GraphAgglomerative(1).fit(np.ones((20, 2)))
    assert (alike.distances_ == 0).all() and len(alike.children_) == 19


def test_a_pickle_has_the_tree(X):
    model = GraphAgglomerative(6).fit(X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.children_, model.children_)
    np.testing.assert_array_equal(again.distances_, model.distances_)
