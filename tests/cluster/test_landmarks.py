"""Landmark-based spectral clustering against its formulas, and where landmarks are few."""

import warnings

import numpy as np
import pytest
from scipy.linalg import svd
from scipy.sparse import csr_array
from sklearn.datasets import load_digits, make_blobs, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from sklearn_deepcluster import LandmarkSpectralClustering
from sklearn_deepcluster.cluster import _landmarks
from sklearn_deepcluster.cluster._landmark_graph import embed, landmark_weights, right_vectors
from tests._instances import blobs

KINDS = ["k-means", "random"]
every_kind = pytest.mark.parametrize("landmarks", KINDS)


def weights_by_loops(X, A, r):
    """The dense Z of the formula, and sigma."""
    nearest = [sorted((np.linalg.norm(x - a), l) for l, a in enumerate(A))[:r] for x in X]
    sigma = np.mean([[d for d, _ in row] for row in nearest])
    Z = np.zeros((len(X), len(A)))
    for i, row in enumerate(nearest):
        K = {l: np.exp(-(d**2) / (2 * sigma**2)) for d, l in row}
        for l, value in K.items():
            Z[i, l] = value / sum(K.values())
    return Z, sigma


def overlapping(n=200):
    return make_blobs(n, 3, centers=4, cluster_std=2.0, random_state=0)[0]


# -- formulas -------------------------------------------------------------------------------------


@every_kind
def test_the_embedding_is_that_of_the_formulas(landmarks):
    X = overlapping()
    model = LandmarkSpectralClustering(4, landmarks=landmarks, n_landmarks=30, random_state=0)
    model.fit(X)
    Z, sigma = weights_by_loops(X, model.landmarks_.astype(float), 5)
    assert model.sigma_ * model.scale_ == pytest.approx(sigma, rel=1e-5)
    Zhat = Z / np.sqrt(np.where(Z.sum(axis=0) > 0, Z.sum(axis=0), 1))
    U, s, _ = svd(Zhat, full_matrices=False)
    assert s[0] == pytest.approx(1) and np.ptp(np.abs(U[:, 0])) < 1e-8  # trivial
    np.testing.assert_allclose(model.singular_values_, s[1:5], rtol=1e-5)
    rows = U[:, 1:5] / np.linalg.norm(U[:, 1:5], axis=1, keepdims=True)
    # Up to the signs of the vectors.
    np.testing.assert_allclose(np.abs(model.transform(X)), np.abs(rows), atol=1e-3)


def test_weights_far_from_all_landmarks_do_not_vanish():
    distances = np.array([[1e8, 1e8 + 1, 1e8 + 2], [0.0, 1.0, 2.0]])
    Z = landmark_weights(np.array([[0, 1, 2], [0, 1, 2]], dtype=np.int32), distances, 1.0, 3)
    np.testing.assert_allclose(Z.toarray()[0], Z.toarray()[1])
    np.testing.assert_allclose(Z.sum(axis=1), 1)


def test_landmarks_that_no_row_is_near_take_no_part():
    rng = np.random.default_rng(0)
    Z = rng.random((50, 6))
    Z /= Z.sum(axis=1, keepdims=True)
    wide = np.insert(Z, 2, 0, axis=1)
    projection, values = right_vectors(csr_array(Z), 3)
    with_empty, same_values = right_vectors(csr_array(wide), 3)
    assert not with_empty[2].any()
    np.testing.assert_allclose(same_values, values)
    np.testing.assert_allclose(np.abs(wide @ with_empty), np.abs(Z @ projection), atol=1e-8)


def test_vectors_that_there_are_not_are_zero():
    Z = csr_array(np.repeat(np.eye(3), 10, axis=0))
    projection, values = right_vectors(Z, 3)
    np.testing.assert_allclose(values, [1, 1, 0], atol=1e-12)
    assert not projection[:, 2].any()
    embedding = embed(Z, projection)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, rtol=1e-6)


