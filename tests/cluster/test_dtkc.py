"""DTKC: DDC with companions on its layers; without them it is DDC to the last bit."""

import copy

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from torch import nn

from sklearn_deepcluster import (
    DDC,
    DTKC,
    RDDC,
    RDTKC,
    ConvAutoencoder,
    ConvEncoder,
    GRUEncoder,
    MLPEncoder,
)
from sklearn_deepcluster._engine import Callback
from sklearn_deepcluster.cluster._companion import SoftmaxCompanion, TensorCompanion
from sklearn_deepcluster.metrics import unsupervised_accuracy
from sklearn_deepcluster.nn import Exposing
from tests.cluster.conftest import small_autoencoder

SHORT = {"init": None, "max_epochs": 4, "min_steps": 40, "batch_size": 30, "lr": 1e-2}
SHORT["drift_tol"] = None


def quick(encoder=None, cls=DTKC, **params):
    encoder = encoder or MLPEncoder(hidden_layer_sizes=(16, 8), n_components=6)
    fixed = {"random_state": 0, "precision": "float32"}
    return cls(3, encoder=encoder, **(fixed | SHORT | params))


class Objectives(Callback):
    """Keeps the objective of each training; refuses any where `allowed` is false."""

    def __init__(self, allowed=True):
        self.allowed, self.seen = allowed, []

    def __deepcopy__(self, memo):
        return self

    def on_train_begin(self, net, **kwargs):
        if not self.allowed:
            pytest.fail("the training has started")
        self.seen.append(net.criterion_)
        self.start = copy.deepcopy(net.criterion_.state_dict())


def assert_equal_fits(a, b):
    np.testing.assert_array_equal(a.coef_, b.coef_)
    np.testing.assert_array_equal(a.labels_, b.labels_)
    states = a.module_.state_dict(), b.module_.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


# -- with and without companions -----------------------------------------------------------------


@pytest.mark.parametrize("off", [{"companion": None}, {"lam": 0}, {"lam": 0.0}], ids=str)
def test_without_a_companion_it_is_ddc(off, blobs):
    X, _ = blobs
    assert_equal_fits(quick(**off).fit(X), quick(cls=DDC).fit(X))
    assert "companion" not in quick(**off).fit(X).history_


@pytest.mark.parametrize("off", [{"companion": None}, {"lam": 0}], ids=str)
def test_without_a_companion_the_recurrent_variant_is_rddc(off, blobs):
    X, _ = blobs
    encoder = GRUEncoder(hidden_size=3, n_layers=1, n_components=4)
    short = {"max_epochs": 1, "min_steps": 5}
    assert_equal_fits(
        quick(encoder, cls=RDTKC, **short, **off).fit(X), quick(encoder, cls=RDDC, **short).fit(X)
    )


@pytest.mark.parametrize("companion", ["tensor", "softmax"])
def test_the_companion_is_in_the_loss_and_falls(companion, blobs):
    model = quick(companion=companion, lam=0.5).fit(blobs[0])
    history = model.history_
    assert set(history) == {"loss", "separation", "spread", "corners", "companion"}
    terms = [np.array(history[name]) for name in ("separation", "spread", "corners", "companion")]
    np.testing.assert_allclose(
        history["loss"], terms[0] + terms[1] + terms[2] + 0.5 * terms[3], rtol=1e-5
    )
    assert history["companion"][-1] < 0.9 * history["companion"][0]
    assert model.loss_ == min(history["loss"])


@pytest.mark.parametrize("companion", ["tensor", "softmax"])
def test_the_companion_is_lower_where_it_weighs_more(companion, blobs):
    X, _ = blobs
    params = {"companion": companion, "init": "k-means"}
    light, heavy = (quick(**params, lam=lam).fit(X).history_["companion"] for lam in (1e-3, 3.0))
    assert heavy[-1] < 0.9 * light[-1]


def test_a_companion_sees_every_layer_with_the_parameters_of_the_clusterer(blobs):
    look = Objectives()
    quick(sigma_scale=0.3, bandwidth="mvc", lam=0.7, callbacks=[look]).fit(blobs[0])
    found = look.seen[0].companion
    assert type(found) is TensorCompanion
    assert (found.n_outputs, found.lam, found.sigma_scale, found.bandwidth) == (2, 0.7, 0.3, "mvc")
    quick(companion="softmax", companion_target_grad=False, callbacks=[look]).fit(blobs[0])
    found = look.seen[1].companion
    assert type(found) is SoftmaxCompanion and not found.target_grad
    assert [tuple(c.weight.shape) for c in found.classifiers] == [(3, 16), (3, 8)]


def test_the_classifiers_are_trained_along_from_the_seed_and_then_dropped(blobs):
    X, _ = blobs
    look = Objectives()
    model = quick(companion="softmax", callbacks=[look]).fit(X)
    start = look.start
    name = "companion.classifiers.0.weight"
    assert not torch.equal(look.seen[0].state_dict()[name], start[name])
    again = quick(companion="softmax", callbacks=[look]).fit(X)
    assert torch.equal(look.start[name], start[name])
    assert_equal_fits(model, again)
    plain = quick(cls=DDC).fit(X)
    assert model.module_.state_dict().keys() == plain.module_.state_dict().keys()
    assert {k for k in vars(model) if k.endswith("_")} == {
        k for k in vars(plain) if k.endswith("_")
    }
    quick(companion="softmax", random_state=1, callbacks=[look]).fit(X)
    assert not torch.equal(look.start[name], start[name])


