"""The promises that every public estimator keeps, whichever it is."""

import ast
import copy
import inspect
import json
import os
import pickle
import re
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from joblib import Memory
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import adjusted_rand_score
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator

from sklearn_deepcluster import (
    Autoencoder,
    GraphAgglomerative,
    load_model,
    persistence,
    save_model,
)
from sklearn_deepcluster._engine import Trainer
from tests._instances import (
    CLUSTERERS,
    DESCRIPTIONS,
    END_TO_END,
    ESTIMATORS,
    EVERY,
    EVERY_CLUSTERER,
    IMAGE,
    LEAST_ROWS,
    N_CLUSTERS,
    N_FEATURES,
    N_SAMPLES,
    PRETRAINED,
    PUBLIC,
    REPRESENTATIONS,
    TINY,
    GlobalDraws,
    accepts,
    assert_same_fit,
    blobs,
    fitted,
    fitted_state,
    frozen,
    given,
    same_weights,
    tiny,
    tiny_autoencoder,
    tiny_representation,
)

every_public = pytest.mark.parametrize("name", EVERY)
every_public_clusterer = pytest.mark.parametrize("name", EVERY_CLUSTERER)
# Those around a network.
every_estimator = pytest.mark.parametrize("name", ESTIMATORS)
every_clusterer = pytest.mark.parametrize("name", CLUSTERERS)
every_representation = pytest.mark.parametrize("name", REPRESENTATIONS)
# Those that only describe a network.
every_description = pytest.mark.parametrize("name", DESCRIPTIONS)


def test_every_public_estimator_has_an_entry_in_the_table():
    missing = sorted(set(PUBLIC) - set(TINY))
    assert not missing, f"add quick parameters of {missing} to TINY in tests/_instances.py"
    assert sorted(set(TINY) - set(PUBLIC)) == [], "TINY knows estimators that do not exist"


# -- scikit-learn's own checks -------------------------------------------------------------------

# What scikit-learn 1.9 runs. A tag with another value would silently drop some of these.
CHECKS = {
    "check_complex_data",
    "check_dict_unchanged",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_dont_overwrite_parameters",
    "check_dtype_object",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_estimator_sparse_tag",
    "check_estimator_tags_renamed",
    "check_estimators_dtypes",
    "check_estimators_empty_data_messages",
    "check_estimators_fit_returns_self",
    "check_estimators_nan_inf",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_estimators_unfitted",
    "check_f_contiguous_array_estimator",
    "check_fit1d",
    "check_fit2d_1feature",
    "check_fit2d_1sample",
    "check_fit2d_predict1d",
    "check_fit_check_is_fitted",
    "check_fit_idempotent",
    "check_fit_score_takes_y",
    "check_get_params_invariance",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_mixin_order",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_pipeline_consistency",
    "check_positive_only_tag_during_fit",
    "check_readonly_memmap_input",
    "check_set_params",
    "check_transformer_data_not_an_array",
    "check_transformer_general",
    "check_transformer_n_iter",
    "check_transformer_preserve_dtypes",
    "check_transformers_unfitted",
    "check_valid_tag_types",
}
CLUSTERER_CHECKS = {"check_clusterer_compute_labels_predict", "check_clustering"}


