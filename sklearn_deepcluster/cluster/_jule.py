"""JULE: joint unsupervised learning of deep representations and image clusters.

Reference: Yang, Parikh, Batra, "Joint Unsupervised Learning of Deep Representations and Image
Clusters" (CVPR 2016). Implemented: clusters that merge in periods, and between these a network
that learns them by triplets; labels as training leaves them (SF), or of an agglomeration of the
embedding that is done anew (RC).

Deviations: clusters merge by :mod:`._merger`, on a sparse graph whose rows have sum 1, without the
bonus for pairs that no third cluster is near to; the first period merges by the data, and by what
a random network makes of them only where they are more than 32 MB. A batch is made of rows of the
same clusters, as random ones of tens of thousands of rows would hold no pair. New rows belong to
the nearest cluster mean, and so do those of the training in the end.
"""

import math
import numbers

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from sklearn_deepcluster._engine import Batch, Schedule
from sklearn_deepcluster.base import POSITIVE_INT
from sklearn_deepcluster.cluster._agglomeration import (
    STEP_WEIGHT,
    Edges,
    canonical_order,
    edges_of,
    merge_down,
    merged,
    regrouped,
)
from sklearn_deepcluster.cluster._base import BaseDeepClusterer
from sklearn_deepcluster.cluster._merger import Merger
from sklearn_deepcluster.cluster._neighbors import nearest_neighbors
from sklearn_deepcluster.cluster._start import cluster_means
from sklearn_deepcluster.cluster._task import Outcome
from sklearn_deepcluster.kernels import squared_distance_matrix
from sklearn_deepcluster.nn import Stochastic
from sklearn_deepcluster.representation import DefaultEncoder
from sklearn_deepcluster.utils._sklearn import Interval, StrOptions

# Of each cluster so many rows are together in a batch, or a quarter of the batch.
_TOGETHER, _LEAST_BATCH = 10, 8


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
            yield Batch(self.rows.take(index), index.to(self.rows.device))


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


