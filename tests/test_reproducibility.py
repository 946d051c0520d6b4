"""The same seed gives the same bits, and no global state is read or written."""

import copy
import functools
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone

from tests._instances import (
    CLUSTERERS,
    ESTIMATORS,
    KINDS,
    PRETRAINED,
    GlobalDraws,
    Normalised,
    accepts,
    assert_same_fit,
    blobs,
    least,
    prefix_of,
    pretrained,
    same_weights,
    tiny_autoencoder,
)

every_estimator = pytest.mark.parametrize("name", ESTIMATORS)


@pytest.fixture(autouse=True)
def one_torch_thread():
    """Results are promised per number of torch threads: hold it at one, here and in workers.

    Sums are split between threads, so two threads can give other last bits than one. Threads that
    joblib starts in this process take over its number; worker processes are told theirs by
    ``inner_max_num_threads``.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def noisy(name, **params):
    """A tiny instance whose training draws everything that can be drawn."""
    params = {"random_state": 0} | params
    if name == "DEKM":
        params["target"] = "random"
    noise = f"{prefix_of(name)}noise"
    estimator = least(name, **params)
    draws = {noise: 0.2} if accepts(name, noise) else {}
    return estimator.set_params(**draws)


@functools.cache
def expected(name, precision="float32", seed=0):
    """One fit that many tests compare with."""
    return noisy(name, precision=precision, random_state=seed).fit(blobs()[0])


@every_estimator
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_one_seed_gives_one_result(name, precision):
    again = clone(expected(name, precision)).fit(blobs()[0])
    assert_same_fit(expected(name, precision), again)


@every_estimator
def test_another_seed_gives_another_result(name):
    assert not same_weights(expected(name), expected(name, seed=1))


@every_estimator
def test_refitting_gives_the_first_result(name):
    again = copy.deepcopy(expected(name)).fit(blobs()[0])
    assert_same_fit(expected(name), again)


@every_estimator
def test_without_a_seed_results_differ_whatever_the_global_seed(name):
    X, _ = blobs()
    fits = []
    for _ in range(2):
        np.random.seed(0)
        torch.manual_seed(0)
        random.seed(0)
        fits.append(noisy(name, random_state=None).fit(X))
    assert not same_weights(*fits)


@every_estimator
def test_a_random_state_instance_is_drawn_from(name):
    X, _ = blobs()
    shared = np.random.RandomState(0)
    first, second = (noisy(name, random_state=shared).fit(X) for _ in range(2))
    assert not same_weights(first, second)
    again = noisy(name, random_state=np.random.RandomState(0)).fit(X)
    assert_same_fit(first, again)


@pytest.mark.parametrize("name", [name for name in KINDS if name in PRETRAINED])
def test_the_nested_seed_wins(name):
    X, _ = blobs()
    seeds = [(0, None), (1, None), (0, 7), (1, 7)]
    losses = [
        pretrained(name, random_state=outer, **{f"{prefix_of(name)}random_state": inner})
        .fit(X)
        .history_["pretraining_loss"]
        for outer, inner in seeds
    ]
    assert losses[0] != losses[1]
    assert losses[2] == losses[3]
    assert losses[2] not in losses[:2]


# -- processes and threads -----------------------------------------------------------------------


def test_workers_give_the_same_results():
    """One test: it is starting the processes that takes time. Restarts are the base's."""
    X, _ = blobs()
    serial = {name: noisy(name, n_init=2).fit(X) for name in ("DEC", "DTKC")}
    for backend in ({"backend": "threading"}, {"backend": "loky", "inner_max_num_threads": 1}):
        with joblib.parallel_config(**backend):
            for name, fit in serial.items():
                assert_same_fit(fit, noisy(name, n_init=2, n_jobs=2).fit(X))
            fits = joblib.Parallel(n_jobs=2)(
                joblib.delayed(clone(expected(n)).fit)(X) for n in KINDS
            )
        for name, fit in zip(KINDS, fits, strict=True):
            assert_same_fit(expected(name), fit)


def fit_in_threads(estimators, X):
    """Fit all at the same time: every thread waits for the others before it starts."""
    start = threading.Barrier(len(estimators))

    def fit(estimator):
        start.wait()
        return estimator.fit(X)

    with ThreadPoolExecutor(len(estimators)) as pool:
        return list(pool.map(fit, estimators))


@every_estimator
def test_seeds_hold_when_fits_run_in_parallel_threads(name):
    estimators = [clone(expected(name, seed=seed)) for seed in range(2)]
    for seed, fit in enumerate(fit_in_threads(estimators, blobs()[0])):
        assert_same_fit(expected(name, seed=seed), fit)


