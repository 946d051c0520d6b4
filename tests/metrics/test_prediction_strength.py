"""Prediction strength: the paper's definition, its conventions, and choosing with it."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.cluster import DBSCAN, KMeans
from sklearn.datasets import make_blobs
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold, RepeatedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_deepcluster.metrics import (
    prediction_strength,
    prediction_strength_scorer,
    select_n_clusters,
)
from sklearn_deepcluster.metrics._prediction_strength import _strength

CENTERS = [[0, 0], [9, 0], [0, 9]]


@pytest.fixture(scope="module")
def blobs():
    return make_blobs(300, centers=CENTERS, random_state=1)[0]


def strength_by_loops(test_labels, predicted):
    """The definition of the paper, pair by pair."""
    shares = []
    for cluster in set(test_labels):
        members = [i for i, label in enumerate(test_labels) if label == cluster]
        pairs = [(i, j) for i in members for j in members if i != j]
        if pairs:
            shares.append(np.mean([predicted[i] == predicted[j] for i, j in pairs]))
        else:
            shares.append(1.0)
    return min(shares)


def kmeans(k=3):
    return KMeans(k, n_init=5, random_state=0)


@pytest.mark.parametrize("seed", range(6))
def test_equals_the_definition_pair_by_pair(seed):
    rng = np.random.RandomState(seed)
    test_labels = rng.randint(-1, 4, size=40).tolist() + [17]  # and a cluster of one sample
    predicted = rng.randint(3, size=41).tolist()
    assert _strength(test_labels, predicted) == pytest.approx(
        strength_by_loops(test_labels, predicted)
    )


@pytest.mark.parametrize(
    ("test_labels", "predicted", "expected"),
    [
        ([0, 0, 1, 1], [5, 5, 2, 2], 1.0),
        ([0, 0, 1, 1], [5, 5, 2, 3], 0.0),  # the worst cluster decides
        ([0, 0, 0, 1, 1], [0, 0, 1, 1, 1], 1 / 3),
        ([0, 1, 2], [0, 0, 0], 1.0),  # single samples have no pairs
        ([0, 0, 0], [1, 1, 1], 1.0),
    ],
)
def test_closed_forms(test_labels, predicted, expected):
    assert _strength(test_labels, predicted) == pytest.approx(expected)


def test_folds_equal_the_procedure_written_out(blobs):
    estimator = kmeans(4)
    result = prediction_strength(estimator, blobs, cv=3, random_state=7)
    expected = []
    for train, test in KFold(3, shuffle=True, random_state=7).split(blobs):
        predicted = clone(estimator).fit(blobs[train]).predict(blobs[test])
        expected.append(strength_by_loops(clone(estimator).fit_predict(blobs[test]), predicted))
    np.testing.assert_allclose(result.fold_values, expected)
    assert result.mean == pytest.approx(np.mean(expected))
    assert result.standard_error == pytest.approx(np.std(expected, ddof=1) / np.sqrt(3))
    assert not hasattr(estimator, "labels_")


def test_is_high_up_to_the_true_number_of_clusters_only(blobs):
    cv = RepeatedKFold(n_splits=2, n_repeats=3, random_state=0)
    mean = {k: prediction_strength(kmeans(k), blobs, cv=cv).mean for k in (1, 3, 4, 5, 6)}
    assert mean[1] == 1.0
    assert mean[3] > 0.98
    assert max(mean[k] for k in (4, 5, 6)) < 0.8


class Counted(KMeans):
    fits = 0

    def fit(self, X, y=None, sample_weight=None):
        type(self).fits += 1
        return super().fit(X)


def test_two_folds_share_their_models(blobs, monkeypatch):
    monkeypatch.setattr(Counted, "fits", 0)
    prediction_strength(Counted(3, n_init=1, random_state=0), blobs)
    assert Counted.fits == 2


@pytest.mark.parametrize("form", ["list", "frame", "float32", "images"])
def test_forms_of_input(blobs, form):
    class Flat(StandardScaler):
        def fit(self, X, y=None, sample_weight=None):
            return super().fit(np.reshape(X, (len(X), -1)))

        def transform(self, X, copy=None):
            return super().transform(np.reshape(X, (len(X), -1)))

    X = {
        "list": blobs.tolist(),
        "frame": pd.DataFrame(blobs, index=np.arange(300)[::-1]),
        "float32": blobs.astype(np.float32),
        "images": blobs[:, :, None],
    }[form]
    scaler = Flat() if form == "images" else StandardScaler()
    model = make_pipeline(scaler, kmeans(4))
    expected = prediction_strength(
        make_pipeline(StandardScaler(), kmeans(4)), blobs, random_state=0
    )
    np.testing.assert_allclose(
        prediction_strength(model, X, random_state=0).fold_values, expected.fold_values
    )


def test_same_seed_same_folds_and_workers_change_nothing(blobs):
    one = prediction_strength(kmeans(5), blobs, random_state=3)
    with parallel_config(backend="threading"):  # processes would take seconds to start
        two = prediction_strength(kmeans(5), blobs, random_state=3, n_jobs=2)
    np.testing.assert_array_equal(one.fold_values, two.fold_values)


def test_one_fold_has_no_standard_error(blobs):
    half = np.arange(150)
    result = prediction_strength(kmeans(3), blobs, cv=[(half, half + 150)])
    assert result.fold_values.shape == (1,)
    assert np.isnan(result.standard_error)


class Collapsing(ClusterMixin, BaseEstimator):
    """Puts all samples into one cluster, however many are asked for."""

    def __init__(self, n_clusters=3):
        self.n_clusters = n_clusters

    def fit(self, X, y=None):
        self.labels_ = self.predict(X)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


@pytest.mark.parametrize(("n_clusters", "expected"), [(1, 1.0), (3, 0.0)])
def test_a_collapsed_clustering_is_not_called_strong(blobs, n_clusters, expected):
    for model in (Collapsing(n_clusters), make_pipeline(StandardScaler(), Collapsing(n_clusters))):
        assert prediction_strength(model, blobs).mean == expected
        assert prediction_strength_scorer(model.fit(blobs[:150]), blobs[150:]) == expected


def test_scorer_compares_with_a_clustering_of_the_test_part(blobs):
    train, test = blobs[:150], blobs[150:]
    model = kmeans(5).fit(train)
    centers = model.cluster_centers_.copy()
    expected = strength_by_loops(kmeans(5).fit_predict(test), model.predict(test))
    assert prediction_strength_scorer(model, test) == pytest.approx(expected)
    np.testing.assert_array_equal(model.cluster_centers_, centers)


def test_search_chooses_number_and_parameter_without_labels():
    # Two columns hold the clusters and two, of a large unit, noise: clusters can be found again
    # only if the columns are scaled.
    rng = np.random.RandomState(0)
    X = make_blobs(400, centers=CENTERS, random_state=0)[0]
    X = np.column_stack([X, rng.normal(scale=200, size=(400, 2))])
    search = GridSearchCV(
        make_pipeline(StandardScaler(), kmeans()),
        {"standardscaler__with_std": [False, True], "kmeans__n_clusters": [2, 3, 4, 5]},
        scoring=prediction_strength_scorer,
        refit=partial(select_n_clusters, threshold=0.85),
        cv=RepeatedKFold(n_splits=2, n_repeats=2, random_state=0),
    ).fit(X)
    assert search.best_params_ == {"standardscaler__with_std": True, "kmeans__n_clusters": 3}
    assert len(search.predict(X)) == 400


@pytest.mark.parametrize(
    ("strengths", "threshold", "expected"),
    [
        ([1.0, 0.9, 0.85, 0.5], 0.8, 2),
        ([1.0, 0.9, 0.85, 0.5], 0.9, 1),
        ([1.0, 0.9, 0.8, np.nan], 0.8, 2),
        ([1.0, 0.2, 0.9, 0.85], 0.8, 2),  # of two candidates with 4 clusters, the stronger
    ],
)
def test_largest_number_that_is_strong_enough(strengths, threshold, expected):
    results = {"param_k__n_clusters": [2, 3, 4, 4], "mean_test_score": np.array(strengths)}
    assert select_n_clusters(results, threshold=threshold) == expected
    results["param_size"] = results.pop("param_k__n_clusters")
    assert select_n_clusters(results, threshold=threshold, param="size") == expected


def test_nothing_strong_enough_is_reported():
    results = {"param_n_clusters": [2, 3], "mean_test_score": np.array([0.3, 0.4])}
    with pytest.warns(UserWarning, match="No candidate has a prediction strength of 0.8"):
        assert select_n_clusters(results) == 1


@pytest.mark.parametrize(
    ("results", "kwargs", "message"),
    [
        ({"mean_test_score": [1.0], "param_alpha": [1]}, {}, "exactly one parameter"),
        (
            {"mean_test_score": [1.0], "param_a__n_clusters": [1], "param_b__n_clusters": [1]},
            {},
            "exactly one parameter",
        ),
        ({"mean_test_score": [1.0], "param_n_clusters": [1]}, {"param": "k"}, "param='k'"),
        ({"mean_test_acc": [1.0], "param_n_clusters": [1]}, {}, "single score"),
        ({"mean_test_score": [1.0], "param_n_clusters": [1]}, {"threshold": 1.5}, "threshold"),
    ],
)
def test_searches_that_can_not_be_read_are_named(results, kwargs, message):
    with pytest.raises(ValueError, match=message):
        select_n_clusters(results, **kwargs)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [(DBSCAN(), "predict"), (FrozenEstimator(KMeans()), "frozen")],
)
def test_estimators_that_can_not_be_compared_are_named(blobs, estimator, message):
    with pytest.raises(ValueError, match=message):
        prediction_strength(estimator, blobs)
    with pytest.raises(ValueError, match=message):
        prediction_strength_scorer(estimator, blobs)
