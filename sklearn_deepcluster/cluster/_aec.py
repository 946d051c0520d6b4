"""AEC: auto-encoder based data clustering.

Reference: Song, Liu, Huang, Wang, Tan, "Auto-encoder Based Data Clustering" (CIARP 2013).
Implemented: reconstruction error and distance to the centres, and the alternation of network,
assignments and centres.

Deviations: the reconstruction error is a mean over features where the paper has a sum; Adam instead
of conjugate gradients. A random start are rows of the embedding; that of the authors is a random
partition into equal groups, whose centres all but coincide. A cluster that has lost its rows goes
on from the row that is farthest from its centre. The authors' demonstration code minimises half a
cross-entropy instead of the distance, -c log f(x), which grows the embedding without end; that is
not imitated.
"""

import numbers

from torch import nn

from sklearn_deepcluster._engine import Schedule
from sklearn_deepcluster.base import TakesWeights
from sklearn_deepcluster.cluster._base import BaseDeepClusterer
from sklearn_deepcluster.cluster._start import NAMES, SEEDINGS
from sklearn_deepcluster.cluster._task import Outcome, watch_labels
from sklearn_deepcluster.losses import squared_distances, weighted
from sklearn_deepcluster.representation._base import n_epochs
from sklearn_deepcluster.utils._sklearn import HasMethods, Interval, StrOptions


class CenterDistanceLoss(nn.Module):
    r"""The objective of AEC.

    .. math::
        L = R + \frac{\lambda}{b} \sum_{i \in B} \lVert f(x_i) - c_{s_i} \rVert^2

    with the reconstruction error R of the representation. The targets are the centres (n, e) of the
    clusters of all rows.

    Parameters
    ----------
    centers : Tensor of shape (k, e)
    reconstruction : nn.Module
    lam : float
    """

    def __init__(self, centers, reconstruction, lam):
        super().__init__()
        self.register_buffer("centers", centers.clone())
        self.reconstruction = reconstruction
        self.lam = lam

    def forward(self, step):
        """Return the terms of the loss for a batch."""
        distance = step.mean((step.outputs[0] - step.targets[step.index]).square().sum(1))
        terms = self.reconstruction(step)
        error = terms.pop("loss")
        terms |= {"reconstruction": error.detach(), "distance": distance.detach()}
        return {"loss": error + self.lam * distance, **terms}


class CenterRefresh(Schedule):
    """Before each pass: the nearest centre of each row, then the means of the clusters.

    The first time the clusters are those that are given.
    """

    def __init__(self, task, objective, labels, tol):
        self.task = task
        self.objective = objective
        self.given = labels
        self.labels = None
        self.tol = tol

    def refresh(self, net):
        z = self.task.embed(self.objective.centers.device)
        labels, before = self.move_centers(z), self.labels
        watch_labels(net, before, labels, self.tol)
        self.labels = labels
        return self.objective.centers[labels]

    def move_centers(self, z):
        """Move the centres to the means of their clusters; return the labels."""
        labels, self.given = self.given, None
        if labels is None:
            labels = squared_distances(z, self.objective.centers).argmin(1)
        self.objective.centers = means_of(z, labels, self.objective.centers, self.task.weight)
        return labels


def means_of(z, labels, centers, weight=None):
    """Means (k, e) of the clusters; an empty one takes a row farthest from its centre.

    Parameters
    ----------
    z : Tensor of shape (n, e)
    labels : int64 Tensor of shape (n,)
    centers : Tensor of shape (k, e)
        Those before.
    weight : Tensor of shape (n,), default=None
    """
    members = weighted(nn.functional.one_hot(labels, len(centers)).to(z.dtype), weight)
    counts = members.sum(0)
    means = members.T @ z / counts.where(counts > 0, 1.0).unsqueeze(1)
    empty = (counts == 0).nonzero()[:, 0]
    gaps = (z - centers[labels]).square().sum(1)
    means[empty] = z[gaps.argsort(descending=True, stable=True)[: len(empty)]]
    return means