def test_whether_the_clusters_learn_from_the_classifiers_matters(blobs):
    fits = [
        quick(companion="softmax", lam=1.0, companion_target_grad=grad).fit(blobs[0])
        for grad in (True, False)
    ]
    assert not np.array_equal(fits[0].coef_, fits[1].coef_)


@pytest.mark.parametrize("companion", ["tensor", "softmax"])
def test_maps_of_images_have_companions(companion, digits):
    X, y = digits
    images = X[y < 2][:100].reshape(-1, 8, 8)
    encoder = ConvEncoder(
        filters=(4, 6), kernel_sizes=(3, 2), n_components=5, padding="valid", resize=14
    )
    look = Objectives()
    # From clusters: what random weights find in so few steps hangs on rounding.
    params = SHORT | {"init": "k-means", "callbacks": [look], "random_state": 0}
    model = DTKC(2, encoder=encoder, companion=companion, **params).fit(images)
    with torch.no_grad():
        outputs = Exposing(model.module_, model.module_.taps)(torch.rand(2, 64))
    assert [tuple(maps.shape[1:]) for maps in outputs[2:]] == [(4, 5, 5), (6, 1, 1)]
    assert look.seen[0].companion.n_outputs == 2
    assert model.history_["companion"][-1] < model.history_["companion"][0]
    assert adjusted_rand_score(y[y < 2][:100], model.labels_) > 0.9


# -- networks ------------------------------------------------------------------------------------


class OneOutput(nn.Module):
    """A network that gives its embedding alone."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))

    def forward(self, x):
        return self.layers(x)


class Outputs(OneOutput):
    """A network that gives its embedding, a vector and a matrix."""

    def forward(self, x):
        hidden = self.layers[:2](x)
        return self.layers[2](hidden), hidden, hidden.unflatten(1, (2, 4))


@pytest.mark.parametrize("companion", ["tensor", "softmax"])
@pytest.mark.parametrize(
    "encoder",
    [OneOutput(), nn.Sequential(nn.Linear(6, 3)), lambda n_features: nn.Linear(n_features, 3)],
    ids=["module", "stack of one layer", "factory"],
)
def test_an_encoder_without_intermediate_outputs_is_refused(companion, encoder, blobs):
    refuse = Objectives(allowed=False)
    with pytest.raises(
        ValueError, match=f"companion='{companion}' needs intermediate outputs.*companion=None"
    ):
        quick(encoder, companion=companion, callbacks=[refuse]).fit(blobs[0])
    for off in ({"companion": None}, {"lam": 0}):
        assert quick(encoder, **off).fit(blobs[0]).labels_.shape == (150,)


def test_a_representation_without_hidden_layers_is_refused(blobs):
    frozen = FrozenEstimator(small_autoencoder(module=Linear).fit(blobs[0]))
    with pytest.raises(ValueError, match="companion='tensor' needs intermediate outputs"):
        quick(frozen, callbacks=[Objectives(allowed=False)]).fit(blobs[0])


class Linear(nn.Module):
    """An autoencoder of the user without hidden layers."""

    def __init__(self, n_features):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(n_features, 3), nn.Linear(3, n_features)


@pytest.mark.parametrize(
    ("encoder", "n_outputs"),
    [
        (Outputs(), 2),
        (lambda n_features: Outputs(), 2),
        (nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 7), nn.Linear(7, 4)), 2),
        (small_autoencoder(), 1),
        (ConvAutoencoder(filters=(2, 3), kernel_sizes=(3, 3), max_epochs=1, min_steps=1), 2),
        (GRUEncoder(hidden_size=2, n_layers=3, n_components=4), 3),
    ],
    ids=["module", "factory", "stack", "autoencoder", "convolutional", "recurrent"],
)
@pytest.mark.filterwarnings("ignore:. of 3 clusters are empty")
@pytest.mark.parametrize("companion", ["tensor", "softmax"])
def test_any_network_with_intermediate_outputs_has_companions(encoder, n_outputs, companion, blobs):
    look = Objectives()
    short = {"max_epochs": 1, "min_steps": 5, "callbacks": [look]}
    model = quick(encoder, companion=companion, lam=1.0, **short).fit(blobs[0])
    assert look.seen[-1].companion.n_outputs == n_outputs
    assert len(model.history_["companion"]) == 1 and model.history_["companion"][0] > 0
    np.testing.assert_array_equal(model.predict(blobs[0]), model.labels_)


# -- searches ------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameter", ["sigma_scale", "lam"])
def test_its_parameters_are_searched(parameter, blobs):
    X, y = blobs
    grid = {parameter: [0.05, 0.5], "encoder__n_components": [3]}
    search = GridSearchCV(
        quick(), grid, scoring="adjusted_rand_score", cv=2, error_score="raise"
    ).fit(X, y)
    best = search.best_estimator_
    assert getattr(best, parameter) == search.best_params_[parameter]
    assert best.n_components_ == best.encoder.n_components == 3
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] != scores[1]


# -- real data -----------------------------------------------------------------------------------


def test_it_clusters_images_of_digits(digits):
    """From random weights."""
    X, y = digits
    few = y < 3
    encoder = ConvEncoder(filters=(8,), kernel_sizes=(3,), n_components=16, resize=12)
    params = {"max_epochs": 4, "min_steps": 200, "batch_size": 60, "random_state": 0}
    model = DTKC(3, encoder=encoder, init=None, **params).fit(X[few].reshape(-1, 8, 8))
    assert unsupervised_accuracy(y[few], model.labels_) > 0.92
