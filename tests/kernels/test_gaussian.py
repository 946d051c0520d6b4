"""Gaussian kernel, bandwidth, and the normalised matrix as an operator."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from sklearn_deepcluster.kernels import (
    KernelOperator,
    gaussian_kernel,
    kernel_gib,
    median_distance,
    squared_distance_matrix,
)


def rows(n=12, e=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, e, generator=generator, dtype=torch.float64)


def test_the_kernel_equals_the_loop():
    a, b = rows(5), rows(7, seed=1)
    expected = [[math.exp(-float(((x - y) ** 2).sum()) / (2 * 0.7**2)) for y in b] for x in a]
    np.testing.assert_allclose(gaussian_kernel(a, b, 0.7), expected, rtol=1e-12)


def test_distances_far_from_the_origin_keep_their_precision():
    z = rows().float() * 0.1
    near, far = squared_distance_matrix(z, z), squared_distance_matrix(z + 100, z + 100)
    np.testing.assert_allclose(far, near, atol=2e-5)
    assert (far >= 0).all()


def test_the_kernel_passes_gradcheck_also_at_equal_rows():
    a = rows(4).requires_grad_()
    assert gradcheck(lambda a: gaussian_kernel(a, a, 1.3), (a,))
    equal = torch.ones(3, 2, dtype=torch.float64, requires_grad=True)
    gaussian_kernel(equal, equal, 1.0).sum().backward()
    assert (equal.grad == 0).all()


def test_the_median_distance_is_that_of_all_pairs():
    z = rows(9)
    pairs = [float((z[i] - z[j]).norm()) for i, j in itertools.combinations(range(9), 2)]
    assert median_distance(z) == pytest.approx(np.median(pairs), rel=1e-12)
    assert median_distance(torch.ones(5, 2)) == 0.0


def test_of_many_rows_some_are_drawn_for_the_median():
    z = rows(5000, 2)
    first, second, other = (
        median_distance(z, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert first == second != other
    # Differences of standard normals in the plane: sqrt(2) times Rayleigh.
    assert first == pytest.approx(math.sqrt(2) * math.sqrt(2 * math.log(2)), rel=0.03)


def matrix(z, sigma, zero_diagonal=True, normalize_degree=True):
    """H D^(-1/2) K D^(-1/2) H from its definition."""
    n = len(z)
    kernel = np.array(
        [[math.exp(-float(((x - y) ** 2).sum()) / (2 * sigma**2)) for y in z] for x in z]
    )
    if zero_diagonal:
        np.fill_diagonal(kernel, 0.0)
    degrees = kernel.sum(axis=1) if normalize_degree else np.ones(n)
    center = np.eye(n) - np.ones((n, n)) / n
    return center @ (kernel / np.sqrt(np.outer(degrees, degrees))) @ center


@pytest.mark.parametrize("zero_diagonal", [True, False])
@pytest.mark.parametrize("normalize_degree", [True, False])
@pytest.mark.parametrize("block_size", [None, 1, 5, 100])
def test_the_operator_is_the_matrix(zero_diagonal, normalize_degree, block_size):
    z = rows()
    options = {"zero_diagonal": zero_diagonal, "normalize_degree": normalize_degree}
    operator = KernelOperator(z, 0.9, block_size=block_size, **options)
    expected = matrix(z, 0.9, **options)
    np.testing.assert_allclose(operator.toarray(), expected, atol=1e-6)
    u = rows(12, 4, seed=3)
    # The kernel is made in float32.
    np.testing.assert_allclose(operator @ u, expected @ u.numpy(), atol=1e-5)


def test_all_eigenvalues_are_at_most_one():
    values = torch.linalg.eigvalsh(KernelOperator(rows(40).float(), 0.5).toarray())
    assert float(values.max()) <= 1 + 1e-6


def test_separate_blocks_have_eigenvalue_one_per_block_but_one():
    z = torch.cat([rows(20) * 0.05, rows(30, seed=1) * 0.05 + 50]).float()
    values = torch.linalg.eigvalsh(KernelOperator(z, 1.0).toarray()).flip(0)
    assert float(values[0]) == pytest.approx(1.0, abs=1e-3)
    assert float(values[1]) < 0.05


def test_isolated_rows_take_no_part():
    z = torch.cat([rows(20).float() * 0.1, torch.full((1, 3), 100.0)])
    operator = KernelOperator(z, 1.0)
    assert operator.isolated.tolist() == [False] * 20 + [True]
    assert operator.scaling[-1] == 0.0
    assert torch.isfinite(operator @ rows(21, 2)).all()
    without = KernelOperator(z[:-1], 1.0)
    np.testing.assert_allclose(operator.scaling[:-1], without.scaling, rtol=1e-5)


def test_the_size_of_a_matrix_in_gib():
    assert kernel_gib(16384) == 1.0
