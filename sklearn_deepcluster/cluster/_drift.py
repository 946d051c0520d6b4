"""Do neighbours in the data still share their cluster? If less and less, the labels drift.

A method that needs no labels cannot tell what its changes are worth by its own loss, which falls
while a clustering is destroyed as it does while one improves. The modularity of the labels on the
graph of nearest neighbours of the data knows nothing of the loss, and rises and falls with the
agreement with the true classes along the training (see the guide, "Never below the start"). But it
likes clusters of one size: of two that differ it gains by what tears the larger one. The normalised
cut, in which a cluster of any size counts alike, tells that.
"""

import numpy as np
import torch

from sklearn_deepcluster._engine import Callback, Snapshot, generator
from sklearn_deepcluster.cluster._graph_choices import clearest_metric, neighbor_graphs
from sklearn_deepcluster.cluster._moves import modularity, normalized_cut

# The normalised cut may rise by so many times the fraction by which the modularity may fall, and by
# that fraction of one cluster: where clusters are apart a single row is a large part of it.
_CUT = 15
# A start that is the most modular partition of a graph is more so than the true one: of it, so many
# times that fraction may be lost. Where it falls more, it was by 4 to 18 in a hundred.
_OF_GRAPH = 2
# The training ends when so many epochs in a row were worse than the best by more than is allowed.
_PATIENCE = 5
# The graph is that of so many rows, or of as many as are so many bytes, but of so many at least.
_WATCHED_ROWS, _WATCHED_BYTES, _LEAST_ROWS = 2000, 2**23, 200


class DriftWatch(Callback):
    """Follow modularity and cut of the labels; where one is worse, go back to the best epoch.

    Parameters
    ----------
    task : Task
    assign : callable
        Labels (b,) of embedded rows (b, e) by the objective as it is.
    tol : float
        By which fraction the modularity may fall; the normalised cut may rise by 15 times as much.
    first : int, default=1
        Number of the first epoch that may be kept: until then the start is being learned.

    The best epoch is that of the largest modularity among those to which the cut has not risen. A
    start that was found in such a graph is as modular as can be, and every change would count
    against it: twice as much may be lost of it, and once an epoch is that near to it, epochs are
    compared with one another.
    """

    def __init__(self, task, assign, tol, first=1):
        self.task = task
        self.assign = assign
        self.tol = tol
        self.first = first

    def on_train_begin(self, net, **kwargs):
        self.best_ = None
        self.rows_ = _watched_rows(self.task)
        self.watched_ = self.task.with_rows(self.rows_)

    def on_epoch_begin(self, net, **kwargs):
        if self.best_ is None:  # after the method's own schedule has begun
            data = _data(self.task, self.rows_, self.watched_)
            self.edges_ = _clearest_graph(data, self._labels(), self.task.start.n_clusters)
            self.best_ = self.now_ = self._judge()
            self.drifted_ = self.epoch_ = 0
            self.snapshot_ = Snapshot(net.module_, net.criterion_)

    @torch.no_grad()
    def _labels(self):
        z = self.watched_.embed(self.task.trainer.device)
        return self.assign(z).cpu().numpy()

    def _judge(self):
        """Modularity and normalised cut of the labels as they are; lost clusters are all cut."""
        found, labels = np.unique(self._labels(), return_inverse=True)
        n_lost = self.task.start.n_clusters - len(found)
        return modularity(self.edges_, labels), normalized_cut(self.edges_, labels) + n_lost

    def on_epoch_end(self, net, **kwargs):
        self.now_ = self._judge()
        net.history.record("modularity", self.now_[0])
        if len(net.history) < self.first:
            return
        drifted = self._drifted()
        self.drifted_ = self.drifted_ + 1 if drifted else 0
        if not drifted and (self.epoch_ == 0 or self.now_[0] >= self.best_[0]):
            self.best_, self.epoch_ = self.now_, len(net.history)
            self.snapshot_.keep()
        net.stop_training |= self.drifted_ >= _PATIENCE

    def on_train_end(self, net, **kwargs):
        self.now_ = self._judge()  # the method may have gone back itself
        if self._drifted():
            self.snapshot_.restore()
            net.kept_epoch = self.epoch_

    def _drifted(self):
        (most, least_cut), (reached, cut) = self.best_, self.now_
        biased = self.epoch_ == 0 and self.task.start.of_graph
        falls = most - reached > self.tol * abs(most) * (_OF_GRAPH if biased else 1)
        return falls or cut - least_cut > self.tol * (1 + _CUT * least_cut)


def told_by_neighbors(task, labels):
    """Modularity of the labels of a run on the graph of neighbours in the data.

    Parameters
    ----------
    task : Task
    labels : ndarray of shape (n,)

    Returns
    -------
    reached : dict or None
        Metric -> modularity, of the same rows for all runs; None where there are too few of them.
    around_mean : bool
        See :func:`~sklearn_deepcluster.cluster._graph_choices.clearest_metric`.
    """
    n_clusters = task.start.n_clusters
    if len(task.rows) <= max(2, n_clusters):
        return None, False
    rows = _watched_rows(task, seed=0)
    edges, around_mean = neighbor_graphs(_data(task, rows, task.with_rows(rows)), n_clusters)
    labels = np.unique(labels[rows.numpy()], return_inverse=True)[1]
    return {metric: modularity(graph, labels) for metric, graph in edges.items()}, around_mean


def _watched_rows(task, seed=None):
    n = len(task.rows)
    fit = max(_LEAST_ROWS, _WATCHED_BYTES // (4 * task.rows.n_features))
    order = torch.randperm(n, generator=generator(task.seed if seed is None else seed))
    return order[: min(_WATCHED_ROWS, fit)].sort().values


def _data(task, rows, watched):
    """Some rows of the data, ndarray (m, d); of sequences their description."""
    whole = task.start.described
    known = whole is not None and len(whole) == len(task.rows)
    return (whole[rows] if known else watched.described_rows()).numpy()


def _clearest_graph(X, labels, n_clusters):
    """The edges of neighbours in the data, by the metric in which these clusters are clearer."""
    edges, around_mean = neighbor_graphs(X, n_clusters)
    reached = {metric: modularity(graph, labels) for metric, graph in edges.items()}
    return edges[clearest_metric(reached, n_clusters, around_mean)]
