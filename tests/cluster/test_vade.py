"""VaDE: the bound equals plain loops and is one; the model scores rows and draws new ones."""

import functools
import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_blobs
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import adjusted_rand_score
from torch import nn
from torch.autograd import gradcheck

from sklearn_deepcluster import Autoencoder, ConvAutoencoder, VaDE, load_model, save_model
from sklearn_deepcluster._engine import Step, generator
from sklearn_deepcluster._input import Form
from sklearn_deepcluster.cluster import _vade
from sklearn_deepcluster.cluster._mixture import MixtureBound, moments
from sklearn_deepcluster.nn import AutoencoderModule, VariationalModule
from tests.cluster.conftest import small_autoencoder

QUICK = {"max_epochs": 8, "min_steps": 0, "batch_size": 30, "lr": 5e-3, "drift_tol": None}
SIGMOID = {"center": None, "scale": None, "output_activation": "sigmoid"}


def quick(autoencoder=None, **params):
    params = {"random_state": 0, "precision": "float32", **QUICK, **params}
    return VaDE(3, autoencoder=autoencoder, **params)


def draw(shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def bound_of(bernoulli=False, floor=0.01):
    weights = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    covariances = 0.1 + draw((3, 2), 2).square()
    return MixtureBound(
        weights, draw((3, 2), 1), covariances, bernoulli=bernoulli, recon_weight=0.7, floor=floor
    )


# -- the objective -------------------------------------------------------------------------------


@pytest.mark.parametrize("bernoulli", [False, True])
def test_the_objective_equals_the_loops(bernoulli):
    bound, weights = bound_of(bernoulli), [0.2, 0.5, 0.3]
    mean, log_variance, z = (draw((4, 2), seed) for seed in (3, 4, 5))
    out, x = draw((4, 3), 6), torch.rand(4, 3, dtype=torch.float64, generator=generator(0))
    mu, s2 = bound.centers.tolist(), (0.1 + draw((3, 2), 2).square()).tolist()
    error = divergence = 0.0
    for i in range(4):
        for j in range(3):
            a, o = x[i, j].item(), out[i, j].item()
            p = 1 / (1 + math.exp(-o))
            cross = -a * math.log(p) - (1 - a) * math.log(1 - p)
            error += (cross if bernoulli else (a - o) ** 2) / 4
        density = [
            weights[c]
            * math.prod(
                math.exp(-((z[i, d].item() - mu[c][d]) ** 2) / (2 * s2[c][d]))
                / math.sqrt(2 * math.pi * s2[c][d])
                for d in range(2)
            )
            for c in range(3)
        ]
        gamma = [p / sum(density) for p in density]
        for c in range(3):
            for d in range(2):
                v, m = math.exp(log_variance[i, d].item()), mean[i, d].item()
                inner = math.log(s2[c][d]) + v / s2[c][d] + (m - mu[c][d]) ** 2 / s2[c][d]
                divergence += gamma[c] * inner / 2 / 4
            divergence += gamma[c] * math.log(gamma[c] / weights[c]) / 4
        divergence -= sum(1 + log_variance[i, d].item() for d in range(2)) / 2 / 4
    terms = bound(Step((mean, out, log_variance, z), x))
    assert terms["reconstruction"].item() == pytest.approx(error, rel=1e-9)
    assert terms["divergence"].item() == pytest.approx(divergence, rel=1e-9)
    assert terms["loss"].item() == pytest.approx(0.7 * error + divergence, rel=1e-9)


def test_gradients_pass_the_responsibilities():
    bound, x = bound_of(), draw((4, 3), 7)
    outputs = [draw(s, 8).requires_grad_() for s in ((4, 2), (4, 3), (4, 2), (4, 2))]
    parts = [p.detach().clone().requires_grad_() for p in bound.parameters()]

    def value(*given):
        names = [name for name, _ in bound.named_parameters()]
        own = dict(zip(names, given[4:], strict=True))
        return torch.func.functional_call(bound, own, (Step(given[:4], x),))["loss"]

    assert gradcheck(value, (*outputs, *parts))


def test_the_divergence_is_that_of_two_gaussians_where_there_is_one_component():
    """Of one component it is known in closed form, and never negative."""
    mu, s2 = draw((1, 2), 1), torch.tensor([[0.5, 2.0]]).double()
    bound = MixtureBound(
        torch.ones(1).double(), mu, s2, bernoulli=False, recon_weight=1.0, floor=1e-9
    )
    mean, log_variance, z = (draw((50, 2), seed) for seed in (3, 4, 5))
    _, found = bound.row_terms(draw((50, 3)), (mean, draw((50, 3)), log_variance, z))
    normal = torch.distributions.Normal
    of_rows = normal(mean, (0.5 * log_variance).exp())
    expected = torch.distributions.kl_divergence(of_rows, normal(mu, s2.sqrt())).sum(1)
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-8)
    assert (found >= 0).all()


