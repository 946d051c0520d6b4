"""DEKM: deep embedded k-means.

Reference: Guo, Lin, Ye, "Deep Embedded K-Means Clustering" (ICDMW 2021). Implemented: algorithm 1
with Eq. 4-6 (k-means, rotation by the within-cluster scatter, greedy target), in the form of the
authors' code, where the coordinates that are not replaced are anchored to their values at the last
update (``anchor=True``), and literally. Deviations: ``eigh`` instead of ``eig``; k-means is
warm-started from the last centres unless `kmeans_n_init` asks for fresh starts; Glorot's
initialisation.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics.cluster import contingency_matrix
from torch import nn

from sklearn_deepcluster._engine import Schedule, in_rounds
from sklearn_deepcluster.base import POSITIVE_INT, TakesWeights
from sklearn_deepcluster.cluster._base import BaseDeepClusterer
from sklearn_deepcluster.cluster._start import cluster_means
from sklearn_deepcluster.cluster._task import Outcome
from sklearn_deepcluster.losses import (
    dekm_targets,
    scatter_rotation,
    squared_distances,
    weighted,
    within_scatter,
)
from sklearn_deepcluster.utils._sklearn import StrOptions


class RotatedTargetLoss(nn.Module):
    r"""The objective of DEKM.

    .. math:: L = \frac{1}{e} \sum_{i \in B} \lVert V^T f(x_i) - y'_i \rVert^2

    The sum over the batch and the mean over the e coordinates are those of the authors' code.
    ``centers`` are those of the last k-means.
    """

    def __init__(self):
        super().__init__()
        self.register_buffer("centers", None)

    def forward(self, step):
        """Return the loss of a batch."""
        made = step.targets
        difference = step.outputs[0] @ made.rotation - made.targets[step.index]
        if made.dims is not None:
            difference = difference[:, made.dims]
        loss = weighted(difference.square(), step.weight).sum() / made.targets.shape[1]
        # The net averages terms over rows; a sum over the batch is recorded per row.
        return {"loss": loss, "target_error": (loss / len(step.x)).detach()}


class RotatedTargets(NamedTuple):
    """Rotation V (e, e) and targets y' (n, e) of all rows.

    With ``dims`` only these coordinates count (the literal objective: the others are copies of
    themselves).
    """

    rotation: torch.Tensor
    targets: torch.Tensor
    dims: list | None = None


class KMeansRefresh(Schedule):
    """Before each round: k-means on the embedding, rotation, new targets; stop if settled."""

    def __init__(self, task, objective, estimator, first=None):
        self.task = task
        self.objective = objective
        self.estimator = estimator
        self.random = np.random.RandomState(task.seed)
        self.labels_ = None
        self.first = first  # the centres that the first k-means starts from

    def cluster(self):
        """k-means on the present embedding; return (embedding, labels, centres)."""
        z = self.task.embed()
        last = self.objective.centers
        if last is None:
            kmeans = KMeans(len(self.first), init=self.first.numpy(), n_init=1)
        elif self.estimator.kmeans_n_init is None:
            kmeans = KMeans(len(last), init=last.cpu().numpy(), n_init=1)
        else:
            kmeans = KMeans(
                len(last),
                n_init=self.estimator.kmeans_n_init,
                random_state=self.random.randint(np.iinfo(np.int32).max),
            )
        weight = self.task.start.weight
        kmeans.fit(z.numpy(), sample_weight=weight)
        centers = cluster_means(z.numpy(), kmeans.labels_, kmeans.cluster_centers_, weight)
        return z, kmeans.labels_.astype(np.int64), centers

    def refresh(self, net):
        z, labels, centers = self.cluster()
        if self.labels_ is not None:
            change = label_change(self.labels_, labels)
            net.history.record("label_change", change)
            net.stop_training |= change < self.estimator.tol
        self.labels_, self.objective.centers = labels, centers.to(self.task.trainer.device)
        return self._targets(z, torch.from_numpy(labels), centers)

    def _targets(self, z, labels, centers):
        target, e = self.estimator.target, z.shape[1]
        rotation = torch.eye(e, dtype=torch.float32)
        if not target.endswith("-raw"):
            scatter = within_scatter(z, labels, centers, self.task.weight)
            rotation = scatter_rotation(scatter).float()
        dims = {"last": [e - 1], "all": list(range(e))}.get(target.removesuffix("-raw"))
        if dims is None:
            dims = [int(self.random.randint(e))]
        y = z @ rotation
        device = self.task.trainer.device
        targets = dekm_targets(y, (centers @ rotation)[labels], dims).to(device)
        counted = None if self.estimator.anchor else dims
        return RotatedTargets(rotation.to(device), targets, counted)


def label_change(old, new):
    """Fraction of rows whose cluster changed, after matching the clusters (Hungarian)."""
    table = contingency_matrix(old, new)
    matched = table[linear_sum_assignment(table, maximize=True)].sum()
    return 1.0 - float(matched) / len(new)


class DEKM(TakesWeights, BaseDeepClusterer):
    """Deep embedded k-means.

    An autoencoder is trained and its decoder dropped. Then k-means on the embedding alternates
    with optimisation steps that move the samples towards their centres along the one direction
    in which the clusters are widest. There is no soft assignment.

    Parameters
    ----------
    target : {"last", "random", "all", "random-raw", "all-raw"}
        Which coordinates of the rotated embedding are moved to those of their centre: the last
        one, in which the clusters are widest, as the paper proposes; a random one, drawn anew
        each round; all. "-raw" does without the rotation. The others are the paper's ablation.

    anchor : bool
        Hold the other coordinates at their values of the last update, as the authors' code
        does. False is the equation read literally: the others are free, and nothing but the
        initialisation holds the scale of the embedding.

    kmeans_n_init : int
        Fresh k-means++ starts of the k-means of every round; None starts it from the last
        centres, which is faster and settles sooner.

    max_iter : int
        Rounds of k-means and `update_interval` steps, at most.

    update_interval : int
        Optimisation steps per round; the paper has 40 for images and 10 for text.

    tol : float
        Stop when a smaller fraction of the labels changed between two rounds; 0 never
        stops. The paper has 0.001, the authors' code 0.005.

    batch_size : int
        Rows per step; more than there are rows means one batch, and so does None: this is the
        paper's DEKM_F.

    Attributes
    ----------
    history_ : dict of lists
        Per round: "loss" (summed over the batch), "target_error" (per row), "label_change"
        (from the second round on); and
        "pretraining_loss" per epoch of the representation.

    loss_ : float
        Loss of the last round, or of the one that was kept.

    n_iter_ : int
        Number of rounds of `update_interval` steps.

    See Also
    --------
    DEC : Soft assignment.

    References
    ----------
    .. [1] W. Guo, K. Lin, W. Ye, "Deep Embedded K-Means Clustering", ICDM Workshops 2021.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_deepcluster import DEKM, Autoencoder
    >>> X, _ = make_blobs(150, centers=3, n_features=8, random_state=0)
    >>> ae = Autoencoder(hidden_layer_sizes=(32,), n_components=3, min_steps=300)
    >>> dekm = DEKM(3, autoencoder=ae, max_iter=2, random_state=0).fit(X)
    >>> dekm.transform(X).shape
    (150, 3)
    """

    _parameter_constraints = {
        **BaseDeepClusterer._parameter_constraints,
        "target": [StrOptions({"last", "random", "all", "random-raw", "all-raw"})],
        "anchor": ["boolean"],
        "kmeans_n_init": [*POSITIVE_INT, None],
        "max_iter": POSITIVE_INT,
        "update_interval": POSITIVE_INT,
        "batch_size": [*POSITIVE_INT, None],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        autoencoder=None,
        init="k-means",
        target="last",
        anchor=True,
        kmeans_n_init=None,
        max_iter=100,
        update_interval=40,
        tol=1e-3,
        drift_tol=0.01,
        batch_size=256,
        optimizer="adam",
        lr=1e-3,
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
        self.autoencoder = autoencoder
        self.init = init
        self.target = target
        self.anchor = anchor
        self.kmeans_n_init = kmeans_n_init
        self.max_iter = max_iter
        self.update_interval = update_interval
        self.tol = tol
        self.drift_tol = drift_tol
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

    def _optimize(self, task):
        objective = RotatedTargetLoss()
        if task.resumed:
            first = task.head["cluster_centers_"].cpu()
        else:
            first = task.start.clusters(task.embed())[1]
        rounds = KMeansRefresh(task, objective, self, first)
        history = task.train(
            objective,
            rounds=self.max_iter,
            batches=in_rounds(self.update_interval),
            schedule=[rounds],
            assign=lambda z: squared_distances(z, objective.centers).argmin(1),
        )
        if "train_loss" in history[-1]:
            # The rounds ran out, or were taken back: the encoder is not that of the last k-means.
            objective.centers = rounds.cluster()[2].to(task.trainer.device)
        return Outcome({"cluster_centers_": objective.centers}, history)
