"""DKM: deep k-means.

Reference: Moradi Fard, Thonet, Gaussier, "Deep k-Means: Jointly clustering with k-Means and
learning representations" (Pattern Recognition Letters 138, 2020). Implemented: the loss with a
soft-max of distances as assignment, which gradients pass; alpha grows, or is constant after a
pretraining.

Deviations: the reconstruction error is a mean over features where the paper has a sum. An epoch is
a pass over the rows, and labels are those of the nearest representative in the end; in the authors'
code an epoch is so many batches of rows drawn with replacement, and labels are those of the last
time that a row was drawn, 0 where it never was. Their optimiser goes on from the pretraining with
its moments; here it starts anew, and representatives move in a unit that follows the width of the
embedding, as those that cannot keep up with it lose their rows. Representatives of a network that
was not trained start from rows (``init="random"``) instead of anywhere in a cube, which need not be
where the embedding is.
"""

import math
import numbers

import numpy as np
import torch
from torch import nn

from sklearn_deepcluster._engine import Schedule
from sklearn_deepcluster.base import TakesWeights
from sklearn_deepcluster.cluster._base import BaseDeepClusterer
from sklearn_deepcluster.cluster._start import NAMES, SEEDINGS, variances
from sklearn_deepcluster.cluster._task import AssignmentWatch, Outcome
from sklearn_deepcluster.losses import squared_distances
from sklearn_deepcluster.representation._base import n_epochs
from sklearn_deepcluster.utils._sklearn import HasMethods, Interval, StrOptions

# Of the paper's series of alphas.
_FIRST_ALPHA, _N_ALPHAS = 0.1, 40
# The unit of the representatives, in widths of the embedding: a network that is trained further
# moves it as a whole, and they have to keep up. A step of Adam is then 3 % of the width.
_PACE = 30


class SoftDistanceLoss(nn.Module):
    r"""The objective of DKM.

    .. math::
        L = R + \frac{\lambda}{b} \sum_{i \in B} \sum_j G_{ij} \lVert f(x_i) - r_j \rVert^2,
        \quad G_{ij} = \frac{e^{-\alpha \lVert f(x_i) - r_j \rVert^2}}
                           {\sum_l e^{-\alpha \lVert f(x_i) - r_l \rVert^2}}

    with the reconstruction error R of the representation. The targets are alpha.

    Parameters
    ----------
    centers : Tensor of shape (k, e)
        Representatives r, learned along with the network.
    labels : int64 Tensor of shape (n,)
        Of all rows; those of a batch follow it.
    reconstruction : nn.Module
    lam : float
    unit : float, default=1.0
        In which representatives move: steps of an optimiser are of the size of its learning rate,
        however wide the embedding is.
    """

    def __init__(self, centers, labels, reconstruction, lam, unit=1.0):
        super().__init__()
        self.unit = unit
        self.relative = nn.Parameter(centers / unit)
        self.register_buffer("labels", labels.clone())
        self.reconstruction = reconstruction
        self.lam = lam

    @property
    def centers(self):
        """The representatives, Tensor (k, e)."""
        return self.unit * self.relative

    def forward(self, step):
        """Return the terms of the loss for a batch."""
        gaps = squared_distances(step.outputs[0], self.centers)
        assigned = torch.softmax(-step.targets * gaps, dim=1)
        distance = step.mean((assigned * gaps).sum(1))
        self.labels[step.index] = gaps.detach().argmin(1)
        terms = self.reconstruction(step)
        error = terms.pop("loss")
        terms |= {"reconstruction": error.detach(), "distance": distance.detach()}
        return {"loss": error + self.lam * distance, **terms}


