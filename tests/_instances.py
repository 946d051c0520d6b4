"""Small, quick instances of every public estimator, and the data they are tested on."""

import functools

import numpy as np
import pytest
import torch
from sklearn.base import ClusterMixin
from sklearn.datasets import make_blobs
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import has_fit_parameter

from sklearn_deepcluster import Autoencoder, ConvAutoencoder, ConvEncoder, GRUEncoder, MLPEncoder
from sklearn_deepcluster.base import TorchEstimator
from sklearn_deepcluster.utils.discovery import all_descriptions, all_estimators

N_SAMPLES, N_FEATURES, N_CLUSTERS = 300, 16, 3
IMAGE = (4, 4)  # the same rows as images

_TRAINING = {"n_components": 2, "max_epochs": 1, "min_steps": 40, "batch_size": 64, "lr": 1e-2}


def tiny_autoencoder(**params):
    return Autoencoder(**({"hidden_layer_sizes": (16,)} | _TRAINING | params))


def tiny_conv_autoencoder(**params):
    return ConvAutoencoder(**({"filters": (4,), "kernel_sizes": (3,)} | _TRAINING | params))


_ROUNDS = {"max_epochs": 1, "min_steps": 20, "update_interval": 10, "batch_size": 64}
_EPOCHS = {"max_epochs": 2, "min_steps": 20, "batch_size": 64, "lr": 1e-2}
_FROM_SCRATCH = {"init": None, "max_epochs": 4, "min_steps": 32, "batch_size": 64, "lr": 2e-2}
_BLOCKS = {"filters": (4,), "kernel_sizes": (3,), "n_components": 16}


def tiny_gru_encoder(**params):
    return GRUEncoder(**({"hidden_size": 8, "n_layers": 1, "n_components": 16} | params))


# Constructor parameters that make a fit take milliseconds. A new public estimator needs one line.
TINY = {
    "AEC": lambda: {"autoencoder": tiny_autoencoder(), **_EPOCHS, "tol": 0.0},
    "Autoencoder": lambda: {"hidden_layer_sizes": (16,), **_TRAINING},
    "ContextPredictor": lambda: {**_TRAINING, **_BLOCKS, "lr": 1e-3},
    "ConvAutoencoder": lambda: {"filters": (4,), "kernel_sizes": (3,), **_TRAINING},
    "DCEC": lambda: {"autoencoder": tiny_conv_autoencoder(), **_ROUNDS},
    "DBC": lambda: {"autoencoder": tiny_autoencoder(), **_ROUNDS},
    "DCN": lambda: {"autoencoder": tiny_autoencoder(), **_EPOCHS, "tol": 0.0},
    "DDC": lambda: {
        "encoder": MLPEncoder(hidden_layer_sizes=(16,), n_components=16),
        **_FROM_SCRATCH,
    },
    "DEC": lambda: {"autoencoder": tiny_autoencoder(), **_ROUNDS},
    "DEKM": lambda: {
        "autoencoder": tiny_autoencoder(),
        "max_iter": 2,
        "update_interval": 10,
        "batch_size": 64,
    },
    "DEPICT": lambda: {
        "autoencoder": tiny_autoencoder(noise_kind="dropout", hidden_weight=0.1),
        "init": "k-means",
        "warm_up_epochs": 1,
        "max_epochs": 1,
        "min_steps": 40,
        "batch_size": 64,
        "lr": 1e-2,
    },
    "DKM": lambda: {"autoencoder": tiny_autoencoder(), **_EPOCHS, "tol": 0.0},
    "DTKC": lambda: {
        "encoder": ConvEncoder(**_BLOCKS),
        **_FROM_SCRATCH,
    },
    "FuzzyCMeans": lambda: {"random_state": 0},
    "GraphAgglomerative": lambda: {},
    "IdentityAutoencoder": lambda: {
        "start": "pretrain",
        "hidden_layer_sizes": (32,),
        "max_epochs": 1,
        "min_steps": 40,
        "batch_size": 64,
        "lr": 1e-2,
    },
    "IDEC": lambda: {"autoencoder": tiny_autoencoder(), **_ROUNDS},
    "IMSAT": lambda: {
        "encoder": MLPEncoder(hidden_layer_sizes=(16,), n_components=16),
        "max_epochs": 4,
        "min_steps": 40,
        "batch_size": 64,
        "lr": 1e-2,
    },
    "JULE": lambda: {
        "encoder": MLPEncoder(hidden_layer_sizes=(16,), n_components=8),
        "eta": 0.97,
        "epochs_per_period": 4,
        "margin": 5.0,  # no two rows of norm 1 are so far apart: there is always a loss
        "batch_size": 64,
    },
    "KMeansNet": lambda: {
        "autoencoder": tiny_autoencoder(embedding_activation="unit_norm"),
        **_ROUNDS,
        "lr": 1e-2,
        "tol": 0.0,
    },
    "KNet": lambda: {
        "autoencoder": tiny_autoencoder(),
        "max_steps": 20,
        "n_refine": 1,
        "update_interval": 10,
        "lr": 1e-2,
    },
    "LandmarkSpectralClustering": lambda: {"n_landmarks": 60, "random_state": 0},
    "RDDC": lambda: {"encoder": tiny_gru_encoder(), **_FROM_SCRATCH},
    "RDTKC": lambda: {"encoder": tiny_gru_encoder(), **_FROM_SCRATCH},
    "SpectralNet": lambda: {
        "autoencoder": tiny_autoencoder(),
        "hidden_layer_sizes": (16,),
        "n_neighbors": 10,
        "max_epochs": 8,
        "min_steps": 40,
        "batch_size": 64,
        "lr": 1e-2,
    },
    "VaDE": lambda: {"autoencoder": tiny_autoencoder(), **_EPOCHS},
}

