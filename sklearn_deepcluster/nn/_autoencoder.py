"""Encoders and decoders, and the module that holds a pair of them."""

import itertools

import torch
from torch import nn

from sklearn_deepcluster.nn._layers import (
    ACTIVATIONS,
    Conv2d,
    ConvTranspose2d,
    Corruption,
    TiedLinear,
    initialize,
    linear,
)


class AutoencoderModule(nn.Module):
    """An encoder and a decoder for flat rows.

    Parameters
    ----------
    encoder, decoder : nn.Module
        ``decoder=None`` leaves an encoder alone.

    input_shape : tuple of int, optional
        Shape in which the encoder takes (and the decoder gives) one sample; None is flat.

    corruption : nn.Module, optional
        Applied to the input in ``forward``, not in ``encode``.

    hidden : bool, default=False
        ``forward`` also returns the hidden layers, for their reconstruction. Encoder and decoder
        must then be stacks (``nn.Sequential``) that mirror one another.

    Attributes
    ----------
    unit_norm : bool
        Whether embeddings are scaled to norm 1; False until a clusterer sets it.
    """

    unit_norm = False

    def __init__(self, encoder, decoder, *, input_shape=None, corruption=None, hidden=False):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.input_shape = input_shape
        self.corruption = corruption
        self.hidden = hidden

    @property
    def taps(self):
        """Submodules of the encoder whose outputs are its intermediate outputs."""
        if hasattr(self.encoder, "taps"):
            return self.encoder.taps
        if isinstance(self.encoder, nn.Sequential):
            return [group[-1] for group in _groups(self.encoder)[:-1]]
        return []

    def shaped(self, x):
        """Rows (b, d) in the shape that the encoder takes."""
        if self.input_shape is not None:
            x = x.unflatten(1, self.input_shape)
            if len(self.input_shape) == 3:
                x = x.contiguous(memory_format=torch.channels_last)
        return x

    def encode(self, x):
        """Map rows (b, d) to embeddings (b, e)."""
        z = self.encoder(self.shaped(x)).flatten(1)
        return nn.functional.normalize(z, dim=1) if self.unit_norm else z

    def decode(self, z):
        """Map embeddings (b, e) to rows (b, d)."""
        return self.decoder(z).flatten(1)

    def forward(self, x):
        """Return (embedding, reconstruction) of the corrupted rows; None without a decoder.

        With ``hidden`` two outputs follow per hidden layer, from the outside in: what it is for
        the clean rows, and its reconstruction from the embedding (Dizaji et al., 2017, Eq. 8).
        """
        z = self.encode(x if self.corruption is None else self.corruption(x))
        if self.decoder is None:
            return z, None
        if not self.hidden:
            return z, self.decode(z)
        clean = _walk(stages(self.encoder)[:-1], self.shaped(x))
        *back, reconstruction = _walk(stages(self.decoder), z)
        pairs = zip(clean, reversed(back), strict=True)
        return z, reconstruction.flatten(1), *itertools.chain.from_iterable(pairs)


def stages(network):
    """Split a stack into its layers with weights, each with what follows it; no corruption.

    What only reshapes goes with the next layer in an encoder and with the last one in a decoder.
    """
    return [nn.Sequential(*group) for group in _groups(network)]


def _groups(network):
    """The layers of each of the :func:`stages`, as lists."""
    groups, waiting = [], []
    for layer in network:
        if any(True for _ in layer.parameters()) and not isinstance(layer, nn.BatchNorm2d):
            groups.append([*waiting, layer])
            waiting = []
        elif isinstance(layer, Corruption):
            continue
        elif isinstance(layer, nn.Flatten) or not groups:
            waiting.append(layer)
        else:
            groups[-1].append(layer)
    return groups


def _walk(layers, x):
    """Outputs of one layer after the other."""
    outputs = []
    for layer in layers:
        x = layer(x)
        outputs.append(x)
    return outputs


def mlp(sizes, generator, *, activation="relu", output_activation="identity", dropout=None):
    """Return a multilayer perceptron of the given widths.

    Parameters
    ----------
    sizes : sequence of int
    generator : torch.Generator
    activation, output_activation : str
        Keys of ``ACTIVATIONS``.
    dropout : callable, optional
        Makes a layer that is put before every linear one.
    """
    layers = []
    for depth, (n_in, n_out) in enumerate(itertools.pairwise(sizes), start=1):
        layers += _dropout(dropout)
        layers.append(linear(n_in, n_out, generator))
        last = depth == len(sizes) - 1
        layers.append(ACTIVATIONS[output_activation if last else activation]())
    return _stack(layers)


