"""Benchmarks: recipes, records and tables; see ``python -m sklearn_deepcluster.benchmarks``."""

from ._run import run
from ._tables import compare, restarts, table

__all__ = ["compare", "restarts", "run", "table"]
