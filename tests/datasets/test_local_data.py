"""The real data sets, read from local files; skipped where the environment names no folder."""

import numpy as np
import pytest

from sklearn_deepcluster import datasets
from sklearn_deepcluster.datasets import _newsgroups


def test_mnist(data_home):
    data = datasets.fetch_mnist()
    assert data.data.shape == (70_000, 28, 28) and data.data.dtype == np.uint8
    assert data.sample_shape == (1, 28, 28)
    assert (data.data[:60_000] / 255.0).mean() == pytest.approx(0.1307, abs=5e-5)
    assert data.target[:5].tolist() == [5, 0, 4, 1, 9]
    X, y = datasets.fetch_mnist(subset="test", return_X_y=True)
    np.testing.assert_array_equal(X, data.data[60_000:])
    np.testing.assert_array_equal(y, data.target[60_000:])
    assert len(datasets.fetch_mnist(subset="train").target) == 60_000


def test_usps(data_home):
    data = datasets.fetch_usps()
    assert data.data.shape == (9298, 16, 16) and data.data.dtype == np.float32
    assert data.data.min() == 0 and data.data.max() == 1
    train, test = (datasets.fetch_usps(subset=subset) for subset in ("train", "test"))
    assert (len(train.data), len(test.data)) == (7291, 2007)
    np.testing.assert_array_equal(np.concatenate([train.data, test.data]), data.data)
    assert np.bincount(test.target).tolist() == [359, 264, 198, 166, 200, 160, 170, 147, 166, 177]


def test_coil20(data_home):
    full = datasets.fetch_coil20(resize=None)
    assert full.data.shape == (1440, 128, 128) and full.data.dtype == np.uint8
    assert full.sample_shape == (1, 128, 128)
    small = datasets.fetch_coil20()
    assert small.data.shape == (1440, 32, 32) and small.data.dtype == np.float32
    assert small.sample_shape == (1, 32, 32)
    for row, i, j in ((0, 16, 16), (777, 3, 20), (1439, 31, 31)):
        block = full.data[row, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4]
        assert small.data[row, i, j] == block.mean()
    np.testing.assert_array_equal(small.target, np.repeat(np.arange(20), 72))
    np.testing.assert_array_equal(datasets.fetch_coil20(resize=128).data, full.data)


def test_cmu_pie(data_home):
    data = datasets.fetch_cmu_pie()
    assert data.data.shape == (2856, 32, 32) and data.data.dtype == np.uint8
    np.testing.assert_array_equal(data.target, np.repeat(np.arange(68), 42))
    # Images of one person differ less than those of all.
    images = data.data.reshape(68, 42, -1).astype(np.float64)
    assert images.std(axis=1).mean() < images.std(axis=(0, 1)).mean()


def test_pbmc68k_reduced(data_home):
    data = datasets.fetch_pbmc68k_reduced()
    assert data.data.shape == (700, 765) and data.data.dtype == np.float32
    assert abs(data.data.mean(axis=0)).max() < 0.1
    deviations = data.data.std(axis=0)
    np.testing.assert_allclose([deviations.min(), deviations.max()], [0.6, 1.4], atol=0.05)
    sizes = dict(zip(data.target_names, np.bincount(data.target), strict=True))
    assert sizes["Dendritic"] == 240 and sizes["CD34+"] == 13


def test_cifar10_efficientnet(data_home):
    data = datasets.fetch_cifar10_efficientnet()
    assert data.data.shape == (5000, 1280) and data.data.dtype == np.float32
    assert data.data.min() == 0 and data.data.max() < 6
    # Names mean what they should: the class that is most like the cats is that of the dogs.
    X = data.data - data.data.mean(axis=0)
    means = np.array([X[data.target == k].mean(axis=0) for k in range(10)])
    likeness = np.corrcoef(means) - 2 * np.eye(10)
    for name, nearest in (("cat", "dog"), ("truck", "automobile"), ("deer", "horse")):
        row = likeness[data.target_names.index(name)]
        assert data.target_names[int(np.argmax(row))] == nearest