class AEC(TakesWeights, BaseDeepClusterer):
    """Auto-encoder based clustering: rows are pulled to the mean of their cluster.

    An autoencoder is trained, and trained further with the squared distance of each row to its
    centre beside the reconstruction error. Assignments and centres are renewed before each pass
    over the data, as in k-means.

    Parameters
    ----------
    init : {"k-means", "k-means++", "random", "ac-gdl", "ac-pic", "ac-mod", "auto"}, array-like or \
            clusterer
        Initial clustering of the embedding: k-means with 20 starts; rows drawn by k-means++ or at
        random; ``GraphAgglomerative`` by degree linkage, path integral or modularity ("auto": by
        modularity, of the embedding or, if that is clearer, of X itself where it has at most 32 MB
        as float32); centres of shape (n_clusters, n_components); or a clusterer, which is cloned
        and given `n_clusters`, and a seed if it has none.

    lam : float or "auto"
        Weight of the squared distances to the centres (mean over rows) relative to the
        reconstruction error (mean over rows and features, in units of the scale). "auto" makes both
        equally large at the start. 0 is the plain autoencoder.

    tol : float
        Stop when a smaller fraction of the labels changed from one pass to the next; 0 never stops.

    Attributes
    ----------
    lam_ : float
        The weight of the distances.

    module_ : torch.nn.Module
        The autoencoder, with ``encode`` and ``decode``; it works on (X - ``center_``) / ``scale_``.

    history_ : dict of lists
        Per epoch: "loss", "reconstruction", "distance", "label_change" (from the second on); and
        "pretraining_loss" per epoch of the representation.

    See Also
    --------
    DCN : The same with centres that move with every batch.
    DKM : Soft assignments.

    References
    ----------
    .. [1] C. Song, F. Liu, Y. Huang, L. Wang, T. Tan, "Auto-encoder Based Data Clustering", CIARP
       2013.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_deepcluster import AEC, Autoencoder
    >>> X, _ = make_blobs(150, centers=3, n_features=8, random_state=0)
    >>> ae = Autoencoder(hidden_layer_sizes=(32,), n_components=3, min_steps=300)
    >>> aec = AEC(3, autoencoder=ae, min_steps=60, random_state=0).fit(X)
    >>> aec.inverse_transform(aec.cluster_centers_).shape
    (3, 8)
    """

    _parameter_constraints = {
        **BaseDeepClusterer._parameter_constraints,
        "init": [StrOptions({*NAMES, *SEEDINGS}), "array-like", HasMethods("fit_predict")],
        "lam": [Interval(numbers.Real, 0, None, closed="left"), StrOptions({"auto"})],
    }
    _keeps_decoder = True

    def __init__(
        self,
        n_clusters=8,
        *,
        autoencoder=None,
        init="k-means",
        lam="auto",
        max_epochs=50,
        min_steps=1000,
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
        self.lam = lam
        self.max_epochs = max_epochs
        self.min_steps = min_steps
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
        z, labels = task.embed(), None
        if task.resumed:
            centers = task.head["cluster_centers_"]
        else:
            labels, centers = task.start.clusters(z)
        lam = task.distance_weight(self, z, centers, labels)
        labels = None if labels is None else labels.to(task.trainer.device)
        objective = CenterDistanceLoss(centers, task.reconstruction, lam)
        objective.to(task.trainer.device)
        refresh = CenterRefresh(task, objective, labels, self.tol)
        history = task.train(
            objective,
            rounds=n_epochs(len(task.rows), self.batch_size, self.max_epochs, self.min_steps),
            schedule=[refresh],
            assign=lambda z: squared_distances(z, objective.centers).argmin(1),
        )
        refresh.move_centers(task.embed(task.trainer.device))  # of the last weights
        return Outcome({"cluster_centers_": objective.centers}, history, {"lam_": lam})
