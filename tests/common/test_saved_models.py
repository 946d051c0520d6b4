"""Models are saved as data, and load as they were; damage is noticed."""

import copy
import json
import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import Memory
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.base import clone
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, KFold, RepeatedKFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from sklearn_deepcluster import (
    DEC,
    Autoencoder,
    GraphAgglomerative,
    check_savable,
    load_model,
    persistence,
    save_model,
)
from sklearn_deepcluster.metrics import unsupervised_accuracy_scorer
from sklearn_deepcluster.utils import _pickles
from tests._instances import (
    CLUSTERERS,
    END_TO_END,
    ESTIMATORS,
    EVERY,
    IMAGE,
    KINDS,
    N_CLUSTERS,
    N_FEATURES,
    REPRESENTATIONS,
    GlobalDraws,
    accepts,
    assert_same_fit,
    blobs,
    fitted,
    fitted_state,
    least,
    least_fitted,
    prefix_of,
    tiny_autoencoder,
)
from tests.common._shared import every_estimator, outputs

MODELS = Path(__file__).resolve().parents[1] / "models"


@every_estimator
def test_saved_models_come_back_the_same(name, tmp_path):
    X, _ = blobs()
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(N_FEATURES)])
    estimator = least(name).fit(frame)
    save_model(estimator, tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert type(again) is type(estimator)
    assert repr(again) == repr(estimator)
    assert_same_fit(estimator, again)
    assert {k: type(v) for k, v in fitted_state(again).items()} == {
        k: type(v) for k, v in fitted_state(estimator).items()
    }
    for method, values in outputs(estimator, frame).items():
        np.testing.assert_array_equal(values, getattr(again, method)(frame), err_msg=method)
    assert estimator.score(frame) == again.score(frame)
    assert not again.module_.training
    assert os.listdir(tmp_path) == ["model"]


@every_estimator
def test_a_loaded_model_goes_on_with_warm_start(name, tmp_path):
    X, _ = blobs()
    estimator = copy.deepcopy(least_fitted(name)).set_params(warm_start=True)
    save_model(estimator, tmp_path / "model")
    assert_same_fit(estimator.fit(X), load_model(tmp_path / "model").fit(X))


@pytest.mark.parametrize(
    "name", [n for n in CLUSTERERS if accepts(n, "init") and n not in END_TO_END]
)
def test_array_parameters_are_saved(name, tmp_path):
    X, _ = blobs()
    centers = fitted(name).cluster_centers_
    save_model(least(name, init=centers).fit(X), tmp_path / "model")
    np.testing.assert_array_equal(load_model(tmp_path / "model").init, centers)


def test_a_frozen_network_has_the_size_of_its_own_fit(tmp_path):
    """Not that which it would have for the samples that are clustered."""
    X = np.random.default_rng(0).normal(size=(5000, 2))
    frozen = FrozenEstimator(Autoencoder(n_components=2, max_epochs=0, min_steps=0).fit(X))
    model = DEC(2, autoencoder=frozen, max_epochs=1, min_steps=1, random_state=0).fit(X[:100])
    assert model.module_.encoder[0].out_features == 500
    save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_saved_images_come_back_as_images(tmp_path):
    images = blobs()[0].reshape(-1, *IMAGE)
    estimator = least("DCEC").fit(images)
    save_model(estimator, tmp_path / "model")
    again = load_model(tmp_path / "model")
    prototypes = again.inverse_transform(again.cluster_centers_)
    assert prototypes.shape == (N_CLUSTERS, *IMAGE)
    np.testing.assert_array_equal(
        prototypes, estimator.inverse_transform(estimator.cluster_centers_)
    )


class Mine(Autoencoder):
    """A user's subclass: its code is not in the package."""


class MyKMeans(KMeans):
    """Another."""


class MyOptimizer(torch.optim.Adam):
    """And another."""


# What is saved though it is no plain value, and how it is told that it came back.
SAVED = {
    "optimizer": (lambda X: torch.optim.AdamW, lambda a, b: a is b),
    "autoencoder__optimizer": (lambda X: torch.optim.RAdam, lambda a, b: a is b),
    "device": (lambda X: torch.device("cpu"), lambda a, b: a == b),
    "init": (lambda X: KMeans(n_init=2), lambda a, b: repr(a) == repr(b)),
    "autoencoder": (
        lambda X: FrozenEstimator(tiny_autoencoder(min_steps=1).fit(X)),
        lambda a, b: np.array_equal(*(f.transform(blobs()[0]) for f in (a, b))),
    ),
}


# A value is written as it is, whose parameter it may be.
@pytest.mark.parametrize(
    ("name", "parameter"),
    [(n, p) for n in (*KINDS, *REPRESENTATIONS) for p in SAVED if accepts(n, p)],
)
def test_what_has_a_known_name_is_saved(name, parameter, tmp_path):
    X, _ = blobs()
    make, same = SAVED[parameter]
    estimator = least(name)
    if name == "KNet" and parameter == "autoencoder":
        estimator.set_params(lam=0.0)
    estimator.set_params(**{parameter: make(X)})
    check_savable(estimator)
    estimator.fit(X)
    save_model(estimator, tmp_path / "model")
    again = load_model(tmp_path / "model")
    before, after = (e.get_params()[parameter] for e in (estimator, again))
    assert same(before, after)
    np.testing.assert_array_equal(again.transform(X), estimator.transform(X))


REFUSED = {
    "callbacks": lambda X: [object()],
    "random_state": lambda X: np.random.RandomState(0),
    "optimizer": lambda X: MyOptimizer,
    "module": lambda X: GlobalDraws,
    "init": lambda X: MyKMeans(),
    "memory": lambda X: Memory(None),
    "autoencoder": lambda X: FrozenEstimator(Mine(min_steps=1, max_epochs=1).fit(X)),
    "autoencoder__callbacks": lambda X: [object()],
    "autoencoder__random_state": lambda X: np.random.RandomState(0),
    "autoencoder__optimizer": lambda X: MyOptimizer,
    "autoencoder__module": lambda X: GlobalDraws(N_FEATURES),
    "encoder": lambda X: torch.nn.Linear(N_FEATURES, 2),
    "encoder__n_components": lambda X: torch.tensor(2),
}


@pytest.mark.parametrize(
    ("name", "parameter"),
    [(n, p) for n in ESTIMATORS for p in REFUSED if accepts(n, p)],
)
def test_save_refuses_what_is_not_plain_and_names_it(name, parameter, tmp_path):
    X, _ = blobs()
    estimator = copy.deepcopy(fitted(name)).set_params(**{parameter: REFUSED[parameter](X)})
    match = rf"{name}\.{parameter.replace('__', '.')}\b"
    with pytest.raises(ValueError, match=match):
        save_model(estimator, tmp_path / "model")
    with pytest.raises(ValueError, match=match):  # before the training as well
        check_savable(clone(estimator))
    assert os.listdir(tmp_path) == []


def test_save_refuses_estimators_from_elsewhere_and_unfitted_ones(tmp_path):
    X, _ = blobs()
    for estimator in (Mine(min_steps=1, max_epochs=1).fit(X), make_pipeline(MyKMeans(2)).fit(X)):
        with pytest.raises(ValueError, match="not an estimator of this package or of scikit-l"):
            save_model(estimator, tmp_path / "model")
    for estimator in (PCA().fit(X), make_pipeline(PCA(), KMeans(2)).fit(X)):
        with pytest.raises(ValueError, match=f"{type(estimator).__name__} holds no network"):
            save_model(estimator, tmp_path / "model")
    with pytest.raises(ValueError, match="GraphAgglomerative holds no network"):
        save_model(GraphAgglomerative(2).fit(X), tmp_path / "model")
    with pytest.raises(NotFittedError):
        save_model(Autoencoder(), tmp_path / "model")
    assert os.listdir(tmp_path) == []


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    save_model(fitted("IDEC"), path)
    return path


def rewrite(source, target, *, header=None, drop=()):
    """Copy a model file with other header entries or without some tensors, checksum renewed."""
    with safe_open(source, framework="pt") as file:
        metadata = dict(file.metadata()) | (header or {})
        tensors = {k: file.get_tensor(k) for k in file.keys() if k not in drop}  # noqa: SIM118
    metadata = {k: v for k, v in metadata.items() if v is not None and k != "sha256"}
    metadata["sha256"] = persistence._checksum(metadata, tensors)
    save_file(tensors, target, metadata=metadata)


def test_an_unchanged_copy_loads(model_file, tmp_path):
    rewrite(model_file, tmp_path / "copy")
    assert_same_fit(load_model(tmp_path / "copy"), fitted("IDEC"))


@pytest.mark.parametrize("where", [0.2, 0.5, 0.8, 0.999])
def test_a_flipped_bit_is_a_clear_error(where, model_file, tmp_path):
    content = bytearray(model_file.read_bytes())
    content[int(where * len(content))] ^= 1
    (tmp_path / "flipped").write_bytes(content)
    with pytest.raises(ValueError, match="flipped (is damaged|is not a readable|was not written)"):
        load_model(tmp_path / "flipped")


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.99])
def test_a_truncated_file_is_a_clear_error(keep, model_file, tmp_path):
    content = model_file.read_bytes()
    size = keep if isinstance(keep, int) else int(keep * len(content))
    (tmp_path / "short").write_bytes(content[:size])
    with pytest.raises(ValueError, match="short.* not a readable model file"):
        load_model(tmp_path / "short")


