"""DEKM: deep embedded k-means.

Reference: Guo, Lin, Ye, "Deep Embedded K-Means Clustering" (ICDMW 2021). Implemented: algorithm 1
with Eq. 4-6 (k-means, rotation by the within-cluster scatter, greedy target), in the form of the
authors' code, where the coordinates that are not replaced are anchored to their values at the last
update (``anchor=True``), and literally. Deviations: ``eigh`` instead of ``eig``; k-means is
warm-started from the last centres unless `kmeans_n_init` asks for fresh starts; Glorot's
initialisation.
"""

import numbers
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics.cluster import contingency_matrix
from torch import nn

from sklearn_deepcluster._engine import Schedule, in_rounds
from sklearn_deepcluster.base import POSITIVE_INT
from sklearn_deepcluster.cluster._base import BaseDeepClusterer
from sklearn_deepcluster.cluster._start import cluster_means
from sklearn_deepcluster.cluster._task import Outcome
from sklearn_deepcluster.losses import dekm_targets, scatter_rotation, within_scatter
from sklearn_deepcluster.utils._sklearn import Interval, StrOptions


class RotatedTargetLoss(nn.Module):
    r"""The objective of DEKM.

    .. math:: L = \frac{1}{e} \sum_{i \in B} \lVert V^T f(x_i) - y'_i \rVert^2

    The sum over the batch and the mean over the e coordinates are those of the authors' code.
    """

    def forward(self, step):
        """Return the loss of a batch."""
        made = step.targets
        difference = step.outputs[0] @ made.rotation - made.targets[step.index]
        if made.dims is not None:
            difference = difference[:, made.dims]
        loss = difference.square().sum() / made.targets.shape[1]
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

    def __init__(self, task, estimator):
        self.task = task
        self.estimator = estimator
        self.random = np.random.RandomState(task.seed)
        self.labels_ = None
        self.centers_ = None

    def cluster(self):
        """k-means on the present embedding; return (embedding, labels, centres)."""
        z = self.task.embed()
        if self.centers_ is None:
            start = self._start(z)
            kmeans = KMeans(len(start), init=start.numpy(), n_init=1)
        elif self.estimator.kmeans_n_init is None:
            kmeans = KMeans(len(self.centers_), init=self.centers_.numpy(), n_init=1)
        else:
            kmeans = KMeans(
                len(self.centers_),
                n_init=self.estimator.kmeans_n_init,
                random_state=self.random.randint(np.iinfo(np.int32).max),
            )
        kmeans.fit(z.numpy())
        centers = cluster_means(z.numpy(), kmeans.labels_, kmeans.cluster_centers_)
        return z, kmeans.labels_.astype(np.int64), centers

    def _start(self, z):
        """The centres that the first k-means starts from."""
        if self.task.resumed:
            return self.task.head["cluster_centers_"].cpu()
        return self.task.start.clusters(z)[1]

    def refresh(self, net):
        z, labels, centers = self.cluster()
        if self.labels_ is not None:
            change = label_change(self.labels_, labels)
            net.history.record("label_change", change)
            net.stop_training |= change < self.estimator.tol
        self.labels_, self.centers_ = labels, centers
        return self._targets(z, torch.from_numpy(labels), centers)

    def _targets(self, z, labels, centers):
        target, e = self.estimator.target, z.shape[1]
        rotation = torch.eye(e, dtype=torch.float32)
        if not target.endswith("-raw"):
            rotation = scatter_rotation(within_scatter(z, labels, centers)).float()
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


