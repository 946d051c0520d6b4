"""Layers draw from the generator that they are given, and from nothing else."""

import copy
import math
import random

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_deepcluster.nn import ACTIVATIONS, Dropout, MaskingNoise, mlp, tied_decoder
from sklearn_deepcluster.nn._layers import Conv2d, ConvTranspose2d, _keep, initialize, linear

NOISES = [MaskingNoise, Dropout]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("noise", NOISES)
def test_noise_is_silent_without_a_generator_or_in_eval_mode(noise):
    x = torch.rand(20, 5)
    layer = noise(0.5)
    assert layer.training
    assert torch.equal(layer(x), x)
    layer.generator = rng()
    assert not torch.equal(layer(x), x)
    assert torch.equal(layer.eval()(x), x)


@pytest.mark.parametrize("noise", NOISES)
def test_rate_zero_changes_nothing_and_draws_nothing(noise):
    layer = noise(0.0)
    layer.generator = rng()
    before = layer.generator.get_state()
    x = torch.rand(4, 4)
    assert torch.equal(layer(x), x)
    assert torch.equal(layer.generator.get_state(), before)


@pytest.mark.parametrize("noise", NOISES)
def test_noise_is_reproduced_by_its_seed_and_new_in_every_call(noise):
    x = torch.rand(30, 10) + 1.0
    draws = {}
    for seed in (0, 0, 1):
        layer = noise(0.3)
        layer.generator = rng(seed)
        draws.setdefault(seed, []).append((layer(x), layer(x)))
    (first, second), (again, _) = draws[0]
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert not torch.equal(first, draws[1][0][0])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("noise", NOISES)
def test_noise_has_its_rate_and_dropout_keeps_the_mean(noise, rate):
    x = torch.full((400, 250), 2.0)
    layer = noise(rate)
    layer.generator = rng()
    out = layer(x)
    dropped = (out == 0).double().mean().item()
    assert dropped == pytest.approx(rate, abs=5 * math.sqrt(rate * (1 - rate) / x.numel()))
    kept = out[out != 0]
    expected = 2.0 if noise is MaskingNoise else 2.0 / (1 - rate)
    np.testing.assert_allclose(kept, expected, rtol=1e-4)  # the rate is a multiple of 2 ** -16
    assert (x == 2.0).all()


@pytest.mark.parametrize("rate", [0.0, 1e-9, 0.3, 0.99999, 1 - 1e-7, np.nextafter(1.0, 0.0)])
def test_dropout_keeps_the_mean_at_any_rate(rate):
    layer = Dropout(rate)
    layer.generator = rng()
    x = torch.ones(3000, 1000)
    spread = 5 * math.sqrt(min(rate / (1 - rate), 2**16) / x.numel())
    assert layer(x).double().mean().item() == pytest.approx(1.0, abs=spread + 1e-5)


@pytest.mark.parametrize(
    "x",
    [
        torch.ones(40, 30, 6, 5).to(memory_format=torch.channels_last),
        torch.ones(50, 90).T,
        torch.ones(90, 100)[:, ::2],
        torch.ones(1).expand(60, 70),
        torch.ones(31, 33, dtype=torch.bfloat16),
        torch.ones(()),
        torch.ones(0, 4),
    ],
    ids=["channels_last", "transposed", "strided", "expanded", "bfloat16", "0-d", "empty"],
)
def test_the_mask_is_independent_in_any_layout(x):
    keep = _keep(x, 0.5, rng())
    assert keep.shape == x.shape
    if x.numel() > 1000:
        assert keep.double().mean().item() == pytest.approx(0.5, abs=0.1)
        assert len(keep.flatten(1).unique(dim=0)) == len(x)  # no row repeats another's mask
    dense = x.is_contiguous() or x.dim() == 4 or x.T.is_contiguous()
    assert keep.stride() == x.stride() or not dense  # or else every product would copy


def test_initialisation_draws_from_the_generator_alone():
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    first, again, other = (mlp([6, 5, 2], rng(seed)) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])
    assert random.getstate() == states[2]
    for a, b, c in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.ndim == 1 or not torch.equal(a, c)


def test_glorot_and_fan_in_bounds_and_zero_biases():
    for init, bound in {"xavier": math.sqrt(6 / (30 + 50)), "fan_in": 1 / math.sqrt(30)}.items():
        layer = initialize(nn.Linear(30, 50), rng(), init=init)
        assert (layer.bias == 0).all()
        largest = layer.weight.abs().max().item()
        assert 0.98 * bound < largest <= bound
        # The variance of U(-b, b) is b^2 / 3.
        assert layer.weight.var().item() == pytest.approx(bound**2 / 3, rel=0.1)


def test_fan_in_of_a_convolution_counts_its_kernel():
    layer = initialize(nn.Conv2d(3, 40, 5), rng(), init="fan_in")
    bound = 1 / math.sqrt(3 * 25)
    assert 0.98 * bound < layer.weight.abs().max().item() <= bound


def test_a_layer_without_bias_is_initialised():
    assert initialize(nn.Linear(3, 2, bias=False), rng()).bias is None