@pytest.mark.parametrize(
    "content", [b"no model at all", pickle.dumps({"a": 1}), b"\x00" * 64, b"\xff" * 64]
)
def test_another_file_is_a_clear_error(content, tmp_path):
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(ValueError, match="other is not a readable model file"):
        load_model(tmp_path / "other")


DAMAGED = {
    "foreign": {"format": "something else"},
    "no format": {"format": None},
    "newer": {"format_version": "999"},
    "no number": {"format_version": "one"},
    "no model": {"model": None},
    "broken JSON": {"model": "{"},
    "not a dict": {"model": "[1, 2]"},
    "a list of state": {"model": {"state": [1, 2]}},
    "unknown class": {"model": {"class": "os.system"}},
    "no class": {"model": {"class": None}},
    "bad parameters": {"model": {"params": [1]}},
    "another network": {"model": {"params": {}}},
    "no such module": {"model": {"module": "nowhere"}},
    "a method as attribute": {"model": {"state": {"_rebuild_module": "x"}}},
    "a class as attribute": {"model": {"state": {"__class__": "x"}}},
    "a property as attribute": {"model": {"state": {"fit_": 1, "_n_features_out": "x"}}},
    "bad array": {"model": {"state": {"a_": {"array": [1], "dtype": "nonsense"}}}},
    "object array": {"model": {"state": {"a_": {"array": "x", "dtype": []}}}},
    "no such tensor": {"model": {"state": {"a_": {"tensor": "nowhere"}}}},
    "no such kind": {"model": {"state": {"a_": {"pickle": "x"}}}},
    "two kinds": {"model": {"state": {"a_": {"tuple": [], "dict": {}}}}},
    "another function": {"model": {"state": {"a_": {"function": "os.system"}}}},
    "a private function": {"model": {"state": {"a_": {"function": "sklearn.metrics._x"}}}},
    "no optimiser": {"model": {"state": {"a_": {"optimizer": "lr_scheduler"}}}},
    "no splitter": {
        "model": {"state": {"a_": {"splitter": {"class": "sklearn.cluster.KMeans", "state": {}}}}}
    },
}


