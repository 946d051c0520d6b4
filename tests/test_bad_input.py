"""Bad input is refused clearly, before any training; interrupts and divergence get through."""

import signal

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback, EarlyStopping

from sklearn_deepcluster import MLPEncoder
from sklearn_deepcluster._engine import Trainer
from sklearn_deepcluster._engine._net import IndexedNet
from tests._instances import (
    CLUSTERERS,
    DESCRIPTIONS,
    END_TO_END,
    ESTIMATORS,
    IMAGE,
    N_FEATURES,
    N_SAMPLES,
    PRETRAINED,
    PUBLIC,
    REPRESENTATIONS,
    SEQUENTIAL,
    GlobalDraws,
    Normalised,
    accepts,
    blobs,
    fitted,
    frozen,
    prefix_of,
    pretrained,
    same_weights,
    slot_of,
    tiny,
    tiny_autoencoder,
    tiny_conv_autoencoder,
    tiny_representation,
)

every_estimator = pytest.mark.parametrize("name", ESTIMATORS)
every_clusterer = pytest.mark.parametrize("name", CLUSTERERS)
every_pretrained = pytest.mark.parametrize("name", PRETRAINED)
every_initialised = pytest.mark.parametrize("name", [n for n in CLUSTERERS if accepts(n, "init")])


@pytest.fixture
def no_training(monkeypatch):
    """Fail the test as soon as the first epoch of any stage begins."""
    fitted("Autoencoder")  # some tests freeze it: it is trained before training is forbidden

    def epoch(net, *args, **kwargs):
        pytest.fail(f"{net.stage} has started")

    monkeypatch.setattr(IndexedNet, "run_single_epoch", epoch)


@pytest.fixture
def no_clustering(monkeypatch):
    """Fail the test as soon as an epoch of the clustering phase begins."""
    original = IndexedNet.run_single_epoch

    def epoch(net, *args, **kwargs):
        if "clustering" in net.stage:
            pytest.fail(f"{net.stage} has started")
        return original(net, *args, **kwargs)

    monkeypatch.setattr(IndexedNet, "run_single_epoch", epoch)


def test_the_fixtures_notice_training(no_training):
    with pytest.raises(pytest.fail.Exception, match="pretraining has started"):
        tiny("IDEC").fit(blobs()[0])


def test_the_fixture_notices_clustering(no_clustering):
    with pytest.raises(pytest.fail.Exception, match="clustering has started"):
        tiny("IDEC").fit(blobs()[0])


# -- X -------------------------------------------------------------------------------------------


def with_value(value, dtype=np.float64, shape=(-1, N_FEATURES)):
    X = blobs()[0].astype(dtype)
    X[17, 3] = value
    return X.reshape(shape)


def as_memmap(X, folder):
    mapped = np.memmap(folder / "X.dat", dtype=X.dtype, mode="w+", shape=X.shape)
    mapped[:] = X
    return mapped


