"""The soft-max layer, and DEPICT's objective and schedule for it."""

import numpy as np
import torch
from sklearn.utils import check_array
from torch import nn

from sklearn_deepcluster._engine import Schedule, Snapshot
from sklearn_deepcluster.cluster._task import watch_labels
from sklearn_deepcluster.utils._sklearn import StrOptions

# What `prior` may be.
PRIOR = ["array-like", StrOptions({"start"}), None]

# Labels drift if this many times as many change as at the calmest refresh before, and more than
# so many times `tol`.
DRIFT_FACTOR = 2.0
DRIFT_TOLERANCE = 10.0


def softmax_log_proba(z, weight, bias):
    """Log-probabilities (b, k) of embedded rows z (b, e) by a soft-max layer."""
    return nn.functional.linear(z, weight, bias).log_softmax(1)


def check_prior(prior, n_clusters):
    """A given prior as float32 Tensor (k,) of sum 1; None where it is "start" or None.

    Raises
    ------
    ValueError
        If it does not hold a positive weight for each cluster.
    """
    if prior is None or isinstance(prior, str):
        return None
    given = check_array(prior, ensure_2d=False, dtype=np.float64, input_name="prior")
    if given.shape != (n_clusters,) or given.min() <= 0:
        raise ValueError(f"prior={prior!r} must hold n_clusters={n_clusters} positive weights.")
    return torch.from_numpy((given / given.sum()).astype(np.float32))


def ranked_prior(prior, labels, n_clusters, weight=None):
    """The prior in the order of the clusters: the largest share for the largest cluster.

    Parameters
    ----------
    prior : array-like of shape (k,), "start" or None
    labels : int64 Tensor of shape (n,)
        Of the start.
    n_clusters : int
    weight : Tensor of shape (n,), default=None

    Returns
    -------
    ordered : float32 Tensor of shape (k,) or None
    """
    if prior is None:
        return None
    sizes = torch.bincount(labels, weight, minlength=n_clusters)
    if isinstance(prior, str):
        sizes = sizes.where(sizes > 0, 1).float()  # an empty cluster may come back
        return sizes / sizes.sum()
    shares = check_prior(prior, n_clusters)
    ordered = torch.empty_like(shares)
    ordered[sizes.argsort(stable=True)] = shares.sort().values
    return ordered


class SoftmaxLayer(nn.Module):
    """Base of the objectives of a soft-max layer, which is learned along with the network.

    Parameters
    ----------
    weight : Tensor of shape (k, e)
    bias : Tensor of shape (k,)
        Where it starts.
    """

    def __init__(self, weight, bias):
        super().__init__()
        self.weight = nn.Parameter(weight.clone())
        self.bias = nn.Parameter(bias.clone())

    def log_proba(self, z):
        """Log-probabilities (b, k) of embedded rows z (b, e)."""
        return softmax_log_proba(z, self.weight, self.bias)

    def head(self):
        """The layer as what maps the embedding to clusters."""
        return {"coef_": self.weight.detach(), "intercept_": self.bias.detach()}

    def assignments(self, z):
        """Soft assignments (b, k) of embedded rows z (b, e)."""
        return nn.functional.linear(z, self.weight, self.bias).softmax(1)


class SoftmaxClusteringLoss(SoftmaxLayer):
    r"""The objective of DEPICT.

    .. math::
        L = -\frac{1}{b} \sum_{i \in B} \sum_k q_{ik} \log \tilde p_{ik} + \lambda R

    with the soft-max :math:`\tilde p` of the noisy embedding and the reconstruction error R of the
    representation, hidden layers included. The targets are q of all rows (n, k).

    Parameters
    ----------
    weight : Tensor of shape (k, e)
    bias : Tensor of shape (k,)
        Start of the soft-max; both are learned.
    reconstruction : nn.Module
        Loss of the representation.
    lam : float
    """

    def __init__(self, weight, bias, reconstruction, lam):
        super().__init__(weight, bias)
        self.reconstruction = reconstruction
        self.lam = lam

    def forward(self, step):
        """Return the terms of the loss for a batch."""
        targets = step.targets[step.index]
        entropy = -step.mean((targets * self.log_proba(step.outputs[0])).sum(1))
        terms = self.reconstruction(step)
        error = terms.pop("loss")
        loss = entropy + self.lam * error
        return {"loss": loss, "cross_entropy": entropy, "reconstruction": error.detach(), **terms}


class SoftmaxRefresh(Schedule):
    """Before each epoch: soft-max of all clean rows, new targets; stop if few labels changed.

    Also stop, and go back to the calmest refresh, where the labels drift: on noise that hides
    what tells two clusters apart, the larger one takes rows from the smaller, ever more.

    Parameters
    ----------
    task : Task
    objective : SoftmaxClusteringLoss
    targets : callable
        Makes targets (n, k) of probabilities (n, k).
    tol : float
    known : tuple of (rows, clusters), int Tensors
        Rows whose target is one cluster for good.
    warm_up : int
        Epochs before the first refresh.
    """

    def __init__(self, task, objective, targets, tol, known, warm_up):
        self.task = task
        self.objective = objective
        self.make_targets = targets
        self.tol = tol
        self.known = known
        self.warm_up = warm_up
        self.labels_ = None
        self.least_change_, self.calmest_ = 1.0, None

    def refresh(self, net):
        if len(net.history) <= self.warm_up:  # the epoch that begins counts
            return None
        with torch.no_grad():
            z = self.task.embed(self.objective.weight.device)
            p = self.objective.log_proba(z).exp()
            targets = pin(self.make_targets(p), self.known)
        labels = p.argmax(1)
        change = watch_labels(net, self.labels_, labels, self.tol)
        if change is not None and self.tol > 0:
            self._watch_drift(net, change)
        self.labels_ = labels
        return targets

    def _watch_drift(self, net, change):
        """Keep the weights of the least change; return to them if the labels drift."""
        if change <= self.least_change_:
            self.least_change_ = change
            self.calmest_ = Snapshot(net.module_, self.objective)
            self.epoch_ = len(net.history) - 1
        elif change > max(DRIFT_TOLERANCE * self.tol, DRIFT_FACTOR * self.least_change_):
            self.calmest_.restore()
            net.kept_epoch = self.epoch_
            net.stop_training = True


def pin(targets, known):
    """Set the target of known rows to their cluster alone."""
    rows, clusters = known
    targets[rows] = 0.0
    targets[rows, clusters] = 1.0
    return targets
