"""Soft assignment by Student's t, sharpened targets and their divergence (Xie et al., 2016)."""

import torch

from sklearn_deepcluster.losses._weighted import weighted

# Below this a probability counts as zero in logarithms and divisions.
EPS = 1e-12


# All rows at once would take e times the memory of the result.
_MOST_VALUES = 2**22


def squared_distances(z, centers):
    """Squared Euclidean distances (b, k) between rows of z (b, e) and centers (k, e).

    Differences are squared directly: exact zeros, no cancellation, and each row's result is
    independent of the other rows.
    """
    rows = max(1, _MOST_VALUES // max(1, centers.numel()))
    if len(z) <= rows or (torch.is_grad_enabled() and (z.requires_grad or centers.requires_grad)):
        return (z.unsqueeze(1) - centers).square().sum(-1)
    return torch.cat([squared_distances(part, centers) for part in z.split(rows)])


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


def target_distribution(q, kind="square", prior=None, weight=None):
    r"""Sharpened, balanced target of soft assignments over *all* rows.

    .. math::
        p_{ij} \propto q_{ij}^a \left(\frac{\pi_j}{f_j}\right)^b, \qquad f_j = \sum_i q_{ij}

    "square" is a = 2, b = 1, Eq. 3 of Xie et al. (2016), "sqrt" is a = 1, b = 1/2, Eq. 7 of Dizaji
    et al. (2017), which balances without sharpening; both have a uniform prior. With b = 0 nothing
    is balanced, and a is the boost of Li et al. (2018).

    Parameters
    ----------
    q : Tensor of shape (n, k)
    kind : {"square", "sqrt"} or (a, b), default="square"
    prior : Tensor of shape (k,), default=None
        Expected shares of the clusters; None is uniform.
    weight : Tensor of shape (n,), default=None
        Of the rows in the sum :math:`f_j`.

    Returns
    -------
    p : Tensor of shape (n, k)
    """
    power, balance = _TARGETS[kind] if isinstance(kind, str) else kind
    mass = weighted(q, weight).sum(0).clamp_min(EPS)
    if prior is not None:
        mass = mass / prior
    # Relative to the largest: high powers of small numbers would all be zero.
    weight = (q / q.amax(1, keepdim=True)) ** power if power > 2 else q**power
    weight = weight / mass**balance
    return weight / weight.sum(1, keepdim=True).clamp_min(EPS)


# Powers of the assignment and of the mass of the clusters.
_TARGETS = {"square": (2, 1), "sqrt": (1, 0.5)}


def kl_divergence(p, log_q, weight=None):
    r"""Mean over the batch of :math:`\sum_j p_{ij} \log (p_{ij} / q_{ij})` (Eq. 2).

    With a weight (b,) of the rows each term is multiplied by that of its row.
    """
    return weighted((p * (p.clamp_min(EPS).log() - log_q)).sum(1), weight).mean()
