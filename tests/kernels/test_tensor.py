"""Tensor kernels by projectors, and the bandwidth of a batch."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from sklearn_deepcluster.kernels import (
    _tensor,
    batch_kernel,
    naive_tensor_distances,
    projector_factors,
    tensor_distances,
    unfoldings,
)


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def projector(matrix):
    """Onto the row space, regularised."""
    gram = matrix @ matrix.T
    eps = 1e-6 * (1 + np.trace(gram) / len(gram))
    return matrix.T @ np.linalg.solve(gram + eps * np.eye(len(gram)), matrix)


def loop(x):
    """Squared distances by the definition: one projector per sample and mode."""
    total = np.zeros((len(x), len(x)))
    for mode in range(x.ndim - 1):
        unfolded = [np.moveaxis(sample, mode, 0).reshape(sample.shape[mode], -1) for sample in x]
        unfolded = [m.T if m.shape[0] > m.shape[1] else m for m in unfolded]
        p = [projector(m) for m in unfolded]
        total += [[np.sum((a - b) ** 2) for b in p] for a in p]
    return total


# Limits of memory under which the distances are made in one way or the other.
WAYS = {
    "projectors": {"_PROJECTOR_ENTRIES": 2**24},
    "all pairs": {"_PROJECTOR_ENTRIES": 0, "_BLOCK_ENTRIES": 2**22},
    "blocks of pairs": {"_PROJECTOR_ENTRIES": 0, "_BLOCK_ENTRIES": 1},
}
every_way = pytest.mark.parametrize("way", WAYS)


def compute_by(way, monkeypatch):
    for name, limit in WAYS[way].items():
        monkeypatch.setattr(_tensor, name, limit)


@every_way
def test_bfloat16_products_are_close(way, monkeypatch):
    """To a thousandth of the distances, and a hundredth of the gradient."""
    compute_by(way, monkeypatch)
    x = draw(20, 8, 6, 6).relu().float().requires_grad_()
    exact, close = tensor_distances(x), tensor_distances(x, bfloat16=True)
    assert close.dtype == torch.float32
    assert float((exact - close).abs().max().detach() / exact.median().detach()) < 3e-3
    gradients = [torch.autograd.grad(batch_kernel(d).sum(), x)[0] for d in (exact, close)]
    assert float((gradients[0] - gradients[1]).norm() / gradients[0].norm()) < 2e-2


def test_unfoldings_have_no_more_rows_than_columns():
    x = draw(2, 32, 3, 3)
    shapes = [tuple(m.shape[1:]) for m in unfoldings(x)]
    assert shapes == [(9, 32), (3, 96), (3, 96)]
    np.testing.assert_array_equal(unfoldings(x)[1][0], x[0].movedim(1, 0).reshape(3, 96))
    np.testing.assert_array_equal(unfoldings(x)[0][1], x[1].reshape(32, 9).T)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (6, 2), (3, 4, 5), (8, 2, 2), (2, 3, 2, 2)])
@every_way
def test_distances_equal_the_loop(shape, way, monkeypatch):
    compute_by(way, monkeypatch)
    x = draw(6, *shape)
    np.testing.assert_allclose(tensor_distances(x), loop(x.numpy()), atol=1e-8)


def test_factors_make_the_projector():
    matrix = draw(4, 3, 7)
    factors, _ = projector_factors(matrix)
    for factor, m in zip(factors, matrix, strict=True):
        p = (factor.T @ factor).numpy()
        np.testing.assert_allclose(p, projector(m.numpy()), atol=1e-9)
        # But for the regularisation it is idempotent and that of the pseudo-inverse.
        np.testing.assert_allclose(p @ p, p, atol=1e-4)
        np.testing.assert_allclose(p, np.linalg.pinv(m.numpy()) @ m.numpy(), atol=1e-4)


def test_distances_do_not_depend_on_scale_and_basis():
    x = draw(5, 3, 4, 5)
    np.testing.assert_allclose(tensor_distances(7 * x), tensor_distances(x), atol=1e-3)
    # An invertible change of basis of the rows of a matrix leaves the row space, which both modes
    # see: hence the half.
    matrix = draw(5, 3, 9)
    basis = torch.linalg.qr(draw(5, 3, 3, seed=1)).Q @ torch.diag(
        torch.tensor([1.0, 2.0, 0.5]).double()
    )
    both = 0.5 * tensor_distances(torch.cat([matrix, basis @ matrix]))
    np.testing.assert_allclose(both[:5, :5], both[5:, 5:], atol=1e-4)
    np.testing.assert_allclose(both[:5, 5:].diagonal(), 0, atol=1e-4)


def test_a_sample_is_at_distance_zero_from_itself_also_where_the_rank_is_low():
    x = draw(4, 3, 4, 5).relu()
    x[0, 1] = 0.0
    x[1] = 0.0
    x[2, 2] = x[2, 1]
    distances = tensor_distances(x)
    np.testing.assert_allclose(distances.diagonal(), 0, atol=1e-10)
    assert torch.isfinite(distances).all() and (distances >= 0).all()


def test_the_kernel_is_positive_semidefinite():
    for shape in ((4, 5), (3, 4, 5)):
        gram = batch_kernel(tensor_distances(draw(20, *shape)))
        assert float(torch.linalg.eigvalsh(gram).min()) > -1e-8


@every_way
@pytest.mark.parametrize("rank", ["full", "zero rows", "equal rows"])
def test_distances_pass_gradcheck_whatever_the_rank(rank, way, monkeypatch):
    compute_by(way, monkeypatch)
    x = draw(3, 2, 3)
    if rank == "zero rows":
        x[0, 1] = 0.0
    if rank == "equal rows":
        x[1, 1] = x[1, 0]
    weights = draw(3, 3, seed=2)
    x.requires_grad_()
    assert gradcheck(lambda x: tensor_distances(x) * weights, (x,), eps=1e-7, atol=1e-4)


def test_naive_distances_are_those_of_the_entries_once_per_mode():
    x = draw(4, 2, 3, 2)
    expected = 3 * torch.cdist(x.flatten(1), x.flatten(1)).square()
    np.testing.assert_allclose(naive_tensor_distances(x), expected, atol=1e-10)


@pytest.mark.parametrize(("bandwidth", "share"), [("code", 0.15), ("mvc", 0.30), ("thesis", 0.045)])
def test_the_bandwidth_is_a_share_of_the_median_of_all_pairs(bandwidth, share):
    z = draw(9, 3)
    distances = torch.cdist(z, z).square()
    median = np.sort(distances.flatten().numpy())[40]  # of 81, nine of them 0
    expected = np.exp(-distances.numpy() / (share * median))
    np.testing.assert_allclose(batch_kernel(distances, 0.15, bandwidth), expected, rtol=1e-9)


def test_no_gradient_goes_through_the_bandwidth():
    distances = torch.tensor([[0.0, 2.0], [2.0, 0.0]], dtype=torch.float64, requires_grad=True)
    batch_kernel(distances, 1.0).sum().backward()
    width = float(distances.detach().flatten().median().clamp_min(1e-9))
    expected = -torch.exp(-distances.detach() / width) / width
    np.testing.assert_allclose(distances.grad, expected)


def test_equal_rows_have_a_kernel_of_ones():
    assert (batch_kernel(torch.zeros(4, 4)) == 1).all()
