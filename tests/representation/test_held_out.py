"""Rows held out tell when an autoencoder learns no more of the others, and are never learned."""

import numpy as np
import pytest
import torch

from sklearn_deepcluster import Autoencoder, ConvAutoencoder
from sklearn_deepcluster._engine import Callback
from sklearn_deepcluster.representation._held_out import hold_out, reconstruction_errors

WIDE = {
    "hidden_layer_sizes": (64,),
    "n_components": 8,
    "noise": 0.0,
    "min_steps": 300,
    "lr": 5e-3,
    "batch_size": 256,
    "precision": "float32",
    "random_state": 0,
}


@pytest.fixture(scope="module")
def noisy():
    """Few rows, two dimensions in much noise: little is to learn, and much to recite."""
    rng = np.random.default_rng(0)
    draw = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 40)) + rng.normal(size=(400, 40))
    return draw[:200], draw[200:]


def test_the_weights_that_reconstruct_new_rows_best_are_kept(noisy):
    X, new = noisy
    kept, recited = (
        Autoencoder(**WIDE, validation_fraction=fraction).fit(X) for fraction in (0.2, None)
    )
    assert recited.n_iter_ == 300 > kept.n_iter_
    assert recited.score(X) > kept.score(X)
    assert recited.score(new) < 1.1 * kept.score(new)
    assert "validation_loss" not in recited.history_


SEEN = []


class Note(Callback):
    """Notes which rows are trained with; the callback itself is copied."""

    def on_batch_begin(self, net, batch=None, training=True, **kwargs):
        SEEN.extend(batch.index.tolist())


@pytest.mark.parametrize("layerwise_epochs", [0, 1])
def test_its_error_on_the_rows_held_out_is_the_least_that_was_seen(noisy, layerwise_epochs):
    X, _ = noisy
    SEEN.clear()
    params = {**WIDE, "layerwise_epochs": layerwise_epochs, "callbacks": [Note()]}
    autoencoder = Autoencoder(**params, validation_fraction=0.2).fit(X)
    held = sorted(set(range(200)) - set(SEEN))
    assert len(held) == 40
    errors = reconstruction_errors(*autoencoder._fitted(X))[held]
    least = min(autoencoder.history_["validation_loss"])
    assert float(errors.double().mean()) == pytest.approx(least, rel=1e-5)


def test_it_stops_after_a_quarter_of_the_epochs_without_a_better_one(noisy):
    autoencoder = Autoencoder(**WIDE, validation_fraction=0.2).fit(noisy[0])
    errors = autoencoder.history_["validation_loss"]  # of every tenth epoch of one step
    best = 10 * (1 + int(np.argmin(errors)))
    assert best + 75 <= autoencoder.n_iter_ < best + 85


def test_fewer_than_ten_are_not_held_out(noisy):
    X = noisy[0][:90]
    params = {**WIDE, "min_steps": 20}
    some, none = (Autoencoder(**params, validation_fraction=f).fit(X) for f in (0.1, None))
    np.testing.assert_array_equal(some.transform(X), none.transform(X))


def test_a_short_training_is_looked_at_once_at_its_end(noisy):
    short = {**WIDE, "min_steps": 3, "max_epochs": 1, "lr": 1e-3}
    some, none = (Autoencoder(**short, validation_fraction=f).fit(noisy[0]) for f in (0.2, None))
    assert len(some.history_["validation_loss"]) == 1
    start = Autoencoder(**{**short, "lr": 1e-12}, validation_fraction=None).fit(noisy[0])
    assert some.score(noisy[0]) > start.score(noisy[0])
    assert some.n_iter_ == none.n_iter_ == 3


def test_a_callback_that_ends_the_training_leaves_it_its_weights(noisy):
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.stop_training = True

    params = {**WIDE, "callbacks": [Stop()], "validation_fraction": 0.2}
    stopped = Autoencoder(**params).fit(noisy[0])
    start = Autoencoder(**{**params, "lr": 1e-12}).fit(noisy[0])
    assert stopped.n_iter_ == 1 and "validation_loss" not in stopped.history_
    assert np.abs(stopped.transform(noisy[0]) - start.transform(noisy[0])).max() > 1e-3


def test_images_too(small_digits):
    images = small_digits[0].reshape(-1, 8, 8)  # 270 to learn from are two steps an epoch
    shape = {"filters": (4,), "kernel_sizes": (3,), "min_steps": 30, "batch_size": 256}
    autoencoder = ConvAutoencoder(**shape, random_state=0).fit(images)
    assert len(autoencoder.history_["validation_loss"]) == autoencoder.n_iter_ // 5


def test_the_split_is_one_of_all_rows():
    learned, held = hold_out(1000, 0.1, 0)
    assert len(held) == 100
    assert torch.equal(torch.cat([learned, held]).sort().values, torch.arange(1000))
    assert len(hold_out(100_000, 0.1, 0)[1]) == 2000
    assert hold_out(90, 0.1, 0) == (None, None) == hold_out(1000, None, 0)
    assert not torch.equal(held, hold_out(1000, 0.1, 1)[1])
