"""Soft assignment, sharpened targets and divergence: equal to plain loops over the formulas."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from sklearn_deepcluster.losses import (
    kl_divergence,
    squared_distances,
    student_t_log_assignment,
    target_distribution,
)

N, K, E = 7, 3, 2
ALPHAS = [0.5, 1.0, 4.0]


def loop_distance(z, mu):
    return sum((float(a) - float(b)) ** 2 for a, b in zip(z, mu, strict=True))


def loop_assignment(z, centers, alpha):
    q = np.zeros((len(z), len(centers)))
    for i, z_i in enumerate(z):
        for j, mu_j in enumerate(centers):
            q[i, j] = (1 + loop_distance(z_i, mu_j) / alpha) ** (-(alpha + 1) / 2)
        q[i] /= sum(q[i])
    return q


def loop_targets(q):
    f = [sum(q[i, j] for i in range(len(q))) for j in range(q.shape[1])]
    p = np.zeros_like(q)
    for i in range(len(q)):
        for j in range(q.shape[1]):
            p[i, j] = q[i, j] ** 2 / f[j]
        p[i] /= sum(p[i])
    return p


def loop_divergence(p, q):
    total = 0.0
    for i in range(len(p)):
        for j in range(p.shape[1]):
            if p[i, j] > 0:
                total += p[i, j] * math.log(p[i, j] / q[i, j])
    return total / len(p)


def draw(seed=0, n=N, k=K, e=E):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(n, e))), torch.from_numpy(rng.normal(size=(k, e)))


def test_squared_distances_equal_the_loop():
    z, centers = draw()
    expected = [[loop_distance(a, b) for b in centers] for a in z]
    np.testing.assert_allclose(squared_distances(z, centers), expected, rtol=1e-12)


def test_a_row_on_its_centre_is_at_distance_zero_far_from_the_origin():
    z = torch.full((1, 3), 12345.678)
    centers = torch.stack([z[0], z[0] + 0.5])
    assert squared_distances(z, centers)[0, 0] == 0.0
    assert squared_distances(z, centers)[0, 1] == pytest.approx(0.75, rel=1e-2)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_assignment_targets_and_divergence_equal_the_loops(alpha):
    z, centers = draw()
    q = loop_assignment(z, centers, alpha)
    p = loop_targets(q)
    log_q = student_t_log_assignment(z, centers, alpha)
    np.testing.assert_allclose(log_q.exp(), q, rtol=1e-12)
    np.testing.assert_allclose(target_distribution(log_q.exp()), p, rtol=1e-12)
    divergence = kl_divergence(torch.from_numpy(p), log_q)
    np.testing.assert_allclose(divergence, loop_divergence(p, q), rtol=1e-10)
    assert divergence > 0


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_gradients_are_those_of_the_paper(alpha):
    z, centers = (t.requires_grad_() for t in draw(1))
    q = loop_assignment(z.detach(), centers.detach(), alpha)
    p = loop_targets(q)
    loss = N * kl_divergence(torch.from_numpy(p), student_t_log_assignment(z, centers, alpha))
    loss.backward()
    dz, dmu = np.zeros((N, E)), np.zeros((K, E))
    for i in range(N):
        for j in range(K):
            difference = (z[i] - centers[j]).detach().numpy()
            pull = (p[i, j] - q[i, j]) / (1 + difference @ difference / alpha) * difference
            dz[i] += (alpha + 1) / alpha * pull
            dmu[j] -= (alpha + 1) / alpha * pull
    np.testing.assert_allclose(z.grad, dz, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(centers.grad, dmu, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_gradcheck_of_assignment_and_divergence(alpha):
    z, centers = (t.requires_grad_() for t in draw(2))
    p = target_distribution(student_t_log_assignment(z, centers, alpha).exp()).detach()
    assert gradcheck(lambda z, mu: student_t_log_assignment(z, mu, alpha), (z, centers))
    assert gradcheck(
        lambda z, mu: kl_divergence(p, student_t_log_assignment(z, mu, alpha)), (z, centers)
    )
    assert gradcheck(squared_distances, (z, centers))


def test_gradcheck_of_the_targets():
    q = torch.rand(N, K, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    q = (q / q.sum(1, keepdim=True)).requires_grad_()
    assert gradcheck(target_distribution, (q,))


def test_targets_sharpen_and_favour_small_clusters():
    q = torch.tensor([[0.7, 0.3], [0.8, 0.2], [0.9, 0.1], [0.4, 0.6]], dtype=torch.float64)
    p = target_distribution(q)
    assert (p[:3, 0] < 1).all()
    assert p[2, 0] > q[2, 0] and p[3, 1] > q[3, 1]
    # Cluster 1 has the smaller mass: an undecided row is drawn to it.
    undecided = target_distribution(torch.cat([q, torch.tensor([[0.5, 0.5]]).double()]))[-1]
    assert undecided[1] > 0.5


def test_a_batch_of_targets_depends_on_all_rows():
    q = student_t_log_assignment(*draw()).exp()
    whole = target_distribution(q)
    assert not torch.allclose(target_distribution(q[:3]), whole[:3])


def test_a_zero_probability_has_finite_divergence_and_gradient():
    p = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    logits = torch.tensor([[0.0, -200.0], [0.0, -200.0]], requires_grad=True)
    loss = kl_divergence(p, torch.log_softmax(logits, 1))
    loss.backward()
    assert loss.item() == pytest.approx(100.0)
    np.testing.assert_allclose(logits.grad, [[0, 0], [0.5, -0.5]], atol=1e-6)


def test_a_starved_cluster_gives_targets_without_nan():
    q = torch.tensor([[0.6, 0.4, 0.0], [0.3, 0.7, 0.0]])
    p = target_distribution(q)
    assert torch.isfinite(p).all()
    np.testing.assert_allclose(p.sum(1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(p[:, 2], 0.0)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 100.0])
@pytest.mark.parametrize("distance", [1e3, 1e8, 1e15])
def test_far_outliers_are_assigned_without_nan(alpha, distance):
    z = torch.tensor([[0.0, 0.0], [distance, 0.0]], requires_grad=True)
    centers = torch.tensor([[0.0, 0.0], [1.0, 0.0]], requires_grad=True)
    log_q = student_t_log_assignment(z, centers, alpha)
    p = target_distribution(log_q.detach().exp())
    kl_divergence(p, log_q).backward()
    np.testing.assert_allclose(log_q.detach().exp().sum(1), 1.0, rtol=1e-5)
    # From very far away the centres look the same.
    np.testing.assert_allclose(log_q[1].detach().exp(), 0.5, atol=0.06)
    for value in (log_q, p, z.grad, centers.grad):
        assert torch.isfinite(value).all()


def test_a_distant_cluster_keeps_its_logarithm_where_the_probability_underflows():
    z, centers = torch.zeros(1, 1), torch.tensor([[0.0], [1e6]])
    log_q = student_t_log_assignment(z, centers, alpha=9.0)
    assert log_q.exp()[0, 1] == 0.0
    assert log_q[0, 1].item() == pytest.approx(-5 * math.log1p(1e12 / 9), rel=1e-5)


@pytest.mark.parametrize("alpha", [1e4, 1e6, 1e9])
def test_large_alpha_is_the_gaussian_limit(alpha):
    z, centers = (t.float() for t in draw(3))
    q = student_t_log_assignment(z, centers, alpha).exp()
    gaussian = torch.softmax(-0.5 * squared_distances(z, centers), 1)
    # The next term of the series is O(d^4 / alpha), here with d^2 up to 11.
    np.testing.assert_allclose(q, gaussian, rtol=60 / alpha + 1e-5)


def test_one_cluster_has_probability_one_and_no_divergence():
    z, _ = draw()
    log_q = student_t_log_assignment(z, z[:1])
    assert (log_q == 0).all()
    p = target_distribution(log_q.exp())
    np.testing.assert_allclose(p, 1.0, rtol=1e-12)
    assert kl_divergence(p, log_q).item() == pytest.approx(0.0, abs=1e-12)
