"""Command line: list, run, table, compare, start, best, restarts, parts, counts, gpu."""

import argparse
import ast
import contextlib

from sklearn_deepcluster.benchmarks import (
    _records,
    best,
    compare,
    gpu,
    restarts,
    run,
    start,
    table,
)
from sklearn_deepcluster.benchmarks._counts import counts_table, run_counts
from sklearn_deepcluster.benchmarks._data import SOURCES
from sklearn_deepcluster.benchmarks._parts import parts_table, run_parts
from sklearn_deepcluster.benchmarks._run import chosen
from sklearn_deepcluster.benchmarks.recipes import all_recipes


def main(argv=None):
    """Run the command line."""
    parser = _parser()
    args = parser.parse_args(argv)
    args.command(args, parser)


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_deepcluster.benchmarks",
        description="Run methods on data sets, write one record per seed, render the records.",
    )
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser("list", help="recipes with their data sets and sources")
    command.set_defaults(command=_list)

    command = commands.add_parser("run", help="run methods on one data set")
    command.add_argument("methods", metavar="METHOD[,METHOD...]", type=lambda s: s.split(","))
    command.add_argument("dataset", metavar="DATASET")
    command.add_argument("--seeds", type=int, help="number of seeds, from 0 (default: recipe's)")
    command.add_argument("--config", choices=("default", "paper"), default="default")
    command.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="NAME=VALUE[,VALUE...]",
        type=_values,
        help="run a parameter at other values, autoencoder__NAME for that of the representation",
    )
    command.add_argument("--device", default="auto")
    command.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    command.set_defaults(command=_run)
    _add_out(command)

    command = commands.add_parser("table", help="render the records")
    command.add_argument("--format", choices=("markdown", "rst"), default="markdown")
    command.add_argument("--dataset", help="only this data set")
    command.add_argument("--brief", action="store_true", help="fewer columns")
    command.set_defaults(command=_table)
    _add_out(command)

    command = commands.add_parser("compare", help="one score of methods, data set by data set")
    command.add_argument("methods", metavar="METHOD[,METHOD...]", type=lambda s: s.split(","))
    command.add_argument("datasets", metavar="DATASET[,DATASET...]", type=lambda s: s.split(","))
    command.add_argument("--score", choices=("acc", "nmi", "nmi_geometric", "ari"), default="nmi")
    command.add_argument("--format", choices=("markdown", "rst"), default="markdown")
    command.set_defaults(command=_compare)
    _add_out(command)

    command = commands.add_parser("start", help="where methods ended and where they started")
    command.add_argument("methods", metavar="METHOD[,METHOD...]", type=lambda s: s.split(","))
    command.add_argument("datasets", metavar="DATASET[,DATASET...]", type=lambda s: s.split(","))
    command.add_argument("--score", choices=("acc", "nmi", "nmi_geometric", "ari"), default="nmi")
    command.add_argument("--format", choices=("markdown", "rst"), default="markdown")
    command.set_defaults(command=_start)
    _add_out(command)

    command = commands.add_parser("best", help="the run with the least loss, and all runs")
    command.add_argument("methods", metavar="METHOD[,METHOD...]", type=lambda s: s.split(","))
    command.add_argument("datasets", metavar="DATASET[,DATASET...]", type=lambda s: s.split(","))
    command.add_argument("--score", choices=("acc", "nmi", "nmi_geometric", "ari"), default="acc")
    command.add_argument("--config", default="default", help="as in the names of the records")
    command.add_argument("--format", choices=("markdown", "rst"), default="markdown")
    command.set_defaults(command=_best)
    _add_out(command)

    command = commands.add_parser("restarts", help="how scores without labels rank the seeds")
    command.add_argument("--format", choices=("markdown", "rst"), default="markdown")
    command.set_defaults(command=_restarts)
    _add_out(command)

    command = commands.add_parser("parts", help="a parameter of the graph on random parts of data")
    command.add_argument("datasets", metavar="DATASET[,DATASET...]", type=lambda s: s.split(","))
    command.add_argument("vary", metavar="NAME=VALUE[,VALUE...]", type=_values)
    command.add_argument("--parts", type=int, default=30, help="number of parts (%(default)s)")
    command.add_argument("--format", choices=("markdown", "rst"), default="markdown")
    command.set_defaults(command=_parts)
    _add_out(command)

    command = commands.add_parser("counts", help="how many clusters the graph finds by itself")
    command.add_argument("datasets", metavar="DATASET[,DATASET...]", type=lambda s: s.split(","))
    command.add_argument(
        "--rows", type=int, default=10_000, help="of larger data so many (%(default)s)"
    )
    command.add_argument("--format", choices=("markdown", "rst"), default="markdown")
    command.set_defaults(command=_counts)
    _add_out(command)

    command = commands.add_parser("gpu", help="what a GPU makes of this package, part by part")
    command.add_argument(
        "--part", action="append", choices=gpu.PARTS, help="only this one; may be given repeatedly"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="tiny sizes, on the CPU: whether all runs"
    )
    command.set_defaults(command=_gpu)
    _add_out(command)
    return parser


