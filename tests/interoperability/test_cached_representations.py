"""A representation is trained once for all candidates that share it."""

import threading
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from scipy.sparse import coo_array, csc_array, csr_matrix
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_deepcluster._engine import Callback
from sklearn_deepcluster.representation import _cache
from tests._instances import (
    IMAGE,
    PRETRAINED,
    assert_same_fit,
    blobs,
    least,
    prefix_of,
    pretrained,
    same_weights,
    tiny_autoencoder,
)
from tests.interoperability._shared import every_pretrained, memmap, pretrainings


def parameter_grid(name):
    """Four values of some parameter of the clustering phase."""
    gammas = {"gamma": [0.01, 0.1, 1.0, 10.0]}
    return gammas if "gamma" in least(name).get_params() else {"lr": [1e-4, 3e-4, 1e-3, 3e-3]}


# That one representation serves all candidates is shown of every method where its own parameters
# are searched.
@pytest.mark.parametrize(("name", "n_jobs"), [("DTKC", 1), ("DEC", 2), ("KNet", 2)])
def test_memory_trains_one_representation_per_data_set(name, n_jobs, tmp_path, stages):
    """Four candidates, three folds and the final fit: four representations, not thirteen."""
    X, y = blobs()
    search = GridSearchCV(
        pretrained(name, memory=str(tmp_path)),
        parameter_grid(name),
        scoring="adjusted_rand_score",
        cv=3,
        n_jobs=n_jobs,
        error_score="raise",
    )
    with joblib.parallel_config("threading"):
        search.fit(X, y)
    assert pretrainings(stages) == 4
    assert len(stages) == 4 + 13
    assert_same_fit(
        search.best_estimator_, clone(search.best_estimator_).set_params(memory=None).fit(X)
    )


@every_pretrained
def test_memory_is_not_reused_without_a_seed(name, tmp_path, stages):
    X, _ = blobs()
    fits = [pretrained(name, memory=str(tmp_path), random_state=None).fit(X) for _ in range(2)]
    assert pretrainings(stages) == 2
    assert not same_weights(*fits)


@pytest.mark.parametrize("name", ["DEC", "DTKC", "KNet"])  # what is the key is not the method's
@pytest.mark.parametrize(
    "change",
    [
        {"random_state": 1},
        {"nested lr": 1e-4},
        {"nested n_components": 3},
        {"precision": "bfloat16"},
        {"X": 1.0},
        {"shape": (2, 8)},
    ],
    ids=str,
)
def test_memory_notices_what_matters(name, change, tmp_path, stages):
    X, _ = blobs()
    params = {"memory": str(tmp_path), "precision": "float32"}
    pretrained(name, **params).fit(X.reshape(-1, *IMAGE))
    change = {key.replace("nested ", prefix_of(name)): value for key, value in change.items()}
    shape, shift = change.pop("shape", IMAGE), change.pop("X", 0.0)
    other = pretrained(name, **params | change).fit((X + np.float32(shift)).reshape(-1, *shape))
    assert pretrainings(stages) == 2
    plain = clone(other).set_params(memory=None)
    assert_same_fit(other, plain.fit((X + np.float32(shift)).reshape(-1, *shape)))


@pytest.mark.parametrize(
    ("name", "kind"), [(name, "str") for name in PRETRAINED] + [("DEC", "path"), ("DEC", "Memory")]
)
def test_memory_takes_what_a_pipeline_takes(name, kind, tmp_path, stages):
    X, _ = blobs()
    kinds = {"str": str, "path": Path, "Memory": lambda path: joblib.Memory(path, verbose=0)}
    params = {"memory": kinds[kind](tmp_path)}
    first = pretrained(name, **params).fit(X)
    second = pretrained(name, **params, lr=3e-2).fit(memmap(X, tmp_path))
    assert pretrainings(stages) == 1
    assert first.history_["pretraining_loss"] == second.history_["pretraining_loss"]
    assert not same_weights(first, second)
    assert_same_fit(first, pretrained(name).fit(X))


# -- networks of the user -------------------------------------------------------------------------


def factory(width, activation=torch.nn.Tanh):
    """A local function, as one writes it in a notebook: pickle knows it by name alone, or not."""

    def network(n_features):
        net = torch.nn.Module()
        net.encoder = torch.nn.Sequential(
            torch.nn.Linear(n_features, width), activation(), torch.nn.Linear(width, 2)
        )
        net.decoder = torch.nn.Linear(2, n_features)
        return net

    return network


