"""Weights get to all that a method makes of its rows; what it makes of them is tested elsewhere."""

import inspect

import numpy as np
import pytest

from sklearn_deepcluster.cluster import (
    _aec,
    _base,
    _dcn,
    _ddc,
    _dec,
    _dekm,
    _depict,
    _dkm,
    _kmeans_layer,
    _start,
    _tell,
    _vade,
)
from tests._instances import blobs, least

WEIGHTS = np.random.RandomState(0).randint(1, 4, len(blobs()[0]))

LABELLED = {"semi_supervised": True}
DECOUPLED = {"variant": "decoupled"}
# Method, where its module has a function with a weight, that function.
OF_ALL_ROWS = [
    ("AEC", _aec, "means_of", {}),
    ("AEC", _start, "best_kmeans", {}),
    ("AEC", _start, "seed_rows", {"init": "random"}),
    ("DEC", _dec, "target_distribution", {}),
    ("DEC", _start, "cluster_means", {}),
    ("DEC", _start, "cluster_means", {"init": "ac-mod"}),
    ("DBC", _dec, "target_distribution", {}),
    ("DEKM", _dekm, "cluster_means", {}),
    ("DEKM", _dekm, "within_scatter", {}),
    ("DEPICT", _base, "cluster_means", {}),
    ("DEPICT", _depict, "known_clusters", LABELLED),
    ("DEPICT", _depict, "nearest_mean_softmax", {}),
    ("DEPICT", _depict, "ranked_prior", {"prior": "start"}),
    ("DEPICT", _depict, "target_distribution", {"warm_up_epochs": 0}),
    ("DDC", _ddc, "ranked_prior", {"init": "k-means", "prior": "start"}),
    ("DDC", _start, "best_kmeans", {"init": "k-means"}),
    ("DKM", _dkm, "variances", {}),
    ("KMeansNet", _kmeans_layer, "softness", DECOUPLED),
    ("KMeansNet", _tell, "softness", {}),
    ("VaDE", _vade, "moments", {}),
    ("VaDE", _vade, "variances", {}),
]
OF_A_BATCH = [("DCN", _dcn, "moved_centers", {}), ("KMeansNet", _tell, "move_centers", {})]


def weights_given(monkeypatch, name, module, function, params):
    """The weights that a function gets in a fit with some."""
    original, given = getattr(module, function), []

    def spy(*args, **kwargs):
        bound = inspect.signature(original).bind(*args, **kwargs)
        given.append(bound.arguments.get("weight"))
        return original(*args, **kwargs)

    monkeypatch.setattr(module, function, spy)
    X, y = blobs()
    least(name, **params).fit(X, y if params is LABELLED else None, sample_weight=WEIGHTS)
    assert given
    return given


@pytest.mark.parametrize(("name", "module", "function", "params"), OF_ALL_ROWS)
def test_what_is_made_of_all_rows_has_their_weights(name, module, function, params, monkeypatch):
    for weight in weights_given(monkeypatch, name, module, function, params):
        np.testing.assert_allclose(weight, WEIGHTS / WEIGHTS.mean(), rtol=1e-6)


@pytest.mark.parametrize(("name", "module", "function", "params"), OF_A_BATCH)
def test_what_is_made_of_a_batch_has_its_weights(name, module, function, params, monkeypatch):
    of_a_row = {float(w) for w in (WEIGHTS / WEIGHTS.mean()).astype(np.float32)}
    for weight in weights_given(monkeypatch, name, module, function, params):
        assert set(weight.tolist()) <= of_a_row


@pytest.mark.parametrize("prior", [None, "start"])
def test_a_start_in_some_rows_has_their_weights(prior, monkeypatch):
    original, given = _start.best_kmeans, []

    def spy(z, n_clusters, seed, weight):
        given.append(weight)
        return original(z, n_clusters, seed, weight)

    monkeypatch.setattr(_start, "best_kmeans", spy)
    monkeypatch.setattr(_start, "START_BYTES", 1)
    monkeypatch.setattr(_start, "WIDE_START_ROWS", 40)
    model = least("DDC", init="k-means", prior=prior).fit(blobs()[0], sample_weight=WEIGHTS)
    seen = model.initial_labels_ >= 0
    assert seen.sum() == 40
    np.testing.assert_allclose(given[0], (WEIGHTS / WEIGHTS.mean())[seen])


def test_k_means_of_each_round_has_weights(monkeypatch):
    given = []

    class Recorder(_dekm.KMeans):
        def fit(self, X, y=None, sample_weight=None):
            given.append(sample_weight)
            return super().fit(X, sample_weight=sample_weight)

    monkeypatch.setattr(_dekm, "KMeans", Recorder)
    least("DEKM", max_iter=2, tol=0.0).fit(blobs()[0], sample_weight=WEIGHTS)
    assert len(given) == 3
    for weight in given:
        np.testing.assert_allclose(weight, WEIGHTS / WEIGHTS.mean())


def test_a_layer_on_embedded_rows_has_weights(monkeypatch):
    given, original = [], _kmeans_layer.KMeansLayerLoss.forward

    def forward(loss, step):
        given.append((step.weight, step.index))
        return original(loss, step)

    monkeypatch.setattr(_kmeans_layer.KMeansLayerLoss, "forward", forward)
    least("KMeansNet", **DECOUPLED).fit(blobs()[0], sample_weight=WEIGHTS)
    for weight, index in given:
        np.testing.assert_allclose(weight, (WEIGHTS / WEIGHTS.mean())[index], rtol=1e-6)
    assert given
