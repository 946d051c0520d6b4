"""Cayley steps in low-rank form, and the ascent made of them."""

import numpy as np
import pytest
import torch

from sklearn_deepcluster.kernels import (
    KernelOperator,
    cayley,
    hsic,
    leading_eigenvectors,
    projector_distance,
    stiefel_ascent,
)


def orthonormal(n, c, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(n, c, generator=generator, dtype=torch.float64)).Q


def symmetric(n=25, seed=0):
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(n, n, generator=generator, dtype=torch.float64)
    return a @ a.T / n


@pytest.mark.parametrize("c", [1, 3, 12])
@pytest.mark.parametrize("tau", [1e-3, 0.1, 2.0, 50.0])
def test_the_step_equals_that_of_the_full_inverse(c, tau):
    u = orthonormal(25, c)
    gradient = -2 * symmetric() @ u
    a = gradient @ u.T - u @ gradient.T
    eye = torch.eye(25, dtype=torch.float64)
    expected = torch.linalg.inv(eye + tau / 2 * a) @ (eye - tau / 2 * a) @ u
    y = cayley(u, gradient, tau)
    np.testing.assert_allclose(y, expected, atol=1e-11)
    np.testing.assert_allclose(y.T @ y, np.eye(c), atol=1e-11)


def test_the_printed_sign_leaves_the_manifold():
    """With the plus of Eq. 5.15 A is symmetric."""
    u = orthonormal(25, 3)
    gradient = -2 * symmetric() @ u
    a = gradient @ u.T + u @ gradient.T
    eye = torch.eye(25, dtype=torch.float64)
    y = torch.linalg.inv(eye + 0.5 * a) @ (eye - 0.5 * a) @ u
    assert float(torch.linalg.norm(y.T @ y - torch.eye(3))) > 0.1


def test_a_small_step_goes_downhill():
    u, matrix = orthonormal(25, 3), symmetric()
    gradient = -2 * matrix @ u
    slope = -float((gradient**2).sum() - ((u.T @ gradient) ** 2).sum())
    h = 1e-6
    y = cayley(u, gradient, h)
    change = float((u * (matrix @ u)).sum() - (y * (matrix @ y)).sum()) / h
    assert change == pytest.approx(slope, rel=1e-3)


class Counted:
    """An operator that counts its products."""

    def __init__(self, matrix):
        self.matrix, self.products = matrix, 0

    def __matmul__(self, u):
        self.products += 1
        return self.matrix @ u


@pytest.mark.parametrize("c", [1, 4])
def test_the_ascent_finds_the_leading_subspace(c):
    matrix = symmetric()
    values, vectors = torch.linalg.eigh(matrix)
    operator = Counted(matrix)
    u, n_iter = stiefel_ascent(operator, orthonormal(25, c), max_iter=500, tol=1e-7)
    assert hsic(matrix, u) == pytest.approx(float(values[-c:].sum()), rel=1e-8)
    assert projector_distance(u, vectors[:, -c:]) < 1e-5
    np.testing.assert_allclose(u.T @ u, np.eye(c), atol=1e-6)
    # One product per iteration, and a few where U is made orthonormal again.
    assert operator.products <= 1.2 * n_iter + 2


def test_every_iteration_raises_the_hsic_and_keeps_u_orthonormal():
    operator = KernelOperator(torch.randn(60, 3, generator=torch.Generator().manual_seed(0)), 0.7)
    u, before = orthonormal(60, 4), -1.0
    for _ in range(30):
        u, n_iter = stiefel_ascent(operator, u, max_iter=1)
        assert float(torch.linalg.norm(u.T @ u - torch.eye(4))) <= 2e-6
        assert hsic(operator, u) >= before - 1e-6
        before = hsic(operator, u)
    assert before > 0.95 * float(leading_eigenvectors(operator, 4)[1].sum())


def test_at_the_maximum_nothing_moves():
    matrix = symmetric()
    best = torch.linalg.eigh(matrix).eigenvectors[:, -3:]
    u, n_iter = stiefel_ascent(matrix, best)
    assert n_iter == 0
    assert torch.equal(u, best)
