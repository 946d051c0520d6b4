"""Milliseconds per step of every method, and of plain loops where there are such."""

import functools
import statistics

import numpy as np
import torch

from sklearn_deepcluster.benchmarks.gpu._common import (
    SMALL,
    attempted,
    estimator_of,
    networks,
    step_seconds,
    timed,
)
from sklearn_deepcluster.benchmarks.speed._divergence import IMAGE_BATCH, plain_divergence_loop
from sklearn_deepcluster.benchmarks.speed._steps import BATCH, plain_loop
from sklearn_deepcluster.utils.discovery import all_estimators

PRECISIONS = ("float32", "bfloat16")
SIDE, N_CLUSTERS = 28, 10


def measure(setting):
    """Seconds per step of the last stage of each method, with its default network.

    On images of 28 x 28, without what is done between epochs. Recurrent networks read them as 28
    steps. Plain loops train the network of ``Autoencoder`` and that of ``DDC`` on images.

    Returns
    -------
    result : dict
        Per precision and method "ms_per_step".
    """
    n = setting.size(2560, 300)
    side = setting.size(SIDE, 8)
    X = np.random.default_rng(0).random((n, side, side), dtype=np.float32)
    result = {
        p: {name: attempted(_of_method, name, X, p, setting) for name in networks()}
        for p in setting.size(PRECISIONS, PRECISIONS[:1])
    }
    return {"rows": n, "results": result, "plain": attempted(_plain, setting)}


def _of_method(name, X, precision, setting):
    epochs = setting.size(3, 1)
    steps = epochs * -(-len(X) // BATCH)
    values = {"max_epochs": epochs, "min_steps": 0, "batch_size": BATCH, "max_iter": 2}
    values |= {"max_steps": steps, "update_interval": setting.size(10, 1), "epochs_per_period": 1}
    values |= {"warm_up_epochs": 1, "tol": 0.0}
    # To the end, and without a start that is searched for on the CPU.
    constraints = dict(all_estimators())[name]._parameter_constraints
    for parameter in ("drift_tol", "patience", "init"):
        if None in constraints.get(parameter, ()):
            values[parameter] = None
    values.setdefault("init", "k-means")
    values |= SMALL if setting.dry else {}
    where = {"device": setting.device, "precision": precision, "random_state": 0}
    seconds, n_epochs = step_seconds(estimator_of(name, N_CLUSTERS, values=values, **where), X)
    return {"ms_per_step": None if seconds is None else 1000 * seconds, "epochs": n_epochs}


def _plain(setting):
    epochs = setting.size(3, 1)
    rows = torch.rand(setting.size(BATCH * 20, BATCH), 784, device=setting.device)
    pixels = torch.rand(setting.size(IMAGE_BATCH * 20, IMAGE_BATCH), 1, 28, 28)
    pixels = pixels.to(setting.device)
    found = {}
    for precision in PRECISIONS:
        options = {"fused": True, "autocast": precision == "bfloat16"}
        plain_loop(rows, 1, **options)
        seconds, _ = timed(functools.partial(plain_loop, rows, epochs, **options), setting.device)
        found[f"Autoencoder {precision}"] = 1000 * seconds * BATCH / (epochs * len(rows))
        per_epoch = plain_divergence_loop(pixels, epochs + 1, **options, channels_last=True)[1:]
        seconds = statistics.median(per_epoch)
        found[f"DDC {precision}"] = 1000 * seconds * IMAGE_BATCH / len(pixels)
    return found


def report(result):
    """Lines of text for a result of :func:`measure`."""
    lines = [f"Milliseconds per step, {result['rows']} images:"]
    names = dict.fromkeys(name for found in result["results"].values() for name in found)
    for name in names:
        cells = []
        for precision, found in result["results"].items():
            one = found[name]
            ms = one["error"] if "error" in one else one["ms_per_step"]
            ms = f"{ms:7.2f}" if isinstance(ms, float) else ms or "no steps"
            cells.append(f"{ms} {precision}")
        lines.append(f"  {name:<22} {', '.join(cells)}")
    for name, ms in result["plain"].items():
        if name != "traceback":
            lines.append(f"  plain loop: {name:<22} {ms if name == 'error' else f'{ms:.2f}'}")
    return lines
