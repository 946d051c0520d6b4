"""Rows of numbers: one reader per kind of container."""

import math

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.utils import assert_all_finite, get_tags
from sklearn.utils.validation import validate_data

from sklearn_deepcluster._input._indexed import IndexedRows

# Memory maps are read in chunks of so many rows.
CHUNK_ROWS = 2048


def as_array(X):
    """Array of a list, such as one of images."""
    try:
        return np.asarray(X)
    except ValueError as exc:
        raise ValueError(
            "X holds samples of different shapes, such as sequences of different lengths; "
            f"estimators such as RDDC and RDTKC read these. ({exc})"
        ) from exc


def flat_rows(X):
    """Flatten image arrays, and lists of images; return X and the shape of an image, else None."""
    if isinstance(X, IndexedRows):
        return X, X.sample_shape if len(X.sample_shape) > 1 else None
    if isinstance(X, (list, tuple)):
        X = as_array(X)
    if isinstance(X, np.ndarray) and X.ndim > 2:
        return X.reshape(len(X), math.prod(X.shape[1:])), X.shape[1:]
    return X, None


def read_container(estimator, X, *, reset, finite=True):
    """Rows of what scikit-learn reads: arrays, lists, tables; what it refuses is refused.

    Numbers keep their type: what float32 does not hold is lost only once a centre is taken off.
    Sparse ones stay so where the tags of the estimator say that it takes them.
    """
    if getattr(getattr(X, "dtype", None), "kind", "") in ("m", "M"):
        raise ValueError(f"X holds times of type {X.dtype}; numbers are needed, such as seconds.")
    if issparse(X) and X.ndim != 2:
        raise ValueError(f"Expected 2D array, got a sparse array of shape {X.shape} instead.")
    rows = validate_data(
        estimator,
        X,
        reset=reset,
        accept_sparse="csr" if get_tags(estimator).input_tags.sparse else False,
        dtype="numeric",
        order="C",
        ensure_all_finite=finite,
    )
    return distinct_entries(rows) if issparse(rows) else rows


def distinct_entries(X):
    """A CSR matrix as array: sorted, each entry once and no zero, so equal rows are stored alike.

    Memory is shared with X where it is so already, and its indices have 32 bits if they can.
    """
    index = np.int32 if max(X.nnz, *X.shape) <= np.iinfo(np.int32).max else np.int64
    places = (part.astype(index, copy=False) for part in (X.indices, X.indptr))
    X = csr_array((X.data, *places), shape=X.shape)
    if X.has_canonical_format and X.data.all():
        return X
    X = X.copy()
    X.sum_duplicates()
    X.eliminate_zeros()
    assert_all_finite(X.data, input_name="X")  # of two numbers the sum may be none
    return X


def read_memmap(estimator, X, *, reset, finite=True):
    """A memory map as it is, checked chunk by chunk: real, not empty, `finite`."""
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    if X.dtype.kind not in "biuf":
        raise ValueError(f"X is a memory map of dtype {X.dtype}; real numbers are needed.")
    if X.ndim != 2 or X.shape[0] == 0 or X.shape[1] == 0:
        raise ValueError(
            f"X is a memory map of shape {X.shape}; at least 1 sample and 1 feature are needed."
        )
    return _looked_through(X, finite)


def read_indexed(estimator, X, *, reset, finite=True):
    """A data set that is read by index, as it is, looked through once: rows alike, `finite`."""
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return _looked_through(X, finite)


def _looked_through(X, finite):
    if X.dtype.kind == "f":
        for start in range(0, X.shape[0], CHUNK_ROWS):
            chunk = np.asarray(X[start : start + CHUNK_ROWS])
            assert_all_finite(chunk, allow_nan=finite == "allow-nan", input_name="X")
    return X