def test_variances_keep_their_floor():
    bound = bound_of(floor=0.01)
    with torch.no_grad():
        bound.log_variances.fill_(-1e4)
    assert (bound.covariances == 0.01).all()
    outputs = draw((4, 2), 3), draw((4, 3), 6), draw((4, 2), 4), draw((4, 2), 5)
    assert torch.isfinite(bound(Step(outputs, draw((4, 3))))["loss"])


def test_moments_of_clusters():
    z = torch.tensor([[0.0, 0.0], [2.0, 0.0], [5.0, 1.0], [5.0, 1.0]])
    centers = torch.tensor([[1.0, 0.0], [5.0, 1.0], [9.0, 9.0]])
    shares, variances = moments(z, torch.tensor([0, 0, 1, 1]), centers, floor=0.05)
    np.testing.assert_allclose(shares, [3 / 7, 3 / 7, 1 / 7], rtol=1e-6)
    overall = z.var(0, correction=0).tolist()
    np.testing.assert_allclose(variances, [[1.0, 0.1], [0.1, 0.1], overall], rtol=1e-6)


# -- the network ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mlp", "convolutional", "opaque", "unit_norm"])
def test_means_are_the_embedding_and_draws_have_their_variance(kind):
    if kind == "opaque":

        class Opaque(nn.Module):
            def forward(self, x):
                return x[:, :3] - 1

        module = AutoencoderModule(Opaque(), nn.Linear(3, 16))
    else:
        ae = (
            small_autoencoder()
            if kind != "convolutional"
            else ConvAutoencoder(
                filters=(4,), kernel_sizes=(3,), n_components=3, sample_shape=(4, 4)
            )
        )
        module, _ = ae._build(Form(sample_shape=(16,), n_features_in=16), 0)
        module.unit_norm = kind == "unit_norm"
    x = torch.randn(2000, 16, generator=generator(1))
    embedded = module.encode(x)
    variational = VariationalModule(module, 3)
    variational.start_variance(0.25)
    mean, out, log_variance, z = variational(x)
    torch.testing.assert_close(mean, embedded)
    assert z is mean  # nothing is drawn without a generator
    assert out.shape == x.shape
    variational.noise.generator = generator(2)
    mean, _, log_variance, z = variational(x)
    torch.testing.assert_close(log_variance, torch.full_like(mean, math.log(0.25)))
    assert (z - mean).std().item() == pytest.approx(0.5, rel=0.05)
    np.testing.assert_allclose((z - mean).mean(0).detach(), 0.0, atol=0.05)


def test_probabilities_are_learned_by_their_logits():
    module = AutoencoderModule(nn.Linear(4, 2), nn.Sequential(nn.Linear(2, 4), nn.Sigmoid()))
    variational, x = VariationalModule(module, 2), torch.rand(5, 4)
    assert variational.bernoulli
    mean, logits, _, _ = variational(x)
    torch.testing.assert_close(torch.sigmoid(logits), variational.decode(mean))


# -- the estimator -------------------------------------------------------------------------------


def test_clusters_are_found(frozen, blobs):
    X, y = blobs
    model = quick(frozen, max_epochs=40).fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.8
    assert model.history_["loss"][-1] < model.history_["loss"][0]
    assert model.likelihood_ == "gaussian"
    assert model.weights_.sum() == pytest.approx(1.0, rel=1e-5)
    assert model.covariances_.shape == (3, 3) and (model.covariances_ > 0).all()


