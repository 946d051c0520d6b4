"""``checkpoint``: a fit that was killed goes on where it was, and ends with the same bits."""

import errno
import json
import multiprocessing
import os
import signal
import warnings

import numpy as np
import pytest
from filelock import FileLock
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import EarlyStopping, EpochTimer, LRScheduler, PrintLog

from sklearn_deepcluster import Autoencoder
from sklearn_deepcluster._engine import _checkpoint
from sklearn_deepcluster.exceptions import CheckpointWarning
from tests._instances import (
    CLUSTERERS,
    ESTIMATORS,
    KINDS,
    GlobalDraws,
    assert_same_fit,
    blobs,
    least,
    tiny,
    tiny_autoencoder,
)

X = blobs()[0][:120]


class Killed(BaseException):
    """Ends a fit at once, like a signal."""


def files(folder):
    """Paths of the files of trainings, the last written one last."""
    found = [os.path.join(at, f) for at, _, names in os.walk(folder) for f in names]
    return sorted((f for f in found if f.endswith(".safetensors")), key=os.path.getmtime)


def kill_after(monkeypatch, n_files):
    """Let a fit end once it has written so many files of trainings."""
    write, written = _checkpoint._write, []

    def writes(path, data):
        write(path, data)
        written.append(path)
        if sum(p.endswith(".safetensors") for p in written) == n_files:
            raise Killed

    monkeypatch.setattr(_checkpoint, "_write", writes)


def interrupted(make, folder, n_files=1):
    """Fit again and again, each time killed after so many files, until a fit has ended."""
    n_killed = 0
    while True:
        with pytest.MonkeyPatch.context() as patch:
            kill_after(patch, n_files)
            try:
                return make().set_params(checkpoint=folder).fit(X), n_killed
            except Killed:
                n_killed += 1


# -- the same bits ---------------------------------------------------------------------------------

AUTOENCODER = tiny_autoencoder()
# What the trainings of a method keep from epoch to epoch, in each way that it is kept.
CASES = {
    "start of a network": ("DDC", {"init": "k-means"}),
    "pretraining and start": ("DDC", {"init": "ac-mod", "encoder": AUTOENCODER}),
    "companion and start": ("DTKC", {"init": "k-means"}),
    "adversarial": ("IMSAT", {"init": "k-means"}),
    "layer": ("KMeansNet", {"variant": "decoupled"}),
    "runs": ("DEC", {"n_init": 2}),
    "layers": ("DEC", {"autoencoder__layerwise_epochs": 2, "autoencoder__noise": 0.2}),
    "held out": ("DEC", {"autoencoder__validation_fraction": 0.2}),
    "momentum": ("DEC", {"optimizer": "sgd", "momentum": 0.9}),
    "learning rate": ("DEC", {"callbacks": [LRScheduler("StepLR", step_size=1, gamma=0.5)]}),
    "best epoch": (
        "DEC",
        {"callbacks": [EarlyStopping(monitor="train_loss", patience=1, load_best=True)]},
    ),
    "siamese network": ("SpectralNet", {"affinity": "siamese"}),
    "prior": ("DEPICT", {"prior": "start"}),
    "random k-means": ("DEKM", {"kmeans_n_init": 2, "target": "random", "max_iter": 4}),
    "annealing": ("DKM", {"alpha": [0.1, 1.0, 10.0]}),
    "global draws": (
        "DEC",
        {"autoencoder": Autoencoder(module=GlobalDraws(16), max_epochs=2, min_steps=0)},
    ),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_fit_that_is_killed_after_every_epoch_ends_with_the_same_bits(name, tmp_path):
    found, n_killed = interrupted(lambda: tiny(name), str(tmp_path))
    assert n_killed >= 4
    expected = tiny(name).fit(X)
    assert_same_fit(found, expected)
    with pytest.MonkeyPatch.context() as patch:  # it is over: nothing is trained any more
        patch.setattr("sklearn_deepcluster._engine._net.IndexedNet.fit_loop", None)
        assert_same_fit(tiny(name, checkpoint=tmp_path).fit(X), expected)


@pytest.mark.parametrize("case", CASES)
def test_what_is_kept_from_epoch_to_epoch_is_stored(case, tmp_path):
    name, params = CASES[case]
    found, n_killed = interrupted(lambda: tiny(name, **clone_of(params)), str(tmp_path))
    assert n_killed >= 4
    assert_same_fit(found, tiny(name, **clone_of(params)).fit(X))


def clone_of(params):
    return {k: clone(v) if hasattr(v, "get_params") else v for k, v in params.items()}


@pytest.mark.parametrize("n_files", [2, 7])
def test_epochs_may_lie_between_kills(n_files, tmp_path):
    found, _ = interrupted(lambda: tiny("DEC"), str(tmp_path), n_files)
    assert_same_fit(found, tiny("DEC").fit(X))


def test_callbacks_and_bars_may_differ(tmp_path, monkeypatch, capsys):
    rows = []
    watch = PrintLog(sink=rows.append)
    kill_after(monkeypatch, 22)
    with pytest.raises(Killed):
        tiny("DEC", checkpoint=str(tmp_path), tol=0.0, callbacks=[watch]).fit(X)
    monkeypatch.undo()
    assert len(rows) == 3  # two of the header
    timed = tiny("DEC", tol=0.0, callbacks=[EpochTimer()], verbose=1)
    assert_same_fit(timed.set_params(checkpoint=str(tmp_path)).fit(X), tiny("DEC", tol=0.0).fit(X))
    assert "2/2" in capsys.readouterr().err


def test_weights_and_labels_belong_to_the_call(tmp_path, monkeypatch):
    y, weights = blobs()[1][:120], 1.0 + np.arange(120) % 3
    depict = tiny("DEPICT", semi_supervised=True)
    expected = clone(depict).fit(X, y, sample_weight=weights)
    depict.set_params(checkpoint=str(tmp_path))
    kill_after(monkeypatch, 8)
    with pytest.raises(Killed):
        clone(depict).fit(X, y, sample_weight=weights)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="other sample_weight, y"):
        clone(depict).fit(X, (y + 1) % 3, sample_weight=weights[::-1])
    assert_same_fit(clone(depict).fit(X, y, sample_weight=weights), expected)


