"""The network that starts as the identity."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris, load_wine
from torch.autograd import gradcheck

from sklearn_deepcluster import IdentityAutoencoder
from sklearn_deepcluster._engine import Step
from sklearn_deepcluster.losses import IdentityLoss
from sklearn_deepcluster.nn import identity_mlp


@pytest.mark.parametrize("n_features", [1, 2, 7])
@pytest.mark.parametrize(("width", "n_hidden"), [(14, 1), (14, 2), (40, 3)])
def test_the_network_is_the_identity(n_features, width, n_hidden):
    network = identity_mlp(n_features, width, n_hidden, torch.Generator().manual_seed(0))
    x = torch.randn(50, n_features, generator=torch.Generator().manual_seed(1)) * 10
    np.testing.assert_allclose(network(x).detach(), x, atol=2e-5)
    assert [layer.out_features for layer in network if hasattr(layer, "weight")] == (
        [width] * n_hidden + [n_features]
    )


def test_no_two_units_are_alike():
    """Copies of the features would have equal gradients for ever."""
    network = identity_mlp(2, 20, 2, torch.Generator().manual_seed(0))
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(1))
    network(x).square().prod(dim=1).sum().backward()
    gradients = network[0].weight.grad
    distances = torch.cdist(gradients, gradients).fill_diagonal_(1.0)
    assert float(distances.min()) > 1e-3 * float(gradients.norm(dim=1).mean())


@pytest.mark.parametrize("factor", [1.0, 1e4])
def test_the_start_is_exact_whatever_the_unit(factor):
    X = load_wine().data * factor
    identity = IdentityAutoencoder(random_state=0).fit(X)
    assert identity.n_components_ == 13
    back = identity.transform(X) * identity.scale_ + identity.center_
    np.testing.assert_allclose(back, X, rtol=1e-4, atol=factor)
    np.testing.assert_allclose(
        identity.inverse_transform(identity.transform(X)), X, rtol=1e-4, atol=factor
    )
    assert identity.loss_ < 1e-10 and identity.n_iter_ == 1


def test_pretraining_comes_near_the_identity():
    X = load_iris().data
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    trained = IdentityAutoencoder(start="pretrain", random_state=0).fit(X)
    assert trained.history_["loss"][0] > 0.5
    assert trained.loss_ < 0.01
    assert np.mean((trained.transform(X) - X) ** 2) < 0.005


def test_the_loss_is_that_of_embedding_and_reconstruction():
    x, z, back = (torch.randn(6, 3, generator=torch.Generator().manual_seed(s)) for s in range(3))
    terms = IdentityLoss()(Step((z, back), x))
    expected = sum(float(((x[i] - y[i]) ** 2).sum()) for y in (z, back) for i in range(6)) / 18
    assert float(terms["loss"]) == pytest.approx(expected, rel=1e-6)
    assert float(terms["embedding"]) == pytest.approx(float((x - z).square().mean()), rel=1e-6)


def test_the_loss_passes_gradcheck():
    rng = torch.Generator().manual_seed(0)
    x, z, back = (torch.randn(4, 3, generator=rng, dtype=torch.float64) for _ in range(3))
    inputs = (z.requires_grad_(), back.requires_grad_())
    assert gradcheck(lambda z, back: IdentityLoss()(Step((z, back), x))["loss"], inputs)


@pytest.mark.parametrize("widths", [(6,), (9,), (8, 10), ()])
def test_widths_that_cannot_be_the_identity_are_refused(widths):
    """Four features need widths that are equal, even and at least 8."""
    X = load_iris().data
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        IdentityAutoencoder(hidden_layer_sizes=widths).fit(X)


def test_pretraining_takes_any_widths():
    X = load_iris().data
    trained = IdentityAutoencoder(
        hidden_layer_sizes=(5, 9), start="pretrain", min_steps=5, max_epochs=1, random_state=0
    ).fit(X)
    assert [
        layer.out_features for layer in trained.module_.encoder if hasattr(layer, "weight")
    ] == [5, 9, 4]


def test_the_default_width_is_twice_the_features_or_twenty():
    for n_features, width in ((2, 20), (13, 26)):
        X = np.random.RandomState(0).randn(30, n_features)
        module = IdentityAutoencoder(random_state=0).fit(X).module_
        assert module.encoder[0].out_features == width
