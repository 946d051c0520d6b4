"""Models are saved as data, and load as they were; damage is noticed."""

import copy
import json
import os
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import Memory
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from sklearn_deepcluster import (
    Autoencoder,
    GraphAgglomerative,
    load_model,
    persistence,
    save_model,
)
from tests._instances import (
    CLUSTERERS,
    END_TO_END,
    ESTIMATORS,
    IMAGE,
    N_CLUSTERS,
    N_FEATURES,
    GlobalDraws,
    accepts,
    assert_same_fit,
    blobs,
    fitted,
    fitted_state,
    least,
    tiny_autoencoder,
)
from tests.common._shared import every_estimator, outputs


@every_estimator
def test_saved_models_come_back_the_same(name, tmp_path):
    X, _ = blobs()
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(N_FEATURES)])
    estimator = least(name).fit(frame)
    save_model(estimator, tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert type(again) is type(estimator)
    assert repr(again) == repr(estimator)
    assert_same_fit(estimator, again)
    assert {k: type(v) for k, v in fitted_state(again).items()} == {
        k: type(v) for k, v in fitted_state(estimator).items()
    }
    for method, values in outputs(estimator, frame).items():
        np.testing.assert_array_equal(values, getattr(again, method)(frame), err_msg=method)
    assert estimator.score(frame) == again.score(frame)
    assert not again.module_.training
    assert os.listdir(tmp_path) == ["model"]


@every_estimator
def test_a_loaded_model_goes_on_with_warm_start(name, tmp_path):
    X, _ = blobs()
    estimator = copy.deepcopy(fitted(name)).set_params(warm_start=True)
    save_model(estimator, tmp_path / "model")
    assert_same_fit(estimator.fit(X), load_model(tmp_path / "model").fit(X))


@pytest.mark.parametrize(
    "name", [n for n in CLUSTERERS if accepts(n, "init") and n not in END_TO_END]
)
def test_array_parameters_are_saved(name, tmp_path):
    X, _ = blobs()
    centers = fitted(name).cluster_centers_
    save_model(least(name, init=centers).fit(X), tmp_path / "model")
    np.testing.assert_array_equal(load_model(tmp_path / "model").init, centers)


def test_saved_images_come_back_as_images(tmp_path):
    images = blobs()[0].reshape(-1, *IMAGE)
    estimator = least("DCEC").fit(images)
    save_model(estimator, tmp_path / "model")
    again = load_model(tmp_path / "model")
    prototypes = again.inverse_transform(again.cluster_centers_)
    assert prototypes.shape == (N_CLUSTERS, *IMAGE)
    np.testing.assert_array_equal(
        prototypes, estimator.inverse_transform(estimator.cluster_centers_)
    )


REFUSED = {
    "callbacks": lambda X: [object()],
    "random_state": lambda X: np.random.RandomState(0),
    "optimizer": lambda X: torch.optim.Adam,
    "device": lambda X: torch.device("cpu"),
    "module": lambda X: GlobalDraws,
    "init": lambda X: KMeans(),
    "memory": lambda X: Memory(None),
    "autoencoder": lambda X: FrozenEstimator(tiny_autoencoder().fit(X)),
    "autoencoder__callbacks": lambda X: [object()],
    "autoencoder__random_state": lambda X: np.random.RandomState(0),
    "autoencoder__optimizer": lambda X: torch.optim.Adam,
    "autoencoder__module": lambda X: GlobalDraws(N_FEATURES),
    "encoder": lambda X: torch.nn.Linear(N_FEATURES, 2),
    "encoder__n_components": lambda X: torch.tensor(2),
}


@pytest.mark.parametrize(
    ("name", "parameter"),
    [(n, p) for n in ESTIMATORS for p in REFUSED if accepts(n, p)],
)
def test_save_refuses_what_is_not_plain_and_names_it(name, parameter, tmp_path):
    X, _ = blobs()
    estimator = copy.deepcopy(fitted(name)).set_params(**{parameter: REFUSED[parameter](X)})
    with pytest.raises(ValueError, match=rf"{name}\.{parameter.replace('__', '.')}\b"):
        save_model(estimator, tmp_path / "model")
    assert os.listdir(tmp_path) == []


class Mine(Autoencoder):
    """A user's subclass: its code is not in the package."""


def test_save_refuses_estimators_from_elsewhere_and_unfitted_ones(tmp_path):
    X, _ = blobs()
    for estimator in (PCA().fit(X), Mine(min_steps=1, max_epochs=1).fit(X)):
        with pytest.raises(ValueError, match="not an estimator of this package"):
            save_model(estimator, tmp_path / "model")
    with pytest.raises(ValueError, match="GraphAgglomerative holds no network"):
        save_model(GraphAgglomerative(2).fit(X), tmp_path / "model")
    with pytest.raises(NotFittedError):
        save_model(Autoencoder(), tmp_path / "model")
    assert os.listdir(tmp_path) == []


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    save_model(fitted("IDEC"), path)
    return path


def rewrite(source, target, *, header=None, drop=()):
    """Copy a model file with other header entries or without some tensors, checksum renewed."""
    with safe_open(source, framework="pt") as file:
        metadata = dict(file.metadata()) | (header or {})
        tensors = {k: file.get_tensor(k) for k in file.keys() if k not in drop}  # noqa: SIM118
    metadata = {k: v for k, v in metadata.items() if v is not None and k != "sha256"}
    metadata["sha256"] = persistence._checksum(metadata, tensors)
    save_file(tensors, target, metadata=metadata)


def test_an_unchanged_copy_loads(model_file, tmp_path):
    rewrite(model_file, tmp_path / "copy")
    assert_same_fit(load_model(tmp_path / "copy"), fitted("IDEC"))


@pytest.mark.parametrize("where", [0.2, 0.5, 0.8, 0.999])
def test_a_flipped_bit_is_a_clear_error(where, model_file, tmp_path):
    content = bytearray(model_file.read_bytes())
    content[int(where * len(content))] ^= 1
    (tmp_path / "flipped").write_bytes(content)
    with pytest.raises(ValueError, match="flipped (is damaged|is not a readable|was not written)"):
        load_model(tmp_path / "flipped")


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.99])
def test_a_truncated_file_is_a_clear_error(keep, model_file, tmp_path):
    content = model_file.read_bytes()
    size = keep if isinstance(keep, int) else int(keep * len(content))
    (tmp_path / "short").write_bytes(content[:size])
    with pytest.raises(ValueError, match="short.* not a readable model file"):
        load_model(tmp_path / "short")


