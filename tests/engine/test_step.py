"""What an objective is told of a step, what a schedule makes for a round, and who draws."""

import copy

import numpy as np
import pytest
import torch
from skorch.callbacks import EarlyStopping
from torch import nn

from sklearn_deepcluster._engine import (
    Batch,
    Callback,
    Rows,
    Schedule,
    Snapshot,
    Trainer,
    generator,
    in_rounds,
)
from sklearn_deepcluster.losses import ReconstructionLoss
from sklearn_deepcluster.nn import AutoencoderModule, Dropout, MaskingNoise, Stochastic, mlp

N, D = 20, 4


def rows():
    return Rows(np.random.default_rng(0).normal(size=(N, D)).astype(np.float32))


def autoencoder(**params):
    rng = torch.Generator().manual_seed(0)
    return AutoencoderModule(mlp([D, 8, 2], rng), mlp([2, 8, D], rng), **params)


def train(objective, module=None, *, settings=None, seed=0, epochs=2, **params):
    defaults = {"autocast": False, "batch_size": 8, "optimizer": "sgd", "lr": 0.1, "momentum": 0.0}
    trainer = Trainer(device=torch.device("cpu"), **(defaults | (settings or {})))
    return trainer.train(
        module or autoencoder(), objective, rows(), seed=seed, stage="", epochs=epochs, **params
    )


def first_weight(step):
    return next(step.net.module_.parameters()).detach().clone()


# -- the step ------------------------------------------------------------------------------------


@pytest.mark.parametrize("autocast", [False, True])
def test_the_network_is_there_for_other_rows_in_the_precision_of_the_training(autocast):
    seen = []

    class Perturbed(ReconstructionLoss):
        def forward(self, step):
            again, other = step.network(step.x), step.network(step.x + 1.0)
            seen.append((step.outputs, again, other, step.net.module_(step.x + 1.0)))
            back = torch.autograd.grad(other[1].sum(), list(step.net.module_.parameters()))
            assert all(torch.isfinite(grad).all() for grad in back)
            return super().forward(step)

    train(Perturbed(), settings={"autocast": autocast})
    assert len(seen) == 2 * 3
    for outputs, again, other, exact in seen:
        assert {out.dtype for out in other} == {torch.float32}
        assert all(torch.equal(a, b) for a, b in zip(outputs, again, strict=True))
        assert not torch.equal(other[0], outputs[0])
        # bfloat16 rounds: so it is seen which precision that was.
        assert torch.equal(other[0], exact[0]) != autocast
        torch.testing.assert_close(other[0], exact[0], rtol=0.05, atol=0.05)


def test_outputs_that_are_none_stay_none():
    class Encoding(nn.Module):
        def forward(self, step):
            assert step.outputs[1] is None and step.network(step.x)[1] is None
            return {"loss": step.outputs[0].square().mean()}

    module = autoencoder()
    module.decoder = None
    assert len(train(Encoding(), module)) == 2


def test_embed_is_by_the_weights_after_the_step_and_without_noise():
    class Watching(ReconstructionLoss):
        n_steps = 0

        def forward(self, step):
            self.before = copy.deepcopy(step.net.module_).eval()
            return super().forward(step)

        def after_step(self, step):
            z = step.embed(step.x)
            assert step.net.module_.training and not z.requires_grad
            now = copy.deepcopy(step.net.module_).eval()
            assert torch.equal(z, now.encode(step.x)) and z.dtype == torch.float32
            assert not torch.equal(z, self.before.encode(step.x))
            self.n_steps += 1

    # Noise of the engine in the input and before a layer, and a dropout of the user.
    module = autoencoder(corruption=MaskingNoise(0.5))
    module.encoder = nn.Sequential(Dropout(0.5), *module.encoder, nn.Dropout(0.5))
    objective = Watching()
    train(objective, module, noise=True)
    assert objective.n_steps == 2 * 3


@pytest.mark.parametrize(
    ("optimizer", "batch_size", "n_steps"), [("sgd", 8, 6), (torch.optim.LBFGS, None, 2)]
)
def test_after_step_comes_once_a_step_when_the_weights_have_moved(optimizer, batch_size, n_steps):
    """Also of an optimiser that evaluates the objective many times a step."""
    events = []

    class Acting(ReconstructionLoss):
        def forward(self, step):
            events.append(("forward", step, first_weight(step)))
            return super().forward(step)

        def after_step(self, step):
            events.append(("after", step, first_weight(step)))

    train(Acting(), settings={"optimizer": optimizer, "batch_size": batch_size})
    ends = [i for i, event in enumerate(events) if event[0] == "after"]
    assert len(ends) == n_steps and ends[-1] == len(events) - 1
    assert (len(events) > 2 * n_steps) == (batch_size is None)
    for start, end in zip([0, *(i + 1 for i in ends)], ends, strict=False):
        forward, after = events[start], events[end]
        assert after[1] is forward[1], "it is told of its own step"
        assert not torch.equal(after[2], forward[2])


