"""Reading X: every kind of container becomes rows, and the estimator stays as it is."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.base import BaseEstimator

from sklearn_deepcluster._input import kind_of, read

N = 5
TABLE = np.arange(N * 6, dtype=np.float32).reshape(N, 6)
TABLE.setflags(write=False)
STEPS = TABLE.reshape(N, 3, 2)
LENGTHS = [3, 1, 2, 3, 2]


class Plain(BaseEstimator):
    """An estimator that is nothing else."""


class Taking(Plain):
    """One that takes sparse X."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class AsArray:
    """An object that numpy can read."""

    def __array__(self, dtype=None, copy=None):
        return TABLE.astype(dtype or np.float64)


def mapped(dtype, *shape):
    """Function of a folder that makes a memory map of the table."""

    def make(folder):
        TABLE.astype(dtype).tofile(folder / "x.bin")
        return np.memmap(folder / "x.bin", dtype=dtype, mode="r", shape=(N, *shape))

    return make


def strided(folder):
    return np.repeat(TABLE, 2, axis=1)[:, ::2]


class Case(NamedTuple):
    """X, or a function of a folder that makes it, and what reading it gives."""

    X: object
    kind: str
    sample_shape: tuple = (6,)
    n_features_in: int = 6
    dtype: type = np.float32
    copied: bool = True


FLAT = {
    "list": Case(TABLE.tolist(), "list", dtype=np.float64),
    "tuple": Case(tuple(map(tuple, TABLE.tolist())), "list", dtype=np.float64),
    "list of arrays": Case(list(TABLE), "list"),
    "list of images": Case(TABLE.reshape(N, 2, 3).tolist(), "list", (2, 3), dtype=np.float64),
    "tuple of images": Case(tuple(TABLE.reshape(N, 2, 3)), "list", (2, 3)),
    "float32": Case(TABLE, "array", copied=False),
    "float32 F": Case(np.asfortranarray(TABLE), "array"),
    "float32 strided": Case(strided, "array"),
    "float64": Case(TABLE.astype(np.float64), "array", dtype=np.float64, copied=False),
    "float16": Case(TABLE.astype(np.float16), "array", dtype=np.float16),
    "int64": Case(TABLE.astype(np.int64), "array", dtype=np.int64),
    "uint8": Case(TABLE.astype(np.uint8), "array", dtype=np.uint8),
    "object": Case(TABLE.astype(object), "array", dtype=np.float64),
    "images": Case(TABLE.reshape(N, 2, 3), "array", (2, 3), copied=False),
    "images with channels": Case(TABLE.reshape(N, 3, 1, 2), "array", (3, 1, 2), copied=False),
    "images uint8": Case(TABLE.reshape(N, 2, 3).astype(np.uint8), "array", (2, 3), dtype=np.uint8),
    "memmap float32": Case(mapped(np.float32, 6), "memmap", copied=False),
    "memmap float64": Case(mapped(np.float64, 6), "memmap", dtype=np.float64, copied=False),
    "memmap uint8": Case(mapped(np.uint8, 6), "memmap", dtype=np.uint8, copied=False),
    "memmap of images": Case(mapped(np.float32, 2, 3), "memmap", (2, 3), copied=False),
    "DataFrame": Case(pd.DataFrame(TABLE, columns=list("abcdef")), "table"),
    "tensor": Case(torch.tensor(TABLE), "tensor"),
    "tensor that learns": Case(torch.nn.Parameter(torch.tensor(TABLE)), "tensor"),
    "tensor of bfloat16": Case(torch.tensor(TABLE).bfloat16(), "tensor"),
    "tensor of images": Case(torch.tensor(TABLE).reshape(N, 2, 3), "tensor", (2, 3)),
    "tensor of channels": Case(torch.tensor(TABLE).reshape(N, 1, 2, 3), "tensor", (1, 2, 3)),
    "list of tensors": Case(list(torch.tensor(TABLE)), "list"),
    "list of Series": Case([pd.Series(row) for row in TABLE], "list"),
    "list of tensors of images": Case(list(torch.tensor(TABLE).reshape(N, 2, 3)), "list", (2, 3)),
    "other": Case(AsArray(), "other", dtype=np.float64),
}
SEQUENCES = {
    "ragged list": Case([x[:t] for x, t in zip(STEPS, LENGTHS, strict=True)], "list", (3, 2), 2),
    "ragged tuple": Case(
        tuple(x[:t] for x, t in zip(STEPS, LENGTHS, strict=True)), "list", (3, 2), 2
    ),
    "ragged tensors": Case(
        [torch.tensor(x[:t]) for x, t in zip(STEPS, LENGTHS, strict=True)], "list", (3, 2), 2
    ),
    "ragged tables": Case(
        [pd.DataFrame(x[:t]) for x, t in zip(STEPS, LENGTHS, strict=True)], "list", (3, 2), 2
    ),
    "ragged Series": Case(
        [pd.Series(x[: 2 * t]) for x, t in zip(TABLE, LENGTHS, strict=True)], "list", (6, 1), 1
    ),
    "3-D tensor": Case(torch.tensor(STEPS), "tensor", (3, 2), 2),
    "ragged nested lists": Case(
        [x[:t].tolist() for x, t in zip(STEPS, LENGTHS, strict=True)],
        "list",
        (3, 2),
        2,
        dtype=np.float64,
    ),
    "ragged numbers": Case(
        [x[: 2 * t] for x, t in zip(TABLE, LENGTHS, strict=True)], "list", (6, 1), 1
    ),
    "3-D": Case(STEPS, "array", (3, 2), 2, copied=False),
    "3-D float64": Case(STEPS.astype(np.float64), "array", (3, 2), 2, dtype=np.float64),
    "3-D memmap": Case(mapped(np.float32, 3, 2), "memmap", (3, 2), 2, copied=False),
    "flat": Case(TABLE, "array", (6, 1), copied=False),
    "flat list": Case(TABLE.tolist(), "list", (6, 1), dtype=np.float64),
    "flat memmap": Case(mapped(np.uint8, 6), "memmap", (6, 1), dtype=np.uint8, copied=False),
    "flat DataFrame": Case(pd.DataFrame(TABLE, columns=list("abcdef")), "table", (6, 1)),
}


