"""DCN: deep clustering network.

Reference: Yang, Fu, Sidiropoulos, Hong, "Towards K-means-friendly Spaces: Simultaneous Deep
Learning and Clustering" (ICML 2017). Implemented: Eq. 5 with its updates in turn (section 4.2): a
step of the network with the assignments as they are, then the rows of the batch are assigned anew
by the moved encoder, then the centres move, each by one over the rows that it has had.

Deviations: the reconstruction error is a mean over features where the paper has a sum; a batch
moves the centres at once, which equals the paper's loop over its rows; labels are those of the
nearest centre, where the authors report the stored ones. Their first public code divides counts as
integers, so that the centres never move; in that of the DKM authors only the last row of each batch
counts, and the optimiser moves the centres. Neither is imitated.
"""

import copy
import numbers

import torch
from torch import nn

from sklearn_deepcluster._engine import Tasks, draw_seed, ordinary_tensors, random_stream
from sklearn_deepcluster.base import TakesWeights
from sklearn_deepcluster.cluster._base import BaseDeepClusterer
from sklearn_deepcluster.cluster._network import network_of
from sklearn_deepcluster.cluster._task import AssignmentWatch, Given, Outcome
from sklearn_deepcluster.losses import squared_distances, weighted
from sklearn_deepcluster.representation._base import n_epochs
from sklearn_deepcluster.utils._sklearn import Interval, StrOptions, _fit_context


class HardAssignmentLoss(nn.Module):
    r"""The objective of DCN.

    .. math::
        L = R + \frac{\lambda}{2 b} \sum_{i \in B} \lVert f(x_i) - \mu_{s_i} \rVert^2

    with the reconstruction error R of the representation. Assignments s and centres are constants
    of a step, and follow after it.

    Parameters
    ----------
    centers : Tensor of shape (k, e)
    counts : Tensor of shape (k,)
        Rows that each centre counts as the mean of.
    labels : int64 Tensor of shape (n,)
        Assignments of all rows.
    reconstruction : nn.Module
    lam : float
    """

    def __init__(self, centers, counts, labels, reconstruction, lam):
        super().__init__()
        self.register_buffer("centers", centers.clone())
        self.register_buffer("counts", counts.clone())
        self.register_buffer("labels", labels.clone())
        self.reconstruction = reconstruction
        self.lam = lam

    def forward(self, step):
        """Return the terms of the loss for a batch."""
        gaps = step.outputs[0] - self.centers[self.labels[step.index]]
        distance = step.mean(gaps.square().sum(1))
        terms = self.reconstruction(step)
        error = terms.pop("loss")
        loss = error + 0.5 * self.lam * distance
        terms |= {"reconstruction": error.detach(), "distance": distance.detach()}
        return {"loss": loss, **terms}

    @torch.no_grad()
    def after_step(self, step):
        """Assign the rows of the batch anew, then move the centres."""
        z = step.embed(step.x)
        labels = squared_distances(z, self.centers).argmin(1)
        self.labels[step.index] = labels
        moved = moved_centers(self.centers, self.counts, z, labels, step.weight)
        self.centers, self.counts = moved


def moved_centers(centers, counts, z, labels, weight=None):
    """Centres and counts after these rows, each of which moves its centre by one over its count.

    Parameters
    ----------
    centers : Tensor of shape (k, e)
    counts : Tensor of shape (k,)
    z : Tensor of shape (b, e)
    labels : int64 Tensor of shape (b,)
    weight : Tensor of shape (b,), default=None
        What a row adds to the count; None is 1.

    Returns
    -------
    centers, counts : Tensors
        As the loop ``counts[j] += 1; centers[j] += (z[i] - centers[j]) / counts[j]`` gives them.
    """
    members = weighted(nn.functional.one_hot(labels, len(centers)).to(z.dtype), weight)
    after = counts + members.sum(0)
    sums = counts.unsqueeze(1) * centers + members.T @ z
    return torch.where((after > 0).unsqueeze(1), sums / after.unsqueeze(1), centers), after