def test_seeds_hold_in_threads_for_modules_that_draw_globally():
    X, _ = blobs()
    seeds = range(4)

    def estimators():
        return [
            tiny_autoencoder(module=GlobalDraws, random_state=seed)
            if seed % 2
            else least("IDEC", autoencoder__module=GlobalDraws, random_state=seed)
            for seed in seeds
        ]

    serial = [estimator.fit(X) for estimator in estimators()]
    for a, b in zip(serial, fit_in_threads(estimators(), X), strict=True):
        assert_same_fit(a, b)


# What makes the network is the representation's: all kinds of modules there, one in every method.
OF_THE_USER = {"a class": GlobalDraws, "normalised": Normalised, "a module": GlobalDraws(16)}


@pytest.mark.parametrize(
    ("name", "parameter", "kind"),
    [
        (name, parameter, kind)
        for name in ESTIMATORS
        for parameter in ("module", "autoencoder__module")
        if accepts(name, parameter)
        for kind in OF_THE_USER
        if kind == "normalised" or name in ("Autoencoder", "DEC")
    ],
)
def test_seeds_hold_for_modules_of_the_user(name, parameter, kind):
    X, _ = blobs()
    first, second = (least(name, **{parameter: OF_THE_USER[kind]}).fit(X) for _ in range(2))
    assert_same_fit(first, second)
    if name in CLUSTERERS:
        np.testing.assert_array_equal(first.labels_, first.predict(X))


def test_a_given_module_is_copied_not_trained():
    X, _ = blobs()
    module = GlobalDraws(16)
    before = copy.deepcopy(module.state_dict())
    estimator = tiny_autoencoder(module=module, random_state=0).fit(X)
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert not torch.equal(before["decoder.weight"], estimator.module_.decoder.weight)


# -- global state --------------------------------------------------------------------------------


def global_state():
    """All global settings that a fit could disturb."""
    return {
        "random": random.getstate(),
        "numpy": np.random.get_state(),
        "numpy errors": np.geterr(),
        "torch": torch.random.get_rng_state().numpy().copy(),
        "threads": torch.get_num_threads(),
        "interop threads": torch.get_num_interop_threads(),
        "dtype": torch.get_default_dtype(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "mkldnn": torch.backends.mkldnn.enabled,
        "mkldnn matmul": torch.backends.mkldnn.matmul.fp32_precision,
        "mkldnn conv": torch.backends.mkldnn.conv.fp32_precision,
        "cuda matmul": torch.backends.cuda.matmul.fp32_precision,
        "cudnn conv": torch.backends.cudnn.conv.fp32_precision,
        "cudnn rnn": torch.backends.cudnn.rnn.fp32_precision,
        "cudnn benchmark": torch.backends.cudnn.benchmark,
        "cudnn deterministic": torch.backends.cudnn.deterministic,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "anomaly": torch.is_anomaly_enabled(),
    }


@pytest.mark.parametrize(
    ("name", "random_state"), [(name, None) for name in ESTIMATORS] + [(name, 0) for name in KINDS]
)
def test_global_state_is_untouched(name, random_state):
    X, _ = blobs()
    before = global_state()
    estimator = noisy(name, random_state=random_state).fit(X)
    np.testing.assert_equal(global_state(), before)
    for method in ("transform", "predict", "predict_proba", "score"):
        if hasattr(estimator, method):
            getattr(estimator, method)(X)
    np.testing.assert_equal(global_state(), before)


@pytest.mark.parametrize("random_state", [0, None])
def test_global_state_is_restored_around_modules_that_draw_globally(random_state):
    X, _ = blobs()
    before = global_state()
    least("IDEC", autoencoder__module=GlobalDraws, random_state=random_state).fit(X)
    np.testing.assert_equal(global_state(), before)


@every_estimator
def test_global_state_is_untouched_by_a_fit_that_fails(name):
    X, _ = blobs()
    before = global_state()
    with pytest.raises(FloatingPointError):
        noisy(name, optimizer="sgd", lr=1e30).fit(X)
    np.testing.assert_equal(global_state(), before)


@every_estimator
def test_the_default_dtype_of_the_user_changes_nothing(name):
    X, _ = blobs()
    fit = expected(name)
    torch.set_default_dtype(torch.float64)
    try:
        estimator = clone(fit).fit(X)
        Z = estimator.transform(X)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same_fit(fit, estimator)
    assert Z.dtype == np.float32
    np.testing.assert_array_equal(Z, fit.transform(X))


@every_estimator
def test_fit_works_where_the_caller_has_switched_gradients_off(name):
    with torch.no_grad():
        estimator = clone(expected(name)).fit(blobs()[0])
        assert not torch.is_grad_enabled()
    assert_same_fit(expected(name), estimator)
