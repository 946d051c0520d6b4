"""The one skorch net: trains a module against an objective on indexed batches."""

import copy
import math

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback


class IndexedNet(NeuralNet):
    """A skorch net whose criterion is an objective ``objective(outputs, x, i)``.

    The objective is a module (its learnable centres, if any, are trained along) that returns a
    dict of scalar tensors; ``"loss"`` is the one that is minimised. The mean of each term over
    an epoch is recorded in skorch's history once, at the end of the epoch. A callback stops the
    training by setting ``net.stop_training = True``; skorch's ``EarlyStopping`` works too.

    Parameters
    ----------
    autocast : bool, default=False
        Run the forward pass in bfloat16; the objective always sees float32.

    stage : str, default="training"
        Named in errors.
    """

    def __init__(self, module, *args, autocast=False, stage="training", **kwargs):
        super().__init__(module, *args, **kwargs)
        self.autocast = autocast
        self.stage = stage

    @property
    def _default_callbacks(self):
        return []

    def infer(self, x, **fit_params):
        # All threads share one cache of casts, and each clears it for the others when it is done:
        # how the gradient of a weight that is used twice is rounded would depend on their timing.
        with torch.autocast(
            torch.device(self.device).type,
            dtype=torch.bfloat16,
            enabled=self.autocast,
            cache_enabled=False,
        ):
            outputs = self.module_(x)
        return tuple(out if out is None else out.float() for out in outputs)

    def train_step_single(self, batch, **fit_params):
        x, index = batch
        try:
            terms = self.criterion_(self.infer(x), x, index)
        except torch.linalg.LinAlgError as exc:  # of numbers that are not finite any more
            raise self.diverged(str(exc)) from exc
        terms["loss"].backward()
        return {"loss": terms["loss"], "terms": {k: v.detach() for k, v in terms.items()}}

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Train one epoch; the loss terms are gathered without a synchronisation per batch."""
        if iterator is None:
            return
        self._set_training(True)
        sums, n_rows = {}, 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=True)
            step = step_fn(batch)
            for name, value in step["terms"].items():
                sums[name] = sums.get(name, 0.0) + value * len(batch[1])
            n_rows += len(batch[1])
            self.notify("on_batch_end", batch=batch, training=True, **step)
        for name, value in sums.items():
            value = float(value) / n_rows
            self.history.record("train_loss" if name == "loss" else name, value)
            if not math.isfinite(value):
                raise self.diverged(f"the term {name!r} is {value}")

    def diverged(self, what):
        """Return the error for a training that has left the finite numbers."""
        return FloatingPointError(
            f"{self.stage} diverged in epoch {len(self.history)}: {what}. "
            f"The likely cause is a step size that is too large for these data (lr={self.lr})."
        )

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Run `epochs` epochs over the batches X, or fewer if a callback stops the training."""
        self.check_training_readiness()
        self.stop_training = False
        for epoch in range(epochs):
            self._notify_epoch("on_epoch_begin", X)
            if self.stop_training and epoch > 0:  # there is no result without one epoch
                break
            self.run_single_epoch(X, training=True, prefix="train", step_fn=self.train_step)
            self._notify_epoch("on_epoch_end", X)
            if self.stop_training:
                break
        return self

    def _notify_epoch(self, event, batches):
        try:
            self.notify(event, dataset_train=batches, dataset_valid=None)
        except KeyboardInterrupt as interrupt:
            # skorch's callbacks ask for a stop by raising KeyboardInterrupt; a real Ctrl-C is
            # raised in whatever code happens to run and must get through.
            last = interrupt.__traceback__
            while last.tb_next is not None:
                last = last.tb_next
            if not last.tb_frame.f_globals.get("__name__", "").startswith("skorch.callbacks"):
                raise
            self.stop_training = True


class BestEpoch(Callback):
    """Keep the weights of the epoch with the least loss, and stop when it has not fallen for long.

    Module and objective go back to that epoch at the end, whatever ended the training.

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
        self.loss_, self.state_, self.waited_ = math.inf, None, 0

    def on_epoch_end(self, net, **kwargs):
        loss = net.history[-1]["train_loss"]
        if loss < self.loss_:
            parts = net.module_, net.criterion_
            self.state_ = [copy.deepcopy(part.state_dict()) for part in parts]
            self.loss_, self.waited_ = loss, 0
            return
        self.waited_ += 1
        if self.patience is not None and self.waited_ >= self.patience:
            net.stop_training = True

    def on_train_end(self, net, **kwargs):
        for part, state in zip((net.module_, net.criterion_), self.state_, strict=True):
            part.load_state_dict(state)


class Progress(Callback):
    """A tqdm bar over the epochs of one stage, with the loss beside it."""

    def __init__(self, stage, epochs):
        self.stage = stage
        self.epochs = epochs

    def on_train_begin(self, net, **kwargs):
        from tqdm.auto import tqdm

        self.bar_ = tqdm(total=self.epochs, desc=self.stage, unit="epoch", leave=True)

    def on_epoch_end(self, net, **kwargs):
        loss = net.history[-1].get("train_loss")
        self.bar_.set_postfix_str(f"loss {loss:.4g}", refresh=False)
        self.bar_.update()

    def on_train_end(self, net, **kwargs):
        self.bar_.close()