def test_rows_without_an_embedding_stay_zero():
    projection = np.array([[1.0, 0.0], [0.0, 0.0]])
    embedding = embed(csr_array(np.eye(2)), projection)
    np.testing.assert_array_equal(embedding, [[1, 0], [0, 0]])


def test_pieces_of_the_graph_are_told_apart():
    """Of the several vectors for the singular value 1 only the constant one is left out."""
    X, y = make_blobs(400, 5, centers=4, cluster_std=0.1, random_state=0)
    model = LandmarkSpectralClustering(4, n_landmarks=60, random_state=0).fit(X)
    assert adjusted_rand_score(y, model.labels_) == 1.0
    np.testing.assert_allclose(model.singular_values_[:3], 1)


# -- quality --------------------------------------------------------------------------------------


@every_kind
def test_clusters_that_wind(landmarks):
    X, y = make_moons(1000, noise=0.05, random_state=0)
    model = LandmarkSpectralClustering(2, landmarks=landmarks, n_landmarks=150, random_state=0)
    assert adjusted_rand_score(y, model.fit_predict(X)) > 0.9


@every_kind
def test_digits_and_new_ones(landmarks):
    X, y = load_digits(return_X_y=True)
    model = LandmarkSpectralClustering(10, landmarks=landmarks, n_landmarks=400, random_state=0)
    model.fit(X[:1200])
    assert normalized_mutual_info_score(y[:1200], model.labels_) > 0.75
    np.testing.assert_array_equal(model.predict(X[:1200]), model.labels_)
    assert normalized_mutual_info_score(y[1200:], model.predict(X[1200:])) > 0.7
    assert model.transform(X[1200:]).shape == (597, 10)


# -- few rows, few features, equal rows -----------------------------------------------------------


@every_kind
@pytest.mark.parametrize("n", [4, 5, 8])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_hardly_more_rows_than_clusters(n, landmarks):
    X = blobs()[0][:n]
    model = LandmarkSpectralClustering(4, landmarks=landmarks, random_state=0).fit(X)
    assert len(model.landmarks_) == n
    assert np.isfinite(model.transform(X)).all()
    np.testing.assert_array_equal(model.predict(X), model.labels_)


@every_kind
@pytest.mark.parametrize("n", [1, 30])
def test_one_cluster(landmarks, n):
    X = blobs()[0][:n]
    model = LandmarkSpectralClustering(1, landmarks=landmarks, random_state=0)
    assert not model.fit_predict(X).any()
    assert np.isfinite(model.transform(X)).all()


@every_kind
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_equal_rows_give_one_cluster_and_a_warning(value, landmarks):
    X = np.full((20, 4), value)
    model = LandmarkSpectralClustering(3, landmarks=landmarks, random_state=0)
    with pytest.warns(ConvergenceWarning):
        labels = model.fit_predict(X)
    assert len(set(labels)) == 1 and model.sigma_ == 0 and len(model.landmarks_) == 1
    np.testing.assert_array_equal(model.predict(X + 1), labels)


@every_kind
def test_copies_of_rows_are_one_landmark(landmarks):
    X = np.repeat(overlapping(20), 30, axis=0)
    model = LandmarkSpectralClustering(4, landmarks=landmarks, n_landmarks=40, random_state=0)
    labels = model.fit_predict(X).reshape(20, 30)
    assert len(model.landmarks_) == 20
    assert (labels == labels[:, :1]).all()


@every_kind
def test_one_feature_and_constant_columns(landmarks):
    x = np.r_[np.arange(20.0), 500 + np.arange(20.0)][:, None]
    y = np.repeat([0, 1], 20)
    model = LandmarkSpectralClustering(2, landmarks=landmarks, n_landmarks=10, random_state=0)
    for X in (x, np.hstack([x, np.full((40, 2), 7.0)])):
        assert adjusted_rand_score(y, model.fit_predict(X)) == 1.0


