"""What a GPU makes of this package: one command, one record per part.

``python -m sklearn_deepcluster.benchmarks gpu --out FOLDER`` looks at predictions, at the steps of
every method, at how far its results agree with the CPU's, runs the tests that need a GPU, and
times whole fits against plain torch loops and against ClustPy. Each part writes its record when it
ends; the cheapest come first.
"""

from sklearn_deepcluster.benchmarks.gpu._main import PARTS, main, report

__all__ = ["PARTS", "main", "report"]
