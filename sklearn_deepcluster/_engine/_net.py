"""The one skorch net: trains a module against an objective on indexed batches."""

import copy
import dataclasses
import math

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping

from sklearn_deepcluster._engine._rows import Chosen
from sklearn_deepcluster._engine._tasks import Tasks
from sklearn_deepcluster.losses import weighted
from sklearn_deepcluster.nn import untracked


@dataclasses.dataclass(slots=True)
class Step:
    """What an objective is told of one optimisation step.

    Attributes
    ----------
    outputs : tuple of Tensors or None
        What the module gave for the batch, in float32.
    x : Tensor of shape (b, d)
        The rows of the batch.
    index : int64 Tensor of shape (b,)
        Which rows they are.
    targets : object
        What the schedule made for this round, such as targets of all rows; see :class:`Schedule`.
    kind : object
        Of which kind the batch is, where a method draws several.
    net : IndexedNet
    weight : Tensor of shape (b,) or None
        Of the rows of the batch, with mean 1 over all rows; None where all count the same.
    """

    outputs: tuple
    x: torch.Tensor | None = None
    index: torch.Tensor | None = None
    targets: object = None
    kind: object = None
    net: object = None
    weight: torch.Tensor | None = None

    def mean(self, values):
        """Mean of values of the rows (b,), each times its weight.

        The divisor is the number of rows, not the sum of their weights, so that the mean over all
        batches is that over all rows.
        """
        return weighted(values, self.weight).mean()

    @property
    def own_weight(self):
        """Weights (b,) with mean 1 in the batch, for what compares its rows; None without any."""
        return None if self.weight is None else self.weight / self.weight.mean()

    def scaled(self, terms):
        """Terms of the batch by `own_weight`, each times the mean weight of its rows."""
        if self.weight is None:
            return terms
        mean = self.weight.mean()
        return {name: mean * value for name, value in terms.items()}

    def network(self, x):
        """Outputs of the module for other rows x (b, d), such as perturbed ones.

        The statistics of batch normalisation are those of x, and do not enter the running ones.
        """
        with untracked(self.net.module_):
            return self.net.infer(x)

    @torch.no_grad()
    def embed(self, x):
        """Embed rows x (b, d) by the weights as they are now, without noise."""
        module = self.net.module_
        module.eval()
        z = self.net.in_precision(module.encode, x).float()
        module.train()
        return z


