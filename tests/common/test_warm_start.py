"""A fit goes on from the last one."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from sklearn_deepcluster._engine import Trainer
from tests._instances import (
    CLUSTERERS,
    PRETRAINED,
    assert_same_fit,
    blobs,
    fitted,
    least_fitted,
    least_representation,
    pretrained,
    same_weights,
    slot_of,
    tiny_autoencoder,
)
from tests.common._shared import every_clusterer, every_estimator


@pytest.fixture
def stages(monkeypatch):
    """List of the stages that are trained during the test."""
    seen = []
    train = Trainer.train

    def record(self, *args, stage, **kwargs):
        seen.append(stage)
        return train(self, *args, stage=stage, **kwargs)

    monkeypatch.setattr(Trainer, "train", record)
    return seen


@every_estimator
def test_warm_start_goes_on_from_the_last_fit(name, stages):
    X, _ = blobs()
    estimator = copy.deepcopy(fitted(name)).set_params(warm_start=True)
    before = copy.deepcopy(estimator)
    stages.clear()
    estimator.fit(X)
    assert len(stages) == 1
    assert not same_weights(before, estimator)
    if name in CLUSTERERS:
        # The centres are kept, so the clusters keep their numbers.
        np.testing.assert_array_equal(estimator.labels_, before.labels_)
        np.testing.assert_array_equal(estimator.labels_, estimator.predict(X))
    else:
        assert estimator.score(X) > before.score(X)


@every_estimator
def test_without_warm_start_a_second_fit_starts_anew(name):
    X, _ = blobs()
    estimator = copy.deepcopy(least_fitted(name))
    assert_same_fit(estimator.fit(X), least_fitted(name))


@every_estimator
def test_warm_start_goes_on_after_unpickling(name):
    X, _ = blobs()
    estimator = copy.deepcopy(least_fitted(name)).set_params(warm_start=True)
    again = pickle.loads(pickle.dumps(estimator))
    assert_same_fit(estimator.fit(X), again.fit(X))


@every_estimator
def test_warm_start_refuses_data_of_another_width(name, stages):
    X, _ = blobs()
    estimator = copy.deepcopy(fitted(name)).set_params(warm_start=True)
    stages.clear()
    with pytest.raises(ValueError, match=f"9 features, but {name} is expecting 16"):
        estimator.fit(X[:, :9])
    assert stages == []


@every_clusterer
def test_warm_start_refuses_another_number_of_clusters(name, stages):
    X, _ = blobs()
    estimator = copy.deepcopy(fitted(name)).set_params(warm_start=True, n_clusters=4)
    stages.clear()
    with pytest.raises(ValueError, match="n_clusters"):
        estimator.fit(X)
    assert stages == []


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_network_that_cannot_be_is_refused_also_where_the_fit_goes_on(name):
    """It is not used then, but nothing that is wrong passes in silence."""
    X, _ = blobs()
    estimator = pretrained(name, warm_start=True).fit(X)
    narrow = least_representation(name, random_state=0).fit(X[:, :4])
    for network, error, match in (
        (FrozenEstimator(PCA(2).fit(X)), ValueError, "does not hold"),
        (FrozenEstimator(tiny_autoencoder()), NotFittedError, "not fitted"),
        (tiny_autoencoder(batch_size=0), ValueError, "batch_size"),
        (FrozenEstimator(narrow), ValueError, "was fitted on 4 features; X has 16"),
    ):
        with pytest.raises(error, match=match):
            estimator.set_params(**{slot_of(name): network}).fit(X)
