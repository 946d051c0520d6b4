"""A fitted model serves several threads: each is answered as if it were alone."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests._instances import CLUSTERERS, KINDS, REPRESENTATIONS, blobs, fitted
from tests.common._shared import every_estimator

N_THREADS = 8


def in_threads(function):
    """Results of function(i), i < 8, all of which start together."""
    start = threading.Barrier(N_THREADS)

    def run(i):
        start.wait()
        return function(i)

    with ThreadPoolExecutor(N_THREADS) as pool:
        return list(pool.map(run, range(N_THREADS)))


# What answers, and finds out by which blocks, is shared.
@pytest.mark.parametrize("name", [*KINDS, *REPRESENTATIONS])
def test_eight_threads_are_answered_as_one(name):
    X, _ = blobs()
    model = copy.deepcopy(fitted(name))  # which has not answered yet
    parts = [X[i : i + 1 + 20 * i] for i in range(N_THREADS)]
    alone = copy.deepcopy(model)
    methods = ["transform", "predict"] if name in CLUSTERERS else ["transform"]
    for method in methods:
        found = in_threads(lambda i, method=method: getattr(model, method)(parts[i]))
        for part, answer in zip(parts, found, strict=True):
            np.testing.assert_array_equal(answer, getattr(alone, method)(part))


@pytest.mark.gpu
@every_estimator
def test_eight_threads_move_a_model_to_the_gpu(name):
    X, _ = blobs()
    model = copy.deepcopy(fitted(name)).set_params(device="cuda")
    found = in_threads(lambda i: model.transform(X))
    for answer in found:
        np.testing.assert_array_equal(answer, found[0])


@every_estimator
def test_a_model_moves_for_all_threads_at_once(name, monkeypatch):
    """One thread goes on with the module that it has while another one moves it."""
    from sklearn_deepcluster import base

    model = copy.deepcopy(fitted(name))
    before = model.module_
    elsewhere = base.torch.device("meta")
    moved = model._module_on(elsewhere)
    assert moved is model.module_ and moved is not before
    assert all(p.device.type == "cpu" for p in before.parameters())
    assert all(p.device.type == "meta" for p in moved.parameters())
