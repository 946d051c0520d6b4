"""Graph agglomeration against plain loops, and what its users rely on."""

import functools
import inspect
import itertools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, load_wine, make_blobs, make_moons
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.neighbors import NearestNeighbors, kneighbors_graph
from sklearn.preprocessing import StandardScaler

from sklearn_deepcluster import DEC, GraphAgglomerative
from sklearn_deepcluster._engine import Standard
from sklearn_deepcluster.cluster import (
    _agglomeration,
    _graph_choices,
    _merger,
    _moves,
    _neighbors,
)

LINKAGES = ["degree", "path_integral", "modularity"]
every_linkage = pytest.mark.parametrize("linkage", LINKAGES)


def transition_matrix(X, n_neighbors, both_ways):
    """P as the formulas say, with loops."""
    n = len(X)
    d = np.array([[np.sum((a - b) ** 2) for b in X] for a in X])
    near = [[j for j in np.argsort(d[i], kind="stable") if j != i][:n_neighbors] for i in range(n)]
    width = np.mean([d[i, j] for i in range(n) for j in near[i]])
    while any(np.exp(-d[i, near[i][0]] / width) < 1e-5 for i in range(n)):
        width *= 2
    W = np.eye(n)
    for i in range(n):
        for j in near[i]:
            W[i, j] = np.exp(-d[i, j] / width)
    if both_ways:
        W = np.maximum(W, W.T)
    return W / W.sum(axis=1, keepdims=True), near


def degree_affinity(P, a, b):
    def half(a, b):
        return np.ones(len(a)) @ P[np.ix_(a, b)] @ P[np.ix_(b, a)] @ np.ones(len(a)) / len(a) ** 2

    return half(a, b) + half(b, a)


def path_affinity(P, a, b, z=0.01):
    """The increments of the path integral, by inverses, over z ** 2."""

    def conditional(a, c):
        ones = np.isin(c, a).astype(float)
        inverse = np.linalg.inv(np.eye(len(c)) - z * P[np.ix_(c, c)])
        return ones @ inverse @ ones / len(a) ** 2

    both = np.concatenate([a, b])
    gain = conditional(a, both) - conditional(a, a) + conditional(b, both) - conditional(b, b)
    return gain / z**2


def modularity(P, clusters, resolution=1.0):
    """Share of the flow inside clusters, less what is expected of their in- and outflow."""
    E = (P + P.T) / P.sum() / 2
    return sum(E[np.ix_(c, c)].sum() - resolution * E[c].sum() ** 2 for c in clusters)


def modularity_gain(P, a, b, resolution=1.0):
    if not (P[np.ix_(a, b)].any() or P[np.ix_(b, a)].any()):
        return -np.inf  # clusters without an edge are not joined
    joined = modularity(P, [np.concatenate([a, b])], resolution)
    return joined - modularity(P, [a, b], resolution)


AFFINITY = {
    "degree": degree_affinity,
    "path_integral": path_affinity,
    "modularity": modularity_gain,
}


def agglomerate_by_loops(X, n_clusters, n_neighbors, linkage, resolution=1.0):
    P, near = transition_matrix(X, n_neighbors, linkage != "modularity")
    clusters = [{i} for i in range(len(X))]
    for i in range(len(X)):
        a, b = (next(c for c in clusters if p in c) for p in (i, near[i][0]))
        if a is not b:
            clusters.remove(b)
            a |= b
    while len(clusters) > n_clusters:
        fine = len(clusters) > _agglomeration.FINE_PER_CLUSTER * n_clusters
        affinity = AFFINITY["degree" if linkage == "modularity" and fine else linkage]
        if affinity is modularity_gain:
            affinity = functools.partial(modularity_gain, resolution=resolution)
        pairs = [(i, j) for j in range(len(clusters)) for i in range(j)]
        members = [np.array(sorted(c)) for c in clusters]
        best = max(pairs, key=lambda ij: affinity(P, members[ij[0]], members[ij[1]]))
        clusters[best[0]] |= clusters.pop(best[1])
    labels = np.empty(len(X), dtype=int)
    for number, cluster in enumerate(clusters):
        labels[list(cluster)] = number
    return labels


@pytest.mark.parametrize(
    ("linkage", "resolution"),
    [("degree", 1.0), ("path_integral", 1.0), ("modularity", 1.0), ("modularity", 0.4)],
)
@pytest.mark.parametrize("seed", range(6))
def test_equals_plain_loops(linkage, resolution, seed, monkeypatch):
    monkeypatch.setattr(_agglomeration, "FINE_PER_CLUSTER", 3)  # both stages of "modularity"
    monkeypatch.setattr(_agglomeration, "improve_modularity", lambda shared, labels, _: labels)
    X = np.random.default_rng(seed).normal(size=(70, 3)).astype(np.float32)
    model = GraphAgglomerative(4, n_neighbors=6, linkage=linkage, resolution=resolution).fit(X)
    expected = agglomerate_by_loops(X.astype(float), 4, 6, linkage, resolution)
    assert adjusted_rand_score(expected, model.labels_) == 1.0


