"""Statistics of several runs of which the one with the smallest loss is kept."""

import numpy as np
from sklearn.utils import (
    Bunch,
    assert_all_finite,
    check_consistent_length,
    check_random_state,
    column_or_1d,
)


def best_of_runs(losses, scores, *, n_bootstraps=10_000, random_state=0):
    r"""Summarise runs of which the one with the smallest loss would be kept.

    The kept run of a set of n runs is a random one itself. What to expect of it is estimated by
    sets of n runs that are drawn with replacement, and, without drawing, from the probability that
    the run of rank r by loss is the best of such a set,

    .. math:: P_r = \Bigl(\frac{n - r + 1}{n}\Bigr)^n - \Bigl(\frac{n - r}{n}\Bigr)^n .

    Parameters
    ----------
    losses : array-like of shape (n_runs,)
        What the runs are chosen by; smaller is better.

    scores : array-like of shape (n_runs,)
        What is reported, such as the accuracy.

    n_bootstraps : int, default=10000
        Sets to draw; 0 leaves the bootstrap out.

    random_state : int, RandomState instance or None, default=0
        Seed of the bootstrap.

    Returns
    -------
    summary : :class:`~sklearn.utils.Bunch`
        With the attributes

        - ``best`` : score of the run with the smallest loss; the mean of several;
        - ``mean``, ``sd`` : of the scores, with the divisor n_runs - 1; 0 of one run;
        - ``max`` : the greatest score. It takes labels to know which run that is;
        - ``expected_best``, ``expected_best_sd`` : of the kept run, exact;
        - ``bootstrap_best``, ``bootstrap_best_sd`` : the same by drawing, with the divisor
          n_bootstraps - 1; NaN without.

    Raises
    ------
    ValueError
        If the two have different lengths, are empty or not finite, or `n_bootstraps` is negative.
        A run that diverged is none: leave it out.

    References
    ----------
    .. [1] D. J. Trosten, "Deep Image Clustering with Tensor Kernels and Unsupervised Companion
       Objectives", master's thesis, UiT The Arctic University of Norway, 2019.

    Examples
    --------
    >>> from sklearn_deepcluster.metrics import best_of_runs
    >>> summary = best_of_runs([0.52, 0.51, 0.55], [0.80, 0.90, 0.70])
    >>> summary.best, round(summary.mean, 2)
    (0.9, 0.8)
    >>> round(summary.expected_best, 3)
    0.867
    """
    losses, scores = (
        column_or_1d(np.asarray(values, dtype=np.float64)) for values in (losses, scores)
    )
    check_consistent_length(losses, scores)
    if len(losses) == 0:
        raise ValueError("losses is empty: there is nothing to summarise.")
    assert_all_finite(losses, input_name="losses")
    assert_all_finite(scores, input_name="scores")
    if n_bootstraps < 0:
        raise ValueError(f"n_bootstraps must not be negative, got {n_bootstraps}.")
    n = len(losses)
    # Runs of equal loss count with their mean, as nothing says which of them would be kept.
    _, rank = np.unique(losses, return_inverse=True)
    counts = np.bincount(rank)
    means = np.bincount(rank, weights=scores) / counts
    squares = np.bincount(rank, weights=scores**2) / counts
    not_better = 1.0 - np.concatenate([[0], counts.cumsum()]) / n
    probability = not_better[:-1] ** n - not_better[1:] ** n
    expected = probability @ means
    spread = max(0.0, probability @ squares - expected**2)
    drawn = _bootstrap(losses, scores, n_bootstraps, random_state)
    summary = {
        "best": means[0],
        "mean": scores.mean(),
        "sd": _sd(scores),
        "max": scores.max(),
        "expected_best": expected,
        "expected_best_sd": np.sqrt(spread),
        "bootstrap_best": drawn.mean() if len(drawn) else np.nan,
        "bootstrap_best_sd": _sd(drawn) if len(drawn) else np.nan,
    }
    return Bunch(**{name: float(value) for name, value in summary.items()})


def _bootstrap(losses, scores, n_bootstraps, random_state):
    """Score of the run with the smallest loss, of sets drawn with replacement."""
    random = check_random_state(random_state)
    sets = random.randint(len(losses), size=(n_bootstraps, len(losses)))
    # The order of a set is random, so is which of several smallest comes first.
    kept = losses[sets].argmin(axis=1) if n_bootstraps else np.empty(0, dtype=int)
    return scores[sets[np.arange(n_bootstraps), kept]]


def _sd(values):
    return values.std(ddof=1) if len(values) > 1 else 0.0