def check(case, folder, *, padded=False, **options):
    X = case.X(folder) if callable(case.X) else case.X
    estimator = Plain()
    samples = read(estimator, X, reset=True, **options)
    assert vars(estimator) == {}, "the estimator stays as it is"
    assert kind_of(X) == case.kind
    assert samples.X.shape == (N, 6) and len(samples) == N
    assert samples.X.dtype == case.dtype and samples.X.flags.c_contiguous
    assert isinstance(samples.X, np.memmap) == (case.kind == "memmap")
    assert samples.sample_shape == case.sample_shape
    assert samples.n_features_in == case.n_features_in
    if not case.copied:
        assert np.shares_memory(samples.X, X)
    expected = TABLE.copy()
    if padded:
        for row, steps in zip(expected, LENGTHS, strict=True):
            row[2 * steps :] = np.nan
    np.testing.assert_array_equal(samples.X, expected)
    names = list("abcdef") if case.kind == "table" else None
    assert (None if samples.feature_names is None else samples.feature_names.tolist()) == names
    # Fitted on it, an estimator takes it again, and stays as it is.
    vars(estimator).update(samples.fitted)
    assert ("feature_names_in_" in samples.fitted) == (names is not None)
    before = dict(vars(estimator))
    again = read(estimator, X, reset=False, **options)
    np.testing.assert_array_equal(again.X, expected)
    assert again.sample_shape == case.sample_shape
    assert again.n_features_in == case.n_features_in
    after = vars(estimator)
    assert after.keys() == before.keys() and all(after[k] is before[k] for k in before)


@pytest.mark.parametrize("name", FLAT)
def test_rows_of_every_kind(name, tmp_path):
    check(FLAT[name], tmp_path)


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences_of_every_kind(name, tmp_path):
    check(SEQUENCES[name], tmp_path, padded="ragged" in name, sequential=True)


@pytest.mark.parametrize("kind", ["float32", "list", "memmap uint8", "DataFrame"])
@pytest.mark.parametrize("given", [(3, 2), [3, 2], np.array([3, 2])])
def test_flat_rows_are_the_sequences_that_sample_shape_says(kind, given, tmp_path):
    case = FLAT[kind]._replace(sample_shape=(3, 2))
    check(case, tmp_path, sequential=True, sample_shape=given)


MATRICES = [scipy.sparse.csr_matrix, scipy.sparse.csc_array, scipy.sparse.coo_array]


