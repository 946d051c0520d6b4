"""What the parts of the measurement share."""

import json
import statistics
import subprocess
import sys

import torch

from sklearn_deepcluster._engine import uses_bfloat16

_PACKAGE = __name__.rpartition(".")[0]
# The fully connected network of the references, and its batches.
SIZES = (784, 500, 500, 2000, 10)
BATCH = 256


def auto_is():
    """What ``precision="auto"`` is on this machine."""
    return "bfloat16" if uses_bfloat16("auto", torch.device("cpu")) else "float32"


def in_fresh_process(*arguments):
    """Run this command with other arguments; return what it prints, from JSON."""
    command = [sys.executable, "-m", _PACKAGE, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def medians(seconds):
    """Median of each contender."""
    return {name: statistics.median(values) for name, values in seconds.items()}


def in_milliseconds(seconds):
    """Medians and all values of the contenders, as they are recorded."""
    return {
        "ms_per_step": {name: 1000 * value for name, value in medians(seconds).items()},
        "all_ms_per_step": {k: [1000 * v for v in values] for k, values in seconds.items()},
    }


def lines_of(result):
    """Lines of text for milliseconds per step and ratios."""
    times = [f"  {name:<16} {ms:7.2f} ms" for name, ms in result["ms_per_step"].items()]
    return times + [f"  {name:<34} {ratio:5.2f}" for name, ratio in result["ratios"].items()]
