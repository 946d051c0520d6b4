"""Rows that a network does not learn from tell when it learns no more of the others."""

import functools
import math

import numpy as np
import torch

from sklearn_deepcluster._engine import (
    Batches,
    BestEpoch,
    Callback,
    Chosen,
    generator,
    map_blocks,
    mean_loss,
)

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


def watched(rows, held, look):
    """Options of a training for the rows held out, if any, which `look` makes a callback of."""
    if held is None:
        return {}
    return {"schedule": [look(rows.some(held))], "held": Chosen(rows, held)}


def reconstruction_errors(module, rows):
    """Mean squared error of each row, Tensor (n,)."""
    return map_blocks(lambda block: (module(block)[1] - block).square().mean(1), rows)


class LeastHeldOutError(BestEpoch):
    """Keep the weights that reconstruct the rows held out best; stop when they get no better.

    Parameters
    ----------
    rows : Rows
        Those held out.
    epochs : int
        How many there will be at most.
    """

    def __init__(self, rows, epochs):
        super().__init__(patience=math.ceil(_PATIENCE * epochs))
        self.rows = rows
        self.epochs = epochs

    def measure(self, net):
        """Return the mean squared error; every epoch, or as often as there were ten steps."""
        epoch, steps = len(net.history), net.history[-1]["train_batch_count"]
        asked = epoch % max(1, _STEPS // steps) == 0 or epoch >= self.epochs
        if not (asked or net.observed):
            return None
        errors = reconstruction_errors(net.module_.eval(), self.rows).double()
        error = float(np.average(errors, weights=self.rows.weight))
        net.record_best("valid_loss", error)  # by this name callbacks ask for it, in every epoch
        if not asked:
            return None
        net.history.record("validation_loss", error)
        return error


class HeldOutLoss(Callback):
    """Record the loss of the rows held out as ``valid_loss``, if a callback may ask.

    Parameters
    ----------
    rows : Rows
        Those held out.
    """

    def __init__(self, rows):
        self.rows = rows

    def on_epoch_end(self, net, **kwargs):
        if not net.observed:
            return
        net.module_.eval()
        net.record_best("valid_loss", mean_loss(net.criterion_, net.infer, self.rows))
