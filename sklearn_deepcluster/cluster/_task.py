"""One run of a method: what it is given, what it gives back, when it stops."""

import dataclasses

import numpy as np
import torch

from sklearn_deepcluster._engine import (
    Rows,
    Schedule,
    Standard,
    Trainer,
    generator,
    in_rounds,
    map_blocks,
    mean_loss,
)
from sklearn_deepcluster._input import Samples
from sklearn_deepcluster.cluster._companion import CompanionLoss, WithCompanion
from sklearn_deepcluster.cluster._descriptions import describe
from sklearn_deepcluster.cluster._drift import DriftWatch
from sklearn_deepcluster.losses import weighted
from sklearn_deepcluster.nn import Exposing
from sklearn_deepcluster.representation._base import n_epochs

# Rows whose centre is farther from zero than so many times their scale are given without it.
_FAR = 1e3
# By so many rows the terms of an objective are weighed against one another.
_WEIGHED_ROWS = 2000


@dataclasses.dataclass(frozen=True)
class Given:
    """What a fit is given, for the checks before any training.

    Attributes
    ----------
    samples : Samples
    y : object
        As it was given.
    network : FrozenNetwork, TrainedNetwork or UserNetwork
        ``width`` is the number of components, None where it is not known yet, and ``build`` makes
        the module for samples of this form.
    resumed : bool
        Whether the fit goes on from the last one (``warm_start``).
    """

    samples: Samples
    y: object
    network: object
    resumed: bool


@dataclasses.dataclass
class Task:
    """One run of a method: what its algorithm box works with.

    Attributes
    ----------
    module : AutoencoderModule
        Trained in place.
    n_components : int
        Dimension of its embedding.
    rows : Rows
    trainer : Trainer
    seed : int
        For the clustering phase.
    start : Start
        Clusters an embedding for the first time.
    stage : str
        Named by progress and errors.
    reconstruction : nn.Module or None
        The loss that the network was trained with.
    y : object
        What ``_check`` made of the labels, for methods that use some.
    head : dict or None
        The head of the last fit, name -> Tensor, where this one goes on from it.
    companion : CompanionLoss or None
        Learns from the intermediate outputs of the module, beside the objective.
    drift_tol : float or None
        See :class:`~sklearn_deepcluster.cluster._drift.DriftWatch`.
    data : Rows or None
        The rows of X where `rows` are something else, such as their embedding.
    sample_shape : tuple of int or None
        Of a sample as it was given.
    """

    module: torch.nn.Module
    n_components: int
    rows: Rows
    trainer: Trainer
    seed: int
    start: object
    stage: str
    reconstruction: torch.nn.Module | None = None
    y: object = None
    head: dict | None = None
    companion: CompanionLoss | None = None
    drift_tol: float | None = None
    data: Rows | None = None
    sample_shape: tuple | None = None

    @property
    def resumed(self):
        """Whether the run goes on from the network and the head of the last fit."""
        return self.head is not None

    @property
    def weight(self):
        """How much each row counts, float32 Tensor (n,) on the CPU of mean 1, or None."""
        return self.rows.weight

    @property
    def sequential(self):
        """Whether rows are sequences, padded with NaN at the end."""
        shape = getattr(self.module, "input_shape", None)
        return shape is not None and shape[0] == -1

    def embed(self, device="cpu"):
        """Embed all rows, in the precision of the training; Tensor (n, e) on `device`."""
        self.module.eval()  # between rounds it is in training mode: a user's dropout would draw
        z = self.trainer.embed(self.module.encode, self.rows, device)
        if not torch.isfinite(z).all():
            raise FloatingPointError(
                f"{self.stage} diverged: the embedding is not finite. The likely cause is a step "
                f"size that is too large for these data (lr={self.trainer.lr})."
            )
        return z

    def raw_rows(self):
        """All rows in the unit of the network, Tensor (n, d) on the CPU; 0 where sequences end.

        Without the centre, as directions from the origin may tell more than those from it, unless
        that is too far for float32.
        """
        data = self.data or self.rows
        standard = data.standard
        if np.abs(standard.center).max() <= _FAR * standard.scale:
            standard = Standard(scale=standard.scale)
        rows = Rows(data.X, standard=standard)
        return map_blocks(torch.nan_to_num, rows)

    def described_rows(self):
        """What neighbours and clusters are looked for in, Tensor (n, d) on the CPU.

        The rows themselves; of sequences the description that :mod:`._descriptions` chooses, once.
        """
        if not self.sequential:
            return self.raw_rows()
        if self.start.described is None or len(self.start.described) != len(self.rows):
            rows = map_blocks(torch.clone, self.rows).numpy()
            n_features, n_clusters = self.module.input_shape[1], self.start.n_clusters
            described = describe(rows, n_features, n_clusters, self.seed)
            self.start.described = torch.from_numpy(described)
        return self.start.described

    def distance_weight(self, method, z, centers, labels, share=1.0):
        """The weight of squared distances to the centres: `lam` of the method.

        "auto" makes `share` of them as large as the reconstruction error, both means over rows
        before the training: an autoencoder leaves the unit of its embedding open, so that no number
        would suit all data. A fit that goes on has the weight of the last one.

        Parameters
        ----------
        method : BaseDeepClusterer
        z : Tensor of shape (n, e)
        centers : Tensor of shape (k, e)
        labels : int64 Tensor of shape (n,)
        share : float
        """
        if method.lam != "auto":
            return float(method.lam)
        if self.resumed:
            return method.lam_
        gaps = (z - centers.cpu()[labels.cpu()]).square().sum(1)
        distance = share * float(weighted(gaps, self.weight).mean())
        order = torch.randperm(len(self.rows), generator=generator(self.seed))
        some = self.with_rows(order[:_WEIGHED_ROWS].sort().values).rows

        def outputs(x):
            return [out if out is None else out.float() for out in self.module(x)]

        self.module.eval()
        error = mean_loss(self.reconstruction, outputs, some, autocast=self.trainer.autocast)
        return error / distance if distance > 0 else 0.0

    def with_rows(self, chosen):
        """The task with these rows alone."""

        def part(rows):
            return None if rows is None else rows.some(chosen)

        return dataclasses.replace(self, rows=part(self.rows), data=part(self.data))

    def train(self, objective, *, rounds, schedule=(), assign=None, warm_up=0, **options):
        """Train module and objective for up to `rounds` rounds; return their history.

        Parameters
        ----------
        objective : nn.Module
            Called with a :class:`~sklearn_deepcluster._engine.Step`.
        rounds : int
            A round is an epoch, or so many steps as ``batches=in_rounds(steps)`` says.
        schedule : sequence of callbacks
        assign : callable or None
            Labels (b,) of embedded rows (b, e) by the objective as it is: with it the labels are
            kept from drifting away from the neighbours in the data.
        warm_up : int
            Rounds in which the start is learned; those before the last of them are not kept.
        **options : dict
            See :class:`~sklearn_deepcluster._engine.Trainer`.
        """
        watched = assign is not None and self.drift_tol is not None
        if watched and len(self.rows) > max(2, self.start.n_clusters):
            schedule = [*schedule, DriftWatch(self, assign, self.drift_tol, max(1, warm_up))]
        module = self.module
        if self.companion is not None:
            module = Exposing(module, module.taps)
            objective = WithCompanion(objective, self.companion)
        return self.trainer.train(
            module,
            objective,
            self.rows,
            seed=self.seed,
            stage=self.stage,
            epochs=rounds,
            schedule=schedule,
            **options,
        )


