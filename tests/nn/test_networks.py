"""Convolutional pairs give back any image size; the module that holds a pair."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_deepcluster.nn import AutoencoderModule, MaskingNoise, conv_decoder, conv_encoder, mlp
from sklearn_deepcluster.nn._autoencoder import conv_sizes

SIDES = range(1, 41)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def conv_pair(shape, filters=(4, 5, 6), kernels=(5, 5, 3), n_components=3, **outer):
    encoder = conv_encoder(shape, filters, kernels, n_components, rng())
    decoder = conv_decoder(shape, filters, kernels, n_components, rng(1), **outer)
    return encoder, decoder


@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize(
    "width",
    [lambda side: side, lambda side: 41 - side, lambda side: 1, lambda side: 2 * side + 1],
    ids=["square", "other-parity", "single-column", "wide"],
)
def test_any_image_size_comes_back(n_layers, width):
    for side in SIDES:
        shape = (2, side, width(side))
        encoder, decoder = conv_pair(shape, (4, 5, 6)[:n_layers], (5, 5, 3)[:n_layers])
        with torch.no_grad():
            z = encoder(torch.rand(2, *shape, generator=rng()))
            assert z.shape == (2, 3)
            assert decoder(z).shape == (2, *shape), shape


@pytest.mark.parametrize("d", [1, 2, 7, 64])
def test_a_row_is_a_one_by_d_image(d):
    encoder, decoder = conv_pair((1, 1, d))
    with torch.no_grad():
        z = encoder(torch.rand(3, 1, 1, d, generator=rng()))
        assert decoder(z).shape == (3, 1, 1, d)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7, 9])
def test_any_odd_kernel(kernel):
    encoder, decoder = conv_pair((3, 9, 14), (4,), (kernel,))
    with torch.no_grad():
        assert decoder(encoder(torch.rand(1, 3, 9, 14))).shape == (1, 3, 9, 14)


def test_map_sizes_are_halves():
    assert conv_sizes(28, 28, (5, 5, 3)) == [(28, 28), (14, 14), (7, 7), (4, 4)]  # rounded up
    assert conv_sizes(1, 5, (3, 1)) == [(1, 5), (1, 3), (1, 2)]
    assert conv_sizes(9, 16, (4, 5)) == [(9, 16), (4, 8), (2, 4)]  # an even kernel rounds down


def test_every_pixel_reaches_the_embedding_and_is_reached_by_the_decoder():
    shape = (1, 9, 7)
    encoder, decoder = conv_pair(shape, n_components=8)
    x = torch.rand(1, *shape, generator=rng()).requires_grad_()
    encoder(x).square().sum().backward()
    assert (x.grad != 0).all()
    spread = torch.stack([decoder(torch.randn(1, 8, generator=rng(s)))[0] for s in range(5)])
    assert (spread.std(0) > 0).all()


def test_the_last_decoder_layer_alone_has_the_output_activation():
    _, decoder = conv_pair((1, 8, 8), output_activation="sigmoid")
    activations = [type(m) for m in decoder if type(m) in (nn.ReLU, nn.Sigmoid)]
    assert activations == [nn.ReLU] * 3 + [nn.Sigmoid]


def test_convolutional_weights_come_from_the_generator_alone():
    before = torch.get_rng_state()
    first, again = (conv_encoder((1, 8, 8), (3, 4), (3, 3), 2, rng(7)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    # skip_init leaves memory as it was: nothing of it may survive.
    assert all(torch.isfinite(p).all() and p.abs().max() < 2 for p in first.parameters())


def test_a_module_of_images_takes_and_gives_flat_rows():
    encoder, decoder = conv_pair((2, 5, 6))
    module = AutoencoderModule(encoder, decoder, input_shape=(2, 5, 6))
    rows = torch.rand(4, 60, generator=rng())
    z, back = module(rows)
    assert z.shape == (4, 3) and back.shape == (4, 60)
    direct = encoder(rows.reshape(4, 2, 5, 6))
    np.testing.assert_allclose(z.detach(), direct.detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        module.decode(z).detach(), decoder(direct).flatten(1).detach(), rtol=1e-4, atol=1e-5
    )


def test_corruption_reaches_the_reconstruction_but_not_encode():
    encoder = mlp([6, 3], rng())
    module = AutoencoderModule(encoder, mlp([3, 6], rng(1)), corruption=MaskingNoise(0.5))
    x = torch.rand(8, 6, generator=rng())
    clean = module.encode(x)
    module.corruption.generator = rng(3)
    assert torch.equal(module.encode(x), clean)
    assert not torch.equal(module(x)[0], clean)


def test_without_a_decoder_there_is_no_reconstruction():
    module = AutoencoderModule(mlp([6, 3], rng()), None)
    z, back = module(torch.rand(2, 6))
    assert z.shape == (2, 3) and back is None
