"""Wherever scikit-learn takes KMeans, these serve."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests._instances import (
    KINDS,
    N_CLUSTERS,
    N_SAMPLES,
    POSITIVE_SCORE,
    PUBLIC,
    blobs,
    fitted,
    given,
    least,
    tiny,
)
from tests.interoperability._shared import every_clusterer, every_estimator


@every_clusterer
def test_offers_what_kmeans_offers(name):
    X, _ = blobs()
    assert PUBLIC[name](5).n_clusters == KMeans(5).n_clusters
    assert PUBLIC[name]().n_clusters == KMeans().n_clusters
    estimator, kmeans = fitted(name), KMeans(N_CLUSTERS, random_state=0).fit(X)
    for attribute in ("labels_", "cluster_centers_", "n_iter_", "n_features_in_"):
        assert isinstance(getattr(estimator, attribute), type(getattr(kmeans, attribute)))
    methods = ("fit", "fit_predict", "predict", "transform", "fit_transform", "score")
    assert all(callable(getattr(estimator, method)) for method in methods)
    assert adjusted_rand_score(estimator.labels_, kmeans.labels_) == 1.0
    assert (estimator.score(X) > 0) == (name in POSITIVE_SCORE)


@pytest.mark.parametrize("name", KINDS)
def test_ends_a_pipeline(name):
    X, y = blobs()
    pipeline = make_pipeline(StandardScaler(), tiny(name))
    labels = pipeline.fit_predict(X, None)
    assert adjusted_rand_score(labels, y) == 1.0
    np.testing.assert_array_equal(pipeline.predict(X), labels)
    assert pipeline.transform(X).shape == (N_SAMPLES, pipeline[-1].n_components_)
    assert pipeline.score(X) < 0


@every_estimator
def test_feeds_kmeans(name):
    X, y = blobs()
    Z = fitted(name).transform(X)
    assert adjusted_rand_score(KMeans(N_CLUSTERS, random_state=0).fit_predict(Z), y) == 1.0


@pytest.mark.parametrize("name", ["Autoencoder", *KINDS])
def test_feeds_a_pipeline(name):
    X, y = blobs()
    pipeline = make_pipeline(tiny(name), KMeans(N_CLUSTERS, random_state=0))
    assert adjusted_rand_score(pipeline.fit_predict(X), y) == 1.0


@every_clusterer
def test_predicts_rows_it_has_not_seen(name):
    X, y = blobs()
    half = N_SAMPLES // 2
    out_of_sample = tiny(name).fit(X[half:]).predict(X[:half])
    assert adjusted_rand_score(out_of_sample, y[:half]) == 1.0


@pytest.mark.parametrize("name", KINDS)
def test_is_cross_validated(name):
    X, y = blobs()
    out_of_sample = cross_val_predict(tiny(name), X, cv=2)
    for part in np.array_split(np.arange(N_SAMPLES), 2):
        assert adjusted_rand_score(out_of_sample[part], y[part]) == 1.0


def test_is_scored_on_rows_it_has_not_seen():
    X, y = blobs()
    scores = cross_val_score(tiny(KINDS[0]), X, y, scoring="adjusted_rand_score", cv=3)
    np.testing.assert_array_equal(scores, 1.0)


@every_clusterer
def test_clone_keeps_the_parameters_and_drops_the_fit(name):
    copy = clone(fitted(name).set_params(random_state=0))
    assert repr(copy) == repr(fitted(name))
    assert not hasattr(copy, "module_")
    assert given(copy) is not given(fitted(name))


@every_clusterer
def test_fit_leaves_the_parameters_alone(name):
    X, _ = blobs()
    estimator = least(name)
    params = estimator.get_params()
    estimator.fit(X)
    after = estimator.get_params()
    assert all(after[key] is params[key] for key in params)
    assert not hasattr(given(estimator), "module_")
