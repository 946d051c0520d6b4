"""Ascent on the Stiefel manifold by Cayley transforms (Wen, Yin, 2013), in low-rank form."""

import torch

_ARMIJO = 1e-4
_SHRINK = 0.2
_MAX_TRIALS = 20
# Frobenius norm of U^T U - I beyond which U is made orthonormal again.
_DRIFT = 1e-6


def cayley(u, gradient, tau):
    r"""Step along the Cayley curve from U.

    .. math:: Y(\tau) = (I + \tfrac{\tau}{2} A)^{-1} (I - \tfrac{\tau}{2} A) U,
              \qquad A = G U^T - U G^T

    A is skew-symmetric, so Y has orthonormal columns. (A plus, as printed in Eq. 5.15 of the
    KNet paper, would leave the manifold.) With :math:`A = P Q^T`, P = [G, U], Q = [U, -G], only a
    matrix (2c, 2c) is inverted: O(n c^2) instead of O(n^3).

    Parameters
    ----------
    u : float64 Tensor of shape (n, c)
        With orthonormal columns.
    gradient : float64 Tensor of shape (n, c)
        Of a function that is to fall.
    tau : float
        Step size.

    Returns
    -------
    y : float64 Tensor of shape (n, c)
    """
    curve = _Curve(u, gradient)
    return u - tau * curve.p @ curve.z(tau)


class _Curve:
    """The Cayley curve from u, with all that does not depend on the step size."""

    def __init__(self, u, gradient):
        c = u.shape[1]
        self.p = torch.cat([gradient, u], dim=1)
        across = u.T @ gradient
        # U^T U = I is used, not measured.
        eye = torch.eye(c, dtype=u.dtype)
        self.q_p = torch.cat(
            [
                torch.cat([across, eye], dim=1),
                torch.cat([-gradient.T @ gradient, -across.T], dim=1),
            ]
        )
        self.q_u = torch.cat([eye, -across.T])
        self.slope = -float(gradient.square().sum() - across.square().sum())

    def z(self, tau):
        eye = torch.eye(len(self.q_p), dtype=self.q_p.dtype)
        return torch.linalg.solve(eye + 0.5 * tau * self.q_p, self.q_u)


def stiefel_ascent(operator, u, *, max_iter=50, tol=1e-4):
    r"""Raise :math:`\mathrm{tr}(U^T L U)` over orthonormal U.

    Each iteration takes one product with L; a trial of the line search (Armijo, from the step of
    Barzilai and Borwein) costs O(c^3).

    Parameters
    ----------
    operator : KernelOperator
        Or anything symmetric with products ``L @ u``.

    u : float64 Tensor of shape (n, c)
        With orthonormal columns.

    max_iter : int, default=50
        Iterations.

    tol : float, default=1e-4
        Stop when the norm of the projected gradient is below this share of that of the gradient.

    Returns
    -------
    u : float64 Tensor of shape (n, c)
        Orthonormal to 1e-6. The function depends on :math:`U U^T` alone: columns mean nothing.
    n_iter : int
    """
    l_u = operator @ u
    previous = None
    for iteration in range(max_iter):
        gradient = -2.0 * l_u
        curve = _Curve(u, gradient)
        if -curve.slope <= tol**2 * float(gradient.square().sum()):
            return u, iteration
        projected = gradient - u @ (gradient.T @ u)
        l_p = torch.cat([operator @ gradient, l_u], dim=1)
        value = -float((u * l_u).sum())
        m1, m2 = u.T @ l_p, curve.p.T @ l_p
        tau = _first_step(u, projected, previous, gradient)
        for _ in range(_MAX_TRIALS):
            z = curve.z(tau)
            trial = value + 2 * tau * float((m1 * z.T).sum())
            trial -= tau**2 * float((z * (m2 @ z)).sum())
            if trial <= value + _ARMIJO * tau * curve.slope:
                break
            tau *= _SHRINK
        else:
            return u, iteration  # rounding: no step is small enough to be seen
        previous = u, projected
        u = u - tau * curve.p @ z
        l_u = l_u - tau * l_p @ z
        if float(torch.linalg.norm(u.T @ u - torch.eye(u.shape[1], dtype=u.dtype))) > _DRIFT:
            u = torch.linalg.qr(u).Q
            l_u = operator @ u
    return u, max_iter


def _first_step(u, projected, previous, gradient):
    """Step size of Barzilai and Borwein; at first the inverse norm of the gradient."""
    if previous is not None:
        s, r = u - previous[0], projected - previous[1]
        curvature = abs(float((s * r).sum()))
        if curvature > 0:
            return float(s.square().sum()) / curvature
    return 1.0 / float(torch.linalg.norm(gradient))
