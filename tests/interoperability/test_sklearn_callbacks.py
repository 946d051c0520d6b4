"""Callbacks of scikit-learn see a fit as tasks, one within another, that begin and end."""

import importlib.util
import itertools
import pickle
import sys
from collections import Counter

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.callback import CallbackContext, ProgressBar, ScoringMonitor
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import EarlyStopping

from sklearn_deepcluster import DEC, save_model
from sklearn_deepcluster._engine import Tasks
from sklearn_deepcluster.cluster import _base
from sklearn_deepcluster.cluster._base import BaseDeepClusterer, _try_run
from sklearn_deepcluster.cluster._spectral_start import SpectralStart
from sklearn_deepcluster.utils import _sklearn
from tests._instances import (
    ESTIMATORS,
    KINDS,
    assert_same_fit,
    blobs,
    fitted,
    frozen,
    least,
    least_fitted,
    least_representation,
    pretrained,
    tiny,
    tiny_autoencoder,
)


class Own:
    """Records what it is told; scikit-learn does not hand it to the estimators within."""

    def __init__(self, stop=None):
        self.events, self.stop = [], stop

    def setup(self, estimator, context):
        self.events.append(("setup", path_of(context), {"estimator": estimator}))

    def teardown(self, estimator, context):
        self.events.append(("teardown", path_of(context), {}))

    def on_fit_task_begin(self, estimator, context):
        most = context.max_subtasks
        self.events.append(("begin", path_of(context), {"most": most, "estimator": estimator}))

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        told = {"X": X, "y": y, "metadata": metadata, "fitted": fitted_estimator}
        self.events.append(("end", path_of(context), told))
        return context.task_name == self.stop

    def tree(self):
        """Names of the tasks from the outermost on -> how many there were."""
        return Counter(path for event, path, _ in self.events if event == "begin")

    def most(self):
        return {path: told["most"] for event, path, told in self.events if event == "begin"}

    def ends(self, path):
        """What was told at the end of tasks."""
        return [told for event, at, told in self.events if event == "end" and at == path]

    def assert_whole(self):
        """What has begun has ended before what it is part of, between set-up and tear-down."""
        names = [name for name, _, _ in self.events]
        assert names[0] == "setup" and names[-1] == "teardown"
        assert Counter(names)["setup"] == Counter(names)["teardown"] == 1
        under_way, outside = [], self.events[1][1][:-1]
        for event, path, _ in self.events[1:-1]:
            if event == "begin":
                assert path[:-1] == (under_way[-1] if under_way else outside)
                under_way.append(path)
            else:
                assert path == under_way.pop()
        assert not under_way


class Recorder(Own):
    """One that goes along to the estimators within."""

    max_propagation_depth = None


