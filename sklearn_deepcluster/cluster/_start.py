"""The clustering that a method starts from, and how a network learns it."""

import dataclasses
import math

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils import check_array
from sklearn.utils.validation import has_fit_parameter
from torch import nn

from sklearn_deepcluster._engine import Callback, Standard, Tasks, generator, in_rounds
from sklearn_deepcluster.cluster._agglomeration import rows_of
from sklearn_deepcluster.cluster._graph import GraphAgglomerative
from sklearn_deepcluster.cluster._moves import modularity, neighbor_edges, normalized_cut
from sklearn_deepcluster.cluster._neighbors import has_approximate_search
from sklearn_deepcluster.cluster._softmax import SoftmaxLayer
from sklearn_deepcluster.losses import weighted
from sklearn_deepcluster.nn import linear

KMEANS_STARTS = 20
# Starts of k-means whose inertia is above the least by no more than this share are told apart by
# how modular they are on a graph of so many neighbours, by so many rows at most.
_NEAR_LEAST, _TOLD_BY, _TOLD_ROWS = 0.01, 10, 4_000
# Clusters of embedding or rows are clearer than the others where their modularity, summed over the
# graphs of both, is larger by so much of that of the others, and their cut is not.
_CLEARER = 0.025
# Least variance within clusters: absolute, and relative to that of all rows.
MIN_VARIANCE = 1e-6
MIN_SHARE = 1e-3
_GRAPH_LINKAGES = {"ac-gdl": "degree", "ac-pic": "path_integral", "ac-mod": "modularity"}
# What every method takes by name; a method may add seedings, which are not optimised further.
NAMES = ("k-means", "auto", *_GRAPH_LINKAGES)
SEEDINGS = ("k-means++", "random")

# The clusters that a network learns are found in as many rows as are so many bytes as float32, or
# in so many if those are wide. Where neighbours are searched exactly, in time that is quadratic in
# the rows, in so many at most.
START_BYTES, WIDE_START_ROWS, EXACT_START_ROWS = 2**28, 10_000, 60_000
# Rows of more bytes are not looked at beside their embedding: they may be a file.
RAW_BYTES = 2**25
# They are learned in rounds of so many steps: for 200, or one pass where that is more, and on until
# in a round the network agrees with them on this share of the rows, for 2,000 steps at most. Images
# of digits get there in 200; all the way, a network learns the errors of the clusters, too. Of
# sequences they are learned for four passes at least, not for 200 steps: a recurrent network learns
# a hundred by heart in 200 steps, errors included, and thousands but coarsely in one pass.
START_ROUND, START_STEPS, MAX_START_STEPS = 50, 200, 2000
SEQUENCE_PASSES = 4
START_AGREEMENT = 0.94


