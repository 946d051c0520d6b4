"""Every kind of input, and a drop-in for KMeans wherever scikit-learn takes one."""

import contextlib
import functools
import itertools
import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_deepcluster._engine import Trainer
from sklearn_deepcluster.cluster._base import BaseDeepClusterer
from tests._instances import (
    CLUSTERERS,
    DEFAULT_DEPENDS_ON_X,
    END_TO_END,
    ESTIMATORS,
    IMAGE,
    N_CLUSTERS,
    N_FEATURES,
    N_SAMPLES,
    PRETRAINED,
    PUBLIC,
    SEQUENTIAL,
    accepts,
    assert_same_fit,
    blobs,
    fitted,
    frozen,
    given,
    prefix_of,
    pretrained,
    same_weights,
    slot_of,
    tiny,
    tiny_conv_autoencoder,
    tiny_representation,
)

every_estimator = pytest.mark.parametrize("name", ESTIMATORS)
every_image_estimator = pytest.mark.parametrize(
    "name", [n for n in ESTIMATORS if n not in SEQUENTIAL]
)
every_clusterer = pytest.mark.parametrize("name", CLUSTERERS)
every_pretrained = pytest.mark.parametrize("name", PRETRAINED)


@pytest.fixture
def stages(monkeypatch):
    """List of the stages that are trained during the test, by any thread."""
    seen = []
    train = Trainer.train

    def record(self, *args, stage, **kwargs):
        seen.append(stage)  # list.append is atomic
        return train(self, *args, stage=stage, **kwargs)

    monkeypatch.setattr(Trainer, "train", record)
    return seen


def pretrainings(stages):
    return sum("pretraining" in stage for stage in stages)


# -- containers and dtypes -----------------------------------------------------------------------


def pixels():
    """The blobs as whole numbers 0..255 in float32, so that uint8 holds them too."""
    X, _ = blobs()
    X = np.round(255 * (X - X.min()) / np.ptp(X)).astype(np.float32)
    X.setflags(write=False)
    return X


def fractions():
    """The blobs in float64, with digits that float32 cannot hold."""
    return blobs()[0].astype(np.float64) * np.pi


def memmap(X, folder, mode="r", order="C"):
    path = folder / "X.dat"
    written = np.memmap(path, dtype=X.dtype, mode="w+", shape=X.shape, order=order)
    written[:] = X
    written.flush()
    return np.memmap(path, dtype=X.dtype, mode=mode, shape=X.shape, order=order)


def read_only(X):
    X = X.copy()
    X.setflags(write=False)
    return X


CONTAINERS = {
    "float64": lambda X, folder: X.astype(np.float64),
    "float16": lambda X, folder: X.astype(np.float16),
    "int64": lambda X, folder: X.astype(np.int64),
    "uint8": lambda X, folder: X.astype(np.uint8),
    "big-endian": lambda X, folder: X.astype(">f4"),
    "list": lambda X, folder: X.tolist(),
    "tuple of arrays": lambda X, folder: tuple(X),
    "frame": lambda X, folder: pd.DataFrame(X),
    "frame of uint8": lambda X, folder: pd.DataFrame(X.astype(np.uint8)),
    "Fortran order": lambda X, folder: np.asfortranarray(X),
    "every second row": lambda X, folder: np.repeat(X, 2, axis=0)[::2],
    "reversed twice": lambda X, folder: X[::-1].copy()[::-1],
    "writeable": lambda X, folder: X.copy(),
    "read-only": lambda X, folder: read_only(X),
    "memmap of float32": memmap,
    "memmap of float64": lambda X, folder: memmap(X.astype(np.float64), folder),
    "memmap of uint8": lambda X, folder: memmap(X.astype(np.uint8), folder),
    "writeable memmap": lambda X, folder: memmap(X, folder, mode="r+"),
    "memmap in Fortran order": lambda X, folder: memmap(X, folder, order="F"),
    "images": lambda X, folder: X.reshape(-1, *IMAGE),
    "images of uint8": lambda X, folder: X.reshape(-1, *IMAGE).astype(np.uint8),
    "images with a channel": lambda X, folder: X.reshape(-1, 1, *IMAGE),
    "list of images": lambda X, folder: list(X.reshape(-1, *IMAGE)),
    "memmap of images": lambda X, folder: memmap(X.astype(np.uint8), folder).reshape(-1, *IMAGE),
}