@every_linkage
def test_affinities_stay_true_while_clusters_merge(linkage):
    """After every merge the stored affinities are those of the formula."""
    X = np.random.default_rng(0).normal(size=(60, 3))
    P, _ = transition_matrix(X, 6, linkage != "modularity")
    step = _agglomeration.STEP_WEIGHT[linkage]
    weights = P / P.diagonal()[:, None] - np.eye(60)
    merger = _merger.Merger(scipy.sparse.csr_array(weights), np.arange(60) // 2, step)
    if linkage == "modularity":
        merger.prefer_modularity()
    checked = 0
    while merger.n_clusters > 3:
        merger.merge_until(merger.n_clusters - 1)
        members = merger.members()
        for cluster in members:
            partners, affinities = merger._rows[cluster]
            for partner, affinity in zip(partners, affinities, strict=True):
                if partner in members:
                    exact = AFFINITY[linkage](P, members[cluster], members[partner])
                    assert affinity == pytest.approx(exact, rel=3e-4 if step else 1e-9)
                    checked += 1
    assert checked > 1000


@every_linkage
def test_does_not_depend_on_the_order_of_rows(linkage):
    X, _ = load_digits(return_X_y=True)
    X = X[:300]  # whole numbers: many distances are equal
    labels = GraphAgglomerative(10, linkage=linkage).fit_predict(X)
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(len(X))
        shuffled = GraphAgglomerative(10, linkage=linkage).fit_predict(X[order])
        np.testing.assert_array_equal(shuffled, labels[order])


@every_linkage
def test_finds_the_digits(linkage):
    X, y = load_digits(return_X_y=True)
    model = GraphAgglomerative(10, linkage=linkage).fit(X)
    assert normalized_mutual_info_score(y, model.labels_) > 0.88
    np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_modularity_keeps_a_remote_handful_from_being_a_cluster():
    """Two large overlapping clusters, and a few rows a little apart from one of them."""
    rng = np.random.default_rng(0)
    large = [rng.normal(loc, 1.0, size=(300, 2)) for loc in ((0, 0), (3.2, 0))]
    X = np.concatenate([*large, rng.normal((-4.5, 0), 0.3, size=(12, 2))])
    sizes = {
        linkage: np.bincount(GraphAgglomerative(2, linkage=linkage).fit_predict(X)).min()
        for linkage in ("degree", "modularity")
    }
    assert sizes["degree"] < 30 and sizes["modularity"] > 200


def test_finds_shapes_that_are_no_balls():
    X, y = make_moons(600, noise=0.05, random_state=0)
    assert adjusted_rand_score(y, GraphAgglomerative(2).fit_predict(X)) == 1.0


def test_predicts_rows_it_has_not_seen():
    X, y = load_digits(return_X_y=True)
    model = GraphAgglomerative(10, n_neighbors=6).fit(X[:1200])
    fitted = normalized_mutual_info_score(y[:1200], model.labels_)
    assert normalized_mutual_info_score(y[1200:], model.predict(X[1200:])) > fitted - 0.1
    far = X[:3] + 1e4  # all weights would vanish but for the nearest
    nearest = ((far[:, None] - X[None, :1200]) ** 2).sum(2).argmin(1)
    np.testing.assert_array_equal(model.predict(far), model.labels_[nearest])
    for i in (0, 17, 500):
        assert model.predict(X[1200 + i : 1201 + i]) == model.predict(X[1200:])[i]


def test_memory_grows_with_the_neighbours_alone():
    """Nothing is kept per pair of rows or of initial clusters."""
    X = np.random.default_rng(0).normal(size=(1500, 2))
    merger = _merger.Merger(kneighbors_graph(X, n_neighbors=5), np.arange(1500))
    merger.merge_until(1499)  # ranked where something merges
    held = sum(len(partners) for partners, _ in merger._rows.values())
    assert 0 < held <= 2 * 1500 * 5 * 6


# -- the number of clusters ----------------------------------------------------------------------


@pytest.mark.parametrize("linkage", LINKAGES)
@pytest.mark.parametrize("n_clusters", [2, 3, 7, 25])
def test_the_number_of_clusters_that_are_apart_is_found(n_clusters, linkage):
    X, y = make_blobs(40 * n_clusters, 8, centers=n_clusters, random_state=1)
    graph = GraphAgglomerative("auto", linkage=linkage).fit(X)
    assert graph.n_clusters_ == n_clusters and graph.n_neighbors_ == 20
    assert adjusted_rand_score(graph.labels_, y) == 1.0
    np.testing.assert_array_equal(graph.predict(X), graph.labels_)
    other = np.random.RandomState(0).permutation(len(X))
    again = GraphAgglomerative("auto", linkage=linkage).fit(X[other])
    assert adjusted_rand_score(again.labels_, graph.labels_[other]) == 1.0


def test_it_is_that_of_the_most_modular_partition():
    X = load_digits().data[:300]
    graph = GraphAgglomerative("auto", resolution=1.0).fit(X)
    given = {"n_neighbors": 20, "resolution": 1.0, "metric": graph.metric_}
    reached = [GraphAgglomerative(k, **given).fit(X).modularity_ for k in range(2, 31)]
    assert graph.n_clusters_ == np.argmax(reached) + 2
    assert graph.modularity_ == max(reached)


def test_merging_ends_where_no_pair_gains():
    X = np.random.RandomState(0).randn(60, 3).astype(np.float32)
    neighbors = _neighbors.exact_neighbors(_neighbors.search_in(X, 5), X, own=True)
    edges = _agglomeration.edges_of(X, neighbors, 1.0, 1)
    merger, before, shared = _agglomeration.most_modular(edges)
    labels = np.unique(merger.labels, return_inverse=True)[1]
    reached = _moves.modularity(shared, labels)
    assert 1 < merger.n_clusters < before.n_clusters
    for a, b in itertools.combinations(range(merger.n_clusters), 2):
        assert _moves.modularity(shared, np.where(labels == b, a, labels)) <= reached + 1e-12


@pytest.mark.parametrize("X", [np.ones((9, 3)), [[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]]])
def test_rows_without_clusters_have_one(X, recwarn):
    graph = GraphAgglomerative("auto").fit(X)
    assert graph.n_clusters_ == 1 and (graph.labels_ == 0).all()
    assert not recwarn


def test_as_a_start_it_finds_what_is_asked_for():
    X, _ = make_blobs(80, 8, centers=4, random_state=0)
    dec = DEC(2, init=GraphAgglomerative("auto"), max_epochs=1, min_steps=2, random_state=0)
    dec.set_params(autoencoder__max_epochs=1, autoencoder__min_steps=2)
    assert len(np.unique(dec.fit(X).initial_labels_)) == 2


# -- neighbours ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_clusters", "expected"), [(2, 20), (5, 10), (10, 5), (20, 4), (100, 4), (1, 20)]
)
def test_the_number_of_neighbours_follows_the_size_of_the_clusters(n_clusters, expected):
    assert _graph_choices.count_neighbors(400, n_clusters) == expected
    X = np.random.default_rng(0).normal(size=(400, 2))
    assert GraphAgglomerative(n_clusters, n_neighbors=7).fit(X).n_neighbors_ == 7
    assert GraphAgglomerative(2).fit(X[:9]).n_neighbors_ == 4
    assert GraphAgglomerative(2).fit(X[:3]).n_neighbors_ == 2