@dataclasses.dataclass
class Start:
    """The clustering to start from.

    Attributes
    ----------
    init : str, array-like of shape (n_clusters, e) or clusterer
        "k-means" is :func:`best_kmeans`; those with "ac-" are `GraphAgglomerative`, and "auto" is
        it by modularity, of the embedding or, if those are clearer or it is a table, of the rows;
        "k-means++" and "random" are rows of z, in equal clusters only where there are too few
        distinct ones.
    n_clusters : int
    seed : int
    raw_rows : callable or None
        Returns the rows themselves, Tensor (n, d); None where they are too many.
    table : bool
        The rows are no images: theirs are the clusters of "auto" unless the others are clearer.
    labels : int64 Tensor of shape (n,) or None
        The clusters that were found last.
    described : Tensor of shape (n, d) or None
        The description of sequences that was chosen.
    weight : ndarray of shape (n,) or None
        How much each row counts: in k-means, for a clusterer whose ``fit`` takes ``sample_weight``,
        and in the means. ``GraphAgglomerative`` does without.
    tasks : Tasks
        Of the run.
    """

    init: object
    n_clusters: int
    seed: int = 0
    raw_rows: object = None
    table: bool = False
    labels: object = None
    described: object = None
    weight: object = None
    tasks: Tasks = dataclasses.field(default_factory=Tasks)

    @property
    def of_graph(self):
        """Whether it is the most modular partition of a graph."""
        by_linkage = getattr(self.init, "linkage", None) == "modularity"
        return self.init in ("auto", "ac-mod") if isinstance(self.init, str) else by_linkage

    def check(self, width):
        """Check given centres; `width` is that of the embedding, None where it is not known.

        Raises
        ------
        ValueError
            If `init` is neither a name nor a clusterer nor an array (n_clusters, width).
        """
        init = self.init
        if init is None or isinstance(init, str) or _is_clusterer(init):
            return
        try:
            centers = check_array(init, dtype=np.float32, input_name="init")
        except (TypeError, ValueError) as exc:
            raise ValueError(
                f"init={init!r} is no array of centres (n_clusters, n_components): {exc}"
            ) from exc
        if len(centers) != self.n_clusters:
            raise ValueError(f"init has {len(centers)} centres; n_clusters={self.n_clusters}.")
        if width is not None and centers.shape[1] != width:
            raise ValueError(
                f"init has centres in {centers.shape[1]} dimensions; the embedding has {width}."
            )

    def clusters(self, z, chosen=None):
        """Cluster embedded rows, for the start.

        Parameters
        ----------
        z : Tensor or csr_array of shape (n, e)
        chosen : ndarray of shape (n,), default=None
            Which rows they are, where they are not all.

        Returns
        -------
        labels : int64 Tensor of shape (n,)
        centers : float32 Tensor of shape (n_clusters, e)
            Those given, or else the cluster means.

        Raises
        ------
        ValueError
            If a clusterer finds noise or another number of clusters.
        """
        with self.tasks.stage("start"):
            return self.find(z, chosen)

    def find(self, z, chosen=None):
        """Cluster embedded rows, at any time."""
        weight = self.weight if self.weight is None or chosen is None else self.weight[chosen]
        labels, centers = self._found(z if issparse(z) else z.numpy(), weight)
        self.labels = labels
        return labels, centers

    def _found(self, z, weight):
        init, n_clusters = self.init, self.n_clusters
        if isinstance(init, str) and init in SEEDINGS:
            init = seed_rows(init, z, n_clusters, self.seed, weight)
        if isinstance(init, str) and init == "k-means":
            kmeans = best_kmeans(z, n_clusters, self.seed, weight)
            labels = torch.from_numpy(kmeans.labels_.astype(np.int64))
            return labels, cluster_means(z, kmeans.labels_, kmeans.cluster_centers_, weight)
        if isinstance(init, str) or _is_clusterer(init):
            if init == "auto":
                labels = self._clearer(z)
            elif isinstance(init, str):
                graph = GraphAgglomerative(linkage=_GRAPH_LINKAGES[init])
                labels = self._by_clusterer(graph, z, weight)
            else:
                labels = self._by_clusterer(init, z, weight)
            # Where rows are equal there can be fewer: the others start empty, at the mean.
            empty = np.broadcast_to(z.mean(axis=0), (n_clusters, z.shape[1]))
            return torch.from_numpy(labels), cluster_means(z, labels, empty, weight)
        Start(init, n_clusters).check(z.shape[1])
        centers = np.array(init, dtype=np.float32)
        labels = pairwise_distances_argmin(z, centers).astype(np.int64)
        return torch.from_numpy(labels), torch.from_numpy(centers)

    def _clearer(self, z):
        """Clusters of the embedding, or those of the rows themselves where they are clearer.

        Both are judged on both graphs: an embedding that has learned little has clusters of its
        own, of which the rows know nothing. That of a table seldom has better ones than the rows.
        What is more modular because it tears a large cluster cuts more, and is not clearer.
        """
        embedded = GraphAgglomerative(self.n_clusters).fit(z)
        if self.raw_rows is None or self.n_clusters == 1:
            return embedded.labels_
        rows = self.raw_rows().numpy()
        raw = GraphAgglomerative(self.n_clusters).fit(rows)
        told = _told_rows(len(z), np.random.RandomState(self.seed))
        graphs = [_told_edges(embedded, z[told]), _told_edges(raw, rows[told])]
        first, other = (raw, embedded) if self.table else (embedded, raw)
        of_first, of_other = (
            np.sum([_judged(edges, found.labels_, told, self.n_clusters) for edges in graphs], 0)
            for found in (first, other)
        )
        rises = of_other[0] - of_first[0] > _CLEARER * abs(of_first[0])
        return (other if rises and of_other[1] <= of_first[1] else first).labels_

    def _by_clusterer(self, init, z, weight):
        clusterer = clone(init)
        params = clusterer.get_params()
        if "n_clusters" in params:
            clusterer.set_params(n_clusters=self.n_clusters)
        if params.get("random_state", self.seed) is None:
            clusterer.set_params(random_state=self.seed)
        weighs = weight is not None and hasattr(clusterer, "fit")
        weighs = weighs and has_fit_parameter(clusterer, "sample_weight")
        weights = {"sample_weight": weight} if weighs else {}
        found, labels = np.unique(clusterer.fit_predict(z, **weights), return_inverse=True)
        few = isinstance(clusterer, GraphAgglomerative) and len(found) < self.n_clusters
        if found[0] < 0 or (len(found) != self.n_clusters and not few):
            noise = " and noise" if found[0] < 0 else ""
            raise ValueError(
                f"init={self.init!r} found {np.sum(found >= 0)} clusters{noise}; "
                f"n_clusters={self.n_clusters} without noise are needed."
            )
        return labels.astype(np.int64)


