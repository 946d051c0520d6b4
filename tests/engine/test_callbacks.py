"""Callbacks of skorch do their job in pretraining and clustering, or are refused by name before."""

import io
import threading

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import make_scorer, silhouette_score
from skorch import callbacks as skorch_callbacks
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    Freezer,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    MlflowLogger,
    NeptuneLogger,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    SacredLogger,
    TensorBoard,
    TrainEndCheckpoint,
    WandbLogger,
)

from sklearn_deepcluster._engine._net import IndexedNet
from sklearn_deepcluster.metrics import silhouette_scorer
from tests._instances import (
    KINDS,
    assert_same_fit,
    blobs,
    fitted,
    least,
    prefix_of,
    tiny,
    tiny_autoencoder,
)

STAGES = ["Autoencoder", "DEC"]
LONG = {"Autoencoder": {"max_epochs": 12, "min_steps": 0}, "DEC": {"min_steps": 120, "tol": 0.0}}


def long(name, *callbacks, **params):
    """Some epochs or rounds: 12, where no callback ends them."""
    if name == "DEC":
        params |= {"drift_tol": None}
    return tiny(name, callbacks=list(callbacks), **LONG[name], **params)


def spread(net, X, y):
    """Of the embedding; X holds rows, and there are no labels."""
    assert y is None
    return float(net.predict(X).std())


# --- what each does


@pytest.mark.parametrize("layerwise_epochs", [0, 4])
def test_early_stopping_looks_at_the_rows_held_out(layerwise_epochs):
    stop = EarlyStopping(patience=2, threshold=1e9, threshold_mode="abs")
    params = {"callbacks": [stop], "layerwise_epochs": layerwise_epochs, "max_epochs": 9}
    autoencoder = tiny_autoencoder(random_state=0, **params).fit(blobs()[0])
    n_layers = 2 if layerwise_epochs else 0
    assert autoencoder.n_iter_ == 3 * (n_layers + 1)


@pytest.mark.parametrize("name", STAGES)
def test_load_best_goes_back_with_network_and_centres(name, tmp_path):
    # The learning rate grows until the loss does.
    growing = LRScheduler("LambdaLR", lr_lambda=lambda epoch: 3.0**epoch / 100, event_name=None)
    checkpoint = Checkpoint("train_loss_best", dirname=str(tmp_path), load_best=True)
    stop = EarlyStopping("train_loss", patience=99, threshold=0, load_best=True)
    params = {} if name == "DEC" else {"validation_fraction": None}
    fits = [long(name, growing, best, **params).fit(blobs()[0]) for best in (checkpoint, stop)]
    for fit in fits:
        losses = fit.history_["loss"]
        assert fit.kept_epoch_ == 1 + np.argmin(losses) < len(losses) == 12
    assert_equal_weights(torch.load(tmp_path / "params.pt"), *(fit.module_ for fit in fits))
    if name == "DEC":
        saved = torch.load(tmp_path / "criterion.pt")["centers"]
        for fit in fits:
            np.testing.assert_array_equal(fit.cluster_centers_, saved)


def assert_equal_weights(saved, *modules):
    for module in modules:
        state = module.state_dict()
        assert saved.keys() >= state.keys()
        assert all(torch.equal(saved[key], weight) for key, weight in state.items())


def test_a_file_that_is_given_gets_the_weights_of_the_model():
    file = io.BytesIO()
    end = TrainEndCheckpoint(f_params=file, f_criterion=None, f_optimizer=None, f_history=None)
    dec = least("DEC", callbacks=[end]).fit(blobs()[0])
    file.seek(0)
    assert_equal_weights(torch.load(file), dec.module_)


@pytest.mark.parametrize("name", STAGES)
def test_print_log_prints_a_table(name, capsys):
    estimator = long(name, PrintLog()).fit(blobs()[0])
    lines = capsys.readouterr().out.splitlines()
    titles = [line.split() for line in lines if "epoch" in line]
    values = [line for line in lines if "epoch" not in line and "---" not in line]
    assert len(values) == estimator.n_iter_ == 12
    expected = ["epoch", "train_loss", "valid_loss", "dur"]
    if name == "DEC":  # the first round cannot tell how many labels change
        later = ["epoch", "kl", "label_change", "train_loss", "dur"]
        assert titles == [[t for t in later if t != "label_change"], later]
        assert len(values[-1].split()) == len(later)
    else:
        assert titles == [expected]


