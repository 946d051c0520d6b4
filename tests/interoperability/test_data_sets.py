"""Data sets that are read by index give what their rows give as an array, a batch at a time."""

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from sklearn_deepcluster._engine import CHUNK_ROWS, Rows, Standard
from sklearn_deepcluster._input import kind_of, read
from tests._instances import (
    DENSE_ONLY,
    ESTIMATORS,
    EVERY_CLUSTERER,
    IMAGE,
    N_SAMPLES,
    assert_same_fit,
    blobs,
    least,
)


class Listed(Dataset):
    """Items of a list."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class Several(Listed):
    """One that is read several items at a time; it counts how many at most."""

    most = 0

    def __getitems__(self, index):
        self.most = max(self.most, len(index))
        return [self.items[i] for i in index]


def foreign(X):
    """What Hugging Face's data sets are like: a class of their library, rows of columns."""

    class OfHuggingFace:
        __module__ = "datasets.arrow_dataset"

        def __len__(self):
            return len(X)

        def __getitem__(self, i):
            return {"pixels": X[i].tolist()}

    return OfHuggingFace()


DATA_SETS = {
    "tensors with labels": lambda X: TensorDataset(torch.tensor(X), torch.zeros(len(X))),
    "arrays": lambda X: Listed(list(X)),
    "several at a time": lambda X: Several(list(X)),
    "tensors that learn": lambda X: Listed([torch.nn.Parameter(torch.tensor(x)) for x in X]),
}
ONE_OF_A_KIND = ("Autoencoder", "DEC", "DDC", "GraphAgglomerative", "FuzzyCMeans")


@pytest.mark.parametrize("kind", DATA_SETS)
@pytest.mark.parametrize("name", ONE_OF_A_KIND)
def test_a_data_set_gives_what_its_rows_give(name, kind):
    X = blobs()[0]
    fitted, other = least(name).fit(X), least(name).fit(DATA_SETS[kind](X))
    if name in ESTIMATORS:
        assert_same_fit(fitted, other)
    if name in EVERY_CLUSTERER:
        np.testing.assert_array_equal(other.labels_, fitted.labels_)
        np.testing.assert_array_equal(other.predict(DATA_SETS[kind](X[:7])), fitted.labels_[:7])


@pytest.mark.parametrize("name", ["ConvAutoencoder", "DCEC"])
def test_items_can_be_images(name):
    images = blobs()[0].reshape(-1, *IMAGE)
    fitted, other = least(name).fit(images), least(name).fit(Listed(list(images)))
    assert other.sample_shape_ == IMAGE
    assert_same_fit(fitted, other)


@pytest.mark.parametrize("name", DENSE_ONLY)
def test_those_that_take_no_sparse_data_take_data_sets(name):
    X = blobs()[0]
    shape = {} if name in ("RDDC", "RDTKC") else {"shape": IMAGE}
    rows = X.reshape(-1, *shape.get("shape", X.shape[1:]))
    model = least(name).fit(Listed(list(rows)))
    assert len(model.transform(Listed(list(rows[:5])))) == 5


def test_sequences_of_a_data_set_can_differ_in_length():
    random = np.random.default_rng(0)
    sequences = [random.normal(size=(3 + i % 4, 2)).astype(np.float32) for i in range(N_SAMPLES)]
    fitted, other = least("RDDC").fit(sequences), least("RDDC").fit(Listed(sequences))
    assert_same_fit(fitted, other)


def test_rows_of_columns_are_read_as_numbers():
    X = blobs()[0].astype(np.float64) * np.pi
    data = foreign(X)
    assert kind_of(data) == "indexed"
    samples = read(least("DEC"), data, reset=True)
    np.testing.assert_array_equal(np.asarray(samples.X), X)  # lists of Python's numbers


@pytest.mark.parametrize(
    ("first", "dtype"),
    [("uint8", "float32"), ("int64", "float64"), ("float32", "float32"), ("float64", "float64")],
)
def test_numbers_keep_what_they_hold(first, dtype):
    items = [np.arange(3).astype(first), np.array([0.5, 1.5, 2.5]).astype(dtype)]
    assert read(least("DEC"), Listed(items), reset=True).X.dtype == dtype
    np.testing.assert_array_equal(read(least("DEC"), Listed(items), reset=True).X[:], items)


@pytest.mark.parametrize("standard", [Standard(), Standard(np.ones(16), 2.0)])
def test_it_is_read_once_where_it_is_small_and_else_in_batches(standard, monkeypatch):
    X = np.zeros((CHUNK_ROWS + 3, 16), dtype=np.float32)
    data = Several(list(X))
    samples = read(least("DEC"), data, reset=True)
    assert data.most == CHUNK_ROWS
    rows, data.most = Rows(samples.X, standard=standard), 0
    rows.take(torch.tensor([5, 1]))
    assert data.most == CHUNK_ROWS  # kept, as it takes little
    data.items = None
    rows.take(torch.tensor([5, 1]))

    monkeypatch.setattr("sklearn_deepcluster._engine._rows.WINDOW_BYTES", 0)
    data = Several(list(X))
    rows = Rows(read(least("DEC"), data, reset=True).X, standard=standard)
    data.most = 0
    rows.take(torch.tensor([5, 1]))
    assert data.most == 2


def test_a_cached_representation_is_that_of_the_rows(tmp_path, monkeypatch):
    X = blobs()[0]
    data = Listed(list(X))
    model = least("DEC", memory=str(tmp_path), random_state=0)
    first = clone(model).fit(data)
    trained = []
    monkeypatch.setattr(
        type(least("Autoencoder")), "_fit_module", lambda *args: trained.append(args)
    )
    assert_same_fit(clone(model).fit(Listed(list(X.copy()))), first)  # found
    assert not trained
    data.items = list(2 * X)
    with pytest.raises((TypeError, AttributeError)):  # what stands in for the training trains none
        clone(model).fit(data)
    assert trained


def test_an_estimator_is_pickled_without_the_data():
    model = least("DEC").fit(Listed(list(blobs()[0])))
    joblib.hash(model)
    assert not any(isinstance(value, Dataset) for value in vars(model).values())


class Endless(IterableDataset):
    def __iter__(self):
        return iter([])


ROWS = [np.ones(16, dtype=np.float32)] * N_SAMPLES
BAD = {
    "no length": (Endless(), TypeError, "without a length"),
    "empty": (Listed([]), ValueError, "0 samples"),
    "two columns": (Listed([{"a": ROWS[0], "b": 1}]), ValueError, "columns a, b; one is needed"),
    "text": (Listed(["one", "two"]), ValueError, "Item 0 of X is 'one'"),
    "numbers": (Listed([1.0, 2.0]), ValueError, "Item 0 of X is 1.0, which is no row"),
    "a shorter one": (Listed([*ROWS, ROWS[0][:3]]), ValueError, "Item 300 of X has 3 values"),
    "NaN": (Listed([*ROWS, np.full(16, np.nan)]), ValueError, "NaN"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("name", ["DEC", "GraphAgglomerative"])
def test_what_is_no_set_of_rows_is_refused(name, case):
    data, error, match = BAD[case]
    model = least(name)
    with pytest.raises(error, match=match):
        model.fit(data)
    assert not hasattr(model, "labels_")


def test_other_widths_than_that_of_the_fit_are_refused():
    model = least("DEC").fit(Listed(list(blobs()[0])))
    with pytest.raises(ValueError, match="3 features"):
        model.predict(Listed([np.ones(3)]))