def best_kmeans(z, n_clusters, seed, weight=None):
    """k-means of 20 starts: of those near the least inertia the one that is most modular.

    Embeddings have partitions that differ by a class or two and by less than a hundredth in
    inertia; which of them is least is chance. Where neighbours share their cluster more often is
    not.

    Parameters
    ----------
    z : ndarray or csr_array of shape (n, e)
    n_clusters : int
    seed : int
    weight : ndarray of shape (n,), default=None
        How much each row counts in the inertia.

    Returns
    -------
    kmeans : KMeans
        Fitted.
    """
    random = np.random.RandomState(seed)
    runs = []
    for _ in range(KMEANS_STARTS):
        run = KMeans(n_clusters, n_init=1, random_state=random.randint(2**31 - 1))
        run.fit(z, sample_weight=weight)
        if len(np.unique(run.labels_)) < n_clusters:  # too few distinct rows, for all starts
            return run
        runs.append(run)
    runs.sort(key=lambda run: run.inertia_)
    near = [run for run in runs if run.inertia_ <= (1 + _NEAR_LEAST) * runs[0].inertia_]
    told = _told_rows(z.shape[0], random)
    if len(near) == 1 or n_clusters == 1 or len(told) <= n_clusters:
        return runs[0]
    edges = neighbor_edges(z[told], min(_TOLD_BY, len(told) - 1))
    return max(near, key=lambda run: modularity(edges, run.labels_[told]))


def _told_rows(n, random):
    """Of n rows some, in ascending order, by whose graph partitions are told apart."""
    return np.sort(random.permutation(n)[:_TOLD_ROWS])


def _judged(edges, labels, told, n_clusters):
    """Modularity and normalised cut of some labels; a cluster that was not found is all cut."""
    lost = n_clusters - len(np.unique(labels))
    labels = np.unique(labels[told], return_inverse=True)[1]
    return modularity(edges, labels), normalized_cut(edges, labels) + lost


def _told_edges(clusterer, X):
    """Edges of neighbours among some rows, compared as a fitted graph has compared all."""
    rows = rows_of(X, Standard(clusterer.center_, clusterer.scale_), clusterer.metric_)
    return neighbor_edges(rows, min(clusterer.n_neighbors_, len(rows) - 1))


def _is_clusterer(init):
    return hasattr(init, "fit_predict") and not isinstance(init, type)


class LabelLoss(SoftmaxLayer):
    """Cross-entropy of a soft-max layer and the labels of all rows, the targets."""

    def forward(self, step):
        """Return the loss of a batch, and on which share of the rows it agrees with the labels."""
        log_proba, labels = self.log_proba(step.outputs[0]), step.targets[step.index]
        agreement = (log_proba.argmax(1) == labels).float().mean()
        error = nn.functional.nll_loss(log_proba, labels, reduction="none")
        return {"loss": step.mean(error), "agreement": agreement}


class StopAtAgreement(Callback):
    """Stop once so many rounds were made, and the last one agreed well enough."""

    def __init__(self, rounds):
        self.rounds = rounds

    def on_epoch_end(self, net, **kwargs):
        agrees = net.history[-1]["agreement"] >= START_AGREEMENT
        net.stop_training |= agrees and len(net.history) >= self.rounds


def random_softmax(task):
    """Weights and biases of a soft-max layer that knows nothing."""
    layer = linear(task.n_components, task.start.n_clusters, generator(task.seed))
    return layer.weight.detach(), layer.bias.detach()


