"""`init`: k-means, centres or any clusterer; and which of several runs is kept."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans, SpectralClustering
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from sklearn_deepcluster import DEC, DEKM, IDEC, GraphAgglomerative
from sklearn_deepcluster.cluster import _base, _start
from sklearn_deepcluster.cluster._base import _try_run
from sklearn_deepcluster.cluster._graph_choices import neighbor_graphs
from sklearn_deepcluster.cluster._moves import modularity
from sklearn_deepcluster.cluster._start import Start, cluster_means
from sklearn_deepcluster.cluster._task import Run, Task


def quick(frozen, cls=DEC, **params):
    defaults = {
        "autoencoder": frozen,
        "update_interval": 5,
        "batch_size": 50,
        "precision": "float32",
        "random_state": 0,
        "tol": 0.0,
    }
    if cls is not DEKM:
        defaults |= {"max_epochs": 1, "min_steps": 0}
    return cls(3, **(defaults | params))


def first_centres(frozen, X, spy, **params):
    quick(frozen, callbacks=[spy], **params).fit(X)
    return spy.rounds[0]["centers"].numpy()


def loop_means(Z, labels):
    return np.array([Z[labels == j].mean(0) for j in np.unique(labels)])


def test_cluster_means_are_means_and_keep_what_is_given_for_empty_clusters():
    z = np.random.default_rng(0).normal(size=(10, 2)).astype(np.float32)
    labels = np.array([0, 0, 2, 2, 2, 0, 0, 2, 2, 2])
    empty = np.full((3, 2), 9.0)
    centers = cluster_means(z, labels, empty)
    assert isinstance(centers, torch.Tensor) and centers.dtype == torch.float32
    np.testing.assert_allclose(centers[[0, 2]], loop_means(z, labels), rtol=1e-6)
    np.testing.assert_array_equal(centers[1], [9.0, 9.0])
    np.testing.assert_array_equal(empty, 9.0)


def test_auto_takes_the_clearer_of_embedding_and_data():
    X, y = make_blobs(120, centers=3, n_features=4, random_state=0)
    X = torch.from_numpy(X.astype(np.float32))
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32))

    def agreement(z, raw):
        start = Start("auto", 3, raw_rows=None if raw is None else lambda: raw)
        labels, centers = start.clusters(z)
        np.testing.assert_allclose(centers[0], z[labels == 0].mean(0), rtol=1e-4, atol=1e-5)
        return adjusted_rand_score(y, labels)

    assert agreement(noise, X) == agreement(X, noise) == agreement(X, X) == 1.0
    assert agreement(noise, None) < 0.3


def test_auto_is_not_taken_in_by_clusters_that_the_rows_know_nothing_of():
    """The embedding has two groupings, each as modular as can be; the rows have one."""
    random = np.random.default_rng(0)
    known, own = random.integers(3, size=(2, 450))
    X = 8.0 * np.eye(3)[known] + random.normal(size=(450, 3))
    z = np.hstack([5.0 * np.eye(3)[known], 9.0 * np.eye(3)[own]]) + random.normal(size=(450, 6))
    z, X = torch.from_numpy(z.astype(np.float32)), torch.from_numpy(X.astype(np.float32))
    alone, _ = Start("auto", 3).clusters(z)
    assert adjusted_rand_score(own, alone) > 0.95
    labels, _ = Start("auto", 3, raw_rows=lambda: X).clusters(z)
    assert adjusted_rand_score(known, labels) > 0.95


@pytest.mark.parametrize("n", [1, 2, 7])
def test_one_cluster_of_few_rows_needs_no_choice(n):
    X = torch.arange(3.0 * n).reshape(n, 3)
    labels, centers = Start("auto", 1, raw_rows=lambda: X).clusters(X)
    assert (labels == 0).all()
    np.testing.assert_allclose(centers, X.mean(0, keepdim=True))


def test_less_modular_is_never_clearer_where_both_are_less_than_by_chance():
    """As the partitions of a handful of rows mostly are."""
    random = np.random.RandomState(146)
    n, k = random.randint(3, 9), random.randint(2, 4)
    z, raw = (torch.from_numpy(random.randn(n, d).astype(np.float32)) for d in (3, 4))
    own = GraphAgglomerative(k).fit_predict(raw)
    labels, _ = Start("auto", k, raw_rows=lambda: raw, table=True).clusters(z)
    assert adjusted_rand_score(own, labels) == 1


@pytest.mark.parametrize("table", [True, False])
def test_of_clusters_that_are_alike_a_table_has_its_own(table):
    X, y = make_blobs(200, centers=3, n_features=4, cluster_std=2.5, random_state=0)
    random = np.random.default_rng(0)
    raw = torch.from_numpy(X.astype(np.float32))
    z = torch.from_numpy((X + 0.8 * random.normal(size=X.shape)).astype(np.float32))
    own, embedded = (GraphAgglomerative(3).fit_predict(data) for data in (raw, z))
    assert 0.8 < adjusted_rand_score(own, embedded) < 1
    labels, _ = Start("auto", 3, raw_rows=lambda: raw, table=table).clusters(z)
    assert adjusted_rand_score(labels, own if table else embedded) == 1


def test_what_tears_a_large_cluster_is_more_modular_and_not_clearer(monkeypatch):
    """As when an embedding of breast cancer cells parted the healthy ones."""
    X = np.random.default_rng(0).normal(size=(460, 2)).astype(np.float32)
    X[400:, 0] += 20.0
    groups = (np.arange(460) >= 400).astype(np.int64)
    halves = (X[:, 0] > np.median(X[:, 0])).astype(np.int64)

    class Told(GraphAgglomerative):
        def fit(self, X, y=None):
            super().fit(X)
            self.labels_ = halves if X.shape[1] == 1 else groups
            return self

    monkeypatch.setattr(_start, "GraphAgglomerative", Told)
    start = Start("auto", 2, raw_rows=lambda: torch.from_numpy(X), table=True)
    z = torch.from_numpy(X[:, :1].copy())
    np.testing.assert_array_equal(start.clusters(z)[0], groups)
    monkeypatch.setattr(_start, "normalized_cut", lambda edges, labels: 0.0)
    np.testing.assert_array_equal(start.clusters(z)[0], halves)


def test_auto_looks_at_small_data_alone(frozen, blobs, monkeypatch):
    looked = []
    raw_rows = Task.raw_rows
    monkeypatch.setattr(Task, "raw_rows", lambda self: (looked.append(1), raw_rows(self))[1])
    X, _ = blobs
    for limit in (4 * X.size - 1, 4 * X.size):
        monkeypatch.setattr(_base, "RAW_BYTES", limit)
        looked.clear()
        quick(frozen, init="auto", drift_tol=None).fit(X)
        assert bool(looked) == (limit == 4 * X.size)


@pytest.mark.parametrize("cls", [DEC, IDEC])
def test_k_means_has_twenty_starts_and_gives_the_means(frozen, blobs, spy, monkeypatch, cls):
    X, _ = blobs
    starts = []

    class Recorder(KMeans):
        def fit(self, X, y=None, sample_weight=None):
            starts.append(self.n_init)
            return super().fit(X, sample_weight=sample_weight)

    monkeypatch.setattr(_start, "KMeans", Recorder)
    centers = first_centres(frozen, X, spy, cls=cls)
    assert starts == 20 * [1]
    Z = frozen.transform(X)
    best = KMeans(3, n_init=50, random_state=1).fit(Z)
    np.testing.assert_allclose(
        centers[np.lexsort(centers.T)],
        best.cluster_centers_[np.lexsort(best.cluster_centers_.T)],
        atol=1e-3,
    )


@pytest.mark.parametrize(
    ("inertias", "expected"),
    [
        ((1.0, 1.005, 1.2), 1),  # as good, and neighbours stay together
        ((1.0, 1.02, 1.2), 0),  # not as good
        ((1.2, 1.005, 1.0), 1),
    ],
)
def test_starts_near_the_least_inertia_are_told_apart_by_neighbours(
    blobs, monkeypatch, inertias, expected
):
    X, y = blobs
    cut = np.where(np.arange(len(y)) % 5 == 0, (y + 1) % 3, y)
    labels = [cut, y, cut] if expected else [cut, y, y]
    scripted = list(zip(inertias, labels, strict=True))

    class Scripted:
        def __init__(self, n_clusters, **params):
            self.inertia_, self.labels_ = scripted.pop(0)

        def fit(self, z, sample_weight=None):
            return self

    monkeypatch.setattr(_start, "KMEANS_STARTS", 3)
    monkeypatch.setattr(_start, "KMeans", Scripted)
    best = _start.best_kmeans(X, 3, seed=0)
    assert best.inertia_ == inertias[expected]


def test_of_few_distinct_rows_k_means_warns_once(recwarn):
    z = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    assert len(np.unique(_start.best_kmeans(z, 5, seed=0).labels_)) == 3
    assert len(recwarn) == 1


@pytest.mark.parametrize("as_type", [np.array, np.float32, list], ids=["f8", "f4", "list"])
def test_centres_are_taken_as_they_are(frozen, blobs, spy, as_type):
    X, y = blobs
    given = np.round(loop_means(frozen.transform(X), y), 1).tolist()
    init = as_type(given)
    found = first_centres(frozen, X, spy, init=init)
    np.testing.assert_array_equal(found, np.float32(given))
    np.testing.assert_array_equal(init, given)


@pytest.mark.parametrize(
    "clusterer",
    [
        AgglomerativeClustering(n_clusters=7),
        SpectralClustering(n_clusters=3, random_state=0),
        KMeans(n_clusters=7, n_init=1, random_state=5),
    ],
    ids=lambda clusterer: type(clusterer).__name__,
)
def test_a_clusterer_gives_the_means_of_its_clusters(frozen, blobs, spy, clusterer):
    X, _ = blobs
    before = clusterer.get_params()
    centers = first_centres(frozen, X, spy, init=clusterer)
    assert clusterer.get_params() == before and not hasattr(clusterer, "labels_")
    labels = type(clusterer)(**before | {"n_clusters": 3}).fit_predict(frozen.transform(X))
    np.testing.assert_allclose(centers, loop_means(frozen.transform(X), labels), atol=1e-4)


class Given(ClusterMixin, BaseEstimator):
    """A clusterer that writes down its parameters and returns fixed labels."""

    seen = []

    def __init__(self, n_clusters=2, random_state=None, offset=0):
        self.n_clusters = n_clusters
        self.random_state = random_state
        self.offset = offset

    def fit_predict(self, X, y=None):
        self.seen.append((self.n_clusters, self.random_state))
        return np.arange(len(X)) % 3 * 10 + self.offset


def test_a_clusterer_gets_n_clusters_and_a_seed_unless_it_has_one(frozen, blobs):
    Given.seen.clear()
    for random_state in (None, None, 11):
        quick(frozen, init=Given(random_state=random_state)).fit(blobs[0])
    quick(frozen, init=Given(), random_state=1).fit(blobs[0])
    (first, again, own, other) = Given.seen
    assert {n for n, _ in Given.seen} == {3}
    assert first == again and first[1] is not None
    assert own == (3, 11)
    assert other[1] != first[1]


def test_labels_of_a_clusterer_may_be_any_integers(frozen, blobs, spy):
    X, _ = blobs
    centers = first_centres(frozen, X, spy, init=Given(offset=4))
    np.testing.assert_allclose(
        centers, loop_means(frozen.transform(X), np.arange(150) % 3), atol=1e-5
    )


def test_a_clusterer_without_those_parameters_serves(frozen, blobs):
    X, y = blobs
    assert len(np.unique(quick(frozen, init=GaussianMixture(3)).fit(X).labels_)) == 3


def test_dekm_starts_its_k_means_from_it(frozen, blobs):
    X, _ = blobs
    dekm = quick(frozen, DEKM, init=AgglomerativeClustering(), max_iter=1, lr=1e-12).fit(X)
    Z = frozen.transform(X)
    start = loop_means(Z, AgglomerativeClustering(3).fit_predict(Z))
    expected = KMeans(3, init=start, n_init=1).fit(Z).cluster_centers_
    np.testing.assert_allclose(dekm.cluster_centers_, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("init", "match"),
    [
        (DBSCAN(eps=1e-9), "0 clusters and noise"),
        (Given(offset=-1), "2 clusters and noise"),
        (GaussianMixture(1), "found 1 clusters; n_clusters=3"),
        ("random", "The 'init' parameter of DEC must be a str among"),
        (np.zeros((4, 3)), "init has 4 centres; n_clusters=3"),
        (np.zeros((3, 2)), "init has centres in 2 dimensions; the embedding has 3"),
        (np.full((3, 3), np.nan), "init contains NaN"),
        (3, "The 'init' parameter of DEC must be .* Got 3 instead"),
        (None, "The 'init' parameter of DEC must be .* Got None instead"),
        (np.zeros((1, 3, 3)), "init=.* is no array of centres"),
    ],
    ids=[
        "noise",
        "some-noise",
        "too-few",
        "name",
        "number",
        "width",
        "nan",
        "scalar",
        "None",
        "cube",
    ],
)
def test_what_cannot_be_started_from_is_refused(frozen, blobs, init, match):
    with pytest.raises(ValueError, match=f"(?s){match}"):
        quick(frozen, init=init).fit(blobs[0])


# --- several runs


def run(labels, score):
    return Run(fitted={"labels_": np.array(labels)}, scatter=-score)


def test_the_best_of_several_runs_is_kept():
    runs = [run([0, 1, 2], -0.5), run([0, 1, 2], -0.2), run([0, 1, 2], -0.3)]
    assert DEC()._best_run(runs) is runs[1]


def test_a_run_with_an_empty_cluster_loses_to_any_without():
    runs = [run([0, 1, 1], -0.01), run([2, 1, 0], -0.9), run([0, 0, 0], 0.0)]
    assert DEC()._best_run(runs) is runs[1]


def told(by_metric, score):
    """A run of these modularities."""
    return dataclasses.replace(run([0, 1, 2], score), modularity=by_metric)


def test_runs_are_told_apart_by_the_modularity_of_the_metric_that_is_clearer_for_all():
    euclidean, cosine = [0.30, 0.32, 0.31], [0.50, 0.51, 0.55]
    runs = [
        told({"euclidean": a, "cosine": b}, score)
        for a, b, score in zip(euclidean, cosine, [-0.1, -0.5, -0.9], strict=True)
    ]
    assert DEC(3)._best_run(runs) is runs[2]
    runs = [told({"euclidean": a}, 0.0) for a in euclidean]
    assert DEC(3)._best_run(runs) is runs[1]
    mixed = [*runs, run([0, 1, 2], 0.1)]  # of one it is not known
    assert DEC(3)._best_run(mixed) is mixed[3]


def test_diverged_runs_are_left_out_and_raise_when_there_are_no_others():
    error = FloatingPointError("diverged")
    good = run([0, 1], -0.5)
    assert DEC()._best_run([error, good, error]) is good
    with pytest.raises(FloatingPointError, match="diverged"):
        DEC()._best_run([error, error])


def test_runs_differ_and_the_one_with_the_best_score_is_fitted(unfitted, blobs, monkeypatch):
    X, _ = blobs
    runs = []

    def recorded(*args):
        runs.append(_try_run(*args))
        return runs[-1]

    monkeypatch.setattr(_base, "_try_run", recorded)
    dec = quick(unfitted.set_params(max_epochs=2), n_init=4).fit(X)
    assert len({r.scatter for r in runs}) == 4
    edges = neighbor_graphs(X.astype(np.float32), 3)[0]["euclidean"]
    scores = [modularity(edges, r.fitted["labels_"]) for r in runs]
    for r, score in zip(runs, scores, strict=True):
        assert r.modularity["euclidean"] == pytest.approx(score, rel=1e-6)
    assert min(scores) < max(scores)
    best = runs[int(np.argmax(scores))]
    np.testing.assert_array_equal(dec.labels_, best.fitted["labels_"])
    assert dec.score(X) == pytest.approx(-best.scatter, rel=1e-5)