def binary(n=240, seed=0):
    """Rows of zeros and ones, of three kinds."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    p = np.array([0.1, 0.9])[(np.arange(12) // 4 == y[:, None]).astype(int)]
    return (rng.random((n, 12)) < p).astype(np.float32), y


def test_zeros_and_ones_are_probabilities():
    X, y = binary()
    model = quick(small_autoencoder(**SIGMOID, max_epochs=60), max_epochs=60).fit(X)
    assert model.likelihood_ == "bernoulli"
    assert adjusted_rand_score(y, model.labels_) > 0.8
    # The density of binary rows is a probability, and that of random bits is less.
    assert (model.score_samples(X) < 0).all()
    noise = (np.random.default_rng(1).random((240, 12)) < 0.5).astype(np.float32)
    assert model.score(X) > model.score(noise) + 1.0


def test_the_default_network_is_by_the_range_of_the_data(blobs):
    model = quick().set_params(autoencoder=None)

    def output(X):
        return model._default_network(model._read(X, reset=True)).output_activation

    X, _ = blobs
    assert output(binary()[0]) == output(load_digits().images / 16) == "sigmoid"
    assert output(X) == output(load_digits().images) == "identity"
    assert output((X - X.min()) / (X.max() - X.min())) == "identity"  # proportions


@pytest.mark.parametrize("frozen_first", [False, True])
@pytest.mark.parametrize("wrong", ["range", "center", "scale"])
def test_a_sigmoid_needs_probabilities_as_they_are(wrong, frozen_first, blobs):
    X, _ = blobs
    unit = (X - X.min()) / (X.max() - X.min())
    params = {**SIGMOID, **({wrong: "auto"} if wrong != "range" else {})}
    ae = small_autoencoder(**params, max_epochs=1)
    if frozen_first:
        ae = FrozenEstimator(ae.fit(unit))
    with pytest.raises(ValueError, match=r"\[0, 1\]" if wrong == "range" else "center=None"):
        quick(ae).fit(2 * unit if wrong == "range" else unit)


def test_the_score_is_a_lower_bound_of_the_density():
    """Of a linear decoder the density is known: Gaussians of the data's dimension."""
    X, _ = make_blobs(200, n_features=2, centers=3, cluster_std=0.3, random_state=0)
    ae = Autoencoder(hidden_layer_sizes=(), n_components=2, noise=0.0, validation_fraction=None)
    ae.set_params(center="mean", min_steps=300, lr=1e-2)
    model = quick(ae, max_epochs=60).fit(X)
    Z = (X - model.center_) / model.scale_
    linear = model.module_.decoder[0]
    W, b = (part.detach().double().numpy() for part in (linear.weight, linear.bias))
    density = np.zeros(len(X))
    for weight, mu, s2 in zip(
        model.weights_, model.cluster_centers_, model.covariances_, strict=True
    ):
        covariance = W @ np.diag(s2) @ W.T + 0.5 * np.eye(2)
        gap = Z - (W @ mu + b)
        power = -0.5 * np.einsum("ij,jk,ik->i", gap, np.linalg.inv(covariance), gap)
        density += weight * np.exp(power) / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))
    bound = model.score_samples(X)
    assert bound.mean() < np.log(density).mean()
    assert bound.mean() > np.log(density).mean() - 1.0
    assert model.score(X) == pytest.approx(bound.mean())


def test_scores_of_a_row_do_not_depend_on_the_others(frozen, blobs):
    X, _ = blobs
    model = quick(frozen).fit(X)
    scores = model.score_samples(X)
    assert scores.shape == (150,) and scores.dtype == np.float64
    np.testing.assert_array_equal(model.score_samples(X[:1]), scores[:1])
    np.testing.assert_array_equal(model.score_samples(X[70:90]), scores[70:90])
    far = X[:1] + 1e3
    assert model.score_samples(far)[0] < scores.min()


def test_probabilities_are_those_of_the_mixture_at_the_mean(frozen, blobs):
    X, _ = blobs
    model = quick(frozen).fit(X)
    gaps = np.square(model.transform(X)[:, None] - model.cluster_centers_) / model.covariances_
    logs = np.log(model.weights_) - 0.5 * (gaps + np.log(model.covariances_)).sum(2)
    powers = np.exp(logs - logs.max(1, keepdims=True))
    np.testing.assert_allclose(
        model.predict_proba(X), powers / powers.sum(1, keepdims=True), atol=1e-4
    )


def test_draws_are_of_the_components_in_their_shares(frozen, blobs):
    X, _ = blobs
    model = quick(frozen, max_epochs=40).fit(X)
    drawn, labels = model.sample(600, random_state=3)
    assert drawn.shape == (600, 6) and drawn.dtype == np.float32
    again, same = model.sample(600, random_state=3)
    np.testing.assert_array_equal(drawn, again)
    np.testing.assert_array_equal(labels, same)
    np.testing.assert_allclose(np.bincount(labels, minlength=3) / 600, model.weights_, atol=0.06)
    for j in range(3):  # what is drawn lies where the rows of its component lie
        rows = X[model.labels_ == j]
        gap = np.abs(drawn[labels == j].mean(0) - rows.mean(0))
        assert (gap < rows.std(0)).all()
    # The seed of the estimator, where none is given.
    np.testing.assert_array_equal(model.sample(3)[0], model.sample(3)[0])
    assert len(model.sample()[0]) == 1


def test_images_are_drawn_as_images():
    images = load_digits(n_class=3).images[:150] / 16
    ae = ConvAutoencoder(filters=(4,), kernel_sizes=(3,), n_components=3, min_steps=40, **SIGMOID)
    model = quick(ae).fit(images)
    drawn, _ = model.sample(4)
    assert drawn.shape == (4, 8, 8) and drawn.min() >= 0 and drawn.max() <= 1
    np.testing.assert_array_equal(model.predict(images), model.labels_)


def test_constant_columns_and_equal_rows_are_no_trouble():
    X = np.repeat([[0.0, 1.0, 5.0], [0.0, 3.0, 5.0], [0.0, 9.0, 5.0]], 20, axis=0)
    model = quick(small_autoencoder(), max_epochs=30).fit(X)
    assert np.isfinite(model.score_samples(X)).all() and (model.covariances_ > 0).all()


