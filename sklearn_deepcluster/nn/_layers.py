"""Layers that draw from an explicit generator, and their initialisation."""

import contextlib
import math

import torch
from torch import nn


class UnitNorm(nn.Module):
    """Scale each row to Euclidean norm 1; rows of zeros stay."""

    def forward(self, z):
        return nn.functional.normalize(z, dim=-1)


ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
    "unit_norm": UnitNorm,
}


def initialize(layer, generator, *, init="xavier"):
    """Draw the weights of a linear or convolutional layer from `generator`; biases are zero.

    Parameters
    ----------
    layer : nn.Module
        With ``weight`` and, possibly, ``bias``; its memory may be uninitialised.

    generator : torch.Generator

    init : {"xavier", "he", "fan_in"}, default="xavier"
        "xavier" is Glorot's uniform distribution, "he" that of He for ReLUs; "fan_in" is
        U(-b, b), b = 1 / sqrt(fan in).
    """
    with torch.no_grad():
        if init == "xavier":
            nn.init.xavier_uniform_(layer.weight, generator=generator)
        elif init == "he":
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
        else:
            bound = 1.0 / math.sqrt(layer.weight[0].numel())
            layer.weight.uniform_(-bound, bound, generator=generator)
        if layer.bias is not None:
            layer.bias.zero_()
    return layer


def linear(in_features, out_features, generator):
    """Return a Glorot-initialised ``nn.Linear``."""
    layer = nn.utils.skip_init(nn.Linear, in_features, out_features, dtype=torch.float32)
    return initialize(layer, generator)


def _step(rate):
    """The rate in units of 2 ** -16."""
    return min(round(rate * 2**16), 2**16 - 1)


def _keep(x, rate, generator):
    """Mask in the layout of x, False for a fraction `rate` (to 2 ** -16) of the entries.

    Four entries share a draw of 64 bits: a float for each took longer than a convolution.
    """
    if x.device.type == "mps":  # which draws no 64 bits
        draws = torch.empty_like(x, dtype=torch.float32).uniform_(generator=generator)
        return draws >= _step(rate) / 2**16
    words = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
    draws = words.random_(-(2**63), None, generator=generator).view(torch.int16)[: x.numel()]
    keep = draws >= _step(rate) - 2**15
    return torch.as_strided(keep, x.shape, x.stride()) if _is_dense(x) else keep.view(x.shape)


def _is_dense(x):
    """Whether the strides of x are a permutation of contiguous ones."""
    return torch.empty_like(x, device="meta").stride() == x.stride()


class Stochastic(nn.Module):
    """Base of layers that draw random numbers, of a network or of an objective.

    The engine sets ``generator``, one stream for all of them, for each stage of the training and
    takes it away afterwards: without one a layer draws nothing.
    """

    def __init__(self):
        super().__init__()
        self.generator = None


class Corruption(Stochastic):
    """Base of layers that corrupt their input while training, once they were given a generator.

    They are given one only for the stages that train with noise, so a module that is embedded,
    predicted with or fine-tuned is never corrupted.
    """

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        if not self.training or self.generator is None or self.rate == 0.0:
            return x
        return self.corrupt(x, _keep(x, self.rate, self.generator))

    def extra_repr(self):
        return f"rate={self.rate}"


class MaskingNoise(Corruption):
    """Set a fraction `rate` of the entries to zero (Vincent et al., JMLR 2010)."""

    def corrupt(self, x, keep):
        return torch.where(keep, x, 0.0)


class Dropout(Corruption):
    """Set a fraction `rate` of the entries to zero and scale the rest by 1 / (1 - rate)."""

    def corrupt(self, x, keep):
        return torch.where(keep, x / (1.0 - _step(self.rate) / 2**16), 0.0)


@contextlib.contextmanager
def untracked(module):
    """Layers of batch normalisation keep their running statistics as they are meanwhile."""
    tracking = [
        layer
        for layer in module.modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.track_running_stats
    ]
    try:
        for layer in tracking:
            layer.track_running_stats = False
        yield
    finally:
        for layer in tracking:
            layer.track_running_stats = True


class _AroundOneDNN:
    """Keeps a convolution off what oneDNN gets wrong on some processors.

    In bfloat16 its gradient for maps one pixel wide leaves the columns of the kernel that see only
    padding uninitialised: their weights would become random or infinite. These are computed in
    float32, also under autocast. With AVX2 alone its gradient for kernels of one pixel with a
    stride, of maps stored channels-last, writes beyond its memory, and the process dies. Such
    maps are stored anew.
    """

    def forward(self, x):
        if self.kernel_size == (1, 1) and self.stride != (1, 1):
            x = x.contiguous()
        if x.shape[-1] > 1:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


class Conv2d(_AroundOneDNN, nn.Conv2d):
    def _conv_forward(self, x, weight, bias):
        if self.padding == "same" and not all(side % 2 for side in self.kernel_size):
            x = pad_same(x, self.kernel_size)  # as torch does, but it warns
            return nn.functional.conv2d(x, weight, bias, self.stride)
        return super()._conv_forward(x, weight, bias)


def pad_same(x, kernel_size):
    """Maps (n, c, h, w) with the zeros around them by which a convolution leaves their size."""
    height, width = kernel_size
    sides = ((width - 1) // 2, width // 2, (height - 1) // 2, height // 2)
    return nn.functional.pad(x, sides)


class ConvTranspose2d(_AroundOneDNN, nn.ConvTranspose2d):
    pass


class TiedLinear(nn.Module):
    """The transpose of another linear layer, with a bias of its own.

    Parameters
    ----------
    source : nn.Linear
        Its weight is shared, not copied.
    """

    def __init__(self, source):
        super().__init__()
        # In a list, so that the shared weight is registered (and stored) once, by its owner.
        self._source = [source]
        self.bias = nn.Parameter(source.weight.new_zeros(source.in_features))

    def forward(self, z):
        return nn.functional.linear(z, self._source[0].weight.t(), self.bias)
