"""DEPICT: objective and targets equal plain loops; labels are used only when asked for."""

import math
import types

import numpy as np
import pandas as pd
import pytest
import skorch
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.autograd import gradcheck

from sklearn_deepcluster import DEPICT, Autoencoder, ConvAutoencoder
from sklearn_deepcluster._engine import Step
from sklearn_deepcluster._input import Form
from sklearn_deepcluster.cluster._labels import match_classes
from sklearn_deepcluster.cluster._softmax import (
    SoftmaxClusteringLoss,
    SoftmaxRefresh,
    ranked_prior,
)
from sklearn_deepcluster.cluster._start import nearest_mean_softmax
from sklearn_deepcluster.losses import ReconstructionLoss, target_distribution
from tests._instances import network_input
from tests.cluster.conftest import small_autoencoder

DENOISING = {"noise": 0.1, "noise_kind": "dropout", "hidden_weight": 0.1}


# Neither the calm of the labels nor their drift ends the training.
_FREE = {"tol": 0.0, "drift_tol": None}


def quick(autoencoder, n_clusters=3, **params):
    defaults = {"warm_up_epochs": 2, "max_epochs": 4, "min_steps": 0, "batch_size": 30}
    return DEPICT(
        n_clusters, autoencoder=autoencoder, random_state=0, **(defaults | _FREE | params)
    )


# -- the objective -------------------------------------------------------------------------------


def draw(shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def objective(lam=0.7, hidden_weight=0.3):
    return SoftmaxClusteringLoss(
        draw((3, 2), 1), draw(3, 2), ReconstructionLoss(hidden_weight), lam
    )


TARGETS = draw((7, 3), 3).softmax(1)


@torch.no_grad()
def test_the_objective_equals_the_loops():
    loss = objective()
    z, x, back = draw((4, 2), 4), draw((4, 5), 5), draw((4, 5), 6)
    clean, decoded = draw((4, 6), 7), draw((4, 6), 8)
    index = torch.tensor([6, 0, 3, 3])
    terms = loss(Step((z, back, clean, decoded), x, index, TARGETS))
    entropy = 0.0
    for i in range(4):
        logits = [float(loss.weight[k] @ z[i] + loss.bias[k]) for k in range(3)]
        total = sum(math.exp(v) for v in logits)
        for k in range(3):
            p = math.exp(logits[k]) / total
            entropy -= float(TARGETS[index[i], k]) * math.log(p) / 4
    error = sum(float((x[i, j] - back[i, j]) ** 2) for i in range(4) for j in range(5)) / 20
    hidden = sum(float((clean[i, j] - decoded[i, j]) ** 2) for i in range(4) for j in range(6)) / 24
    assert float(terms["cross_entropy"]) == pytest.approx(entropy)
    assert float(terms["hidden"]) == pytest.approx(hidden)
    assert float(terms["reconstruction"]) == pytest.approx(error + 0.3 * hidden)
    assert float(terms["loss"]) == pytest.approx(entropy + 0.7 * (error + 0.3 * hidden))


def test_the_gradient_is_right():
    loss = objective()
    x, index = draw((4, 5), 5), torch.tensor([6, 0, 3, 3])
    outputs = [draw(s, i).requires_grad_() for i, s in enumerate([(4, 2), (4, 5), (4, 6), (4, 6)])]
    assert gradcheck(lambda *o: loss(Step(o, x, index, TARGETS))["loss"], outputs)
    z, back, *hidden = (o.detach() for o in outputs)

    def by_head(weight, bias):
        head = {"weight": weight, "bias": bias}
        step = Step((z, back, *hidden), x, index, TARGETS)
        return torch.func.functional_call(loss, head, (step,))["loss"]

    assert gradcheck(by_head, [p.detach().requires_grad_() for p in loss.parameters()])


@pytest.mark.parametrize("kind", ["square", "sqrt"])
@pytest.mark.parametrize("prior", [None, [0.2, 0.3, 0.5]])
def test_targets_equal_the_loops(kind, prior):
    q = draw((7, 3)).softmax(1)
    expected = np.zeros((7, 3))
    for i in range(7):
        for j in range(3):
            mass = sum(float(q[m, j]) for m in range(7))
            share = 1.0 if prior is None else prior[j]
            p = float(q[i, j])
            expected[i, j] = p**2 * share / mass if kind == "square" else p * (share / mass) ** 0.5
        expected[i] /= expected[i].sum()
    prior = None if prior is None else torch.tensor(prior, dtype=torch.float64)
    np.testing.assert_allclose(target_distribution(q, kind, prior), expected, rtol=1e-12)


def test_sqrt_targets_balance_the_clusters():
    p = draw((9, 3)).softmax(1)
    q = target_distribution(p, "sqrt")
    assert float(q.sum(0).var()) < float(p.sum(0).var())


# -- the algorithm -------------------------------------------------------------------------------


class FakeNet:
    """What a refresh sees of the net."""

    def __init__(self):
        self.module_ = nn.Linear(1, 1)
        self.stop_training = False
        self.history = skorch.history.History()


def changes(shares, tol):
    """Refresh once per share: that many of 100 rows are in the second cluster."""
    loss = SoftmaxClusteringLoss(torch.eye(2), torch.zeros(2), None, 1.0)
    position = torch.arange(100.0)
    task = types.SimpleNamespace(
        embed=lambda device="cpu": torch.stack([position, torch.full((100,), 99.5)], 1)
    )
    nobody = torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64)
    refresh = SoftmaxRefresh(task, loss, target_distribution, tol, nobody, warm_up=0)
    net = FakeNet()
    for share in shares:
        net.history.new_epoch()
        with torch.no_grad():  # rows up to this position belong to the second cluster
            loss.bias[1] = share - 100.0
            net.module_.weight.fill_(share)
        refresh.on_epoch_begin(net)
        if net.stop_training:
            break
    return net, round(loss.bias[1].item() + 100)