def _add_out(command):
    command.add_argument(
        "--out", default=_records.default_folder(), help="folder of the records (%(default)s)"
    )


def _values(text):
    """Read ``name=1,2`` as a name and a list; what is no Python literal is a string."""
    name, equals, values = text.partition("=")
    if not (name and equals and values):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE[,VALUE...]")
    return name, [_literal(value) for value in values.split(",")]


def _literal(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _list(args, parser):
    for recipe in all_recipes().values():
        print(f"{recipe.method}: {recipe.title}")
        for dataset in recipe.datasets:
            source = SOURCES[dataset]
            paper = recipe.paper.get(dataset)
            configs = "default" if paper is None else f"default, paper ({paper.source})"
            seeds = f"{source.n_seeds} seed{'s' if source.n_seeds > 1 else ''}"
            print(f"  {dataset:<28}{seeds:<9}{configs}")
            for result in recipe.published.get(dataset, ()):
                nmi = "" if result.nmi is None else f", NMI {result.nmi:.3f} ({result.average})"
                acc = "-" if result.acc is None else f"{result.acc:.3f}"
                print(f"  {'':<28}published: ACC {acc}{nmi}, {result.source}")


def _run(args, parser):
    try:
        chosen(args.methods, args.dataset, args.config, dict(args.vary))
    except ValueError as exc:
        parser.error(str(exc))
    try:
        run(
            args.methods,
            args.dataset,
            config=args.config,
            vary=dict(args.vary),
            n_seeds=args.seeds,
            out=args.out,
            device=args.device,
            precision=args.precision,
            report=lambda line: print(line, flush=True),
        )
    except (ConnectionError, FileNotFoundError, NotADirectoryError) as exc:
        parser.exit(1, f"{exc}\n")  # the loaders say how to obtain the data


def _table(args, parser):
    text = table(args.out, args.format, dataset=args.dataset, brief=args.brief)
    print(text or f"no records in {args.out}")


def _check_known(args, parser):
    unknown = {*args.methods} - {*all_recipes()} | {*args.datasets} - {*SOURCES}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")


def _best(args, parser):
    _check_known(args, parser)
    options = {"score": args.score, "config": args.config}
    print(best(args.methods, args.datasets, args.out, args.format, **options) or "no records")


def _compare(args, parser):
    _check_known(args, parser)
    print(compare(args.methods, args.datasets, args.out, args.format, score=args.score))


def _start(args, parser):
    _check_known(args, parser)
    print(start(args.methods, args.datasets, args.out, args.format, score=args.score))


def _parts(args, parser):
    with _refusals(parser):
        paths = run_parts(args.datasets, *args.vary, args.parts, out=args.out)
    print(parts_table(paths, args.format))


def _counts(args, parser):
    with _refusals(parser):
        paths = run_counts(args.datasets, args.rows, out=args.out)
    print(counts_table(paths, args.format))


@contextlib.contextmanager
def _refusals(parser):
    """End with the message of what is refused, or of data that are not there."""
    try:
        yield
    except ValueError as exc:
        parser.error(str(exc))
    except (ConnectionError, FileNotFoundError, NotADirectoryError) as exc:
        parser.exit(1, f"{exc}\n")  # the loaders say how to obtain the data


def _gpu(args, parser):
    try:
        failures = gpu.main(args.out, args.part, dry_run=args.dry_run)
    except RuntimeError as exc:
        parser.exit(1, f"{exc}\n")
    if failures:
        parser.exit(1, f"failed: {', '.join(failures)}\n")


def _restarts(args, parser):
    print(restarts(args.out, args.format) or f"too few records in {args.out}")


if __name__ == "__main__":
    main()
