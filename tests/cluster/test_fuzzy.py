"""Fuzzy c-means against its formulas, in many dimensions, and where rows or centres coincide."""

import warnings

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from sklearn_deepcluster import FuzzyCMeans
from sklearn_deepcluster.cluster._memberships import alternate, log_memberships
from tests._instances import blobs


def overlapping(n=120, n_features=2, centers=3, seed=0):
    return make_blobs(n, n_features, centers=centers, cluster_std=2.5, random_state=seed)[0]


def memberships_by_loops(X, C, m):
    U = np.zeros((len(X), len(C)))
    for i, x in enumerate(X):
        d = [np.sqrt(sum((x - c) ** 2)) for c in C]
        if 0 in d:
            for j in range(len(C)):
                U[i, j] = (d[j] == 0) / d.count(0)
            continue
        for j in range(len(C)):
            U[i, j] = 1 / sum((d[j] / d_l) ** (2 / (m - 1)) for d_l in d)
    return U


def centers_by_loops(X, U, m):
    columns = []
    for u in U.T:
        weighted = sum(u_i**m * x for u_i, x in zip(u, X, strict=True))
        columns.append(weighted / sum(u**m))
    return np.array(columns)


def objective_by_loops(X, U, C, m):
    rows, columns = U.shape
    return sum(U[i, j] ** m * sum((X[i] - C[j]) ** 2) for i in range(rows) for j in range(columns))


# -- formulas -------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [1.2, 2.0, 3.5])
def test_memberships_are_those_of_the_formula(m):
    X = overlapping()
    model = FuzzyCMeans(3, m=m, random_state=0).fit(X)
    expected = memberships_by_loops(X, model.cluster_centers_.astype(float), m)
    U = model.predict_proba(X)
    np.testing.assert_allclose(U, expected, atol=1e-5)
    np.testing.assert_allclose(U.sum(axis=1), 1)


@pytest.mark.parametrize("m", [1.2, 2.0, 3.5])
def test_steps_are_those_of_the_formulas(m):
    X = overlapping().astype(np.float32)
    C = X[[3, 40, 77]].astype(float)
    run = alternate(X, C, m, max_iter=3, tol=0.0)
    for _ in range(3):
        C = centers_by_loops(X, memberships_by_loops(X, C, m), m)
    U = memberships_by_loops(X, C, m)
    np.testing.assert_allclose(run.centers, C, rtol=1e-9, atol=1e-9)
    assert run.objective == pytest.approx(objective_by_loops(X, U, C, m), rel=1e-9)
    assert run.n_iter == 3 and not run.converged