PUBLIC = dict(all_estimators())
EVERY = list(PUBLIC)
# Those around a network; what they promise about training holds for them alone.
ESTIMATORS = [name for name, cls in PUBLIC.items() if issubclass(cls, TorchEstimator)]
EVERY_CLUSTERER = [name for name, cls in PUBLIC.items() if issubclass(cls, ClusterMixin)]
CLUSTERERS = [name for name in EVERY_CLUSTERER if name in ESTIMATORS]
REPRESENTATIONS = [name for name in ESTIMATORS if name not in CLUSTERERS]
DESCRIPTIONS = dict(all_descriptions())

# Their tiny instances read rows as sequences: images would be sequences of several features.
SEQUENTIAL = ["RDDC", "RDTKC"]
# They take no sparse X: the network of their tiny instances is convolutional or recurrent, or they
# look at all rows at once.
DENSE_ONLY = [
    "ContextPredictor",
    "ConvAutoencoder",
    "DCEC",
    "DTKC",
    "FuzzyCMeans",
    "KNet",
    "LandmarkSpectralClustering",
    *SEQUENTIAL,
]
# Those that can start from a trained representation: of sequences there is none.
PRETRAINED = [name for name in CLUSTERERS if name not in SEQUENTIAL]
# Trained end to end by a loss of clusters: their weights are those of the best epoch, `init` takes
# no centres (there is no embedding for them yet).
END_TO_END = ["DDC", "DTKC", "RDDC", "RDTKC", "IMSAT"]
# Of several runs that with the least loss is kept, or else that with the best score.
BY_LOSS = [*END_TO_END, "SpectralNet", "VaDE"]
# They compare the rows of a batch, all pairs of them.
PAIRWISE = [*END_TO_END, "SpectralNet", "JULE"]
# What they learn is on top of the representation, which stays as it is.
ON_TOP = ["SpectralNet"]
# Their score is an information, not a loss.
POSITIVE_SCORE = ["IMSAT"]
# Rows that a fit needs: those losses compare rows, and batch normalisation is over rows.
LEAST_ROWS = {
    name: 2 if name in [*END_TO_END, "JULE", "ContextPredictor"] else 1 for name in ESTIMATORS
}


# Their `fit` takes `sample_weight`.
WEIGHTED = [name for name, cls in PUBLIC.items() if has_fit_parameter(cls, "sample_weight")]


def slot_of(name):
    """The parameter that holds the representation of a clusterer."""
    return PUBLIC[name]._network


def prefix_of(name):
    """What the parameters of the representation begin with; "" of a representation."""
    return f"{slot_of(name)}__" if name in CLUSTERERS else ""


def tiny(name, **params):
    """A quick instance with ``random_state=0`` and, if it clusters, three clusters."""
    if name not in TINY:
        pytest.fail(f"{name} is public, but has no quick parameters: add it to TINY in {__file__}.")
    defaults = {**TINY[name]()}
    if name in ESTIMATORS:
        defaults.setdefault("random_state", 0)
    if name in EVERY_CLUSTERER:
        defaults["n_clusters"] = N_CLUSTERS
    return PUBLIC[name](**defaults).set_params(**params)


