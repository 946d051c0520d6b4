"""Whole fits of DEC and IDEC against ClustPy's on the device, where ClustPy is installed."""

import sys
from importlib.metadata import version
from importlib.util import find_spec

from sklearn_deepcluster.benchmarks import versus_clustpy
from sklearn_deepcluster.benchmarks.gpu._common import mnist

METHODS = ("DEC", "IDEC")


def measure(setting):
    """Equal numbers of steps on MNIST, each fit in a fresh process; see ``versus_clustpy``.

    Fewer rows and epochs than anybody would learn from: what is compared is time.

    Returns
    -------
    result : dict
        "summary" and "fits", or "missing".
    """
    if find_spec("clustpy") is None:
        return {"missing": "ClustPy is not installed here"}
    X, y = mnist(setting)
    n, epochs = setting.size(20_000, 300), setting.size(5, 1)
    X, y = X[:n].reshape(n, -1), y[:n]
    asked = {"seeds": [0], "epochs": epochs, "methods": METHODS, "device": setting.device}
    fits = versus_clustpy.compare(X, y, sys.executable, **asked)
    peer = f"clustpy=={version('clustpy')}"
    summary = versus_clustpy.summarize(fits)
    return {"peer": peer, "rows": n, "epochs": epochs, "summary": summary, "fits": fits}


def report(result):
    """Lines of text for a result of :func:`measure`."""
    if "missing" in result:
        return [f"Against ClustPy: nothing, {result['missing']}"]
    lines = [f"Whole fits of {result['rows']:,} rows against {result['peer']}:"]
    for name, row in result["summary"].items():
        seconds = row["seconds"]
        lines.append(
            f"  {name:<5} {row['steps']} steps: {seconds['ours']:.1f} s, "
            f"{seconds['clustpy']:.1f} s: {row['times_faster']:.2f} times faster"
        )
    return lines
