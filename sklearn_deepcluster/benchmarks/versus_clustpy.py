"""Whole fits of DEC, IDEC, DCN, DKM and VaDE on USPS against ClustPy, in turns on one machine.

``python -m sklearn_deepcluster.benchmarks.versus_clustpy`` installs ClustPy from PyPI in an
environment of its own, with the version of torch that runs here. Both sides get the same network
(256-500-500-2000-10, leaky ReLU), batches of 256, Adam with the same learning rates, equally many
epochs, and an initial k-means with 20 starts. Every fit runs in a fresh process, warmed up by a
tiny fit; the steps of the optimisers are counted and must be equal.

What differs is each package's own default: this one scales its input, corrupts it in pretraining
and refreshes targets over all rows; ClustPy makes them within the batch and ends with one more
k-means, whose labels are its ``labels_``; each has its own weight of IDEC's terms. The NMI of
ClustPy is that of its ``labels_`` or of the method's own, whichever has the better mean.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import normalized_mutual_info_score

from sklearn_deepcluster.benchmarks import _versus_worker
from sklearn_deepcluster.benchmarks._records import default_folder, environment, write_record
from sklearn_deepcluster.metrics import unsupervised_accuracy

CLUSTPY = "clustpy==0.0.3"
METHODS = ("DEC", "IDEC", "DCN", "DKM", "VaDE")
BATCH = 256


def prepare_venv(folder):
    """Return the Python of an environment with ClustPy in `folder`, made where it is missing.

    torch comes first and alone and is held, so that nothing else chooses its version.
    """
    folder = Path(folder)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "installed.txt"
    held = f"torch=={torch.__version__.partition('+')[0]}"
    if stamp.is_file() and stamp.read_text() == f"{held}\n{CLUSTPY}\n":
        return python
    if not python.is_file():
        print(f"making an environment in {folder}", flush=True)
        venv.create(folder, with_pip=True)
    constraints = folder / "constraints.txt"
    constraints.write_text(f"{held}\n")
    for package in (held, CLUSTPY):
        print(f"installing {package}", flush=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "-c", str(constraints), package]
        subprocess.run(command, check=True)
    stamp.write_text(f"{held}\n{CLUSTPY}\n")
    return python


def default_venv():
    """Folder of the environment: in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "sklearn_deepcluster" / CLUSTPY.replace("==", "-")


def compare(X, y, python, *, seeds, epochs, precision="auto", methods=METHODS, device="cpu"):
    """Fit both packages in turns; return one dict per fit.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32
    y : ndarray of shape (n_samples,)
    python : path-like
        The interpreter that has ClustPy.
    seeds : iterable of int
    epochs : int
        Of pretraining, and again of clustering.
    precision : str, default="auto"
        Of this package; ClustPy computes in float32.
    methods : iterable of str
    device : str, default="cpu"
        Of both.

    Returns
    -------
    fits : list of dict

    Raises
    ------
    RuntimeError
        If the two sides made unequal numbers of steps.
    """
    fits = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "X.npy"
        np.save(data, X)
        for i, (seed, method) in enumerate((s, m) for s in seeds for m in methods):
            pair = []
            for side in ("ours", "clustpy") if i % 2 else ("clustpy", "ours"):
                job = {
                    "side": side,
                    "method": method,
                    "seed": seed,
                    "data": str(data),
                    "n_clusters": len(np.unique(y)),
                    "batch_size": BATCH,
                    "pretraining_epochs": epochs,
                    "clustering_epochs": epochs,
                    "precision": precision,
                    "device": device,
                }
                result = _fit_in_fresh_process(job, python, folder)
                pair.append(_judged(job, result, y))
                print(_line(pair[-1]), flush=True)
            if pair[0]["steps"] != pair[1]["steps"]:
                raise RuntimeError(
                    f"{method}, seed {seed}: unequal numbers of steps, "
                    + ", ".join(f"{fit['side']} {fit['steps']}" for fit in pair)
                )
            fits += pair
    return fits


