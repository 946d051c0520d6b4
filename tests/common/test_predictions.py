"""What predict, transform and score promise, and what fit leaves behind."""

import copy

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score, pairwise_distances

from tests._instances import (
    CLUSTERERS,
    N_CLUSTERS,
    N_SAMPLES,
    ON_TOP,
    POSITIVE_SCORE,
    PRETRAINED,
    REPRESENTATIONS,
    blobs,
    fitted,
    frozen,
    least,
    least_fitted,
    tiny,
    tiny_representation,
)
from tests.common._shared import every_estimator, every_public, every_public_clusterer, outputs


@every_public_clusterer
def test_labels_equal_predict_of_the_training_data(name):
    X, y = blobs()
    estimator = copy.deepcopy(fitted(name))
    labels = estimator.fit_predict(X)
    np.testing.assert_array_equal(labels, estimator.labels_)
    np.testing.assert_array_equal(labels, estimator.predict(X))
    assert labels.dtype.kind == "i" and labels.shape == (N_SAMPLES,)
    assert adjusted_rand_score(y, labels) == 1.0


@every_public
def test_result_for_a_row_is_bitwise_that_of_the_row_alone(name):
    X, _ = blobs()
    estimator = fitted(name)
    whole = outputs(estimator, X)
    for i in (0, 17, 255, 256, N_SAMPLES - 1):
        for method, one in outputs(estimator, X[i : i + 1]).items():
            np.testing.assert_array_equal(one, whole[method][i : i + 1], err_msg=method)


@every_public
@pytest.mark.parametrize("size", [2, 7, 128, 255, 257])
def test_result_does_not_depend_on_how_rows_are_grouped(name, size):
    X, _ = blobs()
    estimator = fitted(name)
    whole = outputs(estimator, X)
    for start in range(0, N_SAMPLES, size)[:12]:
        part = slice(start, start + size)
        for method, some in outputs(estimator, X[part]).items():
            np.testing.assert_array_equal(some, whole[method][part], err_msg=method)


@every_public
def test_result_does_not_depend_on_the_order_of_rows(name):
    X, _ = blobs()
    estimator = fitted(name)
    order = np.random.RandomState(0).permutation(N_SAMPLES)
    whole = outputs(estimator, X)
    for method, shuffled in outputs(estimator, X[order]).items():
        np.testing.assert_array_equal(shuffled, whole[method][order], err_msg=method)


@every_estimator
def test_results_are_float32_and_proba_sums_to_one(name):
    X, _ = blobs()
    estimator = fitted(name)
    Z = estimator.transform(X.astype(np.float64))
    assert Z.dtype == np.float32 and Z.shape == (N_SAMPLES, estimator.n_components_)
    assert np.isfinite(Z).all()
    np.testing.assert_array_equal(least(name).fit_transform(X), least_fitted(name).transform(X))
    if hasattr(estimator, "inverse_transform"):
        back = estimator.inverse_transform(Z)
        assert back.dtype == np.float32 and back.shape == X.shape
    if hasattr(estimator, "predict_proba"):
        proba = estimator.predict_proba(X)
        assert proba.dtype == np.float32 and proba.shape == (N_SAMPLES, N_CLUSTERS)
        np.testing.assert_allclose(proba.sum(1), 1.0, rtol=1e-5)
        np.testing.assert_array_equal(proba.argmax(1), estimator.predict(X))


@every_estimator
def test_score_is_a_deterministic_number(name):
    X, _ = blobs()
    estimator = fitted(name)
    score = estimator.score(X)
    assert type(score) is float and np.isfinite(score)
    assert (score > 0) == (name in POSITIVE_SCORE)
    assert score == estimator.score(X, np.zeros(N_SAMPLES)) == estimator.score(X)
    assert score != estimator.score(X[:10])


@every_estimator
def test_fitted_attributes_are_plain(name):
    plain = (bool, int, float, str, tuple, np.ndarray)
    estimator = fitted(name)
    for attribute, value in vars(estimator).items():
        if attribute in ("module_", "history_") or not attribute.endswith("_"):
            continue
        assert isinstance(value, plain), attribute
    assert isinstance(estimator.module_, torch.nn.Module)
    assert not estimator.module_.training
    assert all(p.grad is None for p in estimator.module_.parameters())
    assert estimator.n_iter_ == len(estimator.history_["loss"])
    losses = estimator.history_["loss"]
    assert 0 <= estimator.kept_epoch_ <= estimator.n_iter_
    assert estimator.loss_ == losses[max(estimator.kept_epoch_, 1) - 1]
    for term, values in estimator.history_.items():
        assert type(values) is list and values, term
        assert all(type(v) is float and np.isfinite(v) for v in values), term


@every_estimator
def test_fit_moves_the_weights_it_should(name):
    """The loss falls, so the optimiser really has hold of the network."""
    X, _ = blobs()
    history = fitted(name).history_
    losses = history.get("pretraining_loss", history["loss"])
    assert losses[-1] < losses[0]
    if name in PRETRAINED:
        start = tiny_representation(name, random_state=0).fit(X)
        before, after = start.module_.encoder, frozen(name, start).fit(X).module_.encoder
        for old, new in zip(before.parameters(), after.parameters(), strict=True):
            assert torch.equal(old, new) == (name in ON_TOP)


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_a_representation_need_not_be_trained(name):
    X, _ = blobs()
    one, other = (tiny(name, max_epochs=0, min_steps=0).fit(X) for _ in range(2))
    assert one.history_ == {"loss": []} and one.n_iter_ == one.kept_epoch_ == 0
    assert np.isnan(one.loss_) and np.isfinite(one.transform(X)).all()
    np.testing.assert_array_equal(one.transform(X), other.transform(X))


@pytest.mark.parametrize("name", CLUSTERERS)
def test_inertia_is_the_sum_of_squared_distances_to_the_nearest_centre(name):
    X, _ = blobs()
    estimator = fitted(name)
    gaps = pairwise_distances(estimator.transform(X), estimator.cluster_centers_).min(axis=1)
    assert type(estimator.inertia_) is float
    assert estimator.inertia_ == pytest.approx(np.square(gaps, dtype=np.float64).sum(), rel=1e-4)
