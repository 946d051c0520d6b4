"""The clusters that KNet starts from, and whether training has left them for worse ones.

Training can raise the HSIC by leaving the clusters of the data: it joins what the network can move
together. No value of the learned kernel tells, as that kernel agrees with whatever was learned.
What tells is the graph of nearest neighbours at the start, which does not change: good clusters
have most edges within (Newman's modularity).
"""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import nn

from sklearn_deepcluster._engine import Schedule
from sklearn_deepcluster.cluster._dekm import label_change
from sklearn_deepcluster.cluster._moves import modularity, neighbor_edges
from sklearn_deepcluster.cluster._start import kmeans_from
from sklearn_deepcluster.kernels import cluster_indicator
from sklearn_deepcluster.losses import squared_distances

_KMEANS_STARTS = 10
_N_NEIGHBORS = 10
# Rows that may differ from the labels that are learned.
_LEARNED = 1e-3


def rounded(u, values, rounding, n_clusters, seed):
    """Labels (n,) from U, whose columns have these eigenvalues."""
    if rounding == "kernel":
        points = u * values.clamp_min(0.0).sqrt()
    else:
        points = nn.functional.normalize(u, dim=1)
    kmeans = KMeans(n_clusters, n_init=_KMEANS_STARTS, random_state=seed)
    return kmeans.fit(points.numpy()).labels_.astype(np.int64)


def neighbor_graph(z):
    """Edges of the nearest neighbours of the rows of z (n, e): symmetric, of sum 1."""
    return neighbor_edges(z.numpy(), min(_N_NEIGHBORS, len(z) - 1))


def normalized_cut(operator, labels, n_clusters):
    """Sum over the clusters of the share of their kernel values that leaves them."""
    members = nn.functional.one_hot(torch.from_numpy(labels), n_clusters).double()
    within = (members * operator.kernel_product(members.float())).sum(0)
    return n_clusters - float((within / (members.T @ operator.degrees).clamp_min(1e-30)).sum())


class SpectralStart(NamedTuple):
    """Labels (n,) of the start, the graph of neighbours there, and their modularity on it."""

    labels: np.ndarray
    graph: object
    modularity: float

    @classmethod
    def chosen(cls, operator, candidates, n_clusters, *, by_cut):
        """The best of some labels: by the cut of the kernel, or by the neighbours.

        The cut is exact where the kernel separates clusters; elsewhere it prefers a handful of
        remote rows to a cluster.
        """
        graph = neighbor_graph(operator.z)
        if by_cut:
            labels = min(candidates, key=lambda y: normalized_cut(operator, y, n_clusters))
        else:
            labels = max(candidates, key=lambda y: modularity(graph, y))
        return cls(labels, graph, modularity(graph, labels))

    def drift(self, labels):
        """Which fraction of the modularity of the start these labels have less."""
        lost = self.modularity - modularity(self.graph, labels)
        return lost / max(abs(self.modularity), 1e-12)


class HeldSchedule(Schedule):
    """Trains for the labels of the start until k-means finds them in the embedding.

    Parameters
    ----------
    task : Task
    labels : ndarray of shape (n,)
    centers : Tensor of shape (n_clusters, e)
        Of clusters without a row.
    """

    def __init__(self, task, labels, centers):
        self.task = task
        self.labels = labels
        self.head = {"cluster_centers_": centers}

    def indicator(self):
        """U of the labels."""
        k = len(self.head["cluster_centers_"])
        return cluster_indicator(torch.from_numpy(self.labels), k)

    def centers(self, z):
        """Centres of k-means on z (n, e) from these clusters."""
        return kmeans_from(self.labels, z, self.head)

    def refresh(self, net):
        if len(net.history) > 1:
            z = self.task.embed()
            found = squared_distances(z, self.centers(z)).argmin(1).numpy()
            change = label_change(self.labels, found)
            net.history.record("start_change", change)
            net.stop_training |= change <= _LEARNED