class Writer(Recorder):
    """One that is told in several processes: it writes to a file."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_fit_task_end(self, estimator, context):
        with open(self.path, "a") as file:
            file.write("/".join(path_of(context)) + "\n")


def path_of(context):
    """Names from the outermost task on; of the fit of another estimator that of the task it is."""
    above = () if context.parent is None else path_of(context.parent)
    return (*above, context.source_task_name or context.task_name)


def watched(estimator, X=None, **params):
    """The fitted estimator and its recorder, which was told of everything in turn."""
    recorder = Recorder()
    estimator.set_params(**params).set_callbacks(recorder).fit(blobs()[0] if X is None else X)
    recorder.assert_whole()
    return estimator, recorder


FIT, PRETRAINING = ("fit",), ("fit", "pretraining")
START, CLUSTERING = ("fit", "start"), ("fit", "clustering")


def epochs(path):
    return (*path, "epoch")


# --- the tasks


@pytest.mark.parametrize("name", ["DEC", "KMeansNet"])
def test_pretraining_start_and_rounds(name):
    estimator, recorder = watched(tiny(name))
    training = (*PRETRAINING, "pretraining")
    n_pretrained = len(estimator.history_["pretraining_loss"])
    assert recorder.tree() == {
        FIT: 1,
        PRETRAINING: 1,
        training: 1,
        epochs(training): n_pretrained,
        START: 1,
        CLUSTERING: 1,
        epochs(CLUSTERING): estimator.n_iter_,
    }
    most = recorder.most()
    assert most[FIT] == 3 and most[PRETRAINING] == 1
    assert most[START] == most[epochs(CLUSTERING)] == 0
    assert most[training] == 8 and most[CLUSTERING] >= estimator.n_iter_


def test_a_network_from_random_weights_learns_its_start():
    ddc, recorder = watched(tiny("DDC", init="k-means"))
    tree = recorder.tree()
    assert 0 < tree.pop(epochs(START)) <= recorder.most()[START]
    assert tree == {FIT: 1, START: 1, CLUSTERING: 1, epochs(CLUSTERING): ddc.n_iter_}
    assert recorder.most()[FIT] == 2


def test_layers_come_before_the_whole():
    autoencoder, recorder = watched(tiny("Autoencoder"), layerwise_epochs=3)
    layers = [("fit", "layers", f"layer {i}") for i in (1, 2)]
    n_whole = autoencoder.n_iter_ - 2 * 3
    assert recorder.tree() == {
        **{path: 1 for path in [FIT, layers[0][:2], *layers, PRETRAINING]},
        **{epochs(path): 3 for path in layers},
        epochs(PRETRAINING): n_whole,
    }
    most = recorder.most()
    assert most[FIT] == most[layers[0][:2]] == 2 and most[layers[0]] == 3


def test_a_frozen_representation_is_not_trained():
    _, recorder = watched(frozen("DEC", fitted("Autoencoder")))
    assert PRETRAINING not in recorder.tree() and recorder.most()[FIT] == 2


def test_a_cached_representation_is_there_at_once(tmp_path):
    trees = []
    for _ in range(2):
        _, recorder = watched(pretrained("DEC", memory=str(tmp_path)))
        trees.append(recorder.tree())
    within = {path for path in trees[0] if path[:2] == PRETRAINING} - {PRETRAINING}
    assert len(within) == 2 and trees[1] == {p: n for p, n in trees[0].items() if p not in within}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_tells_and_learns_the_same(name):
    estimator, recorder = watched(least(name))
    assert_same_fit(estimator, least_fitted(name))
    last = CLUSTERING if isinstance(estimator, BaseDeepClusterer) else PRETRAINING
    assert recorder.tree()[epochs(last)] == estimator.n_iter_
    assert isinstance(recorder.ends(FIT)[0]["fitted"], type(estimator))


def test_a_start_that_is_learned_anew_is_one_more_task(monkeypatch):
    monkeypatch.setattr(SpectralStart, "drift", lambda *args: 1.0)
    _, recorder = watched(least("KNet"))
    tree = recorder.tree()
    assert tree[START] == 1 and tree[CLUSTERING] == 2 and recorder.most()[FIT] == 4


# --- several runs


def of_runs(tree):
    """Names of the tasks -> how many there were, without the runs and their epochs."""
    return {p[1:]: n for p, n in tree.items() if p[1:] and p[-1] != "epoch"}


def test_runs_are_tasks_of_their_own():
    dec, recorder = watched(pretrained("DEC"), n_init=2)
    tree, most = recorder.tree(), recorder.most()
    assert tree[FIT] == 1 and most[FIT] == 2
    assert most[("fit", "run")] == 3
    assert set(of_runs(tree).values()) == {2} and ("run", "clustering") in of_runs(tree)
    labels = [told["fitted"].predict(blobs()[0]) for told in recorder.ends(("fit", "run"))]
    assert any(np.array_equal(dec.labels_, found) for found in labels)


def test_runs_at_a_time_are_told_of():
    one, alone = watched(pretrained("DTKC"), n_init=2)
    together = Recorder()
    two = pretrained("DTKC", n_init=2, n_jobs=2).set_callbacks(together)
    with joblib.parallel_config("threading"):
        two.fit(blobs()[0])
    assert_same_fit(one, two)
    assert together.tree() == alone.tree()


def test_other_processes_can_tell(monkeypatch, tmp_path):
    def elsewhere(*args):
        estimator, *others = pickle.loads(pickle.dumps(args))
        assert others[-1].estimator is estimator
        return pickle.loads(pickle.dumps(_try_run(estimator, *others)))

    here, alone = watched(pretrained("DTKC"), n_init=2)
    monkeypatch.setattr(_base, "_try_run", elsewhere)
    writer = Writer(tmp_path / "ends")
    there = pretrained("DTKC", n_init=2).set_callbacks(writer).fit(blobs()[0])
    assert_same_fit(here, there)
    told = Counter(writer.path.read_text().split())
    assert told == {"/".join(path): n for path, n in alone.tree().items()}


def test_a_run_that_diverges_ends_its_tasks(monkeypatch):
    original, numbers = DEC._optimize, itertools.count()

    def optimize(self, task):
        if next(numbers) == 0:
            with task.trainer.tasks.task("clustering", 1):
                raise FloatingPointError("diverged")
        return original(self, task)

    monkeypatch.setattr(DEC, "_optimize", optimize)
    _, recorder = watched(least("DEC"), n_init=2)
    assert [told["fitted"] is None for told in recorder.ends(("fit", "run"))] == [True, False]
    assert len(recorder.ends(("fit", "run", "clustering"))) == 2


# --- the end


def test_a_fit_that_fails_ends_its_tasks():
    recorder, dec = Recorder(), least("DEC")
    dec.set_callbacks(recorder).set_params(optimizer="sgd", lr=1e30)
    with pytest.raises(FloatingPointError):
        dec.fit(1000 * blobs()[0])
    recorder.assert_whole()
    assert recorder.ends(FIT)[0]["fitted"] is None and epochs(CLUSTERING) in recorder.tree()
    assert not any("ctx" in name or "teardown" in name for name in vars(dec))


@pytest.mark.parametrize("name", ["DEC", "Autoencoder"])
def test_an_error_of_a_callback_ends_the_fit_and_leaves_the_estimator(name):
    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("of the callback")

    recorder, estimator = Failing(), least(name)
    with pytest.raises(RuntimeError, match="of the callback"):
        estimator.set_callbacks(recorder).fit(blobs()[0])
    assert recorder.events[-1][0] == "teardown" and not hasattr(estimator, "module_")


def test_what_is_refused_is_told_to_nobody():
    recorder = Recorder()
    with pytest.raises(ValueError, match="lr"):
        least("DEC", lr=-1.0).set_callbacks(recorder).fit(blobs()[0])
    assert recorder.events == []


def test_early_stopping_closes_the_tasks():
    stop = EarlyStopping("train_loss", patience=2, threshold=1e9, threshold_mode="abs")
    dec, recorder = watched(tiny("DEC", callbacks=[stop], min_steps=120, tol=0.0, drift_tol=None))
    assert recorder.tree()[epochs(CLUSTERING)] == dec.n_iter_ == 3 < recorder.most()[CLUSTERING]


def test_a_callback_stops_the_epochs_of_a_training():
    recorder = Recorder(stop="epoch")
    ae = tiny_autoencoder(random_state=0, layerwise_epochs=3).set_callbacks(recorder)
    ae.fit(blobs()[0])
    recorder.assert_whole()
    assert ae.n_iter_ == 3  # one of each layer and of the whole


def test_a_pretraining_that_was_stopped_is_not_cached(tmp_path):
    dec = pretrained("DEC", autoencoder__max_epochs=3, memory=str(tmp_path))
    whole = clone(dec).set_params(memory=None).fit(blobs()[0])
    stopped = clone(dec).set_callbacks(Recorder(stop="epoch")).fit(blobs()[0])
    assert len(stopped.history_["pretraining_loss"]) == 1
    assert_same_fit(dec.fit(blobs()[0]), whole)


# --- what callbacks are given


def test_data_are_those_given():
    X, y = blobs()
    recorder, rows, weight = Recorder(), X.tolist(), np.ones(len(X))
    dec = pretrained("DEC").set_callbacks(recorder).fit(rows, y, sample_weight=weight)
    told = recorder.ends(epochs((*PRETRAINING, "pretraining"))) + recorder.ends(FIT)
    for given in told:
        assert given["X"] is rows and given["y"] is y
        assert given["metadata"]["sample_weight"] is weight
    np.testing.assert_array_equal(told[-1]["fitted"].labels_, dec.labels_)


def test_a_representation_is_fitted_at_every_epoch():
    X, _ = blobs()
    ae = least_representation("DEC", random_state=0, validation_fraction=None, max_epochs=3)
    ae, recorder = watched(ae)
    found = [told["fitted"] for told in recorder.ends(epochs(PRETRAINING))]
    scores = [one.score(X) for one in found]
    assert len(set(scores)) == 3 and scores[-1] == ae.score(X)
    assert len({id(one.module_) for one in [ae, *found]}) == 4


def test_a_context_predictor_is_fitted_at_every_epoch():
    predictor, recorder = watched(tiny("ContextPredictor"))
    found = [told["fitted"].score(blobs()[0]) for told in recorder.ends(epochs(PRETRAINING))]
    assert found[-1] == predictor.score(blobs()[0]) != found[0]


def test_a_clusterer_is_fitted_at_the_end_alone():
    _, recorder = watched(least("DEC"))
    ends = [(path, told["fitted"]) for event, path, told in recorder.events if event == "end"]
    assert [path for path, found in ends if found is not None and path[:2] != PRETRAINING] == [FIT]


def test_scores_are_monitored():
    X, y = blobs()
    monitor = ScoringMonitor(scoring="adjusted_rand_score")
    dec = least("DEC", n_init=2).set_callbacks(monitor).fit(X, y)
    rows = monitor.get_logs().data
    assert [row["task_name"] for row in rows] == ["fit", "run", "run"]
    assert rows[0]["adjusted_rand_score"] == adjusted_rand_score(y, dec.labels_)


def test_progress_bars(capsys):
    least("DEC", n_init=2).set_callbacks(ProgressBar()).fit(blobs()[0])
    assert "DEC - clustering" in capsys.readouterr().out


# --- who is told


def test_one_that_is_for_one_estimator_sees_a_pretraining_from_outside():
    of_dec, of_network = Own(), Own()
    dec = pretrained("DEC").set_callbacks(of_dec)
    dec.autoencoder.set_callbacks(of_network)
    dec.fit(blobs()[0])
    of_dec.assert_whole()
    of_network.assert_whole()
    assert [path for path in of_dec.tree() if path[:2] == PRETRAINING] == [PRETRAINING]
    assert all(path[:2] == PRETRAINING for path in of_network.tree())
    # Of a clusterer without any it sees the training of the network alone.
    of_network.events.clear()
    clone(dec).set_callbacks().fit(blobs()[0])
    of_network.assert_whole()
    assert FIT in of_network.tree() and PRETRAINING in of_network.tree()


def test_a_search_hands_them_on():
    X, y = blobs()
    recorder = Recorder()
    search = GridSearchCV(least("DEC"), {"alpha": [1.0, 2.0]}, scoring="adjusted_rand_score", cv=2)
    search.set_callbacks(recorder).fit(X, y)
    recorder.assert_whole()
    fits = [path for path in recorder.tree().elements() if path[-1] == "clustering"]
    assert len(fits) == 2 * 2 + 1


@pytest.mark.parametrize("name", KINDS)
def test_without_callbacks_there_are_no_tasks(name, monkeypatch):
    def made(*args, **kwargs):
        raise AssertionError("a task was made")

    for kind in ("_from_estimator", "_from_parent"):
        monkeypatch.setattr(CallbackContext, kind, made)
    estimator = least(name).fit(blobs()[0])
    assert_same_fit(estimator, least_fitted(name))
    with pytest.raises(AssertionError, match="a task was made"):
        estimator.set_callbacks(Recorder()).fit(blobs()[0])


def test_clones_and_pickles_have_them():
    dec, recorder = watched(least("DEC"))
    n_told = len(recorder.events)
    clone(dec).fit(blobs()[0])
    assert len(recorder.events) == 2 * n_told
    again = pickle.loads(pickle.dumps(dec))
    assert_same_fit(dec, again.fit(blobs()[0]))


def test_a_fit_that_goes_on_is_told_as_it_is():
    _, recorder = watched(clone(least("DEC")).fit(blobs()[0]), warm_start=True)
    assert {path for path in recorder.tree()} == {FIT, CLUSTERING, epochs(CLUSTERING)}
    _, recorder = watched(clone(least("Autoencoder")).fit(blobs()[0]), warm_start=True)
    assert set(recorder.tree()) == {FIT, PRETRAINING, epochs(PRETRAINING)}


@pytest.mark.parametrize("name", ["DCN", "KMeansNet"])
def test_partial_fit_tells_of_the_first_call(name):
    recorder = Recorder()
    estimator = least(name).set_callbacks(recorder).partial_fit(blobs()[0])
    recorder.assert_whole()
    n_told = len(recorder.events)
    estimator.partial_fit(blobs()[0])
    assert n_told > 0 and len(recorder.events) == n_told


def test_a_model_with_callbacks_is_not_saved_without_them(tmp_path):
    dec, _ = watched(least("DEC"))
    with pytest.raises(ValueError, match="DEC has callbacks of scikit-learn"):
        save_model(dec, tmp_path / "dec")
    save_model(dec.set_callbacks(), tmp_path / "dec")


def test_a_scikit_learn_without_callbacks(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    spec = importlib.util.spec_from_file_location("without", _sklearn.__file__)
    without = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(without)
    estimator = without.CallbackSupportMixin()
    assert not hasattr(estimator, "set_callbacks") and not without.has_callbacks(estimator)
    assert without.with_callbacks(len) is len
    tasks = Tasks.of(estimator, {}, 3)
    with tasks.told(), tasks.task("one"), tasks.stage("two"):
        assert tasks.contexts == [] and len(tasks.split("run", 2, 1)) == 2