BAD_X = {
    "NaN": (lambda p: with_value(np.nan), "NaN"),
    "inf": (lambda p: with_value(-np.inf), "infinity"),
    "beyond float32": (lambda p: with_value(1e300), "infinity or a value too large"),
    "NaN in images": (lambda p: with_value(np.nan, shape=(-1, *IMAGE)), "NaN"),
    "NaN in a frame": (lambda p: pd.DataFrame(with_value(np.nan)), "NaN"),
    "NaN in a memmap": (lambda p: as_memmap(with_value(np.nan), p), "NaN"),
    "inf in a memmap": (lambda p: as_memmap(with_value(np.inf, np.float32), p), "infinity"),
    "beyond float32 in a memmap": (lambda p: as_memmap(with_value(1e300), p), "infinity"),
    "complex": (lambda p: with_value(1j, complex), "[Cc]omplex"),
    "complex images": (lambda p: with_value(1j, complex, (-1, *IMAGE)), "[Cc]omplex"),
    "complex memmap": (lambda p: as_memmap(with_value(1j, complex), p), "complex"),
    "strings": (lambda p: with_value("a", str), "could not convert|dtype='numeric'"),
    "objects": (lambda p: with_value("a", object), "could not convert"),
    "list of strings": (lambda p: ["a", "b", "c"], "could not convert|2D array"),
    "strings in a frame": (lambda p: pd.DataFrame({"a": ["x", "y", "z"]}), "could not convert"),
    "no rows": (lambda p: np.empty((0, N_FEATURES)), "0 sample"),
    "no images": (lambda p: np.empty((0, *IMAGE)), "0 sample"),
    "no rows of a memmap": (lambda p: as_memmap(blobs()[0], p)[:0], "0 sample"),
    "no columns": (lambda p: np.empty((N_SAMPLES, 0)), "0 feature"),
    "images without pixels": (lambda p: np.empty((N_SAMPLES, 4, 0)), "0 feature"),
    "one dimension": (lambda p: blobs()[0][0], "2D array"),
    "a memmap of one dimension": (lambda p: as_memmap(blobs()[0][0], p), r"\(16,\)"),
    "no dimension": (lambda p: np.float64(1.0), "2D array"),
    "a ragged list": (lambda p: [[1.0, 2.0], [3.0]], "different shapes, .* RDDC and RDTKC"),
    "a ragged list of images": (
        lambda p: [np.ones((4, 4)), np.ones((4, 5))],
        "different shapes, .* RDDC and RDTKC",
    ),
    "sequences": (
        lambda p: [np.ones((4, 2)), np.ones((5, 2))],
        "different shapes, .* RDDC and RDTKC",
    ),
    "None": (lambda p: None, "None|2D array"),
}


# What is said otherwise of sequences, and what is good as some: lists of different lengths.
BAD_SEQUENCES = {
    "no images": "at least 1 sample",
    "images without pixels": "at least .* 1 feature",
    "a ragged list of images": r"different numbers of features: \[4, 5\]",
}
GOOD_SEQUENCES = {"a ragged list", "sequences"}


def bad_data():
    for name in ESTIMATORS:
        for case, (make, match) in BAD_X.items():
            if name in SEQUENTIAL and case in GOOD_SEQUENCES:
                continue
            if name in SEQUENTIAL:
                match = BAD_SEQUENCES.get(case, match)
            yield pytest.param(name, make, match, id=f"{name}-{case}")


@pytest.mark.parametrize(("name", "make", "match"), list(bad_data()))
def test_bad_data_are_refused_by_fit(name, make, match, tmp_path, no_training):
    with pytest.raises(ValueError, match=match):
        tiny(name).fit(make(tmp_path))


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize(("name", "make", "match"), list(bad_data()))
def test_bad_data_are_refused_after_fit(name, make, match, tmp_path):
    estimator = fitted(name)
    wrong_width = "features(, but .* is expecting 16| per step, but .* is expecting 1 )"
    for method in ("transform", "predict", "predict_proba", "score"):
        if hasattr(estimator, method):
            with pytest.raises(ValueError, match=f"{match}|{wrong_width}"):
                getattr(estimator, method)(make(tmp_path))


SPARSE = pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, scipy.sparse.coo_array])


@every_estimator
@SPARSE
def test_sparse_data_are_refused(name, kind, no_training):
    """With scikit-learn's own TypeError, as its other dense estimators do."""
    with pytest.raises(TypeError, match="[Ss]parse"):
        tiny(name).fit(kind(blobs()[0]))


@every_estimator
@SPARSE
def test_sparse_data_are_refused_after_fit(name, kind):
    with pytest.raises(TypeError, match="[Ss]parse"):
        fitted(name).transform(kind(blobs()[0]))


