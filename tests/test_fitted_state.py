"""The fitted state of an estimator changes as a whole: a fit that fails leaves the last one."""

import copy

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from sklearn_deepcluster import KMeansNet
from sklearn_deepcluster._engine import Callback
from tests._instances import (
    CLUSTERERS,
    DENSE_ONLY,
    ESTIMATORS,
    IMAGE,
    KINDS,
    N_FEATURES,
    N_SAMPLES,
    REPRESENTATIONS,
    SEQUENTIAL,
    assert_same_fit,
    blobs,
    fitted,
    fitted_state,
    least,
    tiny_autoencoder,
)

every_estimator = pytest.mark.parametrize("name", ESTIMATORS)
every_clusterer = pytest.mark.parametrize("name", CLUSTERERS)
from_both = pytest.mark.parametrize("warm_start", [False, True], ids=["anew", "going on"])


def state_of(estimator):
    """The fitted state to compare, with copies of all values, and what the estimator gives."""
    X, _ = blobs()
    state = copy.deepcopy(fitted_state(estimator))
    state["training"] = {name: m.training for name, m in estimator.module_.named_modules()}
    for method in ("predict", "transform", "predict_proba"):
        if hasattr(estimator, method):
            state[method] = getattr(estimator, method)(X)
    return state


def assert_refit_fails(estimator, error, X=None, **params):
    """Assert that a refit with these parameters fails, and leaves what was fitted."""
    before, objects = state_of(estimator), dict(vars(estimator))
    kept = estimator.get_params(deep=False)
    with pytest.raises(error):
        estimator.set_params(**params).fit(blobs()[0] if X is None else X)
    estimator.set_params(**{name: kept[name] for name in params})
    after = vars(estimator)
    assert after.keys() == objects.keys()
    assert all(after[name] is objects[name] for name in objects if name.endswith("_"))
    state = state_of(estimator)
    assert state.keys() == before.keys()
    for name, value in before.items():
        np.testing.assert_equal(state[name], value, err_msg=name)


def refitting(name, warm_start=False):
    return copy.deepcopy(fitted(name)).set_params(warm_start=warm_start)


class InterruptAtTheEnd(Callback):
    """Ctrl-C when an epoch was trained."""

    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


@from_both
@every_estimator
def test_a_fit_that_diverges_leaves_the_last_one(name, warm_start):
    X, _ = blobs()
    params = {"optimizer": "sgd", "lr": 1e30}
    assert_refit_fails(refitting(name, warm_start), FloatingPointError, 1000 * X, **params)


@every_clusterer
def test_several_runs_that_diverge_leave_the_last_fit(name):
    params = {"optimizer": "sgd", "lr": 1e30, "n_init": 2}
    assert_refit_fails(refitting(name), FloatingPointError, **params)


@from_both
@every_estimator
def test_an_interrupt_leaves_the_last_fit(name, warm_start):
    estimator = refitting(name, warm_start)
    assert_refit_fails(estimator, KeyboardInterrupt, callbacks=[InterruptAtTheEnd()])


@from_both
@every_estimator
def test_what_is_refused_leaves_the_last_fit(name, warm_start):
    X, _ = blobs()
    estimator = refitting(name, warm_start)
    assert_refit_fails(estimator, ValueError, lr=-1.0)
    assert_refit_fails(estimator, ValueError, net_params={"no_such_thing": 1})
    assert_refit_fails(estimator, ValueError, callbacks=[None])
    # A table tells names, which is not to be seen where one of its values is refused.
    table = pd.DataFrame(X[:, ::2]).add_prefix("f")
    table.iloc[1, 1] = np.inf
    assert_refit_fails(estimator, ValueError, table)
    sparse = csr_array(X)
    sparse.data[1] = np.inf
    assert_refit_fails(estimator, TypeError if name in DENSE_ONLY else ValueError, sparse)
    if name in CLUSTERERS:
        assert_refit_fails(estimator, ValueError, n_clusters=N_SAMPLES + 1)


@every_estimator
def test_a_refit_leaves_nothing_of_the_first(name):
    """Columns with names and samples with a shape, then fewer columns with neither."""
    X, _ = blobs()
    fewer = np.ascontiguousarray(X[:, : N_FEATURES // 2])
    table = pd.DataFrame(X).add_prefix("f")
    estimator = least(name).fit(table)
    assert hasattr(estimator, "feature_names_in_")
    fresh = least(name).fit(fewer)
    assert vars(estimator.fit(fewer)).keys() == vars(fresh).keys()
    assert not hasattr(estimator, "feature_names_in_")
    assert_same_fit(estimator, fresh)
    # What a shape of samples leaves is the shared part's.
    if name in (*KINDS, *REPRESENTATIONS) and name not in SEQUENTIAL:
        estimator.fit(X.reshape(-1, *IMAGE))
        assert estimator.sample_shape_ == IMAGE
        assert_same_fit(estimator.fit(fewer), fresh)


def test_a_partial_fit_that_fails_leaves_the_last_state():
    X, _ = blobs()
    network = tiny_autoencoder(embedding_activation="unit_norm")
    free = {"variant": "decoupled", "optimizer": "sgd", "lr": 1e-3, "random_state": 0}
    estimator = KMeansNet(3, autoencoder=network, max_epochs=1, min_steps=10, **free).fit(X)
    before = state_of(estimator)
    estimator.set_params(lr=1e38, batch_size=50)
    with pytest.raises(FloatingPointError):
        estimator.partial_fit(X)
    estimator.set_params(lr=1e-3)
    for bad in (np.full_like(X, np.nan), X[:, :3]):
        with pytest.raises(ValueError, match="NaN|3 features"):
            estimator.partial_fit(bad)
    after = state_of(estimator)
    assert after.keys() == before.keys()
    for name, value in before.items():
        np.testing.assert_equal(after[name], value, err_msg=name)
    changed = estimator.partial_fit(X)
    assert not np.array_equal(changed.coef_, before["coef_"])
