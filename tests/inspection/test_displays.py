"""Pictures of embeddings and kernels."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_deepcluster import KNet
from sklearn_deepcluster.inspection import EmbeddingDisplay, KernelMatrixDisplay
from sklearn_deepcluster.kernels import gaussian_kernel

DISPLAYS = [EmbeddingDisplay, KernelMatrixDisplay]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def knet():
    X, y = make_blobs(60, centers=3, n_features=4, random_state=0)
    return KNet(3, max_steps=50, n_refine=1, random_state=0).fit(X), X.astype(np.float32), y


def test_the_points_are_the_embedding_coloured_by_cluster(knet):
    model, X, y = knet
    display = EmbeddingDisplay.from_estimator(model, X)
    np.testing.assert_array_equal(display.labels, model.labels_)
    np.testing.assert_allclose(display.points, PCA(2).fit_transform(model.transform(X)), atol=1e-4)
    assert len(display.collections_) == 3
    drawn = display.collections_[1].get_offsets()
    np.testing.assert_array_equal(drawn, display.points[model.labels_ == 1])
    colors = {tuple(c.get_facecolor()[0]) for c in display.collections_}
    assert len(colors) == 3
    assert display.ax_.get_xlabel() == "principal component 1"
    np.testing.assert_array_equal(EmbeddingDisplay.from_estimator(model, X, y).labels, y)


@pytest.mark.parametrize("width", [1, 2])
def test_one_and_two_components_are_drawn_as_they_are(width):
    Z = np.random.RandomState(0).randn(20, width).astype(np.float32)
    display = EmbeddingDisplay.from_predictions(Z, np.zeros(20))
    np.testing.assert_array_equal(display.points[:, -width:], Z)


def test_the_matrix_is_the_kernel_of_the_embedding_sorted_by_cluster(knet):
    model, X, _ = knet
    display = KernelMatrixDisplay.from_estimator(model, X)
    assert display.sigma == model.sigma_
    order = np.argsort(model.labels_, kind="stable")
    Z = torch.from_numpy(model.transform(X)[order])
    np.testing.assert_array_equal(display.kernel, gaussian_kernel(Z, Z, model.sigma_))
    np.testing.assert_array_equal(display.im_.get_array(), display.kernel)
    assert (np.diff(display.labels) >= 0).all()
    ticks = [t.get_text() for t in display.ax_.get_xticklabels()]
    assert ticks == ["0", "1", "2"]


def test_without_a_bandwidth_it_is_the_median_distance(knet):
    _, X, y = knet
    pipeline = make_pipeline(StandardScaler(), KMeans(3, n_init=1)).fit(X)
    display = KernelMatrixDisplay.from_estimator(pipeline, X, y)
    distances = torch.pdist(torch.from_numpy(pipeline.transform(X)))
    assert display.sigma == pytest.approx(float(np.median(distances)), rel=1e-5)
    assert KernelMatrixDisplay.from_estimator(pipeline, X, sigma=2.0).sigma == 2.0


@pytest.mark.parametrize("display", DISPLAYS)
def test_of_many_rows_some_are_drawn(display):
    Z = np.random.RandomState(0).randn(300, 3)
    y = np.arange(300) % 4
    few, again, other = (
        display.from_predictions(Z, y, max_samples=50, random_state=seed) for seed in (0, 0, 1)
    )
    assert (
        len(few.labels) == 50
        and len(display.from_predictions(Z, y, max_samples=None).labels) == 300
    )
    np.testing.assert_array_equal(few.labels, again.labels)
    drawn = [getattr(d, "points", getattr(d, "kernel", None)) for d in (few, again, other)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize("display", DISPLAYS)
def test_given_axes_and_style_are_used(display):
    _, ax = plt.subplots()
    Z = np.random.RandomState(0).randn(20, 2)
    drawn = display.from_predictions(Z, np.zeros(20), ax=ax, alpha=0.25)
    assert drawn.ax_ is ax and drawn.figure_ is ax.figure
    assert (getattr(drawn, "im_", None) or drawn.collections_[0]).get_alpha() == 0.25
    again = drawn.plot()
    assert again is drawn and again.ax_ is not ax


@pytest.mark.parametrize("display", DISPLAYS)
@pytest.mark.parametrize("n_clusters", [1, 15, 30])
def test_any_number_of_clusters_is_drawn(display, n_clusters):
    Z = np.random.RandomState(0).randn(90, 3)
    drawn = display.from_predictions(Z, np.arange(90) % n_clusters)
    drawn.figure_.canvas.draw()
    assert len(np.unique(drawn.labels)) == n_clusters


@pytest.mark.parametrize("display", DISPLAYS)
@pytest.mark.parametrize(
    ("Z", "labels", "match"),
    [
        (np.ones((5, 2)), np.zeros(4), "inconsistent"),
        (np.ones((5, 2)), np.zeros((5, 1)), "labels must be 1-D"),
        (np.full((5, 2), np.nan), np.zeros(5), "Z contains NaN"),
        (np.ones(5), np.zeros(5), "2D array"),
    ],
)
def test_bad_input_is_refused(display, Z, labels, match):
    with pytest.raises(ValueError, match=match):
        display.from_predictions(Z, labels)


@pytest.mark.parametrize("display", DISPLAYS)
def test_max_samples_must_be_positive(display):
    with pytest.raises(ValueError, match="max_samples"):
        display.from_predictions(np.eye(5), np.zeros(5), max_samples=0)


@pytest.mark.parametrize("sigma", [0, -1.0, "median", np.nan])
def test_a_bad_bandwidth_is_refused(sigma):
    with pytest.raises(ValueError, match="sigma must be a positive number"):
        KernelMatrixDisplay.from_predictions(np.eye(5), np.zeros(5), sigma=sigma)
    with pytest.raises(ValueError, match="sigma must be a positive number, got 0.0"):
        KernelMatrixDisplay.from_predictions(np.ones((5, 2)), np.zeros(5))


@pytest.mark.parametrize("display", DISPLAYS)
def test_without_matplotlib_the_error_says_how_to_get_it(display, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"sklearn-deepcluster\[plot\]"):
        display.from_predictions(np.eye(5), np.zeros(5))
