"""DDC: the objective equals plain loops, the best epoch is kept, any network serves."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import adjusted_rand_score
from torch import nn
from torch.autograd import gradcheck

from sklearn_deepcluster import (
    DDC,
    RDDC,
    Autoencoder,
    ContextPredictor,
    ConvAutoencoder,
    ConvEncoder,
    GRUEncoder,
    MLPEncoder,
)
from sklearn_deepcluster._engine import Callback, Step, Trainer, generator
from sklearn_deepcluster.cluster import _divergence, _start
from sklearn_deepcluster.cluster._divergence import DivergenceLoss
from sklearn_deepcluster.cluster._start import LabelLoss
from sklearn_deepcluster.kernels import batch_kernel
from sklearn_deepcluster.losses import ddc_terms
from sklearn_deepcluster.metrics import unsupervised_accuracy
from tests._instances import network_input
from tests.cluster.conftest import small_autoencoder


def small_encoder(**params):
    return MLPEncoder(**({"hidden_layer_sizes": (16,), "n_components": 8} | params))


def quick(encoder=None, n_clusters=3, **params):
    defaults = {"init": None, "max_epochs": 5, "min_steps": 30, "batch_size": 30, "lr": 1e-2}
    defaults["drift_tol"] = None
    return DDC(
        n_clusters,
        encoder=encoder or small_encoder(),
        random_state=0,
        precision="float32",
        **(defaults | params),
    )


class Refuse(Callback):
    """Fails the test as soon as the network is trained."""

    def on_train_begin(self, net, **kwargs):
        pytest.fail("the training has started")


# -- the objective -------------------------------------------------------------------------------


def draw(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


@torch.no_grad()
@pytest.mark.parametrize(("bandwidth", "share"), [("code", 0.4), ("mvc", 0.8), ("thesis", 0.32)])
def test_the_objective_equals_the_loops(bandwidth, share):
    weight, bias, z = draw(3, 2, seed=1), draw(3, seed=2), draw(6, 2, seed=3)
    terms = DivergenceLoss(weight, bias, 0.4, bandwidth)(Step((z, None)))
    n, k = 6, 3
    u = []
    for i in range(n):
        exps = [math.exp(float(weight[j] @ z[i] + bias[j])) for j in range(k)]
        u.append([e / sum(exps) for e in exps])
    distances = [[float(((a - b) ** 2).sum()) for b in z] for a in z]
    median = sorted(itertools.chain.from_iterable(distances))[(n * n - 1) // 2]
    gram = [[math.exp(-d / (share * median)) for d in row] for row in distances]

    def overlap(a):
        def inner(i, j):
            return sum(a[p][i] * gram[p][q] * a[q][j] for p in range(n) for q in range(n))

        pairs = list(itertools.combinations(range(k), 2))
        return sum(inner(i, j) / math.sqrt(inner(i, i) * inner(j, j)) for i, j in pairs) / 3

    corners = [
        [math.exp(-sum((row[m] - (m == j)) ** 2 for m in range(k))) for j in range(k)] for row in u
    ]
    together = [
        sum(x * y for x, y in zip(a, b, strict=True)) for a, b in itertools.combinations(u, 2)
    ]
    expected = {
        "separation": overlap(u),
        "spread": sum(together) / len(together),
        "corners": overlap(corners),
    }
    assert set(terms) == {"loss", *expected}
    for name, value in expected.items():
        assert float(terms[name]) == pytest.approx(value, rel=1e-9), name
    assert float(terms["loss"]) == pytest.approx(sum(expected.values()), rel=1e-9)


def test_the_gradient_is_right(monkeypatch):
    """With the width of the kernel held, through which none goes."""
    monkeypatch.setattr(_divergence, "batch_kernel", lambda d, *args: torch.exp(-d / 3.0))
    loss = DivergenceLoss(draw(3, 2, seed=1), draw(3, seed=2), 0.4, "code")
    z = draw(5, 2, seed=3).requires_grad_()
    assert gradcheck(lambda z: loss(Step((z,)))["loss"], (z,))

    def by_head(weight, bias):
        head = {"weight": weight, "bias": bias}
        return torch.func.functional_call(loss, head, (Step((z.detach(),)),))["loss"]

    assert gradcheck(by_head, [p.detach().requires_grad_() for p in loss.parameters()])


def test_the_label_loss_is_the_cross_entropy_of_the_rows_of_the_batch():
    weight, bias, z = draw(3, 2, seed=1), draw(3, seed=2), draw(2, 2, seed=3)
    labels, index = torch.tensor([0, 2, 1, 1]), torch.tensor([3, 1])
    proba = (z @ weight.T + bias).softmax(1)
    expected = -(proba[0, 1].log() + proba[1, 2].log()) / 2
    found = LabelLoss(weight, bias)(Step((z,), None, index, labels))["loss"]
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)


# -- the training --------------------------------------------------------------------------------


class Watch(Callback):
    """Keeps what was trained: start, states, batches and norms of gradients."""

    def __init__(self):
        self.states, self.batches, self.norms = [], [], []

    def __deepcopy__(self, memo):
        return self

    def on_train_begin(self, net, **kwargs):
        self.start = copy.deepcopy((net.module_, net.criterion_))

    def on_epoch_end(self, net, **kwargs):
        parts = net.module_, net.criterion_
        self.states.append([copy.deepcopy(part.state_dict()) for part in parts])

    def on_batch_begin(self, net, batch, **kwargs):
        self.batches.append(batch[1].tolist())

    def on_grad_computed(self, net, named_parameters, **kwargs):
        grads = [p.grad for _, p in named_parameters if p.grad is not None]
        self.norms.append(float(torch.cat([g.flatten() for g in grads]).norm()))


def test_the_loss_is_the_sum_of_its_terms(blobs):
    model = quick().fit(blobs[0])
    history = model.history_
    assert set(history) == {"loss", "separation", "spread", "corners"}
    terms = [np.array(history[name]) for name in ("separation", "spread", "corners")]
    np.testing.assert_allclose(history["loss"], sum(terms), rtol=1e-6)
    assert model.n_iter_ == len(history["loss"]) == 5
    assert model.loss_ == min(history["loss"]) < history["loss"][0]


class Forget(Callback):
    """From this epoch on each one begins without clusters, so that the loss has risen for good."""

    def __init__(self, first):
        self.first = first

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) > self.first:
            with torch.no_grad():
                for parameter in net.criterion_.parameters():
                    parameter.zero_()


def test_the_fitted_model_is_that_of_the_best_epoch(blobs):
    """Also where the loss rises again, in the network and in the soft-max layer."""
    watch = Watch()
    callbacks = [Forget(8), watch]
    model = quick(max_epochs=12, min_steps=0, callbacks=callbacks).fit(blobs[0])
    best = int(np.argmin(model.history_["loss"]))
    assert best < 8 and model.loss_ == model.history_["loss"][best]
    module, head = watch.states[best]
    assert all(torch.equal(v, module[name]) for name, v in model.module_.state_dict().items())
    np.testing.assert_array_equal(model.coef_, head["weight"])
    np.testing.assert_array_equal(model.intercept_, head["bias"])
    assert not np.array_equal(model.coef_, watch.states[-1][1]["weight"])


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_it_stops_where_the_loss_has_not_fallen_for_long(patience, blobs):
    params = {"max_epochs": 20, "min_steps": 0, "callbacks": [Forget(8)]}
    losses = quick(**params, patience=None).fit(blobs[0]).history_["loss"]
    assert len(losses) == 20
    since = [i - int(np.argmin(losses[: i + 1])) for i in range(20)]
    stop = since.index(patience)
    assert stop < 19
    assert quick(**params, patience=patience).fit(blobs[0]).history_["loss"] == losses[: stop + 1]


def test_gradients_are_clipped(blobs):
    free, clipped = Watch(), Watch()
    quick(clip_norm=None, callbacks=[free]).fit(blobs[0])
    quick(clip_norm=0.05, callbacks=[clipped]).fit(blobs[0])
    assert max(free.norms) > 0.1
    assert max(clipped.norms) == pytest.approx(0.05, rel=1e-4)


@pytest.mark.parametrize(
    ("batch_size", "min_steps", "per_epoch"), [(30, 0, 5), (40, 0, 3), (30, 41, 9), (500, 0, 1)]
)
def test_an_epoch_is_whole_batches_and_as_many_as_min_steps_asks_for(
    batch_size, min_steps, per_epoch, blobs
):
    watch = Watch()
    params = {"batch_size": batch_size, "min_steps": min_steps, "max_epochs": 5}
    quick(**params, callbacks=[watch]).fit(blobs[0])
    assert len(watch.batches) == 5 * per_epoch
    assert {len(batch) for batch in watch.batches} == {min(batch_size, 150)}


def test_the_parameters_of_the_kernel_are_used(blobs):
    fits = [
        quick(sigma_scale=s, bandwidth=b).fit(blobs[0]).coef_
        for s, b in [(0.15, "code"), (0.3, "code"), (0.15, "mvc"), (0.15, "thesis")]
    ]
    # The width of the second is that of the third.
    np.testing.assert_array_equal(fits[1], fits[2])
    assert len({fit.tobytes() for fit in fits}) == 3


def test_the_head_is_that_of_predict_proba(blobs):
    X, _ = blobs
    model = quick().fit(X)
    logits = model.transform(X) @ model.coef_.T + model.intercept_
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-4, atol=1e-6)
    for k in range(3):
        mean = model.transform(X)[model.labels_ == k].mean(0)
        np.testing.assert_allclose(model.cluster_centers_[k], mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("n_samples", "prior"), [(20, None), (30, None), (75, None), (150, None), (75, [1, 2, 3])]
)
def test_score_is_the_negative_loss_in_batches_of_a_fixed_order(n_samples, prior, blobs):
    X = blobs[0][:n_samples]
    model = quick(prior=prior).fit(blobs[0])
    shares = torch.from_numpy(model.prior_)
    order = torch.randperm(n_samples, generator=generator(0))
    z, u = (torch.from_numpy(f(X))[order] for f in (model.transform, model.predict_proba))
    size, total = max(30, 30 * (n_samples // 30)), []
    for part in torch.arange(n_samples)[:size].split(size if n_samples < 30 else 30):
        kernel = batch_kernel(torch.cdist(z[part], z[part]).square(), 0.15)
        total.append(float(sum(ddc_terms(u[part], kernel, shares).values())))
    assert model.score(X) == pytest.approx(-np.mean(total), rel=1e-3)


def test_rows_that_come_class_by_class_score_as_mixed_ones(blobs):
    X, y = blobs
    model = quick(max_epochs=20).fit(X)
    assert model.score(X[np.argsort(y)]) == pytest.approx(model.score(X), rel=0.1)


# -- expected sizes ------------------------------------------------------------------------------


def unbalanced(sizes=(120, 30, 15)):
    """Blobs of these sizes, far apart: rows (n, 4)."""
    y = np.repeat(np.arange(len(sizes)), sizes)
    return 6.0 * np.eye(4)[y] + np.random.default_rng(0).normal(size=(len(y), 4))


@pytest.mark.parametrize(
    ("prior", "expected"),
    [(None, [1, 1, 1]), ("start", [120, 30, 15]), ([1, 6, 3], [6, 3, 1])],
    ids=["equal", "start", "given"],
)
def test_the_expected_sizes_are_those_of_the_start_or_ranked_by_it(prior, expected):
    X = unbalanced()
    model = quick(init="k-means", prior=prior).fit(X)
    order = np.argsort(-np.bincount(model.initial_labels_, minlength=3))
    np.testing.assert_allclose(model.prior_[order], np.array(expected) / sum(expected), rtol=1e-6)
    assert model.prior_.dtype == np.float32


def test_clusters_of_unequal_size_fit_a_prior_better():
    X = unbalanced()
    equal, start = (quick(init="k-means", prior=prior).fit(X) for prior in (None, "start"))
    assert start.history_["spread"][0] < 0.8 * equal.history_["spread"][0]


def test_a_given_prior_without_a_start_is_that_of_the_clusters_in_turn(blobs):
    np.testing.assert_allclose(quick(prior=[1, 2, 1]).fit(blobs[0]).prior_, [0.25, 0.5, 0.25])


def test_a_fit_that_goes_on_expects_the_sizes_that_it_has():
    X = unbalanced()
    model = quick(init="k-means", warm_start=True).fit(X)
    sizes = np.bincount(model.labels_, minlength=3)
    model.set_params(prior="start").fit(X)
    np.testing.assert_allclose(model.prior_, sizes / sizes.sum(), rtol=1e-6)


@pytest.mark.parametrize(
    ("prior", "match"),
    [("start", "init=None has none"), ([1, 1], "positive weights"), ([1, 0, 1], "positive")],
)
def test_a_prior_that_says_nothing_is_refused(prior, match, blobs):
    with pytest.raises(ValueError, match=match):
        quick(prior=prior).fit(blobs[0])


def test_warm_start_goes_on_from_the_weights_and_the_head(blobs):
    X, _ = blobs
    model = quick(warm_start=True).fit(X)
    before = model.loss_
    losses = model.fit(X).history_["loss"]
    assert losses[0] < before + 0.05 < quick().fit(X).history_["loss"][0]


# -- where it starts from ------------------------------------------------------------------------


class Told(ClusterMixin, BaseEstimator):
    """A clustering that is known; keeps what it was given."""

    def __init__(self, labels, seen, n_clusters=3):
        self.labels, self.seen, self.n_clusters = labels, seen, n_clusters

    def __sklearn_clone__(self):
        return self

    def fit(self, X, y=None):
        self.seen.append(np.array(X))
        self.labels_ = self.labels[: len(X)]
        return self


@pytest.fixture
def trainings(monkeypatch):
    """Stage, steps and epochs of each training."""
    seen = []
    train = Trainer.train

    def record(self, *args, stage, epochs, batches, **kwargs):
        seen.append((stage, batches.keywords["steps"], epochs))
        return train(self, *args, stage=stage, epochs=epochs, batches=batches, **kwargs)

    monkeypatch.setattr(Trainer, "train", record)
    return seen


def test_by_default_it_first_learns_clusters_of_the_data(blobs, trainings):
    X, _ = blobs
    assert DDC().init == "ac-mod"
    quick(init="ac-mod").fit(X)
    assert trainings == [("DDC: start", 50, 40), ("DDC: clustering", 6, 5)]
    trainings.clear()
    model = quick(init=None, warm_start=True).fit(X)
    assert trainings == [("DDC: clustering", 6, 5)]
    trainings.clear()
    model.set_params(init="ac-mod").fit(X)  # goes on, and starts no more
    assert trainings == [("DDC: clustering", 6, 5)]


def test_the_clusters_of_the_start_are_learned(blobs):
    """Whatever they are: here parts of the blobs."""
    X, _ = blobs
    labels = np.searchsorted(np.quantile(X[:, 0], [1 / 3, 2 / 3]), X[:, 0])
    watch = Watch()
    model = quick(init=Told(labels, []), callbacks=[watch]).fit(X)
    module, objective = watch.start
    with torch.no_grad():
        z = module.eval().encode(torch.from_numpy(network_input(model, X)))
    assert np.mean(objective.assignments(z).argmax(1).numpy() == labels) > 0.97


def test_the_start_clusters_the_data_at_their_scale(blobs):
    X, y = blobs
    seen = []
    model = quick(init=Told(y, seen)).fit(X)
    # Without the centre: directions from the origin may tell more than those from it.
    np.testing.assert_allclose(seen[0], X / model.scale_, rtol=1e-5)


def test_the_start_has_a_centre_where_that_is_far(blobs):
    X, y = blobs
    seen = []
    model = quick(init=Told(y, seen)).fit(X + 1e6)
    np.testing.assert_allclose(seen[0], network_input(model, X + 1e6), rtol=1e-6)


def test_the_start_clusters_the_embedding_of_an_autoencoder(blobs, frozen):
    """That of a network without training says less than the data."""
    X, y = blobs
    seen = []
    quick(frozen, init=Told(y, seen)).fit(X)
    np.testing.assert_allclose(seen[0], frozen.transform(X), rtol=1e-4, atol=1e-5)


def test_the_start_sees_sequences_padded_with_zeros():
    X = np.random.default_rng(0).normal(size=(12, 4, 2)).astype(np.float32)
    X[::2, 2:] = np.nan
    seen = []
    params = {"init": Told(np.arange(12) % 2, seen), "max_epochs": 1, "min_steps": 1}
    model = RDDC(2, encoder=GRUEncoder(hidden_size=2, n_layers=1), **params, random_state=0).fit(X)
    np.testing.assert_allclose(seen[0], np.nan_to_num(X.reshape(12, 8)) / model.scale_, rtol=1e-6)


@pytest.mark.parametrize(
    ("rows", "bytes_", "wide_rows"), [(40, 2**20, 10), (60, 40 * 6 * 4, 10), (60, 1, 40)]
)
def test_of_many_rows_the_start_sees_some(rows, bytes_, wide_rows, blobs, monkeypatch):
    """40 of them: as many as are allowed, or as the bytes hold, or as wide rows may be."""
    X, y = blobs
    monkeypatch.setattr(_start, "EXACT_START_ROWS", rows)
    monkeypatch.setattr(_start, "has_approximate_search", lambda: False)
    monkeypatch.setattr(_start, "START_BYTES", bytes_)
    monkeypatch.setattr(_start, "WIDE_START_ROWS", wide_rows)
    seen = []
    model = quick(init=Told(y, seen)).fit(X)
    gaps = np.abs(seen[0][:, None] - X / model.scale_).max(axis=2)
    places = gaps.argmin(axis=1).tolist()
    assert gaps.min(axis=1).max() < 1e-5
    assert len(places) == 40 and places == sorted(set(places))
    assert places != list(range(40))


@pytest.fixture
def histories(monkeypatch):
    """Stage of every training -> its history, a dict per epoch."""
    kept, train = {}, Trainer.train

    def watched(self, *args, **options):
        kept[options["stage"]] = train(self, *args, **options)
        return kept[options["stage"]]

    monkeypatch.setattr(Trainer, "train", watched)
    return kept


@pytest.mark.parametrize(
    ("least", "agreement", "steps"),
    [(7, 0.0, 8), (1, 0.0, 4), (1, 2.0, 12)],
    ids=["some steps", "one pass", "never agreeing"],
)
def test_how_long_the_start_is_learned(least, agreement, steps, blobs, histories, monkeypatch):
    """In rounds of two steps; a pass has three."""
    limits = {"START_ROUND": 2, "START_STEPS": least, "MAX_START_STEPS": 12}
    for name, value in {**limits, "START_AGREEMENT": agreement}.items():
        monkeypatch.setattr(_start, name, value)
    quick(init="k-means", batch_size=len(blobs[0]) // 3).fit(blobs[0])
    assert list(histories) == ["DDC: start", "DDC: clustering"]
    assert 2 * len(histories["DDC: start"]) == steps


def test_the_start_is_learned_until_the_network_agrees(blobs, histories, monkeypatch):
    X, y = blobs
    monkeypatch.setattr(_start, "START_ROUND", 1)
    monkeypatch.setattr(_start, "START_STEPS", 1)
    quick(init=Told(y, [])).fit(X)
    agreements = [round_["agreement"] for round_ in histories["DDC: start"]]
    assert len(agreements) > 1 and agreements[-1] >= 0.94 > max(agreements[:-1])


def test_callbacks_take_no_part_in_the_start(blobs):
    watch = Watch()
    quick(init="k-means", callbacks=[watch]).fit(blobs[0])
    assert len(watch.states) == 5


def test_a_start_that_diverges_is_an_error_that_names_it(blobs):
    with pytest.raises(FloatingPointError, match="DDC: start diverged in epoch 1"):
        quick(init="k-means", optimizer="sgd", lr=1e30).fit(blobs[0])


@pytest.mark.filterwarnings("ignore:The graph of neighbours falls into")
@pytest.mark.parametrize("init", ["k-means", "ac-gdl", "ac-pic", "ac-mod"])
def test_a_start_from_clusters_finds_those_that_touch(init, blobs):
    X, y = blobs
    assert adjusted_rand_score(y, quick(init=init, lr=1e-3).fit(X).labels_) > 0.8


# -- the network ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:. of 3 clusters are empty")
def test_the_default_network_depends_on_the_shape_of_x(digits):
    X = digits[0][:60]
    params = {"init": None, "max_epochs": 1, "min_steps": 1, "random_state": 0}
    rows, images = DDC(3, **params).fit(X), DDC(3, **params).fit(X.reshape(-1, 8, 8))
    shapes = [p.shape for p in rows.module_.parameters() if p.ndim == 2]
    assert shapes == [(500, 64), (500, 500), (100, 500)]
    kernels = [p.shape for p in images.module_.parameters() if p.ndim == 4]
    assert kernels == [(32, 1, 5, 5), (32, 32, 5, 5), (32, 32, 3, 3), (32, 32, 3, 3)]
    assert rows.encoder is None and images.encoder is None
    assert clone(rows).fit(X.reshape(-1, 8, 8)).sample_shape_ == (8, 8)


def test_parameters_of_the_default_network_are_set_before_x_is_known():
    assert DDC().set_params(encoder__n_components=5).encoder.n_components == 5
    assert RDDC().set_params(encoder__n_components=5).encoder.n_components == 5
    model = DDC(encoder=MLPEncoder()).set_params(encoder__hidden_layer_sizes=(7,))
    assert model.encoder.hidden_layer_sizes == (7,)
    both = DDC().set_params(encoder=ConvEncoder(), encoder__filters=(3, 4))
    assert both.encoder.filters == (3, 4)
    with pytest.raises(ValueError, match="encoder__x cannot be set"):
        DDC(encoder=nn.Linear(2, 2)).set_params(encoder__x=1)


def test_a_description_is_never_fitted_and_has_no_pretraining(blobs):
    encoder = small_encoder()
    before = vars(encoder).copy()
    model = quick(encoder).fit(blobs[0])
    assert model.encoder is encoder and vars(encoder) == before
    assert "pretraining_loss" not in model.history_


def test_a_representation_is_trained_first(blobs):
    X, _ = blobs
    encoder = small_autoencoder()
    model = quick(encoder).fit(X)
    assert len(model.history_["pretraining_loss"]) == 20
    assert not hasattr(encoder, "module_")
    assert model.module_.decoder is None and model.n_components_ == 3


@pytest.mark.filterwarnings("ignore:. of 3 clusters are empty")
@pytest.mark.parametrize("kind", [Autoencoder, ConvAutoencoder])
def test_a_frozen_representation_is_trained_on_a_copy(kind, digits):
    X = digits[0][:100].reshape(-1, 8, 8)
    start = kind(n_components=4, max_epochs=1, min_steps=1, random_state=0).fit(X)
    weights = copy.deepcopy(start.module_.state_dict())
    model = quick(FrozenEstimator(start)).fit(X)
    assert "pretraining_loss" in model.history_
    assert all(torch.equal(weights[k], v) for k, v in start.module_.state_dict().items())
    encoders = model.module_.encoder, start.module_.encoder
    assert not any(torch.equal(*p) for p in zip(*(e.parameters() for e in encoders), strict=True))


class Own(nn.Module):
    """A network of the user that draws its weights and its dropout from the global generator."""

    def __init__(self, n_features, several=False):
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(n_features, 16), nn.BatchNorm1d(16), nn.ReLU())
        self.drop, self.last = nn.Dropout(0.2), nn.Linear(16, 5)
        self.several = several

    def forward(self, x):
        h = self.hidden(x)
        z = self.last(self.drop(h))
        return (z, h) if self.several else z


USERS = {
    "module": lambda: Own(6),
    "module with outputs": lambda: Own(6, several=True),
    "factory": lambda: Own,
    "stack": lambda: nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 5)),
}


@pytest.mark.parametrize("kind", USERS)
def test_networks_of_the_user_are_trained_on_a_copy_under_the_seed(kind, blobs):
    X, _ = blobs
    encoder = USERS[kind]()
    weights = copy.deepcopy(encoder.state_dict()) if isinstance(encoder, nn.Module) else {}
    state = torch.get_rng_state()
    first, again = (quick(encoder).fit(X) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(weights[name], encoder.state_dict()[name]) for name in weights)
    assert first.transform(X).shape == (150, 5)
    np.testing.assert_array_equal(first.coef_, again.coef_)
    np.testing.assert_array_equal(first.transform(X), again.transform(X))
    np.testing.assert_array_equal(first.labels_, first.predict(X))
    assert first.loss_ < first.history_["loss"][0]


@pytest.mark.parametrize(
    ("encoder", "match"),
    [
        (nn.Linear(9, 2), r"encoder does not take samples of shape \(6,\)"),
        (nn.Sequential(nn.Linear(6, 2), nn.Flatten(0)), "encoder must give the embedding"),
        (lambda n_features: n_features, "which is no torch.nn.Module"),
        (ConvEncoder(sample_shape=(2, 4)), "sample_shape=.* does not fit"),
        (ConvEncoder(padding="valid"), "too small for kernel_sizes"),
        (MLPEncoder, "is a class; an instance is needed"),
        (GRUEncoder(sample_shape=(4, 2)), "sample_shape=.* does not fit"),
    ],
)
def test_networks_that_do_not_fit_are_refused_before_the_training(encoder, match, blobs):
    with pytest.raises(ValueError, match=match):
        quick(encoder, callbacks=[Refuse()]).fit(blobs[0])


# -- other bad input -----------------------------------------------------------------------------


def test_a_batch_must_have_room_for_all_clusters(blobs):
    with pytest.raises(ValueError, match="batch_size=2 should be >= n_clusters=3"):
        quick(batch_size=2, callbacks=[Refuse()]).fit(blobs[0])
    assert quick(batch_size=3, min_steps=0, max_epochs=1).fit(blobs[0]).labels_.max() < 3


@pytest.mark.parametrize("n_clusters", [0, -1])
def test_no_clusters_are_refused(n_clusters, blobs):
    with pytest.raises(ValueError, match="n_clusters"):
        quick(n_clusters=n_clusters, callbacks=[Refuse()]).fit(blobs[0])


def test_one_row_is_refused():
    with pytest.raises(ValueError, match="n_samples=1: the loss compares rows"):
        quick(n_clusters=1, callbacks=[Refuse()]).fit(np.ones((1, 6)))


def test_a_batch_of_one_row_is_refused_for_batch_normalisation(blobs):
    """Before a representation is pretrained, too."""
    for encoder in (small_encoder(), ContextPredictor(resize=20, callbacks=[Refuse()]), Own(6)):
        with pytest.raises(ValueError, match="batch_size=1 .*batch normalisation"):
            quick(encoder, n_clusters=1, batch_size=1, callbacks=[Refuse()]).fit(blobs[0])


def test_images_of_another_size_are_refused_after_fit(digits):
    images = digits[0][:60].reshape(-1, 8, 8)
    model = quick(ConvEncoder(filters=(2, 2), n_components=4)).fit(images)
    for shape in [(9, 4, 4), (9, 8, 9), (9, 2, 8, 8)]:
        for method in (model.predict, model.predict_proba, model.transform, model.score):
            with pytest.raises(ValueError, match="features, but DDC is expecting 64 features"):
                method(np.ones(shape))
    np.testing.assert_array_equal(model.predict(images.reshape(-1, 64)), model.labels_)


# -- real data -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def four_digits(digits):
    """The digits 0 to 3, as rows."""
    X, y = digits
    return X[y < 4], y[y < 4]


@pytest.mark.parametrize(("init", "n_init"), [("ac-mod", 1), (None, 3)])
def test_it_clusters_digits(init, n_init, four_digits):
    """From random weights not in every run, but in the one with the least loss."""
    X, y = four_digits
    encoder = MLPEncoder(hidden_layer_sizes=(64,), n_components=32)
    params = {"min_steps": 300, "batch_size": 100, "random_state": 0}
    held_out = np.arange(len(X)) % 4 == 0
    model = DDC(4, encoder=encoder, init=init, n_init=n_init, **params).fit(X[~held_out])
    inside = unsupervised_accuracy(y[~held_out], model.labels_)
    assert inside > 0.91
    assert unsupervised_accuracy(y[held_out], model.predict(X[held_out])) > inside - 0.03