def test_it_stops_where_few_labels_change():
    net, share = changes([50, 53, 53, 60], tol=1e-3)
    assert (len(net.history), share) == (3, 53)


def test_drift_is_taken_back():
    """More than twice the least change and ten times tol: back to where it was least."""
    net, share = changes([50, 46, 44, 41, 36], tol=1e-3)
    assert [row["label_change"] for row in net.history[1:]] == pytest.approx(
        [0.04, 0.02, 0.03, 0.05]
    )
    assert net.stop_training and share == 44
    assert net.module_.weight.item() == 44


@pytest.mark.parametrize("tol", [6e-3, 0.0])
def test_small_changes_are_no_drift(tol):
    net, share = changes([50, 46, 44, 41, 36], tol=tol)
    assert not net.stop_training and share == 36


def test_targets_come_from_a_clean_pass_over_all_rows(frozen, blobs, spy):
    X, _ = blobs
    model = quick(frozen, callbacks=[spy], precision="float32").fit(X)
    assert len(spy.rounds) == model.n_iter_ == 6
    scaled = torch.from_numpy(network_input(model, X))
    for seen in spy.rounds[2:]:
        with torch.no_grad():
            z = seen["module"].encode(scaled)
            p = (z @ seen["weight"].T + seen["bias"]).softmax(1)
        expected = target_distribution(p)
        np.testing.assert_allclose(seen["targets"], expected, rtol=1e-3, atol=1e-6)


def test_warm_up_learns_the_initial_clusters(frozen, blobs, spy):
    X, _ = blobs
    quick(frozen, init="k-means", callbacks=[spy]).fit(X)
    first, second, third = (seen["targets"] for seen in spy.rounds[:3])
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(first, second) and not torch.equal(first, third)


def test_the_softmax_starts_as_the_rule_of_the_nearest_mean():
    z, centers = draw((40, 2)), draw((3, 2), 1) + 5.0
    labels = torch.cdist(z, centers).argmin(1)
    weight, bias = nearest_mean_softmax(z, labels, centers)
    variance = (z - centers[labels]).square().mean()
    gaussian = (-torch.cdist(z, centers).square() / (2 * variance)).softmax(1)
    np.testing.assert_allclose((z @ weight.T + bias).softmax(1), gaussian, rtol=1e-9)