def run_checks(estimator):
    """Run scikit-learn's checks; return the names of those that passed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, on_skip=None, on_fail=None)
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    allowed = set() if os.environ.get("SCIPY_ARRAY_API") == "1" else {"check_array_api_input"}
    assert skipped <= allowed
    bad = [r for r in results if r["status"] not in ("passed", "skipped")]
    assert not bad, "\n".join(f"{r['check_name']}: {r['exception']!r}" for r in bad)
    return {r["check_name"] for r in results if r["status"] == "passed"}


@every_public
def test_scikit_learns_checks_pass_and_none_is_missing(name):
    expected = CHECKS | (CLUSTERER_CHECKS if name in EVERY_CLUSTERER else set())
    if not hasattr(PUBLIC[name], "transform"):
        expected = {check for check in expected if "transformer" not in check}
    seed = {"random_state": None} if name in ESTIMATORS else {}
    assert expected - run_checks(tiny(name).set_params(**seed)) == set()


@pytest.mark.parametrize("name", END_TO_END)
def test_scikit_learns_checks_pass_with_the_default_network(name):
    """From random weights, in few steps: with the defaults it takes minutes."""
    run_checks(PUBLIC[name](init=None, max_epochs=2, min_steps=16))


@pytest.mark.slow
@every_public
def test_scikit_learns_checks_pass_with_default_parameters(name):
    run_checks(PUBLIC[name]())


@every_public
def test_tags_drop_no_check(name):
    tags = get_tags(tiny(name))
    assert tags.input_tags.two_d_array
    assert not tags.non_deterministic
    assert not tags.no_validation
    assert not tags._skip_test
    assert not tags.input_tags.allow_nan
    assert not tags.input_tags.sparse
    if name in ESTIMATORS:
        assert tags.transformer_tags.preserves_dtype == ["float32"]
    assert tags.estimator_type == ("clusterer" if name in EVERY_CLUSTERER else None)


# -- predict, transform and what fit leaves behind -----------------------------------------------


@every_public_clusterer
def test_labels_equal_predict_of_the_training_data(name):
    X, y = blobs()
    estimator = tiny(name)
    labels = estimator.fit_predict(X)
    np.testing.assert_array_equal(labels, estimator.labels_)
    np.testing.assert_array_equal(labels, estimator.predict(X))
    assert labels.dtype.kind == "i" and labels.shape == (N_SAMPLES,)
    assert adjusted_rand_score(y, labels) == 1.0


def outputs(estimator, X):
    """All per-sample results of an estimator."""
    names = ("predict", "predict_proba", "transform")
    return {n: getattr(estimator, n)(X) for n in names if hasattr(estimator, n)}


@every_public
def test_result_for_a_row_is_bitwise_that_of_the_row_alone(name):
    X, _ = blobs()
    estimator = fitted(name)
    whole = outputs(estimator, X)
    for i in (0, 17, 255, 256, N_SAMPLES - 1):
        for method, one in outputs(estimator, X[i : i + 1]).items():
            np.testing.assert_array_equal(one, whole[method][i : i + 1], err_msg=method)


@every_public
@pytest.mark.parametrize("size", [2, 7, 128, 255, 257])
def test_result_does_not_depend_on_how_rows_are_grouped(name, size):
    X, _ = blobs()
    estimator = fitted(name)
    whole = outputs(estimator, X)
    for start in range(0, N_SAMPLES, size):
        part = slice(start, start + size)
        for method, some in outputs(estimator, X[part]).items():
            np.testing.assert_array_equal(some, whole[method][part], err_msg=method)


@every_public
def test_result_does_not_depend_on_the_order_of_rows(name):
    X, _ = blobs()
    estimator = fitted(name)
    order = np.random.RandomState(0).permutation(N_SAMPLES)
    whole = outputs(estimator, X)
    for method, shuffled in outputs(estimator, X[order]).items():
        np.testing.assert_array_equal(shuffled, whole[method][order], err_msg=method)


@every_estimator
def test_results_are_float32_and_proba_sums_to_one(name):
    X, _ = blobs()
    estimator = fitted(name)
    Z = estimator.transform(X.astype(np.float64))
    assert Z.dtype == np.float32 and Z.shape == (N_SAMPLES, estimator.n_components_)
    assert np.isfinite(Z).all()
    np.testing.assert_array_equal(tiny(name).fit_transform(X), Z)
    if hasattr(estimator, "inverse_transform"):
        back = estimator.inverse_transform(Z)
        assert back.dtype == np.float32 and back.shape == X.shape
    if hasattr(estimator, "predict_proba"):
        proba = estimator.predict_proba(X)
        assert proba.dtype == np.float32 and proba.shape == (N_SAMPLES, N_CLUSTERS)
        np.testing.assert_allclose(proba.sum(1), 1.0, rtol=1e-5)
        np.testing.assert_array_equal(proba.argmax(1), estimator.predict(X))


@every_estimator
def test_score_is_a_deterministic_number(name):
    X, _ = blobs()
    estimator = fitted(name)
    score = estimator.score(X)
    assert type(score) is float and np.isfinite(score) and score < 0
    assert score == estimator.score(X, np.zeros(N_SAMPLES)) == estimator.score(X)
    assert score != estimator.score(X[:10])


@every_estimator
def test_fitted_attributes_are_plain(name):
    plain = (bool, int, float, str, tuple, np.ndarray)
    estimator = fitted(name)
    for attribute, value in vars(estimator).items():
        if attribute in ("module_", "history_") or not attribute.endswith("_"):
            continue
        assert isinstance(value, plain), attribute
    assert isinstance(estimator.module_, torch.nn.Module)
    assert not estimator.module_.training
    assert all(p.grad is None for p in estimator.module_.parameters())
    assert estimator.n_iter_ == len(estimator.history_["loss"])
    losses = estimator.history_["loss"]
    assert estimator.loss_ == (min(losses) if name in END_TO_END else losses[-1])
    for term, values in estimator.history_.items():
        assert type(values) is list and values, term
        assert all(type(v) is float and np.isfinite(v) for v in values), term


@every_estimator
def test_fit_moves_the_weights_it_should(name):
    """The loss falls, so the optimiser really has hold of the network."""
    X, _ = blobs()
    estimator = tiny(name)
    history = estimator.fit(X).history_
    losses = history.get("pretraining_loss", history["loss"])
    assert losses[-1] < losses[0]
    if name in PRETRAINED:
        start = tiny_representation(name, random_state=0).fit(X)
        before, after = start.module_.encoder, frozen(name, start).fit(X).module_.encoder
        for old, new in zip(before.parameters(), after.parameters(), strict=True):
            assert not torch.equal(old, new)


# -- few rows, few features, one cluster ---------------------------------------------------------


@every_clusterer
def test_one_cluster(name):
    X, _ = blobs()
    estimator = tiny(name, n_clusters=1).fit(X)
    assert not estimator.labels_.any()
    assert not estimator.predict(X[:5]).any()
    assert estimator.cluster_centers_.shape == (1, estimator.n_components_)
    assert np.isfinite(estimator.transform(X)).all()
    assert all(np.isfinite(values).all() for values in estimator.history_.values())
    if hasattr(estimator, "predict_proba"):
        np.testing.assert_array_equal(estimator.predict_proba(X), np.ones((N_SAMPLES, 1)))


@every_estimator
def test_as_few_rows_as_can_be(name):
    X = blobs()[0][: LEAST_ROWS[name]]
    params = {"n_clusters": 1} if name in CLUSTERERS else {}
    estimator = tiny(name, **params).fit(X)
    assert np.isfinite(estimator.transform(X)).all()
    assert np.isfinite(estimator.score(X))


@every_estimator
@pytest.mark.parametrize("width", [1, 2, 3])
def test_few_features(name, width):
    X, y = blobs()
    X = X[:, :width]
    estimator = tiny(name).fit(X)
    assert np.isfinite(estimator.transform(X)).all()
    assert estimator.n_features_in_ == width


@every_estimator
def test_constant_columns_change_nothing_but_the_width(name):
    X, y = blobs()
    X = X.copy()
    X[:, ::2] = 3.0
    estimator = tiny(name).fit(X)
    assert np.isfinite(estimator.transform(X)).all()
    if name in CLUSTERERS:
        assert adjusted_rand_score(y, estimator.labels_) > 0.9


@every_public_clusterer
def test_duplicate_rows_share_their_label(name):
    X = np.repeat(blobs()[0][:40], 3, axis=0)
    labels = tiny(name).fit_predict(X).reshape(40, 3)
    assert (labels == labels[:, :1]).all()
    assert len(np.unique(labels)) == N_CLUSTERS


@every_clusterer
@pytest.mark.parametrize("extra", [0, 1, 2])
def test_hardly_more_rows_than_clusters(name, extra):
    X, _ = blobs()
    estimator = tiny(name, n_clusters=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = estimator.fit_predict(X[: 5 + extra])
    assert labels.min() >= 0 and labels.max() < 5
    assert estimator.cluster_centers_.shape == (5, estimator.n_components_)
    assert np.isfinite(estimator.cluster_centers_).all()


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@every_clusterer
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_equal_rows_give_one_cluster_and_a_warning(name, value):
    X = np.full((40, N_FEATURES), value)
    estimator = tiny(name)
    with pytest.warns(ConvergenceWarning, match="2 of 3 clusters are empty"):
        labels = estimator.fit_predict(X)
    assert len(np.unique(labels)) == 1
    assert np.isfinite(estimator.transform(X)).all()
    assert np.isfinite(estimator.score(X))


@every_representation
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_data_have_a_representation(name, value):
    X = np.full((40, N_FEATURES), value)
    estimator = tiny(name).fit(X)
    assert np.isfinite(estimator.transform(X)).all()
    if hasattr(estimator, "inverse_transform"):
        assert np.isfinite(estimator.inverse_transform(estimator.transform(X))).all()


@every_estimator
def test_a_batch_size_above_the_number_of_rows_is_one_batch(name):
    X, _ = blobs()
    a, b = (tiny(name, batch_size=size).fit(X) for size in (N_SAMPLES, 10**9))
    assert_same_fit(a, b)


# -- warm_start ----------------------------------------------------------------------------------


@pytest.fixture
def stages(monkeypatch):
    """List of the stages that are trained during the test."""
    seen = []
    train = Trainer.train

    def record(self, *args, stage, **kwargs):
        seen.append(stage)
        return train(self, *args, stage=stage, **kwargs)

    monkeypatch.setattr(Trainer, "train", record)
    return seen


@every_estimator
def test_warm_start_goes_on_from_the_last_fit(name, stages):
    X, _ = blobs()
    estimator = copy.deepcopy(fitted(name)).set_params(warm_start=True)
    before = copy.deepcopy(estimator)
    stages.clear()
    estimator.fit(X)
    assert len(stages) == 1
    assert not same_weights(before, estimator)
    if name in CLUSTERERS:
        # The centres are kept, so the clusters keep their numbers.
        np.testing.assert_array_equal(estimator.labels_, before.labels_)
        np.testing.assert_array_equal(estimator.labels_, estimator.predict(X))
    else:
        assert estimator.score(X) > before.score(X)


@every_estimator
def test_without_warm_start_a_second_fit_starts_anew(name):
    X, _ = blobs()
    estimator = copy.deepcopy(fitted(name))
    assert_same_fit(estimator.fit(X), fitted(name))


@every_estimator
def test_warm_start_goes_on_after_unpickling(name):
    X, _ = blobs()
    estimator = copy.deepcopy(fitted(name)).set_params(warm_start=True)
    again = pickle.loads(pickle.dumps(estimator))
    assert_same_fit(estimator.fit(X), again.fit(X))


@every_estimator
def test_warm_start_refuses_data_of_another_width(name, stages):
    X, _ = blobs()
    estimator = copy.deepcopy(fitted(name)).set_params(warm_start=True)
    stages.clear()
    with pytest.raises(ValueError, match=f"9 features, but {name} is expecting 16"):
        estimator.fit(X[:, :9])
    assert stages == []


@every_clusterer
def test_warm_start_refuses_another_number_of_clusters(name, stages):
    X, _ = blobs()
    estimator = copy.deepcopy(fitted(name)).set_params(warm_start=True, n_clusters=4)
    stages.clear()
    with pytest.raises(ValueError, match="n_clusters"):
        estimator.fit(X)
    assert stages == []


# -- pickle --------------------------------------------------------------------------------------


@every_estimator
def test_pickle_round_trip(name):
    X, _ = blobs()
    estimator = fitted(name)
    again = pickle.loads(pickle.dumps(estimator))
    assert_same_fit(estimator, again)
    for method, values in outputs(estimator, X).items():
        np.testing.assert_array_equal(values, getattr(again, method)(X), err_msg=method)


def widened(representation):
    """Give a representation a network that is large beside everything else in a pickle."""
    sizes = {"hidden_layer_sizes": (2000,), "filters": (64,), "hidden_size": 64}
    sizes |= {"n_components": 100, "min_steps": 1}
    known = representation.get_params()
    return representation.set_params(**{k: v for k, v in sizes.items() if k in known})


@every_estimator
def test_pickle_is_small_and_holds_no_net(name):
    X = np.repeat(blobs()[0], 10, axis=0)
    estimator = tiny(name)
    widened(given(estimator) if name in CLUSTERERS else estimator)
    dump = pickle.dumps(estimator.fit(X))
    weights = sum(p.numel() * p.element_size() for p in estimator.module_.parameters())
    assert weights > 40_000
    arrays = (getattr(estimator, name, None) for name in ("labels_", "classifier_weights_"))
    assert len(dump) < 1.3 * weights + sum(a.nbytes for a in arrays if a is not None)
    assert X[0].tobytes() not in dump
    assert b"skorch" not in dump


def run_python(code, folder):
    """Run code in a fresh interpreter and return what it prints."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fresh_process_predicts_without_the_training_data(tmp_path):
    X = blobs()[0][:7]
    models = {name: fitted(name) for name in ESTIMATORS}
    joblib.dump((models, X), tmp_path / "models.joblib")
    for name, model in models.items():
        save_model(model, tmp_path / f"{name}.safetensors")
    code = f"""
import joblib, torch
from sklearn_deepcluster import load_model
torch.set_num_threads({torch.get_num_threads()})
models, X = joblib.load("models.joblib")
again = {{name: load_model(f"{{name}}.safetensors") for name in models}}
out = {{n: (models[n].transform(X), again[n].transform(X)) for n in models}}
out |= {{
    n + "-labels": (models[n].predict(X), again[n].predict(X))
    for n in models
    if hasattr(models[n], "predict")
}}
joblib.dump(out, "out.joblib")
"""
    run_python(code, tmp_path)
    out = joblib.load(tmp_path / "out.joblib")
    assert len(out) == len(ESTIMATORS) + len(CLUSTERERS)
    for key, (pickled, saved) in out.items():
        name, _, labels = key.partition("-")
        here = models[name].predict(X) if labels else models[name].transform(X)
        np.testing.assert_array_equal(pickled, here, err_msg=key)
        np.testing.assert_array_equal(saved, here, err_msg=key)


