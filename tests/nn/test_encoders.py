"""Encoders in blocks and of sequences: shapes, what their layers give, where weights come from."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_deepcluster.nn import (
    AutoencoderModule,
    BlockEncoder,
    Dropout,
    Exposing,
    RecurrentEncoder,
    TupleEncoder,
    block_convnet,
    block_mlp,
    block_sides,
    mlp,
    stages,
)
from sklearn_deepcluster.nn._encoders import Resize


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=rng(seed), dtype=dtype)


# -- blocks --------------------------------------------------------------------------------------


def test_the_network_of_the_thesis():
    """Two blocks of two convolutions without padding, pooled: 28 pixels become 10, then 3."""
    encoder = block_convnet((1, 28, 28), (32, 32), (5, 3), 100, rng())
    exposed = Exposing(AutoencoderModule(encoder, None, input_shape=(1, 28, 28)), encoder.taps)
    z, nothing, *maps = exposed(draw(4, 784))
    assert z.shape == (4, 100) and nothing is None
    assert [tuple(m.shape) for m in maps] == [(4, 32, 10, 10), (4, 32, 3, 3)]
    assert block_sides(28, (5, 3)) == [10, 3]
    kinds = [type(layer).__name__ for layer in encoder.blocks[0]]
    assert kinds == ["Conv2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"]
    assert [type(layer).__name__ for layer in encoder.head] == [
        "Flatten",
        "Linear",
        "ReLU",
        "BatchNorm1d",
    ]


@pytest.mark.parametrize("side", range(11, 24))
@pytest.mark.parametrize("kernels", [(5,), (3, 1), (2, 2)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_the_sides_of_the_maps_are_foretold(side, kernels, padding):
    shape = (2, side, 34 - side)
    filters = (3, 4)[: len(kernels)]
    sides = [block_sides(s, kernels, padding) for s in shape[1:]]
    encoder = block_convnet(shape, filters, kernels, 5, rng(), padding=padding)
    maps = Exposing(AutoencoderModule(encoder, None), encoder.taps)(draw(2, *shape))[2:]
    for number, m in enumerate(maps):
        assert m.shape == (2, filters[number], sides[0][number], sides[1][number])


def test_a_block_mlp_is_its_matrices_norms_and_activations():
    encoder = block_mlp(6, (5, 4), 3, rng(), "tanh").double()
    x = draw(7, 6, dtype=torch.float64)

    def normalised(x):
        return (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()

    hidden, expected = x, []
    for block in encoder.blocks:
        hidden = torch.tanh(normalised(hidden @ block[0].weight.T))  # biases are zero
        expected.append(hidden)
    expected.append(normalised(torch.relu(hidden @ encoder.head[1].weight.T)))
    z, _, *layers = Exposing(AutoencoderModule(encoder, None), encoder.taps)(x)
    for found, wanted in zip([*layers, z], expected, strict=True):
        np.testing.assert_allclose(found.detach(), wanted.detach(), rtol=1e-9, atol=1e-12)


def test_resizing_is_bilinear():
    """Between the centres of pixels, as the loop has it."""
    x = draw(1, 2, 16, 5)
    out = Resize((32, 7))(x)[0].numpy()
    for i in range(32):
        for j in range(7):
            places = (i + 0.5) * 16 / 32 - 0.5, (j + 0.5) * 5 / 7 - 0.5
            weights = []
            for place, side in zip(places, (16, 5), strict=True):
                place = min(max(place, 0.0), side - 1.0)
                low = min(int(place), side - 1)
                high = min(low + 1, side - 1)
                weights.append([(low, 1 - (place - low)), (high, place - low)])
            value = sum(
                a * b * x[0, :, row, column] for row, a in weights[0] for column, b in weights[1]
            )
            np.testing.assert_allclose(out[:, i, j], value, rtol=1e-4, atol=1e-5)


def test_images_are_resized_before_the_blocks():
    small = block_convnet((1, 16, 16), (3, 4), (5, 3), 2, rng(), size=(32, 32))
    plain = block_convnet((1, 32, 32), (3, 4), (5, 3), 2, rng())
    x = draw(3, 1, 16, 16)
    larger = nn.functional.interpolate(x, (32, 32), mode="bilinear")
    torch.testing.assert_close(small(x), plain(larger), rtol=0, atol=0)


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: block_mlp(6, (5, 4), 3, rng),
        lambda rng: block_convnet((1, 8, 8), (3,), (3,), 2, rng),
        lambda rng: RecurrentEncoder(3, 4, 2, 5, rng),
    ],
    ids=["mlp", "conv", "recurrent"],
)
def test_weights_come_from_the_generator_alone(make):
    before = torch.get_rng_state()
    first, again, other = make(rng(7)), make(rng(7)), make(rng(8))
    assert torch.equal(torch.get_rng_state(), before)
    for (name, a), b, c in zip(
        first.named_parameters(), again.parameters(), other.parameters(), strict=True
    ):
        assert a.dtype == torch.float32 and torch.isfinite(a).all(), name
        assert torch.equal(a, b), name
        if "bias" in name:
            assert (a == 0).all(), name
        elif a.ndim > 1:
            assert not torch.equal(a, c), name


def test_weights_before_relus_have_the_variance_of_he():
    encoder = block_mlp(300, (200,), 100, rng())
    for layer, fan_in in ((encoder.blocks[0][0], 300), (encoder.head[1], 200)):
        assert layer.weight.abs().max().item() <= math.sqrt(6 / fan_in)
        assert layer.weight.var().item() == pytest.approx(2 / fan_in, rel=0.03)


# -- what the layers give ------------------------------------------------------------------------


def test_exposing_gives_the_outputs_of_the_taps_in_their_order():
    blocks = [nn.Linear(3, 4), nn.Linear(4, 2)]
    encoder = BlockEncoder(blocks, nn.Linear(2, 2))
    x = draw(5, 3)
    z, nothing, first, second = Exposing(AutoencoderModule(encoder, None), encoder.taps)(x)
    assert nothing is None
    assert torch.equal(first, blocks[0](x)) and torch.equal(second, blocks[1](first))
    assert torch.equal(z, encoder(x))


def test_exposing_leaves_no_hooks_behind():
    class Failing(nn.Linear):
        def forward(self, x):
            raise RuntimeError("no")

    encoder = BlockEncoder([nn.Linear(3, 4), Failing(4, 2)], nn.Identity())
    exposed = Exposing(AutoencoderModule(encoder, None), encoder.taps)
    with pytest.raises(RuntimeError, match="no"):
        exposed(draw(5, 3))
    assert not any(layer._forward_hooks for layer in encoder.modules())


def test_exposing_adds_no_weights_of_its_own():
    module = AutoencoderModule(block_mlp(6, (5, 4), 3, rng()), None)
    exposed = Exposing(module, module.taps)
    assert len(list(exposed.parameters())) == len(list(module.parameters()))
    assert len(exposed.state_dict()) == len(module.state_dict())


def test_the_taps_of_a_stack_are_its_layers_but_the_last_with_their_activations():
    encoder = mlp([6, 5, 4, 3], rng())
    module = AutoencoderModule(encoder, mlp([3, 6], rng(1)))
    x = draw(4, 6)
    z, _, first, second = Exposing(module, module.taps)(x)
    assert torch.equal(first, torch.relu(encoder[0](x)))
    assert torch.equal(second, torch.relu(encoder[2](first)))
    assert torch.equal(z, encoder[4](second))
    assert AutoencoderModule(nn.Linear(6, 3), None).taps == []


def test_layers_before_the_first_with_weights_belong_to_it():
    encoder = nn.Sequential(nn.ReLU(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    assert [[type(layer) for layer in stage] for stage in stages(encoder)] == [
        [nn.ReLU, nn.Linear, nn.Tanh],
        [nn.Linear],
    ]
    assert AutoencoderModule(encoder, None).taps == [encoder[2]]


def test_stages_have_no_corruption_not_even_before_the_first_layer():
    """The clean path of a ladder of reconstructions goes through them."""
    encoder = mlp([6, 5, 3], rng(), dropout=lambda: Dropout(0.5))
    assert isinstance(encoder[0], Dropout)
    assert [[type(layer) for layer in stage] for stage in stages(encoder)] == [
        [nn.Linear, nn.ReLU],
        [nn.Linear],
    ]


def test_a_tuple_encoder_gives_its_outputs_to_its_taps():
    class Several(nn.Module):
        def forward(self, x):
            return x + 1, x * 2, x * 3

    encoder = TupleEncoder(Several(), 2)
    x = draw(4, 3)
    z, _, first, second = Exposing(AutoencoderModule(encoder, None), encoder.taps)(x)
    assert torch.equal(encoder(x), x + 1) and torch.equal(z, x + 1)
    assert torch.equal(first, x * 2) and torch.equal(second, x * 3)


# -- sequences -----------------------------------------------------------------------------------

LENGTHS = (5, 1, 7, 3, 7, 2)


def sequences(n_features=3):
    """Double sequences of several lengths, and the same padded with NaN."""
    parts = [draw(t, n_features, seed=t + i, dtype=torch.float64) for i, t in enumerate(LENGTHS)]
    return parts, padded(parts, max(LENGTHS))


def padded(parts, length):
    out = torch.full((len(parts), length, parts[0].shape[1]), torch.nan, dtype=torch.float64)
    for row, part in zip(out, parts, strict=True):
        row[: len(part)] = part
    return out


def encoder(n_layers=2):
    net = RecurrentEncoder(3, 4, n_layers, 5, rng()).double()
    with torch.no_grad():  # biases that are not zero
        for i, parameter in enumerate(net.layers.parameters()):
            parameter += 0.1 * draw(*parameter.shape, seed=i, dtype=torch.float64)
    return net.eval()


def test_steps_are_read_several_at_once():
    """As one would cut the sequences oneself; of the last frame there may be less."""
    net = RecurrentEncoder(3, 4, 2, 5, rng(), frame=4).eval()
    plain = RecurrentEncoder(12, 4, 2, 5, rng()).eval()
    plain.load_state_dict(net.state_dict())
    x = draw(2, 10, 3)
    x[1, 7:] = torch.nan
    cut = torch.full((2, 3, 12), torch.nan)
    for row, sequence in zip(cut, (x[0], x[1, :7]), strict=True):
        for i in range(0, len(sequence), 4):
            values = sequence[i : i + 4].reshape(-1)
            row[i // 4] = 0.0
            row[i // 4, : len(values)] = values
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            torch.testing.assert_close(net(x), plain(cut))


def one_direction(x, w_in, w_hidden, b_in, b_hidden):
    """Outputs of gated recurrent units over one sequence (time, features), step by step."""
    h, outputs = torch.zeros(w_hidden.shape[1], dtype=x.dtype), []
    for step in x:
        reset_in, update_in, new_in = (w_in @ step + b_in).chunk(3)
        reset_h, update_h, new_h = (w_hidden @ h + b_hidden).chunk(3)
        reset, update = (reset_in + reset_h).sigmoid(), (update_in + update_h).sigmoid()
        h = (1 - update) * torch.tanh(new_in + reset * new_h) + update * h
        outputs.append(h)
    return torch.stack(outputs)


def loop(net, x):
    """Last states of each layer, and the embedding, of one sequence without padding."""
    states = []
    for layer in net.layers:
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        forward = one_direction(x, *(getattr(layer, name) for name in names))
        backward = one_direction(x.flip(0), *(getattr(layer, f"{n}_reverse") for n in names))
        states.append(torch.cat([forward[-1], backward[-1]]))
        x = torch.cat([forward, backward.flip(0)], dim=1)
    return states, net.head(states[-1].unsqueeze(0))[0]


@torch.no_grad()
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_a_recurrent_encoder_equals_the_loop_over_single_sequences(n_layers):
    net = encoder(n_layers)
    parts, x = sequences()
    z, _, *states = Exposing(AutoencoderModule(net, None), net.taps)(x)
    assert len(states) == n_layers
    for i, part in enumerate(parts):
        expected, embedding = loop(net, part)
        np.testing.assert_allclose(z[i], embedding, rtol=1e-9, atol=1e-12)
        for state, wanted in zip(states, expected, strict=True):
            np.testing.assert_allclose(state[i], wanted, rtol=1e-9, atol=1e-12)


@torch.no_grad()
def test_it_equals_torchs_own_network():
    """So its weights serve there, as they do on other devices."""
    net = encoder(1)
    parts, x = sequences()
    packed = nn.utils.rnn.pack_sequence(parts, enforce_sorted=False)
    last = net.layers[0](packed)[1]
    np.testing.assert_allclose(
        net(x), net.head(torch.cat([last[0], last[1]], dim=1)), rtol=1e-9, atol=1e-12
    )


@torch.no_grad()
def test_padding_changes_no_bit():
    net = encoder()
    parts, x = sequences()
    assert torch.equal(net(padded(parts, 7)), net(padded(parts, 19)))


@torch.no_grad()
def test_the_order_of_the_sequences_does_not_matter():
    net = encoder()
    _, x = sequences()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    np.testing.assert_allclose(net(x[order]), net(x)[order], rtol=1e-12)


def test_gradients_are_those_of_the_loop_and_padding_has_none():
    net = encoder()
    parts, x = sequences()
    weights = draw(len(parts), 5, dtype=torch.float64)
    x.requires_grad_()
    (net(x) * weights).sum().backward()
    found = [p.grad.clone() for p in net.layers.parameters()]
    missing = torch.isnan(x.detach())
    assert (x.grad[missing] == 0).all() and (x.grad[~missing] != 0).all()
    net.zero_grad()
    sum((loop(net, part)[1] * w).sum() for part, w in zip(parts, weights, strict=True)).backward()
    for gradient, parameter in zip(found, net.layers.parameters(), strict=True):
        np.testing.assert_allclose(gradient, parameter.grad, rtol=1e-9, atol=1e-12)


def test_recurrent_weights_are_orthogonal_gate_by_gate():
    for layer in RecurrentEncoder(3, 6, 2, 5, rng()).layers:
        for name, parameter in layer.named_parameters():
            if name.startswith("weight_hh"):
                for gate in parameter.detach().chunk(3):
                    np.testing.assert_allclose(gate @ gate.T, np.eye(6), atol=1e-5)
            elif name.startswith("weight_ih"):
                for gate in parameter.chunk(3):
                    assert gate.abs().max() <= math.sqrt(6 / sum(gate.shape))
