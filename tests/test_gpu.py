"""On a GPU: the same results as promised on the CPU, and the way back to it."""

import pickle

import numpy as np
import pytest
import torch

from sklearn_deepcluster.inspection._importance import _backward_of_recurrent
from sklearn_deepcluster.inspection._layers import evaluating
from tests._instances import ESTIMATORS, GlobalDraws, blobs, tiny, tiny_autoencoder
from tests.test_reproducibility import global_state

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


def test_a_network_of_the_user_may_live_on_the_gpu():
    X, _ = blobs()
    module = GlobalDraws(16).cuda()
    first, second = (
        tiny_autoencoder(module=module, device="cuda", random_state=0).fit(X) for _ in range(2)
    )
    assert (first.transform(X) == second.transform(X)).all()


@pytest.mark.parametrize("name", ["ConvAutoencoder", "DTKC", "RDDC"])
def test_the_flags_of_cudnn_are_as_before(name):
    """What they are within a fit is tested without a GPU."""
    before = global_state()
    estimator = tiny(name).set_params(device="cuda").fit(blobs()[0])
    estimator.transform(blobs()[0])
    np.testing.assert_equal(global_state(), before)


def test_importance_has_gradients_of_recurrent_layers():
    X, _ = blobs()
    estimator = tiny("RDDC").set_params(device="cuda").fit(X)
    module, rows = estimator._fitted(X)
    x = rows.take(torch.arange(4)).requires_grad_()
    with evaluating(module), _backward_of_recurrent(module):
        module.encode(x).sum().backward()
    assert torch.isfinite(x.grad).all() and (x.grad != 0).any()


def test_a_memory_map_goes_to_the_gpu(tmp_path):
    X, _ = blobs()
    X.tofile(tmp_path / "x.bin")
    mapped = np.memmap(tmp_path / "x.bin", dtype=X.dtype, mode="r", shape=X.shape)
    a, b = (tiny("DEC").set_params(device="cuda").fit(rows) for rows in (X, mapped))
    assert (a.labels_ == b.labels_).all() and (a.transform(X) == b.transform(mapped)).all()