class JULE(BaseDeepClusterer):
    """Joint unsupervised learning of a network and of clusters that merge.

    Clusters of a few near rows each merge in periods, down to `n_clusters`; after each period a
    network learns by triplets to embed the rows of a cluster nearer to one another than to others,
    and the next merges are by its embedding.

    Parameters
    ----------
    encoder : MLPEncoder, ConvEncoder, GRUEncoder, representation, nn.Module or callable
        The network, whose embeddings are brought to norm 1. The first merges are by the embedding
        of a representation, and else by X. None is ``MLPEncoder()`` for flat rows
        and ``ConvEncoder()`` for image arrays. For what else it may be see ``DDC``.

    n_neighbors : int
        Neighbours of each row in the graph by which clusters merge.

    eta : float
        Share of the clusters that merge in a period: 0.9 as published, 0.2 for faces.

    epochs_per_period : int
        Passes over the data after the merges of a period.

    gamma : float
        Weight of the distances within clusters.

    margin : float
        By which rows of other clusters are to be farther away.

    n_negatives : int
        Rows of other clusters that each row of a batch is compared with, at most.

    recluster : {"modularity", "degree"} or None
        Clusters of the trained embedding found anew, by this linkage of ``GraphAgglomerative``
        (the paper's JULE-RC has "degree"); None takes those that training ended with (JULE-SF).

    batch_size : int
        Rows per step, at least 8: ten of each cluster are together, or a quarter of them.

    optimizer : {"adam", "sgd", "rmsprop", "adadelta"}
        Optimiser.

    lr : float
        Learning rate.

    n_init : int
        Number of whole runs with different seeds; that whose clusters are tightest is kept.

    warm_start : bool
        Go on from network and clusters of the previous fit, for one period; nothing merges, and no
        clusters are found anew.

    callbacks : list of skorch callbacks
        Copied and given to the inner skorch net.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each training sample, that of the nearest mean; equals ``predict`` of the
        training data.

    cluster_centers_ : ndarray of shape (n_clusters, n_components)
        Mean embedding of each cluster.

    n_leaves_ : int
        Number of clusters that the merging started from.

    history_ : dict of lists
        Per epoch: "loss"; "violated", the share of the triplets with a loss; "n_clusters"; and
        "pretraining_loss" per epoch of a representation.

    sample_shape_ : tuple of int
        Shape of one sample as given to ``fit``; of sequences (longest, features).

    n_features_in_ : int
        Number of features; of sequences that are not flat rows, those of a step.

    See Also
    --------
    GraphAgglomerative : The merging alone.

    References
    ----------
    .. [1] J. Yang, D. Parikh, D. Batra, "Joint Unsupervised Learning of Deep Representations and
       Image Clusters", IEEE Conference on Computer Vision and Pattern Recognition, 2016.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_deepcluster import JULE, MLPEncoder
    >>> X, _ = make_blobs(150, centers=3, n_features=8, random_state=0)
    >>> encoder = MLPEncoder(hidden_layer_sizes=(32,), n_components=8)
    >>> jule = JULE(3, encoder=encoder, epochs_per_period=5, random_state=0).fit(X)
    >>> jule.transform(X).shape, jule.predict(X[:2]).shape
    ((150, 8), (2,))
    """

    _parameter_constraints = {
        **BaseDeepClusterer._parameter_constraints,
        "n_neighbors": POSITIVE_INT,
        "eta": [Interval(numbers.Real, 0, 1, closed="neither")],
        "epochs_per_period": POSITIVE_INT,
        "gamma": [Interval(numbers.Real, 0, None, closed="neither")],
        "margin": [Interval(numbers.Real, 0, None, closed="neither")],
        "n_negatives": POSITIVE_INT,
        "recluster": [StrOptions({"modularity", "degree"}), None],
    }
    _network = "encoder"

    def __init__(
        self,
        n_clusters=8,
        *,
        encoder=None,
        n_neighbors=20,
        eta=0.9,
        epochs_per_period=20,
        gamma=1.0,
        margin=0.2,
        n_negatives=20,
        recluster="modularity",
        batch_size=100,
        optimizer="sgd",
        lr=1e-2,
        momentum=0.9,
        n_init=1,
        n_jobs=None,
        memory=None,
        warm_start=False,
        callbacks=None,
        net_params=None,
        device="auto",
        precision="auto",
        verbose=0,
        random_state=None,
    ):
        self.n_clusters = n_clusters
        self.encoder = encoder
        self.n_neighbors = n_neighbors
        self.eta = eta
        self.epochs_per_period = epochs_per_period
        self.gamma = gamma
        self.margin = margin
        self.n_negatives = n_negatives
        self.recluster = recluster
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.n_init = n_init
        self.n_jobs = n_jobs
        self.memory = memory
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.precision = precision
        self.verbose = verbose
        self.random_state = random_state

    def _default_network(self, form):
        return DefaultEncoder()

    def _check(self, given):
        if len(given.samples) == 1:
            raise ValueError("n_samples=1: the loss compares rows, so 2 at least are needed.")
        if self.batch_size < _LEAST_BATCH:
            raise ValueError(
                f"batch_size={self.batch_size} should be >= {_LEAST_BATCH}: a batch must have room "
                "for pairs of several clusters."
            )

    def _adapt(self, module, settings, rng):
        module = super()._adapt(module, settings, rng)
        module.unit_norm = True
        return module

    def _optimize(self, task):
        first = None
        if task.resumed:
            labels = self._assign(task.embed().to(task.trainer.device), task.head).cpu()
            counts = [self.n_clusters]
        else:
            rows = first_rows(task)
            first = rows, graph_of(rows, self.n_neighbors, self.n_clusters)
            labels = torch.from_numpy(first[1].leaves)
            counts = cluster_counts(int(labels.max()) + 1, self.n_clusters, self.eta)
        n_leaves = int(labels.max()) + 1
        periods = Periods(task, labels, counts, self.epochs_per_period, self.n_neighbors, first)
        history = task.train(
            TripletLoss(self.gamma, self.margin, self.n_negatives),
            rounds=len(counts) * self.epochs_per_period,
            schedule=[periods],
            batches=lambda *given: ClusterBatches(*given, periods),
        )
        periods.merge(self.n_clusters)  # a callback may have ended the training before
        z = task.embed()
        kept = self.recluster is None or task.resumed
        labels = periods.labels.numpy() if kept else self._clusters_of(z)
        empty = np.broadcast_to(z.mean(0).numpy(), (self.n_clusters, z.shape[1]))
        centers = cluster_means(z.numpy(), labels, empty)
        head = {"cluster_centers_": centers.to(task.trainer.device)}
        return Outcome(head, history, {"n_leaves_": self.n_leaves_ if task.resumed else n_leaves})

    def _clusters_of(self, z):
        edges = graph_of(z, self.n_neighbors, self.n_clusters)
        merger, _ = merged(z.numpy(), edges, self.n_clusters, self.recluster)
        if self.recluster == "modularity":
            return regrouped(merger)
        return _numbered(merger.labels).numpy()
