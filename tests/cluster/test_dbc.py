"""DBC: boosted targets, and a convolutional autoencoder with batch normalisation."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from sklearn_deepcluster import DBC, DEC, Autoencoder, ConvAutoencoder, load_model, save_model
from sklearn_deepcluster._engine import generator
from sklearn_deepcluster._input import Form
from sklearn_deepcluster.losses import target_distribution
from sklearn_deepcluster.nn import conv_decoder, conv_encoder, stages
from tests._instances import assert_same_fit

QUICK = {"max_epochs": 1, "min_steps": 40, "update_interval": 10, "batch_size": 30, "lr": 1e-3}


def quick(cls, autoencoder, **params):
    return cls(3, autoencoder=autoencoder, random_state=0, precision="float32", **(QUICK | params))


@pytest.mark.parametrize("boost", [1.0, 2.0, 2.5, 4.0, 60.0])
@pytest.mark.parametrize("balance", [0.0, 1.0])
def test_boosted_targets_equal_the_loops(boost, balance):
    q = torch.softmax(torch.from_numpy(np.random.default_rng(0).normal(size=(6, 3))), dim=1)
    found = target_distribution(q, (boost, balance))
    mass = [sum(float(q[i, j]) for i in range(6)) for j in range(3)]
    for i in range(6):
        weights = [float(q[i, j]) ** boost / (mass[j] if balance else 1.0) for j in range(3)]
        expected = [w / sum(weights) for w in weights]
        np.testing.assert_allclose(found[i], expected, rtol=1e-9)


def test_targets_of_a_high_boost_do_not_vanish():
    q = torch.full((2, 1000), 1e-3)
    assert torch.isfinite(target_distribution(q, (200.0, 0.0))).all()
    np.testing.assert_allclose(target_distribution(q, (200.0, 0.0)).sum(1), 1.0, rtol=1e-5)


def test_with_boost_two_and_balance_it_is_dec(frozen, blobs):
    X, _ = blobs
    dbc, dec = quick(DBC, frozen).fit(X), quick(DEC, frozen).fit(X)
    assert_same_fit(dbc, dec)
    other = quick(DBC, frozen, boost=3.0).fit(X)
    assert other.history_["kl"] != dec.history_["kl"]
    assert quick(DBC, frozen, balance=False).fit(X).history_["kl"] != dec.history_["kl"]


def test_images_have_a_convolutional_network_with_batch_normalisation():
    images, flat, unknown = (
        DBC()._default_network(shape and Form(sample_shape=shape, n_features_in=16))
        for shape in ((1, 4, 4), (16,), None)
    )
    assert type(flat) is Autoencoder
    for network in (images, unknown):
        assert type(network) is ConvAutoencoder and network.batch_norm


def test_every_map_but_the_last_is_normalised():
    parts = ((1, 8, 8), (4, 6), (3, 3), 2, generator(0))
    encoder, decoder = conv_encoder(*parts, batch_norm=True), conv_decoder(*parts, batch_norm=True)
    norms = [[m for m in part if isinstance(m, nn.BatchNorm2d)] for part in (encoder, decoder)]
    assert [m.num_features for m in norms[0]] == [4, 6]
    assert [m.num_features for m in norms[1]] == [6, 4]
    plain = conv_encoder(*parts), conv_decoder(*parts)
    for with_norm, without in zip((encoder, decoder), plain, strict=True):
        assert len(stages(with_norm)) == len(stages(without))  # no layers of their own
    x = torch.randn(5, 1, 8, 8)
    assert decoder(encoder(x)).shape == x.shape


def test_digits_are_fitted_predicted_and_saved(tmp_path):
    images = load_digits(n_class=3).images[:150]
    ae = ConvAutoencoder(
        filters=(4, 8), kernel_sizes=(3, 3), n_components=3, batch_norm=True, min_steps=40
    )
    model = quick(DBC, ae).fit(images)
    assert any("running_mean" in name for name in model.module_.state_dict())
    np.testing.assert_array_equal(model.predict(images), model.labels_)
    np.testing.assert_array_equal(model.predict(images[:1]), model.labels_[:1])
    save_model(model, tmp_path / "dbc")
    np.testing.assert_array_equal(load_model(tmp_path / "dbc").predict(images), model.labels_)


def test_layers_are_pretrained_and_hidden_ones_reconstructed():
    images = load_digits(n_class=3).images[:60]
    ae = ConvAutoencoder(
        filters=(4, 8), kernel_sizes=(3, 3), n_components=3, batch_norm=True, layerwise_epochs=1
    )
    ae.set_params(hidden_weight=0.1, max_epochs=1, min_steps=2, random_state=0)
    assert len(ae.fit(images).history_["loss"]) > 3


def test_batches_of_one_row_are_refused(blobs):
    ae = ConvAutoencoder(filters=(2,), kernel_sizes=(3,), batch_norm=True, batch_size=1)
    with pytest.raises(ValueError, match="batch_size=1"):
        ae.fit(load_digits(n_class=3).images[:20])


@pytest.mark.parametrize("boost", [0.5, 0, "two"])
def test_bad_boosts_are_refused_by_name(boost, frozen, blobs):
    with pytest.raises(ValueError, match="boost"):
        quick(DBC, frozen, boost=boost).fit(blobs[0])
