"""DEC: deep embedded clustering.

Reference: Xie, Girshick, Farhadi, "Unsupervised Deep Embedding for Clustering Analysis" (ICML
2016). Implemented: Eq. 1 (soft assignment), 3 (targets over all rows), 2 (divergence), the
stopping rule of section 3.1.4. Deviations: Adam by default, end-to-end pretraining (layer-wise is
an option of ``Autoencoder``), the divergence is averaged over the batch as in all implementations.
"""

import numbers

import torch
from torch import nn

from sklearn_deepcluster._engine import Schedule
from sklearn_deepcluster.base import POSITIVE_INT, TakesWeights
from sklearn_deepcluster.cluster._base import BaseDeepClusterer
from sklearn_deepcluster.cluster._task import Outcome, rounds_of_steps, watch_labels
from sklearn_deepcluster.losses import (
    kl_divergence,
    squared_error,
    student_t_log_assignment,
    target_distribution,
)
from sklearn_deepcluster.utils._sklearn import Interval, StrOptions


class ClusteringLoss(nn.Module):
    r"""The objective of DEC and IDEC.

    .. math::
        L = \gamma\, KL(P \Vert Q) + \frac{1}{b d} \sum_{i \in B}
            \lVert x_i - \hat x_i \rVert^2

    with the mean over the batch in the first term, and the second term only where the module
    reconstructs. The targets are P of all rows (n, k).

    Parameters
    ----------
    centers : Tensor of shape (k, e)
        Learned along with the network.
    alpha : float
    gamma : float, default=1.0
    """

    def __init__(self, centers, alpha, gamma=1.0):
        super().__init__()
        self.centers = nn.Parameter(centers.clone())
        self.alpha = alpha
        self.gamma = gamma

    def assignments(self, z):
        """Soft assignments (b, k) of embedded rows z (b, e)."""
        return student_t_log_assignment(z, self.centers, self.alpha).exp()

    def forward(self, step):
        """Return the terms of the loss for a batch."""
        z, reconstruction = step.outputs
        log_q = student_t_log_assignment(z, self.centers, self.alpha)
        kl = kl_divergence(step.targets[step.index], log_q, step.weight)
        if reconstruction is None:
            return {"loss": self.gamma * kl, "kl": kl}
        error = squared_error(reconstruction, step.x, step.weight)
        return {"loss": self.gamma * kl + error, "kl": kl, "reconstruction": error}


class TargetRefresh(Schedule):
    """Before each round: embed all rows, renew the targets, stop if few labels changed.

    `kind` is that of :func:`~sklearn_deepcluster.losses.target_distribution`.
    """

    def __init__(self, task, objective, tol, kind):
        self.task = task
        self.objective = objective
        self.tol = tol
        self.kind = kind
        self.labels_ = None

    def refresh(self, net):
        centers = self.objective.centers.detach()
        with torch.no_grad():
            z = self.task.embed(centers.device)
            q = student_t_log_assignment(z, centers, self.objective.alpha).exp()
            targets = target_distribution(q, self.kind, weight=self.task.weight)
        labels = q.argmax(1)
        watch_labels(net, self.labels_, labels, self.tol)
        self.labels_ = labels
        return targets


class DEC(TakesWeights, BaseDeepClusterer):
    """Deep embedded clustering.

    An autoencoder is trained, its decoder dropped, and encoder and cluster centres are refined
    by pulling the soft assignment towards a sharpened version of itself.

    Parameters
    ----------
    alpha : float
        Degrees of freedom of Student's t.

    update_interval : int or "auto"
        Steps between two refreshes of the targets, over all rows. "auto" is half an epoch, but
        at least 30 and at most 140 steps, the values of the reference implementations for
        small data and for MNIST.

    tol : float
        Stop when a smaller fraction of the labels changed between two refreshes; 0 never stops.

    optimizer
        ...
        The paper's is "sgd" with ``lr=0.01``.

    Attributes
    ----------
    history_ : dict of lists
        Per round: "loss", "kl", "label_change" (from the second refresh on); and
        "pretraining_loss" per epoch of the representation.

    loss_ : float
        Loss of the last round, or of the one that was kept.

    n_iter_ : int
        Number of rounds of `update_interval` steps.

    See Also
    --------
    IDEC : Keeps the decoder.
    DEKM : Replaces soft assignment by k-means.

    References
    ----------
    .. [1] J. Xie, R. Girshick, A. Farhadi, "Unsupervised Deep Embedding for Clustering
       Analysis", ICML 2016.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_deepcluster import DEC, Autoencoder
    >>> X, _ = make_blobs(150, centers=3, n_features=8, random_state=0)
    >>> ae = Autoencoder(hidden_layer_sizes=(32,), n_components=3, min_steps=300)
    >>> dec = DEC(3, autoencoder=ae, min_steps=60, random_state=0).fit(X)
    >>> dec.predict_proba(X).shape, dec.cluster_centers_.shape
    ((150, 3), (3, 3))
    """

    _parameter_constraints = {
        **BaseDeepClusterer._parameter_constraints,
        "alpha": [Interval(numbers.Real, 0, None, closed="neither")],
        "update_interval": [*POSITIVE_INT, StrOptions({"auto"})],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        autoencoder=None,
        init="k-means",
        alpha=1.0,
        max_epochs=50,
        min_steps=1000,
        update_interval="auto",
        tol=1e-3,
        drift_tol=0.01,
        batch_size=256,
        optimizer="adam",
        lr=1e-4,
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
        self.alpha = alpha
        self.max_epochs = max_epochs
        self.min_steps = min_steps
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
        if task.resumed:
            centers = task.head["cluster_centers_"]
        else:
            _, centers = task.start.clusters(task.embed())
        objective = ClusteringLoss(centers, self.alpha, self._gamma())
        objective.to(task.trainer.device)
        history = task.train(
            objective,
            schedule=[TargetRefresh(task, objective, self.tol, self._target_kind())],
            assign=lambda z: objective.assignments(z).argmax(1),
            **rounds_of_steps(self, len(task.rows)),
        )
        return Outcome({"cluster_centers_": objective.centers.detach()}, history)

    def _gamma(self):
        return 1.0

    def _target_kind(self):
        return "square"

    def _log_proba(self, z, head):
        return student_t_log_assignment(z, head["cluster_centers_"], self.alpha)
