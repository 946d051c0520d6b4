"""Rows of numbers: one reader per kind of container."""

import math

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import validate_data

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
    if isinstance(X, (list, tuple)):
        X = as_array(X)
    if isinstance(X, np.ndarray) and X.ndim > 2:
        return X.reshape(len(X), math.prod(X.shape[1:])), X.shape[1:]
    return X, None


def read_container(estimator, X, *, reset, finite=True):
    """Rows of what scikit-learn reads: arrays, lists, tables; what it refuses is refused.

    Numbers keep their type: what float32 does not hold is lost only once a centre is taken off.
    """
    if getattr(getattr(X, "dtype", None), "kind", "") in ("m", "M"):
        raise ValueError(f"X holds times of type {X.dtype}; numbers are needed, such as seconds.")
    return validate_data(
        estimator, X, reset=reset, dtype="numeric", order="C", ensure_all_finite=finite
    )


def read_memmap(estimator, X, *, reset, finite=True):
    """A memory map as it is, checked chunk by chunk: real, not empty, `finite`."""
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    if X.dtype.kind not in "biuf":
        raise ValueError(f"X is a memory map of dtype {X.dtype}; real numbers are needed.")
    if X.ndim != 2 or X.shape[0] == 0 or X.shape[1] == 0:
        raise ValueError(
            f"X is a memory map of shape {X.shape}; at least 1 sample and 1 feature are needed."
        )
    if X.dtype.kind == "f":
        for start in range(0, X.shape[0], CHUNK_ROWS):
            chunk = np.asarray(X[start : start + CHUNK_ROWS])
            assert_all_finite(chunk, allow_nan=finite == "allow-nan", input_name="X")
    return X
