"""The command: which parts are run, and what is printed and kept."""

import time
from pathlib import Path

import torch

from sklearn_deepcluster.benchmarks._records import environment, write_record
from sklearn_deepcluster.benchmarks.gpu import (
    _agreement,
    _clustpy,
    _fits,
    _predict,
    _steps,
    _tests,
)
from sklearn_deepcluster.benchmarks.gpu._common import Setting, attempted, card, failed

# Each has ``measure`` and ``report``; the cheapest come first.
PARTS = {
    "predict": _predict,
    "agreement": _agreement,
    "tests": _tests,
    "steps": _steps,
    "fits": _fits,
    "clustpy": _clustpy,
}


def report(name, result):
    """Text for the result of a part."""
    if "error" in result and "counts" not in result:
        return f"{name}: {result['error']}"
    return "\n".join(PARTS[name].report(result))


def main(out, parts=None, *, dry_run=False):
    """Run parts, and write a record of each when it ends.

    Parameters
    ----------
    out : path-like
        Folder of the records, which go to its folder ``gpu``.
    parts : list of str or None
        None is all.
    dry_run : bool, default=False
        Tiny sizes on the CPU.

    Returns
    -------
    failures : list of str
        What went wrong, "part" or "part: name".

    Raises
    ------
    RuntimeError
        If there is no CUDA device, and this is no dry run.
    """
    if not dry_run and not torch.cuda.is_available():
        raise RuntimeError(
            "No CUDA device: torch sees none. --dry-run runs all parts on the CPU at tiny sizes."
        )
    setting = Setting("cpu" if dry_run else "cuda", dry_run)
    failures = []
    for name in parts or PARTS:
        began = time.perf_counter()
        result = attempted(PARTS[name].measure, setting)
        record = {"kind": "gpu", "part": name, "dry_run": dry_run, "card": card(setting)}
        record |= {**environment(), "seconds": time.perf_counter() - began, **result}
        path = Path(out) / "gpu" / f"{name}{'-dry-run' if dry_run else ''}.json"
        write_record(path, record)
        print(report(name, result), flush=True)
        print(f"record: {path} ({record['seconds']:.0f} s)", flush=True)
        if "error" in result:
            failures.append(name)
        failures += [f"{name}: {each}" for each in _failed(result.get("results", {}))]
    return failures


def _failed(results):
    """Names of what failed, in results that may be grouped."""
    found = [name for name in failed(results) if isinstance(results[name], dict)]
    for name, inner in results.items():
        if isinstance(inner, dict) and all(isinstance(each, dict) for each in inner.values()):
            found += [f"{name} {each}" for each in failed(inner)]
    return found
