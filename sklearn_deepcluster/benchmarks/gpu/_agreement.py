"""How far fits on the device agree with the CPU's, with one another, and with their own models."""

import copy

import numpy as np
from sklearn.metrics import adjusted_rand_score

from sklearn_deepcluster.benchmarks.gpu._common import (
    SHORT,
    SMALL,
    attempted,
    estimator_of,
    images,
    networks,
)

N_CLUSTERS = 3
# Predictions of one model on two devices: products in float32 differ by less, those in TF32 by
# more, relative to the largest value.
MOST_APART = 1e-4


def measure(setting):
    """Short fits of every estimator in float32, one on the CPU and two on the device.

    Where a method draws random numbers on the device, such as the noise of VaDE, these are others
    than the CPU's, and only the model itself can be compared.

    Returns
    -------
    result : dict
        Per estimator "same_bits" (both fits on the device are equal), "embedding" (largest
        difference of the embeddings by one model on both devices, relative to the largest value),
        "labels" (share of equal ones by one model on both), "fit_embedding", "fit_labels" and
        "fit_loss" (of one fit on each: largest relative differences, adjusted Rand index).
    """
    X = images(setting.size(600, 60))
    return {"rows": len(X), "results": {n: attempted(_of, n, X, setting) for n in networks()}}


def _of(name, X, setting):
    values = SHORT | SMALL
    if setting.dry:
        values |= {"min_steps": 2, "max_steps": 4, "update_interval": 2}
    base = estimator_of(name, N_CLUSTERS, values=values, precision="float32", random_state=0)
    here = copy.deepcopy(base).set_params(device="cpu").fit(X)
    first, second = (copy.deepcopy(base).set_params(device=setting.device).fit(X) for _ in range(2))
    z = first.transform(X)
    moved = copy.deepcopy(first).set_params(device="cpu")
    found = {
        "same_bits": _same(first, second) and bool((z == second.transform(X)).all()),
        "embedding": _apart(moved.transform(X), z),
        "fit_embedding": _apart(here.transform(X), z),
        "fit_loss": _apart(np.array(here.history_["loss"]), np.array(first.history_["loss"])),
    }
    if hasattr(first, "labels_"):
        found["own_labels"] = bool((first.predict(X) == first.labels_).all())
        found["labels"] = float((moved.predict(X) == first.labels_).mean())
        found["fit_labels"] = float(adjusted_rand_score(here.labels_, first.labels_))
    found["agrees"] = (
        found["same_bits"]
        and found["embedding"] <= MOST_APART
        and found.get("own_labels", True)
        and found.get("labels", 1.0) == 1.0
    )
    return found


def _same(a, b):
    a, b = a.module_.state_dict(), b.module_.state_dict()
    return all((value == b[name]).all().item() for name, value in a.items())


def _apart(a, b):
    if a.shape != b.shape:  # another number of epochs
        return None
    return float(np.abs(a - b).max() / max(np.abs(b).max(), np.finfo(np.float32).tiny))


def report(result):
    """Lines of text for a result of :func:`measure`."""
    found = result["results"]
    agree = sum(one.get("agrees", False) for one in found.values())
    lines = [
        f"{agree} of {len(found)} estimators: same bits twice, and one model on both devices "
        f"within {MOST_APART:g}, labels equal"
    ]
    for name, one in found.items():
        if "error" in one:
            lines.append(f"  {name:<22} {one['error']}")
            continue
        cells = [f"{key} {value:.3g}" for key, value in one.items() if isinstance(value, float)]
        bits = "same bits" if one["same_bits"] else "OTHER BITS"
        lines.append(f"  {name:<22} {bits}, {', '.join(cells)}")
    return lines
