"""Encoders without decoders: blocks, whose outputs can be caught, and a head."""

import itertools

import torch
from torch import nn

from sklearn_deepcluster.nn._layers import ACTIVATIONS, Conv2d, initialize, pad_same


class BlockEncoder(nn.Module):
    """Blocks one after the other, then a head that makes the embedding.

    Parameters
    ----------
    blocks : sequence of nn.Module
    head : nn.Module
    prepare : nn.Module, optional
        Applied to the input first.

    Attributes
    ----------
    taps : list of nn.Module
        The blocks: what they give are the intermediate outputs.
    """

    def __init__(self, blocks, head, prepare=None):
        super().__init__()
        self.prepare = prepare
        self.blocks = nn.ModuleList(blocks)
        self.head = head

    @property
    def taps(self):
        return list(self.blocks)

    def forward(self, x):
        if self.prepare is not None:
            x = self.prepare(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Resize(nn.Module):
    """Bilinear resizing of images (b, c, h, w) to a height and width."""

    def __init__(self, size):
        super().__init__()
        self.size = tuple(size)

    def forward(self, x):
        return nn.functional.interpolate(x, self.size, mode="bilinear", align_corners=False)

    def extra_repr(self):
        return f"size={self.size}"


def _layer(layer, generator):
    return initialize(layer, generator, init="he")


def _head(n_in, n_components, generator):
    """Linear, ReLU, batch normalisation: the hidden representation of the thesis."""
    linear = nn.utils.skip_init(nn.Linear, n_in, n_components, dtype=torch.float32)
    return nn.Sequential(
        nn.Flatten(),
        _layer(linear, generator),
        nn.ReLU(),
        nn.BatchNorm1d(n_components, dtype=torch.float32),
    )


def block_mlp(n_features, widths, n_components, generator, activation="relu"):
    """Linear layers with batch normalisation, a :class:`BlockEncoder` on rows (b, n_features)."""
    blocks = []
    for n_in, n_out in itertools.pairwise((n_features, *widths)):
        linear = nn.utils.skip_init(nn.Linear, n_in, n_out, dtype=torch.float32)
        norm = nn.BatchNorm1d(n_out, dtype=torch.float32)
        blocks.append(nn.Sequential(_layer(linear, generator), norm, ACTIVATIONS[activation]()))
    last = widths[-1] if widths else n_features
    return BlockEncoder(blocks, _head(last, n_components, generator))


def conv_block(n_in, n_out, kernel_size, generator, activation="relu", padding="valid"):
    """Two convolutions, batch normalisation and pooling of 2 x 2 (Trosten, thesis, Table 3).

    Without padding ("valid") a last odd row or column is not pooled; with "same" it is.
    """
    first, second = (
        nn.utils.skip_init(Conv2d, n, n_out, kernel_size, padding=padding, dtype=torch.float32)
        for n in (n_in, n_out)
    )
    return nn.Sequential(
        _layer(first, generator),
        ACTIVATIONS[activation](),
        _layer(second, generator),
        nn.BatchNorm2d(n_out, dtype=torch.float32),
        ACTIVATIONS[activation](),
        nn.MaxPool2d(2, ceil_mode=padding == "same"),
    )


def same_padded(block, x):
    """Output of a :func:`conv_block` with "same" padding, for maps too small to go without it.

    Sides are halved, rounded up; the weights are the block's own.
    """
    for layer in block:
        if isinstance(layer, nn.Conv2d) and layer.padding != "same":
            x = layer(pad_same(x, layer.kernel_size))
        elif isinstance(layer, nn.MaxPool2d):
            x = nn.functional.max_pool2d(x, layer.kernel_size, ceil_mode=True)
        else:
            x = layer(x)
    return x


def block_sides(side, kernel_sizes, padding="valid"):
    """Side of the maps after each block of :func:`conv_block`; not positive: too small."""
    sides = []
    for kernel in kernel_sizes:
        side = -(-side // 2) if padding == "same" else (side - 2 * (kernel - 1)) // 2
        sides.append(side)
    return sides


def block_convnet(
    sample_shape,
    filters,
    kernel_sizes,
    n_components,
    generator,
    size=None,
    activation="relu",
    padding="valid",
):
    """The network of the tensor kernel thesis, a :class:`BlockEncoder` on images (b, c, h, w).

    `size` is the height and width that images are resized to first; None leaves them.
    """
    channels, height, width = sample_shape
    blocks = [
        conv_block(n_in, n_out, kernel, generator, activation, padding)
        for (n_in, n_out), kernel in zip(
            itertools.pairwise((channels, *filters)), kernel_sizes, strict=True
        )
    ]
    sides = [block_sides(side, kernel_sizes, padding)[-1] for side in size or (height, width)]
    head = _head(filters[-1] * sides[0] * sides[1], n_components, generator)
    return BlockEncoder(blocks, head, None if size is None else Resize(size))


class RecurrentEncoder(nn.Module):
    """Bidirectional GRU on sequences (b, time, f) that are padded with NaN at the end.

    Each layer gives its last hidden states, forward and backward, an intermediate output (b, 2 h);
    those of the last layer are what the head maps to the embedding. Sequences are packed: the
    last step is the last one that is not padding, and padding costs no time.

    Parameters
    ----------
    n_features : int
        Features of a step.
    hidden_size : int
        Units per direction and layer.
    n_layers : int
    n_components : int
    generator : torch.Generator
    frame : int, default=1
        Steps that are read at once; the last ones may be fewer.
    """

    def __init__(self, n_features, hidden_size, n_layers, n_components, generator, frame=1):
        super().__init__()
        self.frame = frame
        widths = (frame * n_features, *[2 * hidden_size] * (n_layers - 1))
        self.layers = nn.ModuleList(_gru(width, hidden_size, generator) for width in widths)
        self.states = nn.ModuleList(nn.Identity() for _ in widths)
        self.head = _head(2 * hidden_size, n_components, generator)

    @property
    def taps(self):
        return list(self.states)

    def forward(self, x):
        x = in_frames(x, self.frame)
        # Hundreds of small products each, which bfloat16 makes neither faster nor better.
        with torch.autocast(x.device.type, enabled=False):
            if x.device.type == "cpu" and not torch.is_grad_enabled():
                return self.head(self._answer(x))
            packed = pack(x)
            for layer, state in zip(self.layers, self.states, strict=True):
                if x.device.type == "cpu":
                    packed, last = bidirectional_gru(layer, packed)
                else:
                    packed, last = layer(packed)
                last = state(torch.cat([last[0], last[1]], dim=1))
        return self.head(last)

    def _answer(self, x):
        """What the head is given, by products of as many rows as there are sequences.

        How many go on at a step depends on the company of a sequence, and how a product is rounded
        on the number of its rows. A fitted model answers for each as if it were alone.
        """
        missing = x.isnan()
        lengths = (~missing[..., 0]).sum(1)
        x = x.masked_fill(missing, 0.0)
        for layer, state in zip(self.layers, self.states, strict=True):
            x, last = bidirectional_gru_in_step(layer, x, lengths)
            last = state(last)
        return last


def in_frames(x, frame):
    """Sequences (b, time, f) as (b, time / frame, frame * f), padded with NaN at the end."""
    if frame == 1:
        return x
    b, time, f = x.shape
    x = nn.functional.pad(x, (0, 0, 0, -time % frame), value=torch.nan)
    return x.reshape(b, -1, frame * f)


def pack(x):
    """Pack sequences that are padded with NaN at the end, for torch's recurrent layers.

    Parameters
    ----------
    x : Tensor of shape (b, time, f)

    Returns
    -------
    packed : torch.nn.utils.rnn.PackedSequence
    """
    missing = x.isnan()
    lengths = (~missing[..., 0]).sum(1)
    return nn.utils.rnn.pack_padded_sequence(
        x.masked_fill(missing, 0.0), lengths.cpu(), batch_first=True, enforce_sorted=False
    )


def bidirectional_gru(layer, packed):
    """Run a bidirectional ``nn.GRU`` of one layer on packed sequences, both directions at once.

    The backward pass of torch's own loop on the CPU takes time quadratic in the number of steps, as
    each step's gradient is padded to all of them; here it is linear.

    Parameters
    ----------
    layer : nn.GRU
    packed : PackedSequence

    Returns
    -------
    outputs : PackedSequence
    last : Tensor of shape (2, b, h)
        Last hidden states, in the order of the sequences before packing.
    """
    sizes = packed.batch_sizes.tolist()
    mirror = _mirror(packed.batch_sizes)
    w_in, w_hidden, b_in, b_hidden = (
        torch.stack([getattr(layer, f"{name}_l0"), getattr(layer, f"{name}_l0_reverse")])
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    data = torch.stack([packed.data, packed.data.index_select(0, mirror)])
    steps = torch.baddbmm(b_in.unsqueeze(1), data, w_in.mT).split(sizes, dim=1)
    w_hidden, b_hidden = w_hidden.mT, b_hidden.unsqueeze(1)
    n_hidden = layer.hidden_size
    h = data.new_zeros(2, sizes[0], n_hidden)
    outputs, ended = [], []
    for step, size in zip(steps, sizes, strict=True):
        if size < h.shape[1]:  # sequences come longest first
            ended.append(h[:, size:])
            h = h[:, :size]
        hidden = torch.baddbmm(b_hidden, h, w_hidden)
        gates = (step[..., : 2 * n_hidden] + hidden[..., : 2 * n_hidden]).sigmoid()
        reset, update = gates.split(n_hidden, dim=2)
        new = torch.addcmul(step[..., 2 * n_hidden :], reset, hidden[..., 2 * n_hidden :]).tanh()
        h = torch.lerp(new, h, update)
        outputs.append(h)
    last = torch.cat([*ended, h][::-1], dim=1)
    forward, backward = torch.cat(outputs, dim=1)
    data = torch.cat([forward, backward.index_select(0, mirror)], dim=1)
    return packed._replace(data=data), last.index_select(1, packed.unsorted_indices)


def bidirectional_gru_in_step(layer, x, lengths):
    """As :func:`bidirectional_gru`, with all sequences at every step, also those that have ended.

    Parameters
    ----------
    layer : nn.GRU
    x : Tensor of shape (b, time, f)
        Any number where sequences have ended.
    lengths : int64 Tensor of shape (b,)

    Returns
    -------
    outputs : Tensor of shape (b, time, 2 h)
    last : Tensor of shape (b, 2 h)
    """
    b, time, _ = x.shape
    places = torch.arange(time)
    mirror = torch.where(places < lengths[:, None], lengths[:, None] - 1 - places, places)
    w_in, w_hidden, b_in, b_hidden = (
        torch.stack([getattr(layer, f"{name}_l0"), getattr(layer, f"{name}_l0_reverse")])
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    w_in, w_hidden, b_in, b_hidden = w_in.mT, w_hidden.mT, b_in.unsqueeze(1), b_hidden.unsqueeze(1)
    data = torch.stack([x, x.gather(1, mirror[..., None].expand_as(x))])
    n_hidden = layer.hidden_size
    h = x.new_zeros(2, b, n_hidden)
    outputs = []
    for t in range(time):
        step = torch.baddbmm(b_in, data[:, :, t], w_in)
        hidden = torch.baddbmm(b_hidden, h, w_hidden)
        gates = (step[..., : 2 * n_hidden] + hidden[..., : 2 * n_hidden]).sigmoid()
        reset, update = gates.split(n_hidden, dim=2)
        new = torch.addcmul(step[..., 2 * n_hidden :], reset, hidden[..., 2 * n_hidden :]).tanh()
        h = torch.where((t < lengths)[:, None], torch.lerp(new, h, update), h)
        outputs.append(h)
    forward, backward = torch.stack(outputs, dim=2)
    backward = backward.gather(1, mirror[..., None].expand_as(backward))
    return torch.cat([forward, backward], dim=2), torch.cat([h[0], h[1]], dim=1)


def _mirror(batch_sizes):
    """Where packed steps go when every sequence is reversed; its own inverse."""
    steps = torch.arange(len(batch_sizes)).repeat_interleave(batch_sizes)
    starts = batch_sizes.cumsum(0) - batch_sizes
    rows = torch.arange(len(steps)) - starts[steps]
    lengths = (torch.arange(int(batch_sizes[0])).unsqueeze(1) < batch_sizes).sum(1)
    return starts[lengths[rows] - 1 - steps] + rows


def _gru(n_features, hidden_size, generator):
    layer = nn.GRU(
        n_features, hidden_size, batch_first=True, bidirectional=True, dtype=torch.float32,
        device="meta",
    ).to_empty(device="cpu")  # fmt: skip
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.startswith("weight_ih"):
                for gate in parameter.chunk(3):
                    nn.init.xavier_uniform_(gate, generator=generator)
            elif name.startswith("weight_hh"):
                for gate in parameter.chunk(3):
                    nn.init.orthogonal_(gate, generator=generator)
            else:
                parameter.zero_()
    return layer


class TupleEncoder(nn.Module):
    """An encoder of the user that gives a tuple: the embedding, then intermediate outputs.

    Parameters
    ----------
    encoder : nn.Module
    n_outputs : int
        Number of intermediate outputs.
    """

    def __init__(self, encoder, n_outputs):
        super().__init__()
        self.encoder = encoder
        self.outputs = nn.ModuleList(nn.Identity() for _ in range(n_outputs))

    @property
    def taps(self):
        return list(self.outputs)

    def forward(self, x):
        z, *intermediate = self.encoder(x)
        for tap, output in zip(self.outputs, intermediate, strict=True):
            tap(output)
        return z


class Exposing(nn.Module):
    """A module whose forward pass also returns what its layers `taps` give.

    Parameters
    ----------
    module : nn.Module
        Its forward returns a tuple.
    taps : sequence of nn.Module
        Submodules of `module`, each called once per forward pass, in this order.
    """

    def __init__(self, module, taps):
        super().__init__()
        self.module = module
        self._taps = list(taps)  # not registered: they are the module's own

    def encode(self, x):
        """Map rows (b, d) to embeddings (b, e)."""
        return self.module.encode(x)

    def forward(self, x):
        caught = []
        handles = [
            tap.register_forward_hook(lambda layer, inputs, output: caught.append(output))
            for tap in self._taps
        ]
        try:
            outputs = self.module(x)
        finally:
            for handle in handles:
                handle.remove()
        return (*outputs, *caught)
