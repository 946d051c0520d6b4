"""The fully connected autoencoder: it learns, in every variant, and gives back the user's units."""

import numpy as np
import pytest
import torch
from skorch.callbacks import EarlyStopping
from torch import nn

from sklearn_deepcluster import Autoencoder
from sklearn_deepcluster._engine import Callback
from sklearn_deepcluster.nn import Dropout, MaskingNoise, TiedLinear
from sklearn_deepcluster.representation._base import n_epochs

SMALL = {
    "hidden_layer_sizes": (48,),
    "n_components": 5,
    "noise": 0.0,
    "max_epochs": 25,
    "min_steps": 0,
    "batch_size": 32,
    "lr": 5e-3,
    "random_state": 0,
}


def small(**params):
    return Autoencoder(**(SMALL | params))


def unexplained(autoencoder, X):
    """Reconstruction error as a share of the variance: 1 is what the mean image would get."""
    error = np.square(autoencoder.inverse_transform(autoencoder.transform(X)) - X)
    return error.sum() / np.square(X - X.mean(0)).sum()


@pytest.fixture(scope="module")
def fitted(small_digits):
    return small().fit(small_digits[0])


def test_it_learns(fitted, small_digits):
    X, _ = small_digits
    assert unexplained(fitted, X) < 0.5
    assert fitted.history_["loss"][-1] < 0.5 * fitted.history_["loss"][0]
    assert fitted.loss_ == fitted.history_["loss"][-1]
    Z = fitted.transform(X)
    assert Z.shape == (300, 5) and Z.dtype == np.float32
    assert (Z.std(0) > 0).all()


def test_a_linear_autoencoder_comes_close_to_principal_components():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 12)) + 0.05 * rng.normal(size=(200, 12))
    autoencoder = Autoencoder(
        hidden_layer_sizes=(),
        n_components=3,
        noise=0.0,
        min_steps=1500,
        lr=1e-2,
        precision="float32",
        random_state=0,
    ).fit(X)
    values = np.linalg.svd(X, compute_uv=False)
    optimum = np.square(values[3:]).sum() / np.square(X).sum()
    assert optimum <= -autoencoder.score(X) < 2 * optimum


@pytest.mark.parametrize(
    "params",
    [
        {"noise": 0.2},
        {"noise": 0.1, "noise_kind": "dropout"},
        {"tied": True},
        {"tied": True, "noise": 0.1, "noise_kind": "dropout"},
        {"activation": "tanh"},
        {"activation": "gelu", "hidden_layer_sizes": (32, 16)},
        {"output_activation": "sigmoid", "scale": None},
        {"precision": "float32"},
        {"precision": "bfloat16"},
        {"layerwise_epochs": 3},
        {"layerwise_epochs": 3, "tied": True, "noise": 0.2, "noise_kind": "dropout"},
    ],
    ids=str,
)
def test_every_variant_learns_and_predicts_without_noise_in_float32(params, small_digits):
    X, _ = small_digits
    autoencoder = small(max_epochs=35, **params).fit(X)
    assert unexplained(autoencoder, X) < 0.75
    Z = autoencoder.transform(X)
    assert Z.dtype == np.float32
    np.testing.assert_array_equal(autoencoder.transform(X), Z)


# --- the network


def linears(module):
    return [m for m in module.modules() if isinstance(m, nn.Linear)]


def test_the_network_is_the_one_described(small_digits):
    module = small(hidden_layer_sizes=(7, 6), max_epochs=1).fit(small_digits[0]).module_
    assert [m.out_features for m in linears(module.encoder)] == [7, 6, 5]
    assert [m.out_features for m in linears(module.decoder)] == [6, 7, 64]
    assert isinstance(module.encoder[-1], nn.Linear) and isinstance(module.decoder[-1], nn.Linear)


@pytest.mark.parametrize(
    ("n_samples", "widths"),
    [
        (999, [128, 128, 512]),
        (1000, [256, 256, 1024]),
        (4999, [256, 256, 1024]),
        (5000, [500, 500, 2000]),
    ],
)
def test_few_samples_get_a_smaller_network(n_samples, widths):
    X = np.random.default_rng(0).normal(size=(n_samples, 2))
    autoencoder = Autoencoder(n_components=2, max_epochs=0, min_steps=0).fit(X)
    assert [m.out_features for m in linears(autoencoder.module_.encoder)] == [*widths, 2]
    assert autoencoder.n_samples_fit_ == n_samples


def test_a_fit_that_goes_on_keeps_its_network():
    X = np.random.default_rng(0).normal(size=(5000, 2))
    autoencoder = Autoencoder(n_components=2, max_epochs=0, min_steps=0, warm_start=True).fit(X)
    assert autoencoder.fit(X[:100]).n_samples_fit_ == 5000
    assert autoencoder.module_.encoder[0].out_features == 500


