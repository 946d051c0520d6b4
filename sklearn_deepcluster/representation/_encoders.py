"""Encoders to be trained by a clusterer from random weights: descriptions, and modules of users."""

import abc
import copy

import torch
from sklearn.base import BaseEstimator
from torch import nn

from sklearn_deepcluster._engine import seeded_global_rng
from sklearn_deepcluster.base import POSITIVE_INT
from sklearn_deepcluster.nn import (
    ACTIVATIONS,
    AutoencoderModule,
    RecurrentEncoder,
    TupleEncoder,
    block_convnet,
    block_mlp,
    block_sides,
)
from sklearn_deepcluster.representation._base import CENTER, check_widths, image_shape
from sklearn_deepcluster.utils._sklearn import StrOptions

# Maps of the last block are this many pixels high and wide, or convolutions are padded.
LEAST_SIDE = 2
# More steps than these of a sequence are read several at once.
MOST_FRAMES = 25


class BaseEncoder(BaseEstimator, abc.ABC):
    """Base of the descriptions: parameters, and the network that they describe."""

    # Whether a sample is a sequence of steps.
    sequential = False
    # Whether samples may be sparse rows.
    _takes_sparse = True

    @abc.abstractmethod
    def build(self, n_features, sample_shape, rng):
        """Return the network, with weights drawn from `rng`.

        Parameters
        ----------
        n_features : int
            Values per sample; of sequences per step.
        sample_shape : tuple of int
        rng : torch.Generator

        Returns
        -------
        module : AutoencoderModule
            Without decoder.
        n_components : int
        """