# -- schedules -----------------------------------------------------------------------------------


class Rounds(Schedule):
    """Returns these, round by round."""

    def __init__(self, values):
        self.values = iter(values)

    def refresh(self, net):
        return next(self.values)


class SeenTargets(ReconstructionLoss):
    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, step):
        self.seen.append(step.targets)
        return super().forward(step)


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        (["a", "b", "c"], ["a", "b", "c"]),
        (["a", None, "c"], ["a", "a", "c"]),
        ([None, None, "c"], ["given", "given", "c"]),
        ([0, None, False], [0, 0, False]),
    ],
)
def test_what_refresh_returns_reaches_the_objective_in_that_round(values, seen):
    objective = SeenTargets()
    batches = in_rounds(2)
    train(objective, epochs=3, batches=batches, targets="given", schedule=[Rounds(values)])
    assert objective.seen == [target for target in seen for _ in range(2)]


def test_without_targets_the_step_has_none():
    objective = SeenTargets()
    train(objective, schedule=[Rounds([None, None])])
    assert set(objective.seen) == {None}


def test_a_refresh_may_record_and_stop():
    class Stopping(Schedule):
        def refresh(self, net):
            net.history.record("round", len(net.history))
            net.stop_training |= len(net.history) == 3

    history = train(ReconstructionLoss(), epochs=9, schedule=[Stopping()])
    assert [row["round"] for row in history] == [1, 2, 3]
    assert ["train_loss" in row for row in history] == [True, True, False]


# -- snapshots -----------------------------------------------------------------------------------


def test_a_snapshot_keeps_and_restores_weights_and_buffers():
    modules = [nn.Linear(2, 3), nn.BatchNorm1d(3)]
    snapshot = Snapshot(*modules)

    def state():
        return [v.clone() for module in modules for v in module.state_dict().values()]

    def change():
        with torch.no_grad():
            modules[0].weight.add_(1.0)
            modules[1](torch.randn(5, 3, generator=generator(0)))

    def same(a, b):
        return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))

    first = state()
    change()
    second = state()
    assert not same(first, second)
    snapshot.restore()
    assert same(state(), first)
    change()
    snapshot.keep()
    third = state()
    change()
    for _ in range(2):  # what was kept is not what is trained on
        snapshot.restore()
        assert same(state(), third)
        change()


# -- batches of a method's own -------------------------------------------------------------------


class Pairs:
    """Rows and the rows after them: 2 b rows a batch."""

    def __init__(self, rows, batch_size, rng):
        self.rows, self.batch_size, self.rng = rows, batch_size, rng

    def __iter__(self):
        for index in torch.randperm(N, generator=self.rng).split(self.batch_size):
            both = torch.cat([index, (index + 1) % N])
            yield Batch(self.rows.take(both), both)


def test_pairs_are_split_by_the_objective():
    sizes = []

    class Neighbours(nn.Module):
        def forward(self, step):
            first, second = step.outputs[0].chunk(2)
            left, right = step.index.chunk(2)
            assert torch.equal(right, (left + 1) % N)
            np.testing.assert_array_equal(step.x, rows().X[step.index])
            sizes.append(len(step.x))
            return {"loss": (first - second).square().mean(), "size": first.new_tensor(len(left))}

    history = train(Neighbours(), batches=Pairs)
    assert sizes == [16, 16, 8] * 2
    assert history[1]["train_loss"] < history[0]["train_loss"]
    # Terms are means over rows.
    assert history[0]["size"] == pytest.approx((8 * 16 + 8 * 16 + 4 * 8) / 40)


class InTurn:
    """Batches of two kinds, one after the other."""

    def __init__(self, rows, batch_size, rng):
        self.rows = rows

    def __iter__(self):
        for start, kind in enumerate(["clean", "shifted", "clean", "shifted"]):
            index = torch.arange(5 * start, 5 * start + 5)
            yield Batch(self.rows.take(index), index, kind)