def learn_clusters(task):
    """Train network and a soft-max layer for clusters; return the layer's weights and biases.

    The clusters are those of the embedding where the network was trained to reconstruct; what it
    has not learned to embed says less than the data. Of sequences they are those of a description,
    see :mod:`~sklearn_deepcluster.cluster._descriptions`; a clusterer gets the values as they are.
    """
    n_samples, chosen = len(task.rows), None
    limit = max(WIDE_START_ROWS, START_BYTES // (4 * task.rows.n_features))
    if issparse(task.rows.X) or not has_approximate_search():
        limit = min(limit, EXACT_START_ROWS)
    if n_samples > limit:
        order = torch.randperm(n_samples, generator=generator(task.seed))
        chosen = order[:limit].sort().values
        task = task.with_rows(chosen)
        chosen = chosen.numpy()
    if task.start.raw_rows is not None:  # without a representation they are what is clustered
        task.start.raw_rows = None if task.reconstruction is None else task.raw_rows
    per_pass = len(task.rows) // task.trainer.batch_size
    least = SEQUENCE_PASSES * per_pass if task.sequential else max(START_STEPS, per_pass)
    least = max(1, -(-least // START_ROUND))
    rounds = max(least, MAX_START_STEPS // START_ROUND)
    with task.start.tasks.task("start", rounds):
        labels = task.start.clusters(_seen_by_start(task), chosen)[0]
        if chosen is not None:
            task.start.labels = torch.full((n_samples,), -1)
            task.start.labels[chosen] = labels
        labels = labels.to(task.trainer.device)
        objective = LabelLoss(*random_softmax(task)).to(task.trainer.device)
        task = dataclasses.replace(
            task,
            companion=None,
            stage=f"{task.stage.partition(':')[0]}: start",
            trainer=dataclasses.replace(task.trainer, callbacks=None),  # those are for later
        )
        task.train(
            objective,
            rounds=rounds,
            batches=in_rounds(START_ROUND, reshuffle=True),
            targets=labels,
            schedule=[StopAtAgreement(least)],
        )
    return objective.weight.detach(), objective.bias.detach()


def _seen_by_start(task):
    """What the clusters to start from are found in, Tensor (n, d) on the CPU.

    Sparse rows that are too many to be made dense are a csr_array.
    """
    if task.reconstruction is not None:
        return task.embed()
    if issparse(task.rows.X) and 4 * math.prod(task.rows.X.shape) > RAW_BYTES:
        return task.rows.without_center()
    if _is_clusterer(task.start.init):
        return task.raw_rows()
    return task.described_rows()


def nearest_mean_softmax(z, labels, centers, weight=None):
    """Weights (k, e) and biases (k,) of the soft-max that is the posterior of round Gaussians.

    Its clusters are those of the nearest centre wherever the origin lies; the width is that of the
    clusters.

    Parameters
    ----------
    z : Tensor of shape (n, e)
    labels : int Tensor of shape (n,)
    centers : Tensor of shape (k, e)
    weight : Tensor of shape (n,), default=None
    """
    variance = within_variance(z, labels, centers, weight)
    return centers / variance, -0.5 * centers.square().sum(1) / variance


def kmeans_from(labels, z, head):
    """Centres (k, e) of k-means on z (n, e) from these clusters, which keep their numbers.

    Those that are empty start from the centres of the head.
    """
    z = z.numpy()
    start = cluster_means(z, labels, head["cluster_centers_"].cpu().numpy()).numpy()
    kmeans = KMeans(len(start), init=start, n_init=1).fit(z)
    return cluster_means(z, kmeans.labels_, kmeans.cluster_centers_)


def seed_rows(init, z, n_clusters, seed, weight=None):
    """Rows of z to start from, drawn by k-means++ or at random, distinct while there are such.

    The larger its weight, the more likely a row is drawn.
    """
    random = np.random.RandomState(seed)
    if init == "k-means++":
        return kmeans_plusplus(z, n_clusters, sample_weight=weight, random_state=random)[0]
    if weight is None:
        order = random.permutation(len(z))
    else:
        order = random.choice(len(z), len(z), replace=False, p=weight / weight.sum())
    chosen, left = [], order
    while len(chosen) < n_clusters:
        if not len(left):
            return z[[*chosen, *order[: n_clusters - len(chosen)]]]
        chosen.append(left[0])
        left = left[(z[left] != z[left[0]]).any(axis=1)]
    return z[chosen]


def within_variance(z, labels, centers, weight=None):
    """Variance per dimension within clusters, the width of the round Gaussians that fit them.

    Rows that are all but equal within their clusters, for which weights would be endless, count as
    a thousandth as wide as the data, or as `MIN_VARIANCE`.

    Parameters
    ----------
    z : Tensor of shape (n, e)
    labels : int Tensor of shape (n,)
    centers : Tensor of shape (k, e)
    weight : Tensor of shape (n,), default=None
    """
    floor = max(MIN_VARIANCE, MIN_SHARE * float(variances(z, weight).mean()))
    return max(floor, float(weighted((z - centers[labels]).square(), weight).mean()))


def variances(z, weight=None):
    """Variance (e,) of each column of z (n, e), with weights (n,) of mean 1 if given."""
    if weight is None:
        return z.var(0, correction=0)
    return weighted((z - weighted(z, weight).mean(0)).square(), weight).mean(0)


def cluster_means(z, labels, empty, weight=None):
    """Mean of each cluster as float32 Tensor (k, e); `empty` holds those of empty clusters.

    Recomputed from the labels, so that the last bits do not depend on the order in which a
    parallel k-means added up.
    """
    centers = np.array(empty, dtype=np.float32, order="C")
    for j in np.unique(labels):
        members = labels == j
        if weight is None:
            centers[j] = z[members].mean(axis=0, dtype=np.float64)
        else:
            centers[j] = np.average(z[members].astype(np.float64), axis=0, weights=weight[members])
    return torch.from_numpy(centers)