# -- save_model and load_model -------------------------------------------------------------------


@every_estimator
def test_saved_models_come_back_the_same(name, tmp_path):
    X, _ = blobs()
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(N_FEATURES)])
    estimator = tiny(name).fit(frame)
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
    estimator = copy.deepcopy(fitted(name)).set_params(warm_start=True)
    save_model(estimator, tmp_path / "model")
    assert_same_fit(estimator.fit(X), load_model(tmp_path / "model").fit(X))


@pytest.mark.parametrize(
    "name", [n for n in CLUSTERERS if accepts(n, "init") and n not in END_TO_END]
)
def test_array_parameters_are_saved(name, tmp_path):
    X, _ = blobs()
    centers = fitted(name).cluster_centers_
    save_model(tiny(name, init=centers).fit(X), tmp_path / "model")
    np.testing.assert_array_equal(load_model(tmp_path / "model").init, centers)


def test_saved_images_come_back_as_images(tmp_path):
    images = blobs()[0].reshape(-1, *IMAGE)
    estimator = tiny("DCEC").fit(images)
    save_model(estimator, tmp_path / "model")
    again = load_model(tmp_path / "model")
    prototypes = again.inverse_transform(again.cluster_centers_)
    assert prototypes.shape == (N_CLUSTERS, *IMAGE)
    np.testing.assert_array_equal(
        prototypes, estimator.inverse_transform(estimator.cluster_centers_)
    )


