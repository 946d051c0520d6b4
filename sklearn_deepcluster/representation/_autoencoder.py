"""Fully connected autoencoder, as used by DEC, IDEC and their relatives.

References: Xie, Girshick, Farhadi, "Unsupervised Deep Embedding for Clustering Analysis" (ICML
2016), sections 3.2 and 4; Vincent et al., "Stacked Denoising Autoencoders" (JMLR 2010).
Deviations: Adam for one end-to-end training by default (greedy layer-wise training is an option),
with masking noise on the input; Glorot's initialisation, a learned input scale.
"""

from torch import nn

from sklearn_deepcluster.nn import (
    ACTIVATIONS,
    AutoencoderModule,
    mlp,
    tied_decoder,
)
from sklearn_deepcluster.representation._base import (
    BaseAutoencoder,
    by_size,
    check_widths,
    user_module,
)
from sklearn_deepcluster.utils._sklearn import StrOptions

# Of many, few and very few samples.
WIDTHS = (500, 500, 2000), (256, 256, 1024), (128, 128, 512)


class Autoencoder(BaseAutoencoder):
    """Fully connected autoencoder; a transformer that learns an embedding.

    The encoder is ``n_features - hidden_layer_sizes - n_components``, the decoder its mirror
    image; inner layers have the given activation, the embedding is linear.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int or "auto"
        Widths of the encoder's hidden layers. "auto" is (500, 500, 2000), as published for tens of
        thousands of samples; (256, 256, 1024) where the first fit has fewer than 5,000, and
        (128, 128, 512) where it has fewer than 1,000.

    hidden_weight : float
        Weight of the reconstruction of each hidden layer, as it is without noise, relative to
        that of the input [3]_.

    tied : bool
        The decoder uses the transposed weights of the encoder.

    module : torch.nn.Module or callable
        Your own network instead: a module with attributes ``encoder`` and ``decoder`` (copied,
        weights included), or a callable that is given ``n_features`` and returns one. The
        encoder takes (b, n_features), or (b, channels, height, width) where X is an image
        array. The parameters about layers and noise are then ignored, ``n_components`` too.
        A module may draw from torch's global generator: it is built and trained under one
        process-wide lock, with that generator seeded and restored.

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
        "loss" per epoch (mean squared error in units of the scale), layer-wise epochs first;
        "validation_loss", that of the samples held out, as often as it was looked at.

    See Also
    --------
    ConvAutoencoder : The convolutional one, for images.

    References
    ----------
    .. [1] J. Xie, R. Girshick, A. Farhadi, "Unsupervised Deep Embedding for Clustering
       Analysis", ICML 2016.
    .. [2] P. Vincent et al., "Stacked Denoising Autoencoders: Learning Useful Representations
       in a Deep Network with a Local Denoising Criterion", JMLR 11, 2010.
    .. [3] K. G. Dizaji et al., "Deep Clustering via Joint Convolutional Autoencoder Embedding
       and Relative Entropy Minimization", ICCV 2017.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_deepcluster import Autoencoder
    >>> X = load_iris().data
    >>> ae = Autoencoder(hidden_layer_sizes=(32,), n_components=2, min_steps=200, random_state=0)
    >>> make_pipeline(ae, KMeans(3, random_state=0)).fit_predict(X).shape
    (150,)
    """

    _parameter_constraints = {
        **BaseAutoencoder._parameter_constraints,
        "hidden_layer_sizes": ["array-like", StrOptions({"auto"})],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "embedding_activation": [StrOptions(set(ACTIVATIONS))],
        "output_activation": [StrOptions(set(ACTIVATIONS))],
        "tied": ["boolean"],
        "module": [nn.Module, callable, None],
    }

    def __init__(
        self,
        *,
        hidden_layer_sizes="auto",
        n_components=10,
        activation="relu",
        embedding_activation="identity",
        output_activation="identity",
        noise=0.2,
        noise_kind="masking",
        hidden_weight=0.0,
        tied=False,
        layerwise_epochs=0,
        validation_fraction=0.1,
        module=None,
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_components = n_components
        self.activation = activation
        self.embedding_activation = embedding_activation
        self.output_activation = output_activation
        self.noise = noise
        self.noise_kind = noise_kind
        self.hidden_weight = hidden_weight
        self.tied = tied
        self.layerwise_epochs = layerwise_epochs
        self.validation_fraction = validation_fraction
        self.module = module
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

    def _draws_globally(self):
        return self.module is not None

    def _build(self, form, seed):
        if self.module is None:
            return super()._build(form, seed)
        shape = form.sample_shape if len(form.sample_shape) != 2 else (1, *form.sample_shape)
        encoder, decoder, n_components = user_module(self.module, form.n_features_in, shape, seed)
        input_shape = shape if len(shape) > 1 else None
        return AutoencoderModule(encoder, decoder, input_shape=input_shape), n_components

    def _make_module(self, form, rng):
        if isinstance(self.hidden_layer_sizes, str):
            widths = by_size(form.n_samples, *WIDTHS)
        else:
            widths = check_widths("hidden_layer_sizes", self.hidden_layer_sizes, least=0)
        sizes = [form.n_features_in, *widths, self.n_components]
        dropout = self._dropout()
        encoder = mlp(
            sizes,
            rng,
            activation=self.activation,
            output_activation=self.embedding_activation,
            dropout=dropout,
        )
        outer = {"activation": self.activation, "output_activation": self.output_activation}
        if self.tied:
            decoder = tied_decoder(encoder, **outer)
        else:
            decoder = mlp(sizes[::-1], rng, **outer)
        return AutoencoderModule(
            encoder, decoder, corruption=self._corruption(), hidden=self.hidden_weight > 0
        )
