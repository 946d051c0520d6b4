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

import numbers

import numpy as np
import torch

from sklearn_deepcluster.base import POSITIVE_INT
from sklearn_deepcluster.cluster._base import BaseDeepClusterer
from sklearn_deepcluster.cluster._graph import GraphAgglomerative
from sklearn_deepcluster.cluster._periods import (
    LEAST_BATCH,
    ClusterBatches,
    Periods,
    TripletLoss,
    cluster_counts,
    first_rows,
    graph_of,
)
from sklearn_deepcluster.cluster._start import cluster_means
from sklearn_deepcluster.cluster._task import Outcome
from sklearn_deepcluster.representation import DefaultEncoder
from sklearn_deepcluster.utils._sklearn import Interval, StrOptions


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
        Number of whole runs with different seeds; see ``DEC``.

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
        checkpoint=None,
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
        self.checkpoint = checkpoint
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
        if self.batch_size < LEAST_BATCH:
            raise ValueError(
                f"batch_size={self.batch_size} should be >= {LEAST_BATCH}: a batch must have room "
                "for pairs of several clusters."
            )

    def _adapt(self, module, settings, rng):
        module = super()._adapt(module, settings, rng)
        module.unit_norm = True
        return module

    def _optimize(self, task):
        first = None
        if task.resumed:
            labels = self._assign(task.embed(task.trainer.device), task.head).cpu()
            counts = [self.n_clusters]
        else:
            with task.start.tasks.stage("start"):
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
        graph = GraphAgglomerative(
            self.n_clusters,
            n_neighbors=self.n_neighbors,
            linkage=self.recluster,
            metric="euclidean",
        )
        return graph.fit_predict(z.numpy())