def test_it_trains_on_corrupted_rows_and_predicts_from_clean_ones(blobs, spy):
    X, _ = blobs
    noisy = FrozenEstimator(small_autoencoder(noise=0.3, random_state=0).fit(X))
    model = quick(noisy, callbacks=[spy]).fit(X)
    assert all(generator is not None for generator in spy.corruptions)
    assert model.module_.corruption.generator is None
    np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_hidden_layers_are_part_of_the_history(blobs):
    X, _ = blobs
    model = quick(small_autoencoder(**DENOISING)).fit(X)
    assert {"loss", "cross_entropy", "reconstruction", "hidden"} <= set(model.history_)
    assert "hidden" not in quick(small_autoencoder()).fit(X).history_


def test_the_head_is_that_of_predict_proba(frozen, blobs):
    X, _ = blobs
    model = quick(frozen).fit(X)
    logits = model.transform(X) @ model.coef_.T + model.intercept_
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-4, atol=1e-6)
    for k in range(3):
        mean = model.transform(X)[model.labels_ == k].mean(0)
        np.testing.assert_allclose(model.cluster_centers_[k], mean, rtol=1e-4, atol=1e-5)


def test_it_stops_when_labels_settle(frozen, blobs):
    X, _ = blobs
    model = quick(frozen, tol=0.2, max_epochs=30).fit(X)
    assert model.n_iter_ < 32
    assert model.history_["label_change"][-1] < 0.2


def test_lam_zero_leaves_the_decoder_alone(frozen, blobs):
    X, _ = blobs
    start = frozen.estimator.module_.decoder.state_dict()
    model = quick(frozen, lam=0).fit(X)
    for name, value in model.module_.decoder.state_dict().items():
        assert torch.equal(value, start[name])


def test_flat_rows_have_a_fully_connected_network():
    flat, images, unknown = (
        DEPICT()._default_network(shape and Form(sample_shape=shape, n_features_in=16))
        for shape in ((16,), (1, 4, 4), None)
    )
    assert type(flat) is Autoencoder and type(images) is type(unknown) is ConvAutoencoder
    for name in ("n_components", "noise", "hidden_weight", "min_steps", "embedding_activation"):
        assert getattr(flat, name) == getattr(images, name)


@pytest.mark.parametrize("shape", [(16,), (1, 4, 4)])
@pytest.mark.parametrize(("n_samples", "steps"), [(999, 500), (1000, 1500), (None, 1500)])
def test_few_samples_take_fewer_steps(shape, n_samples, steps):
    form = Form(sample_shape=shape, n_features_in=16, n_samples=n_samples)
    assert DEPICT()._default_network(form).min_steps == steps


def test_the_largest_share_belongs_to_the_largest_initial_cluster(frozen, blobs):
    labels = torch.tensor([0] * 3 + [1] * 2 + [2] * 9)
    np.testing.assert_allclose(ranked_prior([2, 5, 3], labels, 3), [0.3, 0.2, 0.5])
    shares = ranked_prior("start", torch.tensor([0, 0, 0, 1, 2, 2]), 4)
    np.testing.assert_allclose(shares, np.array([3, 1, 2, 1]) / 7)
    X, _ = blobs
    fits = [quick(frozen, prior=prior).fit(X) for prior in ([0.15, 0.7, 0.15], [0.7, 0.15, 0.15])]
    np.testing.assert_array_equal(fits[0].coef_, fits[1].coef_)
    assert not np.array_equal(fits[0].coef_, quick(frozen).fit(X).coef_)


@pytest.mark.parametrize("prior", [[1, 1], [1, -1, 1], [0, 1, 1], "flat", [[1, 1, 1]]])
def test_bad_priors_are_refused(prior, unfitted, blobs):
    with pytest.raises(ValueError, match="prior"):
        quick(unfitted, prior=prior).fit(blobs[0])


# -- labels --------------------------------------------------------------------------------------


def test_classes_are_matched_to_clusters():
    labels = np.array([2, 2, 0, 0, 1, 1, 1])
    classes = np.array([0, 0, 1, 2, 2, 1, 1])
    assert match_classes(labels, classes, 4).tolist() == [2, 1, 0]


