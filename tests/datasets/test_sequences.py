"""Loaders of sequences: missing and damaged files, the form of the result, the real data."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from sklearn_deepcluster import datasets
from sklearn_deepcluster.datasets import _sequences

VARIABLE = "SKLEARN_DEEPCLUSTER_DATA"
FETCHERS = {
    "character_trajectories.npz": datasets.fetch_character_trajectories,
    "spoken_arabic_digits.npz": datasets.fetch_spoken_arabic_digits,
    "japanese_vowels.npz": datasets.fetch_japanese_vowels,
    "osu_leaf.npz": datasets.fetch_osu_leaf,
}
LENGTHS = [2, 1, 3, 1, 4, 2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of local data that the environment names."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def small(monkeypatch):
    """Character Trajectories as if it had 6 sequences of 3 letters; returns right arrays."""
    spec = replace(
        _sequences._CHARACTERS,
        sha256=None,
        class_counts=((1, 1, 1), (1, 1, 1)),
        target_names=("a", "b", "c"),
    )
    monkeypatch.setattr(_sequences, "_CHARACTERS", spec)
    return {
        "X_flat": 1 + np.arange(39, dtype=np.float32).reshape(13, 3),
        "lengths": np.array(LENGTHS, dtype=np.int32),
        "y": np.array([0, 1, 2, 0, 1, 2], dtype=np.uint8),
        "split": np.array([0, 0, 0, 1, 1, 1], dtype=np.uint8),
        "pad_before": np.array([0, 1, 0, 2, 0, 0], dtype=np.int16),
        "pad_after": np.array([1, 0, 0, 3, 2, 0], dtype=np.int16),
    }


def fetch_small(folder, arrays, **options):
    np.savez(folder / "character_trajectories.npz", **arrays)
    return datasets.fetch_character_trajectories(**options)


# local files


@pytest.mark.parametrize("name", FETCHERS)
@pytest.mark.parametrize("with_folder", [False, True], ids=["no folder", "empty folder"])
def test_sequences_are_local_only(tmp_path, monkeypatch, with_folder, name):
    monkeypatch.delenv(VARIABLE, raising=False)
    if with_folder:
        monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"{VARIABLE} to a folder that holds {name}, with"):
        FETCHERS[name]()


@pytest.mark.parametrize("name", FETCHERS)
def test_damaged_file_is_named(folder, name):
    (folder / name).write_bytes(b"not an archive at all")
    with pytest.raises(ValueError, match=f"{name} is not the .*Replace or remove it"):
        FETCHERS[name]()


@pytest.mark.parametrize("name", FETCHERS)
def test_folder_that_is_none_is_named(tmp_path, monkeypatch, name):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(NotADirectoryError, match=f"{VARIABLE}.*nowhere"):
        FETCHERS[name]()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("lengths", np.array([2, 1, 3, 1, 6]), "lengths is not an array of 6 ints"),
        ("lengths", np.array([2, 1, 3, 0, 4, 3]), "ints of at least 1"),
        ("lengths", np.array(LENGTHS, dtype=float), "lengths is not an array of 6 ints"),
        ("lengths", np.array([2, 1, 3, 1, 4, 3]), "the lengths add up to 14"),
        ("pad_before", np.zeros(5, dtype=int), "pad_before is not an array of 6 ints"),
        ("pad_after", np.full(6, -1), "ints of at least 0"),
        ("X_flat", np.zeros((13, 4), dtype=np.float32), "samples of shape"),
        ("X_flat", np.zeros((13, 3)), "type float64"),
        ("X_flat", np.full((13, 3), np.nan, dtype=np.float32), "not finite"),
        ("X_flat", np.float32(1), "X_flat has shape"),
        ("y", np.array([0, 1, 0, 1, 0, 1], dtype=np.uint8), "classes with these numbers"),
        ("split", np.zeros(3), "another length"),
        ("pad_after", None, "can't be read as an npz file"),
    ],
)
def test_form_is_checked(folder, small, key, value, message):
    small[key] = value
    if value is None:
        del small[key]
    with pytest.raises(ValueError, match=f"character_trajectories.npz.*{message}"):
        fetch_small(folder, small)


# what is returned


def test_a_list_of_sequences(folder, small):
    data = fetch_small(folder, small)
    assert isinstance(data.data, list) and [len(x) for x in data.data] == LENGTHS
    assert all(x.dtype == np.float32 and x.shape[1:] == (3,) for x in data.data)
    np.testing.assert_array_equal(np.concatenate(data.data), small["X_flat"])
    np.testing.assert_array_equal(data.target, small["y"])
    assert data.target.dtype == np.int64 and data.lengths.dtype == np.int64
    assert data.lengths.tolist() == LENGTHS and data.sample_shape == (None, 3)
    assert data.target_names == ["a", "b", "c"]
    content = (folder / "character_trajectories.npz").read_bytes()
    assert data.sha256 == hashlib.sha256(content).hexdigest()
    assert data.source == "character_trajectories.npz" and "2,858" in data.DESCR
    X, y = datasets.fetch_character_trajectories(return_X_y=True)
    np.testing.assert_array_equal(np.concatenate(X), small["X_flat"])
    np.testing.assert_array_equal(y, data.target)


def test_an_array_has_nan_after_the_end(folder, small):
    data = fetch_small(folder, small, as_array=True)
    assert data.data.shape == (6, 4, 3) and data.data.dtype == np.float32
    assert data.sample_shape == (4, 3)
    ended = np.arange(4) >= np.array(LENGTHS)[:, None]
    np.testing.assert_array_equal(np.isnan(data.data), np.repeat(ended[..., None], 3, axis=2))
    np.testing.assert_array_equal(data.data[~ended], small["X_flat"])


def test_arrays_of_both_parts_fit(folder, small):
    whole = fetch_small(folder, small, as_array=True)
    parts = [
        datasets.fetch_character_trajectories(subset=subset, as_array=True)
        for subset in ("train", "test")
    ]
    np.testing.assert_array_equal(np.concatenate([part.data for part in parts]), whole.data)
    assert [part.lengths.tolist() for part in parts] == [LENGTHS[:3], LENGTHS[3:]]


def test_zero_steps_at_both_ends(folder, small):
    data = fetch_small(folder, small, zero_padding=True)
    pads = zip(small["pad_before"], small["pad_after"], strict=True)
    cut = datasets.fetch_character_trajectories().data
    for longer, sequence, (before, after) in zip(data.data, cut, pads, strict=True):
        assert len(longer) == before + len(sequence) + after and longer.dtype == np.float32
        np.testing.assert_array_equal(longer[before : len(longer) - after], sequence)
        assert not longer[:before].any() and not longer[len(longer) - after :].any()
    assert data.lengths.tolist() == [3, 2, 3, 6, 6, 2]
    X, _ = fetch_small(folder, small, zero_padding=True, as_array=True, return_X_y=True)
    assert X.shape == (6, 6, 3)


@pytest.mark.parametrize("letters", [1, 2, np.int64(2), 3])
def test_first_letters(folder, small, letters):
    data = fetch_small(folder, small, letters=letters)
    kept = np.flatnonzero(small["y"] < letters)
    assert data.target.tolist() == small["y"][kept].tolist()
    assert data.lengths.tolist() == [LENGTHS[i] for i in kept]
    assert data.target_names == ["a", "b", "c"][:letters]
    y = datasets.fetch_character_trajectories(letters=letters, subset="test").target
    assert y.tolist() == list(range(letters))


def test_ragged_vowels(folder, monkeypatch):
    spec = replace(
        _sequences._VOWELS,
        sha256=None,
        class_counts=((1, 1, 1), (1, 1, 1)),
        target_names=("1", "2", "3"),
    )
    monkeypatch.setattr(_sequences, "_VOWELS", spec)
    X = np.arange(156, dtype=np.float32).reshape(13, 12)
    y = np.array([0, 1, 2, 0, 1, 2], dtype=np.uint8)
    split = np.array([0, 0, 0, 1, 1, 1], dtype=np.uint8)
    lengths = np.array(LENGTHS, dtype=np.int32)
    np.savez(folder / "japanese_vowels.npz", X_flat=X, lengths=lengths, y=y, split=split)
    data = datasets.fetch_japanese_vowels()
    assert data.lengths.tolist() == LENGTHS and data.sample_shape == (None, 12)
    np.testing.assert_array_equal(np.concatenate(data.data), X)
    test, y_test = datasets.fetch_japanese_vowels(subset="test", as_array=True, return_X_y=True)
    assert test.shape == (3, 4, 12) and y_test.tolist() == [0, 1, 2]


def test_leaves_are_sequences_of_one_feature(folder, monkeypatch):
    spec = replace(_sequences._LEAF, sha256=None, class_counts=((2, 1), (1, 1)), shape=(4,))
    monkeypatch.setattr(_sequences, "_LEAF", spec)
    X = np.arange(20, dtype=np.float32).reshape(5, 4)
    np.savez(folder / "osu_leaf.npz", X=X, y=np.array([0, 1, 0, 1, 0], dtype=np.uint8))
    data = datasets.fetch_osu_leaf()
    np.testing.assert_array_equal(data.data, X[:, :, np.newaxis])
    assert data.target.tolist() == [0, 1, 0, 1, 0] and data.target.dtype == np.int64
    assert data.sample_shape == (4, 1) and data.lengths.tolist() == [4] * 5
    for subset, rows in (("train", slice(0, 3)), ("test", slice(3, 5))):
        part, y = datasets.fetch_osu_leaf(subset=subset, return_X_y=True)
        np.testing.assert_array_equal(part, data.data[rows])
        np.testing.assert_array_equal(y, data.target[rows])
    np.savez(folder / "osu_leaf.npz", X=X, y=np.array([0, 0, 0, 1, 1], dtype=np.uint8))
    with pytest.raises(ValueError, match="osu_leaf.npz does not hold OSU Leaf .*numbers of rows"):
        datasets.fetch_osu_leaf()


# parameters


@pytest.mark.parametrize("fetch", FETCHERS.values(), ids=FETCHERS)
def test_unknown_subset_is_refused_before_anything_is_read(folder, fetch):
    with pytest.raises(ValueError, match="subset must be one of"):
        fetch(subset="validation")


@pytest.mark.parametrize("letters", [0, -1, 21, 10.0, "a", True])
def test_letters_out_of_range_are_refused(folder, letters):
    with pytest.raises(ValueError, match="letters must be None or an int from 1 to 20, got"):
        datasets.fetch_character_trajectories(letters=letters)


# the real data, skipped where the environment names no folder


@pytest.mark.parametrize(
    ("letters", "zero_padding", "n", "shortest", "longest"),
    [
        (None, False, 2858, 60, 182),
        (None, True, 2858, 109, 205),
        (10, False, 1491, 60, 175),
        (10, True, 1491, 109, 198),  # as stated in the tensor kernel thesis
    ],
)
def test_character_trajectories(data_home, letters, zero_padding, n, shortest, longest):
    data = datasets.fetch_character_trajectories(letters=letters, zero_padding=zero_padding)
    assert len(data.data) == len(data.target) == n
    assert (data.lengths.min(), data.lengths.max()) == (shortest, longest)
    assert data.lengths.tolist() == [len(x) for x in data.data]
    assert all(x.shape[1] == 3 and x.dtype == np.float32 for x in data.data)
    assert set(data.target) == set(range(len(data.target_names)))
    names = np.load(data_home / "character_trajectories.npz")["classes"]
    assert data.target_names == names[:letters].tolist()
    # Zero steps are at the ends only, and only where they are asked for.
    assert all(
        not x[[0, -1]].any() if zero_padding else x[[0, -1]].any(axis=1).all() for x in data.data
    )


def test_zero_steps_give_the_letters_away(data_home):
    data = datasets.fetch_character_trajectories(zero_padding=True)
    lengths = [set(data.lengths[data.target == letter]) for letter in range(20)]
    w = data.target_names.index("w")
    assert all(len(found) == 1 for letter, found in enumerate(lengths) if letter != w)
    assert lengths[w] == {204, 205}
    distinct = [max(found) for found in lengths]
    assert len(set(distinct)) == 16 and len(set(distinct[:10])) == 8


def test_parts_of_character_trajectories(data_home):
    train, test = (
        datasets.fetch_character_trajectories(subset=subset, as_array=True)
        for subset in ("train", "test")
    )
    assert train.data.shape == (300, 182, 3) and test.data.shape == (2558, 182, 3)
    assert np.bincount(train.target).tolist() == [15] * 20
    steps = np.concatenate([train.data, test.data])
    np.testing.assert_allclose(np.nanstd(steps, axis=(0, 1)), 1, atol=5e-3)


def test_spoken_arabic_digits(data_home):
    data = datasets.fetch_spoken_arabic_digits()
    assert len(data.data) == 8800 and data.sample_shape == (None, 13)
    assert all(x.shape[1] == 13 and x.dtype == np.float32 for x in data.data)
    assert (data.lengths.min(), data.lengths.max(), data.lengths.sum()) == (4, 93, 350_319)
    assert np.bincount(data.target).tolist() == [880] * 10
    steps = np.concatenate(data.data).astype(np.float64)
    means, deviations = steps.mean(axis=0), steps.std(axis=0)
    np.testing.assert_allclose([means.min(), means.max()], [-3.1, 2.0], atol=0.05)
    np.testing.assert_allclose([deviations.min(), deviations.max()], [0.5, 2.8], atol=0.05)


def test_parts_of_spoken_arabic_digits(data_home):
    whole = datasets.fetch_spoken_arabic_digits(as_array=True)
    assert whole.data.shape == (8800, 93, 13) and whole.data.dtype == np.float32
    assert whole.sample_shape == (93, 13)
    np.testing.assert_array_equal((~np.isnan(whole.data[..., 0])).sum(axis=1), whole.lengths)
    for subset, rows in (("train", slice(0, 6600)), ("test", slice(6600, 8800))):
        X, y = datasets.fetch_spoken_arabic_digits(subset=subset, as_array=True, return_X_y=True)
        np.testing.assert_array_equal(X, whole.data[rows])
        np.testing.assert_array_equal(y, whole.target[rows])


def test_japanese_vowels(data_home):
    data = datasets.fetch_japanese_vowels()
    assert len(data.data) == 640 and data.sample_shape == (None, 12)
    assert (data.lengths.min(), data.lengths.max(), data.lengths.sum()) == (7, 29, 9961)
    steps = np.concatenate(data.data).astype(np.float64)
    means, deviations = steps.mean(axis=0), steps.std(axis=0)
    np.testing.assert_allclose([means.min(), means.max()], [-0.5, 0.8], atol=0.05)
    np.testing.assert_allclose([deviations.min(), deviations.max()], [0.1, 0.5], atol=0.05)
    train, y = datasets.fetch_japanese_vowels(subset="train", as_array=True, return_X_y=True)
    assert train.shape == (270, 29, 12) and np.bincount(y).tolist() == [30] * 9


def test_osu_leaf(data_home):
    data = datasets.fetch_osu_leaf()
    assert data.data.shape == (442, 427, 1) and data.data.dtype == np.float32
    np.testing.assert_allclose(data.data.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(data.data.std(axis=1), 1, atol=2e-3)
    train, test = (datasets.fetch_osu_leaf(subset=subset) for subset in ("train", "test"))
    assert (len(train.data), len(test.data)) == (200, 242)
