"""SpectralNet: loss, affinities and Siamese pairs equal plain loops; outputs are orthonormal."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors
from torch import nn
from torch.autograd import gradcheck

from sklearn_deepcluster import Autoencoder, SpectralNet, load_model, save_model
from sklearn_deepcluster._engine import Callback, Rows, Step
from sklearn_deepcluster.cluster._spectral_affinity import (
    ContrastiveLoss,
    Triples,
    batch_affinity,
)
from sklearn_deepcluster.cluster._spectralnet import SpectralLoss
from sklearn_deepcluster.losses import spectral_loss
from sklearn_deepcluster.nn import orthonormalizer
from tests._instances import blobs, tiny

MOONS = {"hidden_layer_sizes": (128, 128), "lr": 3e-3, "min_steps": 400}


def draw(shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def quick(**params):
    return tiny("SpectralNet", **params)


def symmetric(m, seed=1):
    affinity = draw((m, m), seed).abs()
    return affinity + affinity.T


# -- loss and orthonormalisation -----------------------------------------------------------------


def test_the_loss_equals_the_loops():
    y, affinity = draw((6, 3)), symmetric(6)
    expected = 0.0
    for i in range(6):
        for j in range(6):
            squared = sum((a - b) ** 2 for a, b in zip(y[i].tolist(), y[j].tolist(), strict=True))
            expected += affinity[i, j].item() * squared
    assert spectral_loss(y, affinity).item() == pytest.approx(expected / 36, rel=1e-12)


def test_the_gradient_is_that_of_the_loss_whose_matrix_follows():
    """Numerically: the outputs move, and the matrix is always that of the outputs."""
    affinity = symmetric(5)

    def loss(outputs, matrix_of):
        return spectral_loss(outputs @ (math.sqrt(5) * _inverse_root(matrix_of)), affinity)

    class Following(torch.autograd.Function):
        @staticmethod
        def forward(ctx, outputs):
            ctx.save_for_backward(outputs)
            return loss(outputs, outputs)

        @staticmethod
        @torch.enable_grad()
        def backward(ctx, gradient):
            outputs = ctx.saved_tensors[0].detach().requires_grad_()
            return gradient * torch.autograd.grad(loss(outputs, outputs.detach()), outputs)[0]

    assert gradcheck(Following.apply, [draw((5, 2)).requires_grad_()])


def test_no_gradient_scales_or_mixes_the_outputs():
    outputs = draw((8, 3)).requires_grad_()
    y = outputs @ orthonormalizer(outputs.detach())
    (gradient,) = torch.autograd.grad(spectral_loss(y, symmetric(8)), outputs)
    assert (outputs.detach().T @ gradient).abs().max() < 1e-4 * gradient.abs().max()


def _inverse_root(outputs):
    """R^-1 of the QR decomposition, without the ridge."""
    return torch.linalg.inv(torch.linalg.qr(outputs).R)


def test_outputs_are_orthonormal_over_their_batch():
    outputs = draw((50, 4)) @ draw((4, 4), 3) + 2.0
    y = outputs @ orthonormalizer(outputs)
    torch.testing.assert_close(y.T @ y / 50, torch.eye(4, dtype=torch.float64), rtol=0, atol=1e-3)
    y = outputs.float() @ orthonormalizer(outputs.float())
    assert y.dtype == torch.float32
    torch.testing.assert_close(y.T @ y / 50, torch.eye(4), rtol=0, atol=1e-3)


@pytest.mark.parametrize("outputs", [torch.zeros(6, 3), torch.ones(6, 3), torch.ones(1, 3)])
def test_outputs_that_say_the_same_are_no_error(outputs):
    y = outputs @ orthonormalizer(outputs)
    assert torch.isfinite(y).all()
    assert (y.square().mean(0) < 1.1).all()


# -- affinities ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_neighbors", [1, 3, 100, None])
@pytest.mark.parametrize("scale_k", [1, 2, 100])
def test_affinities_equal_the_loops(n_neighbors, scale_k):
    points = draw((7, 2))
    one_sided = np.zeros((7, 7))
    for i, a in enumerate(points.tolist()):
        others = sorted((math.dist(a, b), j) for j, b in enumerate(points.tolist()) if j != i)
        scale = others[min(scale_k, 6) - 1][0]
        for distance, j in others[:n_neighbors]:
            one_sided[i, j] = math.exp(-(distance**2) / (2 * scale**2))
    affinity = batch_affinity(points, n_neighbors, scale_k)
    np.testing.assert_allclose(affinity, (one_sided + one_sided.T) / 2, rtol=1e-10)
    assert torch.equal(affinity, affinity.T) and not affinity.diagonal().any()


def test_equal_rows_are_near_and_far_ones_are_not():
    points = torch.tensor([[0.0], [0.0], [0.0], [5.0], [5.0], [5.0]])
    affinity = batch_affinity(points, 4, 2)
    expected = torch.block_diag(*[torch.ones(3, 3)] * 2) - torch.eye(6)
    torch.testing.assert_close(affinity, expected)
    torch.testing.assert_close(batch_affinity(torch.ones(3, 2), 2, 1), 1 - torch.eye(3))
    assert batch_affinity(torch.ones(1, 2), 5, 3).tolist() == [[0.0]]


def test_the_objective_looks_at_the_points_of_the_batch():
    x, points, index = draw((4, 2)), draw((9, 3), 1), torch.tensor([7, 0, 3, 4])
    matrix = torch.eye(2, dtype=torch.float64)
    by_points = SpectralLoss(matrix, 2, 1, points)(Step((x,), x, index))["loss"]
    by_rows = SpectralLoss(matrix, 2, 1)(Step((x,), x, index))["loss"]
    assert by_points == spectral_loss(x, batch_affinity(points[index], 2, 1))
    assert by_rows == spectral_loss(x, batch_affinity(x, 2, 1)) != by_points


def test_a_batch_renews_the_matrix_by_the_weights_after_its_step():
    X, _ = blobs()
    seen = []

    class Spy(SpectralLoss):
        def after_step(self, step):
            before = self.matrix.clone()
            super().after_step(step)
            seen.append((before, self.matrix.clone(), orthonormalizer(step.embed(step.x))))

    class Spied(SpectralNet):
        def _objective(self, task):
            objective = super()._objective(task)
            objective.__class__ = Spy
            return objective

    Spied(**quick(min_steps=4, max_epochs=1).get_params(deep=False)).fit(X)
    assert len(seen) == 4
    for before, after, expected in seen:
        torch.testing.assert_close(after, expected)
        assert not torch.equal(before, after)


# -- the Siamese network -------------------------------------------------------------------------


@pytest.mark.parametrize("slack", [0.0, 0.5])
def test_the_siamese_loss_equals_the_loops(slack):
    out = 0.3 * draw((12, 3))
    loss = ContrastiveLoss(slack)(Step((out,)))["loss"]
    rows = out.tolist()
    expected = 0.0
    for i in range(4):
        near, far = math.dist(rows[i], rows[4 + i]), math.dist(rows[i], rows[8 + i])
        expected += max(near - slack, 0) ** 2 + max(1 - far, 0) ** 2
    assert loss.item() == pytest.approx(expected / 4, rel=1e-12)


def test_the_gradient_of_the_siamese_loss_is_right():
    def loss(out):
        return ContrastiveLoss(0.1)(Step((out,)))["loss"]

    assert gradcheck(loss, [(0.3 * draw((12, 3))).requires_grad_()])
    equal = torch.ones(6, 2).requires_grad_()
    loss(equal).backward()
    assert not equal.grad.any()


def test_triples_are_a_row_a_neighbour_and_another_row():
    X = draw((40, 3)).float().numpy()
    neighbors = torch.from_numpy(NearestNeighbors(n_neighbors=2).fit(X).kneighbors()[1])
    triples = Triples(neighbors, Rows(X), 16, torch.Generator().manual_seed(0))
    for _ in range(5):
        seen = []
        for batch in triples:
            row, neighbor, other = batch.index.chunk(3)
            assert len(row) == len(neighbor) == len(other) <= 16
            assert all(n in neighbors[i] for i, n in zip(row, neighbor, strict=True))
            assert not (row == other).any()
            torch.testing.assert_close(batch.x, torch.from_numpy(X)[batch.index])
            seen += row.tolist()
        assert sorted(seen) == list(range(40))


# -- the estimator -------------------------------------------------------------------------------


@pytest.mark.parametrize("affinity", ["knn", "siamese", "full"])
def test_every_affinity_finds_clusters(affinity):
    X, y = blobs()
    model = quick(affinity=affinity).fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.95
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    np.testing.assert_array_equal(model.predict(X), model.predict(X))
    assert (model.initial_labels_ == -1).all()
    assert model.loss_ == min(model.history_["loss"])


def test_embeddings_of_all_rows_are_orthonormal():
    X, _ = blobs()
    Y = quick().fit_transform(X).astype(np.float64)
    np.testing.assert_allclose(Y.T @ Y / len(Y), np.eye(3), atol=1e-2)


def test_two_moons_are_told_apart():
    X, y = make_moons(300, noise=0.05, random_state=0)
    model = SpectralNet(2, **MOONS, random_state=0).fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.95
    new, y_new = make_moons(300, noise=0.05, random_state=1)
    assert adjusted_rand_score(y_new, model.predict(new)) > 0.95


def test_few_features_are_their_own_codes():
    X, _ = blobs()
    X = X[:, :15]
    model = quick(autoencoder=None, max_epochs=1, min_steps=2).fit(X)
    rows = Rows(X, standard=model._standard()).take(torch.arange(len(X)))
    expected = (X - X.mean(0)) / (X - X.mean(0)).std()
    np.testing.assert_allclose(model.module_.codes(rows).detach(), expected, atol=1e-4)
    assert isinstance(model._default_network(None), Autoencoder)


def test_outputs_that_are_constant_are_no_error():
    """Weights of 0 at the end: the outputs of all rows are 0 from the start."""
    X, _ = blobs()

    class Constant(SpectralNet):
        def _adapt(self, module, settings, rng):
            module = super()._adapt(module, settings, rng)
            nn.init.zeros_(module.spectral[-2].weight)
            return module

    params = quick(max_epochs=1, min_steps=2, lr=1e-30).get_params(deep=False)
    with pytest.warns(UserWarning, match="clusters are empty|distinct clusters"):
        model = Constant(**params).fit(X)
    assert np.isfinite(model.transform(X)).all()
    assert (model.labels_ == model.labels_[0]).all()


def test_the_learning_rate_falls_on_a_plateau_and_training_ends():
    X, _ = blobs()
    rates = []

    class Rates(Callback):
        def __deepcopy__(self, memo):
            return self

        def on_epoch_end(self, net, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    params = {"max_epochs": 500, "min_steps": 0, "callbacks": [Rates()], "lr": 1e-2}
    model = quick(patience=2, **params).fit(X)
    assert model.n_iter_ == len(rates) < 500
    assert rates[0] == 1e-2 and min(rates) < 2e-3
    assert quick(patience=None, **{**params, "max_epochs": 9}).fit(X).n_iter_ == 9


def test_what_cannot_be_is_refused_before_any_training():
    X, _ = blobs()
    with pytest.raises(ValueError, match="batch_size=2 should be >= n_clusters=3"):
        quick(batch_size=2).fit(X)
    model = quick(warm_start=True).fit(X)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(8,\).* fitted with \(16,\)"):
        model.set_params(hidden_layer_sizes=(8,)).fit(X)


def test_saved_models_embed_as_they_did(tmp_path):
    X, _ = blobs()
    model = quick().fit(X)
    model.set_params(n_clusters=5, hidden_layer_sizes=(8, 8))
    save_model(model, tmp_path / "net")
    again = load_model(tmp_path / "net")
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    np.testing.assert_array_equal(again.predict(X), model.labels_)