def test_labels_are_ignored_unless_asked_for(unfitted, blobs):
    X, y = blobs
    model = quick(unfitted)
    alone = clone(model).fit(X)
    np.testing.assert_array_equal(clone(model).fit(X, y).labels_, alone.labels_)
    np.testing.assert_array_equal(clone(model).fit(X, y).coef_, alone.coef_)
    asked = clone(model).set_params(semi_supervised=True)
    np.testing.assert_array_equal(clone(asked).fit(X).coef_, alone.coef_)
    np.testing.assert_array_equal(clone(asked).fit(X, np.full(150, -1)).coef_, alone.coef_)
    assert not np.array_equal(clone(asked).fit(X, y).coef_, alone.coef_)


def test_a_grid_search_leaks_no_labels(frozen, blobs):
    X, y = blobs
    search = GridSearchCV(quick(frozen), {"lam": [0.1]}, cv=2, scoring="adjusted_rand_score")
    search.fit(X, y)
    blind = quick(frozen).set_params(lam=0.1).fit(X)
    np.testing.assert_array_equal(search.best_estimator_.labels_, blind.labels_)


def test_labelled_rows_keep_to_their_class(frozen, blobs, spy):
    X, y = blobs
    partial = np.full(150, -1)
    partial[:30] = 7 + y[:30]
    model = quick(frozen, semi_supervised=True, callbacks=[spy]).fit(X, partial)
    targets = spy.rounds[-1]["targets"]
    assert set(targets[:30].unique().tolist()) == {0.0, 1.0}
    for c in range(3):  # one cluster per class, another for each
        assert len(torch.unique(targets[:30].argmax(1)[y[:30] == c])) == 1
    assert len(torch.unique(targets[:30].argmax(1))) == 3
    assert model.labels_.shape == (150,)


def test_few_labels_help(blobs):
    """A start that splits one blob and joins the two others is mended by labels."""
    X, y = blobs
    partial = np.where(np.arange(150) < 60, y, -1)
    ae = small_autoencoder(random_state=0).fit(X)
    Z = ae.transform(X)
    wrong = np.where(y == 0, np.arange(150) % 2, 2)
    init = np.stack([Z[wrong == j].mean(axis=0) for j in range(3)])
    params = {"max_epochs": 60, "lr": 3e-3, "init": init}
    blind = quick(FrozenEstimator(ae), **params).fit(X)
    helped = quick(FrozenEstimator(ae), semi_supervised=True, **params).fit(X, partial)
    rest = slice(60, None)
    before = adjusted_rand_score(y[rest], blind.labels_[rest])
    assert adjusted_rand_score(y[rest], helped.labels_[rest]) > before


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (np.zeros(149), "inconsistent numbers of samples"),
        (np.arange(150) % 4, "y has 4 classes; n_clusters=3"),
        (np.zeros((150, 2)), "1d array"),
        (np.where(np.arange(150) < 9, 1.0, np.nan), "unlabelled rows have y = -1"),
        (np.full(150, np.inf), "infinity"),
        ([1, None] * 75, "unlabelled rows have y = -1"),
        (["a", -1] * 75, "use dtype=object"),
        (np.array(["a", 1, -1] * 50, dtype=object), "cannot be sorted"),
    ],
    ids=["length", "classes", "2-D", "nan", "inf", "None", "strings", "mixed"],
)
def test_bad_labels_are_refused(y, match, unfitted, blobs):
    with pytest.raises(ValueError, match=match):
        quick(unfitted, semi_supervised=True).fit(blobs[0], y)


def test_labels_of_any_type_serve(frozen, blobs):
    X, y = blobs
    partial = np.where(np.arange(150) < 30, y, -1)
    expected = quick(frozen, semi_supervised=True).fit(X, partial).labels_
    names = np.array([["a", "b", "c", -1][label] for label in partial], dtype=object)
    for labels in (
        names,
        partial.astype(float),
        pd.Series(partial),
        10 * partial + 9 * (partial < 0),
    ):
        found = quick(frozen, semi_supervised=True).fit(X, labels).labels_
        np.testing.assert_array_equal(found, expected)