@dataclasses.dataclass
class Outcome:
    """What an algorithm box gives back.

    Attributes
    ----------
    head : dict
        What maps the embedding to clusters: name of the fitted attribute -> Tensor.
    history : list of dict
        Of ``task.train``.
    attributes : dict
        Further fitted attributes, name -> value.
    """

    head: dict
    history: list
    attributes: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Run:
    """Outcome of one run, to be compared with others.

    Attributes
    ----------
    fitted : dict
        Fitted attributes, ``labels_`` among them.
    scatter : float
        Share of the scatter of the embedding that is within clusters.
    modularity : dict or None
        Of the labels on the graph of neighbours in the data, by each metric, where there are
        several runs.
    around_mean : bool
        Whether angles are those around the mean of the rows.
    """

    fitted: dict
    scatter: float
    modularity: dict | None = None
    around_mean: bool = False

    @property
    def n_found(self):
        """Number of clusters that are not empty."""
        return len(np.unique(self.fitted["labels_"]))


def rounds_of_steps(method, n_samples, least=1):
    """Rounds of ``update_interval`` steps, as options of ``task.train``.

    They make ``max_epochs`` passes over the data and at least ``min_steps`` steps in all. "auto" is
    half a pass, but at least 30 and at most 140 steps; with it there are `least` rounds.
    """
    per_epoch = -(-n_samples // min(method.batch_size, n_samples))
    steps = per_epoch * n_epochs(n_samples, method.batch_size, method.max_epochs, method.min_steps)
    interval = method.update_interval
    if interval == "auto":
        steps = max(least, steps)
        interval = min(140, max(30, per_epoch // 2), steps // least)
    return {
        "rounds": -(-steps // interval),
        "batches": in_rounds(interval, max_steps=steps),
    }


def watch_labels(net, before, labels, tol):
    """Record which fraction of the labels changed, and stop the net if it is below `tol`.

    Parameters
    ----------
    net : IndexedNet
    before, labels : int Tensors of shape (n,)
        `before` is None at the first look: nothing is recorded.
    tol : float

    Returns
    -------
    change : float or None
    """
    if before is None:
        return None
    change = float((labels != before).float().mean())
    net.history.record("label_change", change)
    net.stop_training |= change < tol
    return change


class AssignmentWatch(Schedule):
    """After each pass: stop if few rows have another cluster than after the last one.

    Parameters
    ----------
    objective : nn.Module
        ``labels`` (n,) are the clusters of all rows.
    tol : float
    """

    def __init__(self, objective, tol):
        self.objective = objective
        self.tol = tol
        self.labels_ = objective.labels.clone()

    def on_epoch_end(self, net, **kwargs):
        watch_labels(net, self.labels_, self.objective.labels, self.tol)
        self.labels_ = self.objective.labels.clone()
