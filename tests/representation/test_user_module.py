"""A user's own network: dense or convolutional, a module or a factory, noisy or normalised."""

import copy
import threading

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_deepcluster import DDC, DEC, Autoencoder
from tests._instances import GlobalDraws

SMALL = {"max_epochs": 8, "min_steps": 0, "batch_size": 32, "lr": 5e-3, "random_state": 0}


def small(module, **params):
    return Autoencoder(module=module, **(SMALL | params))


class Dense(nn.Module):
    def __init__(self, n_features=64, noise=0.0):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Dropout(noise), nn.Linear(n_features, 16), nn.ReLU(), nn.Linear(16, 3)
        )
        self.decoder = nn.Linear(3, n_features)


class Normalised(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Linear(16, 3))
        self.decoder = nn.Linear(3, 64)


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
        )
        self.decoder = nn.Sequential(nn.Linear(3, 64), nn.Unflatten(1, (1, 8, 8)))


def test_a_module_is_copied_and_trained_from_its_weights(small_digits):
    X, _ = small_digits
    torch.manual_seed(0)
    mine = Dense()
    before = [p.clone() for p in mine.parameters()]
    barely = small(mine, lr=1e-12, max_epochs=1).fit(X)
    for p, start in zip(barely.module_.parameters(), before, strict=True):
        np.testing.assert_allclose(p.detach(), start.detach(), atol=1e-6)
    fitted = small(mine).fit(X)
    assert fitted.loss_ < 0.8 * fitted.history_["loss"][0]
    assert all(torch.equal(p, b) for p, b in zip(mine.parameters(), before, strict=True))
    assert fitted.n_components_ == 3
    assert fitted.transform(X).shape == (300, 3)
    names = fitted.get_feature_names_out()
    assert len(names) == 3


def test_a_factory_is_given_the_number_of_features_and_its_draws_are_seeded(small_digits):
    X, _ = small_digits
    widths = []

    def factory(n_features):
        widths.append(n_features)
        return Dense(n_features)

    first, again = (small(factory).fit(X[:, :50]).transform(X[:, :50]) for _ in range(2))
    assert set(widths) == {50}
    np.testing.assert_array_equal(first, again)
    other = small(factory, random_state=1).fit(X[:, :50]).transform(X[:, :50])
    assert not np.allclose(first, other)
    # A class is a factory too.
    assert small(Dense).fit(X).transform(X).shape == (300, 3)


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8)])
def test_a_convolutional_module_sees_image_arrays(shape, small_digits):
    X = small_digits[0].reshape(-1, *shape)
    fitted = small(Convolutional()).fit(X)
    assert fitted.loss_ < 0.8 * fitted.history_["loss"][0]
    Z = fitted.transform(X)
    assert Z.shape == (300, 3)
    assert fitted.inverse_transform(Z).shape == X.shape


def test_a_module_that_draws_globally_is_reproducible_and_the_global_state_untouched(
    small_digits,
):
    X, _ = small_digits
    torch.manual_seed(0)
    mine = Dense(noise=0.3)
    embeddings = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        embeddings.append(small(mine).fit(X).transform(X))
        assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(*embeddings)
    other = small(mine, random_state=5).fit(X).transform(X)
    assert not np.allclose(other, embeddings[0])


def test_it_is_reproducible_under_threads(small_digits):
    X, _ = small_digits
    torch.manual_seed(0)
    mine = Dense(noise=0.3)
    expected = {seed: small(mine, random_state=seed).fit(X).transform(X) for seed in (0, 1)}
    found = {}

    def work(seed):
        found[seed] = small(mine, random_state=seed).fit(X).transform(X)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in (0, 1):
        np.testing.assert_array_equal(found[seed], expected[seed])


def test_dropout_is_off_and_batch_norm_frozen_in_transform(small_digits):
    X, _ = small_digits
    for module in (Dense(noise=0.5), Normalised()):
        fitted = small(module).fit(X)
        Z = fitted.transform(X)
        state = {k: v.clone() for k, v in fitted.module_.state_dict().items()}
        np.testing.assert_array_equal(fitted.transform(X[:1]), Z[:1])
        fitted.score(X[:20])
        assert all(torch.equal(v, state[k]) for k, v in fitted.module_.state_dict().items())


def test_batch_norm_sees_every_training_batch_once(small_digits):
    fitted = small(Normalised(), validation_fraction=None).fit(small_digits[0])
    # 10 batches of 30 rows, 8 epochs; neither the probe nor the scale may count.
    assert int(fitted.module_.encoder[1].num_batches_tracked) == 10 * 8


def encoder_only():
    module = nn.Module()
    module.encoder = nn.Linear(64, 3)
    return module


def too_narrow():
    module = Dense()
    module.decoder = nn.Linear(3, 63)
    return module


@pytest.mark.parametrize(
    ("module", "match"),
    [
        (encoder_only(), "module has no 'decoder'"),
        (Dense(n_features=10), r"module does not take samples of shape \(64,\)"),
        (too_narrow(), "module reconstructs 63 values a sample; X has 64 features"),
        (lambda n_features: None, "module has no 'encoder'"),
    ],
    ids=["no-decoder", "other-input", "other-output", "factory-of-nothing"],
)
def test_modules_that_do_not_fit_are_refused(module, match, small_digits):
    with pytest.raises(ValueError, match=match):
        small(module).fit(small_digits[0])


@pytest.mark.parametrize(
    "make",
    [
        lambda net: Autoencoder(module=lambda n: net, min_steps=5),
        lambda net: DEC(2, autoencoder=Autoencoder(module=lambda n: net, min_steps=5), n_init=2),
        lambda net: DDC(2, encoder=lambda n: net.encoder, init=None, min_steps=5, n_init=2),
    ],
    ids=["Autoencoder", "DEC", "DDC"],
)
@pytest.mark.filterwarnings("ignore:1 of 2 clusters are empty")
def test_a_factory_may_give_a_module_of_the_user_which_is_never_trained(make):
    """The runs of one fit, and other fits, have copies of their own."""
    X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    net = GlobalDraws(6)
    before = copy.deepcopy(net.state_dict())
    short = {"max_epochs": 1, "batch_size": 20, "random_state": 0}
    model = make(net).set_params(**short)
    if not isinstance(model, Autoencoder):
        model.set_params(min_steps=5)
    model.fit(X)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    Z = model.transform(X)
    make(net).set_params(**short).fit(X[::-1])
    np.testing.assert_array_equal(model.transform(X), Z)
    if hasattr(model, "labels_"):
        np.testing.assert_array_equal(model.predict(X), model.labels_)
