"""The one way into an estimator: which kind X is, and its reader."""

import math

import numpy as np
from sklearn import get_config
from sklearn.utils.validation import check_array

from sklearn_deepcluster._input._indexed import IndexedRows
from sklearn_deepcluster._input._kinds import kind_of, unpacked
from sklearn_deepcluster._input._rows import flat_rows, read_container, read_indexed, read_memmap
from sklearn_deepcluster._input._samples import Samples
from sklearn_deepcluster._input._sequences import check_padding, is_sequences, padded_rows

# Rows of numbers by kind, once images are flattened.
_ROW_READERS = {
    "memmap": read_memmap,
    "indexed": read_indexed,
    "array": read_container,
    "list": read_container,
    "table": read_container,
    "sparse": read_container,
    "other": read_container,
}


def read(estimator, X, *, reset, sequential=False, sample_shape=None):
    """Check X and return it as rows; the estimator stays as it is.

    Arrays in C order, memory maps and canonical CSR are not copied.

    Parameters
    ----------
    estimator : estimator
        Named in errors; with ``reset=False`` X must fit what it was fitted on.
    X : {array-like, sparse matrix} of shape (n_samples, n_features), image array, sequences or a \
            data set that is read by index
        Sparse where the tags of the estimator say so.
    reset : bool
        Whether X is to be fitted on.
    sequential : bool, default=False
        Whether a sample is a sequence of steps.
    sample_shape : tuple (time, features), default=None
        Of sequences in flat rows; None reads a row as a sequence of numbers.

    Returns
    -------
    samples : Samples
        With ``reset=False`` their ``sample_shape`` is that of what was fitted on.

    Raises
    ------
    ValueError or TypeError
        If X is not valid.
    """
    # scikit-learn writes what it learns of X to the estimator that it checks X for.
    probe = object.__new__(type(estimator))
    vars(probe).update(vars(estimator))
    X = unpacked(X)
    if sequential and isinstance(X, IndexedRows):  # padded, they are in memory in any case
        X = list(X)
    if not sequential:
        X, image = flat_rows(X)
        X = _read_rows(probe, X, reset=reset)
        if image is not None:
            _check_image(probe, image, reset=reset)
        shape = image or (X.shape[1],)
        if not reset:
            shape = getattr(probe, "sample_shape_", shape)
    elif is_sequences(X):
        X, shape = _read_sequences(probe, X, reset=reset)
    else:
        X, shape = _read_flat_sequences(probe, X, reset=reset, given=sample_shape)
    names = getattr(probe, "feature_names_in_", None)
    return Samples(
        X=X, sample_shape=tuple(shape), n_features_in=probe.n_features_in_, feature_names=names
    )


def _check_image(probe, shape, *, reset):
    """Refuse images whose axes are not those that are read, or were fitted."""
    if reset:
        # Few colours at the end, and more of everything before.
        if len(shape) == 3 and shape[2] in (1, 3, 4) and min(shape[:2]) > 4:
            raise ValueError(
                f"X has shape (n, {', '.join(map(str, shape))}), which looks like channels last; "
                "images are read as (n, channels, height, width): X.transpose(0, 3, 1, 2). If "
                "these are channels first, give flat rows and sample_shape."
            )
        return
    fitted = probe.sample_shape_
    if len(fitted) == 1:  # flat rows, of which the network may know the shape
        fitted = getattr(getattr(probe, "module_", None), "input_shape", None) or fitted
    if _with_channel(shape) != _with_channel(fitted):
        raise ValueError(
            f"X has samples of shape {tuple(shape)}, but {type(probe).__name__} was fitted on "
            f"samples of shape {tuple(fitted)}. Flat rows of {math.prod(fitted)} features "
            "may be given, too."
        )


def _with_channel(shape):
    return (1, *shape) if len(shape) == 2 else tuple(shape)


def _read_rows(probe, X, *, reset, finite=True):
    return _ROW_READERS[kind_of(X)](probe, X, reset=reset, finite=finite)


def _read_sequences(probe, X, *, reset):
    """Rows (n, time * features) of arrays (n, time, features) and lists, and (time, features).

    ``n_features_in_`` is the features per step, and the length is free.
    """
    X, shape = padded_rows(X)
    if reset:
        probe.n_features_in_ = shape[1]
        vars(probe).pop("feature_names_in_", None)
    elif shape[1] != probe.sample_shape_[1]:
        raise ValueError(
            f"X has {shape[1]} features per step, but {type(probe).__name__} is expecting "
            f"{probe.sample_shape_[1]} features per step as input."
        )
    if not isinstance(X, np.memmap) or X.dtype.kind not in "biuf":
        X = check_array(X, dtype="numeric", order="C", ensure_all_finite="allow-nan")
    longest = check_padding(X, shape[1])
    if not reset:
        return X, probe.sample_shape_
    return X[:, : longest * shape[1]], (longest, shape[1])


def _read_flat_sequences(probe, X, *, reset, given):
    """Rows of 2-D X and (time, features): a column is a step, or `given` says what it is."""
    if reset or probe.n_features_in_ == math.prod(probe.sample_shape_):
        finite = True if given is None else "allow-nan"
        X = _read_rows(probe, X, reset=reset, finite=finite)
    else:  # fitted on sequences; rows of numbers are sequences too
        if np.ndim(X) == 2 and np.shape(X)[1] == probe.sample_shape_[1]:
            raise ValueError(
                f"X has shape {np.shape(X)}: one sequence of {probe.sample_shape_[1]} features per "
                "step? Give [X] for one, and a list or an array (n, time, features) for several."
            )
        X = check_array(X, dtype="numeric", order="C", ensure_all_finite="allow-nan")
        if probe.sample_shape_[1] > 1 and X.shape[1] != math.prod(probe.sample_shape_):
            raise ValueError(
                f"X has {X.shape[1]} columns, but {type(probe).__name__} is expecting sequences "
                f"with {probe.sample_shape_[1]} features per step."
            )
    shape = _flat_shape(X, given) if reset else probe.sample_shape_
    # Without `given` NaN was refused, if scikit-learn was not told to trust X.
    padded = given is not None or get_config()["assume_finite"]
    if padded or np.isnan(X[:, -1]).any():
        check_padding(X, shape[1])
    return X, shape


def _flat_shape(X, given):
    shape = np.atleast_1d((X.shape[1], 1) if given is None else given)
    shape = tuple(map(int, shape)) if shape.dtype.kind in "iuf" else ()
    if len(shape) != 2 or min(shape) < 1 or math.prod(shape) != X.shape[1]:
        raise ValueError(
            f"sample_shape={given!r} does not fit: (time, features) with the product "
            f"{X.shape[1]}, the columns of X, is needed."
        )
    return shape