class DEKM(BaseDeepClusterer):
    """Deep embedded k-means.

    An autoencoder is trained and its decoder dropped. Then k-means on the embedding alternates
    with optimisation steps that move the samples towards their centres along the one direction
    in which the clusters are widest. There is no soft assignment.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.

    autoencoder : Autoencoder, ConvAutoencoder or FrozenEstimator, default=None
        The representation to start from; None is ``Autoencoder()``. It is cloned and trained;
        a fitted one in ``sklearn.frozen.FrozenEstimator`` is used as it is, and not changed. Its
        ``random_state=None``, ``device="auto"`` and ``precision="auto"`` take the values given
        here.

    init : {"k-means", "ac-gdl", "ac-pic", "ac-mod"}, array-like or clusterer, \
            default="k-means"
        Initial clustering of the embedding: k-means with 20 starts, ``GraphAgglomerative`` by
        degree linkage, path integral or modularity, centres of shape
        (n_clusters, n_components), or a clusterer, which is cloned and given `n_clusters`, and a
        seed if it has none.

    target : {"last", "random", "all", "random-raw", "all-raw"}, default="last"
        Which coordinates of the rotated embedding are moved to those of their centre: the last
        one, in which the clusters are widest, as the paper proposes; a random one, drawn anew
        each round; all. "-raw" does without the rotation. The others are the paper's ablation.

    anchor : bool, default=True
        Hold the other coordinates at their values of the last update, as the authors' code
        does. False is the equation read literally: the others are free, and nothing but the
        initialisation holds the scale of the embedding.

    kmeans_n_init : int, default=None
        Fresh k-means++ starts of the k-means of every round; None starts it from the last
        centres, which is faster and settles sooner.

    max_iter : int, default=100
        Rounds of k-means and `update_interval` steps, at most.

    update_interval : int, default=40
        Optimisation steps per round; the paper has 40 for images and 10 for text.

    tol : float, default=1e-3
        Stop when a smaller fraction of the labels changed between two rounds; 0 never
        stops. The paper has 0.001, the authors' code 0.005.

    batch_size : int, default=256
        Rows per step; more than there are rows means one batch, and so does None: this is the
        paper's DEKM_F.

    optimizer : {"adam", "adamw", "sgd", "rmsprop", "adagrad", "adadelta"} or class, \
            default="adam"
        Optimiser, or a subclass of ``torch.optim.Optimizer``.

    lr : float, default=1e-3
        Learning rate of the clustering phase.

    momentum : float, default=0.9
        Momentum of "sgd" and "rmsprop"; others ignore it.

    n_init : int, default=1
        Number of whole runs, pretraining included, with different seeds; the one with the best
        training score (see ``score``) is kept. A run with an empty cluster loses to any without.

    n_jobs : int, default=None
        Number of runs at a time, through joblib.

    memory : str, path or joblib.Memory, default=None
        Where to cache the fitted representation, so that fits which differ in clustering
        parameters alone train it once. Needs an integer `random_state`.

    warm_start : bool, default=False
        Go on from the network and centres of the previous fit.

    callbacks : list of skorch callbacks, default=None
        Copied and given to the inner skorch net of the clustering phase.

    net_params : dict, default=None
        More parameters of that net, such as ``{"optimizer__weight_decay": 1e-4}``.

    device : str or torch.device, default="auto"
        "auto" is a GPU where there is one.

    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of the products in training; "auto" is bfloat16 where the hardware multiplies
        it. Losses, weights and predictions are always float32.

    verbose : int, default=0
        1 shows progress bars.

    random_state : int, RandomState instance or None, default=None
        Seed of everything. The global generators are not used.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each training sample; equals ``predict`` of the training data.

    cluster_centers_ : ndarray of shape (n_clusters, n_components)
        Centres in the embedding.

    module_ : torch.nn.Module
        The encoder, with ``encode``; it works on X / ``scale_``.

    history_ : dict of lists
        Per round: "loss" (summed over the batch), "target_error" (per row), "label_change"
        (from the second round on); and
        "pretraining_loss" per epoch of the representation.

    loss_ : float
        Loss of the last round.

    n_iter_ : int
        Number of rounds of `update_interval` steps.

    scale_ : float
        Divisor of the input.

    embedding_variance_ : float
        Total variance of the training embedding.

    n_components_ : int
        Dimension of the embedding.

    sample_shape_ : tuple of int
        Shape of one sample as given to ``fit``.

    n_features_in_ : int
        Number of features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X had names.

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
        "tol": [Interval(numbers.Real, 0, None, closed="left")],
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
        batch_size=256,
        optimizer="adam",
        lr=1e-3,
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
        self.autoencoder = autoencoder
        self.init = init
        self.target = target
        self.anchor = anchor
        self.kmeans_n_init = kmeans_n_init
        self.max_iter = max_iter
        self.update_interval = update_interval
        self.tol = tol
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

    def _optimize(self, task):
        rounds = KMeansRefresh(task, self)
        history = task.train(
            RotatedTargetLoss(),
            rounds=self.max_iter,
            batches=in_rounds(self.update_interval),
            schedule=[rounds],
        )
        if "train_loss" in history[-1]:
            # The rounds ran out: the encoder has moved since the last k-means.
            rounds.centers_ = rounds.cluster()[2]
        return Outcome({"cluster_centers_": rounds.centers_.to(task.trainer.device)}, history)
