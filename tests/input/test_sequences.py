"""Sequences become rows of one length; NaN stands for missing steps at their end alone."""

import numpy as np
import pytest

from sklearn_deepcluster._input import _sequences
from sklearn_deepcluster._input._sequences import check_padding, is_sequences, padded_rows


def objects(*parts):
    """An array of arrays, as pandas and np.load give lists of sequences."""
    out = np.empty(len(parts), dtype=object)
    out[:] = parts
    return out


SEQUENCES = {
    "3-D array": np.zeros((4, 3, 2)),
    "list of 2-D arrays": [np.zeros((3, 2)), np.zeros((5, 2))],
    "list of 2-D arrays of one length": [np.zeros((3, 2)), np.zeros((3, 2))],
    "tuple of 2-D arrays": (np.zeros((3, 2)),),
    "array of 2-D arrays": objects(np.zeros((3, 2)), np.zeros((5, 2))),
    "array of 1-D arrays": objects(np.zeros(3), np.zeros(5)),
    "list of 1-D arrays of different lengths": [np.zeros(3), np.zeros(5)],
    "nested lists": [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]],
    "ragged list of numbers": [[1.0, 2.0], [3.0]],
}
ROWS = {
    "2-D array": np.zeros((4, 3)),
    "1-D array": np.zeros(4),
    "4-D array": np.zeros((4, 1, 3, 2)),
    "list of rows": [[1.0, 2.0], [3.0, 4.0]],
    "list of 1-D arrays of one length": [np.zeros(3), np.zeros(3)],
    "list of numbers": [1.0, 2.0],
    "table of objects": np.zeros((4, 3), dtype=object),
    "empty list": [],
    "strings": ["ab", "c"],
    "None": None,
    "number": 3.0,
}


@pytest.mark.parametrize("kind", SEQUENCES)
def test_sequences_are_known(kind):
    assert is_sequences(SEQUENCES[kind])


@pytest.mark.parametrize("kind", ROWS)
def test_what_is_no_sequences_is_known(kind):
    assert not is_sequences(ROWS[kind])


@pytest.mark.parametrize("kind", [list, tuple, lambda parts: objects(*parts)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8])
def test_lists_are_padded_with_nan_at_the_end(kind, dtype):
    parts = [np.arange(2 * t).reshape(t, 2).astype(dtype) + 1 for t in (2, 4, 1)]
    rows, shape = padded_rows(kind(parts))
    assert shape == (4, 2) and rows.dtype == np.result_type(np.float32, dtype)
    expected = [
        [1, 2, 3, 4, *[np.nan] * 4],
        [1, 2, 3, 4, 5, 6, 7, 8],
        [1, 2, *[np.nan] * 6],
    ]
    np.testing.assert_array_equal(rows, np.array(expected, dtype=np.float32))


def test_sequences_of_numbers_have_one_feature():
    rows, shape = padded_rows([[1.0, 2.0, 3.0], [4.0]])
    assert shape == (3, 1)
    np.testing.assert_array_equal(rows, [[1, 2, 3], [4, np.nan, np.nan]])


def test_an_array_is_not_copied():
    X = np.zeros((4, 3, 2), dtype=np.float32)
    rows, shape = padded_rows(X)
    assert tuple(shape) == (3, 2) and rows.shape == (4, 6)
    assert np.shares_memory(rows, X)


@pytest.mark.parametrize(
    ("X", "match"),
    [
        ([np.zeros((3, 2)), np.zeros((3, 5))], r"different numbers of features: \[2, 5\]"),
        ([np.zeros((3, 2)), np.zeros(3)], r"different numbers of features: \[1, 2\]"),
        ([np.zeros((3, 2)), np.zeros((3, 2, 2))], r"Sequence 1 of X has shape \(3, 2, 2\)"),
        ([np.zeros((3, 2)), [["a", "b"]]], "Sequence 1 of X is no array of numbers"),
        ([np.zeros((3, 2)), [[1.0, 2.0], [3.0]]], "Sequence 1 of X is no array of numbers"),
        ([np.zeros((0, 2)), np.zeros((0, 2))], "no steps, or no features"),
        ([np.zeros((2, 0)), np.zeros((3, 0))], "no steps, or no features"),
        (np.zeros((0, 3, 2)), "at least 1 sample, 1 step and 1 feature"),
        (np.zeros((3, 0, 2)), "at least 1 sample, 1 step and 1 feature"),
        (np.zeros((3, 2, 0)), "at least 1 sample, 1 step and 1 feature"),
    ],
    ids=[
        "features",
        "1-D and 2-D",
        "3-D",
        "strings",
        "ragged steps",
        "no steps",
        "no features",
        "no samples in an array",
        "no steps in an array",
        "no features in an array",
    ],
)
def test_what_cannot_be_padded_is_refused(X, match):
    with pytest.raises(ValueError, match=match):
        padded_rows(X)


# -- where NaN may be ----------------------------------------------------------------------------


def rows(fault=None, n=10, n_features=2):
    """Sequences of up to five steps; the eighth has the fault."""
    X = np.ones((n, 5, n_features), dtype=np.float32)
    X[:, 3:] = np.nan
    X[::3, 2:] = np.nan
    where = X[n - 3]
    if fault == "all":
        where[:] = np.nan
    if fault == "middle":
        where[1] = np.nan
    if fault == "start":
        where[0] = np.nan
    if fault == "part":
        where[1, 1] = np.nan
    if fault == "part of the padding":
        where[4, 0] = 1.0
    if fault == "inf":
        where[0, 0] = -np.inf
    return X.reshape(n, -1)


FAULTS = {
    "all": "Sequence 7 of X has no valid step",
    "middle": "Sequence 7 of X has NaN before its end",
    "start": "Sequence 7 of X has NaN before its end",
    "part": "Sequence 7 of X has NaN in some features of a step",
    "part of the padding": "Sequence 7 of X has NaN in some features of a step",
    "inf": "infinity",
}


def test_padding_at_the_end_is_good():
    check_padding(rows(), 2)
    check_padding(rows(n_features=1), 1)
    check_padding(np.ones((3, 4)), 2)


@pytest.mark.parametrize("fault", FAULTS)
def test_other_nan_is_refused_and_the_sequence_named(fault):
    with pytest.raises(ValueError, match=FAULTS[fault]):
        check_padding(rows(fault), 2)


def test_a_value_beyond_float32_is_taken():
    check_padding(np.full((3, 4), 1e300), 2)


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found_in_any_chunk(fault, monkeypatch, tmp_path):
    """Memory maps are read in chunks; the number of the sequence counts from the first one."""
    monkeypatch.setattr(_sequences, "CHUNK_ROWS", 3)
    X = rows(fault)
    X.tofile(tmp_path / "X.dat")
    mapped = np.memmap(tmp_path / "X.dat", dtype=np.float32, mode="r", shape=X.shape)
    with pytest.raises(ValueError, match=FAULTS[fault]):
        check_padding(mapped, 2)
