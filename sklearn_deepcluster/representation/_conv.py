"""Convolutional autoencoder, as used by DCEC and DEKM.

References: Guo, Liu, Zhu, Yin, "Deep Clustering with Convolutional Autoencoders" (ICONIP 2017);
Guo, Lin, Ye, "Deep Embedded K-Means Clustering" (ICDMW 2021).
Deviation: every convolution is padded by half its kernel, so maps shrink to half their size and
images of any size come back exactly (28 - 14 - 7 - 4); the papers' third layer goes from 7 to 3.
"""

import numpy as np
import torch

from sklearn_deepcluster.nn import (
    ACTIVATIONS,
    AutoencoderModule,
    conv_decoder,
    conv_encoder,
)
from sklearn_deepcluster.representation._base import BaseAutoencoder, check_widths, image_shape
from sklearn_deepcluster.utils._sklearn import StrOptions


class ConvAutoencoder(BaseAutoencoder):
    """Convolutional autoencoder; a transformer that learns an embedding of images.

    Convolutions of stride 2 and a linear layer encode, their mirror image decodes. Images may
    have any size from 2 ** (number of convolutions) pixels per side.

    Parameters
    ----------
    sample_shape : tuple of int
        Shape of one sample, (height, width) or (channels, height, width), for X given as flat
        rows. None takes it from an image array; flat rows are then read as
        1 x 1 x n_features images.

    filters : tuple of int
        Channels of the convolutions.

    kernel_sizes : tuple of int
        Sizes of their kernels. Odd ones halve the maps rounding up, even ones rounding down.

    batch_norm : bool
        Normalise the maps of each batch after every convolution [3]_. A batch of one sample is
        then refused.

    hidden_weight : float
        Weight of the reconstruction of each hidden layer, as it is without noise, relative to
        that of the input [2]_.

    min_steps : int
        Small data take more passes, until this many optimisation steps were made: with 70,000
        rows and batches of 256 the 50 epochs are 13,700 steps, with 1,797 rows they would be
        400, too few to learn an embedding; the floor makes them 2,000.

    net_params : dict
        More parameters of the inner skorch net, such as ``{"optimizer__weight_decay": 1e-4}``.

    verbose : int
        1 shows a progress bar.

    Attributes
    ----------
    history_ : dict of lists
        "loss" per epoch (mean squared error in units of the scale); "validation_loss", that of the
        samples held out, as often as it was looked at.

    See Also
    --------
    Autoencoder : The fully connected one, for tables.

    References
    ----------
    .. [1] X. Guo, X. Liu, E. Zhu, J. Yin, "Deep Clustering with Convolutional Autoencoders",
       ICONIP 2017.
    .. [2] K. G. Dizaji et al., "Deep Clustering via Joint Convolutional Autoencoder Embedding
       and Relative Entropy Minimization", ICCV 2017.
    .. [3] F. Li, H. Qiao, B. Zhang, "Discriminatively Boosted Image Clustering with Fully
       Convolutional Auto-Encoders", Pattern Recognition 83, 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_deepcluster import ConvAutoencoder
    >>> images = load_digits().images[:100]
    >>> ae = ConvAutoencoder(
    ...     filters=(8, 16), kernel_sizes=(3, 3), n_components=5, min_steps=20, random_state=0
    ... )
    >>> Z = ae.fit_transform(images)
    >>> Z.shape, ae.inverse_transform(Z).shape
    ((100, 5), (100, 8, 8))
    """

    _parameter_constraints = {
        **BaseAutoencoder._parameter_constraints,
        "sample_shape": ["array-like", None],
        "filters": ["array-like"],
        "kernel_sizes": ["array-like"],
        "batch_norm": ["boolean"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "embedding_activation": [StrOptions(set(ACTIVATIONS))],
        "output_activation": [StrOptions(set(ACTIVATIONS))],
    }
    _takes_sparse = False

    def __init__(
        self,
        *,
        n_components=10,
        sample_shape=None,
        filters=(32, 64, 128),
        kernel_sizes=(5, 5, 3),
        activation="relu",
        embedding_activation="identity",
        output_activation="identity",
        batch_norm=False,
        noise=0.2,
        noise_kind="masking",
        hidden_weight=0.0,
        layerwise_epochs=0,
        validation_fraction=0.1,
        center="auto",
        scale="auto",
        max_epochs=50,
        min_steps=2000,
        batch_size="auto",
        optimizer="adam",
        lr=1e-3,
        momentum=0.9,
        checkpoint=None,
        warm_start=False,
        callbacks=None,
        net_params=None,
        device="auto",
        precision="auto",
        verbose=0,
        random_state=None,
    ):
        self.n_components = n_components
        self.sample_shape = sample_shape
        self.filters = filters
        self.kernel_sizes = kernel_sizes
        self.activation = activation
        self.embedding_activation = embedding_activation
        self.output_activation = output_activation
        self.batch_norm = batch_norm
        self.noise = noise
        self.noise_kind = noise_kind
        self.hidden_weight = hidden_weight
        self.layerwise_epochs = layerwise_epochs
        self.validation_fraction = validation_fraction
        self.center = center
        self.scale = scale
        self.max_epochs = max_epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.checkpoint = checkpoint
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.precision = precision
        self.verbose = verbose
        self.random_state = random_state

    def _image_shape(self, form):
        """Return (channels, height, width); checks the parameters about it."""
        n_layers = len(check_widths("filters", self.filters))
        if len(check_widths("kernel_sizes", self.kernel_sizes)) != n_layers:
            raise ValueError(
                f"filters={self.filters!r} and kernel_sizes={self.kernel_sizes!r} must have the "
                "same length."
            )
        shape = image_shape(self.sample_shape, form.n_features_in, form.sample_shape)
        given = form.sample_shape if self.sample_shape is None else self.sample_shape
        smallest = 2**n_layers
        if np.size(given) > 1 and min(shape[1:]) < smallest:
            raise ValueError(
                f"Images of sample_shape={tuple(given)} are too small for {n_layers} convolutions "
                f"of stride 2: {smallest} pixels per side are needed, or fewer filters."
            )
        return shape

    def _make_module(self, form, rng):
        shape = self._image_shape(form)
        parts = (shape, tuple(self.filters), tuple(self.kernel_sizes), self.n_components, rng)
        encoder = conv_encoder(
            *parts,
            activation=self.activation,
            embedding_activation=self.embedding_activation,
            dropout=self._dropout(),
            batch_norm=self.batch_norm,
        )
        decoder = conv_decoder(
            *parts,
            activation=self.activation,
            output_activation=self.output_activation,
            batch_norm=self.batch_norm,
        )
        return AutoencoderModule(
            encoder,
            decoder,
            input_shape=shape,
            corruption=self._corruption(),
            hidden=self.hidden_weight > 0,
        ).to(memory_format=torch.channels_last)