def script(monkeypatch, *, steady, clear):
    """Neighbours chosen where partitions by 4, 10, 14 and 20 are steady and clear to a degree.

    A row in so many is moved to another cluster: of a part of the rows; and of all of them.
    """
    n, n_clusters = 300, 10
    truth = np.arange(n) % n_clusters
    tried = [4, 10, 14, 20]

    def with_errors(labels, each):
        moved = np.arange(n) % each == 0 if each else np.zeros(n, dtype=bool)
        return np.where(moved, (labels + 1) % n_clusters, labels)

    found = [with_errors(truth, each) for each in clear]
    others = [with_errors(labels, each) for labels, each in zip(found, steady, strict=True)]
    edges = scipy.sparse.csr_array(truth[:, None] == truth) / (n * n / n_clusters)

    def partition(X, neighbors, n_clusters):
        i = tried.index(neighbors.shape[1])
        labels = found[i] if len(X) == n else others[i][X[:, 0].astype(int)]
        return labels, edges

    monkeypatch.setattr(_graph_choices, "_partition", partition)
    X = np.stack([np.arange(n), np.zeros(n)], axis=1).astype(np.float32)
    return _graph_choices.choose_neighbors(X, n_clusters)


@pytest.mark.parametrize(
    ("steady", "clear", "expected"),
    [
        ([3, 3, 3, 3], [0, 0, 0, 0], 4),
        ([3, 11, 0, 11], [0, 0, 0, 0], 14),
        ([3, 0, 0, 0], [0, 0, 0, 0], 10),  # of equally steady ones the first
        ([7, 8, 8, 8], [0, 0, 0, 0], 4),  # not clearly steadier
        ([3, 0, 11, 11], [0, 9, 0, 0], 14),  # steadier, but they run into one another
        ([3, 0, 0, 0], [5, 5, 0, 0], 10),  # that is seen by the fewest
        ([3, 0, 0, 0], [0, 4, 4, 4], 4),
        ([151, 0, 0, 0], [0, 0, 0, 0], 4),  # steady enough
    ],
)
def test_more_neighbours_where_clusters_are_steadier(steady, clear, expected, monkeypatch):
    assert script(monkeypatch, steady=steady, clear=clear) == expected


