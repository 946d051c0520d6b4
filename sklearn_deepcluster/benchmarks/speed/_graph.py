"""Seconds of ``GraphAgglomerative`` as the rows grow tenfold and tenfold again."""

import numpy as np
from sklearn.metrics import adjusted_rand_score

from sklearn_deepcluster import GraphAgglomerative
from sklearn_deepcluster.benchmarks._machine import Stopwatch

ROWS, WIDTH, N_CLUSTERS = (10_000, 100_000, 1_000_000), 32, 50


def measure():
    """Fit round clusters of so many rows by the defaults, one size after the other.

    Returns
    -------
    result : dict
        Rows -> "seconds", "peak_mb", by which memory grew, "data_mb" of the rows themselves (MB of
        2 ** 20 bytes), and "ari", the adjusted Rand index with the clusters that were drawn.
    """
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(N_CLUSTERS, WIDTH))
    result = {}
    for n in ROWS:
        y = rng.integers(N_CLUSTERS, size=n)
        X = (centers[y] + 0.7 * rng.normal(size=(n, WIDTH))).astype(np.float32)
        model = GraphAgglomerative(N_CLUSTERS)
        with Stopwatch() as watch:
            model.fit(X)
        result[str(n)] = {
            "seconds": watch.seconds,
            "peak_mb": watch.peak_mb,
            "data_mb": X.nbytes / 2**20,
            "ari": adjusted_rand_score(y, model.labels_),
        }
    return result


def report(result):
    """Lines of text for a result of :func:`measure`."""
    lines = [f"GraphAgglomerative, rows of {WIDTH} in {N_CLUSTERS} clusters:"]
    for n, one in result.items():
        lines.append(
            f"  {int(n):>9,}: {one['seconds']:7.1f} s, {1e6 * one['seconds'] / int(n):6.0f} s per "
            f"million, {one['peak_mb']:6.0f} MB beside {one['data_mb']:.0f} MB of data, "
            f"ARI {one['ari']:.3f}"
        )
    return lines