@pytest.mark.parametrize("make", MATRICES)
@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("reset", [True, False])
def test_sparse_matrices_are_refused(make, sequential, reset):
    estimator = Plain()
    if not reset:
        vars(estimator).update(read(estimator, TABLE, reset=True, sequential=sequential).fitted)
    before, X = dict(vars(estimator)), make(TABLE)
    assert kind_of(X) == "sparse"
    with pytest.raises(TypeError, match="[Ss]parse"):
        read(estimator, X, reset=reset, sequential=sequential)
    assert vars(estimator) == before


def unsorted():
    """CSR with its entries in falling order, each of them in two halves, and stored zeros."""
    half = scipy.sparse.csr_matrix(TABLE / 2)
    columns = [np.r_[c[::-1], 0, c[::-1]] for c in np.split(half.indices, half.indptr[1:-1])]
    values = [np.r_[v[::-1], 0, v[::-1]] for v in np.split(half.data, half.indptr[1:-1])]
    ends = np.cumsum([0, *map(len, values)])
    return scipy.sparse.csr_matrix((np.concatenate(values), np.concatenate(columns), ends), (N, 6))


def wide_index():
    X = scipy.sparse.csr_array(TABLE)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


SPARSE = {
    **{
        f"{form}_{kind}": (getattr(scipy.sparse, f"{form}_{kind}")(TABLE), np.float32)
        for form in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")
        for kind in ("matrix", "array")
    },
    "float64": (scipy.sparse.csc_array(TABLE.astype(np.float64)), np.float64),
    "uint8": (scipy.sparse.csr_matrix(TABLE.astype(np.uint8)), np.uint8),
    "int64": (scipy.sparse.coo_matrix(TABLE.astype(np.int64)), np.int64),
    "indices of 64 bits": (wide_index(), np.float32),
    "unsorted and twice": (unsorted(), np.float32),
    "frame": (
        pd.DataFrame.sparse.from_spmatrix(scipy.sparse.csr_matrix(TABLE), columns=list("abcdef")),
        np.float32,
    ),
}


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_rows_stay_sparse_and_have_one_form(name):
    X, dtype = SPARSE[name]
    estimator = Taking()
    samples = read(estimator, X, reset=True)
    assert vars(estimator) == {}
    rows = samples.X
    assert isinstance(rows, scipy.sparse.csr_array) and rows.dtype == dtype
    assert rows.indices.dtype == rows.indptr.dtype == np.int32
    expected = scipy.sparse.csr_array(TABLE)
    for part in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(rows, part), getattr(expected, part))
    assert len(samples) == N and samples.sample_shape == (6,) and samples.n_features_in == 6
    assert (samples.feature_names is not None) == (name == "frame")
    vars(estimator).update(samples.fitted)
    assert (read(estimator, X, reset=False).X != expected).nnz == 0


def test_sparse_rows_are_not_copied_and_never_changed():
    X = scipy.sparse.csr_matrix(TABLE)
    rows = read(Taking(), X, reset=True).X
    assert np.shares_memory(rows.data, X.data) and np.shares_memory(rows.indices, X.indices)
    X = unsorted()
    before = X.data.copy(), X.indices.copy(), X.indptr.copy()
    read(Taking(), X, reset=True)
    for part, kept in zip((X.data, X.indices, X.indptr), before, strict=True):
        np.testing.assert_array_equal(part, kept)