def test_no_checkpoint_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    least("DEC").fit(X)
    assert list(tmp_path.iterdir()) == []


def test_a_fit_with_memory_has_the_pretraining_from_there(tmp_path):
    dec = tiny("DEC", memory=str(tmp_path / "memory"))
    expected = clone(dec).fit(X)
    found = clone(dec).set_params(checkpoint=str(tmp_path / "fit")).fit(X)
    assert_same_fit(found, expected)
    assert not any("pretraining" in path for path in files(tmp_path / "fit"))


# -- killed by the system --------------------------------------------------------------------------


def _fit(name, folder, moment):
    """Fit in a process that ends itself by SIGKILL at the `moment`-th step of its writing."""
    replace, moments = os.replace, iter(range(10**9))

    def at_a_moment():
        if next(moments) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def replaced(source, target):
        at_a_moment()  # all is written, but beside
        replace(source, target)
        at_a_moment()

    class File:
        """A file that is killed in the middle of its bytes."""

        def __init__(self, path, *args, **kwargs):
            self.file = open(path, *args, **kwargs)

        def __enter__(self):
            return self

        def __exit__(self, *raised):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, data):
            self.file.write(data[: len(data) // 2])
            self.file.flush()
            at_a_moment()
            self.file.write(data[len(data) // 2 :])

    os.replace = replaced
    _checkpoint.open = File
    tiny(name, checkpoint=folder).fit(X)


def kill_process(name, folder, moment):
    """Fit in a process; return whether it was killed."""
    process = multiprocessing.get_context("spawn").Process(target=_fit, args=(name, folder, moment))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def test_a_process_that_is_killed_within_a_file_is_gone_on_from(tmp_path):
    assert kill_process("DEC", str(tmp_path), 3 * 15)
    assert any(name.endswith(".tmp") for name in os.listdir(tmp_path / "pretraining"))
    assert_same_fit(tiny("DEC", checkpoint=str(tmp_path)).fit(X), tiny("DEC").fit(X))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["DEC", "DEPICT", "KMeansNet"])
def test_a_process_killed_at_twenty_moments_ends_with_the_same_bits(name, tmp_path):
    """In the middle of a file, between writing and naming it, and after that."""
    moments = np.random.default_rng(0).integers(0, 30, 20)
    assert sum(kill_process(name, str(tmp_path), int(moment)) for moment in moments) > 2
    assert_same_fit(tiny(name, checkpoint=str(tmp_path)).fit(X), tiny(name).fit(X))


def _fit_beside(**params):
    with warnings.catch_warnings():
        warnings.simplefilter("error", CheckpointWarning)
        try:
            return tiny("DEC", **params).fit(X)
        except ValueError as refused:
            return str(refused)


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_eight_fits_share_a_memory_but_no_checkpoint(backend, tmp_path):
    expected = tiny("DEC").fit(X)

    def eight(**folders):
        fits = [{k: str(tmp_path / f.format(i)) for k, f in folders.items()} for i in range(8)]
        return Parallel(8, backend=backend)(delayed(_fit_beside)(**params) for params in fits)

    for found in eight(memory="memory", checkpoint="fit {}"):
        assert_same_fit(found, expected)
    others = eight(checkpoint="one")
    refused = [found for found in others if isinstance(found, str)]
    assert refused and len(refused) < 8 and all("in use by another fit" in text for text in refused)
    for found in others:
        if not isinstance(found, str):
            assert_same_fit(found, expected)


# -- what is refused -------------------------------------------------------------------------------


def dec(**params):
    """Six rounds after a pretraining of twenty epochs."""
    return tiny("DEC", **{"min_steps": 60, "tol": 0.0} | params)


@pytest.fixture
def begun(tmp_path):
    """Folder of such a fit that was killed after the third round."""
    with pytest.MonkeyPatch.context() as patch:
        kill_after(patch, 24)
        with pytest.raises(Killed):
            dec(checkpoint=str(tmp_path)).fit(X)
    return str(tmp_path)


@pytest.fixture
def no_training(monkeypatch):
    """What begins to train fails."""
    monkeypatch.setattr("sklearn_deepcluster._engine._net.IndexedNet.fit_loop", None)


@pytest.mark.parametrize(
    ("params", "other"),
    [
        ({"lr": 0.5}, "lr"),
        ({"alpha": 2.0, "random_state": 1}, "alpha, random_state"),
        ({"autoencoder__noise": 0.1}, "autoencoder"),
        ({"init": "ac-mod"}, "init"),
        ({"n_init": 2}, "n_init"),
    ],
)
def test_other_parameters_are_refused_by_name(params, other, begun, no_training):
    with pytest.raises(ValueError, match=f"checkpoint=.* is of a fit with other {other}\\."):
        dec(checkpoint=begun, **params).fit(X)


def test_other_data_are_refused_by_name(begun, no_training):
    with pytest.raises(ValueError, match="of a fit with other X\\."):
        dec(checkpoint=begun).fit(X + np.float32(1e-6))
    with pytest.raises(ValueError, match="of a fit with other class"):
        tiny("IDEC", checkpoint=begun).fit(X)


def test_another_frozen_network_is_refused(tmp_path):
    first, second = (least("Autoencoder", random_state=i).fit(X) for i in (0, 1))
    model = least("DEC", checkpoint=str(tmp_path))
    model.set_params(autoencoder=FrozenEstimator(first)).fit(X)
    with pytest.raises(ValueError, match="of a fit with other autoencoder"):
        model.set_params(autoencoder=FrozenEstimator(second)).fit(X)


def test_a_warm_start_is_another_fit(tmp_path):
    model = least("DEC", warm_start=True, checkpoint=str(tmp_path / "first")).fit(X)
    with pytest.raises(ValueError, match="of a fit with other fitted model"):
        model.fit(X)
    expected = least("DEC", warm_start=True).fit(X).fit(X)
    assert_same_fit(model.set_params(checkpoint=str(tmp_path / "second")).fit(X), expected)


@pytest.mark.parametrize("seed", [None, np.random.RandomState(0)])
@pytest.mark.parametrize("name", ["DEC", "Autoencoder"])
def test_a_fit_that_cannot_be_repeated_is_refused(name, seed, tmp_path, no_training):
    with pytest.raises(ValueError, match="checkpoint expects an integer random_state"):
        tiny(name, checkpoint=str(tmp_path), random_state=seed).fit(X)


def test_a_folder_in_use_is_refused(begun, no_training):
    with FileLock(os.path.join(begun, "lock")):
        with pytest.raises(ValueError, match="in use by another fit"):
            dec(checkpoint=begun).fit(X)


def test_a_folder_that_cannot_be_one_is_refused(tmp_path, no_training):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="checkpoint=.*cannot be used"):
        dec(checkpoint=str(tmp_path / "file")).fit(X)


@pytest.mark.parametrize("text", ["{", "3", json.dumps(["X"])])
def test_a_damaged_folder_is_refused(text, begun, no_training):
    with open(os.path.join(begun, "fit.json"), "w") as file:
        file.write(text)
    with pytest.raises(ValueError, match="damaged: fit.json"):
        dec(checkpoint=begun).fit(X)


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["half", "empty", "a bit", "another name"])
def test_a_torn_file_is_told_and_the_one_before_is_used(damage, begun):
    *_, before, last = files(begun)
    assert "clustering-000003" in last and "clustering-000002" in before
    with open(last, "rb") as file:
        data = bytearray(file.read())
    if damage == "a bit":
        data[-5] ^= 1
    elif damage != "another name":
        data = data[: len(data) // 2] if damage == "half" else b""
    os.remove(last)
    if damage == "another name":
        last = last.replace(last[-20:-12], "00000000")
    with open(last, "wb") as file:
        file.write(data)
    with pytest.warns(CheckpointWarning, match="is damaged: DEC: clustering"):
        found = dec(checkpoint=begun).fit(X)
    assert_same_fit(found, dec().fit(X))


def test_where_all_files_are_torn_the_training_begins_anew(begun):
    for path in files(begun):
        os.truncate(path, 10)
    with pytest.warns(CheckpointWarning, match="is damaged"):
        found = dec(checkpoint=begun).fit(X)
    assert_same_fit(found, dec().fit(X))


def test_few_files_are_kept(begun):
    assert len(files(begun)) == 4  # one was to go, one of the pretraining, which has ended
    open(os.path.join(begun, "01-clustering-000099-00000000.safetensors.tmp"), "w").close()
    dec(checkpoint=begun).fit(X)
    assert len(files(begun)) == 2
    assert not any(name.endswith(".tmp") for name in os.listdir(begun))


@pytest.mark.parametrize("name", KINDS)
def test_a_full_disk_is_a_warning_and_the_fit_goes_on(name, tmp_path, monkeypatch):
    write, written = _checkpoint._write, []

    def full(path, data):
        if path.endswith(".safetensors"):
            written.append(path)
            if len(written) > 2:
                raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data)

    monkeypatch.setattr(_checkpoint, "_write", full)
    with pytest.warns(CheckpointWarning, match="leaves nothing from epoch .*No space left"):
        found = tiny(name, checkpoint=str(tmp_path)).fit(X)
    assert_same_fit(found, tiny(name).fit(X))


def test_a_full_disk_may_end_the_fit_and_it_goes_on_later(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    dec = tiny("DEC", checkpoint=str(tmp_path))
    kill_after(monkeypatch, 4)
    with pytest.raises(Killed):
        clone(dec).fit(X)
    monkeypatch.undo()
    monkeypatch.setattr(os, "fsync", full)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CheckpointWarning)
        with pytest.raises(CheckpointWarning, match="No space left"):
            clone(dec).fit(X)
    assert not any(name.endswith(".tmp") for _, _, names in os.walk(tmp_path) for name in names)
    monkeypatch.undo()
    assert_same_fit(clone(dec).fit(X), tiny("DEC").fit(X))


def test_a_full_disk_at_the_beginning_is_an_error(tmp_path, monkeypatch, no_training):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match="checkpoint=.* cannot be written.*No space left"):
        tiny("DEC", checkpoint=str(tmp_path)).fit(X)


def test_all_clusterers_have_one():
    for name in CLUSTERERS:
        assert tiny(name).checkpoint is None
