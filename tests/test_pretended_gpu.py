"""What a GPU would refuse or wait for, seen without one: see ``_pretend``."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from torch.utils.data import TensorDataset

from sklearn_deepcluster._engine import Rows, Standard, _rows, generator
from sklearn_deepcluster._engine._net import IndexedNet
from sklearn_deepcluster.cluster import _graph_choices, _start
from sklearn_deepcluster.inspection._importance import _backward_of_recurrent
from sklearn_deepcluster.nn import MaskingNoise
from sklearn_deepcluster.representation._base import user_module
from sklearn_deepcluster.representation._encoders import user_encoder
from tests._instances import ESTIMATORS, GlobalDraws, blobs, least, tiny_autoencoder
from tests._pretend import DEVICE, NAME, There, pretended

X = blobs()[0][:60]


@pytest.fixture(autouse=True)
def quick_start(monkeypatch):
    """Nothing is to be learned here."""
    for name, value in {"KMEANS_STARTS": 2, "START_STEPS": 2, "MAX_START_STEPS": 2}.items():
        monkeypatch.setattr(_start, name, value)
    monkeypatch.setattr(_graph_choices, "N_PARTS", 1)


def there(name, **params):
    return least(name, device=NAME, precision="float32", **params)


# -- the pretence itself ---------------------------------------------------------------------------


def test_the_device_refuses_what_a_gpu_refuses():
    a, b = torch.ones(3), torch.ones(3, dtype=torch.float64)
    with pretended() as pretend:
        x = a.to(DEVICE)
        assert isinstance(x, There) and x.device == DEVICE
        assert torch.equal((x + x.sum() + 1).cpu(), torch.full((3,), 5.0))
        with pytest.raises(RuntimeError, match="same device"):
            x + a
        with pytest.raises(RuntimeError, match="same device"):
            a[x.long()]
        with pytest.raises(TypeError, match="float64"):
            b.to(DEVICE)
        with pytest.raises(RuntimeError, match="generator"):
            torch.rand(2, device=DEVICE, generator=generator(0))
        assert torch.rand(2, device=DEVICE, generator=generator(0, DEVICE)).device == DEVICE
        before = pretend.n_waits
        float(x.sum())
        assert pretend.n_waits == before + 1


# -- every method: nothing is on another device than what it meets ---------------------------------


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_fit_and_its_predictions_stay_on_the_device(name):
    with pretended(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of empty clusters
        estimator = there(name).fit(X)
        assert {p.device for p in estimator.module_.parameters()} == {DEVICE}
        z = estimator.transform(X)
        assert z.dtype == np.float32 and np.isfinite(z).all()
        if hasattr(estimator, "labels_"):
            np.testing.assert_array_equal(estimator.predict(X), estimator.labels_)
        for method in ("predict_proba", "score"):
            if hasattr(estimator, method):
                getattr(estimator, method)(X)
        if hasattr(estimator, "inverse_transform"):
            assert estimator.inverse_transform(z).shape == X.shape
        stored = pickle.dumps(estimator)
    on_cpu = pickle.loads(stored).set_params(device="cpu")
    np.testing.assert_allclose(on_cpu.transform(X), z, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("DEC", "a memory map"), ("DTKC", "a memory map"), ("DEC", "by index"), ("RDDC", "by index")],
)
def test_rows_that_do_not_fit_go_there_batch_by_batch(name, kind, tmp_path):
    if kind == "a memory map":
        X.tofile(tmp_path / "x.bin")
        rows = np.memmap(tmp_path / "x.bin", dtype=X.dtype, mode="r", shape=X.shape)
    else:
        rows = list(X) if name == "RDDC" else TensorDataset(torch.from_numpy(X.copy()))
    with pretended():
        resident = there(name).fit(X)
    with pretended(free=0):
        not_resident = there(name).fit(rows)
        np.testing.assert_array_equal(not_resident.predict(rows), resident.labels_)


@pytest.fixture
def epochs(monkeypatch):
    """Of each epoch or round: how often it waited for the device, and how much went up."""
    seen, run = [], IndexedNet.run_single_epoch

    def noted(self, *args, **kwargs):
        before = pretend.n_waits, pretend.n_uploads
        run(self, *args, **kwargs)
        seen.append((pretend.n_waits - before[0], pretend.n_uploads - before[1]))

    monkeypatch.setattr(IndexedNet, "run_single_epoch", noted)
    with pretended() as pretend:
        yield seen


# Others wait once a step: recurrent networks, whose sequences are packed by their lengths, and
# SpectralNet on a device without float64.
@pytest.mark.parametrize("name", ["Autoencoder", "DEC", "DTKC", "KNet"])
def test_more_steps_wait_for_the_device_no_more_often(name, epochs):
    """Nor does anything go up in them but the order of the rows, once for all of them."""
    waits = []
    for steps in (3, 6):
        epochs.clear()
        params = {"batch_size": 60 // steps}
        if name == "KNet":
            params = {"batch_size": 10, "update_interval": steps}
        there(name, **params).fit(X)
        waits.append(max(epoch[0] for epoch in epochs))
        assert max(epoch[1] for epoch in epochs) <= 1
    assert waits[0] == waits[1]


# -- parts -----------------------------------------------------------------------------------------


def test_rows_go_up_in_chunks_and_are_never_there_twice(monkeypatch):
    standard = Standard(np.full(16, 0.5), 3.0)
    expected = Rows(X, standard=standard).take(torch.tensor([59, 3]))
    monkeypatch.setattr(_rows, "CHUNK_ROWS", 16)
    sizes, tensor = [], Rows._tensor

    def noted(self, where):
        part = tensor(self, where)
        sizes.append(len(part))
        return part

    monkeypatch.setattr(Rows, "_tensor", noted)
    monkeypatch.setattr(torch, "cat", lambda *args, **kwargs: pytest.fail("twice"))
    with pretended():
        rows = Rows(X, standard=standard, device=DEVICE)
        assert sizes == [16, 16, 16, 12]
        batch = rows.batch(torch.tensor([59, 3]))
        assert batch.x.device == batch.index.device == DEVICE
        taken = batch.x.cpu()
    assert torch.equal(taken, expected)


def test_the_users_modules_may_live_on_the_device():
    with pretended():
        module = GlobalDraws(16).to(DEVICE)
        encoder, decoder, width = user_module(module, 16, (16,), 0)
        network, _ = user_encoder(module.encoder, 16, (16,), 0, sequential=False)
        for part in (encoder, decoder, network):
            assert {p.device.type for p in part.parameters()} == {"cpu"}
        assert {p.device for p in module.parameters()} == {DEVICE}
        fit = tiny_autoencoder(module=module, min_steps=2, device=NAME, precision="float32").fit(X)
        assert {p.device for p in fit.module_.parameters()} == {DEVICE}


def test_recurrent_layers_have_gradients_where_cudnn_wants_training_mode():
    network = torch.nn.Sequential(torch.nn.GRU(3, 2, 2, dropout=0.5), torch.nn.Dropout(0.5)).eval()
    before = copy.deepcopy(network)
    with _backward_of_recurrent(network):
        assert network[0].training and network[0].dropout == 0.0
        assert not network[1].training
    assert network[0].dropout == before[0].dropout


def test_dropout_draws_where_there_are_no_64_bits(monkeypatch):
    class Device:
        type = "mps"

    class OnMps(torch.Tensor):
        device = Device()

    layer = MaskingNoise(0.25).train()
    layer.generator = generator(0)
    kept = layer(torch.ones(100, 100).as_subclass(OnMps)).as_subclass(torch.Tensor)
    assert abs(float((kept == 0).float().mean()) - 0.25) < 0.02