def test_news20_wordllama(data_home):
    data = datasets.fetch_news20_wordllama()
    assert data.data.shape == (18_846, 256) and data.data.dtype == np.float32
    norms = np.linalg.norm(data.data, axis=1)
    assert (norms == 0).sum() == 6
    np.testing.assert_allclose(norms[norms > 0], 1, atol=2e-4)
    train, test = (
        datasets.fetch_news20_wordllama(subset=subset, return_X_y=True)
        for subset in ("train", "test")
    )
    np.testing.assert_array_equal(np.concatenate([train[0], test[0]]), data.data)
    assert np.bincount(test[1]).tolist() == list(_newsgroups._NEWSGROUPS.class_counts[1])


@pytest.fixture(scope="module")
def newsgroups(data_home, quick_newsgroups):
    return datasets.fetch_newsgroups()


def test_newsgroups(newsgroups):
    data = newsgroups
    assert data.data.shape == (18_846, 2000) and data.data.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(data.data, axis=1), 1, rtol=1e-5)
    assert np.bincount(data.target).tolist()[:3] == [799, 973, 985]
    assert len(data.feature_names) == 2000 and "windows" in data.feature_names
    # Words mean what they should: "hockey" is most frequent in its group.
    column = data.data[:, data.feature_names.index("hockey")]
    means = [column[data.target == group].mean() for group in range(20)]
    assert data.target_names[int(np.argmax(means))] == "rec.sport.hockey"
    # The embeddings are of the same posts in the same order.
    np.testing.assert_array_equal(datasets.fetch_news20_wordllama().target, data.target)


def test_newsgroups_as_text(newsgroups):
    text = datasets.fetch_newsgroups(as_text=True)
    posts, y = datasets.fetch_newsgroups(subset="test", as_text=True, return_X_y=True)
    assert len(text.data) == 18_846 and all(isinstance(post, str) for post in text.data)
    assert posts == text.data[11_314:]
    np.testing.assert_array_equal(text.target, newsgroups.target)
    np.testing.assert_array_equal(y, newsgroups.target[11_314:])
    assert text.target_names == newsgroups.target_names
    assert text.sha256 == newsgroups.sha256


def test_newsgroups_norm_and_subset(newsgroups):
    X, y = datasets.fetch_newsgroups(subset="test", norm="sqrt", return_X_y=True)
    np.testing.assert_allclose(np.square(X).mean(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(X, np.sqrt(2000) * newsgroups.data[11_314:], rtol=1e-6)
    assert np.bincount(y).tolist() == list(_newsgroups._NEWSGROUPS.class_counts[1])


@pytest.mark.parametrize(
    ("name", "shape", "n_train", "n_test"),
    [
        ("moon", (1000, 2), 250, 750),
        ("spiral", (3000, 2), 300, 30_000),
        ("cancer", (683, 9), 375, 308),
        ("wine", (178, 13), 142, 36),
        ("face", (624, 27), 187, 437),
        ("rcv", (10_000, 5), 500, 9500),
    ],
)
def test_knet(data_home, name, shape, n_train, n_test):
    data = datasets.fetch_knet(name)
    assert data.data.shape == shape and data.source == f"knet_{name}.npz"
    assert data.target.dtype == np.int64
    assert set(data.target) == set(range(len(data.target_names)))
    train, test = (datasets.fetch_knet(name, subset=s, return_X_y=True) for s in ("train", "test"))
    assert (len(train[0]), len(test[0])) == (n_train, n_test)
    # Both are in units of the standardised whole.
    for X, y in (train, test):
        assert abs(X.mean(axis=0)).max() < 0.3 and abs(X.std(axis=0) - 1).max() < 0.2
        assert len(X) == len(y)
    if name != "spiral":
        together = np.concatenate([train[0], test[0]])
        whole = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
        np.testing.assert_allclose(np.sort(together[:, 0]), np.sort(whole[:, 0]), atol=2e-3)


def test_many_spiral_rows(data_home):
    X, y = datasets.fetch_knet("spiral_large", return_X_y=True)
    assert X.shape == (30_000, 2) and np.bincount(y).tolist() == [10_000] * 3
    with pytest.raises(ValueError, match="subset must be one of"):
        datasets.fetch_knet("spiral_large", subset="train")
