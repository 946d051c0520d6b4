"""Descriptions build the networks that they describe; encoders of the user are checked first."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_deepcluster import DDC, Autoencoder, ConvEncoder, GRUEncoder, MLPEncoder
from sklearn_deepcluster._engine import Tasks, generator
from sklearn_deepcluster.cluster._network import network_of
from sklearn_deepcluster.representation._encoders import image_shape


def build(description, shape):
    """Module and embedding of two samples of this shape."""
    n_features = int(np.prod(shape))
    module, n_components = description.build(n_features, shape, generator(0))
    z = module.encode(torch.rand(2, n_features, generator=generator(1)))
    assert z.shape == (2, n_components)
    return module, z


# -- descriptions --------------------------------------------------------------------------------


def test_an_mlp_has_the_layers_that_it_describes():
    module, _ = build(MLPEncoder(hidden_layer_sizes=(7, 5), n_components=3, activation="elu"), (6,))
    weights = [p.shape for name, p in module.named_parameters() if p.ndim == 2]
    assert weights == [(7, 6), (5, 7), (3, 5)]
    assert len(module.taps) == 2
    assert sum(isinstance(m, nn.ELU) for m in module.modules()) == 2
    assert module.decoder is None and module.input_shape is None


@pytest.mark.parametrize(("longest", "frame"), [(1, 1), (25, 1), (26, 2), (427, 18)])
def test_long_sequences_are_read_in_frames(longest, frame):
    net, _ = GRUEncoder().build(2, (longest, 2), generator(0))
    assert net.encoder.frame == frame
    assert GRUEncoder(frame=3).build(2, (longest, 2), generator(0))[0].encoder.frame == 3


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (3, 30, 24), (784,)])
def test_a_convolutional_network_reads_images_and_rows(shape):
    """A row is an image one pixel high."""
    description = ConvEncoder(filters=(2, 3), n_components=4)
    module, _ = build(description, shape)
    assert module.input_shape == (1,) * (3 - len(shape)) + shape
    assert [block[0].out_channels for block in module.taps] == [2, 3]
    assert [block[0].kernel_size for block in module.taps] == [(5, 5), (3, 3)]


def test_sample_shape_says_how_flat_rows_are_read():
    module, z = build(ConvEncoder(filters=(2, 2), sample_shape=(28, 28)), (784,))
    assert module.input_shape == (1, 28, 28)
    other, again = build(ConvEncoder(filters=(2, 2)), (28, 28))
    assert torch.equal(z, again)


def test_a_recurrent_network_reads_steps():
    module, n_components = GRUEncoder(hidden_size=4, n_layers=3, n_components=5).build(
        8, (10, 2), generator(0)
    )
    assert n_components == 5 and len(module.taps) == 3
    assert module.input_shape == (-1, 2)  # of any length
    for time in (1, 10, 12):
        assert module.encode(torch.rand(2, 2 * time)).shape == (2, 5)


@pytest.mark.parametrize(
    ("sides", "params", "padding", "size"),
    [
        ((16, 16), {}, "same", None),
        ((23, 23), {}, "same", None),
        ((24, 24), {}, "valid", None),
        ((28, 8), {}, "same", None),
        ((1, 784), {}, "same", None),
        ((16, 16), {"kernel_sizes": (3, 3)}, "same", None),
        ((20, 20), {"kernel_sizes": (3, 3)}, "valid", None),
        ((28, 28), {"padding": "same"}, "same", None),
        ((23, 23), {"padding": "valid"}, "valid", None),
        ((16, 16), {"resize": 20}, "same", (20, 20)),
        ((16, 16), {"resize": 24}, "valid", (24, 24)),
        ((20, 20), {"resize": 20}, "same", None),
        ((64, 48), {"resize": 30}, "valid", (30, 30)),
    ],
)
def test_images_are_padded_where_the_blocks_would_leave_less_than_two_pixels(
    sides, params, padding, size
):
    module, _ = build(ConvEncoder(filters=(2, 2), **params), sides)
    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 4
    assert {layer.padding for layer in convolutions} == {padding}
    prepare = module.encoder.prepare
    assert (None if prepare is None else prepare.size) == size


@pytest.mark.parametrize("resize", [None, 16])
def test_images_that_the_blocks_leave_nothing_of_are_refused(resize):
    with pytest.raises(ValueError, match=r"sample_shape=\(1, 16, 16\).* are too small .*resize"):
        build(ConvEncoder(resize=resize, padding="valid"), (16, 16))


@pytest.mark.parametrize(
    ("given", "shape", "expected"),
    [
        (None, (5,), (1, 1, 5)),
        (None, (4, 5), (1, 4, 5)),
        (None, (2, 4, 5), (2, 4, 5)),
        ((4, 5), (20,), (1, 4, 5)),
        ([5, 4], (4, 5), (1, 5, 4)),
        (np.array([1, 4, 5]), (20,), (1, 4, 5)),
    ],
)
def test_the_shape_of_an_image(given, shape, expected):
    assert image_shape(given, int(np.prod(shape)), shape) == expected


@pytest.mark.parametrize("given", [(4, 4), (-4, -5), (1, 1, 4, 5), 19, (0, 20)])
def test_a_shape_that_does_not_fit_is_refused(given):
    with pytest.raises(ValueError, match="sample_shape=.* does not fit.* a sample of X has 20"):
        image_shape(given, 20, (20,))


@pytest.mark.parametrize(
    ("description", "match"),
    [
        (ConvEncoder(filters=(4, 4, 4)), "filters=.* and kernel_sizes=.* the same length"),
        (ConvEncoder(filters=()), "filters"),
        (ConvEncoder(kernel_sizes=(3, 0)), "kernel_sizes"),
        (MLPEncoder(hidden_layer_sizes=(4, 0)), "hidden_layer_sizes"),
        (MLPEncoder(hidden_layer_sizes=()), "hidden_layer_sizes"),
    ],
)
def test_networks_that_cannot_be_built_are_refused(description, match):
    with pytest.raises(ValueError, match=match):
        build(description, (28, 28))


# -- without training ----------------------------------------------------------------------------


def untrained(network, X, seed):
    """The network of a clusterer with its first weights, for these samples."""
    ddc = DDC(2, encoder=network)
    samples = ddc._read(X, reset=True)
    given = network_of(ddc, samples)
    given.check(samples, seed)
    return given.first(samples, seed, ddc, Tasks())


def test_weights_come_from_the_seed_and_the_scale_from_the_data():
    X = np.random.default_rng(0).normal(3.0, 5.0, size=(30, 6)).astype(np.float32)
    description = MLPEncoder(hidden_layer_sizes=(4,), n_components=3)
    first, again, other = (untrained(description, X, seed) for seed in (0, 0, 1))
    rest = X - X.mean(axis=0, dtype=np.float64)
    assert first.standard.scale == pytest.approx(np.sqrt((rest**2).mean()), rel=1e-12)
    weights = [m.module.encoder.head[1].weight for m in (first, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert first.n_components == 3 and first.losses is None


# -- encoders of the user ------------------------------------------------------------------------


class Seen(nn.Module):
    """Remembers the shape of what it is given; gives `outputs`."""

    def __init__(self, outputs=lambda x: x.flatten(1)):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.outputs = outputs
        self.shapes = []

    def __deepcopy__(self, memo):
        return self

    def forward(self, x):
        self.shapes.append(tuple(x.shape[1:]))
        return self.outputs(self.weight * x)


def fit(network, shape=(6,), seed=0):
    X = np.random.default_rng(0).random((5, *shape), dtype=np.float32)
    return untrained(network, X, seed), X


def transformed(first, X):
    """Embedding of X by a network with its first weights."""
    rows = torch.from_numpy(first.standard.apply(X.reshape(len(X), -1)))
    with torch.no_grad():
        return first.module.encode(rows).numpy()


@pytest.mark.parametrize(
    ("shape", "seen"), [((6,), (6,)), ((3, 4), (1, 3, 4)), ((2, 3, 4), (2, 3, 4))]
)
def test_the_encoder_is_given_samples_in_their_shape(shape, seen):
    network = Seen()
    model, X = fit(network, shape)
    assert model.n_components == np.prod(shape)
    np.testing.assert_allclose(
        transformed(model, X), model.standard.apply(X.reshape(5, -1)), rtol=1e-6
    )
    assert set(network.shapes) == {seen}


def test_a_module_is_copied_and_a_factory_is_called_with_the_number_of_features():
    module = nn.Linear(6, 3)
    model, _ = fit(module)
    assert torch.equal(model.module.encoder.weight, module.weight)
    assert model.module.encoder is not module
    calls = []

    def factory(n_features):
        calls.append(n_features)
        return nn.Linear(n_features, 3)

    first, again, other = (fit(factory, seed=s)[0].module.encoder.weight for s in (0, 0, 1))
    assert calls == [6, 6, 6]
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_factory_draws_under_the_seed_and_leaves_the_global_generator():
    before = torch.get_rng_state()
    fit(lambda n_features: nn.Linear(n_features, 3))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_tuple_is_the_embedding_and_intermediate_outputs():
    network = Seen(lambda x: (x[:, :2], x, [3 * x][0]))
    model, X = fit(network)
    assert model.n_components == 2 and len(model.module.taps) == 2
    assert fit(Seen(lambda x: [x[:, :2]]))[0].module.taps == []
    assert fit(Seen())[0].module.taps == []


@pytest.mark.parametrize(
    ("network", "match"),
    [
        (nn.Linear(9, 2), r"encoder does not take samples of shape \(6,\)"),
        (Seen(lambda x: x.sum()), "encoder must give the embedding of a batch"),
        (Seen(lambda x: x[:1]), "encoder must give the embedding of a batch"),
        (Seen(lambda x: ()), "encoder must give the embedding of a batch"),
        (Seen(lambda x: None), "encoder must give the embedding of a batch"),
        (Seen(lambda x: (x, None)), "encoder must give the embedding of a batch"),
        (Seen(lambda x: (x, x.sum(0))), "encoder must give the embedding of a batch"),
        (Seen(lambda x: {"z": x}), "encoder must give the embedding of a batch"),
        (lambda n_features: "net", "encoder=.* made 'net', which is no torch.nn.Module"),
        (lambda n_features: nn.Linear(n_features + 1, 2), "encoder does not take samples"),
        (lambda: nn.Linear(6, 2), "encoder=.* makes no network of 6 features"),
        (MLPEncoder, "encoder=.*MLPEncoder.* is a class; an instance is needed"),
        (Autoencoder, "encoder=.*Autoencoder.* is a class; an instance is needed"),
    ],
)
def test_encoders_that_give_something_else_are_refused(network, match):
    with pytest.raises(ValueError, match=match):
        fit(network)