def wrong_shapes():
    shapes = [(5, 15), (5, 17), (5, 4, 5), (5, 1, 4, 3), (1, 1)]
    # Of three dimensions are sequences with several features per step: see cluster/test_sequences.
    return [
        pytest.param(name, shape, id=f"{name}-{shape}")
        for name in ESTIMATORS
        for shape in shapes
        if name not in SEQUENTIAL or len(shape) == 2
    ]


@pytest.mark.parametrize(("name", "shape"), wrong_shapes())
def test_a_wrong_number_of_features_is_refused_after_fit(name, shape):
    estimator = fitted(name)
    width = np.prod(shape[1:])
    for method in ("transform", "predict", "score"):
        if hasattr(estimator, method):
            with pytest.raises(ValueError, match=f"{width} features?, but {name} is expecting 16"):
                getattr(estimator, method)(np.ones(shape))


@every_estimator
def test_a_wrong_number_of_features_in_a_memmap_is_refused_after_fit(name, tmp_path):
    with pytest.raises(ValueError, match=f"15 features, but {name} is expecting 16"):
        fitted(name).transform(as_memmap(np.ones((5, 15)), tmp_path))


@every_estimator
def test_unfitted_estimators_say_so(name):
    for method in ("transform", "predict", "predict_proba", "score", "inverse_transform"):
        if hasattr(tiny(name), method):
            with pytest.raises(NotFittedError, match=name):
                getattr(tiny(name), method)(blobs()[0])


@every_estimator
@pytest.mark.parametrize(
    ("Z", "match"),
    [
        (np.ones((3, 5)), "Z has 5 columns.*{}"),
        (np.full((3, 2), np.nan), "Z contains NaN"),
        (np.ones(2), "2D array"),
    ],
    ids=["width", "NaN", "1-D"],
)
def test_bad_embeddings_are_refused(name, Z, match):
    estimator = fitted(name)
    if not hasattr(estimator, "inverse_transform"):
        assert estimator.module_.decoder is None
        return
    with pytest.raises(ValueError, match=match.format(estimator.n_components_)):
        estimator.inverse_transform(Z)


@every_clusterer
@pytest.mark.parametrize("n_samples", [1, 2])
def test_fewer_rows_than_clusters_are_refused(name, n_samples, no_training):
    with pytest.raises(ValueError, match=f"n_samples={n_samples}.*n_clusters=3"):
        tiny(name).fit(blobs()[0][:n_samples])


# -- parameters ----------------------------------------------------------------------------------

