"""What JULE is made of: triplets, batches that hold pairs, and periods in which clusters merge."""

import math

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from sklearn_deepcluster._engine import Schedule
from sklearn_deepcluster.cluster._agglomeration import (
    STEP_WEIGHT,
    Edges,
    canonical_order,
    edges_of,
    merge_down,
)
from sklearn_deepcluster.cluster._merger import Merger
from sklearn_deepcluster.cluster._neighbors import nearest_neighbors
from sklearn_deepcluster.kernels import squared_distance_matrix
from sklearn_deepcluster.nn import Stochastic

# Of each cluster so many rows are together in a batch, or a quarter of the batch.
_TOGETHER, LEAST_BATCH = 10, 8


class TripletLoss(Stochastic):
    r"""The objective of JULE.

    .. math::
        L = \frac{1}{|T|} \sum_{(a, p, n) \in T} \max(0, \gamma \lVert z_a - z_p \rVert^2
            - \lVert z_a - z_n \rVert^2 + m)

    with T all pairs (a, p) of one cluster in the batch, each with up to `n_negatives` rows n of
    others, drawn for each a. The targets are the labels of all rows.

    Parameters
    ----------
    gamma, margin : float
    n_negatives : int
    """

    def __init__(self, gamma, margin, n_negatives):
        super().__init__()
        self.gamma = gamma
        self.margin = margin
        self.n_negatives = n_negatives

    def forward(self, step):
        """Return the loss of a batch, and which share of the triplets is not yet apart."""
        z, labels = step.outputs[0], step.targets[step.index]
        gaps = squared_distance_matrix(z, z)
        same = labels.unsqueeze(1) == labels
        draws = torch.rand(
            same.shape, generator=self.generator, device=z.device, dtype=z.dtype
        ).masked_fill(same, -1.0)
        drawn, negatives = draws.topk(min(self.n_negatives, len(z)), dim=1)
        anchors, positives = same.fill_diagonal_(False).nonzero(as_tuple=True)
        near = self.gamma * gaps[anchors, positives].unsqueeze(1)
        apart = near - gaps.gather(1, negatives)[anchors] + self.margin
        counted = (drawn >= 0)[anchors].to(z.dtype)
        n_triplets = counted.sum().clamp(min=1)
        loss = (apart.clamp(min=0) * counted).sum() / n_triplets
        return {"loss": loss, "violated": ((apart > 0) * counted).sum() / n_triplets}


class ClusterBatches:
    """Batches in which rows of a cluster are together, by the present labels of the schedule."""

    def __init__(self, rows, batch_size, generator, schedule):
        self.rows = rows
        self.batch_size = min(batch_size, len(rows))
        self.generator = generator
        self.schedule = schedule
        self.smallest = len(rows) // len(self)

    def __len__(self):
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self):
        together = max(1, min(_TOGETHER, self.batch_size // 4))
        order = torch.randperm(len(self.rows), generator=self.generator)
        order = order[self.schedule.labels[order].argsort(stable=True)]
        sizes = torch.bincount(self.schedule.labels)
        groups = [part for rows in order.split(sizes.tolist()) for part in rows.split(together)]
        shuffled = torch.randperm(len(groups), generator=self.generator).tolist()
        for index in torch.cat([groups[i] for i in shuffled]).tensor_split(len(self)):
            yield self.rows.batch(index)


class Periods(Schedule):
    """Before each period clusters merge, by the embedding as it is; the targets are the labels.

    Parameters
    ----------
    task : Task
    labels : int64 Tensor of shape (n,)
        Clusters to start from.
    counts : list of int
        Number of clusters after each period's merges.
    epochs : int
        Of a period.
    n_neighbors : int
    first : tuple of (Tensor, Edges) or None
        Rows and graph of the first merges.
    """

    def __init__(self, task, labels, counts, epochs, n_neighbors, first=None):
        self.task = task
        self.labels = labels
        self.counts = counts
        self.epochs = epochs
        self.n_neighbors = n_neighbors
        self.first_ = first

    def refresh(self, net):
        period, epoch = divmod(len(net.history) - 1, self.epochs)
        if epoch == 0:
            self.merge(self.counts[period])
        net.history.record("n_clusters", float(self.labels.max() + 1))
        return self.labels.to(self.task.trainer.device) if epoch == 0 else None

    def merge(self, count):
        """Merge down to so many clusters, by the data at first and then by the embedding."""
        if count > self.labels.max():
            return
        rows, edges = self.first_ or self._graph(count)
        self.first_ = None
        merger = Merger(_both_ways(edges), self.labels.numpy(), STEP_WEIGHT["degree"])
        merge_down(merger, rows.numpy(), count)
        self.labels = _numbered(merger.labels)

    def _graph(self, count):
        rows = self.task.embed()
        return rows, graph_of(rows, self.n_neighbors, count)


def first_rows(task):
    """What clusters merge by before any training, Tensor (n, d) on the CPU.

    What a trained representation makes of the data; else the data, or, where they are many bytes,
    what the network with its first weights makes of them.
    """
    if task.reconstruction is not None or task.start.raw_rows is None:
        return task.embed()
    return task.described_rows()


def graph_of(rows, n_neighbors, n_clusters):
    """The edges of rows (n, d) to their nearest neighbours, and the clusters to start from."""
    order = canonical_order(rows.numpy())
    X = rows.numpy()[order]
    search = NearestNeighbors(n_neighbors=min(n_neighbors, len(X) - 1)).fit(X)
    edges = edges_of(X, nearest_neighbors(search, X, "auto"), 1.0, n_clusters)
    place = np.argsort(order)
    return Edges(edges.graph[place][:, place], edges.width, edges.leaves[place])


def _both_ways(edges):
    return edges.graph.maximum(edges.graph.T)


def _numbered(labels):
    return torch.from_numpy(labels).unique(return_inverse=True)[1]


def cluster_counts(n_leaves, n_clusters, eta):
    """Number of clusters after the merges of each period, the last `n_clusters`."""
    counts = [n_leaves]
    while counts[-1] > n_clusters:
        counts.append(max(n_clusters, counts[-1] - math.ceil(eta * counts[-1])))
    return counts[1:] or [n_clusters]