def test_noise_kinds(small_digits):
    X, _ = small_digits
    masking = small(noise=0.3, max_epochs=1).fit(X).module_
    assert isinstance(masking.corruption, MaskingNoise) and masking.corruption.rate == 0.3
    dropout = small(noise=0.3, noise_kind="dropout", max_epochs=1).fit(X).module_
    assert dropout.corruption is None
    drops = [m for m in dropout.encoder if isinstance(m, Dropout)]
    assert len(drops) == 2 and {m.rate for m in drops} == {0.3}
    assert not any(isinstance(m, Dropout) for m in dropout.decoder.modules())


def test_denoising_makes_the_embedding_robust(small_digits):
    X, _ = small_digits
    X_noisy = X * (np.random.default_rng(0).random(X.shape) >= 0.4)

    def shift(noise):
        autoencoder = small(noise=noise, max_epochs=60, precision="float32").fit(X)
        back = autoencoder.inverse_transform(autoencoder.transform(X_noisy))
        return np.square(back - X).mean()

    assert shift(0.4) < 0.9 * shift(0.0)


def test_tied_weights_stay_tied(small_digits):
    module = small(tied=True).fit(small_digits[0]).module_
    ties = [m for m in module.decoder if isinstance(m, TiedLinear)]
    assert len(ties) == 2 and not linears(module.decoder)
    z = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    first, last = linears(module.encoder)
    hidden = torch.relu(z @ last.weight + ties[0].bias)
    expected = hidden @ first.weight + ties[1].bias
    np.testing.assert_allclose(module.decode(z).detach(), expected.detach(), rtol=1e-4, atol=1e-5)


# --- layer-wise training


def test_layerwise_training_takes_its_epochs_for_each_layer(small_digits):
    X, _ = small_digits
    autoencoder = small(hidden_layer_sizes=(24, 12), layerwise_epochs=4, max_epochs=3).fit(X)
    # Three pairs of layers, then the whole.
    assert autoencoder.n_iter_ == len(autoencoder.history_["loss"]) == 3 * 4 + 3
    for layer in range(3):
        epochs = autoencoder.history_["loss"][4 * layer : 4 * layer + 4]
        assert epochs[-1] < epochs[0]


def test_layerwise_training_improves_the_start(small_digits):
    X, _ = small_digits
    params = {"hidden_layer_sizes": (32, 16), "max_epochs": 1}
    cold = small(**params).fit(X)
    warm = small(layerwise_epochs=20, **params).fit(X)
    assert warm.loss_ < 0.8 * cold.loss_


def test_layerwise_training_changes_one_pair_at_a_time(small_digits):
    """With no step of the whole network worth mentioning, each layer has left its start."""
    X, _ = small_digits

    class Stages(Callback):
        seen = []

        def on_train_begin(self, net, **kwargs):
            names = sorted(name for name, _ in net.module_.named_parameters())
            self.seen.append((net.stage, len(names)))

    small(hidden_layer_sizes=(8,), layerwise_epochs=1, max_epochs=1, callbacks=[Stages()]).fit(X)
    assert Stages.seen == [
        ("Autoencoder: layer 1", 4),
        ("Autoencoder: layer 2", 4),
        ("Autoencoder: pretraining", 8),
    ]


# --- units and shapes


def test_inverse_transform_gives_the_units_of_the_training_data(small_digits):
    X, _ = small_digits
    params = {"precision": "float32"}
    unit, large = small(**params).fit(X), small(**params).fit(255 * X)
    assert large.scale_ == pytest.approx(255 * unit.scale_, rel=1e-6)
    back = large.inverse_transform(large.transform(255 * X))
    np.testing.assert_allclose(
        back / 255, unit.inverse_transform(unit.transform(X)), atol=0.02, rtol=0.02
    )
    assert 150 < back.max() < 450
    assert large.score(255 * X) == pytest.approx(unit.score(X), rel=0.01)


@pytest.mark.parametrize(
    ("scale", "expected"), [(None, 1.0), (0.25, 0.25), (16, 16.0), ("auto", "rms")]
)
def test_scale(scale, expected, small_digits):
    X, _ = small_digits
    if expected == "rms":
        expected = float(np.sqrt(np.mean(np.square(X, dtype=np.float64))))
    seen = []

    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = nn.Linear(64, 3), nn.Linear(3, 64)
            self.encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))

        def __deepcopy__(self, memo):
            return self

    autoencoder = small(scale=scale, max_epochs=1, module=Module()).fit(X)
    assert autoencoder.scale_ == pytest.approx(expected, rel=1e-6)
    seen.clear()
    autoencoder.transform(X[:4])
    np.testing.assert_allclose(seen[-1][:4], X[:4] / expected, rtol=1e-5)
    # The network's reconstruction is multiplied by it again.
    Z = autoencoder.transform(X)
    inner = autoencoder.module_.decode(torch.from_numpy(Z)).detach().numpy()
    np.testing.assert_allclose(
        autoencoder.inverse_transform(Z), inner * expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (4, 4, 4)])