BAD_TRAINING = {
    "batch_size": [0, -1, 2.5, "all"],
    "optimizer": ["nonsense", None, 3],
    "lr": [0, -1.0, np.nan, "small", None],
    "momentum": [-0.1, 1.0, None],
    "warm_start": ["yes", 2],
    "callbacks": [3, "print", [object()]],
    "net_params": [
        [1],
        {"nonsense": 1},
        {"optimizer__nonsense": 1},
        {"module": torch.nn.Linear(1, 1)},
        {"module__x": 1},
        {"batch_size": 3},
        {"callbacks": []},
    ],
    "device": ["nonsense", "cuda:99", 1.5, None],
    "precision": ["half", None, 16],
    "verbose": [-1, "loud"],
    "random_state": ["a", -1, 0.5],
    "max_epochs": [0, -3, 1.5, None],
    "min_steps": [-1, 1.5, None],
}
BAD_NETWORK = {
    "n_components": [0, -1, 1.5, None],
    "scale": [0, -1.0, "unit", np.nan],
    "noise": [-0.1, 1.0, None],
    "noise_kind": ["gaussian", None],
    "activation": ["nonsense", None],
    "hidden_size": [0, -1, 1.5, None],
    "n_layers": [0, -1, 1.5, None],
    "resize": [0, -1, 2.5, "large"],
    "patch_size": [0, 1.5, "large", 6, None],
    "jitter": [-1, 1.5, "large", 5, None],
    "embedding_activation": ["nonsense", None],
    "output_activation": ["nonsense", None],
    "hidden_weight": [-0.1, None],
    "hidden_layer_sizes": [(0,), (8, -1), (8.5,), "8", 8, None],
    "tied": ["yes", None],
    "layerwise_epochs": [-1, 1.5, None],
    "module": [3, "net", torch.nn.Linear(16, 2), lambda d: torch.nn.Linear(d, 2)],
    "sample_shape": [(3, 5), (4,), (4, 4, 2), (-4, -4), (2, 2, 2, 2), (2.5, 6.4), "44", 16.5],
    "filters": [(), (0,), (2.5,), (4, 4), 4, None],
    "kernel_sizes": [(), (0,), (-1,), (1.5,), (3, 3), 3, None],
}
BAD_CLUSTERING = {
    "n_clusters": [0, -1, 2.5, "3", None, N_SAMPLES + 1],
    "autoencoder": [KMeans(), PCA(2), "conv", PUBLIC["Autoencoder"], FrozenEstimator(PCA(2))],
    "encoder": [
        KMeans(),
        "conv",
        (16, 2),
        PUBLIC["Autoencoder"],
        MLPEncoder,
        lambda n_features: n_features,
        FrozenEstimator(PCA(2)),
        FrozenEstimator(MLPEncoder()),
    ],
    "init": [
        "nonsense",
        np.zeros((2, 2)),
        np.zeros((3, 5)),
        np.zeros(3),
        np.full((3, 2), np.nan),
        [["a", "b"]] * 3,
        3,
        None,
        PCA(2),
        KMeans,
    ],
    "n_init": [0, -1, 1.5, "auto"],
    "n_jobs": [1.5, "all"],
    "memory": [5, object()],
    "alpha": [0, -1.0, None],
    "gamma": [-0.1, None, "auto"],
    "lam": [-0.1, None, "auto"],
    "prior": [[1, 1], [1, 1, 0], [1, -1, 1], [1, np.nan, 1], "flat", 3],
    "semi_supervised": ["yes", None],
    "warm_up_epochs": [-1, 1.5, None],
    "tol": [-1e-3, None],
    "update_interval": [0, -1, 1.5, "never"],
    "max_iter": [0, 1.5, None],
    "target": ["first", None],
    "anchor": ["yes", None],
    "kmeans_n_init": [0, 1.5],
    "variant": ["k-means", None],
    "normalize": ["yes", None],
    "start": ["random", None],
    "sigma": [0, -1.0, "mean", None, np.nan],
    "sigma_scale": [0, -1.0, None],
    "bandwidth": ["median", None, 1.0],
    "patience": [0, -1, 1.5, "auto"],
    "clip_norm": [0, -1.0, "auto"],
    "companion": ["nonsense", True],
    "companion_target_grad": ["yes", None],
    "update": ["newton", None],
    "n_vectors": [0, 1.5],
    "rounding": ["nearest", None],
    "zero_diagonal": ["yes", None],
    "normalize_degree": ["yes", None],
    "max_samples": [0, -1, 1.5, "half", 2],
    "block_size": [0, 1.5],
    "n_refine": [-1, 1.5, None],
    "inner_tol": [-0.1, None],
    "max_steps": [0, 1.5, None],
    "stiefel_max_iter": [0, 1.5, None],
}
# What one of them takes although others do not.
GOOD = [
    ("KNet", "max_iter", 0),
    ("IdentityAutoencoder", "hidden_layer_sizes", None),
    *[(name, "init", None) for name in END_TO_END],
]


def bad_parameters():
    for name in ESTIMATORS:
        cases = {**BAD_TRAINING, **BAD_NETWORK, **BAD_CLUSTERING}
        prefix = prefix_of(name)
        cases |= {f"{prefix}{k}": v for k, v in {**BAD_TRAINING, **BAD_NETWORK}.items()}
        for parameter, values in cases.items():
            if accepts(name, parameter):
                for i, value in enumerate(values):
                    if any((name, parameter) == g[:2] and value is g[2] for g in GOOD):
                        continue
                    yield pytest.param(name, parameter, value, id=f"{name}-{parameter}-{i}")