class IndexedNet(NeuralNet):
    """A skorch net whose criterion is an objective that is called with a :class:`Step`.

    The objective is a module (its learnable centres, if any, are trained along) that returns a
    dict of scalar tensors; ``"loss"`` is the one that is minimised. The mean of each term over
    an epoch is recorded in skorch's history once, at the end of the epoch. If it has a method
    ``after_step``, that is called with the step once the optimiser has moved the weights. A
    callback stops the training by setting ``net.stop_training = True``; skorch's
    ``EarlyStopping`` works too.

    Parameters
    ----------
    autocast : bool, default=False
        Run the forward pass in bfloat16; the objective always sees float32.

    stage : str, default="training"
        Named in errors.

    Attributes
    ----------
    targets : object
        What the objective is given until the schedule sets others.

    weight : Tensor of shape (n,) or None
        Of all rows.

    kept_epoch : int or None
        The epoch, from 1, that a callback has gone back to, 0 the start; None is the last.

    observed : bool
        Whether there are callbacks of the user, who may ask for more than the methods do.

    reads_batches : bool
        Whether some look at the loss of single batches.

    learned, held : Chosen or None
        The rows that are learned from, and those held out, as callbacks get them.

    tasks : Tasks
        Of the fit.

    keep : callable or None
        Called after each epoch.
    """

    targets = None
    weight = None
    kept_epoch = None
    observed = False
    reads_batches = False
    learned = held = None
    tasks = Tasks()
    keep = None

    def __init__(self, module, *args, autocast=False, stage="training", **kwargs):
        super().__init__(module, *args, **kwargs)
        self.autocast = autocast
        self.stage = stage
        self.least_ = {}

    @property
    def _default_callbacks(self):
        return []

    def in_precision(self, function, x):
        """Apply `function` to x in the precision of the training."""
        # All threads share one cache of casts, and each clears it for the others when it is done:
        # how the gradient of a weight that is used twice is rounded would depend on their timing.
        with torch.autocast(
            torch.device(self.device).type,
            dtype=torch.bfloat16,
            enabled=self.autocast,
            cache_enabled=False,
        ):
            return function(x)

    def infer(self, x, **fit_params):
        outputs = self.in_precision(self.module_, x)
        return tuple(out if out is None else out.float() for out in outputs)

    def train_step_single(self, batch, **fit_params):
        weight = None if self.weight is None else self.weight[batch.index]
        outputs = self.infer(batch.x)
        step = Step(outputs, batch.x, batch.index, self.targets, batch.kind, self, weight)
        try:
            terms = self.criterion_(step)
        except torch.linalg.LinAlgError as exc:  # of numbers that are not finite any more
            raise self.diverged(str(exc)) from exc
        terms["loss"].backward()
        return {
            "loss": terms["loss"],
            "terms": {k: v.detach() for k, v in terms.items()},
            "step": step,
        }

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Train one epoch; the loss terms are gathered without a synchronisation per batch."""
        if iterator is None:
            return
        self._set_training(True)
        after_step = getattr(self.criterion_, "after_step", None)
        sums, n_rows, n_batches = {}, 0, 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=True)
            made = step_fn(batch)
            step = made.pop("step")
            if after_step is not None:
                after_step(step)
            if self.observed:
                made["y_pred"] = tuple(out.detach() for out in step.outputs if out is not None)
            del step  # its activations would live on beside those of the next one
            for name, value in made["terms"].items():
                sums[name] = sums.get(name, 0.0) + value * len(batch.index)
            n_rows += len(batch.index)
            n_batches += 1
            if self.reads_batches:
                self.history.record_batch("train_loss", float(made["terms"]["loss"]))
                self.history.record_batch("train_batch_size", len(batch.index))
            self.notify("on_batch_end", batch=batch, training=True, **made)
            made.pop("y_pred", None)
        self.history.record("train_batch_count", n_batches)
        for name, value in sums.items():
            value = float(value) / n_rows
            self.history.record("train_loss" if name == "loss" else name, value)
            if not math.isfinite(value):
                raise self.diverged(f"the term {name!r} is {value}")
        if "loss" in sums:
            self.record_best("train_loss", self.history[-1]["train_loss"])

    def record_best(self, name, value):
        """Record a loss of the epoch, and whether it is the least so far, as skorch does."""
        least = self.least_.get(name, math.inf)
        self.least_[name] = min(value, least)
        self.history.record(name, value)
        self.history.record(f"{name}_best", value < least)

    def get_iterator(self, dataset, training=False):
        if not isinstance(dataset, Chosen):
            return super().get_iterator(dataset, training)
        rows = dataset.rows
        return ((rows.take(i), i) for i in dataset.index.split(self.batch_size))

    def evaluation_step(self, batch, training=False):
        """Outputs for a batch, when a callback asks; the net then goes on as it was."""
        before = self.module_.training
        outputs = super().evaluation_step(batch, training)
        self._set_training(before)
        return tuple(out for out in outputs if out is not None)

    def diverged(self, what):
        """Return the error for a training that has left the finite numbers."""
        return FloatingPointError(
            f"{self.stage} diverged in epoch {len(self.history)}: {what}. "
            f"The likely cause is a step size that is too large for these data (lr={self.lr})."
        )

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Run epochs over the batches X, up to `epochs`, or fewer if a callback stops the training.

        Those that the history has were made before, the last of which may have been to be the last.
        """
        self.check_training_readiness()
        made = len(self.history)
        if not made:
            self.stop_training = False
        elif self.stop_training:
            return self
        for epoch in range(made, epochs):
            self._notify_epoch("on_epoch_begin")
            if self.stop_training and epoch > 0:  # there is no result without one epoch
                break
            with self.tasks.task("epoch"):
                self.run_single_epoch(X, training=True, prefix="train", step_fn=self.train_step)
                self._notify_epoch("on_epoch_end")
            if self.keep is not None:
                self.keep()
            if self.stop_training or self.tasks.stop:
                break
        return self

    def _notify_epoch(self, event):
        try:
            self.notify(event, dataset_train=self.learned, dataset_valid=self.held)
        except KeyboardInterrupt:
            # That is how skorch's EarlyStopping asks for a stop; any other is the user's.
            if not any(_has_asked_to_stop(callback) for _, callback in self.callbacks_):
                raise
            self.stop_training = True


