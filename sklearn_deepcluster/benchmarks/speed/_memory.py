"""Growth of memory during a fit of 70,000 x 784 values."""

import numpy as np

from sklearn_deepcluster import IDEC, Autoencoder
from sklearn_deepcluster.benchmarks._machine import Stopwatch
from sklearn_deepcluster.benchmarks.speed._common import SIZES, in_fresh_process

MEMORY_ROWS = 70_000


def measure():
    """Peak growth of memory in MB during fits of 70,000 x 784, each in a fresh process.

    Returns
    -------
    result : dict
        "Autoencoder float32" and so on -> MB (2 ** 20 bytes), and "float32_mb", the size of
        the data in float32.
    """
    result = {"float32_mb": MEMORY_ROWS * SIZES[0] * 4 / 2**20}
    for name in ("Autoencoder", "IDEC"):
        for dtype in ("float32", "uint8"):
            result[f"{name} {dtype}"] = in_fresh_process("--memory-of", name, dtype)
    return result


def in_process(name, dtype):
    """In a fresh process: growth in MB during one fit, after a tiny fit has loaded everything."""
    rng = np.random.default_rng(0)
    shape = (MEMORY_ROWS, SIZES[0])
    if dtype == "float32":
        X = rng.random(shape, dtype=np.float32)
    else:
        X = rng.integers(256, size=shape, dtype=np.uint8)
    estimator = Autoencoder(max_epochs=1, min_steps=0, device="cpu", random_state=0)
    if name == "IDEC":
        estimator = IDEC(
            10, autoencoder=estimator, max_epochs=1, min_steps=0, device="cpu", random_state=0
        )
    estimator.fit(X[:512])
    with Stopwatch() as watch:
        estimator.fit(X)
    return watch.peak_mb


def report(result):
    """Lines of text for a result of :func:`measure`."""
    memory = dict(result)
    size = memory.pop("float32_mb")
    head = f"Growth of memory, 70,000 x 784 ({size:.0f} MB in float32):"
    return [head, *(f"  {name:<20} {mb:6.0f} MB" for name, mb in memory.items())]