@functools.cache
def fitted_on_pixels(name, images):
    """Fitted on flat rows; a convolutional network reads them as images if `images`."""
    prefix = prefix_of(name)
    short = {f"{prefix}min_steps": 10}
    if images:
        short |= {f"{prefix}sample_shape": IMAGE}
    return tiny(name, **{k: v for k, v in short.items() if accepts(name, k)}).fit(pixels())


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize(
    ("name", "container"),
    [
        (name, container)
        for name in ESTIMATORS
        for container in CONTAINERS
        if name not in SEQUENTIAL or "image" not in container
    ],
)
def test_every_container_gives_the_same_result(name, container, tmp_path):
    X = pixels()
    estimator = fitted_on_pixels(name, "image" in container)
    other = CONTAINERS[container](X, tmp_path)
    before = np.array(other)
    assert estimator.n_features_in_ == N_FEATURES
    np.testing.assert_array_equal(estimator.transform(other), estimator.transform(X))
    again = clone(estimator).fit(other)
    assert again.n_features_in_ == N_FEATURES
    assert same_weights(estimator, again)
    np.testing.assert_array_equal(again.transform(X), estimator.transform(X))
    if name in CLUSTERERS:
        np.testing.assert_array_equal(again.labels_, estimator.labels_)
        np.testing.assert_array_equal(again.predict(other), estimator.labels_)
    np.testing.assert_array_equal(np.array(other), before)


@every_estimator
def test_float64_memmaps_equal_arrays_to_the_last_bit(name, tmp_path):
    X = fractions()
    array = tiny(name).fit(X)
    mapped = tiny(name).fit(memmap(X, tmp_path))
    assert_same_fit(array, mapped)
    assert_same_fit(array, tiny(name).fit(X.astype(np.float32)))


@every_estimator
def test_float32_input_is_not_copied(name, monkeypatch):
    """What the engine reads is the caller's own memory, for arrays of any number of dimensions."""
    X = pixels()
    rows = []
    train = Trainer.train

    def record(self, module, objective, used, **kwargs):
        rows.append(used.X)
        return train(self, module, objective, used, **kwargs)

    monkeypatch.setattr(Trainer, "train", record)
    for other in (X, X.reshape(-1, *IMAGE)):
        rows.clear()
        tiny(name).fit(other)
        assert rows and all(np.shares_memory(used, X) for used in rows)


@every_image_estimator
@pytest.mark.parametrize("shape", [IMAGE, (1, *IMAGE), (4, 2, 2)])
def test_images_and_flat_rows_are_interchangeable_after_fit(name, shape):
    X = pixels()
    estimator = tiny(name).fit(X.reshape(-1, *shape))
    assert estimator.sample_shape_ == shape
    assert estimator.n_features_in_ == N_FEATURES
    Z = estimator.transform(X)
    for other in (X.reshape(-1, *IMAGE), X.reshape(-1, 1, *IMAGE), X.reshape(-1, *shape)):
        np.testing.assert_array_equal(estimator.transform(other), Z)
        if name in CLUSTERERS:
            np.testing.assert_array_equal(estimator.predict(other), estimator.labels_)
    if hasattr(estimator, "inverse_transform"):
        assert estimator.inverse_transform(Z).shape == (N_SAMPLES, *shape)
    flat = tiny(name).fit(X)
    assert flat.sample_shape_ == (N_FEATURES,)
    np.testing.assert_array_equal(flat.transform(X.reshape(-1, *shape)), flat.transform(X))