@pytest.mark.parametrize(("name", "parameter", "value"), list(bad_parameters()))
def test_bad_parameters_are_refused_by_name(name, parameter, value, no_training):
    estimator = tiny(name).set_params(**{parameter: value})
    with pytest.raises(ValueError, match=parameter.rpartition("__")[2]):
        estimator.fit(blobs()[0])


def test_the_tables_of_bad_parameters_are_complete():
    """Every parameter of every estimator, and of every description, is tried."""
    tried = {**BAD_TRAINING, **BAD_NETWORK, **BAD_CLUSTERING}
    for name in ESTIMATORS:
        assert set(tiny(name).get_params(deep=False)) - set(tried) == set(), name
    described = {type(getattr(tiny(name), slot_of(name))).__name__ for name in CLUSTERERS}
    assert set(DESCRIPTIONS) <= described
    for name, cls in DESCRIPTIONS.items():
        assert set(cls().get_params()) - set(BAD_NETWORK) == set(), name


@every_pretrained
def test_frozen_representations_must_fit_the_data(name, no_training):
    X, _ = blobs()
    slot = slot_of(name)
    with pytest.raises(ValueError, match="[Aa]utoencoder.* not fitted"):
        frozen(name, tiny_representation(name)).fit(X)
    with pytest.raises(ValueError, match=f"{slot} was fitted on 16 features; X has 9"):
        frozen(name, fitted("Autoencoder")).fit(X[:, :9])
    with pytest.raises(ValueError, match=f"{slot}=.* does not hold an? (auto|repr)"):
        frozen(name, PCA(2).fit(X)).fit(X)
    if not accepts(name, "init") or name in END_TO_END:
        return
    with pytest.raises(ValueError, match="init has centres in 5 dimensions; the embedding has 2"):
        frozen(name, fitted("Autoencoder"), init=np.zeros((3, 5))).fit(X)


@every_initialised
@pytest.mark.parametrize(
    ("init", "match"),
    [
        (DBSCAN(eps=1e-6), r"init=.*found \d+ clusters and noise; n_clusters=3"),
        (DBSCAN(eps=1e6), "init=.*found 1 clusters; n_clusters=3"),
        (AgglomerativeClustering(n_clusters=None, distance_threshold=1e6), "n_clusters"),
    ],
    ids=["noise", "one cluster", "threshold"],
)
def test_an_initial_clustering_that_does_not_fit_is_refused(name, init, match, no_clustering):
    """It can be known only once there is an embedding: after the pretraining."""
    with pytest.raises(ValueError, match=match):
        tiny(name, init=init).fit(blobs()[0])


@pytest.mark.parametrize("name", ["ConvAutoencoder", "DCEC"])
@pytest.mark.parametrize("shape", [(4, 4), (1, 4, 4), (16, 1, 1), (2, 8)])
def test_images_too_small_for_the_network_are_refused(name, shape, no_training):
    prefix = prefix_of(name)
    deep = {f"{prefix}filters": (2, 2, 2), f"{prefix}kernel_sizes": (3, 3, 3)}
    X, _ = blobs()
    with pytest.raises(ValueError, match="sample_shape=.* too small .* 8 pixels per side"):
        tiny(name, **deep).fit(X.reshape(-1, *shape))
    with pytest.raises(ValueError, match="sample_shape=.* too small"):
        tiny(name, **deep, **{f"{prefix}sample_shape": shape}).fit(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["ConvAutoencoder", "DCEC"])