REFUSED = {
    "callbacks": lambda X: [object()],
    "random_state": lambda X: np.random.RandomState(0),
    "optimizer": lambda X: torch.optim.Adam,
    "device": lambda X: torch.device("cpu"),
    "module": lambda X: GlobalDraws,
    "init": lambda X: KMeans(),
    "memory": lambda X: Memory(None),
    "autoencoder": lambda X: FrozenEstimator(tiny_autoencoder().fit(X)),
    "autoencoder__callbacks": lambda X: [object()],
    "autoencoder__random_state": lambda X: np.random.RandomState(0),
    "autoencoder__optimizer": lambda X: torch.optim.Adam,
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
    with pytest.raises(ValueError, match=rf"{name}\.{parameter.replace('__', '.')}\b"):
        save_model(estimator, tmp_path / "model")
    assert os.listdir(tmp_path) == []


class Mine(Autoencoder):
    """A user's subclass: its code is not in the package."""


def test_save_refuses_estimators_from_elsewhere_and_unfitted_ones(tmp_path):
    X, _ = blobs()
    for estimator in (PCA().fit(X), Mine(min_steps=1, max_epochs=1).fit(X)):
        with pytest.raises(ValueError, match="not an estimator of this package"):
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
    "no estimator": {"estimator": None},
    "no attributes": {"attributes": None},
    "broken JSON": {"estimator": "{"},
    "broken attributes": {"attributes": "[1"},
    "not a dict": {"estimator": "[1, 2]"},
    "attributes not a dict": {"attributes": "[1, 2]"},
    "unknown class": {"estimator": json.dumps({"class": "os.system", "params": {}})},
    "bad parameters": {"estimator": json.dumps({"class": "IDEC", "params": [1]})},
    "another network": {"estimator": json.dumps({"class": "IDEC", "params": {}})},
    "a method as attribute": {"attributes": json.dumps({"_rebuild_module": "x"})},
    "a class as attribute": {"attributes": json.dumps({"__class__": "x"})},
    "bad array": {"attributes": json.dumps({"a_": {"array": [1], "dtype": "nonsense"}})},
    "object array": {"attributes": json.dumps({"a_": {"array": "x", "dtype": []}})},
}