def _has_asked_to_stop(callback):
    return (
        isinstance(callback, EarlyStopping)
        and getattr(callback, "misses_", None) == callback.patience
    )


class Schedule(Callback):
    """Base of the schedules of the methods: what the objective is given in each round.

    A method's rounds are the epochs of its net. A schedule reads the module and the objective and
    writes to neither: what it makes for a round is what :meth:`refresh` returns.
    """

    def refresh(self, net):
        """Return the ``targets`` of the round that begins; None leaves those of the last one.

        It may look at all rows, record figures (``net.history.record``) and stop the training
        (``net.stop_training = True``). Before the first round ``len(net.history)`` is 1.
        """

    def on_epoch_begin(self, net, **kwargs):
        targets = self.refresh(net)
        if targets is not None:
            net.targets = targets


class Snapshot:
    """The weights of some modules at a moment, to go back to.

    Parameters
    ----------
    *modules : nn.Module
    """

    def __init__(self, *modules):
        self.modules = modules
        self.keep()

    @classmethod
    def of(cls, modules, states):
        """What was kept of these modules at another time."""
        snapshot = cls()
        snapshot.modules, snapshot.states = modules, states
        return snapshot

    def keep(self):
        """Take the weights as they are now."""
        self.states = [copy.deepcopy(module.state_dict()) for module in self.modules]

    def restore(self):
        """Give the modules the weights that were kept."""
        for module, state in zip(self.modules, self.states, strict=True):
            module.load_state_dict(state)


class BestEpoch(Callback):
    """Keep the weights of the epoch with the least loss, and stop when it has not fallen for long.

    Module and objective go back to that epoch at the end, whatever ended the training. Another
    loss than that of the training is what :meth:`measure` of a subclass returns.

    Parameters
    ----------
    patience : int or None, default=None
        Epochs without a new minimum after which to stop; None never stops.

    Attributes
    ----------
    loss_ : float
        The least loss.
    """

    def __init__(self, patience=None):
        self.patience = patience

    def on_train_begin(self, net, **kwargs):
        self.loss_, self.waited_, self.snapshot_ = math.inf, 0, None

    def measure(self, net):
        """Return the loss after an epoch; None where it is not looked at."""
        return net.history[-1]["train_loss"]

    def on_epoch_end(self, net, **kwargs):
        loss = self.measure(net)
        self.waited_ += 1
        if loss is None:
            return
        if loss < self.loss_:
            self.snapshot_ = Snapshot(net.module_, net.criterion_)
            self.loss_, self.waited_, self.epoch_ = loss, 0, len(net.history)
        elif self.patience is not None and self.waited_ >= self.patience:
            net.stop_training = True

    def on_train_end(self, net, **kwargs):
        if self.snapshot_ is not None:  # another callback may have ended the training before
            self.snapshot_.restore()
            net.kept_epoch = self.epoch_


class Progress(Callback):
    """A tqdm bar over the epochs of one stage, with the loss beside it."""

    def __init__(self, stage, epochs):
        self.stage = stage
        self.epochs = epochs
        self.bar_ = None

    def on_train_begin(self, net, **kwargs):
        from tqdm.auto import tqdm

        self.bar_ = tqdm(total=self.epochs, desc=self.stage, unit="epoch", leave=True)

    def on_epoch_end(self, net, **kwargs):
        loss = net.history[-1].get("train_loss")
        self.bar_.set_postfix_str(f"loss {loss:.4g}", refresh=False)
        self.bar_.update(len(net.history) - self.bar_.n)  # more than one if it went on

    def on_train_end(self, net, **kwargs):
        self.close()

    def close(self):
        if self.bar_ is not None:
            self.bar_.close()
