"""Small data and a spy shared by the tests of the clusterers."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.frozen import FrozenEstimator

from sklearn_deepcluster import Autoencoder
from sklearn_deepcluster._engine import Callback


@pytest.fixture(scope="session")
def blobs():
    """Three clusters that touch: read-only float32 ``X`` of shape (150, 6) and ``y``."""
    X, y = make_blobs(150, centers=3, n_features=6, cluster_std=3.0, random_state=3)
    X = X.astype(np.float32)
    X.setflags(write=False)
    return X, y


def small_autoencoder(**params):
    defaults = {
        "hidden_layer_sizes": (16,),
        "n_components": 3,
        "noise": 0.0,
        "center": None,  # an embedding that leaves the methods something to do
        "max_epochs": 20,
        "min_steps": 0,
        "batch_size": 30,
        "lr": 5e-3,
    }
    return Autoencoder(**(defaults | params))


@pytest.fixture(scope="session")
def frozen(blobs):
    """An autoencoder fitted on the blobs, frozen."""
    return FrozenEstimator(small_autoencoder(random_state=0, precision="float32").fit(blobs[0]))


@pytest.fixture
def unfitted():
    return small_autoencoder()


def start_from(centers, labels=None):
    """A start that is known: a stand-in for what clusters an embedding."""
    return SimpleNamespace(clusters=lambda z: (labels, centers), weight=None)


class Spy(Callback):
    """Keeps what is seen at the start of each round; the engine's copy is the same object."""

    def __init__(self):
        self.rounds = []
        self.batches = []
        self.corruptions = []

    def __deepcopy__(self, memo):
        return self

    def on_epoch_begin(self, net, **kwargs):
        objective = net.criterion_
        self.rounds.append(
            {
                "module": copy.deepcopy(net.module_).eval(),
                "targets": net.targets.clone() if torch.is_tensor(net.targets) else net.targets,
                **{name: p.detach().clone() for name, p in objective.named_parameters()},
            }
        )

    def on_batch_begin(self, net, batch, **kwargs):
        self.batches.append(batch[1].tolist())
        corruption = getattr(net.module_, "corruption", None)
        self.corruptions.append(getattr(corruption, "generator", None))


@pytest.fixture
def spy():
    return Spy()


@pytest.fixture(scope="session")
def embed():
    """Function that embeds X by a module of a round, in float32."""

    def embed(module, X, scale=1.0):
        with torch.no_grad():
            return module.encode(torch.from_numpy(X / np.float32(scale)))

    return embed
