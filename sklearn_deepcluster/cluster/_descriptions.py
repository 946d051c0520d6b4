"""Descriptions of sequences, and the choice of the one whose clusters are found again.

Padded values tell sequences apart step by step: what is shifted in time, or runs faster, is far
away. Other descriptions leave that out, and with it clusters that lie there. Which one serves is
seen without labels: both halves of the rows are clustered, and each is assigned to the clusters of
the other. Chance counts off, as rows without any structure give clusters that are found again,
too, the more the fewer dimensions they have (stability: Lange, Roth, Braun, Buhmann, Neural
Computation 16, 2004; prediction strength: Tibshirani, Walther, 2005).
"""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score

from sklearn_deepcluster.cluster._graph import GraphAgglomerative
from sklearn_deepcluster.cluster._graph_choices import count_neighbors

# Leading dimensions of a description, learned from and judged by at most so many rows, in so many
# splits; with fewer rows per cluster a half says nothing, and values are taken.
MOST_DIMENSIONS, CHOICE_ROWS, SPLITS, LEAST_PER_CLUSTER = 50, 1000, 3, 8
# A description that varies less than this, in units of the values, is constant but for rounding.
LEAST_SPREAD = 1e-4
# Where no clusters are found again as well as this, the spectrum is taken, unless another is ahead
# of it by more than this factor: a shift is what hides clusters most.
WELL_FOUND, MUCH_BETTER = 0.5, 2.0
_BLOCK_VALUES = 2**22


def describe(X, n_features, n_clusters, seed):
    """Rows to find clusters of sequences in: the description that was chosen.

    Parameters
    ----------
    X : ndarray of shape (n, time * n_features)
        In the unit of the network; NaN where sequences have ended.
    n_features : int
    n_clusters : int
    seed : int

    Returns
    -------
    rows : float32 ndarray of shape (n, d)
    """
    X = X.reshape(len(X), -1, n_features)
    lengths = (~np.isnan(X[..., 0])).sum(axis=1)
    X = X[:, : lengths.max()]
    if len(X) < LEAST_PER_CLUSTER * n_clusters:
        return values(X, lengths).reshape(len(X), -1)
    rng = np.random.RandomState(seed)
    judged = np.sort(rng.permutation(len(X))[:CHOICE_ROWS])
    described = {}
    for name, describer in DESCRIBERS.items():
        if describer is stretched and lengths.min() == lengths.max():
            continue
        rows = _leading(_in_blocks(describer, X, lengths), judged)
        if rows is not None:
            described[name] = rows
    if not described:
        return values(X, lengths).reshape(len(X), -1)
    parts = [
        rows / np.sqrt(np.square(rows).sum(axis=1).mean())
        for name, rows in described.items()
        if name != "summary"
    ]
    described["together"] = np.hstack(parts)
    found = {name: found_again(d[judged], n_clusters, rng) for name, d in described.items()}
    best = max(found, key=found.get)
    if 0 < found[best] < min(WELL_FOUND, MUCH_BETTER * found.get("spectrum", 0.0)):
        best = "spectrum"
    return described[best].astype(np.float32)


def values(X, lengths):
    """The values as they are, zero where sequences have ended."""
    return np.nan_to_num(X)


def stretched(X, lengths):
    """All sequences stretched to one length, linearly: a pace of their own does not count."""
    time = X.shape[1]
    places = np.linspace(0.0, 1.0, time) * (lengths[:, None] - 1)
    before = places.astype(np.int64)
    after = np.minimum(before + 1, lengths[:, None] - 1)
    share = (places - before)[..., None]
    low, high = (np.take_along_axis(X, i[..., None], axis=1) for i in (before, after))
    return low + share * (high - low)


def summary(X, lengths):
    """Mean and standard deviation of each feature over time."""
    return np.stack([np.nanmean(X, axis=1), np.nanstd(X, axis=1)], axis=1)


def spectrum(X, lengths):
    """Moduli of the Fourier transform of each feature about its mean: a shift does not count.

    Their roots, as few frequencies have most of the power.
    """
    X = np.nan_to_num(X - np.nanmean(X, axis=1, keepdims=True))
    return np.sqrt(np.abs(np.fft.rfft(X, axis=1)) / np.sqrt(lengths)[:, None, None])


DESCRIBERS = {f.__name__: f for f in (values, stretched, summary, spectrum)}


def found_again(rows, n_clusters, rng):
    """How well clusters of one half are found in the other: 1 perfectly, 0 as by chance.

    Agreement is the adjusted Rand index; chance is that of Gaussian rows with the same covariance.
    """
    scales = np.sqrt(np.square(rows).mean(axis=0))
    chance = rng.standard_normal(rows.shape) * scales  # dimensions are uncorrelated
    found = [0.0, 0.0]
    for _ in range(SPLITS):
        order = rng.permutation(len(rows))
        halves = order[: len(rows) // 2], order[len(rows) // 2 :]
        for i, data in enumerate((rows, chance)):
            found[i] += _agreement(*(data[half] for half in halves), n_clusters) / SPLITS
    return (found[0] - found[1]) / max(1.0 - found[1], 1e-6)


def _agreement(first, second, n_clusters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of equal rows, and of few that make the variance
        # All descriptions alike: by size, without a choice for each.
        count = count_neighbors(len(first), n_clusters)
        graph = GraphAgglomerative(n_clusters, n_neighbors=count, metric="euclidean")
        models = [clone(graph).fit(half) for half in (first, second)]
        found = [models[0].predict(second), models[1].predict(first)]
    own = models[1].labels_, models[0].labels_
    return np.mean([adjusted_rand_score(a, b) for a, b in zip(own, found, strict=True)])


def _in_blocks(describer, X, lengths):
    step = max(1, _BLOCK_VALUES // X[0].size)
    blocks = [
        describer(X[start : start + step].astype(np.float64), lengths[start : start + step])
        for start in range(0, len(X), step)
    ]
    rows = np.concatenate(blocks)
    return rows.reshape(len(rows), -1)


def _leading(rows, judged):
    """Principal components of the rows, or None where they hardly vary."""
    center = rows[judged].mean(axis=0)
    part = rows[judged] - center
    _, scales, directions = np.linalg.svd(part, full_matrices=False)
    scales = scales / np.sqrt(len(part))
    if scales[0] < LEAST_SPREAD:
        return None
    kept = scales[:MOST_DIMENSIONS] > 1e-6 * scales[0]
    directions = directions[:MOST_DIMENSIONS][kept]
    largest = np.abs(directions).argmax(axis=1)
    directions *= np.sign(directions[np.arange(len(directions)), largest])[:, None]
    return (rows - center) @ directions.T