class DCN(TakesWeights, BaseDeepClusterer):
    """Deep clustering network: an autoencoder whose embedding is to suit k-means.

    An autoencoder is trained, and trained further with the squared distance of each row to its
    centre beside the reconstruction error. Assignments and centres follow batch by batch, on line:
    a centre is the running mean of the rows that were assigned to it. ``partial_fit`` goes on with
    new data.

    Parameters
    ----------
    lam : float or "auto"
        Weight of half the squared distances to the centres (mean over rows) relative to the
        reconstruction error (mean over rows and features, in units of the scale). "auto" makes both
        terms equally large at the start. 0 is the plain autoencoder.

    count_init : int
        How many rows each centre counts as the mean of at the start: the more, the slower it moves.

    tol : float
        Stop when a smaller fraction of the labels changed in one pass; 0 never stops.

    Attributes
    ----------
    lam_ : float
        The weight of half the distances.

    counts_ : ndarray of shape (n_clusters,)
        How many rows each centre is the mean of, `count_init` included; the sum of their weights.

    module_ : torch.nn.Module
        The autoencoder, with ``encode`` and ``decode``; it works on (X - ``center_``) / ``scale_``.

    history_ : dict of lists
        Per epoch: "loss", "reconstruction", "distance", "label_change"; and "pretraining_loss" per
        epoch of the representation.

    See Also
    --------
    IDEC : Soft assignments.
    KMeansNet : Embedding and centres on the unit sphere.

    References
    ----------
    .. [1] B. Yang, X. Fu, N. D. Sidiropoulos, M. Hong, "Towards K-means-friendly Spaces:
       Simultaneous Deep Learning and Clustering", ICML 2017.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_deepcluster import DCN, Autoencoder
    >>> X, _ = make_blobs(150, centers=3, n_features=8, random_state=0)
    >>> ae = Autoencoder(hidden_layer_sizes=(32,), n_components=3, min_steps=300)
    >>> dcn = DCN(3, autoencoder=ae, min_steps=60, random_state=0).fit(X)
    >>> dcn.inverse_transform(dcn.cluster_centers_).shape
    (3, 8)
    """

    _parameter_constraints = {
        **BaseDeepClusterer._parameter_constraints,
        "lam": [Interval(numbers.Real, 0, None, closed="left"), StrOptions({"auto"})],
        "count_init": [Interval(numbers.Integral, 0, None, closed="left")],
    }
    _keeps_decoder = True

    def __init__(
        self,
        n_clusters=8,
        *,
        autoencoder=None,
        init="k-means",
        lam=0.1,
        count_init=100,
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
        self.count_init = count_init
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
        z = task.embed()
        if task.resumed:
            centers, counts = task.head["cluster_centers_"].cpu(), task.head["counts_"].cpu()
            labels = squared_distances(z, centers).argmin(1)
        else:
            labels, centers = task.start.clusters(z)
            counts = torch.full((self.n_clusters,), float(self.count_init), dtype=torch.float32)
        lam = task.distance_weight(self, z, centers, labels, share=0.5)
        objective = HardAssignmentLoss(centers, counts, labels, task.reconstruction, lam)
        objective.to(task.trainer.device)
        epochs = n_epochs(len(task.rows), self.batch_size, self.max_epochs, self.min_steps)
        watch = AssignmentWatch(objective, self.tol)
        history = task.train(
            objective,
            rounds=epochs,
            schedule=[watch],
            assign=lambda z: squared_distances(z, objective.centers).argmin(1),
        )
        counts = objective.counts.cpu().numpy()
        learned = {"counts_": counts, "lam_": lam}
        return Outcome({"cluster_centers_": objective.centers}, history, learned)

    @_fit_context(prefer_skip_nested_validation=False)
    @ordinary_tensors
    def partial_fit(self, X, y=None):
        """Go on with more data, in one pass over them; the first call is ``fit``.

        Network and centres move as in ``fit``, the centres from the counts that they have. What
        tells of the whole training stays: ``history_``, ``loss_``, ``n_iter_``, ``kept_epoch_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array
            New data, any number of rows.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator; ``labels_`` are those of these samples.

        Raises
        ------
        ValueError
            If X or a parameter is not valid, or `n_clusters` is not that of the fit.
        FloatingPointError
            If the training diverges.
        """
        if not hasattr(self, "module_"):
            return self.fit(X, y)
        self._validate_params()
        if len(self.cluster_centers_) != self.n_clusters:
            raise ValueError("partial_fit cannot go on with another n_clusters.")
        samples = self._read(X, reset=False)
        given = Given(samples, y, network_of(self, samples), resumed=True)
        once = copy.copy(self)
        vars(once).update(max_epochs=1, min_steps=0, tol=0.0, drift_tol=None)
        run = once._run(given, draw_seed(random_stream(self.random_state)), Tasks())
        stay = ("history_", "loss_", "n_iter_", "kept_epoch_", "embedding_variance_")
        self._become(run.fitted | {name: getattr(self, name) for name in stay})
        return self
