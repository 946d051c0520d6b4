"""The tests that need a GPU, in a process of their own."""

import re
import subprocess
import sys
from pathlib import Path

import sklearn_deepcluster

_COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?|xfailed|xpassed|deselected)\b")
_MOST_SECONDS = 240


def measure(setting):
    """Run all tests that are marked ``gpu``; in a dry run those of one file, which are skipped.

    Returns
    -------
    result : dict
        "counts" by outcome, "returncode", and the end of what pytest said.
    """
    root = Path(sklearn_deepcluster.__file__).resolve().parents[1]
    if not (root / "tests").is_dir():
        return {"error": f"no tests in {root}: run this from a checkout of the repository"}
    tests = "tests/test_gpu.py" if setting.dry else "tests"
    options = ["-m", "gpu", "-q", "-p", "no:cacheprovider", tests]
    command = [sys.executable, "-m", "pytest", *options]
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, timeout=_MOST_SECONDS
        )
    except subprocess.TimeoutExpired:
        return {"error": f"the tests took more than {_MOST_SECONDS} s"}
    result = {"returncode": done.returncode, "output": done.stdout[-8000:] + done.stderr[-2000:]}
    result["counts"] = {what: int(n) for n, what in _COUNT.findall(done.stdout[-400:])}
    if done.returncode:
        result["error"] = f"pytest ended with {done.returncode}"
    return result


def report(result):
    """Lines of text for a result of :func:`measure`."""
    counts = ", ".join(f"{n} {what}" for what, n in result.get("counts", {}).items())
    return [f"Tests that need a GPU: {counts or 'none'}"] + (
        [f"  {result['error']}"] if "error" in result else []
    )