# One for each way through the shared part: an autoencoder that is trained on, a network from random
# weights, sequences, a kernel beside the network, a network on top of one that stays. What is the
# shared part's alone is asked of these.
KINDS = ["DEC", "DTKC", "RDDC", "KNet", "SpectralNet"]

# The fewest steps, for what does not depend on learning.
_FEWEST = {"max_epochs": 1, "min_steps": 2, "max_iter": 1, "max_steps": 2, "update_interval": 2}
_FEWEST["epochs_per_period"] = 1
_FEWEST_OF_REPRESENTATIONS = {"max_epochs": 1, "min_steps": 2}


def least(name, **params):
    """The quickest instance; those that start from random weights find no clusters with it."""
    estimator = tiny(name)
    fewest = _FEWEST | {f"{prefix_of(name)}{key}": value for key, value in _FEWEST.items()}
    known = estimator.get_params()
    estimator.set_params(**{k: v for k, v in fewest.items() if k in known})
    return estimator.set_params(**params)


def given(estimator):
    """What a clusterer was given as representation."""
    return getattr(estimator, estimator._network)


def tiny_representation(name, **params):
    """An unfitted representation to start a clusterer from, or to freeze.

    It is that of the tiny instance; an autoencoder where that has a network without training.
    """
    representation = given(tiny(name))
    if not hasattr(representation, "fit"):
        representation = tiny_autoencoder()
    return representation.set_params(**params)


def least_representation(name, **params):
    """The quickest representation to start a clusterer from, or to freeze."""
    return tiny_representation(name, **_FEWEST_OF_REPRESENTATIONS).set_params(**params)


def pretrained(name, **params):
    """A quick instance whose network is trained before it clusters."""
    return least(name, **{slot_of(name): least_representation(name)}).set_params(**params)


def frozen(name, representation, **params):
    """A quick instance that starts from a fitted representation as it is."""
    return least(name).set_params(**{slot_of(name): FrozenEstimator(representation)}, **params)


def accepts(name, parameter):
    """Whether a tiny instance has a parameter, nested ones included."""
    return name in TINY and parameter in tiny(name).get_params()


def blobs():
    """Three well separated clusters: read-only ``X`` (300, 16) float32 and ``y``."""
    X, y = make_blobs(N_SAMPLES, N_FEATURES, centers=N_CLUSTERS, cluster_std=0.5, random_state=0)
    X = X.astype(np.float32)
    X.setflags(write=False)
    y.setflags(write=False)
    return X, y


class GlobalDraws(torch.nn.Module):
    """A user's network: its weights and its dropout come from torch's global generator."""

    def __init__(self, n_features, n_components=2):
        super().__init__()
        self.encoder = torch.nn.Sequential(
            torch.nn.Linear(n_features, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, n_components)
        )
        self.decoder = torch.nn.Linear(n_components, n_features)


class Normalised(torch.nn.Module):
    """A user's network with batch normalisation."""

    def __init__(self, n_features, n_components=2):
        super().__init__()
        self.encoder = torch.nn.Sequential(
            torch.nn.Linear(n_features, 8),
            torch.nn.BatchNorm1d(8),
            torch.nn.Linear(8, n_components),
        )
        self.decoder = torch.nn.Linear(n_components, n_features)


def fitted_state(estimator):
    """All that a fit has learned, as a flat dict of comparable values."""
    state = {f"module.{k}": v.numpy() for k, v in estimator.module_.state_dict().items()}
    for name, value in vars(estimator).items():
        if name.endswith("_") and not name.startswith("_") and name != "module_":
            state[name] = value
    return state


def network_input(estimator, X):
    """Samples as the network of a fitted estimator gets them: flat float32 rows."""
    X = np.asarray(X)
    return estimator._standard().apply(X.reshape(len(X), -1))


def assert_same_fit(a, b):
    """Assert that two fitted estimators are equal to the last bit."""
    a, b = fitted_state(a), fitted_state(b)
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_equal(value, b[name], err_msg=name)


def same_weights(a, b):
    """Whether the networks of two fitted estimators are equal to the last bit."""
    a, b = a.module_.state_dict(), b.module_.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@functools.cache
def fitted(name):
    """A tiny instance fitted on the blobs, shared: a test that changes it copies it first."""
    return tiny(name).fit(blobs()[0])


@functools.cache
def least_fitted(name):
    """The quickest instance fitted on the blobs, shared like `fitted`."""
    return least(name).fit(blobs()[0])