def test_fit_predict_and_fit_transform_use_the_labels(frozen, blobs):
    X, y = blobs
    partial = np.where(np.arange(150) < 30, (y + 1) % 3, -1)
    partial[:30:2] = (partial[:30:2] + 1) % 3  # contradict the clusters
    fitted = quick(frozen, semi_supervised=True).fit(X, partial)
    again = quick(frozen, semi_supervised=True)
    np.testing.assert_array_equal(again.fit_predict(X, partial), fitted.labels_)
    np.testing.assert_array_equal(again.coef_, fitted.coef_)
    blind = quick(frozen, semi_supervised=True)
    blind.fit_predict(X)
    assert (blind.coef_ != fitted.coef_).any()
    again.fit_transform(X, partial)
    np.testing.assert_array_equal(again.coef_, fitted.coef_)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_equal_rows_do_not_make_the_softmax_explode(optimizer):
    """No variance within clusters: of rows that repeat, and of one cluster per row."""
    distinct = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    for X, k in ((np.repeat(distinct, 10, axis=0), 3), (np.repeat(distinct, 2, axis=0)[:4], 3)):
        model = quick(small_autoencoder(), k, optimizer=optimizer).fit(X)
        assert model.loss_ < 1e3
        assert np.abs(model.coef_).max() < 1e4


def test_tables_need_no_other_network():
    X = load_digits().data[:60, 10:14]
    model = DEPICT(3, max_epochs=1, min_steps=0, warm_up_epochs=1, random_state=0)
    model.set_params(autoencoder__max_epochs=1, autoencoder__min_steps=2)
    assert model.fit(X).predict(X).shape == (60,)


def test_a_single_labelled_class_is_enough(frozen, blobs):
    X, y = blobs
    partial = np.where(y == 1, 1, -1)
    partial[75:] = -1
    model = quick(frozen, semi_supervised=True).fit(X, partial)
    assert len(np.unique(model.labels_)) == 3


# -- images --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(8, 8), (1, 7, 9), (3, 5, 6), (16, 4)])
@pytest.mark.parametrize("kernel_sizes", [(4, 5), (5, 4), (2, 2), (4, 4), (1, 6)])
def test_even_and_odd_kernels_give_images_of_any_size_back(shape, kernel_sizes):
    X = np.random.default_rng(0).random((20, *shape), dtype=np.float32)
    ae = ConvAutoencoder(
        filters=(3, 4), kernel_sizes=kernel_sizes, max_epochs=1, min_steps=0, **DENOISING
    ).fit(X)
    assert ae.inverse_transform(ae.transform(X)).shape == X.shape


def test_the_default_network_is_the_papers_with_a_wider_embedding():
    images = load_digits().images[:60]
    model = DEPICT(6, random_state=0).set_params(
        autoencoder__min_steps=2, autoencoder__max_epochs=1
    )
    model.set_params(max_epochs=1, min_steps=0, warm_up_epochs=1).fit(images)
    layers = [m for m in model.module_.encoder if any(True for _ in m.parameters())]
    assert [tuple(layer.weight.shape) for layer in layers] == [
        (50, 1, 4, 4),
        (50, 50, 5, 5),
        (32, 200),
    ]
    assert isinstance(model.module_.encoder[-1], nn.Tanh)
    assert np.abs(model.transform(images)).max() <= 1


@pytest.mark.parametrize("kind", [Autoencoder, ConvAutoencoder])
def test_strategies_of_the_paper_run(kind):
    images = load_digits().images[:60]
    small = {"n_components": 3, "max_epochs": 1, "min_steps": 0}
    if kind is Autoencoder:
        small |= {"hidden_layer_sizes": (16, 16, 32)}
    if kind is ConvAutoencoder:
        small |= {"filters": (4,), "kernel_sizes": (4,)}
    denoising = {"noise": 0.1, "noise_kind": "dropout"}
    strategies = {
        "MdA": (kind(**small, **denoising, hidden_weight=0.1), 1.0),
        "RdA": (kind(**small, **denoising), 1.0),
        "SdA": (kind(**small, **denoising, layerwise_epochs=1), 0.0),
    }
    for autoencoder, lam in strategies.values():
        model = quick(autoencoder, lam=lam).fit(images)
        np.testing.assert_array_equal(model.predict(images), model.labels_)
    layers = len(strategies["SdA"][0].fit(images).history_["loss"]) - 1
    assert layers == (2 if kind is ConvAutoencoder else 4)
