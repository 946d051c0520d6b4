"""HSIC, its factor, eigenvectors, subspaces, and subsets with the spectrum of the whole."""

import numpy as np
import pytest
import scipy.linalg
import torch

from sklearn_deepcluster.kernels import (
    KernelOperator,
    _subset,
    cluster_indicator,
    gaussian_kernel,
    hsic,
    hsic_factor,
    leading_eigenvectors,
    projector_distance,
    spectrum,
    spectrum_subset,
)


def rows(n=30, e=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, e, generator=generator)


def orthonormal(n, c, seed=0):
    return torch.linalg.qr(rows(n, c, seed).double()).Q


def blocks(sizes=(20, 30, 25)):
    return torch.cat([rows(n, seed=j) * 0.05 + 20 * j for j, n in enumerate(sizes)])


@pytest.mark.parametrize("normalize_degree", [True, False])
def test_the_factor_gives_the_hsic_of_the_kernel(normalize_degree):
    """sum_ij (V V^T)_ij K_ij is tr(U^T L U)."""
    z, u = rows(), orthonormal(30, 3)
    operator = KernelOperator(z, 0.8, zero_diagonal=False, normalize_degree=normalize_degree)
    v = hsic_factor(u, operator.scaling)
    kernel = gaussian_kernel(z.double(), z.double(), 0.8)
    assert float((v @ v.T * kernel).sum()) == pytest.approx(hsic(operator, u), rel=1e-5)


def test_hsic_does_not_depend_on_the_basis_and_is_greatest_for_eigenvectors():
    operator = KernelOperator(rows(), 0.8)
    u, values = leading_eigenvectors(operator, 3)
    assert hsic(operator, u) == pytest.approx(float(values.sum()), rel=1e-5)
    rotation = orthonormal(3, 3, seed=5)
    assert hsic(operator, u @ rotation) == pytest.approx(hsic(operator, u), rel=1e-6)
    for seed in range(5):
        assert hsic(operator, orthonormal(30, 3, seed)) < hsic(operator, u)


def test_hsic_of_separate_blocks_and_their_indicator_is_their_number_less_one():
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor([20, 30, 25]))
    operator = KernelOperator(blocks(), 1.0)
    assert hsic(operator, cluster_indicator(labels, 3)) == pytest.approx(2.0, abs=0.01)


def test_the_indicator_is_orthonormal_and_an_empty_cluster_a_column_of_zeros():
    u = cluster_indicator(torch.tensor([0, 2, 0, 2, 2]), 4)
    assert u.dtype == torch.float64
    np.testing.assert_allclose(u.T @ u, np.diag([1.0, 0, 1, 0]), atol=1e-15)


def test_the_projector_distance_is_that_of_the_projectors():
    a, b = orthonormal(30, 3), orthonormal(30, 3, seed=1)
    expected = float(torch.linalg.norm(a @ a.T - b @ b.T)) / np.sqrt(6)
    assert projector_distance(a, b) == pytest.approx(expected, rel=1e-12)
    assert projector_distance(a, a @ orthonormal(3, 3)) == pytest.approx(0.0, abs=1e-7)
    e = torch.eye(6, dtype=torch.float64)
    assert projector_distance(e[:, :3], e[:, 3:]) == 1.0


@pytest.mark.parametrize("n", [40, 1200])
@pytest.mark.parametrize("warm", [False, True])
def test_leading_eigenvectors_are_those_of_the_matrix(n, warm):
    """Of 40 rows by decomposition, of 1,200 by Lanczos."""
    operator = KernelOperator(rows(n), 0.7)
    expected, vectors = np.linalg.eigh(operator.toarray().numpy())
    start = torch.from_numpy(vectors[:, -4:].copy()) if warm else None
    u, values = leading_eigenvectors(operator, 4, start=start)
    np.testing.assert_allclose(values, expected[:-5:-1], atol=1e-5)
    np.testing.assert_allclose(u.T @ u, np.eye(4), atol=1e-6)
    assert projector_distance(u, torch.from_numpy(vectors[:, -4:].copy())) < 1e-2
    again, _ = leading_eigenvectors(operator, 4, start=start)
    assert torch.equal(u, again)


