"""Benchmarks: recipes, records and tables; see ``python -m sklearn_deepcluster.benchmarks``."""

from ._run import run
from ._tables import best, compare, restarts, start, table

__all__ = ["best", "compare", "restarts", "run", "start", "table"]
