"""Companion objectives equal plain loops, reach the layers, and stand beside any method."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch.autograd import gradcheck

from sklearn_deepcluster import IDEC
from sklearn_deepcluster._engine import Rows, Step
from sklearn_deepcluster.cluster import _companion
from sklearn_deepcluster.cluster._companion import (
    SoftmaxCompanion,
    TensorCompanion,
    WithCompanion,
    output_widths,
)
from sklearn_deepcluster.cluster._dec import ClusteringLoss
from sklearn_deepcluster.cluster._softmax import SoftmaxClusteringLoss
from sklearn_deepcluster.losses import student_t_log_assignment
from sklearn_deepcluster.nn import Exposing
from tests._instances import network_input
from tests.cluster.conftest import small_autoencoder

N, K = 6, 3


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def assignments(seed=0):
    return draw(N, K, seed=seed).softmax(1)


def outputs():
    """Of a layer of maps, of a layer of matrices, and of a layer of vectors."""
    return [draw(N, 2, 3, 4, seed=1), draw(N, 3, 4, seed=2), draw(N, 5, seed=3)]


# -- plain loops ---------------------------------------------------------------------------------


def projector(matrix):
    gram = matrix @ matrix.T
    eps = 1e-6 * (1 + np.trace(gram) / len(gram))
    return matrix.T @ np.linalg.solve(gram + eps * np.eye(len(gram)), matrix)


def squared_distances(y):
    """Of vectors the Euclidean ones, of tensors those of the projectors onto their unfoldings."""
    y = y.detach().numpy()
    if y.ndim == 2:
        return [[float(np.sum((a - b) ** 2)) for b in y] for a in y]
    total = np.zeros((len(y), len(y)))
    for mode in range(y.ndim - 1):
        unfolded = [np.moveaxis(sample, mode, 0).reshape(sample.shape[mode], -1) for sample in y]
        unfolded = [m.T if m.shape[0] > m.shape[1] else m for m in unfolded]
        p = [projector(m) for m in unfolded]
        total += [[np.sum((a - b) ** 2) for b in p] for a in p]
    return total.tolist()


def overlap(u, distances, share):
    """Cauchy-Schwarz overlap of the clusters under the kernel of these distances."""
    every = sorted(itertools.chain.from_iterable(distances))
    width = share * every[(len(every) - 1) // 2]
    gram = [[math.exp(-d / width) for d in row] for row in distances]

    def inner(i, j):
        return sum(
            float(u[p, i] * gram[p][q] * u[q, j]) for p, q in itertools.product(range(N), repeat=2)
        )

    pairs = list(itertools.combinations(range(K), 2))
    return sum(inner(i, j) / math.sqrt(inner(i, i) * inner(j, j)) for i, j in pairs) / len(pairs)


@pytest.mark.parametrize(("bandwidth", "share"), [("code", 0.4), ("mvc", 0.8), ("thesis", 0.32)])
def test_the_tensor_companion_equals_the_loops(bandwidth, share):
    u, layers = assignments(), outputs()
    companion = TensorCompanion(0.7, 3, sigma_scale=0.4, bandwidth=bandwidth)
    terms = [overlap(u, squared_distances(y), share) for y in layers]
    for layer, (y, expected) in enumerate(zip(layers, terms, strict=True)):
        assert float(companion.term(u, y, layer)) == pytest.approx(expected, rel=1e-6)
    assert float(companion(u, layers)) == pytest.approx(sum(terms), rel=1e-6)


def softmax_companion(**params):
    widths = [y[0].numel() for y in outputs()]
    return SoftmaxCompanion(0.7, widths, K, 0, **params).double()


def test_the_softmax_companion_equals_the_loops():
    u, layers, companion = assignments(), outputs(), softmax_companion().requires_grad_(False)
    total = 0.0
    for classifier, y in zip(companion.classifiers, layers, strict=True):
        for i in range(N):
            logits = [
                float(w @ y[i].flatten() + b)
                for w, b in zip(classifier.weight, classifier.bias, strict=True)
            ]
            for j in range(K):
                p, q = float(u[i, j]), math.exp(logits[j]) / sum(map(math.exp, logits))
                total += (p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))) / N
    assert float(companion(u, layers)) == pytest.approx(total, rel=1e-9)


def test_a_softmax_companion_is_zero_where_its_classifiers_find_the_clusters():
    layers, companion = outputs(), softmax_companion().requires_grad_(False)
    for layer, y in enumerate(layers):
        found = companion.classifiers[layer](y.flatten(1)).softmax(1)
        assert float(companion.term(found, y, layer)) == pytest.approx(0.0, abs=1e-12)
    corners = torch.eye(K, dtype=torch.float64)[[0, 1, 2, 0, 1, 2]].requires_grad_()
    companion(corners, layers).backward()  # probabilities of 0 and 1
    assert torch.isfinite(corners.grad).all()


def test_classifiers_come_from_the_seed():
    def weights(seed):
        return SoftmaxCompanion(1.0, [4, 5], K, seed).classifiers[1].weight

    assert torch.equal(weights(1), weights(1)) and not torch.equal(weights(1), weights(2))


# -- gradients -----------------------------------------------------------------------------------


def companions():
    return {
        "tensor": TensorCompanion(0.7, 3, sigma_scale=2.0),
        "softmax": softmax_companion(),
    }


@pytest.mark.parametrize("kind", companions())
def test_gradients_are_right(kind, monkeypatch):
    """With the width of the kernel held, through which none goes."""
    monkeypatch.setattr(_companion, "batch_kernel", lambda d, *args: torch.exp(-d / 5.0))
    companion = companions()[kind]
    u, layers = assignments().requires_grad_(), [y.requires_grad_() for y in outputs()]
    assert gradcheck(lambda u, *y: companion(u, y), (u, *layers), atol=1e-6)


def gradients(companion):
    u, layers = assignments().requires_grad_(), [y.requires_grad_() for y in outputs()]
    companion(u, layers).backward()
    return u.grad, [y.grad for y in layers]


def test_the_clusters_learn_from_the_classifiers_only_where_they_are_to():
    both, layers = gradients(softmax_companion())
    one, same = gradients(softmax_companion(target_grad=False))
    assert both.abs().max() > 1e-3 and one is None
    for a, b in zip(layers, same, strict=True):
        assert a.abs().max() > 1e-4 and torch.equal(a, b)


@pytest.mark.parametrize("kind", companions())
def test_one_cluster_has_nothing_to_tell(kind):
    u = torch.ones(N, 1, dtype=torch.float64, requires_grad=True)
    value = companions()[kind](u, outputs())
    value.backward()
    assert value.item() == 0.0 and (u.grad == 0).all()


@pytest.mark.parametrize("kind", ["tensor", "softmax"])
def test_a_weight_is_so_many_rows(kind):
    times = torch.arange(N) % 3 + 1
    found = companions()[kind](assignments(), outputs(), times / times.double().mean())
    repeated = [y.repeat_interleave(times, 0) for y in outputs()]
    expected = companions()[kind](assignments().repeat_interleave(times, 0), repeated)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)
    assert float(found.detach()) != pytest.approx(
        float(companions()[kind](assignments(), outputs()).detach()), rel=1e-3
    )


# -- beside an objective -------------------------------------------------------------------------


def test_the_companion_is_added_by_its_weight():
    centers = draw(K, 2, seed=5)
    objective, targets = ClusteringLoss(centers, 1.0), assignments(4)
    z, layers, index = draw(N, 2, seed=6), outputs(), torch.arange(N)
    both = WithCompanion(objective, TensorCompanion(0.7, 3))
    terms = both(Step((z, None, *layers), None, index, targets))
    alone = objective(Step((z, None), None, index, targets))
    value = TensorCompanion(0.7, 3)(student_t_log_assignment(z, centers, 1.0).exp(), layers)
    assert terms["companion"].item() == value.item() > 0.01
    assert terms["kl"].item() == alone["kl"].item()
    assert terms["loss"].item() == pytest.approx((alone["loss"] + 0.7 * value).item(), rel=1e-12)
    assert {id(p) for p in both.parameters()} == {id(objective.centers)}
    weight = 0.5 * torch.ones(N, dtype=torch.float64)  # of a batch of light rows
    lighter = both(Step((z, None, *layers), None, index, targets, weight=weight))
    assert lighter["companion"].item() == pytest.approx(0.5 * value.item(), rel=1e-12)


def test_objectives_tell_their_soft_assignments():
    z, head = draw(N, 2, seed=6), draw(K, 2, seed=5)
    student = ClusteringLoss(head, 2.0).assignments(z)
    kernel = (1 + torch.cdist(z, head).square() / 2.0) ** -1.5
    np.testing.assert_allclose(
        student.detach(), kernel / kernel.sum(1, keepdim=True), rtol=1e-9, atol=1e-12
    )
    bias = draw(K, seed=7)
    softmax = SoftmaxClusteringLoss(head, bias, None, 1.0).assignments(z)
    np.testing.assert_allclose(softmax.detach(), (z @ head.T + bias).softmax(1).detach())


# -- beside another method -----------------------------------------------------------------------


class CompanionIDEC(IDEC):
    """IDEC whose hidden layers are to see its clusters."""

    def _optimize(self, task):
        companion = TensorCompanion(10.0, len(task.module.taps), sigma_scale=0.5)
        return super()._optimize(dataclasses.replace(task, companion=companion))


def quick(cls, **params):
    defaults = {"max_epochs": 40, "min_steps": 0, "batch_size": 50, "lr": 3e-3, "tol": 0.0}
    return cls(
        3,
        autoencoder=small_autoencoder(hidden_layer_sizes=(16, 8), validation_fraction=None),
        random_state=0,
        precision="float32",
        update_interval=10,
        **(defaults | params),
    )


def test_any_method_can_have_a_companion(blobs):
    X, _ = blobs
    model = quick(CompanionIDEC).fit(X)
    history = model.history_
    assert len(history["companion"]) == model.n_iter_ == 12
    terms = [np.array(history[name]) for name in ("kl", "reconstruction", "companion")]
    np.testing.assert_allclose(
        history["loss"], model.gamma * terms[0] + terms[1] + 10 * terms[2], rtol=1e-5
    )
    assert history["companion"][-1] < 0.8 * history["companion"][0]
    # Without the hook the clusters overlap more in the hidden layers.
    plain = quick(IDEC).fit(X)
    assert "companion" not in plain.history_
    found = [companion_of(m, X) for m in (model, plain)]
    assert found[0] < 0.95 * found[1]


def companion_of(model, X):
    """The companion of all rows at once, with the model's own assignments."""
    module = Exposing(model.module_, model.module_.taps)
    with torch.no_grad():
        layers = module(torch.from_numpy(network_input(model, X)))[2:]
    u = torch.from_numpy(model.predict_proba(X))
    return float(TensorCompanion(1.0, 2, sigma_scale=0.5)(u, layers))


