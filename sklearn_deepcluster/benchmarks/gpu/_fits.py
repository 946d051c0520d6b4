"""Whole fits of DEC, DDC and DEPICT on MNIST against plain torch loops of as many steps."""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import normalized_mutual_info_score

from sklearn_deepcluster import DDC, DEC, DEPICT, Autoencoder, ConvAutoencoder
from sklearn_deepcluster._engine import uses_bfloat16
from sklearn_deepcluster.benchmarks._machine import counted_steps
from sklearn_deepcluster.benchmarks.gpu._common import (
    attempted,
    lines_of,
    mnist,
    peak_memory,
    timed,
)
from sklearn_deepcluster.benchmarks.gpu._loops import plain_dec_loop, plain_depict_loop, resident
from sklearn_deepcluster.benchmarks.speed._divergence import IMAGE_BATCH, plain_divergence_loop
from sklearn_deepcluster.benchmarks.speed._steps import BATCH, SIZES, plain_loop

N_CLUSTERS = 10
# Rows whose clusters are those that DEC and DEPICT start from: k-means of all, on the CPU, would
# take longer than all else.
START_ROWS = 2000


def measure(setting):
    """Seconds and peak memory of fits with few epochs, pretraining included.

    Plain loops get equal numbers of steps, networks, precision and rows that are on the device.

    Returns
    -------
    result : dict
        Per method "seconds", "plain_seconds", "ratio", "steps", "nmi" and "peak_mb".
    """
    X, y = mnist(setting)
    results = {
        name: attempted(fit, X, y, setting)
        for name, fit in {"DEC": _dec, "DDC": _ddc, "DEPICT": _depict}.items()
    }
    return {"rows": len(X), "results": results}


def _where(setting):
    return {"min_steps": 0, "device": setting.device, "random_state": 0}


def _dec(X, y, setting):
    X = X.reshape(len(X), -1)
    epochs = setting.size(5, 1)
    short = {"max_epochs": epochs, "batch_size": BATCH, **_where(setting)}
    autoencoder = Autoencoder(
        hidden_layer_sizes=SIZES[1:-1],
        n_components=SIZES[-1],
        noise=0.0,
        validation_fraction=None,
        **short,
    )
    interval = setting.size(140, 1)
    method = DEC(N_CLUSTERS, update_interval=interval, drift_tol=None, tol=0.0, **short)

    def plain(rows, autocast):
        plain_loop(rows, epochs, fused=True, autocast=autocast)
        plain_dec_loop(rows, epochs, interval=interval, autocast=autocast)

    return _compared(lambda: _started(autoencoder, method, X), plain, X, y, setting)


def _ddc(X, y, setting):
    n = len(X) // IMAGE_BATCH * IMAGE_BATCH
    X, y, epochs = X[:n], y[:n], setting.size(3, 1)
    method = DDC(
        N_CLUSTERS,
        init=None,
        patience=None,
        max_epochs=epochs,
        batch_size=IMAGE_BATCH,
        **_where(setting),
    )

    def plain(rows, autocast):
        plain_divergence_loop(rows, epochs, fused=True, autocast=autocast, channels_last=True)

    return _compared(lambda: method.fit(X), plain, X[:, None], y, setting)


def _depict(X, y, setting):
    epochs, batch = setting.size(2, 1), 128
    short = {"max_epochs": epochs, "batch_size": batch, **_where(setting)}
    method = DEPICT(N_CLUSTERS, tol=0.0, drift_tol=None, warm_up_epochs=0, **short)
    autoencoder = method._default_network(None).set_params(validation_fraction=None, **short)
    assert isinstance(autoencoder, ConvAutoencoder)
    fitted = []

    def fit():
        fitted.append(_started(autoencoder, method, X))
        return fitted[-1]

    def plain(rows, autocast):
        plain_depict_loop(rows, fitted[-1].module_, epochs, batch, autocast=autocast)

    return _compared(fit, plain, X.reshape(len(X), -1), y, setting)


def _started(autoencoder, method, X):
    """The method fitted on a representation, from the clusters of some embedded rows."""
    autoencoder.fit(X)
    z = autoencoder.transform(X[:START_ROWS])
    centers = KMeans(N_CLUSTERS, n_init=1, random_state=0).fit(z).cluster_centers_
    return method.set_params(autoencoder=FrozenEstimator(autoencoder), init=centers).fit(X)


def _compared(fit, plain, X, y, setting):
    device = setting.device
    if not setting.dry:  # the first makes kernels and plans
        fit()
    with counted_steps() as steps, peak_memory(device) as memory:
        seconds, model = timed(fit, device)
    rows = resident(X, device)
    autocast = uses_bfloat16("auto", rows.device)
    with counted_steps() as plain_steps:
        plain_seconds, _ = timed(lambda: plain(rows, autocast), device)
    if steps[0] != plain_steps[0]:
        raise AssertionError(f"{steps[0]} steps, and {plain_steps[0]} of the plain loop")
    return {
        "steps": steps[0],
        "seconds": seconds,
        "plain_seconds": plain_seconds,
        "ratio": seconds / plain_seconds,
        "bfloat16": autocast,
        "nmi": float(normalized_mutual_info_score(y, np.asarray(model.labels_))),
        **memory,
    }


def report(result):
    """Lines of text for a result of :func:`measure`."""

    def text(found):
        return (
            f"{found['seconds']:7.2f} s, {found['steps']} steps, a plain loop "
            f"{found['plain_seconds']:7.2f} s: {found['ratio']:5.2f}"
        )

    return [f"Whole fits of {result['rows']:,} images:", *lines_of(result["results"], text)]