@pytest.mark.parametrize("name", ["DEC", "KNet"])
def test_an_edited_network_is_another_one(name, tmp_path, stages):
    X, _ = blobs()

    def fit(network):
        autoencoder = tiny_autoencoder(module=network, min_steps=2)
        return least(name, autoencoder=autoencoder, memory=str(tmp_path)).fit(X)

    first = fit(factory(50))
    assert fit(factory(50)).module_.encoder[0].out_features == 50
    assert pretrainings(stages) == 1
    assert_same_fit(fit(factory(50)), first)
    assert fit(factory(7)).module_.encoder[0].out_features == 7
    assert pretrainings(stages) == 2
    fit(factory(7, torch.nn.ReLU))
    assert pretrainings(stages) == 3


def written(body):
    """A network whose class is written anew, with this forward."""
    namespace = {"torch": torch, "__name__": "a_notebook"}
    exec(
        "class Mine(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.layer = torch.nn.Linear(16, 2)\n"
        "    def forward(self, x):\n"
        f"        return {body}\n",
        namespace,
    )
    net = torch.nn.Module()
    torch.manual_seed(0)
    net.encoder, net.decoder = namespace["Mine"](), torch.nn.Linear(2, 16)
    return net


def test_an_edited_forward_is_another_network(tmp_path, stages):
    """Structure and weights are the same; what is computed is not."""
    X, _ = blobs()
    for body in ("self.layer(x)", "self.layer(x).tanh()", "self.layer(x)"):
        module = written(body)
        autoencoder = tiny_autoencoder(module=module, min_steps=2)
        least("DEC", autoencoder=autoencoder, memory=str(tmp_path)).fit(X)
    assert pretrainings(stages) == 2


@pytest.mark.parametrize("version", ["package", "torch"])
def test_another_version_trains_anew(version, tmp_path, stages, monkeypatch):
    X, _ = blobs()
    pretrained("DEC", memory=str(tmp_path)).fit(X)
    where = _cache if version == "package" else torch
    monkeypatch.setattr(where, "__version__", "99.0")
    pretrained("DEC", memory=str(tmp_path)).fit(X)
    assert pretrainings(stages) == 2


def test_another_type_of_the_data_trains_anew(tmp_path, stages):
    X, _ = blobs()
    for dtype in (np.float32, np.float64, np.float32):
        pretrained("DEC", memory=str(tmp_path)).fit(X.astype(dtype))
    assert pretrainings(stages) == 2


def test_sparse_data_are_told_by_their_numbers(tmp_path, stages):
    """Whatever their format was, and what a matrix has found out of itself since."""
    X, _ = blobs()
    X = np.where(X > 0, X, 0)
    for rows in (csr_matrix(X), csc_array(X), coo_array(X)):
        pretrained("DEC", memory=str(tmp_path)).fit(rows)
    assert pretrainings(stages) == 1
    other = csr_matrix(X)
    other.data[0] += 1
    pretrained("DEC", memory=str(tmp_path)).fit(other)
    assert pretrainings(stages) == 2


class HoldsAFile(Callback):
    def __init__(self, file):
        self.file = file


class Unpicklable:
    def __init__(self):
        self.lock = threading.Lock()

    def __deepcopy__(self, memo):
        return self


def test_what_cannot_be_told_apart_is_named_without_the_data(tmp_path):
    X, _ = blobs()
    autoencoder = tiny_autoencoder(callbacks=[HoldsAFile(Unpicklable())])
    with pytest.raises(ValueError, match="memory= cannot tell callbacks of Autoencoder") as error:
        least("DEC", autoencoder=autoencoder, memory=str(tmp_path)).fit(X)
    assert len(str(error.value)) < 300


class Sloped(torch.nn.Module):
    """What it computes depends on an attribute that is no weight."""

    def __init__(self, slope):
        super().__init__()
        self.slope, self.layer = slope, torch.nn.Linear(16, 2)

    def forward(self, x):
        return torch.nn.functional.leaky_relu(self.layer(x), self.slope)


def test_attributes_of_a_network_count(tmp_path, stages):
    X, _ = blobs()
    for slope in (0.0, 1.0, 0.0):
        torch.manual_seed(0)
        module = torch.nn.Module()
        module.encoder, module.decoder = Sloped(slope), torch.nn.Linear(2, 16)
        autoencoder = tiny_autoencoder(module=module, min_steps=2)
        least("DEC", autoencoder=autoencoder, memory=str(tmp_path)).fit(X)
    assert pretrainings(stages) == 2


def test_attributes_of_a_callback_count(tmp_path, stages):
    X, _ = blobs()

    def callback(value):
        class Rate(Callback):
            rate = value

        return Rate()

    for rate in (0.1, 0.2, 0.1):
        autoencoder = tiny_autoencoder(callbacks=[callback(rate)], min_steps=2)
        least("DEC", autoencoder=autoencoder, memory=str(tmp_path)).fit(X)
    assert pretrainings(stages) == 2
