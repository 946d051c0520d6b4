"""Scorers without labels: where they look, what they return for a clustering with no score."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.metrics import (
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_deepcluster.metrics import _embedding as embedding
from sklearn_deepcluster.metrics import (
    calinski_harabasz_scorer,
    davies_bouldin_scorer,
    silhouette_scorer,
)

# scorer, score of points and labels in the same direction, worst value
SCORERS = [
    pytest.param(silhouette_scorer, silhouette_score, -1.0, id="silhouette"),
    pytest.param(calinski_harabasz_scorer, calinski_harabasz_score, 0.0, id="calinski_harabasz"),
    pytest.param(
        davies_bouldin_scorer,
        lambda Z, labels: -davies_bouldin_score(Z, labels),
        -1e9,
        id="davies_bouldin",
    ),
]
each_scorer = pytest.mark.parametrize(("scorer", "score", "worst"), SCORERS)


class Fixed(ClusterMixin, BaseEstimator):
    """Predicts given labels; looks like a deep clusterer if it has a `module_`."""

    def __init__(self, labels=None, scale=1.0):
        self.labels = labels
        self.scale = scale

    def fit(self, X, y=None):
        self.module_ = "a network"
        return self

    def predict(self, X):
        return np.asarray(self.labels)

    def transform(self, X):
        return self.scale * np.asarray(X).reshape(len(X), -1)[:, :1]


@pytest.fixture(scope="module")
def blobs():
    centers = [[0, 0, 0], [9, 0, 0], [0, 9, 0]]
    return make_blobs(120, centers=centers, random_state=0)[0]


@each_scorer
def test_kmeans_is_judged_on_its_input(blobs, scorer, score, worst):
    model = KMeans(3, n_init=3, random_state=0).fit(blobs)
    assert scorer(model, blobs) == pytest.approx(score(blobs, model.labels_))


@each_scorer
def test_the_last_step_of_a_pipeline_is_judged_on_what_it_receives(blobs, scorer, score, worst):
    inner = make_pipeline(PCA(2), KMeans(3, n_init=3, random_state=0))
    model = make_pipeline(StandardScaler(), inner).fit(blobs)
    Z = inner[0].transform(model[0].transform(blobs))
    assert scorer(model, blobs) == pytest.approx(score(Z, inner[-1].labels_))


@each_scorer
def test_a_learned_embedding_is_used(blobs, scorer, score, worst):
    labels = np.arange(len(blobs)) % 3
    model = Fixed(labels).fit(blobs)
    assert scorer(model, blobs) == pytest.approx(score(blobs[:, :1], labels))
    piped = make_pipeline(StandardScaler(), Fixed(labels)).fit(blobs)
    assert scorer(piped, blobs) == pytest.approx(score(blobs[:, :1], labels))


@each_scorer
def test_images_are_judged_in_their_embedding(blobs, scorer, score, worst):
    images = blobs[:, :, None]
    labels = np.arange(len(blobs)) % 2
    assert scorer(Fixed(labels).fit(images), images) == pytest.approx(
        score(blobs[:, :1], labels), rel=1e-6
    )


@each_scorer
def test_the_unit_of_the_embedding_does_not_matter(blobs, scorer, score, worst):
    # Unscaled, the Davies-Bouldin score of a tiny embedding is 0, the best value.
    labels = (blobs[:, 0] > 4).astype(int)
    expected = scorer(Fixed(labels).fit(blobs), blobs)
    for scale in (1e-12, 1e12):
        assert scorer(Fixed(labels, scale).fit(blobs), blobs) == pytest.approx(expected)


@each_scorer
@pytest.mark.parametrize("case", ["one cluster", "as many clusters as samples", "all alike"])
def test_a_clustering_without_score_gets_the_worst_value(blobs, scorer, score, worst, case):
    n = len(blobs)
    labels = {
        "one cluster": np.zeros(n, dtype=int),
        "as many clusters as samples": np.arange(n),
        "all alike": np.arange(n) % 2,
    }[case]
    X = np.ones_like(blobs) if case == "all alike" else blobs
    assert scorer(Fixed(labels).fit(X), X) == worst


@each_scorer
def test_search_in_a_pipeline_without_labels(blobs, scorer, score, worst):
    search = GridSearchCV(
        make_pipeline(PCA(2), KMeans(n_init=5, random_state=0)),
        {"kmeans__n_clusters": [1, 2, 3, 4, 6]},
        scoring=scorer,
        cv=3,
    ).fit(blobs)
    assert search.best_params_ == {"kmeans__n_clusters": 3}
    means = search.cv_results_["mean_test_score"]
    assert means[0] == worst == means.min()  # a single cluster stops no search
    assert np.isfinite(search.cv_results_["std_test_score"]).all()
    assert scorer(search, blobs) == scorer(search.best_estimator_, blobs)


@each_scorer
def test_input_is_not_changed(blobs, scorer, score, worst):
    X = blobs.copy()
    X.setflags(write=False)
    scorer(KMeans(3, n_init=1, random_state=0).fit(X), X)
    np.testing.assert_array_equal(X, blobs)


def test_silhouette_of_many_rows_is_that_of_a_fixed_draw(blobs, monkeypatch):
    monkeypatch.setattr(embedding, "SILHOUETTE_ROWS", 50)
    model = KMeans(4, n_init=1, random_state=0).fit(blobs)
    value = silhouette_scorer(model, blobs)
    rows = np.random.RandomState(0).permutation(len(blobs))[:50]
    assert value == pytest.approx(silhouette_score(blobs[rows], model.labels_[rows]))
    assert silhouette_scorer(model, blobs) == value


def test_a_draw_that_misses_all_but_one_cluster_is_no_error(blobs, monkeypatch):
    monkeypatch.setattr(embedding, "SILHOUETTE_ROWS", 10)
    labels = np.zeros(len(blobs), dtype=int)
    labels[np.random.RandomState(0).permutation(len(blobs))[-1]] = 1
    assert silhouette_scorer(Fixed(labels).fit(blobs), blobs) == -1.0