class Annealing(Schedule):
    """Alpha of each round: the values in turn, each for an equal share of the rounds."""

    def __init__(self, alphas, rounds):
        self.alphas = alphas
        self.rounds = rounds

    def refresh(self, net):
        round_ = len(net.history) - 1
        self.alpha_ = self.alphas[round_ * len(self.alphas) // self.rounds]
        net.history.record("alpha", self.alpha_)
        return self.alpha_


def annealed_alphas():
    """Return the growing alphas of the paper, each the last one times 2 ** (1 / ln(t + 1) ** 2)."""
    alphas = [_FIRST_ALPHA]
    for t in range(1, _N_ALPHAS):
        alphas.append(alphas[-1] * 2 ** (1 / math.log(t + 1) ** 2))
    return alphas


class DKM(TakesWeights, BaseDeepClusterer):
    """Deep k-means: soft assignments that gradients pass, in an embedding trained along.

    An autoencoder is trained, and trained further with the squared distances of each row to the
    representatives of the clusters, weighted by a soft-max of them. With a large `alpha` this is
    k-means whose centres move by gradients.

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
        Weight of the squared distances to the representatives (mean over rows) relative to the
        reconstruction error (mean over rows and features, in units of the scale). "auto" makes both
        equally large at the start. 0 is the plain autoencoder; so much that the embedding shrinks
        below the width of the assignments makes all representatives one, and from random weights
        "auto" is too much.

    alpha : float, "annealed" or array-like of growing values
        Inverse temperature of the assignments, in units of the embedding: 1,000 is all but hard.
        Of several values each serves an equal share of the epochs, one at least, and `tol` and
        `drift_tol` have no effect.
        "annealed" are the 40 of the paper from 0.1 to 28; with them no pretraining is needed:
        ``autoencoder=Autoencoder(max_epochs=0, min_steps=0), init="random"``.

    tol : float
        Stop when a smaller fraction of the labels changed in one pass; 0 never stops.

    Attributes
    ----------
    lam_ : float
        The weight of the distances.

    alpha_ : float
        The last alpha, by which ``predict_proba`` assigns.

    module_ : torch.nn.Module
        The autoencoder, with ``encode`` and ``decode``; it works on (X - ``center_``) / ``scale_``.

    history_ : dict of lists
        Per epoch: "loss", "reconstruction", "distance", "alpha", "label_change"; and
        "pretraining_loss" per epoch of the representation.

    See Also
    --------
    DCN : Hard assignments, centres on line.
    DEKM : k-means in a rotated embedding.

    References
    ----------
    .. [1] M. Moradi Fard, T. Thonet, E. Gaussier, "Deep k-Means: Jointly clustering with k-Means
       and learning representations", Pattern Recognition Letters 138, 2020.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_deepcluster import DKM, Autoencoder
    >>> X, _ = make_blobs(150, centers=3, n_features=8, random_state=0)
    >>> ae = Autoencoder(hidden_layer_sizes=(32,), n_components=3, min_steps=300)
    >>> dkm = DKM(3, autoencoder=ae, min_steps=60, random_state=0).fit(X)
    >>> dkm.predict_proba(X).shape, dkm.cluster_centers_.shape
    ((150, 3), (3, 3))
    """

    _parameter_constraints = {
        **BaseDeepClusterer._parameter_constraints,
        "init": [StrOptions({*NAMES, *SEEDINGS}), "array-like", HasMethods("fit_predict")],
        "lam": [Interval(numbers.Real, 0, None, closed="left"), StrOptions({"auto"})],
        "alpha": [
            Interval(numbers.Real, 0, None, closed="neither"),
            StrOptions({"annealed"}),
            "array-like",
        ],
    }
    _keeps_decoder = True

    def __init__(
        self,
        n_clusters=8,
        *,
        autoencoder=None,
        init="k-means",
        lam="auto",
        alpha=1000.0,
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
        self.alpha = alpha
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

    def _check(self, given):
        self._alphas()

    def _alphas(self):
        """The values of alpha in turn."""
        if isinstance(self.alpha, str):
            return annealed_alphas()
        try:
            alphas = np.atleast_1d(np.asarray(self.alpha, dtype=np.float64))
        except (TypeError, ValueError):
            alphas = np.empty(0)
        growing = alphas.ndim == 1 and alphas.size > 0 and np.isfinite(alphas).all()
        if not growing or alphas[0] <= 0 or (np.diff(alphas) < 0).any():
            raise ValueError(f"alpha={self.alpha!r} must be positive, and no value below the last.")
        return alphas.tolist()

    def _optimize(self, task):
        z = task.embed()
        alphas = self._alphas()
        if task.resumed:
            centers, alphas = task.head["cluster_centers_"].cpu(), alphas[-1:]
            labels = squared_distances(z, centers).argmin(1)
        else:
            labels, centers = task.start.clusters(z)
        lam = task.distance_weight(self, z, centers, labels)
        unit = _PACE * float(variances(z, task.weight).mean()) ** 0.5 or 1.0
        objective = SoftDistanceLoss(centers, labels, task.reconstruction, lam, unit)
        objective.to(task.trainer.device)
        epochs = n_epochs(len(task.rows), self.batch_size, self.max_epochs, self.min_steps)
        epochs = max(epochs, len(alphas))
        annealing = Annealing(alphas, epochs)
        constant = len(alphas) == 1
        history = task.train(
            objective,
            rounds=epochs,
            schedule=[annealing, AssignmentWatch(objective, self.tol if constant else 0.0)],
            # While alpha grows the clusters are still to come.
            assign=(lambda z: squared_distances(z, objective.centers).argmin(1))
            if constant
            else None,
        )
        head = {"cluster_centers_": objective.centers.detach(), "alpha_": annealing.alpha_}
        return Outcome(head, history, {"lam_": lam})

    def _assign(self, z, head):
        # Probabilities of a small alpha can tie in float32.
        return squared_distances(z, head["cluster_centers_"]).argmin(1)

    def _log_proba(self, z, head):
        gaps = squared_distances(z, head["cluster_centers_"])
        gaps = gaps - gaps.amin(1, keepdim=True)
        return torch.log_softmax(-head["alpha_"] * gaps, dim=1)
