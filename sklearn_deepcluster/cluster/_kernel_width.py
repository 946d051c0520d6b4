"""A bandwidth of KNet's kernel by its spectrum."""

import torch

from sklearn_deepcluster.kernels import KernelOperator, leading_eigenvectors

# Widths that are tried, in units of `sigma`, and the rows to judge them by.
WIDTHS = (2.0, 1.0, 0.7, 0.5, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03)
_ROWS = 2000
# Greatest share of rows without a neighbour, and least spread of an eigenvector: the rows that it
# lives on, in units of a cluster of average size. Narrower kernels tell a few remote rows.
_MOST_ISOLATED = 0.01
_LEAST_SPREAD = 0.25
# Separation below which clusters are clouds that overlap at any width.
_SEPARATE = 0.8
# Of widths that separate all but as well the widest is taken: it sees the most neighbours.
_ALMOST = 0.95


def spectral_width(z, sigma, n_clusters, rng, *, zero_diagonal=True):
    r"""The share of `sigma` whose kernel separates so many clusters best.

    A kernel separates c clusters where c - 1 eigenvalues are near 1 and the next one is not: by
    :math:`(\lambda_{c-1} - \lambda_c) / (1 - \lambda_c)`, in [0, 1]. The plain gap would prefer
    wide kernels, whose eigenvalues are small and far apart. Widths at which a leading eigenvector
    lives on a few rows, or more than 1 % have no neighbour, are left out.

    Parameters
    ----------
    z : Tensor of shape (n, e)
    sigma : float
    n_clusters : int
    rng : torch.Generator
        Draws 2,000 of more rows.
    zero_diagonal : bool, default=True

    Returns
    -------
    scale : float
        1, a width for clouds, where none separates the clusters.
    """
    if len(z) > _ROWS:
        z = z[torch.randperm(len(z), generator=rng)[:_ROWS].sort().values]
    if not 1 < n_clusters < len(z) - 1:
        return 1.0
    separation = {}
    for width in WIDTHS:
        operator = KernelOperator(z, sigma * width, zero_diagonal=zero_diagonal)
        if float(operator.isolated.double().mean()) > _MOST_ISOLATED:
            break
        u, values = leading_eigenvectors(operator, n_clusters)
        rows = 1.0 / u[:, :-1].pow(4).sum(0)
        if n_clusters * float(rows.min()) >= _LEAST_SPREAD * len(z):
            last, following = values[-2:].tolist()
            separation[width] = (last - following) / max(1.0 - following, 1e-12)
    best = max(separation.values(), default=0.0)
    if best < _SEPARATE:
        return 1.0
    return next(width for width, value in separation.items() if value >= _ALMOST * best)