def test_the_objective_falls_and_is_that_of_the_fit():
    X = overlapping()
    reached = []
    for max_iter in (1, 2, 4, 8, 300):
        model = FuzzyCMeans(3, max_iter=max_iter, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            reached.append(model.fit(X).objective_)
    assert (np.diff(reached) < 1e-6 * reached[0]).all() and reached[-1] < reached[0]
    C = model.cluster_centers_.astype(float)
    expected = objective_by_loops(X, memberships_by_loops(X, C, 2.0), C, 2.0)
    assert model.objective_ == pytest.approx(expected, rel=1e-5)
    assert model.score(X) == pytest.approx(-model.objective_, rel=1e-5)
    assert type(model.score(X)) is float


def test_transform_gives_distances_in_the_units_of_x():
    X = overlapping() * 1e3 + 50
    model = FuzzyCMeans(3, random_state=0).fit(X)
    D = model.transform(X)
    expected = np.linalg.norm(X[:, None] - model.cluster_centers_, axis=2)
    np.testing.assert_allclose(D, expected, rtol=1e-4, atol=1e-2)
    np.testing.assert_array_equal(D.argmin(axis=1), model.predict(X))
    assert list(model.get_feature_names_out()) == [f"fuzzycmeans{i}" for i in range(3)]


# -- m --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [1 + 1e-15, 1 + 1e-6, 1.001])
def test_near_one_it_is_k_means(m):
    X, y = blobs()
    model = FuzzyCMeans(3, m=m, random_state=0).fit(X)
    assert adjusted_rand_score(y, model.labels_) == 1.0
    kmeans = KMeans(3, n_init=1, random_state=0).fit(X)
    assert model.objective_ == pytest.approx(kmeans.inertia_, rel=1e-4)
    U = model.predict_proba(X)
    np.testing.assert_allclose(U.max(axis=1), 1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_large_m_stays_finite():
    X = overlapping()
    model = FuzzyCMeans(3, m=5000.0, random_state=0).fit(X)
    # But for rows that a centre lies on.
    np.testing.assert_allclose(np.median(model.predict_proba(X), axis=0), 1 / 3, atol=1e-2)
    assert np.isfinite(model.cluster_centers_).all() and np.isfinite(model.objective_)


def test_centres_that_coincide_are_said_with_the_remedy():
    X, y = load_digits(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="centres coincide: with m=2.0 .* 1.1 to 1.3"):
        model = FuzzyCMeans(10, random_state=0).fit(X)
    np.testing.assert_allclose(model.predict_proba(X), 0.1, atol=0.02)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = FuzzyCMeans(10, m=1.1, random_state=0).fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.5


def test_an_end_before_convergence_is_said():
    with pytest.warns(ConvergenceWarning, match="tol=1e-05 after max_iter=2"):
        model = FuzzyCMeans(3, max_iter=2, random_state=0).fit(overlapping())
    assert model.n_iter_ == 2


# -- rows on centres, few rows, few features ------------------------------------------------------


def test_a_row_on_centres_is_shared_by_these_alone():
    squared = np.array([[0.0, 3.0, 0.0, 1.0], [0.0, 1.0, 2.0, 4.0], [1.0, 1.0, 1.0, 1.0]])
    U = np.exp(log_memberships(squared, 1.3))
    expected = [[0.5, 0, 0.5, 0], [1, 0, 0, 0], [0.25] * 4]
    np.testing.assert_allclose(U, expected)


@pytest.mark.parametrize("m", [1.1, 2.0])
def test_as_many_rows_as_clusters(m):
    X = np.arange(12.0).reshape(4, 3) ** 2
    model = FuzzyCMeans(4, m=m, random_state=0).fit(X)
    assert sorted(model.labels_) == [0, 1, 2, 3]
    np.testing.assert_allclose(model.predict_proba(X).max(axis=1), 1)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_equal_rows(value):
    X = np.full((20, 4), value)
    with pytest.warns(ConvergenceWarning, match="fewer distinct rows than n_clusters=3"):
        model = FuzzyCMeans(3, random_state=0).fit(X)
    assert len(set(model.labels_)) == 1 and model.objective_ == 0
    np.testing.assert_allclose(model.predict_proba(X), 1 / 3)
    np.testing.assert_array_equal(model.cluster_centers_, np.full((3, 4), value))


def test_fewer_distinct_rows_than_clusters():
    X = np.repeat([[0.0, 1.0], [5.0, 5.0]], 10, axis=0)
    with pytest.warns(ConvergenceWarning, match="fewer distinct rows"):
        model = FuzzyCMeans(4, random_state=0).fit(X)
    assert len(set(model.labels_[:10])) == len(set(model.labels_[10:])) == 1
    assert model.labels_[0] != model.labels_[10]


def test_one_cluster_is_the_mean():
    X = overlapping()
    model = FuzzyCMeans(1, random_state=0).fit(X)
    np.testing.assert_allclose(model.cluster_centers_[0], X.mean(axis=0), rtol=1e-5)
    assert not model.labels_.any() and (model.predict_proba(X) == 1).all()


def test_one_feature_and_constant_columns():
    X, y = blobs()
    wide = np.hstack([X, np.full((len(X), 2), 7.0)])
    np.testing.assert_array_equal(
        FuzzyCMeans(3, random_state=0).fit_predict(wide),
        FuzzyCMeans(3, random_state=0).fit_predict(X),
    )
    x = np.r_[np.arange(10.0), 50 + np.arange(10.0)][:, None]
    labels = FuzzyCMeans(2, random_state=0).fit_predict(x)
    assert adjusted_rand_score(np.repeat([0, 1], 10), labels) == 1.0


# -- starts, units, new rows ----------------------------------------------------------------------


def test_given_centres_are_in_the_units_of_x():
    X, y = blobs()
    X = X.astype(float) * 1e4 + 1e6
    init = np.array([X[y == c].mean(axis=0) for c in (2, 0, 1)])
    model = FuzzyCMeans(3, init=init).fit(X)
    np.testing.assert_array_equal(model.labels_, np.array([1, 2, 0])[y])


def test_of_several_starts_the_best_is_kept():
    X = overlapping(300, 4, centers=8)
    objectives = [
        FuzzyCMeans(8, m=1.1, n_init=n, random_state=3).fit(X).objective_ for n in (1, 2, 10)
    ]
    assert objectives[0] >= objectives[1] >= objectives[2]


def test_one_seed_gives_one_result():
    X = overlapping()
    a, b = (FuzzyCMeans(3, n_init=2, random_state=5).fit(X) for _ in range(2))
    np.testing.assert_array_equal(a.cluster_centers_, b.cluster_centers_)
    np.testing.assert_array_equal(a.labels_, b.labels_)


@pytest.mark.parametrize("unit", [2.0**-100, 1e-5, 255.0, 2.0**100])
def test_the_unit_does_not_matter(unit):
    X = overlapping()
    model, other = (FuzzyCMeans(3, random_state=0).fit(x) for x in (X, unit * X))
    np.testing.assert_array_equal(model.labels_, other.labels_)
    np.testing.assert_allclose(other.cluster_centers_ / unit, model.cluster_centers_, rtol=1e-4)
    assert other.objective_ == pytest.approx(model.objective_ * unit * unit, rel=1e-4)
    np.testing.assert_allclose(other.transform(unit * X) / unit, model.transform(X), rtol=1e-3)


def test_new_rows_and_predictions_of_the_training_rows():
    X, y = load_digits(return_X_y=True)
    model = FuzzyCMeans(10, m=1.1, random_state=0).fit(X[:1200])
    np.testing.assert_array_equal(model.predict(X[:1200]), model.labels_)
    np.testing.assert_array_equal(
        model.predict_proba(X[1200:]).argmax(axis=1), model.predict(X[1200:])
    )
    assert adjusted_rand_score(y[1200:], model.predict(X[1200:])) > 0.4


def test_blocks_of_rows_change_nothing(monkeypatch):
    X = overlapping()
    whole = FuzzyCMeans(3, random_state=0).fit(X)
    U = whole.predict_proba(X)
    monkeypatch.setattr("sklearn_deepcluster.cluster._memberships.BLOCK_VALUES", 50)
    parts = FuzzyCMeans(3, random_state=0).fit(X)
    np.testing.assert_allclose(parts.cluster_centers_, whole.cluster_centers_, rtol=1e-5)
    np.testing.assert_array_equal(parts.labels_, whole.labels_)
    np.testing.assert_array_equal(whole.predict_proba(X), U)


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "n_clusters": [0, -1, 2.5, "3", None],
        "m": [1.0, 0.5, -2.0, np.nan, np.inf, None, "2"],
        "init": ["random", None, np.zeros((2, 2)), np.zeros((3, 5)), np.full((3, 2), np.nan)],
        "n_init": [0, 1.5, "auto"],
        "max_iter": [0, 1.5, None],
        "tol": [-1e-3, None],
        "random_state": ["a", -1],
    }.items(),
)
def test_bad_parameters_are_refused_by_name(name, values, monkeypatch):
    monkeypatch.setattr("sklearn_deepcluster.cluster._fuzzy.alternate", None)
    for value in values:
        with pytest.raises(ValueError, match=name):
            FuzzyCMeans(3).set_params(**{name: value}).fit(overlapping())


def test_more_clusters_than_rows_are_refused():
    with pytest.raises(ValueError, match="n_samples=4 should be >= n_clusters=5"):
        FuzzyCMeans(5).fit(np.arange(8.0).reshape(4, 2))


def test_given_centres_too_far_for_float32_are_refused_by_name():
    X = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(ValueError, match="init: it holds values that are too large"):
        FuzzyCMeans(2, init=[[1e300, 0.0], [0.0, 0.0]]).fit(X)
