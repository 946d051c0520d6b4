"""Benchmarks: recipes, records and tables; see ``python -m sklearn_deepcluster.benchmarks``."""

from ._run import run
from ._tables import table

__all__ = ["run", "table"]