class Bar(ProgressBar):
    seen = []

    def on_epoch_end(self, net, **kwargs):
        loss = net.history[-1, "batches", -1, "train_loss"]
        self.seen.append((self.pbar_.n, self.pbar_.total, f"{loss:.3g}" in self.pbar_.postfix))
        super().on_epoch_end(net, **kwargs)


@pytest.mark.parametrize(("name", "n_batches"), [("Autoencoder", 5), ("DEC", 10)])
def test_progress_bars_count_the_batches(name, n_batches):
    Bar.seen.clear()
    long(name, Bar()).fit(blobs()[0])
    assert Bar.seen == [(n_batches, n_batches, True)] * 12


@pytest.mark.parametrize("name", STAGES)
def test_epoch_scoring_scores_the_embedding(name):
    scores = []

    def noted(net, X, y):
        scores.append((spread(net, X, y), X.index.numpy()))
        return scores[-1][0]

    params = {} if name == "DEC" else {"validation_fraction": None}
    scoring = EpochScoring(noted, on_train=True, name="spread")
    estimator = long(name, scoring, **params, precision="float32").fit(blobs()[0])
    assert len(scores) == 12
    assert scores[-1][0] == pytest.approx(estimator.transform(blobs()[0]).std(), rel=1e-5)
    np.testing.assert_array_equal(scores[-1][1], np.arange(300))
    if name == "DEC":
        assert estimator.history_["spread"] == [score for score, _ in scores]
        assert "spread_best" not in estimator.history_


def test_epoch_scoring_of_the_rows_held_out():
    sizes = []

    def noted(net, X, y):
        sizes.append(len(X))
        return spread(net, X, y)

    on = [EpochScoring(noted, on_train=on_train, name=str(on_train)) for on_train in (False, True)]
    long("Autoencoder", *on).fit(blobs()[0])
    assert sizes == [30, 270] * 12


