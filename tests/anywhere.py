"""Run the suite as other machines would: ``make test-anywhere``.

What "auto" precision means, the instructions of the processor, the number of threads, that of the
workers and the order of the tests are varied together, so that every pair of values of any two of
them meets in some run. Where the suite is not green in all of them, it hangs on what rounding does.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
# What the libraries may use of the processor, told to each of them.
INSTRUCTIONS = {
    "all": {},
    "avx512": {
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "ATEN_CPU_CAPABILITY": "avx512",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
    },
    "avx2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
}
FACTORS = ("precision", "instructions", "threads", "workers", "order")
RUNS = (
    ("bfloat16", "all", 1, 2, "as written"),
    ("float32", "all", 2, 1, "shuffled"),
    ("bfloat16", "avx512", 2, 1, "as written"),
    ("float32", "avx512", 1, 2, "shuffled"),
    ("bfloat16", "avx2", 1, 1, "shuffled"),
    ("float32", "avx2", 2, 2, "as written"),
)
LEVELS = [sorted({run[i] for run in RUNS}, key=str) for i in range(len(FACTORS))]


def lacks(instructions):
    """Whether the processor has less: torch would die of what it is told to use all the same."""
    here = torch.backends.cpu.get_cpu_capability()
    return instructions == "avx512" and here != "AVX512"


def environment(run):
    """Environment of one run; what the processor lacks is not asked for."""
    precision, instructions, threads, _, _ = run
    known = {name for settings in INSTRUCTIONS.values() for name in settings}
    kept = {name: value for name, value in os.environ.items() if name not in known}
    asked = {} if lacks(instructions) else INSTRUCTIONS[instructions]
    return (
        kept
        | asked
        | {
            "SKLEARN_DEEPCLUSTER_PRECISION": precision,
            "OMP_NUM_THREADS": str(threads),
            "OMP_WAIT_POLICY": "PASSIVE",
        }
    )


def arguments(run, seed):
    """Options of pytest for one run."""
    _, _, _, workers, order = run
    options = ["-q", "-n", str(workers)]
    if order == "shuffled":
        options += ["--random-order", "--random-order-bucket=module", f"--random-order-seed={seed}"]
    return options


def perform(run, seed, log, more):
    """Run the suite; return its exit status, its last line and the seconds."""
    command = [sys.executable, "-m", "pytest", *arguments(run, seed), *more]
    began = time.monotonic()
    with open(log, "w", encoding="utf-8") as file:
        done = subprocess.run(
            command, cwd=ROOT, env=environment(run), stdout=file, stderr=subprocess.STDOUT
        )
    lines = Path(log).read_text(encoding="utf-8").splitlines()
    return done.returncode, lines[-1] if lines else "", time.monotonic() - began


def main(argv=None):
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", type=int, action="append", help="number of a run, from 0")
    parser.add_argument("--seed", type=int, default=0, help="of the shuffled order")
    parser.add_argument("--logs", help="folder of the logs; default: a new one")
    args, more = parser.parse_known_args(argv)
    logs = Path(args.logs or tempfile.mkdtemp(prefix="anywhere-"))
    logs.mkdir(parents=True, exist_ok=True)
    print(f"logs: {logs}; shuffled by seed {args.seed}")
    red = False
    for i, run in enumerate(RUNS):
        if args.only and i not in args.only:
            continue
        status, last, seconds = perform(run, args.seed, logs / f"{i}.log", more)
        red |= status != 0
        settings = ", ".join(f"{f} {v}" for f, v in zip(FACTORS, run, strict=True))
        settings += " (not of this processor: all it has)" if lacks(run[1]) else ""
        print(
            f"{i}: {settings}: {'red' if status else 'green'}, {seconds:.0f} s; {last}", flush=True
        )
    return int(red)


if __name__ == "__main__":
    sys.exit(main())