def test_warm_start_goes_on_with_the_mixture(unfitted, blobs):
    X, _ = blobs
    model = quick(unfitted, warm_start=True).fit(X)
    before = model.covariances_, model.weights_, model.score(X)
    model.set_params(lr=1e-12, max_epochs=1).fit(X)
    np.testing.assert_allclose(model.covariances_, before[0], rtol=1e-3)
    np.testing.assert_allclose(model.weights_, before[1], rtol=1e-3)
    assert model.score(X) == pytest.approx(before[2], rel=1e-3)


@pytest.mark.parametrize("ones", [False, True])
def test_a_saved_model_scores_and_draws_the_same(ones, blobs, tmp_path, monkeypatch):
    """Also with the default network, which the data have chosen."""
    least = functools.partial(Autoencoder, hidden_layer_sizes=(8,), max_epochs=1, min_steps=2)
    monkeypatch.setattr(_vade, "Autoencoder", least)
    X = binary()[0] if ones else blobs[0]
    model = quick(max_epochs=1).fit(X)
    save_model(model, tmp_path / "vade")
    again = load_model(tmp_path / "vade")
    assert again.likelihood_ == model.likelihood_ == ("bernoulli" if ones else "gaussian")
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    np.testing.assert_array_equal(again.sample(5)[0], model.sample(5)[0])


def test_warm_start_goes_on_where_variances_are_below_the_new_floor(unfitted, blobs):
    X, _ = blobs
    model = quick(unfitted, warm_start=True).fit(X)
    model.set_params(reg_covar=5.0, max_epochs=1).fit(X)
    assert np.isfinite(model.loss_) and np.isfinite(model.covariances_).all()


def test_a_fit_that_goes_on_refuses_what_are_no_probabilities():
    X, _ = binary()
    model = quick(small_autoencoder(**SIGMOID), warm_start=True, max_epochs=1).fit(X)
    for asked in (model.fit, model.score_samples):
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            asked(3 * X)


class Scaled(nn.Sequential):
    """A stack with a forward of its own."""

    def forward(self, x):
        return 3 * super().forward(x) + 1


class Decoder(nn.Sequential):
    """A stack that is made without arguments."""

    def __init__(self):
        super().__init__(nn.Linear(3, 64), nn.Sigmoid())


ENCODERS = {
    "own forward": Scaled(nn.Flatten(), nn.Linear(64, 3)),
    "pooled": nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)),
    "flattened last": nn.Sequential(nn.Flatten(2), nn.Linear(64, 3), nn.Flatten()),
    "activated": nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.Tanh()),
}


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_networks_of_the_user_keep_their_embedding(encoder):
    images = load_digits(n_class=3).images[:150] / 16

    class Given(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = encoder, Decoder()

    ae = Autoencoder(module=Given(), center=None, scale=None, max_epochs=1, min_steps=20)
    model = quick(ae, max_epochs=1).fit(images)
    x = torch.from_numpy(images[:9].reshape(9, -1).astype(np.float32))
    with torch.no_grad():
        mean, log_variance = model.module_.posterior(x)
        torch.testing.assert_close(mean, model.module_.encode(x))
    assert log_variance.shape == mean.shape


def test_the_score_is_that_of_the_model_as_it_was_fitted(frozen, blobs):
    X, _ = blobs
    model = quick(frozen, max_epochs=1).fit(X)
    before = model.score(X)
    assert model.set_params(recon_weight=10.0).score(X) == before


def test_draws_leave_the_global_generator_alone(frozen, blobs):
    model = quick(frozen, max_epochs=1).fit(blobs[0])
    model.set_params(random_state=None)
    state = np.random.get_state()[1].copy()
    assert len(model.sample(3)[0]) == 3
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_rows_beyond_all_numbers_are_refused(frozen, blobs):
    X, _ = blobs
    model = quick(frozen, max_epochs=1).fit(X)
    for asked in (model.score_samples, model.predict_proba):
        with pytest.raises(ValueError, match="far beyond"):
            asked(X * np.float64(1e25))


@pytest.mark.parametrize("n", [0, -1, 1.5, "two"])
def test_a_bad_number_of_draws_is_refused_by_name(n, frozen, blobs):
    model = quick(frozen, max_epochs=1).fit(blobs[0])
    with pytest.raises((TypeError, ValueError), match="n_samples"):
        model.sample(n)


@pytest.mark.parametrize(("name", "value"), [("recon_weight", 0), ("reg_covar", 0.0)])
def test_bad_parameters_are_refused_by_name(name, value, frozen, blobs):
    with pytest.raises(ValueError, match=name):
        quick(frozen, **{name: value}).fit(blobs[0])
