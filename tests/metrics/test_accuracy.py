"""Unsupervised accuracy: the best one-to-one matching, whatever the coding of the labels."""

import itertools
import pickle

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV, cross_val_score

from sklearn_deepcluster.metrics import unsupervised_accuracy, unsupervised_accuracy_scorer


def best_over_maps(y_true, y_pred):
    """The definition: try every one-to-one map from the clusters to classes."""
    clusters, classes = np.unique(y_pred).tolist(), np.unique(y_true).tolist()
    # Surplus clusters may be mapped to nothing (None equals no class).
    targets = classes + [None] * len(clusters)
    return max(
        np.mean([m[clusters.index(c)] == y for c, y in zip(y_pred, y_true, strict=True)])
        for m in itertools.permutations(targets, len(clusters))
    )


@pytest.mark.parametrize(
    ("y_true", "y_pred", "expected"),
    [
        ([0, 0, 1, 1], [0, 0, 1, 1], 1.0),
        ([0, 0, 1, 1], [1, 1, 0, 0], 1.0),
        ([0, 0, 1, 1], [0, 0, 0, 0], 0.5),
        ([0, 0, 1, 1], [0, 1, 2, 3], 0.5),  # two of four clusters find a class
        ([0, 0, 0, 0], [0, 1, 2, 2], 0.5),
        ([0, 0, 0, 1, 1, 2], [1, 1, 0, 0, 0, 0], 4 / 6),
        ([5], [-3], 1.0),
        # The greedy choice (3 of cluster 0) would leave 0: 3 of 7; the best map has 2 + 2.
        ([0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 1, 1], 4 / 7),
    ],
)
def test_closed_forms(y_true, y_pred, expected):
    assert unsupervised_accuracy(y_true, y_pred) == pytest.approx(expected)


@pytest.mark.parametrize(("n_classes", "n_clusters"), [(3, 3), (2, 4), (4, 2), (1, 3), (3, 1)])
@pytest.mark.parametrize("seed", range(4))
def test_equals_the_best_of_all_maps(n_classes, n_clusters, seed):
    rng = np.random.RandomState(seed)
    y_true, y_pred = rng.randint(n_classes, size=25), rng.randint(n_clusters, size=25)
    expected = best_over_maps(y_true.tolist(), y_pred.tolist())
    assert unsupervised_accuracy(y_true, y_pred) == pytest.approx(expected)
    assert unsupervised_accuracy(y_pred, y_true) == pytest.approx(expected)


def test_coding_of_labels_does_not_matter():
    rng = np.random.RandomState(0)
    y_true, y_pred = rng.randint(3, size=40), rng.randint(4, size=40)
    expected = unsupervised_accuracy(y_true, y_pred)
    names = np.array(["cat", "ox", "eel"])
    codes = np.array([10_000_000, -1, 7, 500])  # a table sized by the largest label would not do
    for true in (names[y_true], names[y_true].astype(object), y_true.astype(float), y_true * 99):
        for predicted in (codes[y_pred], codes[y_pred].tolist(), codes[y_pred].astype(str)):
            assert unsupervised_accuracy(true, predicted) == expected


@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        ([0, 1], [0, 1, 1], "inconsistent numbers of samples"),
        ([], [], "y_true is empty"),
        ([0.0, np.nan], [0, 1], "y_true contains NaN"),
        ([0, 1], np.array([None, 1], dtype=object), "y_pred contains missing"),
        ([0, 1], [[0, 1], [1, 0]], "1d array"),
    ],
)
def test_bad_labels_are_named(y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        unsupervised_accuracy(y_true, y_pred)


def test_scorer_in_a_search_and_in_cross_validation():
    X, y = make_blobs(150, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    search = GridSearchCV(
        KMeans(n_init=5, random_state=0),
        {"n_clusters": [2, 3, 5]},
        scoring=unsupervised_accuracy_scorer,
        cv=3,
    ).fit(X, y)
    assert search.best_params_ == {"n_clusters": 3}
    assert search.best_score_ == 1.0
    scores = cross_val_score(
        KMeans(2, n_init=5, random_state=0), X, y, scoring=unsupervised_accuracy_scorer
    )
    assert np.all(scores < 0.9)


def test_scorer_can_be_sent_to_a_worker():
    X, y = make_blobs(60, centers=3, random_state=0)
    model = KMeans(3, n_init=2, random_state=0).fit(X)
    again = pickle.loads(pickle.dumps(unsupervised_accuracy_scorer))
    assert again(model, X, y) == unsupervised_accuracy(y, model.labels_)