def test_small_clusters_that_hang_together_by_chance_get_more_neighbours():
    X, y = load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    few, auto = GraphAgglomerative(3, n_neighbors=6), GraphAgglomerative(3)
    assert auto.fit(X).n_neighbors_ > 6
    reached = [normalized_mutual_info_score(y, m.fit(X).labels_) for m in (few, auto)]
    assert reached[1] > reached[0] + 0.1


@pytest.mark.parametrize("n", [150, 2001])
def test_many_rows_and_large_clusters_have_the_number_of_their_size(n, monkeypatch):
    def refuse(*args):
        raise AssertionError("partitions were compared")

    monkeypatch.setattr(_graph_choices, "_partition", refuse)
    X = np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)
    n_clusters = 1 if n == 150 else 100
    assert _graph_choices.choose_neighbors(X, n_clusters) == (19 if n == 150 else 4)


@pytest.mark.parametrize("linkage", ["degree", "path_integral"])
def test_few_neighbours_do_not_leave_a_giant_and_crumbs(linkage):
    """With edges that count one way 86 % of the digits were one cluster."""
    X, y = load_digits(return_X_y=True)
    labels = GraphAgglomerative(10, n_neighbors=6, linkage=linkage).fit_predict(X)
    assert np.bincount(labels).max() < 0.3 * len(X)
    assert normalized_mutual_info_score(y, labels) > 0.88