@every_clusterer
@pytest.mark.parametrize("unit", [255.0, 1e-6, 1e12])
def test_the_unit_of_the_input_does_not_matter(name, unit):
    X, y = blobs()
    estimator, other = tiny(name).fit(X), tiny(name).fit(unit * X.astype(np.float64))
    assert adjusted_rand_score(estimator.labels_, y) == 1.0
    assert adjusted_rand_score(estimator.labels_, other.labels_) == 1.0
    assert other.scale_ == pytest.approx(unit * estimator.scale_)
    assert other.score(unit * X) == pytest.approx(estimator.score(X), rel=0.02)


@every_estimator
def test_a_unit_that_is_a_power_of_two_changes_no_bit(name):
    X, _ = blobs()
    estimator, other = tiny(name).fit(X), tiny(name).fit(1024 * X)
    assert same_weights(estimator, other)
    np.testing.assert_array_equal(other.transform(1024 * X), estimator.transform(X))


@every_estimator
def test_feature_names_are_kept_and_checked(name):
    X, _ = blobs()
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(N_FEATURES)])
    estimator = tiny(name).fit(frame)
    assert list(estimator.feature_names_in_) == list(frame.columns)
    np.testing.assert_array_equal(estimator.transform(frame), fitted(name).transform(X))
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.transform(frame[frame.columns[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        estimator.transform(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(estimator).fit(frame)  # nothing inside looses the names and warns
    assert not hasattr(clone(estimator).fit(X), "feature_names_in_")


@every_estimator
def test_set_output_and_names_of_the_embedding(name):
    X, _ = blobs()
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(N_FEATURES)]).set_index(
        pd.Index(range(1000, 1000 + N_SAMPLES))
    )
    estimator = tiny(name).set_output(transform="pandas").fit(frame)
    Z = estimator.transform(frame)
    expected = [f"{name.lower()}{i}" for i in range(estimator.n_components_)]
    assert list(estimator.get_feature_names_out()) == list(Z.columns) == expected
    assert list(Z.index) == list(frame.index)
    assert (Z.dtypes == np.float32).all()
    np.testing.assert_array_equal(Z.to_numpy(), fitted(name).transform(X))
    if name in CLUSTERERS:
        assert isinstance(estimator.predict(frame), np.ndarray)


# -- memory --------------------------------------------------------------------------------------

MEMORY_LIMITED = """
import resource, sys
import numpy as np
import torch
from tests._instances import (
    CLUSTERERS, END_TO_END, ESTIMATORS, N_CLUSTERS, SEQUENTIAL, prefix_of, tiny
)

torch.set_num_threads(1)
X = np.memmap("X.dat", dtype=np.uint8, mode="r", shape=(170_000, 400))
float32_size = 4 * X.size
init = np.arange(2.0 * N_CLUSTERS).reshape(N_CLUSTERS, 2)


def quick(name):
    training = {"batch_size": 2048, "min_steps": 0, "max_epochs": 1}
    network = {**training, "noise": 0.0, "filters": (1,), "kernel_sizes": (3,)}
    network["sample_shape"] = (20, 20)
    own = {**training, "max_iter": 1, "update_interval": 10, "init": init, "max_samples": 500}
    if name in END_TO_END:  # they compare the rows of a batch, all pairs of them
        own |= {"init": None, "batch_size": 512}
    if name in SEQUENTIAL:
        network["sample_shape"] = (2, 200)
    if name in CLUSTERERS:
        params = own | {f"{prefix_of(name)}{key}": value for key, value in network.items()}
    else:
        params = network
    known = tiny(name).get_params()
    return tiny(name, **{key: value for key, value in params.items() if key in known})


def data_size():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmData"))


for name in ESTIMATORS:
    quick(name).fit(X[:2048])  # whatever the libraries load late
for name in ESTIMATORS:
    limit = data_size() + int(0.75 * float32_size)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))
    estimator = quick(name).fit(X)
    # An embedding as wide as the data would take as much by itself.
    part = X if estimator.n_components_ < 20 else X[:2048]
    Z = estimator.transform(part)
    assert Z.shape == (len(part), estimator.n_components_) and np.isfinite(Z).all()
    if name in CLUSTERERS:
        assert np.array_equal(estimator.predict(X), estimator.labels_)
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY,) * 2)
    print(name)
resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))
try:
    X.astype(np.float32)
except MemoryError:
    print("the limit holds")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA is Linux's")
def test_a_uint8_memmap_needs_less_memory_than_its_float32_size(tmp_path):
    """In a process whose limit a float32 copy of the data would break, as it shows at the end."""
    random = np.random.RandomState(0)
    X = np.memmap(tmp_path / "X.dat", dtype=np.uint8, mode="w+", shape=(170_000, 400))
    X[:] = random.randint(256, size=(2000, 400), dtype=np.uint8)[np.arange(170_000) % 2000]
    X.flush()
    del X
    root = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(MEMORY_LIMITED)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == [*ESTIMATORS, "the limit holds"]


# -- a drop-in for KMeans ------------------------------------------------------------------------


@every_clusterer
def test_offers_what_kmeans_offers(name):
    X, _ = blobs()
    assert PUBLIC[name](5).n_clusters == KMeans(5).n_clusters
    assert PUBLIC[name]().n_clusters == KMeans().n_clusters
    estimator, kmeans = tiny(name).fit(X, None), KMeans(N_CLUSTERS, random_state=0).fit(X)
    for attribute in ("labels_", "cluster_centers_", "n_iter_", "n_features_in_"):
        assert isinstance(getattr(estimator, attribute), type(getattr(kmeans, attribute)))
    methods = ("fit", "fit_predict", "predict", "transform", "fit_transform", "score")
    assert all(callable(getattr(estimator, method)) for method in methods)
    assert adjusted_rand_score(estimator.labels_, kmeans.labels_) == 1.0


@every_clusterer
def test_ends_a_pipeline(name):
    X, y = blobs()
    pipeline = make_pipeline(StandardScaler(), tiny(name))
    labels = pipeline.fit_predict(X)
    assert adjusted_rand_score(labels, y) == 1.0
    np.testing.assert_array_equal(pipeline.predict(X), labels)
    assert pipeline.transform(X).shape == (N_SAMPLES, pipeline[-1].n_components_)
    assert pipeline.score(X) < 0


@every_estimator
def test_feeds_a_pipeline(name):
    X, y = blobs()
    pipeline = make_pipeline(tiny(name), KMeans(N_CLUSTERS, random_state=0))
    assert adjusted_rand_score(pipeline.fit_predict(X), y) == 1.0


@every_clusterer
def test_predicts_rows_it_has_not_seen(name):
    X, y = blobs()
    scores = cross_val_score(tiny(name), X, y, scoring="adjusted_rand_score", cv=3)
    np.testing.assert_array_equal(scores, 1.0)
    out_of_sample = cross_val_predict(tiny(name), X, cv=3)
    for part in np.array_split(np.arange(N_SAMPLES), 3):
        assert adjusted_rand_score(out_of_sample[part], y[part]) == 1.0


@every_clusterer
def test_clone_keeps_the_parameters_and_drops_the_fit(name):
    copy = clone(fitted(name).set_params(random_state=0))
    assert repr(copy) == repr(fitted(name))
    assert not hasattr(copy, "module_")
    assert given(copy) is not given(fitted(name))


@every_clusterer
def test_fit_leaves_the_parameters_alone(name):
    X, _ = blobs()
    estimator = tiny(name)
    params = estimator.get_params()
    estimator.fit(X)
    after = estimator.get_params()
    assert all(after[key] is params[key] for key in params)
    assert not hasattr(given(estimator), "module_")


# -- searches ------------------------------------------------------------------------------------

SMALL = {"max_epochs": [1], "min_steps": [40]}
# Of each the last parameter decides how wide the embedding or its network is.
SMALL_NETWORK = {
    "Autoencoder": SMALL | {"hidden_layer_sizes": [(16,)], "n_components": [2, 3]},
    "ConvAutoencoder": SMALL | {"filters": [(4,)], "kernel_sizes": [(3,)], "n_components": [2, 3]},
    "GRUEncoder": {"hidden_size": [8], "n_layers": [1], "n_components": [15, 16]},
    "IdentityAutoencoder": SMALL | {"hidden_layer_sizes": [(32,), (64,)]},
}


@pytest.mark.parametrize("name", [n for n in CLUSTERERS if n not in DEFAULT_DEPENDS_ON_X])
def test_grid_search_reaches_into_the_default_representation(name):
    """``GridSearchCV(IDEC(10), {"autoencoder__n_components": ...})`` runs as it stands."""
    X, y = blobs()
    estimator = tiny(name, **{slot_of(name): None})
    default = type(estimator._default_representation())
    grid = {prefix_of(name) + key: value for key, value in SMALL_NETWORK[default.__name__].items()}
    search = GridSearchCV(
        estimator, grid, scoring="adjusted_rand_score", cv=2, error_score="raise"
    ).fit(X, y)
    assert search.best_score_ > 0.9
    best = search.best_estimator_
    chosen = given(best).get_params()
    assert (
        search.best_params_.items() <= {prefix_of(name) + k: v for k, v in chosen.items()}.items()
    )
    assert best.transform(X).shape[1] == chosen.get("n_components", N_FEATURES)
    assert type(given(best)) is default
    assert given(estimator) is None
    np.testing.assert_array_equal(search.predict(X), best.labels_)


@pytest.mark.parametrize("name", DEFAULT_DEPENDS_ON_X)
def test_a_default_network_that_depends_on_x_cannot_be_searched(name, stages):
    """It is chosen by the shape of X, which no search has shown yet: the error says what to do."""
    X, y = blobs()
    search = GridSearchCV(
        tiny(name, encoder=None), {"encoder__n_components": [2]}, scoring="adjusted_rand_score"
    )
    with pytest.raises(ValueError, match=r"encoder=None depends on X. Give MLPEncoder\(\)"):
        search.fit(X, y)
    assert stages == []


@every_clusterer
def test_grid_search_over_parameters_of_the_clustering(name):
    X, y = blobs()
    grid = {"n_clusters": [2, 3], "gamma": [0.1, 1.0], "lam": [0.1, 1.0]}
    grid |= {"sigma_scale": [0.15, 0.3]} if name in END_TO_END else {"lr": [1e-4, 1e-3]}
    grid = {key: values for key, values in grid.items() if accepts(name, key)}
    search = GridSearchCV(
        tiny(name), grid, scoring="adjusted_rand_score", cv=2, error_score="raise"
    ).fit(X, y)
    assert search.best_params_["n_clusters"] == 3
    assert search.best_score_ == 1.0


@every_clusterer
def test_the_parameters_of_a_frozen_representation_cannot_be_searched(name, stages):
    X, y = blobs()
    parameter = f"{slot_of(name)}__n_components"
    estimator = frozen(name, tiny_representation(name).fit(X))
    stages.clear()
    search = GridSearchCV(estimator, {parameter: [2]}, scoring="accuracy")
    with pytest.raises(ValueError, match=f"{parameter}.*frozen"):
        search.fit(X, y)
    assert stages == []


def test_an_unknown_nested_parameter_is_an_error():
    with pytest.raises(ValueError, match="nonsense"):
        tiny("IDEC", autoencoder=None).set_params(autoencoder__nonsense=1)
    with pytest.raises(ValueError, match="nonsense"):
        tiny("DDC").set_params(encoder__nonsense=1)
    with pytest.raises(ValueError, match="nonsense"):
        tiny("IDEC").set_params(nonsense=1)


# -- frozen representations ----------------------------------------------------------------------


@every_pretrained
def test_a_frozen_representation_is_used_and_not_changed(name, stages):
    X, _ = blobs()
    representation = tiny_representation(name, random_state=0).fit(X)
    weights = {k: v.clone() for k, v in representation.module_.state_dict().items()}
    stages.clear()
    first = frozen(name, representation).fit(X)
    second = frozen(name, representation).fit(X)
    assert pretrainings(stages) == 0 and len(stages) == 2
    assert_same_fit(first, second)
    encoders = (fit.module_.encoder.parameters() for fit in (first, representation))
    assert not any(torch.equal(new, old) for new, old in zip(*encoders, strict=True))
    after = representation.module_.state_dict()
    assert all(torch.equal(weights[key], after[key]) for key in weights)
    assert representation.module_.decoder is not None
    assert given(clone(first)) is given(first)


@pytest.mark.parametrize("name", ["DDC", "DEC", "DEKM", "DTKC", "IDEC"])
def test_any_representation_serves_any_clusterer(name):
    images = pixels().reshape(-1, *IMAGE)
    start = {"init": "k-means"} if name in END_TO_END else {}
    estimator = tiny(name, **{slot_of(name): tiny_conv_autoencoder()}, **start).fit(images)
    representation = tiny_conv_autoencoder(random_state=0).fit(images)
    flat = frozen(name, representation, **start).fit(pixels())
    assert adjusted_rand_score(estimator.labels_, flat.labels_) == 1.0
    np.testing.assert_array_equal(estimator.predict(pixels()), estimator.labels_)


# -- memory= -------------------------------------------------------------------------------------


def parameter_grid(name):
    """Four values of some parameter of the clustering phase."""
    gammas = {"gamma": [0.01, 0.1, 1.0, 10.0]}
    return gammas if "gamma" in tiny(name).get_params() else {"lr": [1e-4, 3e-4, 1e-3, 3e-3]}


@every_pretrained
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_memory_trains_one_representation_per_data_set(name, n_jobs, tmp_path, stages):
    """Four candidates, three folds and the final fit: four representations, not thirteen."""
    X, y = blobs()
    search = GridSearchCV(
        pretrained(name, memory=str(tmp_path)),
        parameter_grid(name),
        scoring="adjusted_rand_score",
        cv=3,
        n_jobs=n_jobs,
        error_score="raise",
    )
    with joblib.parallel_config("threading"):
        search.fit(X, y)
    assert pretrainings(stages) == 4
    assert len(stages) == 4 + 13
    assert_same_fit(
        search.best_estimator_, clone(search.best_estimator_).set_params(memory=None).fit(X)
    )


@every_pretrained
def test_memory_is_not_reused_without_a_seed(name, tmp_path, stages):
    X, _ = blobs()
    fits = [pretrained(name, memory=str(tmp_path), random_state=None).fit(X) for _ in range(2)]
    assert pretrainings(stages) == 2
    assert not same_weights(*fits)


@every_pretrained
@pytest.mark.parametrize(
    "change",
    [
        {"random_state": 1},
        {"nested lr": 1e-4},
        {"nested n_components": 3},
        {"precision": "bfloat16"},
        {"X": 1.0},
        {"shape": (2, 8)},
    ],
    ids=str,
)
def test_memory_notices_what_matters(name, change, tmp_path, stages):
    X, _ = blobs()
    params = {"memory": str(tmp_path), "precision": "float32"}
    pretrained(name, **params).fit(X.reshape(-1, *IMAGE))
    change = {key.replace("nested ", prefix_of(name)): value for key, value in change.items()}
    shape, shift = change.pop("shape", IMAGE), change.pop("X", 0.0)
    other = pretrained(name, **params | change).fit((X + np.float32(shift)).reshape(-1, *shape))
    assert pretrainings(stages) == 2
    plain = clone(other).set_params(memory=None)
    assert_same_fit(other, plain.fit((X + np.float32(shift)).reshape(-1, *shape)))


@every_pretrained
@pytest.mark.parametrize("kind", ["str", "path", "Memory"])
def test_memory_takes_what_a_pipeline_takes(name, kind, tmp_path, stages):
    X, _ = blobs()
    kinds = {"str": str, "path": Path, "Memory": lambda path: joblib.Memory(path, verbose=0)}
    params = {"memory": kinds[kind](tmp_path)}
    first = pretrained(name, **params).fit(X)
    second = pretrained(name, **params, lr=3e-2).fit(memmap(X, tmp_path))
    assert pretrainings(stages) == 1
    assert first.history_["pretraining_loss"] == second.history_["pretraining_loss"]
    assert not same_weights(first, second)
    assert_same_fit(first, pretrained(name).fit(X))


# -- n_init --------------------------------------------------------------------------------------


@contextlib.contextmanager
def runs_of(monkeypatch, change=lambda run, number: run):
    """Record the runs of the fits inside; `change` may replace the outcome of a run."""
    recorded, numbers = [], itertools.count()
    original = BaseDeepClusterer._run

    def record(self, *args):
        run = change(original(self, *args), next(numbers))
        recorded.append(run)
        return run

    with monkeypatch.context() as patch:
        patch.setattr(BaseDeepClusterer, "_run", record)
        yield recorded


@every_clusterer
def test_n_init_keeps_the_run_with_the_best_score(name, monkeypatch):
    X, _ = blobs()
    with runs_of(monkeypatch) as runs:
        estimator = tiny(name, n_init=3).fit(X)
    assert len({run.score for run in runs}) == 3
    best = max(runs, key=lambda run: run.score)
    assert estimator.module_ is best.fitted["module_"]
    assert estimator.labels_ is best.fitted["labels_"]
    assert estimator.history_ is best.fitted["history_"]
    by_score = -estimator.loss_ if name in END_TO_END else estimator.score(X)
    assert by_score == pytest.approx(best.score, rel=1e-5)
    # The first of several runs is the run that n_init=1 makes.
    with runs_of(monkeypatch) as single:
        tiny(name).fit(X)
    assert single[0].score == runs[0].score


@every_clusterer
def test_n_init_prefers_a_run_without_empty_clusters(name, monkeypatch):
    X, _ = blobs()

    def empty(run, number):
        if number == 1:
            run.fitted["labels_"] = np.zeros(N_SAMPLES, dtype=np.int64)
            run.score = np.inf
        return run

    with runs_of(monkeypatch, empty) as runs:
        estimator = tiny(name, n_init=3).fit(X)
    assert estimator.module_ is max((runs[0], runs[2]), key=lambda r: r.score).fitted["module_"]


@every_clusterer
def test_n_init_leaves_out_a_run_that_diverged(name, monkeypatch):
    X, _ = blobs()

    def diverge(which):
        def change(run, number):
            if number in which:
                raise FloatingPointError(f"run {number} diverged")
            return run

        return change

    with runs_of(monkeypatch, diverge({0})) as runs:
        estimator = tiny(name, n_init=2).fit(X)
    assert estimator.module_ is runs[-1].fitted["module_"]
    with runs_of(monkeypatch, diverge({0, 1})):
        with pytest.raises(FloatingPointError, match="run 1 diverged"):
            tiny(name, n_init=2).fit(X)


INITIAL = {
    "array": lambda centers: centers,
    "list": lambda centers: centers.tolist(),
    "KMeans": lambda centers: KMeans(n_clusters=77, n_init=5),
    "agglomerative": lambda centers: AgglomerativeClustering(n_clusters=77),
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (name, kind)
        for name in PRETRAINED
        for kind in INITIAL
        if accepts(name, "init") and (name not in END_TO_END or kind not in ("array", "list"))
    ],
)
def test_init_takes_centres_and_any_clusterer(name, kind):
    X, y = blobs()
    representation = tiny_representation(name, random_state=0).fit(X)
    Z = representation.transform(X)
    centers = np.stack([Z[y == j].mean(0) for j in (2, 0, 1)])
    init = INITIAL[kind](centers)
    estimator = frozen(name, representation, init=init).fit(X)
    assert adjusted_rand_score(estimator.labels_, y) == 1.0
    if kind in ("array", "list"):
        np.testing.assert_array_equal(estimator.labels_, np.array([1, 2, 0])[y])
    else:
        assert init.n_clusters == 77 and not hasattr(init, "labels_")
    assert_same_fit(estimator, clone(estimator).fit(X))
