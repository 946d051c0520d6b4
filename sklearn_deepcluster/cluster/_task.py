"""One run of a method: what it is given, what it gives back, when it stops."""

import dataclasses

import numpy as np
import torch

from sklearn_deepcluster._engine import Rows, Trainer
from sklearn_deepcluster.cluster._companion import CompanionLoss, WithCompanion
from sklearn_deepcluster.nn import Exposing


@dataclasses.dataclass
class Task:
    """One run of a method: what its algorithm box works with.

    Attributes
    ----------
    module : AutoencoderModule
        Trained in place.
    rows : Rows
    trainer : Trainer
    seed : int
        For the clustering phase.
    initial_clusters : callable
        Maps the embedding of all rows, Tensor (n, e), to labels, int64 Tensor (n,), and centres,
        float32 Tensor (k, e).
    stage : str
        Named by progress and errors.
    reconstruction : nn.Module
        The loss that the representation was trained with.
    y : ndarray of shape (n,) or None
        What ``_check_y`` made of the labels, for methods that use some.
    head : dict or None
        The head of the last fit, where this one goes on from it (``warm_start``).
    companion : CompanionLoss or None
        Learns from the intermediate outputs of the module, beside the objective.
    """

    module: torch.nn.Module
    rows: Rows
    trainer: Trainer
    seed: int
    initial_clusters: object
    stage: str
    reconstruction: torch.nn.Module | None = None
    y: np.ndarray | None = None
    head: dict | None = None
    companion: CompanionLoss | None = None

    def embed(self):
        """Embed all rows, in the precision of the training; Tensor (n, e) on the CPU."""
        self.module.eval()  # between rounds it is in training mode: a user's dropout would draw
        z = self.trainer.embed(self.module.encode, self.rows)
        if not torch.isfinite(z).all():
            raise FloatingPointError(
                f"{self.stage} diverged: the embedding is not finite. The likely cause is a step "
                f"size that is too large for these data (lr={self.trainer.lr})."
            )
        return z

    def with_rows(self, chosen):
        """The task with these rows alone."""
        rows = self.rows
        subset = np.asarray(rows.X[chosen.numpy()], dtype=np.float32)
        return dataclasses.replace(self, rows=Rows(subset, scale=rows.scale, device=rows.device))

    def train(self, objective, *, rounds, schedule, **options):
        """Train module and objective for up to `rounds` rounds of `steps` steps, or one epoch."""
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
class Run:
    """Outcome of one run: fitted attributes and the restart score (higher is better)."""

    fitted: dict
    score: float

    @property
    def rank(self):
        """A run with an empty cluster loses to any without."""
        return len(np.unique(self.fitted["labels_"])), self.score


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
