"""Where the input is centred and by what it is divided, whatever the unit, offset and type."""

import warnings

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from sklearn_deepcluster._engine import Rows, Standard, _standard, learn_standard


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def table(n=50, d=4, dtype=np.float64):
    return np.random.default_rng(0).uniform(0, 200, size=(n, d)).astype(dtype)


def images(n=30, shape=(3, 4, 5)):
    X = np.random.default_rng(1).normal(size=(n, *shape))
    return (X + 10.0 * np.arange(shape[0])[:, None, None]).reshape(n, -1)


# -- what is learned -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8, np.int64, bool])
@pytest.mark.parametrize("chunk", [7, 10**6])
def test_the_mean_row_and_the_root_mean_square_of_what_is_left(dtype, chunk, monkeypatch):
    monkeypatch.setattr(_standard, "CHUNK_VALUES", chunk)
    X = table(dtype=dtype)
    standard = learn_standard(X, center="mean")
    wide = X.astype(np.float64)
    np.testing.assert_allclose(standard.center, wide.mean(0), rtol=1e-13)
    expected = np.sqrt(np.mean((wide - wide.mean(0)) ** 2)) or 1.0
    assert standard.scale == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, bool])
@pytest.mark.parametrize("center", ["auto", "mean", None])
@pytest.mark.parametrize(("chunk", "sample"), [(40, 20), (10**6, 10**6)])
def test_sparse_data_have_the_standard_of_dense_ones(dtype, center, chunk, sample, monkeypatch):
    """To the last bit, by pieces that are made dense one at a time."""
    monkeypatch.setattr(_standard, "CHUNK_VALUES", chunk)
    monkeypatch.setattr(_standard, "SAMPLE_VALUES", sample)
    X = 1 + table(d=10)
    X[:, :8][X[:, :8] < 150] = 0  # the last two have no background
    X = X.astype(dtype)
    made, toarray = [], csr_array.toarray

    def record(self):
        made.append(self.shape[0])
        return toarray(self)

    monkeypatch.setattr(csr_array, "toarray", record)
    found = learn_standard(csr_array(X), center=center)
    expected = learn_standard(X, center=center)
    assert found.scale == expected.scale
    np.testing.assert_array_equal(found.center, expected.center)
    assert max(made) == (4 if chunk == 40 else 50)
    if center == "auto":
        assert not found.center[:8].any() and (found.center[8:] > 0.5).all()


@pytest.mark.parametrize("chunk", [7, 10**6])
def test_images_have_a_centre_for_each_channel(chunk, monkeypatch):
    monkeypatch.setattr(_standard, "CHUNK_VALUES", chunk)
    X = images()
    standard = learn_standard(X, (3, 4, 5))
    split = X.reshape(30, 3, 20)
    assert standard.center.shape == (3, 1, 1)
    np.testing.assert_allclose(standard.center.ravel(), split.mean(axis=(0, 2)), rtol=1e-12)
    rest = split - split.mean(axis=(0, 2))[:, None]
    assert standard.scale == pytest.approx(np.sqrt(np.mean(rest**2)), rel=1e-12)
    np.testing.assert_allclose(standard.row(60), np.repeat(standard.center.ravel(), 20))


@pytest.mark.parametrize("chunk", [7, 10**6])
def test_sequences_have_a_centre_for_each_feature_of_their_steps(chunk, monkeypatch):
    monkeypatch.setattr(_standard, "CHUNK_VALUES", chunk)
    X = np.random.default_rng(1).normal(size=(30, 6, 2)) + [0.0, 100.0]
    X[::2, 3:] = np.nan
    X[::3, 1:] = np.nan
    standard = learn_standard(X.reshape(30, 12), (-1, 2))
    mean = np.nanmean(X, axis=(0, 1))
    np.testing.assert_allclose(standard.center, mean, rtol=1e-12)
    assert standard.scale == pytest.approx(np.sqrt(np.nanmean((X - mean) ** 2)), rel=1e-12)
    np.testing.assert_array_equal(standard.row(8), np.tile(standard.center, 4))


@pytest.mark.parametrize("offset", [0.0, -3.0, 1e9])
@pytest.mark.parametrize("factor", [1.0, -255.0])
def test_a_background_becomes_zero(offset, factor):
    X = table(100, 6)
    X[np.random.default_rng(2).random(X.shape) < 0.4] = 0.0
    standard = learn_standard(factor * X + offset)
    np.testing.assert_array_equal(standard.center, np.full(6, offset))
    rows = Rows(factor * X + offset, standard=standard).take(torch.arange(100)).numpy()
    assert ((rows == 0) == (X == 0)).all()
    assert learn_standard(X, center="mean").center.min() > 0


def test_a_feature_without_the_background_has_its_mean():
    X = table(100, 4)
    X[:, :3][np.random.default_rng(2).random((100, 3)) < 0.6] = 0.0
    X[:, 3] += 1e4
    standard = learn_standard(X)
    assert not standard.center[:3].any()
    assert standard.center[3] == pytest.approx(X[:, 3].mean())


