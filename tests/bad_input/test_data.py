"""Data that no estimator can take are refused clearly, before any training."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from tests._instances import (
    DENSE_ONLY,
    ESTIMATORS,
    IMAGE,
    N_FEATURES,
    N_SAMPLES,
    SEQUENTIAL,
    accepts,
    blobs,
    fitted,
    tiny,
)
from tests.bad_input._shared import every_clusterer, every_estimator


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
    "far beyond": (lambda p: with_value(1e300), "too large for float32 in the learned scale"),
    "NaN in images": (lambda p: with_value(np.nan, shape=(-1, *IMAGE)), "NaN"),
    "NaN in a frame": (lambda p: pd.DataFrame(with_value(np.nan)), "NaN"),
    "NaN in a memmap": (lambda p: as_memmap(with_value(np.nan), p), "NaN"),
    "inf in a memmap": (lambda p: as_memmap(with_value(np.inf, np.float32), p), "infinity"),
    "far beyond in a memmap": (
        lambda p: as_memmap(with_value(1e300), p),
        "too large for float32 in the learned scale",
    ),
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
    "dates": (lambda p: blobs()[0].astype("M8[D]"), "X holds times of type"),
    "None": (lambda p: None, "None|2D array"),
}


# What is said otherwise of sequences, and what is good as some: lists of different lengths.
BAD_SEQUENCES = {
    "no images": "at least 1 sample",
    "images without pixels": "at least .* 1 feature",
    "a ragged list of images": r"different numbers of features: \[4, 5\]",
}


GOOD_SEQUENCES = {"a ragged list", "sequences"}


# Taken by fit, which learns their scale, with a warning.
GOOD_TO_FIT = {"far beyond", "far beyond in a memmap"}


def bad_data(good=()):
    for name in ESTIMATORS:
        for case, (make, match) in BAD_X.items():
            if case in good:
                continue
            if name in SEQUENTIAL and case in GOOD_SEQUENCES:
                continue
            if name in SEQUENTIAL:
                match = BAD_SEQUENCES.get(case, match)
            yield pytest.param(name, make, match, id=f"{name}-{case}")


@pytest.mark.parametrize(("name", "make", "match"), list(bad_data(GOOD_TO_FIT)))
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


@pytest.mark.parametrize("name", DENSE_ONLY)
@SPARSE
def test_sparse_data_are_refused_where_they_are_not_taken(name, kind, no_training):
    """With scikit-learn's own TypeError, as its other dense estimators do: it says what to do."""
    with pytest.raises(TypeError, match=r"[Ss]parse.*\.toarray\(\)"):
        tiny(name).fit(kind(blobs()[0]))


@pytest.mark.parametrize("name", [name for name in DENSE_ONLY if name in ESTIMATORS])
@SPARSE
def test_sparse_data_are_refused_after_fit(name, kind):
    with pytest.raises(TypeError, match="[Ss]parse"):
        fitted(name).transform(kind(blobs()[0]))


BAD_SPARSE_X = {
    "NaN": (lambda: scipy.sparse.csr_array(with_value(np.nan)), "NaN"),
    "inf": (lambda: scipy.sparse.csc_matrix(with_value(-np.inf)), "infinity"),
    "a sum of inf": (
        lambda: scipy.sparse.csr_matrix(([1e308, 1e308], [3, 3], [0, 2, 2, 2]), (3, N_FEATURES)),
        "infinity",
    ),
    "complex": (lambda: scipy.sparse.csr_array(with_value(1j, complex)), "[Cc]omplex"),
    "no rows": (lambda: scipy.sparse.csr_array((0, N_FEATURES)), "0 sample"),
    "no columns": (lambda: scipy.sparse.csr_array((N_SAMPLES, 0)), "0 feature"),
    "one dimension": (lambda: scipy.sparse.coo_array(blobs()[0][0]), "2D array"),
    "one row": (lambda: scipy.sparse.csr_array(blobs()[0][:1]), "n_samples=1"),
    "strings": (lambda: scipy.sparse.coo_array(np.array([["a"]], dtype=object)), "convert|dtype"),
}


# One with a network, and the one without.
@pytest.mark.parametrize("name", ["DEC", "GraphAgglomerative"])
@pytest.mark.parametrize("case", BAD_SPARSE_X)
def test_bad_sparse_data_are_refused(name, case, no_training):
    make, match = BAD_SPARSE_X[case]
    with pytest.raises(ValueError, match=match):
        tiny(name).fit(make())


@pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, scipy.sparse.coo_array])
def test_sparse_data_of_another_width_are_refused_after_fit(kind):
    with pytest.raises(ValueError, match="15 features, but DEC is expecting 16"):
        fitted("DEC").predict(kind(blobs()[0][:, :15]))


def test_the_data_themselves_are_no_embedding_of_sparse_data(no_training):
    net = tiny("KMeansNet", autoencoder="passthrough", variant="decoupled")
    assert not get_tags(net).input_tags.sparse
    with pytest.raises(TypeError, match="[Ss]parse"):
        net.fit(scipy.sparse.csr_array(blobs()[0]))


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


@pytest.mark.parametrize(
    "name", ["FuzzyCMeans", "GraphAgglomerative", "LandmarkSpectralClustering"]
)
@pytest.mark.parametrize("factor", [1e25, 1e100])
def test_rows_that_are_too_far_for_float32_are_refused(name, factor):
    """Their distances would all be infinite, and the first cluster the nearest."""
    X, _ = blobs()
    metric = {"metric": "euclidean"} if accepts(name, "metric") else {}  # angles have no size
    model = tiny(name, **metric).fit(X)
    if name == "FuzzyCMeans" and factor == 1e25:  # its distances are in float64
        assert np.isfinite(model.transform(factor * X.astype(float))).all()
        return
    with pytest.raises(ValueError, match="too large for float32 in the learned scale"):
        model.predict(factor * X.astype(float))