@pytest.mark.parametrize(
    "content", [b"no model at all", pickle.dumps({"a": 1}), b"\x00" * 64, b"\xff" * 64]
)
def test_another_file_is_a_clear_error(content, tmp_path):
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(ValueError, match="other is not a readable model file"):
        load_model(tmp_path / "other")


DAMAGED = {
    "foreign": {"format": "something else"},
    "no format": {"format": None},
    "newer": {"format_version": "999"},
    "no estimator": {"estimator": None},
    "no attributes": {"attributes": None},
    "broken JSON": {"estimator": "{"},
    "broken attributes": {"attributes": "[1"},
    "not a dict": {"estimator": "[1, 2]"},
    "attributes not a dict": {"attributes": "[1, 2]"},
    "unknown class": {"estimator": json.dumps({"class": "os.system", "params": {}})},
    "bad parameters": {"estimator": json.dumps({"class": "IDEC", "params": [1]})},
    "another network": {"estimator": json.dumps({"class": "IDEC", "params": {}})},
    "a method as attribute": {"attributes": json.dumps({"_rebuild_module": "x"})},
    "a class as attribute": {"attributes": json.dumps({"__class__": "x"})},
    "bad array": {"attributes": json.dumps({"a_": {"array": [1], "dtype": "nonsense"}})},
    "object array": {"attributes": json.dumps({"a_": {"array": "x", "dtype": []}})},
}


@pytest.mark.parametrize("header", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_header_is_a_clear_error(header, model_file, tmp_path):
    rewrite(model_file, tmp_path / "damaged", header=header)
    with pytest.raises(ValueError, match="damaged (was not written|does not hold a whole model)"):
        load_model(tmp_path / "damaged")


def test_a_missing_tensor_is_a_clear_error(model_file, tmp_path):
    rewrite(model_file, tmp_path / "damaged", drop=["module.encoder.0.weight"])
    with pytest.raises(ValueError, match="damaged does not hold a whole model"):
        load_model(tmp_path / "damaged")


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "nowhere")


def test_loading_runs_no_code_from_the_file(model_file, tmp_path, monkeypatch):
    """A pickle in place of anything stays unread, and only the table of classes is asked."""
    monkeypatch.setattr(pickle, "loads", lambda *a, **k: pytest.fail("unpickled"))
    monkeypatch.setattr(pickle, "load", lambda *a, **k: pytest.fail("unpickled"))
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("unpickled"))
    load_model(model_file)
    for cls in ("sklearn.cluster.KMeans", "builtins.eval", "TorchEstimator", "__import__"):
        header = {"estimator": json.dumps({"class": cls, "params": {}})}
        rewrite(model_file, tmp_path / "foreign", header=header)
        with pytest.raises(ValueError, match="whole model"):
            load_model(tmp_path / "foreign")