def test_images_go_in_and_come_back_as_images(shape, small_digits):
    flat, _ = small_digits
    X = flat.reshape(-1, *shape)
    autoencoder = small(max_epochs=2).fit(X)
    reference = small(max_epochs=2).fit(flat)
    assert autoencoder.sample_shape_ == shape and autoencoder.n_features_in_ == 64
    Z = autoencoder.transform(X)
    np.testing.assert_array_equal(Z, reference.transform(flat))
    np.testing.assert_array_equal(Z, autoencoder.transform(flat))
    back = autoencoder.inverse_transform(Z)
    assert back.shape == X.shape
    np.testing.assert_array_equal(back.reshape(300, -1), reference.inverse_transform(Z))
    assert autoencoder.score(X) == reference.score(flat)


def test_inverse_transform_refuses_another_width(fitted):
    with pytest.raises(ValueError, match="Z has 3 columns, but the embedding has 5"):
        fitted.inverse_transform(np.zeros((2, 3)))


# --- length of the training


@pytest.mark.parametrize(
    ("n", "batch_size", "max_epochs", "min_steps", "expected"),
    [
        (100, 50, 3, 0, 3),
        (100, 50, 3, 10, 5),  # 2 steps an epoch
        (100, 50, 3, 11, 6),
        (100, 33, 2, 9, 3),  # 4 steps an epoch
        (10, 256, 1, 7, 7),  # one batch
        (10, None, 1, 7, 7),
        (70_000, 256, 50, 2000, 50),
        (1797, 256, 50, 2000, 250),
    ],
)
def test_training_lasts_max_epochs_or_min_steps(n, batch_size, max_epochs, min_steps, expected):
    assert n_epochs(n, batch_size, max_epochs, min_steps) == expected


def test_n_iter_counts_the_epochs(small_digits):
    X, _ = small_digits
    autoencoder = small(hidden_layer_sizes=(4,), batch_size=100, max_epochs=3, min_steps=20).fit(X)
    assert autoencoder.n_iter_ == len(autoencoder.history_["loss"]) == 7
    assert small(hidden_layer_sizes=(4,), max_epochs=3).fit(X).n_iter_ == 3


def test_a_callback_ends_the_training_early(small_digits):
    stop = EarlyStopping(monitor="train_loss", patience=2, threshold=0.99)
    autoencoder = small(hidden_layer_sizes=(4,), callbacks=[stop]).fit(small_digits[0])
    assert autoencoder.n_iter_ < 25


def test_warm_start_goes_on(small_digits):
    X, _ = small_digits
    autoencoder = small(max_epochs=4, warm_start=True, precision="float32").fit(X)
    first = list(autoencoder.history_["loss"])
    scale = autoencoder.scale_
    autoencoder.fit(X)
    assert autoencoder.n_iter_ == 4
    assert autoencoder.history_["loss"][0] < first[-1]
    assert autoencoder.loss_ < 0.9 * first[-1]
    # Other data of that width: the scale belongs to the network and stays.
    autoencoder.fit(3 * X[:100])
    assert autoencoder.scale_ == scale
    with pytest.raises(ValueError, match="features"):
        autoencoder.fit(X[:, :10])


def test_without_warm_start_fit_starts_anew(small_digits):
    X, _ = small_digits
    autoencoder = small(max_epochs=2).fit(X)
    first = autoencoder.transform(X)
    np.testing.assert_array_equal(autoencoder.fit(X).transform(X), first)


# --- score


def test_score_is_the_negative_error_over_the_squared_scale(fitted, small_digits):
    X, _ = small_digits
    back = fitted.inverse_transform(fitted.transform(X)).astype(np.float64)
    expected = -np.mean(np.square(X - back)) / fitted.scale_**2
    assert fitted.score(X) == pytest.approx(expected, rel=1e-5)
    assert -1 < fitted.score(X) < 0


def test_score_is_the_loss_on_the_training_data(small_digits):
    """At a vanishing step size the epoch's mean loss is the loss of the network as it is."""
    X, _ = small_digits
    autoencoder = small(max_epochs=1, lr=1e-12, precision="float32", validation_fraction=None).fit(
        X
    )
    assert autoencoder.score(X) == pytest.approx(-autoencoder.loss_, rel=1e-5)
