"""A mixture of Gaussians in the embedding, and the bound of the likelihood under it; see VaDE."""

import torch
from torch import nn

from sklearn_deepcluster.cluster._start import variances
from sklearn_deepcluster.losses import weighted


class MixtureBound(nn.Module):
    r"""The negative evidence lower bound under a mixture of Gaussians.

    .. math::
        L = w R + \frac{1}{b} \sum_i \Big[ \sum_c \gamma_{ic} \frac{1}{2} \sum_d
            \Big( \log s_{cd}^2 + \frac{v_{id} + (m_{id} - \mu_{cd})^2}{s_{cd}^2} \Big)
            - \frac{1}{2} \sum_d (1 + \log v_{id})
            + \sum_c \gamma_{ic} \log \frac{\gamma_{ic}}{\pi_c} \Big]

    with m and v of the encoder, :math:`\gamma_{ic} = p(c \mid z_i)` of a draw z, and R the sum over
    features (mean over rows) of squared errors, or of cross-entropies where the network gives
    logits.

    Parameters
    ----------
    weights : Tensor of shape (k,)
    centers : Tensor of shape (k, e)
    covariances : Tensor of shape (k, e)
        Variances.
    bernoulli : bool
    recon_weight : float
    floor : float
        Added to all variances.
    """

    def __init__(self, weights, centers, covariances, *, bernoulli, recon_weight, floor):
        super().__init__()
        self.logits = nn.Parameter(weights.log())
        self.centers = nn.Parameter(centers.clone())
        self.log_variances = nn.Parameter((covariances.clamp_min(2 * floor) - floor).log())
        self.bernoulli, self.recon_weight, self.floor = bernoulli, recon_weight, floor

    @property
    def covariances(self):
        """Variances (k, e)."""
        return self.log_variances.exp() + self.floor

    def log_proba(self, z):
        """Logarithms of the responsibilities (b, k) for z (b, e)."""
        return mixture_log_proba(z, self.logits, self.centers, self.covariances)

    def row_terms(self, x, outputs):
        """Reconstruction and divergence of each row, Tensors (b,)."""
        mean, out, log_variance, z = outputs
        if self.bernoulli:
            error = nn.functional.binary_cross_entropy_with_logits(out, x, reduction="none").sum(1)
        else:
            error = (out - x).square().sum(1)
        log_gamma, s2 = self.log_proba(z), self.covariances
        gaps = (mean.unsqueeze(1) - self.centers).square() + log_variance.exp().unsqueeze(1)
        prior = 0.5 * (s2.log() + gaps / s2).sum(2)
        relative = prior + log_gamma - torch.log_softmax(self.logits, dim=0)
        entropy = 0.5 * (1 + log_variance).sum(1)
        return error, (log_gamma.exp() * relative).sum(1) - entropy

    def forward(self, step):
        """Return the terms of the loss for a batch."""
        error, divergence = map(step.mean, self.row_terms(step.x, step.outputs))
        loss = self.recon_weight * error + divergence
        return {"loss": loss, "reconstruction": error.detach(), "divergence": divergence.detach()}


def mixture_log_proba(z, logits, centers, covariances):
    """Logarithms of the responsibilities (b, k) of diagonal Gaussians for z (b, e)."""
    gaps = (z.unsqueeze(1) - centers).square() / covariances
    return torch.log_softmax(logits - 0.5 * (gaps + covariances.log()).sum(2), dim=1)


def moments(z, labels, centers, floor, weight=None):
    """Shares (k,) and variances (k, e) of clusters; those of empty ones are of all rows.

    Parameters
    ----------
    z : Tensor of shape (n, e)
    labels : int64 Tensor of shape (n,)
    centers : Tensor of shape (k, e)
    floor : float
        Variances are twice that at least.
    weight : Tensor of shape (n,), default=None
    """
    members = weighted(nn.functional.one_hot(labels, len(centers)).to(z.dtype), weight)
    counts = members.sum(0)

    def spread(c):
        if not counts[c]:
            return variances(z, weight)
        rows = labels == c
        squares = (z[rows] - centers[c]).square()
        if weight is None:
            return squares.mean(0)
        return weighted(squares, weight[rows]).sum(0) / counts[c]

    shares = (counts + 1) / (counts + 1).sum()  # an empty one may come back
    spreads = torch.stack([spread(c) for c in range(len(centers))])
    return shares, spreads.clamp_min(2 * floor)