def test_as_many_eigenvectors_as_rows():
    u, values = leading_eigenvectors(KernelOperator(rows(5), 0.7), 5)
    assert u.shape == (5, 5) and (values.diff() <= 0).all()


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("n", [40, 41, 60])
@pytest.mark.parametrize("others", [0, 1])
def test_equal_rows_have_as_many_eigenvectors_as_asked_for(n, k, others):
    """One eigenvalue of n - 1 vectors: LAPACK's evr, alone, returns less than k of them."""
    z = torch.zeros(n, 4)
    z[:others] = 3.0
    u, values = leading_eigenvectors(KernelOperator(z, 1.0), k)
    assert values.shape == (k,)
    np.testing.assert_allclose(u.T @ u, np.eye(k), atol=1e-12)


def test_eigenvectors_that_lapack_loses_are_found_again(monkeypatch):
    expected, _ = leading_eigenvectors(KernelOperator(rows(40), 0.7), 3)
    eigh = scipy.linalg.eigh

    def lossy(matrix, driver="evr", **options):
        values, vectors = eigh(matrix, driver=driver, **options)
        return (values, vectors) if driver == "evd" else (values[:1], vectors[:, :1])

    monkeypatch.setattr(scipy.linalg, "eigh", lossy)
    u, _ = leading_eigenvectors(KernelOperator(rows(40), 0.7), 3)
    np.testing.assert_allclose(u, expected, atol=1e-9)


def test_the_spectrum_is_the_shares_of_the_leading_eigenvalues():
    shares = spectrum(blocks(), 1.0)
    values = torch.linalg.eigvalsh(KernelOperator(blocks(), 1.0).toarray()).flip(0).clamp_min(0)
    np.testing.assert_allclose(shares, (values / values.sum())[: len(shares)])
    assert float(shares[:-1].sum()) < 0.95 <= float(shares.sum())


def test_a_subset_with_the_spectrum_of_the_whole():
    z = blocks((200, 300, 250))
    draw = torch.Generator().manual_seed
    chosen = spectrum_subset(z, 1.0, draw(0))
    assert 3 <= len(chosen) < len(z) / 2
    assert (chosen.diff() > 0).all()
    whole, part = spectrum(z, 1.0), spectrum(z[chosen], 1.0)
    k = min(len(whole), len(part))
    assert float((whole[:k] - part[:k]).abs().max()) < 0.005
    assert torch.equal(chosen, spectrum_subset(z, 1.0, draw(0)))
    assert not torch.equal(chosen, spectrum_subset(z, 1.0, draw(1)))
    assert len(spectrum_subset(z, 1.0, draw(0), n_min=500)) >= 500


def test_where_no_subset_is_alike_or_allowed_all_rows_are_taken():
    generator = torch.Generator().manual_seed(0)
    assert spectrum_subset(rows(4), 1.0, generator, n_min=4).tolist() == [0, 1, 2, 3]
    assert len(spectrum_subset(rows(12, 8), 0.5, generator)) == 12


def test_of_many_rows_a_reference_sample_is_taken_at_most(monkeypatch):
    # Rows all over the place: only all of them have the spectrum of the whole.
    assert _subset.REFERENCE_ROWS == 2000
    monkeypatch.setattr(_subset, "REFERENCE_ROWS", 400)
    chosen = spectrum_subset(rows(500, 8), 0.3, torch.Generator().manual_seed(0), n_min=399)
    assert 399 <= len(chosen) <= 400
    assert chosen.max() >= 400


def rings_and_a_blob(n):
    random = np.random.RandomState(0)
    angle = random.uniform(0, 2 * np.pi, (2, n))
    rings = np.stack([np.cos(angle), np.sin(angle)], axis=2) * [[[1.0]], [[2.0]]]
    rings += 0.06 * random.randn(2, n, 2)
    blob = 0.15 * random.randn(1, n, 2)
    return torch.from_numpy(np.concatenate([rings, blob]).reshape(-1, 2)).float()


def test_eigenvectors_of_a_narrow_kernel_tell_the_clusters():
    """Two eigenvalues are 1, and the next one, within a cluster, is all but that."""
    operator = KernelOperator(rings_and_a_blob(350), 0.08)
    u, values = leading_eigenvectors(operator, 2)
    exact, vectors = scipy.linalg.eigh(operator.toarray().numpy(), subset_by_index=[1047, 1049])
    assert 1e-6 < exact[1] - exact[0] < 1e-4
    np.testing.assert_allclose(values, exact[:0:-1], atol=1e-6)
    assert projector_distance(u, torch.from_numpy(vectors[:, 1:].copy())) < 0.05


def test_degrees_are_summed_in_float64():
    operator = KernelOperator(rows(2000), 0.8)
    expected = operator.kernel_product(torch.eye(2000)).sum(1)
    np.testing.assert_allclose(operator.degrees, expected, rtol=1e-12)