def test_flat_rows_are_never_too_short_for_the_network(name):
    prefix = prefix_of(name)
    deep = {f"{prefix}filters": (2, 2, 2), f"{prefix}kernel_sizes": (3, 3, 3)}
    X = blobs()[0][:, :3]
    # In bfloat16 the gradients of maps one pixel wide once were uninitialised memory.
    estimators = [tiny(name, **deep, precision="bfloat16").fit(X) for _ in range(5)]
    assert np.isfinite(estimators[0].transform(X)).all()
    assert all(same_weights(estimators[0], other) for other in estimators)


# -- modules of the user -------------------------------------------------------------------------


class Pair(torch.nn.Module):
    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder


@pytest.mark.parametrize(
    ("module", "match"),
    [
        (Pair(torch.nn.Linear(9, 2), torch.nn.Linear(2, 16)), "module does not take samples"),
        (Pair(torch.nn.Linear(16, 2), torch.nn.Linear(3, 16)), "module does not take samples"),
        (Pair(torch.nn.Linear(16, 2), torch.nn.Linear(2, 9)), "module reconstructs 9 values"),
        (Pair(torch.nn.Linear(16, 2), None), "module has no 'decoder'"),
    ],
    ids=["encoder", "decoder", "width", "no decoder"],
)
@pytest.mark.parametrize("name", ["Autoencoder", "DEC", "DEKM", "IDEC"])
def test_modules_that_do_not_fit_are_refused(name, module, match, no_training):
    prefix = prefix_of(name)
    with pytest.raises(ValueError, match=match):
        tiny(name, **{f"{prefix}module": module}).fit(blobs()[0])


@pytest.mark.parametrize("module", [Normalised, Normalised(16)], ids=["factory", "module"])
@pytest.mark.parametrize("name", ["Autoencoder", "DEC", "DEKM", "IDEC"])
def test_batches_of_one_row_are_refused_for_batch_normalisation(name, module, no_training):
    X, _ = blobs()
    prefix = prefix_of(name)
    with pytest.raises(ValueError, match="batch_size=1 .*batch normali"):
        tiny(name, **{f"{prefix}module": module, f"{prefix}batch_size": 1}).fit(X)
    if prefix:
        with pytest.raises(ValueError, match="batch_size=1 .*batch normali"):
            tiny(name, batch_size=1, autoencoder__module=module).fit(X)
        with pytest.raises(ValueError, match="batch_size=1 .*batch normali"):
            frozen(name, fitted_normalised(), batch_size=1).fit(X)


def fitted_normalised():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "train", lambda self, *args, **kwargs: [{"train_loss": 1.0}])
        return tiny_autoencoder(module=Normalised, random_state=0).fit(blobs()[0])


@pytest.mark.parametrize("name", ["Autoencoder", "DEC", "DEKM", "IDEC"])
@pytest.mark.parametrize(("n_samples", "batch_size"), [(65, 64), (129, 64), (4, 3), (7, 3), (6, 2)])
def test_no_batch_of_one_row_is_left_over(name, n_samples, batch_size):
    X = blobs()[0][:n_samples]
    prefix = prefix_of(name)
    params = {f"{prefix}module": Normalised, f"{prefix}batch_size": batch_size}
    assert np.isfinite(tiny(name, **params).fit(X).transform(X)).all()


@pytest.mark.parametrize("name", ["Autoencoder", "DEC", "DEKM", "IDEC"])
@pytest.mark.parametrize(("n_samples", "batch_size"), [(5, 2), (1, 64)])
def test_a_batch_of_one_row_that_cannot_be_avoided_is_refused(
    name, n_samples, batch_size, no_training
):
    prefix = prefix_of(name)
    params = {f"{prefix}module": Normalised, f"{prefix}batch_size": batch_size}
    if prefix:
        params["n_clusters"] = 1
    with pytest.raises(ValueError, match=f"batch_size={batch_size} .*batch normali"):
        tiny(name, **params).fit(blobs()[0][:n_samples])