def identity_mlp(n_features, width, n_hidden, generator):
    """Return a multilayer perceptron of ReLUs that maps every row to itself.

    The first layer takes x to (R x, -R x) with a random R of orthonormal columns, the hidden ones
    pass it on, and the last one takes the difference and undoes R: relu(t) - relu(-t) = t. Unlike
    copies of the features, no two units are alike, so training uses the whole width.

    Parameters
    ----------
    n_features : int
    width : int
        Units of each hidden layer; even, and at least twice `n_features`.
    n_hidden : int
        Number of hidden layers.
    generator : torch.Generator
        For R.
    """
    draws = torch.randn(width // 2, n_features, generator=generator, dtype=torch.float64)
    frame = torch.linalg.qr(draws).Q.float()
    weights = [torch.cat([frame, -frame]), *[torch.eye(width)] * (n_hidden - 1)]
    weights.append(torch.cat([frame, -frame]).T)
    layers = []
    for weight in weights:
        layer = nn.utils.skip_init(nn.Linear, *weight.T.shape, dtype=torch.float32)
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.zero_()
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def tied_decoder(encoder, *, activation="relu", output_activation="identity"):
    """Return the decoder that mirrors an MLP `encoder` with its weights transposed."""
    linears = [layer for layer in encoder if isinstance(layer, nn.Linear)][::-1]
    layers = []
    for layer in linears:
        layers += [TiedLinear(layer), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1], ACTIVATIONS[output_activation]())


def conv_sizes(height, width, kernel_sizes):
    """Sizes of the feature maps: each layer of stride 2 halves them.

    Kernels are padded by ``(kernel - 1) // 2``: odd ones round up, even ones down; one pixel stays.
    """
    sizes = [(height, width)]
    for kernel in kernel_sizes:
        sizes.append(tuple(max(1, (side + kernel % 2) // 2) for side in sizes[-1]))
    return sizes


def _kernel(size, kernel):
    """Kernel and padding for maps of `size`: along one pixel there is nothing to convolve."""
    kernel = tuple(1 if side == 1 else kernel for side in size)
    return {"kernel_size": kernel, "padding": tuple((k - 1) // 2 for k in kernel)}


def conv_encoder(
    sample_shape,
    filters,
    kernel_sizes,
    n_components,
    generator,
    activation="relu",
    embedding_activation="identity",
    dropout=None,
    batch_norm=False,
):
    """Convolutions of stride 2 and one linear layer (Guo et al., 2017, DCEC).

    `dropout` makes a layer that is put before every layer with weights; with `batch_norm` every
    convolution is followed by batch normalisation.
    """
    channels, height, width = sample_shape
    layers = []
    sizes = conv_sizes(height, width, kernel_sizes)
    inputs = (channels, *filters)
    for n_in, n_out, size, side in zip(inputs, filters, sizes, kernel_sizes, strict=False):
        kernel = _kernel(size, side)
        layer = nn.utils.skip_init(Conv2d, n_in, n_out, stride=2, dtype=torch.float32, **kernel)
        layers += [*_dropout(dropout), initialize(layer, generator)]
        layers += [*_norm(batch_norm, n_out), ACTIVATIONS[activation]()]
    flat = filters[-1] * sizes[-1][0] * sizes[-1][1]
    layers += [nn.Flatten(), *_dropout(dropout), linear(flat, n_components, generator)]
    return _stack([*layers, ACTIVATIONS[embedding_activation]()])


def _dropout(dropout):
    return [] if dropout is None else [dropout()]


def _norm(batch_norm, n_channels):
    return [nn.BatchNorm2d(n_channels, dtype=torch.float32)] if batch_norm else []


def _stack(layers):
    return nn.Sequential(*[layer for layer in layers if not isinstance(layer, nn.Identity)])


def conv_decoder(
    sample_shape,
    filters,
    kernel_sizes,
    n_components,
    generator,
    activation="relu",
    output_activation="identity",
    batch_norm=False,
):
    """The mirror image of :func:`conv_encoder`; gives back exactly `sample_shape`.

    With `batch_norm` all maps but the last are normalised.
    """
    channels, height, width = sample_shape
    sizes = conv_sizes(height, width, kernel_sizes)
    flat = filters[-1] * sizes[-1][0] * sizes[-1][1]
    layers = [
        linear(n_components, flat, generator),
        nn.Unflatten(1, (filters[-1], *sizes[-1])),
        *_norm(batch_norm, filters[-1]),
        ACTIVATIONS[activation](),
    ]
    outputs = (channels, *filters)[:-1]
    for level in reversed(range(len(filters))):
        kernel = _kernel(sizes[level], kernel_sizes[level])
        # A transposed convolution of stride 2 gives 2 s - 1 (even kernels: 2 s) plus this, per
        # side.
        extra = tuple(
            want - (2 * have - k % 2)
            for want, have, k in zip(
                sizes[level], sizes[level + 1], kernel["kernel_size"], strict=True
            )
        )
        layer = nn.utils.skip_init(
            ConvTranspose2d,
            filters[level],
            outputs[level],
            stride=2,
            output_padding=extra,
            dtype=torch.float32,
            **kernel,
        )
        name = activation if level else output_activation
        norm = _norm(batch_norm and level > 0, outputs[level])
        layers += [initialize(layer, generator), *norm, ACTIVATIONS[name]()]
    return nn.Sequential(*layers)
