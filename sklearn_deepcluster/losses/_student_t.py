"""Soft assignment by Student's t, sharpened targets and their divergence (Xie et al., 2016)."""

import torch

# Below this a probability counts as zero in logarithms and divisions.
EPS = 1e-12


def squared_distances(z, centers):
    """Squared Euclidean distances (b, k) between rows of z (b, e) and centers (k, e).

    Differences are squared directly: exact zeros, no cancellation, and each row's result is
    independent of the other rows.
    """
    return (z.unsqueeze(1) - centers).square().sum(-1)


def student_t_log_assignment(z, centers, alpha=1.0):
    r"""Logarithm of the soft assignment (Xie et al., 2016, Eq. 1).

    .. math::
        q_{ij} = \frac{(1 + \lVert z_i - \mu_j \rVert^2 / \alpha)^{-(\alpha + 1) / 2}}
                      {\sum_l (1 + \lVert z_i - \mu_l \rVert^2 / \alpha)^{-(\alpha + 1) / 2}}

    Parameters
    ----------
    z : Tensor of shape (b, e)
    centers : Tensor of shape (k, e)
    alpha : float, default=1.0
        Degrees of freedom.

    Returns
    -------
    log_q : Tensor of shape (b, k)
    """
    logits = -0.5 * (alpha + 1.0) * torch.log1p(squared_distances(z, centers) / alpha)
    return torch.log_softmax(logits, dim=1)


def target_distribution(q):
    r"""Sharpened target of soft assignments over *all* rows (Xie et al., 2016, Eq. 3).

    .. math::
        p_{ij} = \frac{q_{ij}^2 / f_j}{\sum_l q_{il}^2 / f_l}, \qquad f_j = \sum_i q_{ij}

    Parameters
    ----------
    q : Tensor of shape (n, k)

    Returns
    -------
    p : Tensor of shape (n, k)
    """
    weight = q.square() / q.sum(0).clamp_min(EPS)
    return weight / weight.sum(1, keepdim=True).clamp_min(EPS)


def kl_divergence(p, log_q):
    r"""Mean over the batch of :math:`\sum_j p_{ij} \log (p_{ij} / q_{ij})` (Eq. 2)."""
    return (p * (p.clamp_min(EPS).log() - log_q)).sum(1).mean()