@pytest.mark.parametrize("name", STAGES)
def test_a_schedule_of_the_learning_rate(name):
    rates = []

    class Look(Callback):
        def on_epoch_end(self, net, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    halves = LRScheduler("StepLR", step_size=1, gamma=0.5)
    estimator = long(name, Look(), halves, lr=0.01).fit(blobs()[0])
    np.testing.assert_allclose(rates, 0.01 * 0.5 ** np.arange(12))
    if name == "DEC":
        np.testing.assert_allclose(estimator.history_["event_lr"], rates)


def test_schedules_of_single_batches():
    rates = []

    class Look(Callback):
        def on_batch_end(self, net, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    falls = LRScheduler("ReduceLROnPlateau", patience=0, threshold=1e9, step_every="batch")
    least("DEC", callbacks=[falls, Look()], lr=0.01, min_steps=4, update_interval=4).fit(blobs()[0])
    np.testing.assert_allclose(rates[:4], 0.01 * 0.1 ** np.arange(1, 5))


def test_scores_of_batches_are_averaged():
    rows = []

    class Look(Callback):
        def on_epoch_end(self, net, **kwargs):
            rows.append(net.history[-1])

    means = [
        BatchScoring(spread_of_batch, on_train=True),
        PassthroughScoring("train_loss", on_train=True),
    ]
    long("Autoencoder", Look(), *means, Look()).fit(blobs()[0])
    for row in rows:
        sizes = [batch["train_batch_size"] for batch in row["batches"]]
        assert sum(sizes) == 270 and row["train_batch_count"] == len(sizes) == 5
        for name in ("spread_of_batch", "train_loss"):
            values = [batch[name] for batch in row["batches"]]
            assert row[name] == pytest.approx(np.average(values, weights=sizes))


def spread_of_batch(net, X, y):
    return float(net.predict(X).std())


@pytest.mark.parametrize("name", STAGES)
def test_frozen_weights_stay_and_can_be_trained_again(name):
    # A fit draws the weights; of the clusterer they are those of a fitted network.
    start = tiny("Autoencoder", max_epochs=0, min_steps=0).fit(blobs()[0])
    estimator = long(name, Freezer("encoder.0.*"), precision="float32")
    if name == "DEC":
        start = fitted("Autoencoder")
        estimator.set_params(autoencoder=FrozenEstimator(start))
    estimator.fit(blobs()[0])
    before, after = (dict(e.module_.encoder.named_parameters()) for e in (start, estimator))
    assert all(parameter.requires_grad for parameter in after.values())
    assert torch.equal(before["0.weight"], after["0.weight"])
    assert not torch.equal(before["2.weight"], after["2.weight"])


class Uncopyable:
    """As loggers are: it holds a lock, and cannot be copied or pickled."""

    def __init__(self, **attributes):
        self.lock, self.calls = threading.Lock(), []
        vars(self).update(attributes)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self.calls.append((name, args, kwargs))


def calls_of(log, name):
    return [(args, kwargs) for called, args, kwargs in log.calls if called == name]


@pytest.mark.parametrize("stage", ["pretraining", "clustering"])
def test_loggers_log_every_epoch(stage, tmp_path):
    writer, client, experiment = Uncopyable(), Uncopyable(), Uncopyable()
    wandb_run = Uncopyable(dir=tmp_path)
    run = Uncopyable(info=Uncopyable(run_id=3))
    loggers = [
        TensorBoard(writer),
        MlflowLogger(run, client, log_on_batch_end=True),
        SacredLogger(experiment),
        WandbLogger(wandb_run, save_model=stage == "pretraining"),
    ]
    loss, n_epochs = ("valid_loss", 8) if stage == "pretraining" else ("kl", 2)
    params = {"autoencoder__callbacks" if stage == "pretraining" else "callbacks": loggers}
    clone(tiny("DEC", tol=0.0, **params)).fit(blobs()[0])
    scalars = [kwargs for _, kwargs in calls_of(writer, "add_scalar")]
    name = f"Loss/{loss}" if stage == "pretraining" else loss
    steps = [s["global_step"] for s in scalars if s["tag"] == name]
    assert steps == list(range(1, n_epochs + 1))
    assert all(type(s["scalar_value"]) in (int, float) for s in scalars)
    metrics = [(args[1], kwargs["step"]) for args, kwargs in calls_of(client, "log_metric")]
    assert [step for key, step in metrics if key == f"{loss}_epoch"] == steps
    n_batches = 40 if stage == "pretraining" else 20
    assert [s for key, s in metrics if key == "train_loss_batch"] == list(range(1, n_batches + 1))
    assert len(calls_of(client, "log_artifact")) == 4  # the history is JSON, too
    assert [a[2] for a, _ in calls_of(experiment, "log_scalar") if a[0] == loss] == steps
    assert [loss in args[0] for args, _ in calls_of(wandb_run, "log")] == [True] * n_epochs
    assert (tmp_path / "best_model.pth").exists() == (stage == "pretraining")


def test_what_is_recorded_is_json(tmp_path):
    """A logger of artifacts, or a Checkpoint, writes the history as such."""
    for name in KINDS:
        file = tmp_path / f"{name}.json"
        parts = {"f_params": None, "f_criterion": None, "f_optimizer": None}
        end = TrainEndCheckpoint(f_history=file.name, dirname=str(tmp_path), fn_prefix="", **parts)
        least(name, callbacks=[end]).fit(blobs()[0])
        assert file.exists()


# --- what cannot


@pytest.fixture
def no_training(monkeypatch):
    def started(net, *args, **kwargs):
        pytest.fail(f"{net.stage} has started")

    monkeypatch.setattr(IndexedNet, "fit_loop", started)


WITHOUT_VALIDATION = [
    (EarlyStopping(), "valid_loss.*Monitor 'train_loss'"),
    (Checkpoint(), "valid_loss_best.*Monitor 'train_loss_best'"),
    (LRScheduler("ReduceLROnPlateau", "valid_loss"), "Monitor 'train_loss'"),
    (WandbLogger(None), "save_model=False"),
    (EpochScoring(spread), "on_train=True"),
]
NEVER = [
    (BatchScoring(spread), "on_train=True"),
    (PassthroughScoring("train_loss"), "on_train=True"),
    (EpochScoring("accuracy", on_train=True), "asks for labels"),
    (EpochScoring(None, on_train=True), "asks for labels"),
    (EpochScoring(make_scorer(silhouette_score), on_train=True), "asks for labels"),
    (EpochScoring(silhouette_scorer, on_train=True), "asks for labels"),
    (Checkpoint("train_loss_best", f_pickle="net.pkl"), "f_pickle"),
    (Checkpoint("train_loss_best", f_decoder="d.pt"), "f_decoder"),
    (Checkpoint("train_loss_best", load_best=True, event_name=None), "event_name"),
    (InputShapeSetter(), "width"),
    (LoadInitState(TrainEndCheckpoint()), "warm_start=True"),
    (MlflowLogger(), "mlflow"),
    (NeptuneLogger(None), "neptune"),
]


@pytest.mark.parametrize("name", [*KINDS, "Autoencoder", "IdentityAutoencoder"])
@pytest.mark.parametrize(("callback", "says"), WITHOUT_VALIDATION)
def test_without_rows_held_out_they_are_refused_before_training(callback, says, name, no_training):
    params = {"validation_fraction": None} if name == "Autoencoder" else {}
    with pytest.raises(ValueError, match=f"callbacks: {type(callback).__name__} .*{says}"):
        least(name, callbacks=[callback], **params).fit(blobs()[0])


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize(("callback", "says"), NEVER)
def test_what_cannot_work_is_refused_before_training(callback, says, name, no_training):
    with pytest.raises(ValueError, match=f"callbacks: {type(callback).__name__} .*{says}"):
        least(name, callbacks=[callback]).fit(blobs()[0])


def test_too_few_rows_to_hold_out_are_none(no_training):
    with pytest.raises(ValueError, match="EarlyStopping.*Monitor 'train_loss'"):
        least("Autoencoder", callbacks=[EarlyStopping()]).fit(blobs()[0][:90])


class Locked(Callback):
    def __init__(self):
        self.lock = threading.Lock()


@pytest.mark.parametrize(
    ("callbacks", "says"),
    [
        ([("a", EpochTimer()), ("a", EpochTimer())], "[Dd]uplicate"),
        ([MlflowLogger], "mlflow"),
        ([EpochScoring], "cannot be copied: .*scoring"),
        ([Locked()], "cannot be copied: .*lock"),
    ],
)
def test_lists_that_do_not_work_are_refused_before_training(callbacks, says, no_training):
    with pytest.raises(ValueError, match=says):
        least("DEC", callbacks=callbacks).fit(blobs()[0])


def test_a_name_that_another_callback_records_serves():
    X, _ = blobs()
    scoring = EpochScoring(spread, on_train=True, name="valid_loss")
    stop = EarlyStopping(patience=2, threshold=1e9, threshold_mode="abs")
    assert long("DEC", scoring, stop).fit(X).n_iter_ == 3

    class Own(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("valid_loss", 1.0)

    assert long("DEC", Own(), stop).fit(X).n_iter_ == 3


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(ValueError, match=r"Freezer\('dense\*'\) matches.*encoder.0.weight"):
        least("Autoencoder", callbacks=[Freezer("dense*")]).fit(blobs()[0])


# --- what stays


@pytest.mark.parametrize("name", [*KINDS, "Autoencoder"])
def test_callbacks_that_look_leave_the_fit_as_it_is(name):
    lines = []
    looking = [
        PrintLog(sink=lines.append),
        EpochScoring(spread, on_train=True, name="embedding_std"),
        Bar(),
    ]
    params = {f"{p}callbacks": list(looking) for p in {"", prefix_of(name)}}
    known = tiny(name).get_params()
    estimator = tiny(name, **{k: v for k, v in params.items() if k in known}).fit(blobs()[0])
    without = tiny(name).fit(blobs()[0])
    assert len(lines) > 2
    estimator.history_.pop("embedding_std", None)
    assert_same_fit(estimator, without)


def test_every_callback_of_skorch_was_looked_at():
    """One that is new there wants a line in the guide, and perhaps a refusal."""
    known = """BatchScoring Callback Checkpoint EarlyStopping EpochScoring EpochTimer Freezer
    GradientNormClipping Initializer InputShapeSetter LRScheduler LoadInitState MlflowLogger
    NeptuneLogger ParamMapper PassthroughScoring PrintLog ProgressBar SacredLogger TensorBoard
    TrainEndCheckpoint Unfreezer WandbLogger WarmRestartLR"""
    assert set(skorch_callbacks.__all__) <= set(known.split())
