"""Latency of ``predict``, of single rows and of many, against the network alone."""

import time

import numpy as np
import torch

from sklearn_deepcluster import DDC, IDEC, Autoencoder, ConvEncoder
from sklearn_deepcluster.benchmarks.speed._common import SIZES, medians

WIDTH, IMAGE = 64, (3, 224, 224)
# Rows, and how often they are asked for.
ROWS = {1: 200, 100: 50, 10_000: 10, 1_000_000: 1}
IMAGES = {1: 20, 16: 5}


def measure():
    """Milliseconds of ``predict`` and of the fitted network without anything around it.

    The network of DEC's paper on rows of 64 values, and a convolutional one on images of 224 x 224
    pixels. The contenders take turns.

    Returns
    -------
    result : dict
        "rows" and "images" -> number -> "predict" and "network", the medians in milliseconds, and
        "ratio".
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(max(2000, *ROWS), WIDTH)).astype(np.float32)
    short = {"max_epochs": 1, "min_steps": 5, "device": "cpu", "random_state": 0}
    autoencoder = Autoencoder(hidden_layer_sizes=SIZES[1:-1], max_epochs=1, min_steps=5)
    rows = IDEC(10, autoencoder=autoencoder, **short).fit(X[:2000])
    images = rng.random((max(4, *IMAGES), *IMAGE), dtype=np.float32)
    of_images = DDC(2, encoder=ConvEncoder(), init=None, batch_size=4, **short).fit(images[:4])
    return {
        "rows": {str(n): _compare(rows, X[:n], times) for n, times in ROWS.items()},
        "images": {str(n): _compare(of_images, images[:n], t) for n, t in IMAGES.items()},
    }


def _compare(model, X, times):
    flat = X.reshape(len(X), -1)

    def network():
        with torch.no_grad():
            return model.module_.encode(torch.from_numpy(flat))

    contenders = {"predict": lambda: model.predict(X), "network": network}
    seconds = {name: [] for name in contenders}
    for i in range(times + 1):
        for name, ask in contenders.items():
            start = time.perf_counter()
            ask()
            if i:  # the first finds out which blocks will do
                seconds[name].append(time.perf_counter() - start)
    middle = medians(seconds)
    found = {name: 1000 * value for name, value in middle.items()}
    return found | {"ratio": middle["predict"] / middle["network"]}


def report(result):
    """Lines of text for a result of :func:`measure`."""
    names = {"rows": f"rows of {WIDTH}", "images": "images of 224 x 224"}
    lines = ["Latency of predict against the network alone:"]
    for kind, found in result.items():
        for n, one in found.items():
            lines.append(
                f"  {int(n):>9,} {names[kind]:<20} {one['predict']:10.2f} ms, "
                f"{one['network']:10.2f} ms alone: {one['ratio']:5.2f}"
            )
    return lines
