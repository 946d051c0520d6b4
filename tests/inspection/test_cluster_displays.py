"""Sizes, silhouettes, classes, agreement, neighbours and prototypes of clusters, as drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.metrics import adjusted_rand_score, silhouette_samples
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_deepcluster import DEC, IDEC, GraphAgglomerative
from sklearn_deepcluster.inspection import (
    ClusterConfusionDisplay,
    ClusterSizesDisplay,
    EmbeddingDisplay,
    NeighborGraphDisplay,
    PrototypesDisplay,
    RunAgreementDisplay,
    SilhouetteDisplay,
)
from sklearn_deepcluster.inspection._common import PALETTE, cluster_styles

OF_ROWS = [EmbeddingDisplay, NeighborGraphDisplay, SilhouetteDisplay]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def blobs():
    return make_blobs([30, 20, 10], n_features=4, random_state=0)


@pytest.fixture(scope="module")
def kmeans(blobs):
    return KMeans(3, n_init=1, random_state=0).fit(blobs[0])


@pytest.fixture(scope="module")
def dec(blobs):
    model = DEC(3, max_epochs=2, min_steps=10, random_state=0)
    return model.set_params(autoencoder__min_steps=20).fit(blobs[0].astype(np.float32))


@pytest.fixture(scope="module")
def images():
    return load_digits(n_class=3).images[:90]


def texts(ax, axis="x"):
    return [t.get_text() for t in getattr(ax, f"get_{axis}ticklabels")()]


# -- colours -------------------------------------------------------------------------------------


def test_every_one_of_64_clusters_has_a_look_of_its_own_and_40_have_names():
    assert len(set(cluster_styles(64))) == 64
    X, y = make_blobs(400, centers=40, random_state=0)
    display = EmbeddingDisplay.from_predictions(X, y)
    looks = {
        (to_hex(c.get_facecolor()[0]), c.get_paths()[0].vertices.tobytes())
        for c in display.collections_
    }
    assert len(looks) == 40
    assert [t.get_text() for t in display.texts_] == [str(i) for i in range(40)]
    places = np.array([t.get_position() for t in display.texts_])
    np.testing.assert_allclose(places[7], np.median(X[y == 7], axis=0), rtol=1e-5)


def test_colours_differ_in_lightness_or_hue_for_every_kind_of_vision():
    """In the model of Machado, Oliveira and Fernandes, 2009, with a cone of each kind missing."""
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in PALETTE])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    protan = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]  # fmt: skip  # noqa: E501
    deutan = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]  # fmt: skip  # noqa: E501
    tritan = [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]  # fmt: skip  # noqa: E501
    for vision in (np.eye(3), protan, deutan, tritan):
        seen = np.clip(linear @ np.transpose(vision), 0, 1) ** (1 / 2.4)
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=2)
        assert apart[~np.eye(len(PALETTE), dtype=bool)].min() > 0.1


@pytest.mark.parametrize("n_clusters", [101, 300])
def test_hundreds_of_clusters_have_no_names_in_the_picture(n_clusters):
    X, y = make_blobs(600, centers=n_clusters, random_state=0)
    display = EmbeddingDisplay.from_predictions(X, y)
    assert len(display.collections_) == n_clusters and display.texts_ == []


# -- sizes ---------------------------------------------------------------------------------------


def test_the_bars_are_the_sizes_and_empty_clusters_have_one(blobs, kmeans):
    display = ClusterSizesDisplay.from_estimator(kmeans, blobs[0])
    np.testing.assert_array_equal([b.get_height() for b in display.bars_], display.counts)
    np.testing.assert_array_equal(display.counts, np.bincount(kmeans.labels_))
    assert texts(display.ax_) == ["0", "1", "2"]
    assert display.ax_.get_xlabel() == "cluster" and display.ax_.get_ylabel() == "samples"
    one = kmeans.predict(blobs[0])[0]
    few = ClusterSizesDisplay.from_estimator(kmeans, blobs[0][:1])
    np.testing.assert_array_equal(few.counts, np.arange(3) == one)
    of_pipeline = make_pipeline(StandardScaler(), KMeans(3, n_init=1)).fit(blobs[0])
    assert len(ClusterSizesDisplay.from_estimator(of_pipeline, blobs[0][:1]).counts) == 3
    graph = GraphAgglomerative(3).fit(blobs[0])
    assert len(ClusterSizesDisplay.from_estimator(graph, blobs[0][:1]).counts) == 3


def test_of_hundreds_of_clusters_some_are_named():
    display = ClusterSizesDisplay.from_predictions(np.arange(300))
    assert len(display.bars_) == 300 and 30 <= len(texts(display.ax_)) <= 40
    assert texts(display.ax_)[:2] == ["0", "8"]


def test_sizes_of_names():
    display = ClusterSizesDisplay.from_predictions(list("bba"), clusters=list("abc"))
    assert display.counts.tolist() == [1, 2, 0] and texts(display.ax_) == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r"clusters lacks labels that there are: \['b'\]"):
        ClusterSizesDisplay.from_predictions(list("bba"), clusters=["a"])
    with pytest.raises(ValueError, match="labels hold None or NaN"):
        ClusterSizesDisplay.from_predictions([0.0, np.nan])


# -- silhouettes ---------------------------------------------------------------------------------


def test_the_bands_are_the_sorted_silhouettes(blobs, dec):
    X = blobs[0].astype(np.float32)
    display = SilhouetteDisplay.from_estimator(dec, X)
    want = silhouette_samples(dec.transform(X), dec.labels_)
    np.testing.assert_allclose(display.silhouettes, want, atol=1e-4)
    assert display.mean_.get_xdata()[0] == pytest.approx(want.mean(), abs=1e-4)
    for label, band in zip(np.unique(dec.labels_), display.bands_, strict=True):
        drawn = band.get_paths()[0].vertices[:, 0]
        assert drawn.max() == pytest.approx(max(want[dec.labels_ == label].max(), 0), abs=1e-4)
        assert drawn.min() == pytest.approx(min(want[dec.labels_ == label].min(), 0), abs=1e-4)
    assert texts(display.ax_, "y") == [str(label) for label in np.unique(dec.labels_)]


@pytest.mark.parametrize(("labels", "found"), [(np.zeros(6), 1), (np.arange(6), 6)])
def test_one_cluster_has_no_silhouettes(labels, found):
    match = f"2 clusters at least, and fewer than samples; {found} found in 6 samples"
    with pytest.raises(ValueError, match=match):
        SilhouetteDisplay.from_predictions(np.random.RandomState(0).randn(6, 2), labels)


# -- classes and runs ----------------------------------------------------------------------------


def test_clusters_are_in_the_order_of_the_classes_that_they_match():
    y = np.repeat(["cat", "dog", "fish"], [5, 4, 3])
    labels = np.array([7, 7, 7, 7, 9, 2, 2, 2, 2, 5, 5, 9])
    display = ClusterConfusionDisplay.from_predictions(y, labels)
    assert display.classes.tolist() == ["cat", "dog", "fish"]
    assert display.clusters.tolist() == [7, 2, 5, 9]
    want = [[4, 0, 0, 1], [0, 4, 0, 0], [0, 0, 2, 1]]
    assert display.counts.tolist() == want
    np.testing.assert_array_equal(display.im_.get_array(), want)
    assert [t.get_text() for t in display.texts_] == [str(n) for row in want for n in row]
    assert texts(display.ax_) == ["7", "2", "5", "9"] and texts(display.ax_, "y")[1] == "dog"
    shares = ClusterConfusionDisplay.from_predictions(y, labels, normalize=True)
    np.testing.assert_allclose(shares.counts.sum(axis=1), 1)
    assert shares.counts[0, 0] == 0.8 and shares.texts_[0].get_text() == "0.80"


def test_more_classes_than_clusters_and_many_of_both(blobs, kmeans):
    display = ClusterConfusionDisplay.from_predictions([0, 1, 2, 2], [1, 1, 0, 0])
    assert display.counts.shape == (3, 2) and display.counts.sum() == 4
    many = ClusterConfusionDisplay.from_predictions(np.arange(300), np.arange(300)[::-1])
    assert many.texts_ == [] and np.trace(many.counts) == 300
    X, y = blobs
    display = ClusterConfusionDisplay.from_estimator(kmeans, X, y)
    assert display.counts.sum() == len(X)
    with pytest.raises(ValueError, match="inconsistent"):
        ClusterConfusionDisplay.from_estimator(kmeans, X, y[1:])
    with pytest.raises(ValueError, match="NaN"):
        ClusterConfusionDisplay.from_predictions([1.0, np.nan], [0, 1])


def test_runs_are_compared_two_by_two(blobs):
    X = blobs[0]
    runs = {f"seed {s}": KMeans(4, n_init=1, max_iter=1, random_state=s).fit(X) for s in range(3)}
    display = RunAgreementDisplay.from_estimators(runs, X)
    labels = [run.predict(X) for run in runs.values()]
    for i in range(3):
        for j in range(3):
            want = adjusted_rand_score(labels[i], labels[j])
            assert display.agreement[i, j] == pytest.approx(want)
    np.testing.assert_array_equal(display.im_.get_array(), display.agreement)
    assert texts(display.ax_) == list(runs)
    assert len(display.texts_) == 9
    assert texts(RunAgreementDisplay.from_predictions(labels).ax_) == ["0", "1", "2"]
    with pytest.raises(ValueError, match="2 runs at least, got 1"):
        RunAgreementDisplay.from_predictions([labels[0]])
    with pytest.raises(ValueError, match="inconsistent"):
        RunAgreementDisplay.from_predictions([labels[0], labels[1][1:]])


# -- neighbours ----------------------------------------------------------------------------------


def test_the_edges_join_nearest_neighbours_and_those_between_clusters_are_apart(blobs, dec):
    X = blobs[0].astype(np.float32)
    display = NeighborGraphDisplay.from_estimator(dec, X, n_neighbors=3)
    Z = dec.transform(X)
    found = NearestNeighbors(n_neighbors=3).fit(Z).kneighbors(return_distance=False)
    want = {tuple(sorted((i, int(j)))) for i, row in enumerate(found) for j in row}
    assert {tuple(edge) for edge in display.edges.tolist()} == want
    between = sum(dec.labels_[i] != dec.labels_[j] for i, j in want)
    assert len(display.between_.get_segments()) == between
    assert len(display.within_.get_segments()) == len(want) - between
    cut = dec.labels_[display.edges[:, 0]] != dec.labels_[display.edges[:, 1]]
    np.testing.assert_array_equal(
        np.reshape(display.within_.get_segments(), (-1, 2, 2)), display.points[display.edges[~cut]]
    )
    assert len(display.collections_) == len(np.unique(dec.labels_))


@pytest.mark.parametrize("n_neighbors", [0, 20, 1.5, True])
def test_neighbours_are_fewer_than_samples(n_neighbors):
    X = np.random.RandomState(0).randn(50, 2)
    with pytest.raises(
        ValueError, match=f"n_neighbors={n_neighbors!r} must be an int from 1 to 19"
    ):
        NeighborGraphDisplay.from_predictions(
            X, np.zeros(50), n_neighbors=n_neighbors, max_samples=20
        )


# -- prototypes ----------------------------------------------------------------------------------


def test_prototypes_are_decoded_centres_or_means(images):
    model = IDEC(3, max_epochs=1, min_steps=5, random_state=0)
    model.set_params(autoencoder__min_steps=20).fit(images)
    display = PrototypesDisplay.from_estimator(model, images)
    decoded = model.inverse_transform(model.cluster_centers_)
    assert display.kind == "decoded centre"
    np.testing.assert_allclose(display.images, decoded)
    span = decoded[0].max() - decoded[0].min()
    want = (decoded[0] - decoded[0].min()) / span
    np.testing.assert_allclose(display.ims_[0].get_array(), want, atol=1e-5)
    assert display.axes_[1].get_title() == f"1 ({(model.labels_ == 1).sum()})"
    graph = GraphAgglomerative(3).fit(images)
    display = PrototypesDisplay.from_estimator(graph, images)
    assert display.kind == "mean"
    np.testing.assert_allclose(display.images[2], images[graph.labels_ == 2].mean(axis=0))
    flat = images.reshape(len(images), -1)
    kmeans = KMeans(3, n_init=1, random_state=0).fit(flat)
    display = PrototypesDisplay.from_estimator(kmeans, flat, sample_shape=(8, 8))
    np.testing.assert_allclose(display.images[1].ravel(), kmeans.cluster_centers_[1], atol=1e-6)


def test_an_empty_cluster_has_an_empty_prototype(images):
    labels = np.arange(len(images)) % 2
    display = PrototypesDisplay.from_predictions(images, labels, clusters=[0, 1, 2])
    assert np.isnan(display.images[2]).all() and display.counts[2] == 0
    display.figure_.canvas.draw()
    with pytest.raises(ValueError, match="sample_shape"):
        PrototypesDisplay.from_predictions(images.reshape(len(images), -1), labels)


# -- all -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("display", OF_ROWS)
def test_given_axes_are_used_and_named_labels_drawn(display, blobs):
    X, y = blobs
    _, ax = plt.subplots()
    names = np.array(["one", "two", "three"])[y]
    drawn = display.from_predictions(X, names, ax=ax, max_samples=40)
    assert drawn.ax_ is ax and drawn.figure_ is ax.figure
    assert ax.get_xlabel() and ax.get_ylabel()
    assert len(drawn.labels) == 40
    drawn.figure_.canvas.draw()


def test_many_clusters_are_drawn_by_all(blobs):
    X, y = make_blobs(900, centers=300, random_state=0)
    for display in OF_ROWS:
        display.from_predictions(X, y).figure_.canvas.draw()
