"""Training ends with the weights of its best epoch, and early where the loss no longer falls."""

import numpy as np
import pytest
import torch
from skorch.callbacks import EarlyStopping
from torch import nn

from sklearn_deepcluster._engine import BestEpoch, Callback, Rows, Trainer, in_rounds

# The weights fall by this much with every step.
STEP = 0.5
STEPS = 2
RISING_AGAIN = [5.0, 3.0, 4.0, 2.0, 2.0, 6.0, 7.0, 1.0]


class Counted(nn.Module):
    """One weight, and a buffer that counts the batches, as batch normalisation has."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.register_buffer("n_batches", torch.zeros(1))

    def forward(self, x):
        self.n_batches += 1
        return (self.weight * torch.ones(len(x), 1),)


class Rigged(nn.Module):
    """A loss that takes these values, epoch by epoch; its gradient is 1 for both weights."""

    def __init__(self, losses):
        super().__init__()
        self.own = nn.Parameter(torch.zeros(1))
        self.losses = losses
        self.calls = 0

    def forward(self, step):
        value = self.losses[self.calls // STEPS]
        self.calls += 1
        moving = (step.outputs[0].mean() + self.own).sum()
        return {"loss": moving - moving.detach() + value}


def train(losses, *, best=None, patience=None, callbacks=None):
    module, objective, best = Counted(), Rigged(losses), best or BestEpoch(patience)
    trainer = Trainer(
        device=torch.device("cpu"),
        autocast=False,
        batch_size=3,
        optimizer="sgd",
        lr=STEP,
        momentum=0.0,
        callbacks=callbacks,
    )
    history = trainer.train(
        module,
        objective,
        Rows(np.zeros((6, 1), dtype=np.float32)),
        seed=0,
        stage="the stage",
        epochs=len(losses),
        batches=in_rounds(STEPS),
        schedule=[best],
    )
    return module, objective, best, [row["train_loss"] for row in history]


def assert_state_of(epoch, module, objective):
    """Weights, buffers and the objective are as they were at the end of that epoch."""
    steps = STEPS * (epoch + 1)
    assert module.weight.item() == objective.own.item() == -STEP * steps
    assert module.n_batches.item() == steps


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        (RISING_AGAIN, 7),
        (RISING_AGAIN[:7], 3),
        (RISING_AGAIN[:3], 1),
        ([1.0, 2.0, 3.0], 0),
        ([3.0, 2.0, 1.0], 2),
        ([2.0, 2.0], 0),
    ],
)
def test_the_weights_are_those_of_the_best_epoch(losses, best):
    module, objective, callback, history = train(losses)
    assert history == losses and callback.loss_ == min(losses)
    assert_state_of(best, module, objective)


@pytest.mark.parametrize(
    ("patience", "epochs", "best"), [(1, 3, 1), (2, 6, 3), (3, 7, 3), (4, 8, 7), (None, 8, 7)]
)
def test_patience_stops_after_so_many_epochs_without_a_new_minimum(patience, epochs, best):
    module, objective, callback, history = train(RISING_AGAIN, patience=patience)
    assert history == RISING_AGAIN[:epochs]
    assert callback.loss_ == RISING_AGAIN[best]
    assert_state_of(best, module, objective)


def test_the_best_epoch_is_kept_whatever_ended_the_training():
    stop = EarlyStopping(
        monitor="train_loss", patience=2, threshold=0, threshold_mode="abs", sink=lambda *a: None
    )
    module, objective, _, history = train([2.0, 1.0, 3.0, 4.0, 5.0, 0.0], callbacks=[stop])
    assert len(history) < 6
    assert_state_of(1, module, objective)


def test_it_starts_anew_with_every_training():
    best = BestEpoch(patience=1)
    for losses in ([1.0], [5.0, 6.0]):
        module, objective, _, _ = train(losses, best=best)
        assert best.loss_ == losses[0]
        assert_state_of(0, module, objective)


class Look(Callback):
    """What a callback of the user sees at the end: it comes after the best epoch is restored."""

    def __init__(self):
        self.seen = []

    def __deepcopy__(self, memo):
        return self

    def on_train_end(self, net, **kwargs):
        self.seen.append(net.module_.weight.item())


def test_callbacks_of_the_user_see_the_best_epoch_at_the_end():
    look = Look()
    module, _, _, _ = train([2.0, 1.0, 3.0], callbacks=[look])
    assert look.seen == [module.weight.item()] == [-STEP * STEPS * 2]
