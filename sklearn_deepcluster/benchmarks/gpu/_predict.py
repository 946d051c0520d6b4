"""Rows per second of ``predict``, and the memory that it takes on the device."""

import tempfile
from pathlib import Path

import numpy as np
import torch

from sklearn_deepcluster import DEC, Autoencoder
from sklearn_deepcluster.benchmarks.gpu._common import attempted, lines_of, peak_memory, timed

WIDTH, N_CLUSTERS = 784, 10


def measure(setting):
    """Throughput of a fitted DEC with the network of its paper, of arrays and of a memory map.

    Returns
    -------
    result : dict
        Per kind of rows "rows_per_second", "peak_mb" and, of the network alone on rows that are on
        the device already, "network_rows_per_second".
    """
    n = setting.size(200_000, 500)
    widths = setting.size((500, 500, 2000), (8,))
    X = np.random.default_rng(0).random((n, WIDTH), dtype=np.float32)
    short = {"max_epochs": 1, "min_steps": 2, "device": setting.device, "random_state": 0}
    autoencoder = Autoencoder(hidden_layer_sizes=widths, **short)
    model = DEC(N_CLUSTERS, autoencoder=autoencoder, **short).fit(X[:500])
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "X.npy"
        np.save(path, X)
        kinds = {
            "float32": X,
            "uint8": (255 * X).astype(np.uint8),
            "memory map": np.load(path, mmap_mode="r"),
        }
        for kind, rows in kinds.items():
            result[kind] = attempted(_throughput, model, rows, setting)
        del kinds, rows
    return {"rows": n, "width": WIDTH, "results": result}


def _throughput(model, X, setting):
    model.predict(X[:10_000])  # finds out which blocks will do
    model.predict(X)
    with peak_memory(setting.device) as memory:
        seconds, _ = timed(lambda: model.predict(X), setting.device)
    part = torch.from_numpy(np.asarray(X[:4096], dtype=np.float32)).to(setting.device)

    def network():
        with torch.no_grad():
            for _ in range(10):
                model.module_.encode(part)

    network()
    alone, _ = timed(network, setting.device)
    return {
        "rows_per_second": len(X) / seconds,
        "network_rows_per_second": 10 * len(part) / alone,
        **memory,
    }


def report(result):
    """Lines of text for a result of :func:`measure`."""

    def text(found):
        return (
            f"{found['rows_per_second']:12,.0f} rows/s; the network alone "
            f"{found['network_rows_per_second']:12,.0f}"
        )

    title = f"predict of {result['rows']:,} rows of {result['width']}:"
    return [title, *lines_of(result["results"], text)]
