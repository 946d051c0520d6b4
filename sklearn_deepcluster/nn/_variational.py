"""An autoencoder whose embedding is a Gaussian for each row."""

import math

import torch
from torch import nn

from sklearn_deepcluster.nn._autoencoder import AutoencoderModule
from sklearn_deepcluster.nn._layers import ACTIVATIONS, Stochastic

_LARGEST = 30.0


class GaussianNoise(Stochastic):
    """Draw from the Gaussians of these means and logarithms of variances, (b, e) each.

    Without a generator, that is outside a training, it returns the means.
    """

    def forward(self, mean, log_variance):
        if self.generator is None:
            return mean
        draws = torch.empty_like(mean).normal_(generator=self.generator)
        return mean + draws * (0.5 * log_variance).exp()


class VariationalModule(AutoencoderModule):
    """An autoencoder with a second output of the encoder: the logarithm of the variance.

    Its layer reads what the last layer of the encoder reads; where the encoder is no stack whose
    last layer is linear, it reads the embedding. At first it is constant.

    Parameters
    ----------
    module : AutoencoderModule
        Whose parts it takes over.
    n_components : int

    Attributes
    ----------
    bernoulli : bool
        The decoder ends with a sigmoid: it gives probabilities, and ``forward`` their logits.
    """

    def __init__(self, module, n_components):
        super().__init__(module.encoder, module.decoder, input_shape=module.input_shape)
        self.unit_norm = module.unit_norm
        self.last = _last_linear(module.encoder, n_components)
        n_in = n_components if self.last is None else module.encoder[self.last].in_features
        self.log_variance = nn.utils.skip_init(nn.Linear, n_in, n_components, dtype=torch.float32)
        nn.init.zeros_(self.log_variance.weight)
        nn.init.zeros_(self.log_variance.bias)
        self.noise = GaussianNoise()

    @property
    def bernoulli(self):
        return ends_with_sigmoid(self.decoder)

    @torch.no_grad()
    def start_variance(self, variance):
        """Let all rows have this variance."""
        self.log_variance.weight.zero_()
        self.log_variance.bias.fill_(math.log(variance))

    def posterior(self, x):
        """Means and logarithms of variances (b, e) of rows (b, d)."""
        if self.last is None:
            mean = self.encode(x)
            return mean, self._log_variance(mean)
        hidden = self.shaped(x)
        for layer in self.encoder[: self.last]:
            hidden = layer(hidden)
        mean = hidden
        for layer in self.encoder[self.last :]:
            mean = layer(mean)
        if self.unit_norm:
            mean = nn.functional.normalize(mean, dim=1)
        return mean, self._log_variance(hidden)

    def _log_variance(self, hidden):
        # Far from the data it would leave the numbers that have an exponential.
        return self.log_variance(hidden).clamp(-_LARGEST, _LARGEST)

    def decode_logits(self, z):
        """What the decoder gives for z (b, e), before its sigmoid where it ends with one."""
        decoder = self.decoder[:-1] if self.bernoulli else self.decoder
        return decoder(z).flatten(1)

    def forward(self, x):
        """Return (mean, reconstruction or its logits, log-variance, a draw of the embedding)."""
        mean, log_variance = self.posterior(x)
        z = self.noise(mean, log_variance)
        return mean, self.decode_logits(z), log_variance, z


def ends_with_sigmoid(decoder):
    """Whether the last layer of a plain stack is a sigmoid."""
    plain = type(decoder) is nn.Sequential and len(decoder) > 0
    return plain and isinstance(decoder[-1], nn.Sigmoid)


def _last_linear(encoder, n_components):
    """Where a plain stack has the linear layer that gives the embedding, up to an activation."""
    if type(encoder) is not nn.Sequential or not len(encoder):
        return None
    last = len(encoder) - (2 if isinstance(encoder[-1], tuple(ACTIVATIONS.values())) else 1)
    found = last >= 0 and isinstance(encoder[last], nn.Linear)
    return last if found and encoder[last].out_features == n_components else None
