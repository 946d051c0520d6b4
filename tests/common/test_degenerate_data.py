"""Few rows, few features, one cluster, constant data."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from tests._instances import (
    CLUSTERERS,
    LEAST_ROWS,
    N_CLUSTERS,
    N_FEATURES,
    N_SAMPLES,
    assert_same_fit,
    blobs,
    least,
    tiny,
)
from tests.common._shared import (
    every_clusterer,
    every_estimator,
    every_public_clusterer,
    every_representation,
)


@every_clusterer
def test_one_cluster(name):
    X, _ = blobs()
    estimator = least(name, n_clusters=1).fit(X)
    assert not estimator.labels_.any()
    assert not estimator.predict(X[:5]).any()
    assert estimator.cluster_centers_.shape == (1, estimator.n_components_)
    assert np.isfinite(estimator.transform(X)).all()
    assert all(np.isfinite(values).all() for values in estimator.history_.values())
    if hasattr(estimator, "predict_proba"):
        np.testing.assert_array_equal(estimator.predict_proba(X), np.ones((N_SAMPLES, 1)))


@every_estimator
def test_as_few_rows_as_can_be(name):
    X = blobs()[0][: LEAST_ROWS[name]]
    params = {"n_clusters": 1} if name in CLUSTERERS else {}
    estimator = least(name, **params).fit(X)
    assert np.isfinite(estimator.transform(X)).all()
    assert np.isfinite(estimator.score(X))


@every_estimator
@pytest.mark.parametrize("width", [1, 2])
def test_few_features(name, width):
    X, y = blobs()
    X = X[:, :width]
    estimator = least(name).fit(X)
    assert np.isfinite(estimator.transform(X)).all()
    assert estimator.n_features_in_ == width


@every_estimator
def test_constant_columns_change_nothing_but_the_width(name):
    X, y = blobs()
    X = X.copy()
    X[:, ::2] = 3.0
    estimator = tiny(name).fit(X)
    assert np.isfinite(estimator.transform(X)).all()
    if name in CLUSTERERS:
        assert adjusted_rand_score(y, estimator.labels_) > 0.9


@every_public_clusterer
def test_duplicate_rows_share_their_label(name):
    X = np.repeat(blobs()[0][:40], 3, axis=0)
    labels = tiny(name).fit_predict(X).reshape(40, 3)
    assert (labels == labels[:, :1]).all()
    assert len(np.unique(labels)) == N_CLUSTERS


@every_clusterer
@pytest.mark.parametrize("extra", [0, 1])
def test_hardly_more_rows_than_clusters(name, extra):
    X, _ = blobs()
    estimator = least(name, n_clusters=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = estimator.fit_predict(X[: 5 + extra])
    assert labels.min() >= 0 and labels.max() < 5
    assert estimator.cluster_centers_.shape == (5, estimator.n_components_)
    assert np.isfinite(estimator.cluster_centers_).all()


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@every_clusterer
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_equal_rows_give_one_cluster_and_a_warning(name, value):
    X = np.full((40, N_FEATURES), value)
    estimator = least(name)
    with pytest.warns(ConvergenceWarning, match="2 of 3 clusters are empty"):
        labels = estimator.fit_predict(X)
    assert len(np.unique(labels)) == 1
    assert np.isfinite(estimator.transform(X)).all()
    assert np.isfinite(estimator.score(X))


@every_representation
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_data_have_a_representation(name, value):
    X = np.full((40, N_FEATURES), value)
    estimator = least(name).fit(X)
    assert np.isfinite(estimator.transform(X)).all()
    if hasattr(estimator, "inverse_transform"):
        assert np.isfinite(estimator.inverse_transform(estimator.transform(X))).all()


@every_estimator
def test_a_batch_size_above_the_number_of_rows_is_one_batch(name):
    X, _ = blobs()
    a, b = (least(name, batch_size=size).fit(X) for size in (N_SAMPLES, 10**9))
    assert_same_fit(a, b)