@pytest.mark.parametrize("name", ["Autoencoder", "DEC", "DEKM", "IDEC"])
def test_batch_size_one_trains_other_modules(name):
    X = blobs()[0][:20]
    prefix = prefix_of(name)
    params = {f"{prefix}module": GlobalDraws, f"{prefix}batch_size": 1, "batch_size": 1}
    assert np.isfinite(tiny(name, **params).fit(X).transform(X)).all()


# -- divergence ----------------------------------------------------------------------------------

TOO_LARGE = {"optimizer": "sgd", "lr": 1e30}


@pytest.mark.parametrize("name", [*REPRESENTATIONS, *PRETRAINED])
def test_diverging_pretraining_is_an_error_that_names_stage_epoch_and_lr(name):
    prefix = prefix_of(name)
    estimator = pretrained(name) if name in CLUSTERERS else tiny(name)
    estimator.set_params(**{f"{prefix}{k}": v for k, v in TOO_LARGE.items()})
    with pytest.raises(FloatingPointError, match=r"pretraining diverged in epoch 1: .*lr=1e\+30"):
        estimator.fit(blobs()[0])
    assert not hasattr(estimator, "labels_") and not hasattr(estimator, "module_")


@every_clusterer
def test_diverging_clustering_is_an_error_that_names_stage_epoch_and_lr(name):
    estimator = tiny(name, **TOO_LARGE)
    with pytest.raises(
        FloatingPointError, match=rf"{name}: clustering diverged in epoch 1: .*lr=1e\+30"
    ):
        estimator.fit(blobs()[0])
    assert not hasattr(estimator, "labels_") and not hasattr(estimator, "module_")


class Poison(Callback):
    """Makes the weights infinite after the last step, when no loss can show it any more."""

    def on_train_end(self, net, **kwargs):
        with torch.no_grad():
            next(net.module_.parameters()).fill_(torch.inf)


@every_estimator
def test_a_last_step_that_diverges_is_noticed_too(name):
    estimator = tiny(name, callbacks=[Poison()])
    with pytest.raises(FloatingPointError, match="diverged"):
        estimator.fit(blobs()[0])


@every_clusterer
def test_restarts_that_all_diverge_are_an_error(name):
    with pytest.raises(FloatingPointError, match="clustering diverged"):
        tiny(name, **TOO_LARGE, n_init=2).fit(blobs()[0])


# -- interrupts and callbacks --------------------------------------------------------------------


class Interrupt(Callback):
    """Ctrl-C at some event of the second epoch (or of the first, where there is but one)."""

    def __init__(self, event):
        self.event = event

    def _raise(self, event):
        if event == self.event:
            raise KeyboardInterrupt

    def on_train_begin(self, net, **kwargs):
        self._raise("on_train_begin")

    def on_epoch_begin(self, net, **kwargs):
        self._raise("on_epoch_begin")

    def on_batch_begin(self, net, **kwargs):
        self._raise("on_batch_begin")

    def on_batch_end(self, net, **kwargs):
        self._raise("on_batch_end")

    def on_grad_computed(self, net, **kwargs):
        self._raise("on_grad_computed")

    def on_epoch_end(self, net, **kwargs):
        self._raise("on_epoch_end")

    def on_train_end(self, net, **kwargs):
        self._raise("on_train_end")


EVENTS = [
    "on_train_begin",
    "on_epoch_begin",
    "on_batch_begin",
    "on_grad_computed",
    "on_batch_end",
    "on_epoch_end",
    "on_train_end",
]


def own_callbacks():
    """(name, parameter) of the callbacks of every stage of every estimator."""
    nested = [(name, f"{prefix_of(name)}callbacks") for name in PRETRAINED]
    return sorted([*((name, "callbacks") for name in ESTIMATORS), *nested])


def with_callback(name, parameter, callback):
    make = pretrained if "__" in parameter else tiny
    return make(name, **{parameter: [callback]})