REFUSED = {
    "ragged list": ([[1.0, 2.0], [1.0]], "different shapes"),
    "one row": (TABLE[0], "1D array"),
    "no rows": (TABLE[:0], "0 sample"),
    "NaN": (np.where(TABLE == 3, np.nan, TABLE), "NaN"),
    "infinity": (np.where(TABLE == 3, np.inf, TABLE.astype(np.float64)), "infinity"),
    "words": ([["a", "b"]] * N, "strings"),
    "complex": (TABLE * 1j, "[Cc]omplex"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("reset", [True, False])
def test_what_is_refused_leaves_the_estimator_as_it_is(name, reset):
    X, match = REFUSED[name]
    estimator = Plain()
    if not reset:
        vars(estimator).update(read(estimator, TABLE, reset=True).fitted)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=match):
        read(estimator, X, reset=reset)
    assert vars(estimator) == before


@pytest.mark.parametrize("kind", ["float32", "images", "memmap uint8", "DataFrame"])
def test_other_columns_are_refused_after_fit(kind, tmp_path):
    case, estimator = FLAT[kind], Plain()
    X = case.X(tmp_path) if callable(case.X) else case.X
    vars(estimator).update(read(estimator, X, reset=True).fitted)
    with pytest.raises(ValueError, match="5 features"):
        read(estimator, TABLE[:, :5], reset=False)
    assert read(estimator, TABLE[:, :5], reset=True).n_features_in == 5


def test_after_fit_samples_have_the_shape_that_was_fitted():
    estimator = Plain()
    vars(estimator).update(read(estimator, TABLE.reshape(N, 2, 3), reset=True).fitted)
    for other in (TABLE, TABLE.reshape(N, 2, 3), TABLE.reshape(N, 1, 2, 3)):
        assert read(estimator, other, reset=False).sample_shape == (2, 3)


@pytest.mark.parametrize(
    ("fitted", "other"),
    [
        ((2, 3), (3, 2)),
        ((2, 3), (2, 3, 1)),
        ((3, 1, 2), (1, 2, 3)),
        ((1, 2, 3), (3, 2)),
        ((6,), (2, 3)),
        ((6,), (1, 2, 3)),
    ],
)
@pytest.mark.parametrize("kind", [np.array, torch.tensor, list])
def test_images_of_another_shape_are_refused_after_fit(fitted, other, kind):
    estimator = Plain()
    estimator.module_ = torch.nn.Identity()
    vars(estimator).update(read(estimator, TABLE.reshape(N, *fitted), reset=True).fitted)
    with pytest.raises(ValueError, match=r"samples of shape \(.*was fitted on samples of shape"):
        read(estimator, kind(TABLE.reshape(N, *other)), reset=False)


def test_of_flat_rows_the_network_may_know_the_shape():
    estimator = Plain()
    estimator.module_ = torch.nn.Identity()
    estimator.module_.input_shape = (1, 2, 3)
    vars(estimator).update(read(estimator, TABLE, reset=True).fitted)
    assert read(estimator, TABLE.reshape(N, 2, 3), reset=False).X.shape == (N, 6)
    with pytest.raises(ValueError, match="was fitted on"):
        read(estimator, TABLE.reshape(N, 3, 2), reset=False)


@pytest.mark.parametrize("shape", [(6, 5, 3), (32, 32, 1), (8, 9, 4)])
def test_images_that_look_like_channels_last_are_refused(shape):
    X = np.zeros((2, *shape), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"channels last.*transpose\(0, 3, 1, 2\)"):
        read(Plain(), X, reset=True)
    assert read(Plain(), X.transpose(0, 3, 1, 2), reset=True).sample_shape == (
        shape[2],
        *shape[:2],
    )


@pytest.mark.parametrize("shape", [(3, 8, 4), (16, 4, 4), (2, 5, 3), (3, 3, 3), (4, 9, 1)])
def test_other_images_are_read_as_they_are(shape):
    assert read(Plain(), np.zeros((2, *shape)), reset=True).sample_shape == shape


def test_numbers_beyond_float32_are_read():
    X = np.full((N, 6), 1e300)
    assert np.shares_memory(read(Plain(), X, reset=True).X, X)


@pytest.mark.parametrize("features", [1, 2])
def test_one_sequence_without_its_list_is_refused(features):
    estimator = Plain()
    several = [np.zeros((t, features)) for t in (2, 4)]
    vars(estimator).update(read(estimator, several, reset=True, sequential=True).fitted)
    with pytest.raises(ValueError, match=r"one sequence of . features per step\? Give \[X\]"):
        read(estimator, np.zeros((7, features)), reset=False, sequential=True)
    one = read(estimator, [np.zeros((7, features))], reset=False, sequential=True)
    assert one.X.shape == (1, 7 * features)


def test_after_fit_sequences_may_have_any_length():
    estimator = Plain()
    samples = read(estimator, STEPS, reset=True, sequential=True)
    vars(estimator).update(samples.fitted)
    longer = read(estimator, np.tile(STEPS, (1, 2, 1)), reset=False, sequential=True)
    assert longer.X.shape == (N, 12) and longer.sample_shape == (3, 2)
    with pytest.raises(ValueError, match="3 features per step"):
        read(estimator, np.zeros((N, 2, 3)), reset=False, sequential=True)
