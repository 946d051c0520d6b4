"""The Cauchy-Schwarz losses of deep divergence-based clustering."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from sklearn_deepcluster.losses import (
    assignment_overlap,
    cauchy_schwarz,
    corner_similarity,
    ddc_terms,
)


def assignments(n=12, k=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(2 * torch.randn(n, k, generator=generator, dtype=torch.float64), dim=1)


def kernel(n=12, seed=1):
    z = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.exp(-torch.cdist(z, z).square() / 2)


def balanced(n=120, k=10):
    """Perfect, balanced, separate clusters: assignments and kernel."""
    labels = torch.arange(n) % k
    same = (labels.unsqueeze(1) == labels).double()
    return torch.nn.functional.one_hot(labels, k).double(), same


def test_the_overlap_equals_the_loop():
    a, gram = assignments(), kernel()
    total = 0.0
    for i, j in itertools.combinations(range(4), 2):
        cross, own_i, own_j = (
            sum(float(a[p, x] * gram[p, q] * a[q, y]) for p in range(12) for q in range(12))
            for x, y in ((i, j), (i, i), (j, j))
        )
        total += cross / math.sqrt(own_i * own_j)
    assert float(cauchy_schwarz(a, gram)) == pytest.approx(2 / (4 * 3) * total, rel=1e-12)


@pytest.mark.parametrize("prior", [None, [0.1, 0.2, 0.3, 0.4]])
def test_the_assignment_overlap_equals_the_loop(prior):
    u = assignments()
    prior = None if prior is None else torch.tensor(prior, dtype=torch.float64)
    counts = torch.ones(4, dtype=torch.float64) if prior is None else 1 / (4 * prior)
    pairs = [float((counts * u[i]) @ u[j]) for i, j in itertools.combinations(range(12), 2)]
    assert float(assignment_overlap(u, prior)) == pytest.approx(np.mean(pairs), rel=1e-12)


def test_the_overlap_is_least_for_clusters_of_the_expected_sizes():
    u = torch.eye(3, dtype=torch.float64)
    shares = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)
    as_expected, balanced, other = (
        u.repeat_interleave(torch.tensor(sizes), 0)
        for sizes in ([20, 20, 60], [33, 33, 34], [60, 20, 20])
    )
    assert assignment_overlap(as_expected, shares) < assignment_overlap(balanced, shares)
    assert assignment_overlap(balanced, shares) < assignment_overlap(other, shares)
    assert assignment_overlap(balanced) < assignment_overlap(as_expected)
    equal = torch.full((3,), 1 / 3, dtype=torch.float64)
    assert float(assignment_overlap(other, equal)) == pytest.approx(
        float(assignment_overlap(other))
    )


def test_the_corner_similarity_equals_the_loop():
    u = assignments()
    expected = [
        [math.exp(-float(((row - corner) ** 2).sum())) for corner in torch.eye(4)] for row in u
    ]
    np.testing.assert_allclose(corner_similarity(u), expected, rtol=1e-12)


def test_overlap_is_zero_for_separate_clusters_and_one_for_equal_ones():
    u, same = balanced()
    assert float(cauchy_schwarz(u, same)) == pytest.approx(0.0, abs=1e-9)
    equal = torch.full((12, 4), 0.25, dtype=torch.float64)
    assert float(cauchy_schwarz(equal, kernel())) == pytest.approx(1.0, rel=1e-12)
    assert 0 < float(cauchy_schwarz(assignments(), kernel())) < 1


def test_the_floor_of_the_loss_for_perfect_balanced_clusters():
    """0 + .0924 + .3582 = .4506 for ten clusters in a batch of 120."""
    terms = {name: float(value) for name, value in ddc_terms(*balanced()).items()}
    assert terms["separation"] == pytest.approx(0.0, abs=1e-6)
    assert terms["spread"] == pytest.approx((120 / 10 - 1) / 119, rel=1e-12)
    # A row is at its own corner (1) and at distance sqrt(2) from the others (e ** -2).
    e2 = math.exp(-2)
    assert terms["corners"] == pytest.approx((2 * e2 + 8 * e2**2) / (1 + 9 * e2**2), rel=1e-9)
    assert sum(terms.values()) == pytest.approx(0.4506, abs=1e-4)


def test_the_floor_is_lower_than_what_other_assignments_have():
    u, same = balanced()
    floor = sum(ddc_terms(u, same).values())
    for seed in range(5):
        assert sum(ddc_terms(assignments(120, 10, seed), same).values()) > floor


def test_a_cluster_without_mass_is_the_worst_and_not_the_best():
    u, same = balanced(12, 4)
    dead = u.clone()
    dead[:, 3] = 0.0
    assert float(cauchy_schwarz(dead, same)) == pytest.approx(3 / 6, rel=1e-6)


def test_one_cluster_and_one_row():
    u = torch.ones(5, 1, dtype=torch.float64, requires_grad=True)
    terms = ddc_terms(u, torch.ones(5, 5, dtype=torch.float64))
    sum(terms.values()).backward()
    assert terms["separation"].item() == terms["corners"].item() == 0.0
    assert terms["spread"].item() == 1.0
    assert torch.isfinite(u.grad).all()
    assert assignment_overlap(u[:1]).item() == 0.0


@pytest.mark.parametrize("name", ["separation", "spread", "corners"])
def test_every_term_passes_gradcheck(name):
    u = assignments(6, 3).requires_grad_()
    gram = kernel(6).requires_grad_()
    assert gradcheck(lambda u, gram: ddc_terms(u, gram)[name] + 0.0 * gram.sum(), (u, gram))
