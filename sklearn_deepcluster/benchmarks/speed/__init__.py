"""Speed and memory of this package, as ratios measured in one run.

``python -m sklearn_deepcluster.benchmarks.speed`` prints

- the wall time per step of ``Autoencoder.fit``, all of it, against plain torch loops;
- the wall time per step of epochs of ``DDC.fit`` and ``DTKC.fit`` against plain torch loops;
- the time of a grid search with ``memory``, against what its parts take;
- the time and memory of ``GraphAgglomerative`` on 10,000 to 1,000,000 rows;
- the latency of ``predict``, of single rows and of a million, against the network alone;
- the growth of memory during a fit of 70,000 x 784 values.

Contenders take turns, and their numbers of optimisation steps are counted and compared. Absolute
times depend on the machine; the ratios are what to look at.
"""

from sklearn_deepcluster.benchmarks.speed._main import main, report

__all__ = ["main", "report"]