@pytest.mark.parametrize("header", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_header_is_a_clear_error(header, model_file, tmp_path):
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
    for cls in ("sklearn.cluster.KMeans", "builtins.eval", "TorchEstimator", "__import__"):
        header = {"estimator": json.dumps({"class": cls, "params": {}})}
        rewrite(model_file, tmp_path / "foreign", header=header)
        with pytest.raises(ValueError, match="whole model"):
            load_model(tmp_path / "foreign")


# -- descriptions of networks --------------------------------------------------------------------


@every_description
def test_descriptions_are_no_estimators(name):
    """They have parameters and can be cloned and searched, but nothing can be fitted."""
    assert name not in PUBLIC
    description = DESCRIPTIONS[name]()
    assert not hasattr(description, "fit") and not hasattr(description, "transform")
    again = clone(description.set_params(n_components=7))
    assert again is not description and again.get_params() == description.get_params()
    assert again.n_components == 7
    assert eval(repr(description), dict(DESCRIPTIONS)).get_params() == description.get_params()


@every_description
def test_descriptions_are_keyword_only(name):
    parameters = inspect.signature(DESCRIPTIONS[name]).parameters.values()
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters)


@every_description
def test_a_description_alone_is_no_model(name, tmp_path):
    with pytest.raises(ValueError, match=f"{name} holds no network"):
        save_model(DESCRIPTIONS[name](), tmp_path / "model")
    assert os.listdir(tmp_path) == []