@pytest.mark.parametrize("header", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_header_is_a_clear_error(header, model_file, tmp_path):
    if isinstance(header.get("model"), dict):
        with safe_open(model_file, framework="pt") as file:
            model = json.loads(file.metadata()["model"])
        header = {"model": json.dumps(model | header["model"])}
    rewrite(model_file, tmp_path / "damaged", header=header)
    with pytest.raises(ValueError, match="damaged (was not written|does not hold a whole model)"):
        load_model(tmp_path / "damaged")


def test_a_missing_tensor_is_a_clear_error(model_file, tmp_path):
    rewrite(model_file, tmp_path / "damaged", drop=["module.encoder.0.weight"])
    with pytest.raises(ValueError, match="damaged does not hold a whole model"):
        load_model(tmp_path / "damaged")


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "nowhere")


def test_loading_runs_no_code_from_the_file(model_file, tmp_path, monkeypatch):
    """A pickle in place of anything stays unread, and only the table of classes is asked."""
    monkeypatch.setattr(pickle, "loads", lambda *a, **k: pytest.fail("unpickled"))
    monkeypatch.setattr(pickle, "load", lambda *a, **k: pytest.fail("unpickled"))
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("unpickled"))
    load_model(model_file)
    foreign = (
        "builtins.eval",
        "TorchEstimator",
        "__import__",
        "sklearn.os.system",
        "sklearn.utils._testing",
        "sklearn.cluster.k_means",
        "sklearn.base.clone",
    )
    for cls in foreign:
        header = {"model": json.dumps({"class": cls, "params": {}})}
        rewrite(model_file, tmp_path / "foreign", header=header)
        with pytest.raises(ValueError, match="whole model"):
            load_model(tmp_path / "foreign")