def test_more_pieces_than_clusters_are_said():
    X, _ = make_blobs(300, 3, centers=6, cluster_std=0.01, random_state=0)
    model = LandmarkSpectralClustering(2, n_landmarks=60, n_neighbors=3, random_state=0)
    with pytest.warns(ConvergenceWarning, match="more pieces than n_clusters=2"):
        model.fit(X)


@pytest.mark.parametrize("n_neighbors", [1, 60, 500])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_any_number_of_neighbours(n_neighbors):
    X = overlapping()
    model = LandmarkSpectralClustering(
        4, n_landmarks=60, n_neighbors=n_neighbors, random_state=0
    ).fit(X)
    assert np.isfinite(model.transform(X)).all()
    np.testing.assert_array_equal(model.predict(X), model.labels_)


# -- units, seeds, many rows ----------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("unit", [2.0**-100, 0.25, 2.0**100])
def test_the_unit_does_not_matter(unit, landmarks):
    """A power of two rounds nothing, so all is the same to the last bit."""
    X = overlapping()
    model, other = (
        LandmarkSpectralClustering(4, landmarks=landmarks, n_landmarks=40, random_state=0).fit(x)
        for x in (X, unit * X)
    )
    np.testing.assert_array_equal(model.labels_, other.labels_)
    assert other.sigma_ * other.scale_ == pytest.approx(unit * model.sigma_ * model.scale_)


def test_one_seed_gives_one_result_and_global_state_none():
    X = overlapping()
    model = LandmarkSpectralClustering(4, n_landmarks=40, random_state=3)
    before = np.random.get_state()[1].copy()
    a = model.fit(X).labels_
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.testing.assert_array_equal(model.fit(X).labels_, a)


@every_kind
def test_landmarks_of_many_rows_are_those_of_a_part(landmarks, monkeypatch):
    monkeypatch.setattr(_landmarks, "_LANDMARK_ROWS", 200)
    X, y = make_blobs(1000, 6, centers=4, random_state=0)
    model = LandmarkSpectralClustering(4, landmarks=landmarks, n_landmarks=50, random_state=0)
    assert adjusted_rand_score(y, model.fit_predict(X)) > 0.95
    assert model.landmarks_.shape == (50, 6)


def test_random_landmarks_are_rows():
    X = overlapping().astype(np.float32)
    model = LandmarkSpectralClustering(4, landmarks="random", n_landmarks=20, random_state=0)
    for row in model.fit(X).landmarks_:
        assert np.abs(X - row).max(axis=1).min() < 1e-5


def test_blocks_of_rows_change_nothing(monkeypatch):
    X = overlapping()
    model = LandmarkSpectralClustering(4, n_landmarks=40, random_state=0).fit(X)
    whole = model.transform(X)
    monkeypatch.setattr("sklearn_deepcluster.cluster._landmark_graph.BLOCK_VALUES", 50)
    np.testing.assert_array_equal(model.transform(X), whole)
    np.testing.assert_array_equal(model.predict(X), model.labels_)


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "n_clusters": [0, -1, 2.5, "3", None],
        "landmarks": ["kmeans", None, 3],
        "n_landmarks": [0, 3, 1.5, None],
        "n_neighbors": [0, 1.5, None],
        "n_init": [0, 1.5, "auto"],
        "random_state": ["a", -1],
    }.items(),
)
def test_bad_parameters_are_refused_by_name(name, values, monkeypatch):
    monkeypatch.setattr(_landmarks, "learn_standard", None)
    for value in values:
        with pytest.raises(ValueError, match=name):
            LandmarkSpectralClustering(3).set_params(**{name: value}).fit(overlapping())


def test_more_clusters_than_rows_are_refused():
    with pytest.raises(ValueError, match="n_samples=4 should be >= n_clusters=5"):
        LandmarkSpectralClustering(5).fit(np.arange(8.0).reshape(4, 2))


def test_good_data_bring_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LandmarkSpectralClustering(4, n_landmarks=40, random_state=0).fit(overlapping())
