"""Encoders and decoders, and the module that holds a pair of them."""

import itertools

import torch
from torch import nn

from sklearn_deepcluster.nn._layers import (
    ACTIVATIONS,
    Conv2d,
    ConvTranspose2d,
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
    """

    def __init__(self, encoder, decoder, *, input_shape=None, corruption=None):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.input_shape = input_shape
        self.corruption = corruption

    def encode(self, x):
        """Map rows (b, d) to embeddings (b, e)."""
        if self.input_shape is not None:
            x = x.unflatten(1, self.input_shape)
            if len(self.input_shape) == 3:
                x = x.contiguous(memory_format=torch.channels_last)
        return self.encoder(x).flatten(1)

    def decode(self, z):
        """Map embeddings (b, e) to rows (b, d)."""
        return self.decoder(z).flatten(1)

    def forward(self, x):
        """Return (embedding, reconstruction); the second is None without a decoder."""
        if self.corruption is not None:
            x = self.corruption(x)
        z = self.encode(x)
        return z, None if self.decoder is None else self.decode(z)


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
        if dropout is not None:
            layers.append(dropout())
        layers.append(linear(n_in, n_out, generator))
        last = depth == len(sizes) - 1
        layers.append(ACTIVATIONS[output_activation if last else activation]())
    return nn.Sequential(*[layer for layer in layers if not isinstance(layer, nn.Identity)])


def tied_decoder(encoder, *, activation="relu", output_activation="identity"):
    """Return the decoder that mirrors an MLP `encoder` with its weights transposed."""
    linears = [layer for layer in encoder if isinstance(layer, nn.Linear)][::-1]
    layers = []
    for layer in linears:
        layers += [TiedLinear(layer), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1], ACTIVATIONS[output_activation]())


def conv_sizes(height, width, n_layers):
    """Sizes of the feature maps: each layer of stride 2 halves them, rounding up."""
    sizes = [(height, width)]
    for _ in range(n_layers):
        sizes.append(tuple(-(-side // 2) for side in sizes[-1]))
    return sizes


def conv_encoder(sample_shape, filters, kernel_sizes, n_components, generator, activation="relu"):
    """Convolutions of stride 2 and one linear layer (Guo et al., 2017, DCEC).

    Odd kernels padded by half their size give ``ceil(size / 2)`` for any size.
    """
    channels, height, width = sample_shape
    layers = []
    for n_in, n_out, kernel in zip((channels, *filters), filters, kernel_sizes, strict=False):
        layer = nn.utils.skip_init(
            Conv2d, n_in, n_out, kernel, stride=2, padding=kernel // 2, dtype=torch.float32
        )
        layers += [initialize(layer, generator), ACTIVATIONS[activation]()]
    side = conv_sizes(height, width, len(filters))[-1]
    flat = filters[-1] * side[0] * side[1]
    return nn.Sequential(*layers, nn.Flatten(), linear(flat, n_components, generator))


def conv_decoder(
    sample_shape,
    filters,
    kernel_sizes,
    n_components,
    generator,
    activation="relu",
    output_activation="identity",
):
    """The mirror image of :func:`conv_encoder`; gives back exactly `sample_shape`."""
    channels, height, width = sample_shape
    sizes = conv_sizes(height, width, len(filters))
    flat = filters[-1] * sizes[-1][0] * sizes[-1][1]
    layers = [
        linear(n_components, flat, generator),
        ACTIVATIONS[activation](),
        nn.Unflatten(1, (filters[-1], *sizes[-1])),
    ]
    outputs = (channels, *filters)[:-1]
    for level in reversed(range(len(filters))):
        # A transposed convolution of stride 2 gives 2 s - 1 plus this, per side.
        extra = tuple(
            want - (2 * have - 1) for want, have in zip(sizes[level], sizes[level + 1], strict=True)
        )
        kernel = kernel_sizes[level]
        layer = nn.utils.skip_init(
            ConvTranspose2d,
            filters[level],
            outputs[level],
            kernel,
            stride=2,
            padding=kernel // 2,
            output_padding=extra,
            dtype=torch.float32,
        )
        name = activation if level else output_activation
        layers += [initialize(layer, generator), ACTIVATIONS[name]()]
    return nn.Sequential(*layers)
