"""The best of several runs is kept; a run starts from centres or any clusterer."""

import contextlib
import functools
import itertools

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.metrics import adjusted_rand_score

from sklearn_deepcluster.cluster._base import BaseDeepClusterer
from sklearn_deepcluster.cluster._graph_choices import neighbor_graphs
from sklearn_deepcluster.cluster._moves import modularity
from tests._instances import (
    BY_LOSS,
    END_TO_END,
    KINDS,
    N_SAMPLES,
    PRETRAINED,
    accepts,
    assert_same_fit,
    blobs,
    frozen,
    least,
    tiny_representation,
)
from tests.interoperability._shared import every_clusterer


@contextlib.contextmanager
def runs_of(monkeypatch, change=lambda run, number: run):
    """Record the runs of the fits inside; `change` may replace the outcome of a run."""
    recorded, numbers = [], itertools.count()
    original = BaseDeepClusterer._run

    def record(self, *args):
        run = change(original(self, *args), next(numbers))
        recorded.append(run)
        return run

    with monkeypatch.context() as patch:
        patch.setattr(BaseDeepClusterer, "_run", record)
        yield recorded


def score_of(name, run):
    """By what the run is compared with others: its loss, or how modular and tight it is."""
    if name in BY_LOSS:
        return -run.fitted["loss_"]
    edges = neighbor_graphs(blobs()[0], 3)[0]["euclidean"]
    return round(modularity(edges, run.fitted["labels_"]), 9), -run.scatter


@every_clusterer
def test_n_init_keeps_the_run_with_the_best_score(name, monkeypatch):
    X, _ = blobs()
    with runs_of(monkeypatch) as runs:
        estimator = least(name, n_init=3).fit(X)
    scores = [score_of(name, run) for run in runs]
    assert len(set(scores)) == 3
    # None with fewer clusters than another, whatever its score.
    best = runs[max(range(3), key=lambda i: (runs[i].n_found, scores[i]))]
    assert estimator.module_ is best.fitted["module_"]
    assert estimator.labels_ is best.fitted["labels_"]
    assert estimator.history_ is best.fitted["history_"]
    if name not in BY_LOSS:
        assert estimator.score(X) == pytest.approx(-best.scatter, rel=1e-5)
    # The first of several runs is the run that n_init=1 makes.
    with runs_of(monkeypatch) as single:
        least(name).fit(X)
    assert single[0].scatter == runs[0].scatter
    assert single[0].fitted["loss_"] == runs[0].fitted["loss_"]


@pytest.mark.parametrize("name", KINDS)
def test_n_init_prefers_a_run_without_empty_clusters(name, monkeypatch):
    X, _ = blobs()

    def empty(run, number):
        if number == 1:
            run.fitted["labels_"] = np.zeros(N_SAMPLES, dtype=np.int64)
            run.scatter = run.fitted["loss_"] = -np.inf
        return run

    with runs_of(monkeypatch, empty) as runs:
        estimator = least(name, n_init=3).fit(X)
    best = max(runs[0], runs[2], key=lambda run: score_of(name, run))
    assert estimator.module_ is best.fitted["module_"]


@pytest.mark.parametrize("name", KINDS)
def test_n_init_leaves_out_a_run_that_diverged(name, monkeypatch):
    X, _ = blobs()

    def diverge(which):
        def change(run, number):
            if number in which:
                raise FloatingPointError(f"run {number} diverged")
            return run

        return change

    with runs_of(monkeypatch, diverge({0})) as runs:
        estimator = least(name, n_init=2).fit(X)
    assert estimator.module_ is runs[-1].fitted["module_"]
    with runs_of(monkeypatch, diverge({0, 1})):
        with pytest.raises(FloatingPointError, match="run 1 diverged"):
            least(name, n_init=2).fit(X)


INITIAL = {
    "array": lambda centers: centers,
    "list": lambda centers: centers.tolist(),
    "KMeans": lambda centers: KMeans(n_clusters=77, n_init=5),
    "agglomerative": lambda centers: AgglomerativeClustering(n_clusters=77),
}


@functools.cache
def trained_representation(name):
    return tiny_representation(name, random_state=0).fit(blobs()[0])


# What it takes is the base's to tell: all of it for one method.
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (name, kind)
        for name in PRETRAINED
        for kind in INITIAL
        if accepts(name, "init") and (name not in END_TO_END or kind not in ("array", "list"))
        if name == "DEC" or kind in ("array", "agglomerative")
    ],
)
def test_init_takes_centres_and_any_clusterer(name, kind):
    X, y = blobs()
    representation = trained_representation(name)
    Z = representation.transform(X)
    centers = np.stack([Z[y == j].mean(0) for j in (2, 0, 1)])
    init = INITIAL[kind](centers)
    estimator = frozen(name, representation, init=init).fit(X)
    assert adjusted_rand_score(estimator.labels_, y) == 1.0
    if kind in ("array", "list"):
        np.testing.assert_array_equal(estimator.labels_, np.array([1, 2, 0])[y])
    else:
        assert init.n_clusters == 77 and not hasattr(init, "labels_")
    assert_same_fit(estimator, clone(estimator).fit(X))
