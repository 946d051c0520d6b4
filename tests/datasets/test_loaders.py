"""Loaders: the form of what they return, damaged files, missing files, no connection."""

import hashlib
from dataclasses import replace
from urllib.error import URLError

import numpy as np
import pytest
import sklearn.datasets
from sklearn.utils import Bunch

from sklearn_deepcluster import datasets
from sklearn_deepcluster.datasets import _base, _images, _newsgroups, _tables

VARIABLE = "SKLEARN_DEEPCLUSTER_DATA"
DOWNLOADED = {
    "mnist.npz": datasets.fetch_mnist,
    "fashion_mnist.npz": datasets.fetch_fashion_mnist,
    "usps.npz": datasets.fetch_usps,
    "news20_bydate_raw.npz": datasets.fetch_newsgroups,
}
LOCAL_ONLY = {
    "coil20.npz": datasets.fetch_coil20,
    "cmu_pie.npz": datasets.fetch_cmu_pie,
    "pbmc68k_reduced.npz": datasets.fetch_pbmc68k_reduced,
    "news20_wordllama.npz": datasets.fetch_news20_wordllama,
    "cifar10_efficientnet.npz": datasets.fetch_cifar10_efficientnet,
}
FETCHERS = DOWNLOADED | LOCAL_ONLY
# Module and specification of what is read from two arrays, as they are.
PLAIN = {
    "cmu_pie.npz": (_images, "_CMU_PIE"),
    "pbmc68k_reduced.npz": (_tables, "_PBMC"),
    "news20_wordllama.npz": (_tables, "_NEWS_EMBEDDED"),
    "cifar10_efficientnet.npz": (_tables, "_CIFAR_EMBEDDED"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of local data that the environment names."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No local data, and every download fails."""

    def fail(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(_base, "fetch_openml", fail)
    monkeypatch.setattr(_newsgroups, "fetch_20newsgroups", fail)
    return tmp_path


@pytest.fixture
def small(monkeypatch):
    """Fashion-MNIST as if it had 2 x 3 pixels and 5 rows; returns right arrays for a file."""
    spec = replace(_images._FASHION_MNIST, shape=(2, 3), class_counts=((2, 1), (1, 1)))
    monkeypatch.setattr(_images, "_FASHION_MNIST", spec)
    return {
        "X": np.arange(30, dtype=np.uint8).reshape(5, 2, 3),
        "y": np.array([0, 1, 0, 1, 0], dtype=np.uint8),
        "split": np.array([0, 0, 0, 1, 1], dtype=np.uint8),
    }


def few_rows(monkeypatch, name, stored):
    """One of `PLAIN` as if it had two classes and no known checksum; right arrays for a file."""
    module, attribute = PLAIN[name]
    spec = getattr(module, attribute)
    counts = ((2, 1), (1, 1))[: len(spec.class_counts)]
    spec = replace(spec, sha256=None, class_counts=counts, target_names=("a", "b"))
    monkeypatch.setattr(module, attribute, spec)
    y = np.array([0, 1, 0, 1, 0][: sum(spec.n_rows)], dtype=np.uint8)
    X = np.random.default_rng(0).integers(9, size=(len(y), *spec.shape)).astype(stored)
    return {"X": X, "y": y}


def usps_of_openml():
    """Rows of the right number per class and part, in the form of OpenML."""
    parts = [np.repeat(np.arange(10), counts) for counts in _images._USPS.class_counts]
    y = np.concatenate(parts)
    X = np.random.default_rng(0).uniform(-1, 1, size=(len(y), 256))
    return Bunch(data=X, target=(y + 1).astype(str).astype(object))


# digits come with scikit-learn


def test_digits_as_images():
    data = datasets.load_digits()
    table = sklearn.datasets.load_digits()
    assert data.data.dtype == np.float32 and data.target.dtype == np.int64
    assert data.sample_shape == (1, 8, 8)
    np.testing.assert_array_equal(data.data.reshape(1797, 64), table.data)
    np.testing.assert_array_equal(data.target, table.target)
    assert data.sha256 == hashlib.sha256(data.data.tobytes() + data.target.tobytes()).hexdigest()
    assert "1,797" in data.DESCR and data.target_names == list("0123456789")
    X, y = datasets.load_digits(return_X_y=True)
    np.testing.assert_array_equal(X, data.data)
    np.testing.assert_array_equal(y, data.target)


# local files


@pytest.mark.parametrize("name", FETCHERS)
def test_damaged_file_is_named(folder, name):
    (folder / name).write_bytes(b"not an archive at all")
    with pytest.raises(ValueError, match=f"{name} .*Replace or remove it"):
        FETCHERS[name]()


@pytest.mark.parametrize("name", FETCHERS)
def test_truncated_file_is_named(folder, name):
    whole = folder / "whole.npz"
    noise = np.random.default_rng(0).integers(255, size=5000, dtype=np.uint8)
    np.savez_compressed(whole, X=noise, y=noise, split=noise, text=noise, offsets=noise)
    (folder / name).write_bytes(whole.read_bytes()[:-3000])
    with pytest.raises(ValueError, match=name):
        FETCHERS[name]()


def test_wrong_checksum_names_both(folder):
    np.savez(folder / "mnist.npz", X=np.zeros(3), y=np.zeros(3))
    found = hashlib.sha256((folder / "mnist.npz").read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=f"{found}, not {_images._MNIST.sha256}"):
        datasets.fetch_mnist()


def test_file_without_known_checksum_is_read(folder, small):
    np.savez_compressed(folder / "fashion_mnist.npz", **small)
    data = datasets.fetch_fashion_mnist()
    np.testing.assert_array_equal(data.data, small["X"])
    assert data.sample_shape == (1, 2, 3)
    assert data.target.dtype == np.int64
    content = (folder / "fashion_mnist.npz").read_bytes()
    assert data.sha256 == hashlib.sha256(content).hexdigest()
    assert data.source == "fashion_mnist.npz"
    for subset, rows in (("train", slice(0, 3)), ("test", slice(3, 5))):
        X, y = datasets.fetch_fashion_mnist(subset=subset, return_X_y=True)
        np.testing.assert_array_equal(X, small["X"][rows])
        np.testing.assert_array_equal(y, small["y"][rows])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("X", np.zeros((5, 6), dtype=np.uint8), "samples of shape"),
        ("X", np.zeros((5, 2, 3), dtype=np.int16), "type int16"),
        ("y", np.zeros(4, dtype=np.uint8), "another length"),
        ("y", np.array([0, 1, 0, 1, 2], dtype=np.uint8), "classes with these numbers"),
        ("y", np.array([1, 1, 0, 1, 0], dtype=np.uint8), "classes with these numbers"),
        ("split", np.array([0, 1, 0, 1, 0], dtype=np.uint8), "classes with these numbers"),
        ("split", np.array([0, 0, 0, 1, 2], dtype=np.uint8), "classes with these numbers"),
        ("split", np.zeros(3), "another length"),
        ("X", None, "arrays X, y, split"),
        ("y", np.array([0, 1, 0, 1, None], dtype=object), "can't be read"),  # pickled: refused
    ],
)
def test_form_is_checked_where_no_checksum_is_known(folder, small, key, value, message):
    small[key] = value
    if value is None:
        del small[key]
    np.savez(folder / "fashion_mnist.npz", **small)
    with pytest.raises(ValueError, match=f"fashion_mnist.npz.*{message}"):
        datasets.fetch_fashion_mnist()


@pytest.mark.parametrize(
    ("name", "stored", "returned", "sample_shape"),
    [
        ("cmu_pie.npz", np.uint8, np.uint8, (1, 32, 32)),
        ("pbmc68k_reduced.npz", np.float32, np.float32, (765,)),
        ("news20_wordllama.npz", np.float16, np.float32, (256,)),
        ("cifar10_efficientnet.npz", np.float16, np.float32, (1280,)),
    ],
)
def test_two_arrays_are_read(folder, monkeypatch, name, stored, returned, sample_shape):
    arrays = few_rows(monkeypatch, name, stored)
    np.savez(folder / name, **arrays)
    data = FETCHERS[name]()
    np.testing.assert_array_equal(data.data, arrays["X"])
    np.testing.assert_array_equal(data.target, arrays["y"])
    assert data.data.dtype == returned and data.target.dtype == np.int64
    assert data.sample_shape == sample_shape and data.target_names == ["a", "b"]
    assert data.sha256 == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert data.source == name and data.DESCR
    X, y = FETCHERS[name](return_X_y=True)
    np.testing.assert_array_equal(X, data.data)
    np.testing.assert_array_equal(y, data.target)
    np.savez(folder / name, X=arrays["X"][:, 1:], y=arrays["y"])
    with pytest.raises(ValueError, match=f"{name} does not hold .*samples of shape"):
        FETCHERS[name]()
    np.savez(folder / name, X=arrays["X"], y=1 - arrays["y"])
    with pytest.raises(ValueError, match=f"{name} does not hold .*classes with these numbers"):
        FETCHERS[name]()


def test_embedded_posts_have_the_training_part_first(folder, monkeypatch):
    arrays = few_rows(monkeypatch, "news20_wordllama.npz", np.float16)
    np.savez(folder / "news20_wordllama.npz", **arrays)
    for subset, rows in (("train", slice(0, 3)), ("test", slice(3, 5))):
        X, y = datasets.fetch_news20_wordllama(subset=subset, return_X_y=True)
        np.testing.assert_array_equal(X, arrays["X"][rows])
        np.testing.assert_array_equal(y, arrays["y"][rows])
    arrays["y"] = np.array([0, 0, 1, 0, 1])[::-1]  # as many of each class, but not in each part
    np.savez(folder / "news20_wordllama.npz", **arrays)
    with pytest.raises(ValueError, match="classes with these numbers"):
        datasets.fetch_news20_wordllama()


def test_folder_that_is_none_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(NotADirectoryError, match=f"{VARIABLE}.*nowhere"):
        datasets.fetch_mnist()


# downloads


@pytest.mark.parametrize("name", DOWNLOADED)
@pytest.mark.parametrize("with_folder", [False, True], ids=["no folder", "empty folder"])
def test_offline_error_says_how_to_obtain_the_data(offline, monkeypatch, name, with_folder):
    if with_folder:
        monkeypatch.setenv(VARIABLE, str(offline))
    with pytest.raises(ConnectionError, match=f"{VARIABLE} to a folder that holds {name}") as info:
        DOWNLOADED[name](data_home=offline)
    assert isinstance(info.value.__cause__, URLError)
    assert "no route to host" in str(info.value)
    assert DOWNLOADED[name].__name__ in str(info.value)


@pytest.mark.parametrize("name", LOCAL_ONLY)
@pytest.mark.parametrize("with_folder", [False, True], ids=["no folder", "empty folder"])
def test_some_are_local_only(offline, monkeypatch, with_folder, name):
    if with_folder:
        monkeypatch.setenv(VARIABLE, str(offline))
    with pytest.raises(FileNotFoundError, match=f"{VARIABLE} to a folder that holds {name}, with"):
        LOCAL_ONLY[name]()


def test_usps_from_openml(offline, monkeypatch):
    calls = []
    source = usps_of_openml()

    def fetch(**kwargs):
        calls.append(kwargs)
        return source

    monkeypatch.setattr(_base, "fetch_openml", fetch)
    data = datasets.fetch_usps(data_home=offline)
    assert calls[0]["data_id"] == 41082 and calls[0]["data_home"] == offline
    assert data.data.shape == (9298, 16, 16) and data.data.dtype == np.float32
    np.testing.assert_allclose(data.data.reshape(9298, 256), (source.data + 1) / 2, rtol=1e-6)
    np.testing.assert_array_equal(data.target, source.target.astype(int) - 1)
    assert data.source == "OpenML 41082"
    assert data.sha256 == hashlib.sha256(data.data.tobytes() + data.target.tobytes()).hexdigest()
    test = datasets.fetch_usps(subset="test")
    np.testing.assert_array_equal(test.data, data.data[7291:])
    assert test.sha256 == data.sha256


def test_a_download_in_another_order_has_no_subsets(offline, monkeypatch):
    source = usps_of_openml()
    order = np.argsort(source.target, kind="stable")
    source.data, source.target = source.data[order], source.target[order]
    monkeypatch.setattr(_base, "fetch_openml", lambda **kwargs: source)
    assert len(datasets.fetch_usps().data) == 9298
    with pytest.raises(ValueError, match="subset='train' is not available"):
        datasets.fetch_usps(subset="train")


def test_another_version_on_openml_is_refused(offline, monkeypatch):
    source = usps_of_openml()
    source.data, source.target = source.data[:-1], source.target[:-1]
    monkeypatch.setattr(_base, "fetch_openml", lambda **kwargs: source)
    with pytest.raises(ValueError, match="OpenML data set 41082 does not hold USPS"):
        datasets.fetch_usps()


# parameters


@pytest.mark.parametrize("fetch", [*DOWNLOADED.values(), datasets.fetch_news20_wordllama])
def test_unknown_subset_is_refused_before_anything_is_read(offline, fetch):
    with pytest.raises(ValueError, match="subset must be one of"):
        fetch(subset="validation")


@pytest.mark.parametrize("resize", [0, -4, 3, 256, 32.0, "32", True])
def test_coil20_sizes_divide_128(offline, resize):
    with pytest.raises(ValueError, match="resize"):
        datasets.fetch_coil20(resize=resize)


def test_unknown_norm_is_refused(offline):
    with pytest.raises(ValueError, match="norm must be one of"):
        datasets.fetch_newsgroups(norm="l1")


@pytest.mark.parametrize("with_folder", [False, True], ids=["no folder", "empty folder"])
@pytest.mark.parametrize("subset", ["all", "test"])
def test_knet_is_local_only(offline, monkeypatch, with_folder, subset):
    if with_folder:
        monkeypatch.setenv(VARIABLE, str(offline))
    file = "knet_wine.npz" if subset == "all" else "knet_wine_subset.npz"
    with pytest.raises(FileNotFoundError, match=f"{VARIABLE} to a folder that holds {file}"):
        datasets.fetch_knet("wine", subset=subset)


def test_an_unknown_set_or_part_of_knet_is_refused(offline):
    with pytest.raises(ValueError, match="name must be one of moon, .*, got 'sun'"):
        datasets.fetch_knet("sun")
    for name, subset in (("wine", "half"), ("spiral_large", "test")):
        with pytest.raises(ValueError, match="subset must be one of"):
            datasets.fetch_knet(name, subset=subset)


def test_a_changed_file_of_knet_is_refused(folder):
    np.savez(folder / "knet_wine.npz", X=np.zeros((178, 13)), y=np.zeros(178, dtype=int))
    with pytest.raises(ValueError, match=r"knet_wine\.npz is not the .* file that is expected"):
        datasets.fetch_knet("wine")
