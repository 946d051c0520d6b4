"""One net trains everything: records, stops, errors, and what the user hands through."""

import math

import numpy as np
import pytest
import torch
from skorch.callbacks import EarlyStopping
from torch import nn

from sklearn_deepcluster import Autoencoder
from sklearn_deepcluster._engine import OPTIMIZERS, Callback, Rows, Trainer, in_rounds
from sklearn_deepcluster.losses import ReconstructionLoss
from sklearn_deepcluster.nn import AutoencoderModule, Dropout, MaskingNoise, mlp

CPU = torch.device("cpu")


def trainer(**params):
    defaults = {
        "device": CPU,
        "autocast": False,
        "batch_size": 8,
        "optimizer": "sgd",
        "lr": 0.01,
        "momentum": 0.0,
    }
    return Trainer(**(defaults | params))


def rows(n=20, d=4, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return Rows(X)


def autoencoder(d=4, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return AutoencoderModule(mlp([d, 8, 2], rng), mlp([2, 8, d], rng))


def train(module=None, objective=None, data=None, *, epochs=3, settings=None, **params):
    return trainer(**(settings or {})).train(
        module or autoencoder(),
        objective or ReconstructionLoss(),
        data or rows(),
        seed=0,
        stage="the stage",
        epochs=epochs,
        **params,
    )


class Spy(Callback):
    """Writes down events; the engine's copy of it is the same object."""

    def __init__(self):
        self.events = []
        self.nets = []

    def __deepcopy__(self, memo):
        return self

    def on_train_begin(self, net, **kwargs):
        self.events.append("train begin")
        self.nets.append(net)

    def on_epoch_begin(self, net, **kwargs):
        self.events.append("epoch begin")

    def on_batch_end(self, net, **kwargs):
        self.events.append("batch")

    def on_epoch_end(self, net, **kwargs):
        self.events.append("epoch end")

    def on_train_end(self, net, **kwargs):
        self.events.append("train end")


class IndexTerms(nn.Module):
    """Terms that are known functions of the rows in the batch."""

    def forward(self, step):
        index = step.index.double()
        loss = 0.0 * step.outputs[0].sum() + index.mean()
        return {"loss": loss, "square": index.square().mean()}


class PoisonedLoss(ReconstructionLoss):
    """A loss that becomes `value` in one epoch."""

    def __init__(self, value, call, term="loss"):
        super().__init__()
        self.value, self.call, self.term, self.calls = value, call, term, 0

    def forward(self, step):
        terms = super().forward(step)
        self.calls += 1
        if self.calls == self.call:
            terms[self.term] = terms["loss"] * self.value
        else:
            terms.setdefault(self.term, terms["loss"])
        return terms


# --- history


def test_history_holds_the_mean_of_each_term_over_the_rows():
    data = rows(7)  # batches of 3, 2 and 2 rows: the mean of their means would differ
    history = train(objective=IndexTerms(), data=data, settings={"batch_size": 3})
    assert len(history) == 3
    for epoch in history:
        assert epoch["train_loss"] == pytest.approx(np.mean(range(7)), rel=1e-12)
        assert epoch["square"] == pytest.approx(np.mean(np.square(range(7))), rel=1e-12)
        assert type(epoch["train_loss"]) is float


def test_training_equals_a_plain_loop():
    module, reference = autoencoder(), autoencoder()
    data = rows()
    visited = []

    class Recorded(ReconstructionLoss):
        def forward(self, step):
            visited.append(step.index)
            return super().forward(step)

    train(module, Recorded(), data, settings={"momentum": 0.9})
    optimizer = torch.optim.SGD(reference.parameters(), lr=0.01, momentum=0.9)
    for index in visited:
        x = torch.from_numpy(data.X[index.numpy()])
        optimizer.zero_grad()
        nn.functional.mse_loss(reference(x)[1], x).backward()
        optimizer.step()
    for trained, expected in zip(module.parameters(), reference.parameters(), strict=True):
        np.testing.assert_allclose(trained.detach(), expected.detach(), rtol=1e-4, atol=1e-6)


def test_parameters_of_the_objective_are_trained_along():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.zeros(1))

        def forward(self, step):
            return {"loss": (self.shift - 3.0).square().sum() + 0.0 * step.outputs[0].sum()}

    objective = Shifted()
    train(objective=objective, epochs=50, settings={"lr": 0.1})
    assert objective.shift.item() == pytest.approx(3.0, abs=1e-3)


def test_rounds_of_steps_make_that_many_batches():
    spy = Spy()
    train(epochs=4, batches=in_rounds(5), settings={"callbacks": [spy]})
    assert spy.events.count("epoch end") == 4
    assert spy.events.count("batch") == 20


# --- divergence


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("call", [4, 6], ids=["first-batch", "last-batch"])
def test_a_loss_that_leaves_the_numbers_is_reported_before_anything_else_is_computed(value, call):
    spy, schedule = Spy(), Spy()
    with pytest.raises(FloatingPointError, match=r"the stage diverged in epoch 2: .*lr=0\.01"):
        # 20 rows in batches of 8 are three batches an epoch.
        train(
            objective=PoisonedLoss(value, call),
            epochs=10,
            schedule=[schedule],
            settings={"callbacks": [spy]},
        )
    for events in (spy.events, schedule.events):
        assert events.count("epoch begin") == 2
        assert events.count("epoch end") == 1
        assert events[-1] == "batch"


def test_another_term_that_leaves_the_numbers_is_named():
    with pytest.raises(FloatingPointError, match="'extra' is nan"):
        train(objective=PoisonedLoss(float("nan"), 4, term="extra"), epochs=10)


def test_a_step_size_that_is_too_large_ends_in_the_error():
    with pytest.raises(FloatingPointError, match=r"lr=1e\+20"):
        train(epochs=50, settings={"lr": 1e20})


# --- stopping


class StopAt(Callback):
    def __init__(self, epoch, event):
        self.epoch, self.event = epoch, event

    def _stop(self, net, event):
        if event == self.event and len(net.history) == self.epoch:
            net.stop_training = True

    def on_epoch_begin(self, net, **kwargs):
        self._stop(net, "begin")

    def on_epoch_end(self, net, **kwargs):
        self._stop(net, "end")


@pytest.mark.parametrize(("event", "trained"), [("begin", 2), ("end", 3)])
def test_a_callback_stops_the_training(event, trained):
    spy = Spy()
    history = train(epochs=10, schedule=[StopAt(3, event)], settings={"callbacks": [spy]})
    assert sum("train_loss" in epoch for epoch in history) == trained
    assert spy.events.count("epoch end") == trained
    assert spy.events[-1] == "train end"


def test_skorchs_early_stopping_works():
    history = train(
        epochs=30,
        settings={
            "lr": 1e-12,
            "callbacks": [EarlyStopping(monitor="train_loss", patience=3, threshold=0.1)],
        },
    )
    assert len(history) == 3 + 1


@pytest.mark.parametrize(
    "event", ["on_train_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end", "on_train_end"]
)
def test_a_real_interrupt_gets_through_and_leaves_the_module_silent(event):
    def interrupt(self, net, **kwargs):
        raise KeyboardInterrupt

    module = autoencoder()
    module.corruption = MaskingNoise(0.5)
    callback = type("Interrupt", (Callback,), {event: interrupt})()
    with pytest.raises(KeyboardInterrupt):
        train(module, noise=True, settings={"callbacks": [callback]})
    assert module.corruption.generator is None
    assert not module.training


# --- what the user hands through


def test_callbacks_are_copied_and_run_after_the_schedule():
    order = []

    class Note(Callback):
        def __init__(self, name):
            self.name = name

        def on_epoch_begin(self, net, **kwargs):
            order.append(self.name)
            self.used = True

    mine = Note("user")
    train(epochs=2, schedule=[Note("method")], settings={"callbacks": [mine]})
    assert order == ["method", "user"] * 2
    assert not hasattr(mine, "used")


def test_net_params_reach_the_net_and_its_optimiser():
    spy = Spy()
    train(
        settings={
            "callbacks": [spy],
            "net_params": {"optimizer__weight_decay": 0.25, "lr": 0.5},
        }
    )
    group = spy.nets[0].optimizer_.param_groups[0]
    assert group["weight_decay"] == 0.25
    assert group["lr"] == 0.5


@pytest.mark.parametrize(
    "name",
    [
        "module",
        "module__x",
        "criterion",
        "criterion__alpha",
        "callbacks",
        "train_split",
        "device",
        "iterator_train__shuffle",
        "batch_size",
        "max_epochs",
        "verbose",
        "autocast",
    ],
)
def test_net_params_that_the_estimator_sets_are_refused(name):
    with pytest.raises(ValueError, match=f"net_params may not set {name}"):
        train(settings={"net_params": {name: None}})


def test_net_params_that_do_not_exist_are_refused():
    for params in ({"no_such_thing": 1}, {"optimizer__no_such_thing": 1}):
        with pytest.raises(ValueError, match="net_params=.*no_such_thing"):
            train(settings={"net_params": params})


def settled_loss(settings, epochs=40):
    history = train(
        autoencoder(6), data=rows(64, 6), epochs=epochs, settings={"batch_size": 16} | settings
    )
    return history[0]["train_loss"], history[-1]["train_loss"]


RATES = {"sgd": 0.1, "adadelta": 1.0, "adagrad": 0.1}


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimiser_trains(name):
    spy = Spy()
    first, last = settled_loss(
        {"optimizer": name, "lr": RATES.get(name, 0.01), "momentum": 0.5, "callbacks": [spy]}
    )
    assert last < 0.8 * first
    optimizer = spy.nets[0].optimizer_
    assert type(optimizer) is OPTIMIZERS[name]
    assert optimizer.param_groups[0]["lr"] == RATES.get(name, 0.01)
    if name in ("sgd", "rmsprop"):
        assert optimizer.param_groups[0]["momentum"] == 0.5


@pytest.mark.parametrize(
    ("optimizer", "lr", "batch_size", "epochs"),
    # L-BFGS calls its closure many times a step, and is meant for full batches.
    [(torch.optim.NAdam, 0.01, 16, 30), (torch.optim.LBFGS, 0.1, None, 5)],
)
def test_an_optimiser_class_trains(optimizer, lr, batch_size, epochs):
    spy = Spy()
    first, last = settled_loss(
        {"optimizer": optimizer, "lr": lr, "callbacks": [spy], "batch_size": batch_size}, epochs
    )
    assert type(spy.nets[0].optimizer_) is optimizer
    assert last < 0.8 * first


def test_both_precisions_train_alike_and_the_objective_sees_float32():
    seen = set()

    class Recorded(ReconstructionLoss):
        def forward(self, step):
            seen.update(out.dtype for out in (*step.outputs, step.x))
            return super().forward(step)

    losses, modules = {}, {}
    for autocast in (False, True):
        modules[autocast] = autoencoder(6)
        engine = trainer(autocast=autocast, optimizer="adam")
        history = engine.train(
            modules[autocast], Recorded(), rows(64, 6), seed=0, stage="", epochs=40
        )
        losses[autocast] = history[-1]["train_loss"]
        assert losses[autocast] < 0.8 * history[0]["train_loss"]
        assert {p.dtype for p in modules[autocast].parameters()} == {torch.float32}
        assert engine.embed(modules[autocast].encode, rows(64, 6)).dtype == torch.float32
    assert seen == {torch.float32}
    assert losses[True] != losses[False]
    assert math.isclose(losses[True], losses[False], rel_tol=0.05)


# --- noise


class NoisyOnes(nn.Module):
    """Shows what two noise layers of one width do to ones."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([MaskingNoise(0.5), Dropout(0.5), MaskingNoise(0.5)])
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen = []

    def forward(self, x):
        self.seen.append([layer(torch.ones(8, 16)) != 0 for layer in self.layers])
        return x * self.weight, x * self.weight


def noise_of(noise, seed=0):
    module = NoisyOnes()
    trainer().train(
        module, ReconstructionLoss(), rows(8), seed=seed, stage="", epochs=2, noise=noise
    )
    return module, [mask for call in module.seen for mask in call]


def test_noise_layers_draw_only_in_stages_with_noise_and_are_silent_afterwards():
    module, masks = noise_of(False)
    assert all(mask.all() for mask in masks)
    module, masks = noise_of(True)
    assert not any(mask.all() for mask in masks)
    assert all(layer.generator is None for layer in module.layers)
    assert not module.training


def test_noise_layers_do_not_repeat_each_others_masks():
    _, masks = noise_of(True)
    assert len({tuple(mask.flatten().tolist()) for mask in masks}) == len(masks) == 6


def test_noise_is_reproduced_by_the_seed():
    for a, b in zip(noise_of(True, 1)[1], noise_of(True, 1)[1], strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(noise_of(True, 1)[1][0], noise_of(True, 2)[1][0])


def test_a_users_attribute_named_generator_is_left_alone():
    class Adversarial(nn.Module):
        def __init__(self):
            super().__init__()
            self.generator = nn.Linear(4, 4)

        def forward(self, x):
            return x, self.generator(x)

    module = Adversarial()
    before = module.generator.weight.clone()
    train(module, noise=True)
    assert not torch.equal(module.generator.weight, before)


# --- the rest


def test_training_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    module = autoencoder()
    module.corruption = MaskingNoise(0.5)
    train(module, noise=True)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_module_that_draws_globally_is_reproducible_and_the_state_is_restored():
    before = torch.get_rng_state()
    weights = []
    for _ in range(2):
        module = autoencoder()
        module.corruption = nn.Dropout(0.5)
        train(module, settings={"global_rng": True})
        weights.append(module.encoder[0].weight)
        torch.rand(1)
        torch.set_rng_state(before)
    assert torch.equal(*weights)
    assert torch.equal(torch.get_rng_state(), before)


def test_batch_size_one_with_batch_norm_is_refused():
    module = AutoencoderModule(nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2)), nn.Linear(2, 4))
    with pytest.raises(ValueError, match="batch_size=1"):
        train(module, settings={"batch_size": 1})
    assert len(train(module, settings={"batch_size": 2})) == 3


def test_progress_is_shown_when_asked_for(capsys):
    train(epochs=2)
    assert capsys.readouterr().err == ""
    train(epochs=2, settings={"verbose": 1})
    err = capsys.readouterr().err
    assert "the stage" in err and "2/2" in err and "loss" in err


def test_a_stop_before_the_first_epoch_waits_for_its_end():
    class Eager(Callback):
        def on_epoch_begin(self, net, **kwargs):
            net.stop_training = True

    ae = Autoencoder(hidden_layer_sizes=(4,), n_components=2, callbacks=[Eager()], random_state=0)
    assert ae.fit(np.eye(5, dtype=np.float32)).n_iter_ == 1


def test_early_stopping_without_patience_is_a_stop_too():
    stop = EarlyStopping(monitor="train_loss", patience=0)
    assert len(train(epochs=9, settings={"callbacks": [stop]})) == 1