@pytest.mark.parametrize("linkage", ["degree", "path_integral"])
def test_a_giant_is_reported(linkage):
    """Of three kinds of wine both linkages leave two in one cluster."""
    X = StandardScaler().fit_transform(load_wine().data)
    model = GraphAgglomerative(3, n_neighbors=4, linkage=linkage)
    with pytest.warns(ConvergenceWarning, match=rf"linkage='{linkage}' \(init=.*% of the rows"):
        labels = model.fit_predict(X)
    assert np.bincount(labels).max() > 0.5 * len(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GraphAgglomerative(3, n_neighbors=4).fit(X)
        X, _ = make_blobs([200, 20], centers=[[0, 0], [9, 9]], random_state=0)
        clone(model).set_params(n_clusters=2).fit(X)  # a giant by modularity, too


def rays(n_features):
    """Twelve directions at any distance from the origin, as faces in different light are."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(12), 40)
    directions = 1 + 0.2 * rng.normal(size=(12, n_features))
    noise = 0.1 * rng.normal(size=(len(y), n_features))
    return (directions[y] + noise) * rng.uniform(0.2, 1.0, size=(len(y), 1)), y


def test_directions_are_compared_where_they_tell_more():
    X, y = rays(30)
    model = GraphAgglomerative(12).fit(X)
    assert model.metric_ == "cosine" and adjusted_rand_score(y, model.labels_) > 0.99
    np.testing.assert_array_equal(model.center_, 0)
    assert adjusted_rand_score(y, GraphAgglomerative(12, metric="euclidean").fit_predict(X)) < 0.9
    # Nearer to the origin or farther they are the same to it.
    np.testing.assert_array_equal(model.predict(4.0 * X), model.labels_)
    assert GraphAgglomerative(12).fit(X[:, :15]).metric_ == "euclidean"
    digits, _ = load_digits(return_X_y=True)
    assert GraphAgglomerative(10, n_neighbors=6).fit(digits[:500]).metric_ == "euclidean"


@pytest.mark.parametrize("factor", [2.0**-600, 1.0, 2.0**600])
def test_rows_of_any_size_have_a_direction(factor):
    X, y = rays(30)
    X = np.vstack([X, np.zeros((2, 30))])
    labels = GraphAgglomerative(12, metric="cosine").fit_predict(factor * X)
    assert adjusted_rand_score(y, labels[:-2]) > 0.99
    assert labels[-1] == labels[-2]


def test_approximate_neighbours_are_nearly_all_true():
    X, _ = make_blobs(1000, centers=6, n_features=20, random_state=0)
    X = X.astype(np.float32)
    exact, near = (
        _neighbors.nearest_neighbors(NearestNeighbors(n_neighbors=10).fit(X), X, algorithm)
        for algorithm in ("exact", "approximate")
    )
    assert exact.shape == near.shape == (1000, 10)
    assert (near != np.arange(1000)[:, None]).all()
    found = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, near, strict=True)])
    assert found > 0.9
    model = GraphAgglomerative(6, algorithm="approximate").fit(X)
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    again = GraphAgglomerative(6, algorithm="approximate").fit(X[::-1])
    np.testing.assert_array_equal(again.labels_[::-1], model.labels_)


def test_approximate_search_stands_equal_rows():
    X = np.repeat(np.arange(20.0, dtype=np.float32), 30)[:, None] * np.ones(17, np.float32)
    search = NearestNeighbors(n_neighbors=5).fit(X)
    near = _neighbors.nearest_neighbors(search, X, "approximate")
    assert near.shape == (600, 5) and (near != np.arange(600)[:, None]).all()


def test_many_rows_of_many_features_are_searched_approximately(monkeypatch):
    monkeypatch.setattr(_neighbors, "MANY_ROWS", 100)
    wide, flat = np.zeros((101, 16)), np.zeros((101, 15))
    assert _neighbors.is_approximate(wide, "auto") and not _neighbors.is_approximate(flat, "auto")
    assert not _neighbors.is_approximate(wide[:100], "auto")
    assert _neighbors.is_approximate(flat[:5], "approximate")
    assert not _neighbors.is_approximate(wide, "exact")


def test_without_the_package_the_search_is_exact_or_refused(monkeypatch):
    monkeypatch.setattr(_neighbors, "has_approximate_search", lambda: False)
    monkeypatch.setattr(_neighbors, "MANY_ROWS", 10)
    monkeypatch.setattr(_neighbors, "SLOW_ROWS", 50)
    X = np.random.default_rng(0).normal(size=(60, 20))
    with pytest.raises(ImportError, match=r"pip install 'sklearn-deepcluster\[neighbors\]'"):
        GraphAgglomerative(2, algorithm="approximate").fit(X)
    GraphAgglomerative(2).fit(X[:50])
    with pytest.warns(UserWarning, match="60 rows are searched exactly"):
        GraphAgglomerative(2).fit(X)


# -- single rows change sides --------------------------------------------------------------------


@pytest.mark.parametrize("resolution", [1.0, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_moves_gain_modularity_and_lose_no_cluster(seed, resolution):
    X = np.random.default_rng(seed).normal(size=(90, 3))
    P, _ = transition_matrix(X, 6, both_ways=False)
    labels = np.random.default_rng(seed).integers(5, size=90)
    labels[:5] = np.arange(5)
    shared = _moves.shared_edges(scipy.sparse.csr_array(P))
    moved = _moves.improve_modularity(shared, labels, resolution)

    def of(labels):
        return modularity(P, [np.flatnonzero(labels == c) for c in range(5)], resolution)

    assert of(moved) > of(labels) + 0.2
    assert len(np.unique(moved)) == 5
    assert _moves.modularity(shared, moved, resolution) == pytest.approx(of(moved))
    for i in range(90):  # no single row would gain
        for c in {int(moved[j]) for j in np.flatnonzero(P[i] + P[:, i])}:
            other = np.where(np.arange(90) == i, c, moved)
            if len(np.unique(other)) == 5:
                assert of(other) <= of(moved) + 1e-9


def test_a_row_that_was_merged_too_early_comes_back():
    """The hierarchy joins pairs for good."""
    P = scipy.sparse.csr_array(np.kron(np.eye(2), np.full((6, 6), 1 / 6)))
    labels = np.repeat([0, 1], 6)
    wrong = labels.copy()
    wrong[[2, 9]] = [1, 0]
    shared = _moves.shared_edges(P)
    np.testing.assert_array_equal(_moves.improve_modularity(shared, wrong), labels)


# -- data of every kind --------------------------------------------------------------------------


def test_equal_rows_share_their_cluster_and_too_few_are_reported():
    X = np.repeat(np.arange(3.0)[:, None], 10, axis=0)
    assert len(np.unique(GraphAgglomerative(3).fit_predict(X))) == 3
    with pytest.warns(ConvergenceWarning, match="3 distinct rows, fewer than n_clusters=5"):
        model = GraphAgglomerative(5).fit(X)
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    assert len(np.unique(model.labels_.reshape(3, 10), axis=1).T) == 1
    with pytest.warns(ConvergenceWarning, match="1 distinct rows"):
        GraphAgglomerative(2).fit(np.full((30, 4), 3.0))


@pytest.mark.parametrize("n_clusters", [1, 2, 5, 19, 20])
def test_any_number_of_clusters(n_clusters):
    X = np.random.default_rng(0).normal(size=(20, 2))
    labels = GraphAgglomerative(n_clusters).fit_predict(X)
    np.testing.assert_array_equal(np.unique(labels), np.arange(n_clusters))


def test_one_row():
    model = GraphAgglomerative(1).fit(np.ones((1, 3)))
    assert model.predict(np.zeros((2, 3))).tolist() == [0, 0]
    assert model.n_leaves_ == 1


def test_pieces_without_connection_are_joined_with_a_warning():
    X, y = make_blobs(200, centers=8, cluster_std=0.01, random_state=0)
    model = GraphAgglomerative(3, n_neighbors=9)
    with pytest.warns(ConvergenceWarning, match="falls into 8 pieces, more than n_clusters=3"):
        labels = model.fit_predict(X)
    assert len(np.unique(labels)) == 3
    assert all(len(np.unique(labels[y == c])) == 1 for c in range(8))
    np.testing.assert_array_equal(model.predict(X), labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert adjusted_rand_score(y, clone(model).set_params(n_clusters=8).fit_predict(X)) == 1


def test_an_outlier_does_not_cut_the_graph():
    X, y = make_blobs(200, centers=[[0, 0], [5, 5], [-5, 5]], random_state=0)
    X = np.vstack([X, [[1e3, 1e3]]])
    labels = GraphAgglomerative(3).fit_predict(X)
    assert adjusted_rand_score(y, labels[:-1]) > 0.95


def test_images_frames_and_lists_are_taken():
    images = load_digits().images[:200]
    model = GraphAgglomerative(5, n_neighbors=6).fit(images)
    flat = images.reshape(200, -1)
    assert model.n_features_in_ == 64
    for X in (flat, flat.tolist(), list(images), flat.astype(np.float32)):
        np.testing.assert_array_equal(clone(model).fit_predict(X), model.labels_)
    np.testing.assert_array_equal(model.predict(flat), model.labels_)
    frame = pd.DataFrame(flat, columns=[f"p{i}" for i in range(64)])
    assert clone(model).fit(frame).feature_names_in_[3] == "p3"


@pytest.mark.parametrize("factor", [1e-6, 0.3, 255.0, 1e6])
def test_the_unit_of_the_input_does_not_matter(factor):
    X, _ = make_blobs(300, centers=5, n_features=4, random_state=0)
    labels = GraphAgglomerative(5).fit_predict(X)
    assert adjusted_rand_score(GraphAgglomerative(5).fit_predict(factor * X), labels) == 1.0


def test_pickle_round_trip():
    X, _ = load_digits(return_X_y=True)
    model = GraphAgglomerative(10).fit(X[:300])
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


# -- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("n_clusters", 0),
        ("n_clusters", 2.5),
        ("n_neighbors", 0),
        ("n_neighbors", 1.5),
        ("linkage", "ward"),
        ("n_neighbors", "all"),
        ("metric", "manhattan"),
        ("algorithm", "brute"),
        ("sigma_scale", 0),
        ("sigma_scale", np.nan),
        ("n_jobs", 1.5),
    ],
)
def test_bad_parameters_are_refused_by_name(parameter, value):
    with pytest.raises(ValueError, match=parameter):
        GraphAgglomerative(**{parameter: value}).fit(np.ones((20, 2)))


def test_bad_data_are_refused():
    model = GraphAgglomerative(3)
    with pytest.raises(ValueError, match="n_samples=2.*n_clusters=3"):
        model.fit(np.ones((2, 2)))
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((9, 2), np.nan))
    with pytest.raises(ValueError, match="'approximate' takes no sparse X"):
        GraphAgglomerative(3, algorithm="approximate").fit(scipy.sparse.eye_array(9))
    with pytest.raises(NotFittedError):
        model.predict(np.ones((2, 2)))
    model.fit(np.random.default_rng(0).normal(size=(30, 2)))
    with pytest.raises(ValueError, match="5 features"):
        model.predict(np.ones((2, 5)))


@pytest.mark.parametrize("unit", [1 / 7, 1 / 10, 1.0])
def test_ties_do_not_depend_on_the_order_of_the_rows(unit):
    """The centre is a sum over the rows, and its last bit decides where all distances are equal."""
    X = unit * np.stack(np.meshgrid(np.arange(15.0), np.arange(15.0)), -1).reshape(-1, 2)
    labels = GraphAgglomerative(4).fit(X).labels_
    for seed in range(2):
        order = np.random.RandomState(seed).permutation(len(X))
        again = GraphAgglomerative(4).fit(X[order]).labels_
        assert adjusted_rand_score(labels[order], again) == 1.0


# -- sparse rows ---------------------------------------------------------------------------------


@functools.cache
def descriptions():
    """What numpy's functions are said to do, as tf-idf: real text of many lengths.

    Of short texts some neighbours are at one distance, and which is taken is rounding.
    """
    texts = {inspect.getdoc(value) or "" for value in vars(np).values() if callable(value)}
    texts = sorted(text for text in texts if len(text) > 500)
    return TfidfVectorizer(max_features=2000, dtype=np.float32).fit_transform(texts)


@pytest.mark.filterwarnings("ignore:The graph of neighbours falls into", "ignore:linkage=")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"metric": "cosine", "n_neighbors": 10},
        {"metric": "euclidean", "n_neighbors": 10, "linkage": "degree"},
    ],
)
def test_sparse_text_has_the_clusters_of_dense_text(params):
    X = descriptions()[:: 1 if params else 2]
    sparse, dense = (GraphAgglomerative(8, **params).fit(rows) for rows in (X, X.toarray()))
    np.testing.assert_array_equal(sparse.labels_, dense.labels_)
    for name in ("metric_", "n_neighbors_", "n_leaves_", "kernel_width_", "modularity_", "scale_"):
        assert getattr(sparse, name) == getattr(dense, name)
    np.testing.assert_array_equal(sparse.center_, dense.center_)
    np.testing.assert_array_equal(sparse.predict(X), sparse.labels_)
    some = X[::9] * 0.9
    for model in (sparse, dense):
        for rows in (some, some.toarray()):
            np.testing.assert_array_equal(model.predict(rows), dense.predict(some.toarray()))


def mostly_zeros(dtype, n=200, d=7):
    random = np.random.default_rng(0)
    X = np.round(3 * random.normal(size=(n, d))) * (random.random((n, d)) < 0.3)
    return (X + 0).astype(dtype)  # with equal rows, and some that are zero


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.uint16, bool])
def test_sparse_rows_have_the_order_of_dense_ones(dtype):
    X = mostly_zeros(dtype)
    found = _agglomeration.canonical_order(scipy.sparse.csr_array(X))
    np.testing.assert_array_equal(found, _agglomeration.canonical_order(X))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("dtype", [np.float64, np.int8])
def test_sparse_rows_become_those_of_dense_ones(metric, dtype):
    X = mostly_zeros(dtype)
    X[:, 2] = 100 + X[:, 2]  # a column without zeros has a centre
    X[0, 3] = -128
    standard = Standard()  # by angle sparse rows have no centre
    if metric == "euclidean":
        standard = Standard(np.array([0, 0, 99.5, 0, 0, 0, 0]), 2.0)
    found = _agglomeration.rows_of(scipy.sparse.csr_array(X), standard, metric)
    np.testing.assert_array_equal(found.toarray(), _agglomeration.rows_of(X, standard, metric))
    assert found.dtype == np.float32 and found.data.all() and found.has_canonical_format


def without_zero(rng, n=60):
    """Rows in three directions, of any length, less what they share."""
    y = np.arange(n) % 3
    X = 3 + 2 * np.eye(20)[y] + 0.1 * rng.normal(size=(n, 20))
    return X * rng.uniform(0.1, 10, size=(n, 1)) * np.where(np.arange(20) < 10, 1, -1), y


def test_angles_are_those_around_the_mean_where_zero_has_no_meaning():
    X, y = without_zero(np.random.default_rng(0))
    model = GraphAgglomerative(3, metric="cosine").fit(X)
    units = X / np.linalg.norm(X, axis=1, keepdims=True)
    np.testing.assert_allclose(model.center_, units.mean(axis=0), atol=1e-7)
    rows = units - units.mean(axis=0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = model._X[np.lexsort(model._X.T[::-1])]
    np.testing.assert_allclose(found, rows[np.lexsort(rows.T[::-1])], atol=1e-5)
    assert adjusted_rand_score(y, model.labels_) == 1
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    np.testing.assert_array_equal(model.predict(3 * X[:7]), model.labels_[:7])
    order = np.random.default_rng(1).permutation(len(X))
    again = clone(model).fit(X[order])
    np.testing.assert_array_equal(again.center_, model.center_)
    np.testing.assert_array_equal(again.labels_, model.labels_[order])


@pytest.mark.parametrize("kind", ["none negative", "many zeros", "sparse", "centred"])
def test_where_zero_has_a_meaning_nothing_is_subtracted(kind):
    X, _ = without_zero(np.random.default_rng(0))
    if kind == "none negative":
        X = abs(X)
    elif kind == "many zeros":
        X[:, ::4] = 0
    elif kind == "centred":
        X = StandardScaler().fit_transform(X)
    else:
        X = scipy.sparse.csr_array(X)
    assert not GraphAgglomerative(3, metric="cosine").fit(X).center_.any()


def test_a_row_of_zeros_is_away_from_the_mean():
    """At a distance like those of others: at the centre it would be far from all of them."""
    X, _ = without_zero(np.random.default_rng(0))
    X[5] = 0
    model = GraphAgglomerative(3, metric="cosine").fit(X)
    away = -model.center_ / np.linalg.norm(model.center_)
    assert np.isclose(model._X, away, atol=1e-6).all(axis=1).sum() == 1


def test_less_is_clear_around_the_mean():
    X, _ = without_zero(np.random.default_rng(0))
    reached = {"euclidean": 0.6, "cosine": 0.62}  # by a fifteenth nearer to .9
    for rows, metric in ((abs(X), "euclidean"), (X, "cosine")):
        edges, around_mean = _graph_choices.neighbor_graphs(rows, 3)
        assert set(edges) == set(reached)
        assert _graph_choices.clearest_metric(reached, 10, around_mean) == metric


def test_new_sparse_rows_have_the_centre_where_they_are_zero():
    """In a column that no row of the fit was zero in."""
    X = mostly_zeros(np.float64)
    X[:, 2] = 100 + X[:, 2]
    model = GraphAgglomerative(3, metric="euclidean").fit(scipy.sparse.csr_array(X))
    assert model.center_[2] > 50
    X[:5, 2] = 0
    standard = Standard(model.center_, model.scale_)
    found = _agglomeration.rows_of(scipy.sparse.csr_array(X), standard, "euclidean")
    np.testing.assert_array_equal(found.toarray(), _agglomeration.rows_of(X, standard, "euclidean"))


def test_sparse_rows_are_searched_exactly_however_many(monkeypatch):
    monkeypatch.setattr(_neighbors, "MANY_ROWS", 10)
    monkeypatch.setattr(_neighbors, "has_approximate_search", lambda: True)
    X = np.ones((50, 20))
    assert _neighbors.is_approximate(X, "auto")
    assert not _neighbors.is_approximate(scipy.sparse.csr_array(X), "auto")
    monkeypatch.setattr(_neighbors, "SLOW_ROWS", 40)
    with pytest.warns(UserWarning, match="50 rows are searched exactly.*TruncatedSVD"):
        assert not _neighbors.is_approximate(scipy.sparse.csr_array(X), "auto")


# -- clusters of unequal size --------------------------------------------------------------------


def cut_by_loops(P, labels):
    """Normalised cut: of the flow at each cluster the share that crosses its border."""
    total = 0.0
    for c in np.unique(labels):
        inside, outside = labels == c, labels != c
        crossing = P[np.ix_(inside, outside)].sum() + P[np.ix_(outside, inside)].sum()
        total += crossing / (P[inside].sum() + P[:, inside].sum())
    return total


def uneven_blobs(seed, sizes):
    return make_blobs(sizes, n_features=8, cluster_std=3.0, random_state=seed)


@pytest.mark.parametrize(("seed", "sizes"), [(0, (500, 100)), (1, (500, 100)), (0, (400, 200, 50))])
def test_a_small_cluster_is_not_traded_for_half_of_a_large_one(seed, sizes):
    X, y = uneven_blobs(seed, sizes)
    model = GraphAgglomerative(len(sizes)).fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.97
    at_one = GraphAgglomerative(len(sizes), resolution=1.0).fit(X)
    assert adjusted_rand_score(y, at_one.labels_) < 0.9


def test_resolution_auto_is_one_of_two_and_the_one_with_the_smaller_cut():
    lower = []
    for seed in range(6):
        sizes = (300, 60) if seed % 2 else (150, 150, 150)
        X, _ = uneven_blobs(seed, sizes)
        model = GraphAgglomerative(len(sizes)).fit(X)
        tried = {r: GraphAgglomerative(len(sizes), resolution=r).fit(X) for r in (1.0, 0.5)}
        P, _ = transition_matrix(X, model.n_neighbors_, both_ways=False)
        cuts = {r: cut_by_loops(P, m.labels_) for r, m in tried.items()}
        expected = 0.5 if cuts[0.5] < 0.8 * cuts[1.0] else 1.0
        assert model.resolution_ == expected
        np.testing.assert_array_equal(model.labels_, tried[expected].labels_)
        lower.append(expected)
    assert {*lower} == {0.5, 1.0}


@pytest.mark.parametrize("linkage", ["degree", "path_integral"])
def test_a_cluster_that_is_large_is_no_giant(linkage):
    """At resolution 1 modularity has none as large, as it tears it."""
    X, y = uneven_blobs(0, (500, 100))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = GraphAgglomerative(2, linkage=linkage).fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.9
    assert np.bincount(GraphAgglomerative(2, resolution=1.0).fit(X).labels_).max() < 400
