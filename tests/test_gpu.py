"""On a GPU: the same results as promised on the CPU, and the way back to it."""

import pickle

import numpy as np
import pytest
import torch

from tests._instances import ESTIMATORS, blobs, tiny

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("name", ESTIMATORS)
def test_fit_on_the_gpu_predict_on_both(name):
    X, _ = blobs()
    estimator = tiny(name).set_params(device="cuda").fit(X)
    embedding = estimator.transform(X)
    assert isinstance(embedding, np.ndarray) and embedding.dtype == np.float32
    assert next(estimator.module_.parameters()).device.type == "cuda"
    stored = pickle.loads(pickle.dumps(estimator))
    assert next(stored.module_.parameters()).device.type == "cpu"
    on_cpu = stored.set_params(device="cpu").transform(X)
    np.testing.assert_allclose(on_cpu, embedding, rtol=1e-3, atol=1e-4)
    if hasattr(estimator, "labels_"):
        assert (estimator.predict(X) == estimator.labels_).all()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_same_seed_same_result_on_the_gpu(name):
    X, _ = blobs()
    first, second = (tiny(name).set_params(device="cuda").fit(X) for _ in range(2))
    assert (first.transform(X) == second.transform(X)).all()


def test_auto_is_the_gpu():
    X, _ = blobs()
    estimator = tiny("Autoencoder").set_params(device="auto").fit(X)
    assert next(estimator.module_.parameters()).device == torch.device("cuda", 0)