@pytest.mark.parametrize(("name", "parameter"), own_callbacks())
@pytest.mark.parametrize("event", EVENTS)
def test_an_interrupt_gets_through(name, parameter, event):
    estimator = with_callback(name, parameter, Interrupt(event))
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(blobs()[0])
    assert not hasattr(estimator, "labels_") and not hasattr(estimator, "module_")


class Signal(Callback):
    """A real Ctrl-C in the middle of the second epoch."""

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == 2 or "clustering" in net.stage:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("name", "parameter"), own_callbacks())
def test_a_real_ctrl_c_gets_through(name, parameter):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            with_callback(name, parameter, Signal()).fit(blobs()[0])
    finally:
        signal.signal(signal.SIGINT, before)


@every_clusterer
def test_an_interrupt_gets_through_restarts(name):
    with pytest.raises(KeyboardInterrupt):
        tiny(name, n_init=2, callbacks=[Interrupt("on_epoch_end")]).fit(blobs()[0])


@every_estimator
def test_an_estimator_fits_after_an_interrupt(name):
    X, _ = blobs()
    estimator = tiny(name, callbacks=[Interrupt("on_epoch_end")])
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X)
    estimator.set_params(callbacks=None).fit(X)
    np.testing.assert_array_equal(estimator.transform(X), fitted(name).transform(X))


def stopping():
    """Stops at once: no loss ever falls by so much."""
    return EarlyStopping(
        monitor="train_loss", patience=1, threshold=1e9, threshold_mode="abs", sink=lambda *a: None
    )


@every_estimator
def test_early_stopping_of_skorch_ends_the_training(name):
    X, _ = blobs()
    # Ten epochs, or rounds: far more than early stopping allows.
    long = {"max_epochs": 10, "min_steps": 100, "max_iter": 10, "tol": 0, "warm_up_epochs": 0}
    long = {key: value for key, value in long.items() if accepts(name, key)}
    assert tiny(name, **long).fit(X).n_iter_ >= 10
    callback = stopping()
    estimator = tiny(name, callbacks=[callback], **long).fit(X)
    assert 1 <= estimator.n_iter_ <= 2
    assert np.isfinite(estimator.transform(X)).all()
    assert callback.misses_ == 0, "the caller's callback is copied"
    if name in CLUSTERERS:
        np.testing.assert_array_equal(estimator.labels_, estimator.predict(X))
    if name in PRETRAINED:
        nested = pretrained(name, **{f"{slot_of(name)}__callbacks": [stopping()]}).fit(X)
        assert len(nested.history_["pretraining_loss"]) <= 2


@every_estimator
def test_callbacks_and_net_params_reach_the_net(name):
    X, _ = blobs()
    seen = []

    class Look(Callback):
        def __deepcopy__(self, memo):
            return self

        def on_train_end(self, net, **kwargs):
            seen.append((net.optimizer_.param_groups[0]["weight_decay"], len(net.history)))

    params = {"callbacks": [Look()], "net_params": {"optimizer__weight_decay": 0.125}}
    estimator = tiny(name, **params).fit(X)
    # A round that only found the labels settled is in the net's history too.
    assert [decay for decay, _ in seen] == [0.125]
    assert seen[0][1] in (estimator.n_iter_, estimator.n_iter_ + 1)


@pytest.mark.parametrize("name", ["ConvAutoencoder", "Autoencoder"])
def test_the_device_is_checked_again_after_fit(name):
    """A model whose device is missing predicts on the CPU, and says so."""
    estimator = {"Autoencoder": tiny_autoencoder, "ConvAutoencoder": tiny_conv_autoencoder}[name]()
    X, _ = blobs()
    estimator.set_params(random_state=0).fit(X).set_params(device="cuda:99")
    with pytest.warns(UserWarning, match="device='cuda:99' is not available.*CPU"):
        Z = estimator.transform(X)
    np.testing.assert_array_equal(Z, fitted(name).transform(X))
