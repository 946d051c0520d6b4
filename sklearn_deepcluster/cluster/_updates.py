"""How the spectral embedding U of KNet follows the network."""

import torch
from sklearn.base import BaseEstimator

from sklearn_deepcluster.base import POSITIVE_INT
from sklearn_deepcluster.kernels import leading_eigenvectors, stiefel_ascent


class Eigenvectors:
    """U is made of the leading eigenvectors (KNet_EIG)."""

    def follow(self, operator, u):
        """Return U (n, c) for the kernel as it is now, and its eigenvalues (c,).

        Parameters
        ----------
        operator : KernelOperator
        u : Tensor of shape (n, c)
            The last one, to start from.
        """
        return leading_eigenvectors(operator, u.shape[1], start=u)


class Stiefel(BaseEstimator):
    """U climbs on the Stiefel manifold from where it is (KNet_SMA), an ``update`` of ``KNet``.

    Parameters
    ----------
    max_iter : int, default=50
        Iterations of each ascent.

    See Also
    --------
    KNet : Takes it as `update`.

    References
    ----------
    .. [1] Z. Wen, W. Yin, "A Feasible Method for Optimization with Orthogonality Constraints",
       Mathematical Programming 142, 2013.

    Examples
    --------
    >>> from sklearn_deepcluster import KNet, Stiefel
    >>> KNet(2, update=Stiefel(max_iter=20)).get_params()["update__max_iter"]
    20
    """

    _parameter_constraints = {"max_iter": POSITIVE_INT}

    def __init__(self, *, max_iter=50):
        self.max_iter = max_iter

    def follow(self, operator, u):
        """Return U (n, c) for the kernel as it is now, and its eigenvalues (c,).

        Parameters
        ----------
        operator : KernelOperator
        u : Tensor of shape (n, c)
            The last one, to start from.
        """
        u, _ = stiefel_ascent(operator, u, max_iter=self.max_iter)
        values, rotation = torch.linalg.eigh(u.T @ (operator @ u))
        return u @ rotation.flip(1), values.flip(0)


def update_of(given):
    """The update that the parameter `update` of KNet says."""
    if isinstance(given, Stiefel):
        return given
    return Stiefel() if given == "stiefel" else Eigenvectors()