class MLPEncoder(BaseEncoder):
    """Multilayer perceptron with batch normalisation, for tabular data.

    A description, as a kernel is to a Gaussian process: it has parameters to search, and the
    clusterer that it is given to builds and trains the network. Hidden layers are its intermediate
    outputs.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(500, 500)
        Widths of the hidden layers: linear, batch normalisation, activation.

    n_components : int, default=100
        Dimension of the embedding: a linear layer, a ReLU, and batch normalisation.

    activation : str, default="relu"
        "relu", "leaky_relu", "elu", "gelu", "tanh", "sigmoid" or "identity".

    center : {"auto", "mean"} or None, default="auto"
        What is subtracted from X; see :class:`Autoencoder`.

    See Also
    --------
    ConvEncoder : For images.
    GRUEncoder : For sequences.

    Examples
    --------
    >>> from sklearn_deepcluster import DDC, MLPEncoder
    >>> DDC(3, encoder=MLPEncoder(hidden_layer_sizes=(64,))).get_params()["encoder__n_components"]
    100
    """

    _parameter_constraints = {
        "center": CENTER,
        "hidden_layer_sizes": ["array-like"],
        "n_components": POSITIVE_INT,
        "activation": [StrOptions(set(ACTIVATIONS))],
    }

    def __init__(
        self,
        *,
        hidden_layer_sizes=(500, 500),
        n_components=100,
        activation="relu",
        center="auto",
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_components = n_components
        self.activation = activation
        self.center = center

    def build(self, n_features, sample_shape, rng):
        widths = check_widths("hidden_layer_sizes", self.hidden_layer_sizes)
        encoder = block_mlp(n_features, widths, self.n_components, rng, self.activation)
        return AutoencoderModule(encoder, None), self.n_components


class ConvEncoder(BaseEncoder):
    """The convolutional network of the tensor kernel thesis, for images.

    Two convolutions, batch normalisation and pooling make a block; blocks are the intermediate
    outputs. A description: see :class:`MLPEncoder`.

    Parameters
    ----------
    n_components : int, default=100
        Dimension of the embedding: a linear layer, a ReLU, and batch normalisation.

    sample_shape : tuple of int, default=None
        (height, width) or (channels, height, width) of an image, where rows of X are flat. None
        is the shape of the images that X holds; a flat row is then an image one pixel high.

    filters : tuple of int, default=(32, 32)
        Channels of each block.

    kernel_sizes : tuple of int, default=(5, 3)
        Sides of the kernels of each block.

    padding : {"auto", "same", "valid"}, default="auto"
        "same" pads images with zeros so that a convolution leaves their size, and halves it by
        pooling, rounded up; "valid", as published, pads nothing. "auto" is "same" where otherwise
        less than 2 x 2 pixels would be left: for sides below 24 with the default kernels.

    resize : int, default=None
        Height and width that images are resized to first, bilinearly; None leaves them.

    activation : str, default="relu"
        "relu", "leaky_relu", "elu", "gelu", "tanh", "sigmoid" or "identity".

    center : {"auto", "mean"} or None, default="auto"
        What is subtracted from X; see :class:`Autoencoder`.

    See Also
    --------
    MLPEncoder : For tabular data.
    ContextPredictor : Pretrains this network.

    References
    ----------
    .. [1] D. J. Trosten, "Deep Image Clustering with Tensor Kernels and Unsupervised Companion
       Objectives", master's thesis, UiT The Arctic University of Norway, 2019, Table 3.

    Examples
    --------
    >>> from sklearn_deepcluster import DDC, ConvEncoder
    >>> DDC(3, encoder=ConvEncoder(sample_shape=(28, 28))).encoder.filters
    (32, 32)
    """

    _parameter_constraints = {
        "center": CENTER,
        "n_components": POSITIVE_INT,
        "sample_shape": ["array-like", None],
        "filters": ["array-like"],
        "kernel_sizes": ["array-like"],
        "padding": [StrOptions({"auto", "same", "valid"})],
        "resize": [*POSITIVE_INT, None],
        "activation": [StrOptions(set(ACTIVATIONS))],
    }
    _takes_sparse = False

    def __init__(
        self,
        *,
        n_components=100,
        sample_shape=None,
        filters=(32, 32),
        kernel_sizes=(5, 3),
        padding="auto",
        resize=None,
        activation="relu",
        center="auto",
    ):
        self.n_components = n_components
        self.sample_shape = sample_shape
        self.filters = filters
        self.kernel_sizes = kernel_sizes
        self.padding = padding
        self.resize = resize
        self.activation = activation
        self.center = center

    def build(self, n_features, sample_shape, rng):
        filters = check_widths("filters", self.filters)
        kernels = check_widths("kernel_sizes", self.kernel_sizes)
        if len(filters) != len(kernels):
            raise ValueError(
                f"filters={self.filters!r} and kernel_sizes={self.kernel_sizes!r} must have the "
                "same length."
            )
        shape = image_shape(self.sample_shape, n_features, sample_shape)
        size = None if self.resize is None else (self.resize, self.resize)
        size = None if size == tuple(shape[1:]) else size
        left, padding = min(block_sides(min(size or shape[1:]), kernels)), self.padding
        if padding == "auto":
            padding = "same" if left < LEAST_SIDE else "valid"
        if padding == "valid" and left < 1:
            raise ValueError(
                f"Images of sample_shape={shape}, resized by resize={self.resize!r}, are too small "
                f"for kernel_sizes={self.kernel_sizes!r} with padding='valid'. Use "
                "padding='same', raise resize, or use fewer or smaller kernels."
            )
        encoder = block_convnet(
            shape, filters, kernels, self.n_components, rng, size, self.activation, padding
        )
        module = AutoencoderModule(encoder, None, input_shape=shape)
        return module.to(memory_format=torch.channels_last), self.n_components


class DefaultEncoder(BaseEncoder):
    """:class:`MLPEncoder` for flat rows, :class:`ConvEncoder` for image arrays.

    What ``encoder=None`` stands for, with the parameters that both have, so that these can be set
    and searched before X is known.

    Parameters
    ----------
    n_components : int, default=100
        Dimension of the embedding.

    activation : str, default="relu"
        "relu", "leaky_relu", "elu", "gelu", "tanh", "sigmoid" or "identity".

    center : {"auto", "mean"} or None, default="auto"
        What is subtracted from X; see :class:`Autoencoder`.

    See Also
    --------
    MLPEncoder : For tabular data.
    ConvEncoder : For images.

    Examples
    --------
    >>> from sklearn_deepcluster import DDC
    >>> DDC(3).set_params(encoder__n_components=20).encoder
    DefaultEncoder(n_components=20)
    """

    _parameter_constraints = {
        "center": CENTER,
        "n_components": POSITIVE_INT,
        "activation": [StrOptions(set(ACTIVATIONS))],
    }

    def __init__(self, *, n_components=100, activation="relu", center="auto"):
        self.n_components = n_components
        self.activation = activation
        self.center = center

    def build(self, n_features, sample_shape, rng):
        kind = ConvEncoder if len(sample_shape) > 1 else MLPEncoder
        return kind(**self.get_params()).build(n_features, sample_shape, rng)


class GRUEncoder(BaseEncoder):
    """Bidirectional recurrent network of gated units, for sequences of different lengths.

    The last hidden states of the layers, forward and backward, are its intermediate outputs. A
    description: see :class:`MLPEncoder`.

    Parameters
    ----------
    hidden_size : int, default=32
        Units per direction and layer.

    n_layers : int, default=2
        Number of layers.

    n_components : int, default=100
        Dimension of the embedding: a linear layer, a ReLU, and batch normalisation.

    frame : int or "auto", default="auto"
        Steps that are read at once. Steps take time, one after another, and from hundreds of them
        it is hard to learn. "auto" is one where the longest sequence has at most 25 steps, and
        otherwise as few as make at most 25 frames of it.

    sample_shape : tuple of int, default=None
        (time, features) of a sequence, where rows of X are flat and shorter sequences are padded
        with NaN at the end. None reads a flat row as a sequence of numbers.

    center : {"auto", "mean"} or None, default="auto"
        What is subtracted from X; see :class:`Autoencoder`.

    See Also
    --------
    RDDC : Clusters sequences by this network.

    References
    ----------
    .. [1] D. J. Trosten, A. S. Strauman, M. Kampffmeyer, R. Jenssen, "Recurrent Deep
       Divergence-Based Clustering for Simultaneous Feature Learning and Clustering of Variable
       Length Time Series", ICASSP 2019.

    Examples
    --------
    >>> from sklearn_deepcluster import DDC, GRUEncoder
    >>> DDC(3, encoder=GRUEncoder(hidden_size=8)).encoder.n_layers
    2
    """

    _parameter_constraints = {
        "center": CENTER,
        "hidden_size": POSITIVE_INT,
        "n_layers": POSITIVE_INT,
        "n_components": POSITIVE_INT,
        "frame": [*POSITIVE_INT, StrOptions({"auto"})],
        "sample_shape": ["array-like", None],
    }
    sequential = True
    _takes_sparse = False

    def __init__(
        self,
        *,
        hidden_size=32,
        n_layers=2,
        n_components=100,
        frame="auto",
        sample_shape=None,
        center="auto",
    ):
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.n_components = n_components
        self.frame = frame
        self.sample_shape = sample_shape
        self.center = center

    def build(self, n_features, sample_shape, rng):
        longest, per_step = sample_shape
        frame = -(-longest // MOST_FRAMES) if self.frame == "auto" else self.frame
        encoder = RecurrentEncoder(
            per_step, self.hidden_size, self.n_layers, self.n_components, rng, frame
        )
        return AutoencoderModule(encoder, None, input_shape=(-1, per_step)), self.n_components


def user_encoder(network, n_features, sample_shape, seed, sequential):
    """Module and number of components of a user's encoder, checked.

    Parameters
    ----------
    network : nn.Module or callable
        A module is copied, weights included; a callable is called with the number of features (of
        sequences per step), under the seed. Their forward gives the embedding, or a tuple of it
        and of intermediate outputs.
    n_features : int
    sample_shape : tuple of int
    seed : int
    sequential : bool
        Whether samples are sequences: the network is given (b, time, features), with NaN after
        the end of each.
    """
    if isinstance(network, type) and issubclass(network, BaseEstimator):
        raise ValueError(f"encoder={network!r} is a class; an instance is needed.")
    if sequential:
        n_features, shape = sample_shape[-1], sample_shape
    else:
        shape = sample_shape if len(sample_shape) != 2 else (1, *sample_shape)
    given = network
    with seeded_global_rng(seed):
        if isinstance(network, nn.Module):
            network = copy.deepcopy(network)
        else:
            try:
                network = copy.deepcopy(network(n_features))  # which may be the user's own
            except TypeError as exc:
                raise ValueError(
                    f"encoder={given!r} makes no network of {n_features} features: {exc}"
                ) from exc
    if not isinstance(network, nn.Module):
        raise ValueError(f"encoder={given!r} made {network!r}, which is no torch.nn.Module.")
    network.cpu().float().eval()  # all are built there, whatever the device
    probe = torch.zeros(2, *shape, dtype=torch.float32)
    if sequential:
        probe[1, 1:] = torch.nan
    try:
        with torch.no_grad():
            out = network(probe)
    except (RuntimeError, ValueError, TypeError) as exc:
        raise ValueError(f"encoder does not take samples of shape {shape}: {exc}") from exc
    outputs = out if isinstance(out, (tuple, list)) else (out,)
    if not outputs or any(not torch.is_tensor(o) or o.shape[:1] != (2,) for o in outputs):
        raise ValueError(
            "encoder must give the embedding of a batch, a tensor with a row per sample, or a "
            "tuple of it and of intermediate outputs."
        )
    if sequential and any(o.isnan().any() for o in outputs):
        raise ValueError(
            "encoder gives NaN for a sequence that is padded with NaN: it must leave out the steps "
            "after the end; sklearn_deepcluster.nn.pack makes a PackedSequence of a batch."
        )
    if len(outputs) > 1:
        network = TupleEncoder(network, len(outputs) - 1)
    if sequential:
        input_shape = (-1, n_features)
    else:
        input_shape = shape if len(shape) > 1 else None
    return AutoencoderModule(network, None, input_shape=input_shape), outputs[0][0].numel()