def test_a_value_that_is_less_than_a_quarter_is_no_background():
    X = table(1000, 4)
    X[np.random.default_rng(2).random(X.shape) < 0.2] = 0.0
    assert learn_standard(X).center.all()


def test_both_are_switched_off():
    X = table()
    plain = learn_standard(X, center=None, scale=None)
    assert not plain.center.any() and plain.scale == 1.0 and plain.row(4) is None
    assert learn_standard(X, center=None, scale=3.0).scale == 3.0
    rms = learn_standard(X, center=None)
    assert rms.scale == pytest.approx(np.sqrt(np.mean(X**2)), rel=1e-12)


@pytest.mark.parametrize("value", [0.0, 3.0, -1e300, 1e-310])
def test_constant_data_have_scale_one(value):
    standard = learn_standard(np.full((20, 3), value))
    assert standard.scale == 1.0
    np.testing.assert_array_equal(standard.center, np.full(3, value))


# -- units and offsets ---------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e-50, 255.0, 1e50, 1e200, 1e300])
def test_any_unit_that_float64_holds_gives_the_same_rows(unit):
    X = table()
    want = Rows(X, standard=learn_standard(X)).take(torch.arange(50))
    got = Rows(X * unit, standard=learn_standard(X * unit)).take(torch.arange(50))
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("offset", [1.0, -1e4, 1e8, 1e12])
def test_any_offset_gives_the_same_rows(offset):
    X = np.random.default_rng(0).integers(-1000, 1000, size=(60, 3)).astype(np.float64)
    want = Rows(X, standard=learn_standard(X)).take(torch.arange(60))
    got = Rows(X + offset, standard=learn_standard(X + offset)).take(torch.arange(60))
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_denormal_float32_has_a_scale():
    X = (table(dtype=np.float32) * np.float32(1e-42)).astype(np.float32)
    rows = Rows(X, standard=learn_standard(X)).take(torch.arange(50))
    assert float(rows.square().mean()) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_types_of_one_value_give_the_same_bits(dtype):
    X = np.random.default_rng(0).integers(0, 200, size=(50, 4))
    standard = learn_standard(X)
    same = learn_standard(X.astype(dtype))
    np.testing.assert_array_equal(same.center, standard.center)
    assert same.scale == standard.scale
    a, b = (Rows(x, standard=standard).take(torch.arange(50)) for x in (X, X.astype(dtype)))
    assert torch.equal(a, b)


@pytest.mark.parametrize("shape", [None, (1, 2, 2), (-1, 2)])
@pytest.mark.parametrize("offset", [5.0, 1e9])
def test_the_unit_is_undone(shape, offset):
    X = table() + offset
    standard = learn_standard(X, shape)
    back = standard.undo(standard.apply(X))
    np.testing.assert_allclose(back, X, atol=1e-3)
    assert back.dtype == (np.float32 if offset == 5.0 else np.float64)
    plain = Standard(scale=2.0).undo(np.ones((2, 4), dtype=np.float32))
    assert plain.dtype == np.float32 and (plain == 2).all()


@pytest.mark.parametrize("unit", [1e-200, 1e-50, 1e50, 1e200])
def test_extreme_units_are_undone(unit):
    X = table() * unit
    standard = learn_standard(X)
    np.testing.assert_allclose(standard.undo(standard.apply(X)), X, rtol=1e-4, atol=1e-4 * unit)


# -- what cannot be done -------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(fault):
    X = table()
    X[3, 1] = fault
    with pytest.raises(ValueError, match="NaN, infinity"):
        learn_standard(X)


def test_values_that_overflow_in_the_learned_scale_are_refused():
    X = table()
    rows = Rows(np.full((2, 4), 1e300), standard=learn_standard(X))
    with pytest.raises(ValueError, match="too large for float32 in the learned scale"):
        rows.take(torch.arange(2))
    with pytest.raises(ValueError, match="too large for float32 in the learned scale"):
        list(Rows(np.full((2, 4), 1e300)).blocks((2,)))


# -- warnings ------------------------------------------------------------------------------------


def test_a_row_that_makes_most_of_the_variance_is_named():
    X = table(200)
    X[17] = 1e6
    with pytest.warns(UserWarning, match=r"2 of 200 rows of X, such as row 17, make 100% of its"):
        learn_standard(X)


@pytest.mark.parametrize("sizes", [(100, 100), (190, 10), (30, 1)])
def test_clusters_are_no_such_rows(sizes):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(50 * i, 1, size=(n, 3)) for i, n in enumerate(sizes)])
    learn_standard(X)


def test_rows_that_become_one_are_counted():
    X = np.arange(200.0)[:, None]
    X[0] = 1e14
    with pytest.warns(UserWarning) as caught:
        learn_standard(X)
    assert any("200 different rows of X are" in str(w.message) for w in caught)
    # Equal rows are no loss.
    learn_standard(np.tile(table(10), (10, 1)))


def test_what_float32_holds_is_not_lost():
    X = (table(200, dtype=np.float32) + np.float32(2**20)).astype(np.float32)
    rows = Rows(X, standard=learn_standard(X)).take(torch.arange(200)).numpy()
    assert len(np.unique(rows, axis=0)) == len(np.unique(X, axis=0))
