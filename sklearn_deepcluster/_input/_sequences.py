"""Sequences of different lengths as rows of one length, padded with NaN at the end."""

import numpy as np

from sklearn_deepcluster._input._rows import CHUNK_ROWS


def is_sequences(X):
    """Whether X holds sequences with several features or of different lengths.

    That is a 3-D array, or a list of 2-D arrays or of 1-D arrays of different lengths.
    """
    if isinstance(X, np.ndarray) and X.dtype != object:
        return X.ndim == 3
    if not isinstance(X, (list, tuple, np.ndarray)) or not len(X):
        return False
    if isinstance(X, np.ndarray) and X.ndim > 1:
        return False
    dims = {np.ndim(x) if isinstance(x, np.ndarray) else _depth(x) for x in X}
    return 2 in dims or (dims == {1} and len({len(x) for x in X}) > 1)


def _depth(x):
    """Number of dimensions of nested lists, by their first entries."""
    depth = 0
    while isinstance(x, (list, tuple, np.ndarray)):
        depth += 1
        x = x[0] if len(x) else None
    return depth


def padded_rows(X):
    """Return sequences as rows (n, time * features), and (time, features).

    Parameters
    ----------
    X : ndarray of shape (n, time, features), or list of arrays (time, features) or (time,)
        A 3-D array is not copied; others become float32, or float64 where some are.

    Raises
    ------
    ValueError
        If the sequences differ in their number of features.
    """
    if isinstance(X, np.ndarray) and X.ndim == 3:
        if 0 in X.shape:
            raise ValueError(
                f"X has shape {X.shape}; at least 1 sample, 1 step and 1 feature are needed."
            )
        return X.reshape(len(X), -1), X.shape[1:]
    sequences = [_sequence(x, i) for i, x in enumerate(X)]
    widths = sorted({x.shape[1] for x in sequences})
    if len(widths) > 1:
        raise ValueError(f"The sequences of X have different numbers of features: {widths}.")
    shape = max(len(x) for x in sequences), widths[0]
    if 0 in shape:
        raise ValueError("The sequences of X have no steps, or no features.")
    dtype = np.result_type(np.float32, *{x.dtype for x in sequences})
    rows = np.full((len(sequences), *shape), np.nan, dtype=dtype)
    for row, x in zip(rows, sequences, strict=True):
        row[: len(x)] = x
    return rows.reshape(len(rows), -1), shape


def _sequence(x, i):
    try:
        x = np.asarray(x)
        if x.dtype.kind not in "biuf":
            x = x.astype(np.float64)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"Sequence {i} of X is no array of numbers: {exc}") from exc
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2:
        raise ValueError(f"Sequence {i} of X has shape {x.shape}, not (time, features).")
    return x


def check_padding(rows, n_features):
    """Check that NaN stands for missing steps at the end alone, and that some step is left.

    Parameters
    ----------
    rows : ndarray of shape (n, time * features)
    n_features : int

    Returns
    -------
    longest : int
        Steps of the longest sequence.

    Raises
    ------
    ValueError
        If a sequence has no valid step, NaN before its end or in a part of a step, or infinity.
    """
    longest = 0
    for start in range(0, len(rows), CHUNK_ROWS):
        chunk = np.asarray(rows[start : start + CHUNK_ROWS])
        if np.isinf(chunk).any():
            raise ValueError("Input X contains infinity.")
        missing = np.isnan(chunk.reshape(len(chunk), -1, n_features))
        steps = missing.any(axis=2)
        faults = {
            "has no valid step: all of it is NaN": steps.all(axis=1),
            "has NaN in some features of a step: a step is missing as a whole": (
                steps != missing.all(axis=2)
            ).any(axis=1),
            "has NaN before its end: only the end may be padded": (
                steps[:, :-1] & ~steps[:, 1:]
            ).any(axis=1),
        }
        for fault, where in faults.items():
            if where.any():
                raise ValueError(f"Sequence {start + int(np.argmax(where))} of X {fault}.")
        longest = max(longest, int((~steps).sum(axis=1).max()))
    return longest