# -- documentation -------------------------------------------------------------------------------


def section(doc, title):
    """Dict of name -> the rest of its line, of one section of a numpydoc docstring."""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=^\w[\w ]*\n-+$|\Z)", doc, flags=re.M | re.S)
    if found is None:
        return {}
    text = found.group(1).replace("\\\n", "")
    entries = re.findall(r"^(\*{0,2}\w+(?:, \w+)*)(?: : (.*))?$", text, flags=re.M)
    return {n.strip("*"): kind for names, kind in entries for n in names.split(", ")}


@pytest.mark.parametrize("name", [*EVERY, *DESCRIPTIONS])
def test_docstring_lists_the_parameters_of_the_signature(name):
    cls = (PUBLIC | DESCRIPTIONS)[name]
    documented = section(inspect.getdoc(cls), "Parameters")
    parameters = inspect.signature(cls).parameters
    assert list(documented) == list(parameters)
    for parameter, description in documented.items():
        default = re.search(r"default=(.*)$", description)
        assert default, f"{parameter} is documented without its default"
        assert ast.literal_eval(default.group(1)) == parameters[parameter].default, parameter


@every_public
def test_docstring_lists_the_attributes_of_a_fitted_estimator(name):
    X, _ = blobs()
    estimator = tiny(name).fit(pd.DataFrame(X, columns=[f"f{i}" for i in range(N_FEATURES)]))
    documented = set(section(inspect.getdoc(PUBLIC[name]), "Attributes"))
    present = {a for a in vars(estimator) if a.endswith("_") and not a.startswith("_")}
    assert documented == present


@every_public
def test_docstrings_of_methods_list_their_parameters(name):
    for method, function in inspect.getmembers(PUBLIC[name], callable):
        if method.startswith("_") or not function.__module__.startswith("sklearn_deepcluster"):
            continue
        documented = section(inspect.getdoc(function), "Parameters")
        expected = [p for p in inspect.signature(function).parameters if p != "self"]
        assert list(documented) == expected, method


@every_public
def test_n_clusters_comes_first_and_the_rest_is_keyword_only(name):
    parameters = list(inspect.signature(PUBLIC[name]).parameters.values())
    if name in EVERY_CLUSTERER:
        first = parameters.pop(0)
        assert first.name == "n_clusters" and first.default == 8
        assert PUBLIC[name](5).n_clusters == 5
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters)