def test_the_width_of_each_output_is_known(blobs):
    module = quick(IDEC).fit(blobs[0]).module_
    assert output_widths(module, Rows(blobs[0])) == [16, 8]


def test_gradients_reach_the_layers_that_the_companion_sees(blobs):
    """Of the companion alone: they move the layers up to the last output, and the clusters."""
    X, _ = blobs
    model = quick(IDEC).fit(X)
    module, x = model.module_, torch.from_numpy(network_input(model, X[:50]))
    objective = ClusteringLoss(torch.from_numpy(model.cluster_centers_), 1.0)
    targets = torch.from_numpy(model.predict_proba(X))
    both = WithCompanion(objective, TensorCompanion(1.0, 2))

    def moved():
        outputs = Exposing(module, module.taps)(x)
        both(Step(outputs, x, torch.arange(50), targets))["companion"].backward()
        return {name for name, p in module.named_parameters() if p.grad is not None}

    objective.assignments = lambda z: torch.from_numpy(model.predict_proba(X[:50]))
    before_the_embedding = {f"encoder.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")}
    assert moved() == before_the_embedding
    assert all(module.get_parameter(name).grad.any() for name in before_the_embedding)
    assert objective.centers.grad is None
    del objective.assignments
    assert moved() == before_the_embedding | {"encoder.4.weight", "encoder.4.bias"}
    assert objective.centers.grad.any()


def test_the_companion_leaves_nothing_in_the_fitted_model(blobs):
    X, _ = blobs
    model, plain = quick(CompanionIDEC).fit(X), quick(IDEC).fit(X)
    assert model.module_.state_dict().keys() == plain.module_.state_dict().keys()
    assert vars(model).keys() == vars(plain).keys()
    again = clone(model).fit(X)
    np.testing.assert_array_equal(again.cluster_centers_, model.cluster_centers_)
