"""TELL: k-means and an autoencoder on the unit sphere, the second of the papers of k-meansNet.

Deviations: it starts from a pretrained autoencoder and an initial clustering, and stops when few
labels change; the error of the reconstruction is that of the autoencoder, and the weight of the
distances is a parameter; the authors' Adadelta, with gradients of a fixed small norm, amounts to
steps of a tenth of the radius, which are made directly.
"""

import enum

import torch
from sklearn.utils import check_array
from torch import nn

from sklearn_deepcluster._engine import Schedule
from sklearn_deepcluster.cluster._kmeans_layer import softness
from sklearn_deepcluster.cluster._task import Outcome, watch_labels
from sklearn_deepcluster.losses import weighted

# Length of a step of the centres, in units of their norm.
CENTER_STEP = 0.1


class Round(enum.Enum):
    """What a round moves."""

    CENTERS = enum.auto()
    NETWORK = enum.auto()


def unit_centers(centers):
    return nn.functional.normalize(centers, dim=1)


def check_given_centers(centers, directions):
    """Refuse centres that are equal, or, where only directions count, have equal ones or none.

    Parameters
    ----------
    centers : array-like of shape (k, e)
    directions : bool
    """
    centers = torch.as_tensor(check_array(centers, dtype="float32"))
    if directions:
        centers = unit_centers(centers)
        if (centers.norm(dim=1) < 0.5).any():
            raise ValueError("init has a centre at 0: variant='tell' needs the direction of each.")
    if len(centers.unique(dim=0)) < len(centers):
        raise ValueError("init has equal centres: nothing would ever separate them.")


def move_centers(centers, z, weight=None):
    """Turn unit centres (k, e) towards the mean direction of their rows among z (b, e), in place.

    A centre without a row stays.
    """
    members = nn.functional.one_hot((z @ centers.T).argmax(1), len(centers)).to(z.dtype)
    sums = weighted(members, weight).T @ z
    centers.copy_(unit_centers(centers + CENTER_STEP * unit_centers(sums)))


class UnitKMeansLoss(nn.Module):
    r"""The objective of TELL.

    .. math::
        L = \frac{1}{b d} \sum_{i \in B} \lVert x_i - g(z_i) \rVert^2
            + \frac{\gamma}{2 b} \sum_{i \in B} \min_j \lVert z_i - \Omega_j \rVert^2

    with features and centres of norm 1. In rounds that move the centres the second term is left
    out, and the centres make a step towards their rows with every batch.

    Parameters
    ----------
    centers : Tensor of shape (k, e)
    reconstruction : nn.Module
        Loss of the representation, the first term.
    gamma : float
    """

    def __init__(self, centers, reconstruction, gamma):
        super().__init__()
        self.register_buffer("centers", unit_centers(centers))
        self.reconstruction = reconstruction
        self.gamma = gamma

    def forward(self, step):
        """Return the terms of the loss for a batch."""
        z = step.outputs[0]
        # Half the squared distance of two rows of norm 1.
        distance = 1.0 - step.mean((z @ self.centers.T).max(1).values)
        terms = self.reconstruction(step)
        error = terms.pop("loss")
        terms |= {"distance": distance.detach(), "reconstruction": error.detach()}
        if step.targets is Round.CENTERS:
            return {"loss": error, **terms}
        return {"loss": error + self.gamma * distance, **terms}

    @torch.no_grad()
    def after_step(self, step):
        """In rounds of centres, move them towards the rows of the batch."""
        if step.targets is Round.CENTERS:
            move_centers(self.centers, step.outputs[0].detach(), step.weight)


class RoundsInTurn(Schedule):
    """Rounds of centres and rounds of the network in turn; stop if few labels changed in both."""

    def __init__(self, task, objective, tol):
        self.task = task
        self.objective = objective
        self.tol = tol
        self.labels_ = None

    def refresh(self, net):
        if len(net.history) % 2 == 0:  # the round that begins counts
            return Round.NETWORK
        z = self.task.embed()
        labels = (z @ self.objective.centers.to(z.device).T).argmax(1)
        watch_labels(net, self.labels_, labels, self.tol)
        self.labels_ = labels
        return Round.CENTERS


def train_on_sphere(task, alpha, gamma, tol, **rounds):
    """Train centres and autoencoder in turn, on the unit sphere.

    Parameters
    ----------
    task : Task
    alpha : float or "auto"
    gamma, tol : float
    **rounds : dict
        See ``task.train``.
    """
    z = task.embed()
    centers = task.head["coef_"] if task.resumed else task.start.clusters(z)[1]
    objective = UnitKMeansLoss(centers, task.reconstruction, gamma)
    objective.to(task.trainer.device)
    schedule = RoundsInTurn(task, objective, tol)
    history = task.train(
        objective,
        schedule=[schedule],
        assign=lambda z: (z @ objective.centers.T).argmax(1),
        **rounds,
    )
    if alpha == "auto":
        z, centers = task.embed(), objective.centers.cpu()
        alpha = softness(z, (z @ centers.T).argmax(1), centers, task.weight)
    return Outcome(unit_head(objective.centers, alpha), history, {"alpha_": float(alpha)})


def unit_head(centers, alpha):
    """Unit centres (k, e) as the layer of k-means with this softness."""
    alpha = float(alpha)
    return {
        "coef_": 2.0 * alpha * centers,
        "intercept_": centers.new_zeros(len(centers)),
        "cluster_centers_": centers,
    }


def pass_over(centers, rows, batch_size, rng):
    """The unit centres after one pass over embedded rows, in batches."""
    centers = unit_centers(centers)
    order = torch.randperm(len(rows), generator=rng)
    for index in order.tensor_split(-(-len(rows) // batch_size)):
        move_centers(centers, rows.take(index))
    return centers