def _fit_in_fresh_process(job, python, folder):
    path = Path(folder) / "job.json"
    path.write_text(json.dumps(job))
    environ = dict(os.environ)
    if job["side"] == "ours":
        python = sys.executable
        root = str(Path(__file__).resolve().parents[2])
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environ.get("PYTHONPATH")]))
    command = [str(python), _versus_worker.__file__, str(path)]
    done = subprocess.run(
        command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{job['side']} failed:\n{done.stderr[-4000:]}")
    return json.loads(path.with_suffix(".out").read_text())


def _judged(job, result, y):
    fit = {key: job[key] for key in ("side", "method", "seed")}
    fit |= {key: result[key] for key in ("seconds", "steps", "threads", "torch")}
    for name, labels in result["labels"].items():
        fit.setdefault("nmi", {})[name] = float(normalized_mutual_info_score(y, labels))
        fit.setdefault("acc", {})[name] = float(unsupervised_accuracy(y, labels))
    return fit


def _line(fit):
    scores = ", ".join(f"NMI {value:.3f} ({name})" for name, value in fit["nmi"].items())
    return (
        f"  {fit['method']:<5}seed {fit['seed']}  {fit['side']:<8}{fit['seconds']:7.1f} s  "
        f"{fit['steps']} steps  {scores}"
    )


def summarize(fits):
    """Return, per method, the ratio of mean times, ClustPy's over ours, and the mean NMIs."""
    summary = {}
    for method in dict.fromkeys(fit["method"] for fit in fits):
        sides = {
            side: [f for f in fits if f["method"] == method and f["side"] == side]
            for side in ("ours", "clustpy")
        }
        seconds = {s: statistics.fmean(f["seconds"] for f in runs) for s, runs in sides.items()}
        pairs = zip(sides["clustpy"], sides["ours"], strict=True)
        best = {side: _best_nmi(runs) for side, runs in sides.items()}
        summary[method] = {
            "steps": sides["ours"][0]["steps"],
            "seconds": seconds,
            "times_faster": seconds["clustpy"] / seconds["ours"],
            "times_faster_per_seed": [a["seconds"] / b["seconds"] for a, b in pairs],
            "nmi": {side: value for side, (value, _) in best.items()},
            "nmi_of": {side: name for side, (_, name) in best.items()},
        }
    return summary


def _best_nmi(runs):
    """Best mean NMI over the kinds of labels that a side offers, and its kind."""
    return max((statistics.fmean(r["nmi"][name] for r in runs), name) for name in runs[0]["nmi"])


def main(argv=None):
    """Run the command line; return the record that it prints."""
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_deepcluster.benchmarks.versus_clustpy",
        description="Compare whole fits of methods on USPS with ClustPy's.",
    )
    parser.add_argument("--venv", help=f"environment of ClustPy (default: {default_venv()})")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, ... (%(default)s)")
    parser.add_argument("--epochs", type=int, default=30, help="of each phase (%(default)s)")
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--no-record", action="store_true", help="write no record")
    parser.add_argument("--out", default=default_folder(), help="records (%(default)s)")
    args = parser.parse_args(argv)
    from sklearn_deepcluster.datasets import fetch_usps

    X, y = fetch_usps(return_X_y=True)
    X = X.reshape(len(X), -1)
    python = prepare_venv(args.venv or default_venv())
    print(f"USPS {X.shape}, {args.epochs} + {args.epochs} epochs, batches of {BATCH}")
    asked = {"epochs": args.epochs, "precision": args.precision, "methods": list(args.methods)}
    fits = compare(X, y, python, seeds=range(args.seeds), **asked)
    record = {"kind": "versus", "peer": CLUSTPY, **asked, **environment(), "fits": fits}
    record["summary"] = summarize(fits)
    for method, row in record["summary"].items():
        print(
            f"{method}: {row['steps']} steps on both sides, {row['times_faster']:.2f} times faster "
            f"({row['seconds']['clustpy']:.1f} s / {row['seconds']['ours']:.1f} s), mean NMI "
            f"{row['nmi']['ours']:.3f} against {row['nmi']['clustpy']:.3f} "
            f"({row['nmi_of']['clustpy']})"
        )
    if not args.no_record:
        suffix = "" if args.precision == "auto" else f"-{args.precision}"
        path = Path(args.out) / "speed" / f"versus-clustpy{suffix}.json"
        write_record(path, record)
        print(f"record: {path}")
    return record


if __name__ == "__main__":
    main()