# -- estimators within estimators ----------------------------------------------------------------


def test_a_pipeline_comes_back_the_same(tmp_path):
    X, _ = blobs()
    model = make_pipeline(FunctionTransformer(np.exp2), StandardScaler(), least("IDEC")).fit(X)
    save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert repr(again) == repr(model)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert_same_fit(again[-1], model[-1])


@pytest.mark.parametrize("scoring", [unsupervised_accuracy_scorer, "adjusted_rand_score", None])
def test_a_grid_search_comes_back_the_same(scoring, tmp_path):
    X, y = blobs()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), least("DEC")),
        {"dec__alpha": [1.0, 2.0], "dec__lr": [1e-3]},
        scoring=scoring,
        cv=KFold(2, shuffle=True, random_state=0),
    )
    check_savable(search)
    search.fit(X, y)
    save_model(search, tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert repr(again) == repr(search)
    np.testing.assert_array_equal(again.predict(X), search.predict(X))
    assert again.score(X, y) == search.score(X, y)
    assert again.best_params_ == search.best_params_
    for name, values in search.cv_results_.items():
        np.testing.assert_array_equal(again.cv_results_[name], values)


@pytest.mark.parametrize("refused", ["scoring", "step"])
def test_what_a_pipeline_or_search_holds_is_named(refused):
    model = make_pipeline(StandardScaler(), least("DEC"))
    if refused == "scoring":
        model = GridSearchCV(model, {}, scoring=lambda *args: 0.0)
        match = "GridSearchCV.scoring"
    else:
        model.steps.insert(0, ("mine", FunctionTransformer(lambda X: X)))
        match = "Pipeline.steps.func"
    with pytest.raises(ValueError, match=f"{match}=.* cannot be saved as data"):
        check_savable(model)


# -- versions ------------------------------------------------------------------------------------


@every_estimator
def test_set_output_is_kept(name, tmp_path):
    X, _ = blobs()
    model = copy.deepcopy(fitted(name)).set_output(transform="pandas")
    save_model(model, tmp_path / "model")
    pd.testing.assert_frame_equal(load_model(tmp_path / "model").transform(X), model.transform(X))


@pytest.mark.parametrize("version", range(1, persistence.FORMAT_VERSION + 1))
def test_files_of_every_format_version_load(version):
    """Each was written when its format was new; more are added, none is changed."""
    path = MODELS / f"format_{version}.safetensors"
    with safe_open(path, framework="pt") as file:
        assert file.metadata()["format_version"] == str(version)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_model(path)
    with np.load(MODELS / f"format_{version}.npz") as answers:
        for method in ("transform", "predict", "predict_proba"):
            given = getattr(model, method)(answers["X"])
            np.testing.assert_allclose(given, answers[method], rtol=1e-4, atol=1e-5)


def test_a_file_of_a_newer_version_is_read_with_a_warning(model_file, tmp_path):
    rewrite(model_file, tmp_path / "newer", header={"package_version": "99.1"})
    with pytest.warns(UserWarning, match="newer was written by version 99.1 of sklearn") as caught:
        load_model(tmp_path / "newer")
    assert caught[0].filename == __file__
    rewrite(model_file, tmp_path / "older", header={"package_version": "0.0.1"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_model(tmp_path / "older")


def test_parameters_that_are_not_known_are_named(model_file, tmp_path):
    with safe_open(model_file, framework="pt") as file:
        model = json.loads(file.metadata()["model"])
    model["params"]["tomorrow"] = 3
    rewrite(model_file, tmp_path / "unknown", header={"model": json.dumps(model)})
    with pytest.warns(UserWarning, match=r"leaves out: IDEC\.tomorrow\."):
        assert_same_fit(load_model(tmp_path / "unknown"), fitted("IDEC"))


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ValueError, match="is a folder"):
        save_model(fitted("IDEC"), tmp_path)
    assert os.listdir(tmp_path) == []
    with pytest.raises(ValueError, match="is a folder"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("version", ["0.0.1", None])
def test_a_pickle_of_another_version_is_loaded_with_a_warning(name, version, monkeypatch):
    model = fitted(name)
    monkeypatch.setattr(_pickles, "__version__", version)
    written = pickle.dumps(model)
    if version is None:  # of a version that did not write it down
        state = model.__getstate__()
        state.pop("_sklearn_deepcluster_version")
        monkeypatch.setattr(type(model), "__getstate__", lambda self: state)
        written = pickle.dumps(model)
        monkeypatch.undo()
    monkeypatch.setattr(_pickles, "__version__", "0.1.0")
    said = version or "before 0.1.0"
    with pytest.warns(UserWarning, match=f"{name} was pickled by version {said}"):
        again = pickle.loads(written)
    np.testing.assert_array_equal(
        again.labels_ if name in CLUSTERERS else 0, model.labels_ if name in CLUSTERERS else 0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "_sklearn_deepcluster_version" not in vars(pickle.loads(pickle.dumps(model)))


# -- what a review found --------------------------------------------------------------------------


def test_a_loaded_model_does_not_change_with_its_file(tmp_path):
    save_model(fitted("IDEC"), tmp_path / "model")
    again = load_model(tmp_path / "model")
    with open(tmp_path / "model", "r+b") as file:
        file.write(b"\x01" * os.path.getsize(tmp_path / "model"))
    assert_same_fit(again, fitted("IDEC"))


@every_estimator
def test_a_network_that_its_parameters_no_longer_describe_is_not_saved(name, tmp_path):
    estimator = copy.deepcopy(fitted(name))
    for part, value in {"hidden_layer_sizes": (5,), "filters": (5,), "hidden_size": 5}.items():
        if accepts(name, f"{prefix_of(name)}{part}"):
            estimator.set_params(**{f"{prefix_of(name)}{part}": value})
            break
    with pytest.raises(ValueError, match=f"{name} cannot be saved: its parameters were changed"):
        save_model(estimator, tmp_path / "model")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "around",
    [
        lambda: make_pipeline(SimpleImputer(), tiny_autoencoder(), SVC()),
        lambda: ColumnTransformer([("a", tiny_autoencoder(), [0, 1, 2])]),
        lambda: GridSearchCV(tiny_autoencoder(), {"lr": [1e-3]}, cv=ShuffleSplit(2)),
        lambda: GridSearchCV(tiny_autoencoder(), {"lr": [1e-3]}, cv=RepeatedKFold(n_splits=2)),
    ],
    ids=["imputer and SVC", "columns", "shuffles", "repeats"],
)
def test_what_scikit_learn_holds_around_a_network_is_saved(around, tmp_path):
    X, y = blobs()
    model = around()
    check_savable(model)
    model.fit(X, y)
    save_model(model, tmp_path / "model")
    method = "predict" if hasattr(model, "predict") else "transform"
    again = getattr(load_model(tmp_path / "model"), method)(X)
    np.testing.assert_array_equal(again, getattr(model, method)(X))


@pytest.mark.parametrize("last", [GraphAgglomerative(3), HDBSCAN(copy=True)], ids=repr)
def test_what_would_come_back_without_a_part_is_not_saved(last, tmp_path):
    model = make_pipeline(tiny_autoencoder(), last).fit(blobs()[0])
    with pytest.raises(ValueError, match="holds no network|cannot be saved"):
        save_model(model, tmp_path / "model")


@pytest.mark.parametrize(
    "value",
    [{"array": ["a"] * 10, "dtype": "<U500000000"}, {"array": [10**30], "dtype": "<i8"}],
    ids=["long words", "large numbers"],
)
def test_numbers_of_a_damaged_file_take_no_memory(value, model_file, tmp_path):
    with safe_open(model_file, framework="pt") as file:
        model = json.loads(file.metadata()["model"])
    model["state"]["a_"] = value
    rewrite(model_file, tmp_path / "damaged", header={"model": json.dumps(model)})
    try:
        assert load_model(tmp_path / "damaged").a_.nbytes < 1000
    except ValueError as exc:
        assert "does not hold a whole model" in str(exc)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder .*nowhere"):
        save_model(fitted("IDEC"), tmp_path / "nowhere" / "model")