def test_kinds_of_batches_are_told_apart():
    kinds = []

    class ByKind(ReconstructionLoss):
        def forward(self, step):
            kinds.append((step.kind, step.index[0].item() // 5))
            loss = super().forward(step)["loss"]
            return {"loss": loss if step.kind == "clean" else 0.0 * loss}

        def after_step(self, step):
            assert step.kind == kinds[-1][0]

    history = train(ByKind(), batches=InTurn, settings={"lr": 1e-12})
    assert kinds == list(zip(["clean", "shifted"] * 2, range(4), strict=True)) * 2
    whole = train(ReconstructionLoss(), batches=InTurn, settings={"lr": 1e-12})
    assert 0 < history[0]["train_loss"] < whole[0]["train_loss"]


def test_batches_by_default_are_of_no_kind():
    class OfNoKind(ReconstructionLoss):
        def forward(self, step):
            assert step.kind is None
            return super().forward(step)

    train(OfNoKind())


# -- who draws -----------------------------------------------------------------------------------


class Draw(Stochastic):
    """Keeps what it drew in `log`, which may be shared."""

    def __init__(self, log):
        super().__init__()
        self.log = log

    def forward(self, x):
        self.log.append(torch.rand(3, generator=self.generator))
        return x + 0.01 * self.log[-1].sum()


class Drawing(nn.Module):
    """A reconstruction loss of noisy rows, with a corruption of its own."""

    def __init__(self, log):
        super().__init__()
        self.draw, self.corruption = Draw(log), MaskingNoise(0.5)
        self.has_noise = []

    def forward(self, step):
        self.has_noise.append(self.corruption.generator is not None)
        assert (self.corruption.generator is None) or (
            self.corruption.generator is self.draw.generator
        )
        return {"loss": (step.outputs[1] - self.draw(step.x)).square().mean()}


def drawn(seed=3, noise=False):
    log = []
    module, objective = autoencoder(), Drawing(log)
    module.encoder = nn.Sequential(Draw(log), *module.encoder)
    before = torch.get_rng_state()
    train(objective, module, seed=seed, noise=noise)
    assert torch.equal(torch.get_rng_state(), before)
    layers = [module.encoder[0], objective.draw, objective.corruption]
    assert all(layer.generator is None for layer in layers)
    return torch.stack(log), objective


def test_layers_of_network_and_objective_draw_from_one_stream():
    log, _ = drawn()
    assert len(log) == 2 * 3 * 2
    stream = generator(3 + 1)
    assert torch.equal(log, torch.stack([torch.rand(3, generator=stream) for _ in log]))
    assert torch.equal(log, drawn()[0])
    assert not torch.equal(log, drawn(seed=4)[0])


def test_only_corruption_waits_for_a_stage_with_noise():
    for noise in (False, True):
        log, objective = drawn(noise=noise)
        assert len(log) == 12 and objective.has_noise == [noise] * 6


def test_a_stage_that_fails_leaves_no_generator():
    class Failing(Drawing):
        def forward(self, step):
            super().forward(step)
            raise RuntimeError("failed")

    objective = Failing([])
    with pytest.raises(RuntimeError, match="failed"):
        train(objective, noise=True)
    assert objective.draw.generator is None and objective.corruption.generator is None


# -- interrupts ----------------------------------------------------------------------------------


def patient(**params):
    """Early stopping that would stop at the end of the third epoch."""
    defaults = {"monitor": "train_loss", "patience": 2, "threshold": 1e9, "threshold_mode": "abs"}
    return EarlyStopping(**(defaults | {"sink": lambda text: None} | params))


class InterruptAt(Callback):
    def __init__(self, event, epoch):
        self.event, self.epoch = event, epoch

    def on_epoch_begin(self, net, **kwargs):
        self._interrupt(net, "begin")

    def on_epoch_end(self, net, **kwargs):
        self._interrupt(net, "end")

    def _interrupt(self, net, event):
        if event == self.event and len(net.history) == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("event", "epoch"), [("begin", 1), ("end", 1), ("end", 2), ("begin", 3)])
def test_an_interrupt_beside_early_stopping_gets_through(event, epoch, first):
    callbacks = [InterruptAt(event, epoch), patient()]
    with pytest.raises(KeyboardInterrupt):
        train(
            ReconstructionLoss(),
            epochs=9,
            settings={"callbacks": callbacks if first else callbacks[::-1]},
        )


class InterruptedStopping(EarlyStopping):
    """Interrupted where it looks at the loss of the second epoch."""

    def _is_score_improved(self, score):
        if not np.isinf(self.dynamic_threshold_):
            raise KeyboardInterrupt
        return super()._is_score_improved(score)


def test_an_interrupt_within_early_stopping_that_has_patience_left_gets_through():
    stop = InterruptedStopping(monitor="train_loss", patience=2)
    with pytest.raises(KeyboardInterrupt):
        train(ReconstructionLoss(), epochs=9, settings={"callbacks": [stop]})


def test_an_interrupt_by_its_sink_gets_through():
    """It tells of the best weights at the very end."""

    def interrupt(text):
        raise KeyboardInterrupt

    stop = patient(load_best=True, sink=interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(ReconstructionLoss(), epochs=9, settings={"callbacks": [stop]})


@pytest.mark.parametrize("as_pair", [False, True])
def test_early_stopping_itself_ends_the_training_in_peace(as_pair):
    stop = ("stop", patient()) if as_pair else patient()
    assert len(train(ReconstructionLoss(), epochs=9, settings={"callbacks": [stop]})) == 3
