"""Cauchy-Schwarz divergence of soft clusters (Kampffmeyer et al., 2019), and its companions."""

import torch

from sklearn_deepcluster.losses._weighted import weighted

# Least numerator and product of masses: a cluster without mass in the batch gets the ratio 1, the
# worst, instead of 0, the best.
_LEAST = 1e-9


def cauchy_schwarz(a, kernel, weight=None):
    r"""Mean Cauchy-Schwarz overlap of the columns of A under a kernel, in [0, 1].

    .. math:: d(A, K) = \frac{2}{k (k - 1)} \sum_{i < j}
              \frac{a_i^T K a_j}{\sqrt{a_i^T K a_i \; a_j^T K a_j}}

    It is 0 where clusters share no similarity and 1 where they coincide. The factor is that of all
    code; the papers write 1 / k in places.

    Parameters
    ----------
    a : Tensor of shape (n, k)
        Not negative, such as soft assignments.
    kernel : Tensor of shape (n, n)
        Positive semidefinite, not negative.
    weight : Tensor of shape (n,), default=None
        How much each row counts, with mean 1: one of weight 2 counts as two equal rows.

    Returns
    -------
    overlap : scalar Tensor
        0 for one cluster, which has no pairs.
    """
    k = a.shape[1]
    if k == 1:
        return 0.0 * a.sum()
    a = weighted(a, weight)
    overlap = a.T @ kernel @ a
    mass = overlap.diagonal()
    product = (mass.unsqueeze(1) * mass).clamp_min(_LEAST**2)
    ratio = overlap.clamp_min(_LEAST) / product.sqrt()
    return ratio.triu(1).sum() * (2.0 / (k * (k - 1)))


def assignment_overlap(u, prior=None, weight=None):
    r"""Mean inner product of two rows of the assignments.

    .. math:: \frac{2}{n (n - 1)} \sum_{i < j} u_i^T u_j
              = \frac{\lVert \sum_i u_i \rVert^2 - \sum_i \lVert u_i \rVert^2}{n (n - 1)}

    Small where rows are spread over the clusters; the least value, of perfect balanced clusters, is
    (n / k - 1) / (n - 1). The mean, not the sum that the thesis writes: its published losses are
    those of the mean.

    With expected shares :math:`\pi` of the clusters each of them counts
    :math:`1 / (k \pi_k)`: the least value is then that of clusters of these sizes.

    Parameters
    ----------
    u : Tensor of shape (n, k)

    prior : Tensor of shape (k,) or None
        Positive, of sum 1; None is equal shares, as published.
    weight : Tensor of shape (n,), default=None
        A pair of rows counts by the product of theirs.

    Returns
    -------
    overlap : scalar Tensor
        0 for one row.
    """
    n = len(u)
    if n == 1:
        return 0.0 * u.sum()
    if prior is not None:
        u = u * (len(prior) * prior).rsqrt()
    n_pairs = n * (n - 1)
    if weight is not None:
        u = weighted(u, weight)
        n_pairs = (weight.sum().square() - weight.square().sum()).clamp_min(_LEAST)
    return (u.sum(0).square().sum() - u.square().sum()) / n_pairs


def corner_similarity(u):
    r"""Similarity of assignments and the corners of the simplex.

    .. math:: m_{ij} = \exp(-\lVert u_i - e_j \rVert^2)
    """
    return torch.exp(-(u.square().sum(1, keepdim=True) + 1.0 - 2.0 * u))


def ddc_terms(u, kernel, prior=None, weight=None):
    r"""The three terms of deep divergence-based clustering.

    .. math:: L_1 = d(U, K), \qquad L_2 = \text{mean of } u_i^T u_j, \qquad L_3 = d(M, K)

    Clusters are compact and apart, assignments spread over them, and near the corners of the
    simplex. For perfect, balanced, separate clusters the sum has a floor: 0 + (n / k - 1) / (n - 1)
    + a constant of k, such as .4506 for k = 10, n = 120.

    Parameters
    ----------
    u : Tensor of shape (n, k)
        Assignments of a batch; rows sum to 1.
    kernel : Tensor of shape (n, n)
        Of the hidden representation.

    prior : Tensor of shape (k,) or None
        Of the second term, see :func:`assignment_overlap`.
    weight : Tensor of shape (n,), default=None
        How much each row counts, with mean 1.

    Returns
    -------
    terms : dict of scalar Tensors
        "separation", "spread" and "corners".
    """
    return {
        "separation": cauchy_schwarz(u, kernel, weight),
        "spread": assignment_overlap(u, prior, weight),
        "corners": cauchy_schwarz(corner_similarity(u), kernel, weight),
    }
