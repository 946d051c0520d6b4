"""Best of n runs by loss."""

import itertools

import numpy as np
import pytest

from sklearn_deepcluster.metrics import best_of_runs


def draws(n=5, seed=0):
    random = np.random.RandomState(seed)
    return random.rand(n), random.rand(n)


def test_the_expectation_is_that_of_all_sets():
    """All 5 ** 5 sets of five runs, drawn with replacement."""
    losses, scores = draws()
    kept = [
        scores[min(chosen, key=losses.__getitem__)]
        for chosen in itertools.product(range(5), repeat=5)
    ]
    summary = best_of_runs(losses, scores)
    assert summary.expected_best == pytest.approx(np.mean(kept), rel=1e-12)
    assert summary.expected_best_sd == pytest.approx(np.std(kept), rel=1e-9)


def test_the_bootstrap_comes_near_the_expectation():
    losses, scores = draws(20)
    summary = best_of_runs(losses, scores)
    error = summary.expected_best_sd / np.sqrt(10_000)
    assert abs(summary.bootstrap_best - summary.expected_best) < 4 * error
    assert summary.bootstrap_best_sd == pytest.approx(summary.expected_best_sd, rel=0.05)
    again = best_of_runs(losses, scores)
    assert again.bootstrap_best == summary.bootstrap_best
    assert best_of_runs(losses, scores, random_state=1).bootstrap_best != summary.bootstrap_best


def test_best_mean_sd_and_max():
    summary = best_of_runs([0.52, 0.51, 0.55], [0.8, 0.9, 0.4])
    assert (summary.best, summary.max) == (0.9, 0.9)
    assert summary.mean == pytest.approx(0.7)
    assert summary.sd == pytest.approx(np.std([0.8, 0.9, 0.4], ddof=1))
    assert best_of_runs([2.0, 1.0], [0.9, 0.3]).best == 0.3


def test_the_best_run_is_kept_with_the_known_probability():
    """1 - (1 - 1 / n) ** n, about .64 for n = 20."""
    scores = np.zeros(20)
    scores[7] = 1.0
    losses = np.arange(20.0)
    losses[7] = -1.0
    assert best_of_runs(losses, scores).expected_best == pytest.approx(1 - 0.95**20)


def test_runs_of_equal_loss_count_with_their_mean():
    summary = best_of_runs([1.0, 1.0, 2.0], [0.2, 0.6, 0.9])
    assert summary.best == pytest.approx(0.4)
    kept = []
    for chosen in itertools.product(range(3), repeat=3):
        smallest = min([1.0, 1.0, 2.0][i] for i in chosen)
        kept.append(0.9 if smallest == 2.0 else 0.4)
    assert summary.expected_best == pytest.approx(np.mean(kept))
    assert summary.bootstrap_best == pytest.approx(summary.expected_best, abs=0.02)


def test_one_run_and_equal_scores_have_no_spread():
    for losses, scores in (([0.5], [0.8]), ([1.0, 2.0, 3.0], [0.8, 0.8, 0.8])):
        summary = best_of_runs(losses, scores)
        names = ("best", "mean", "max", "expected_best", "bootstrap_best")
        assert [summary[name] for name in names] == pytest.approx([0.8] * 5)
        assert [summary.sd, summary.bootstrap_best_sd] == pytest.approx([0.0, 0.0], abs=1e-12)
        assert summary.expected_best_sd == pytest.approx(0.0, abs=1e-7)


def test_without_bootstrap():
    summary = best_of_runs(*draws(), n_bootstraps=0)
    assert np.isnan(summary.bootstrap_best) and np.isnan(summary.bootstrap_best_sd)
    assert np.isfinite(summary.expected_best)


@pytest.mark.parametrize(
    ("losses", "scores", "n_bootstraps", "match"),
    [
        ([], [], 1, "losses is empty"),
        ([1.0, 2.0], [0.5], 1, "inconsistent"),
        ([1.0, np.nan], [0.5, 0.6], 1, "losses contains NaN"),
        ([1.0, 2.0], [0.5, np.inf], 1, "scores contains infinity"),
        ([[1.0, 2.0]], [[0.5, 0.6]], 1, "1d array"),
        ([1.0], [0.5], -1, "n_bootstraps"),
    ],
)
def test_bad_input_is_refused(losses, scores, n_bootstraps, match):
    with pytest.raises(ValueError, match=match):
        best_of_runs(losses, scores, n_bootstraps=n_bootstraps)
