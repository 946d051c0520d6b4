"""Rows that a network does not learn from tell when it learns no more of the others."""

import functools
import math

import torch

from sklearn_deepcluster._engine import Batches, Callback, Snapshot, generator, map_blocks

# With fewer held out their error says nothing; more say no more.
_LEAST, _MOST = 10, 2000
# The error is looked at once so many steps were made; without a new minimum in this share of the
# epochs, training stops.
_STEPS, _PATIENCE = 10, 0.25


def hold_out(n_samples, fraction, seed):
    """Split rows at random; return those to learn from and those held out, both sorted.

    Returns
    -------
    learned, held : int64 Tensors, or None, None
        None where too few would be held out.
    """
    n_held = min(round((fraction or 0.0) * n_samples), _MOST)
    if n_held < _LEAST:
        return None, None
    order = torch.randperm(n_samples, generator=generator(seed))
    return order[n_held:].sort().values, order[:n_held].sort().values


def batches_of(learned):
    """What makes batches of these rows alone, as of all where they are None."""
    return functools.partial(Batches, chosen=learned)


def reconstruction_errors(module, rows):
    """Mean squared error of each row, Tensor (n,)."""
    return map_blocks(lambda block: (module(block)[1] - block).square().mean(1), rows)


class LeastHeldOutError(Callback):
    """Keep the weights that reconstruct the rows held out best; stop when they get no better.

    Parameters
    ----------
    rows : Rows
        Those held out.
    epochs : int
        How many there will be at most.
    n_steps : int
        Steps of an epoch.
    """

    def __init__(self, rows, epochs, n_steps):
        self.rows = rows
        self.epochs = epochs
        self.every = max(1, _STEPS // n_steps)
        self.patience = math.ceil(_PATIENCE * epochs)

    def on_train_begin(self, net, **kwargs):
        self.error_, self.waited_, self.snapshot_ = math.inf, 0, None

    def on_epoch_end(self, net, **kwargs):
        self.waited_ += 1
        if len(net.history) % self.every and len(net.history) < self.epochs:
            return
        module = net.module_.eval()
        error = float(reconstruction_errors(module, self.rows).double().mean())
        net.history.record("validation_loss", error)
        if error < self.error_:
            self.error_, self.waited_ = error, 0
            self.snapshot_ = Snapshot(net.module_)
        net.stop_training |= self.waited_ >= self.patience

    def on_train_end(self, net, **kwargs):
        if self.snapshot_ is not None:  # a callback may have ended the training before
            self.snapshot_.restore()