def test_linear_is_reproducible():
    assert torch.equal(linear(4, 3, rng(1)).weight, linear(4, 3, rng(1)).weight)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_an_mlp_is_its_matrices_and_activations(name):
    net = mlp([4, 6, 3], rng(), activation=name, output_activation="tanh").double()
    weights = [layer for layer in net if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for layer in weights:
            layer.bias.normal_(generator=rng(1))
    x = torch.randn(5, 4, dtype=torch.float64, generator=rng(2))
    hidden = ACTIVATIONS[name]()(x @ weights[0].weight.T + weights[0].bias)
    expected = torch.tanh(hidden @ weights[1].weight.T + weights[1].bias)
    np.testing.assert_allclose(net(x).detach(), expected.detach(), rtol=1e-12)


def test_dropout_precedes_every_linear_layer():
    net = mlp([4, 6, 5, 3], rng(), dropout=lambda: Dropout(0.2))
    kinds = [type(layer) for layer in net]
    assert kinds.count(Dropout) == 3
    for position, kind in enumerate(kinds):
        assert kind is not nn.Linear or kinds[position - 1] is Dropout


# --- tied weights


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = mlp([6, 5, 3], rng())
        self.decoder = tied_decoder(self.encoder, output_activation="sigmoid")

    def forward(self, x):
        return self.decoder(self.encoder(x))


def tied_reference(pair, z):
    """The decoder by hand, from the encoder's weights and the decoder's own biases."""
    first, last = (layer for layer in pair.encoder if isinstance(layer, nn.Linear))
    biases = [b for name, b in pair.decoder.named_parameters() if name.endswith("bias")]
    hidden = torch.relu(z @ last.weight + biases[0])
    return torch.sigmoid(hidden @ first.weight + biases[1])


def assert_tied(pair):
    weight = pair.encoder[0].weight
    z = torch.randn(4, 3, dtype=weight.dtype, generator=rng(5))
    before = pair.decoder(z)
    np.testing.assert_allclose(
        before.detach(), tied_reference(pair, z).detach(), rtol=1e-5, atol=1e-6
    )
    with torch.no_grad():
        weight.mul_(1.5)
    assert not torch.allclose(pair.decoder(z), before)
    np.testing.assert_allclose(
        pair.decoder(z).detach(), tied_reference(pair, z).detach(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda pair: pair,
        copy.deepcopy,
        lambda pair: pair.to(torch.float64),
        lambda pair: copy.deepcopy(pair.to("cpu").double()).float(),
    ],
    ids=["new", "deepcopy", "to", "to-deepcopy-float"],
)
def test_a_tied_decoder_shares_the_encoders_weights(change):
    assert_tied(change(Pair()))


def test_a_copy_of_a_tied_pair_is_independent_of_the_original():
    pair = Pair()
    z = torch.randn(4, 3, generator=rng(5))
    before = pair.decoder(z)
    assert_tied(copy.deepcopy(pair))
    assert torch.equal(pair.decoder(z), before)


def test_tied_weights_are_counted_stored_and_trained_once():
    pair = Pair()
    stored = [name for name in pair.state_dict() if name.startswith("decoder")]
    assert len(stored) == 2 and all(name.endswith("bias") for name in stored)
    assert sum(p.numel() for p in pair.parameters()) == 6 * 5 + 5 * 3 + (5 + 3) + (5 + 6)
    other = Pair()
    with torch.no_grad():
        other.encoder[0].weight.mul_(2)
    other.load_state_dict(pair.state_dict())
    x = torch.rand(3, 6, generator=rng(6))
    assert torch.equal(other(x), pair(x))


def test_the_gradient_of_a_tied_weight_has_both_parts():
    pair = Pair().double()
    x = torch.rand(3, 6, dtype=torch.float64, generator=rng(6))
    pair(x).square().sum().backward()
    first = pair.encoder[0]
    step = torch.zeros_like(first.weight)
    step[2, 3] = 1e-6
    values = []
    for sign in (1, -1):
        moved = copy.deepcopy(pair)
        with torch.no_grad():
            moved.encoder[0].weight.add_(sign * step)
            values.append(moved(x).square().sum().item())
    assert first.weight.grad[2, 3].item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5)


@pytest.mark.parametrize("kind", [Conv2d, ConvTranspose2d])
def test_maps_stored_channels_last_train_kernels_of_one_pixel_with_a_stride(kind):
    """On some processors a few hundred of these ended the process, with memory overwritten."""
    plain = {Conv2d: nn.Conv2d, ConvTranspose2d: nn.ConvTranspose2d}[kind](3, 3, 1, stride=2)
    layer = kind(3, 3, 1, stride=2)
    layer.load_state_dict(plain.state_dict())
    x = torch.rand(20, 3, 8, 8)
    kept = [torch.ones(700) for _ in range(300)]
    for _ in range(300):
        stored = x.to(memory_format=torch.channels_last).requires_grad_()
        layer(stored).square().sum().backward()
    assert all((ones == 1).all() for ones in kept)
    assert layer(stored).is_contiguous()
    want = x.clone().requires_grad_()
    plain(want).square().sum().backward()
    torch.testing.assert_close(stored.grad, want.grad)
