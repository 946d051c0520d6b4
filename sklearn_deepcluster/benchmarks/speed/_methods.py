"""Wall time per step of the clustering phase, against steps of the autoencoder that it goes on."""

import time

import numpy as np
from sklearn.frozen import FrozenEstimator

from sklearn_deepcluster import AEC, DCN, DEC, DKM, IDEC, Autoencoder, VaDE
from sklearn_deepcluster.benchmarks._machine import counted_steps
from sklearn_deepcluster.benchmarks.speed._common import (
    BATCH,
    SIZES,
    auto_is,
    in_milliseconds,
    lines_of,
)

N_ROWS, N_CLUSTERS = 256 * 20, 10
WIDTHS = (64, 784)
METHODS = (DEC, IDEC, DCN, DKM, AEC, VaDE)


def measure(rounds=3, epochs=3):
    """Milliseconds per step of each method and of the autoencoder, in turns, per width of the rows.

    Starts are given as centres, so that no k-means is timed; what a method does once per pass, such
    as embedding all rows, is in its steps.

    Returns
    -------
    result : dict
        Per width "64" and "784" medians and all values, and ratios to the autoencoder.
    """
    result = {"rows": N_ROWS, "auto_is": auto_is()}
    for width in WIDTHS:
        X = np.random.default_rng(0).random((N_ROWS, width), dtype=np.float32)
        result[str(width)] = _of_width(X, rounds, epochs)
    return result


def _of_width(X, rounds, epochs):
    autoencoder = Autoencoder(
        hidden_layer_sizes=SIZES[1:-1],
        n_components=SIZES[-1],
        noise=0.0,
        validation_fraction=None,
        max_epochs=epochs,
        min_steps=0,
        batch_size=BATCH,
        device="cpu",
        random_state=0,
    )
    frozen = FrozenEstimator(autoencoder.fit(X))
    centers = autoencoder.transform(X[:N_CLUSTERS])
    contenders = {"autoencoder": autoencoder}
    for cls in METHODS:
        params = {"autoencoder": frozen, "init": centers, "max_epochs": epochs, "min_steps": 0}
        params |= {"drift_tol": None, "batch_size": BATCH, "device": "cpu", "random_state": 0}
        method = cls(N_CLUSTERS, **params)
        contenders[cls.__name__] = method.set_params(tol=0.0) if cls is not VaDE else method
    seconds = {name: [] for name in contenders}
    for round_ in range(rounds + 1):
        for name, contender in contenders.items():
            with counted_steps() as count:
                began = time.perf_counter()
                contender.fit(X)
                elapsed = time.perf_counter() - began
            if round_:  # the first round warms up
                seconds[name].append(elapsed / count[0])
    found = in_milliseconds(seconds)
    base = found["ms_per_step"]["autoencoder"]
    ratios = {
        f"{name} / autoencoder": value / base
        for name, value in found["ms_per_step"].items()
        if name != "autoencoder"
    }
    return {**found, "ratios": ratios}


def report(result):
    """Lines of text for a result of :func:`measure`."""
    lines = []
    for width in WIDTHS:
        lines.append(f"Clustering phases, {width} features, batch {BATCH}, {result['auto_is']}:")
        lines += lines_of(result[str(width)])
    return lines
