"""The command: which parts are measured, and what is printed and kept."""

import argparse
import json
from pathlib import Path

from sklearn_deepcluster.benchmarks._records import default_folder, environment, write_record
from sklearn_deepcluster.benchmarks.speed import (
    _divergence,
    _graph,
    _inference,
    _memory,
    _methods,
    _search,
    _steps,
)

# Each has ``measure`` and ``report``.
PARTS = {
    "steps": _steps,
    "methods": _methods,
    "divergence": _divergence,
    "search": _search,
    "graph": _graph,
    "inference": _inference,
    "memory": _memory,
}


def report(result):
    """Text for a result of :func:`main`."""
    lines = [
        line for name, part in PARTS.items() if name in result for line in part.report(result[name])
    ]
    return "\n".join(lines)


def main(argv=None):
    """Run the command line; return the result that it prints."""
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_deepcluster.benchmarks.speed",
        description="Measure speed and memory as ratios within one run.",
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="part to measure")
    parser.add_argument("--record", action="store_true", help="write a record")
    parser.add_argument("--out", default=default_folder(), help="records (%(default)s)")
    # What a part measures in a fresh process.
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--divergence-of", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    for asked, part in ((args.memory_of, _memory), (args.divergence_of, _divergence)):
        if asked:
            print(json.dumps(part.in_process(*asked)))
            return None
    result = {"kind": "speed", **environment()}
    for name in args.only or PARTS:
        result[name] = PARTS[name].measure()
        print(report({name: result[name]}), flush=True)
    if args.record:
        name = "speed" if not args.only else "-".join(["speed", *args.only])
        path = Path(args.out) / "speed" / f"{name}.json"
        write_record(path, result)
        print(f"record: {path}")
    return result
