"""Within-cluster scatter, its rotation and the targets of DEKM (Guo et al., 2021)."""

import torch

from sklearn_deepcluster.losses._weighted import weighted


def within_scatter(z, labels, centers, weight=None):
    r"""Within-cluster scatter :math:`S_w = \sum_i w_i (h_i - \mu_{s_i})(h_i - \mu_{s_i})^T`.

    Parameters
    ----------
    z : Tensor of shape (n, e)
    labels : int64 Tensor of shape (n,)
    centers : Tensor of shape (k, e)
    weight : Tensor of shape (n,), default=None
        Of the rows; None is 1.

    Returns
    -------
    scatter : float64 Tensor of shape (e, e)
    """
    deviation = (z - centers[labels]).double()
    return deviation.T @ weighted(deviation, weight)


def scatter_rotation(scatter):
    """Eigenvectors of the scatter as columns, eigenvalues ascending: the last is the worst."""
    return torch.linalg.eigh(scatter).eigenvectors


def dekm_targets(y, center_y, dims):
    """Replace the coordinates `dims` of rotated rows by those of their centres.

    Parameters
    ----------
    y : Tensor of shape (n, e)
        Rotated embedding, ``h V``.
    center_y : Tensor of shape (n, e)
        Rotated centre of each row's cluster.
    dims : sequence of int
        Coordinates to replace.
    """
    targets = y.clone()
    targets[:, dims] = center_y[:, dims]
    return targets
