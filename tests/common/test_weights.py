"""``sample_weight``: whose ``fit`` takes it, and what it does there."""

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_deepcluster import IdentityAutoencoder, MLPEncoder
from sklearn_deepcluster.cluster._start import seed_rows
from tests._instances import (
    END_TO_END,
    EVERY,
    EVERY_CLUSTERER,
    PUBLIC,
    REPRESENTATIONS,
    SEQUENTIAL,
    WEIGHTED,
    assert_same_fit,
    blobs,
    fitted_state,
    least,
    tiny,
    tiny_autoencoder,
)

UNWEIGHTED = {
    "GraphAgglomerative",
    "JULE",
    "KNet",
    "LandmarkSpectralClustering",
    "SpectralNet",
}
CLUSTERERS = [name for name in EVERY_CLUSTERER if name in WEIGHTED]
AUTOENCODERS = [name for name in REPRESENTATIONS if hasattr(PUBLIC[name], "inverse_transform")]
# Those that cluster rows of the plane as such: sequences are described first.
OF_PLANE = [name for name in CLUSTERERS if name not in SEQUENTIAL]
# Those whose centres are what they are trained for.
WITH_CENTRES = [name for name in CLUSTERERS if name not in END_TO_END]
# One of each way through: a mean over rows, y beside the weights, pairs of rows, a representation,
# no network.
WAYS = ["DEC", "DEPICT", "DDC", "Autoencoder", "FuzzyCMeans"]


def some_weights(seed=0):
    return np.random.RandomState(seed).randint(1, 4, len(blobs()[0])).astype(float)


def assert_same_but_labels(a, b):
    """Assert that two fits are equal to the last bit but for what they say of each sample."""
    states = [fitted_state(e) if hasattr(e, "module_") else dict(vars(e)) for e in (a, b)]
    for state in states:
        state.pop("labels_", None)
        state.pop("initial_labels_", None)
    np.testing.assert_equal(*states)


# -- who takes them ------------------------------------------------------------------------------


def test_every_other_method_is_known():
    assert set(EVERY) - set(WEIGHTED) == UNWEIGHTED


@pytest.mark.parametrize("name", sorted(UNWEIGHTED))
def test_a_method_without_weights_takes_none(name):
    X, _ = blobs()
    with pytest.raises(TypeError, match="sample_weight"):
        least(name).fit(X, sample_weight=np.ones(len(X)))
    assert not hasattr(least(name), "set_fit_request")


# -- what they do --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["DEC", "DEPICT", "Autoencoder"])
def test_equal_weights_are_none(name):
    X, _ = blobs()
    found = least(name).fit(X, sample_weight=np.full(len(X), 3))
    assert_same_fit(found, least(name).fit(X))


@pytest.mark.parametrize("name", WAYS)
def test_only_the_ratios_of_the_weights_count(name):
    X, _ = blobs()
    weights, factor = some_weights(), 2.0**1000  # which no sum may overflow
    found, expected = (tiny(name).fit(X, sample_weight=f * weights) for f in (factor, 1.0))
    if name == "FuzzyCMeans":  # a sum over rows
        assert found.objective_ == factor * expected.objective_
        expected.objective_ = found.objective_
    assert_same_but_labels(found, expected)


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("others", ["equal", "weighted"])
def test_a_row_of_weight_0_is_absent_but_for_its_label(name, others):
    """Here far away, and more than half of the rows."""
    X, _ = blobs()
    weights = some_weights() if others == "weighted" else np.ones(len(X))
    far = 1e4 + np.random.RandomState(0).rand(400, X.shape[1]).astype(np.float32)
    both = np.concatenate([far[:1], X, far[1:]])
    weights_of_both = np.concatenate([[0.0], weights, np.zeros(399)])
    params = {"init": "k-means"} if name in END_TO_END else {}
    found = tiny(name, **params).fit(both, sample_weight=weights_of_both)
    assert_same_but_labels(found, tiny(name, **params).fit(X, sample_weight=weights))
    if name in CLUSTERERS:
        assert len(found.labels_) == len(both)
        np.testing.assert_array_equal(found.labels_, found.predict(both))
    if hasattr(found, "initial_labels_"):
        np.testing.assert_array_equal(found.initial_labels_ == -1, weights_of_both == 0)


def test_labels_that_are_given_belong_to_the_rows_that_count():
    """Classes of DEPICT beside weights: those of absent rows are checked, and not learned from."""
    X, y = blobs()
    known = np.where(np.arange(len(X)) % 4 == 0, y, -1)
    weights = np.where(np.arange(len(X)) % 3 == 0, 0.0, some_weights())
    depict = tiny("DEPICT", semi_supervised=True)
    found = clone(depict).fit(X, known, sample_weight=weights)
    kept = weights > 0
    expected = clone(depict).fit(X[kept], known[kept], sample_weight=weights[kept])
    assert_same_but_labels(found, expected)
    labels = clone(depict).fit_predict(X, known, sample_weight=weights)
    np.testing.assert_array_equal(labels, found.labels_)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clone(depict).fit(X, known[kept], sample_weight=weights)


# Four clusters of equal size in the plane, in two pairs of which the first is nearer.
CORNERS = np.array([[5.0, 0.9], [5.0, -0.9], [-1.0, 5.0], [1.0, 5.0]])


def of_plane(name):
    """A quick instance for three clusters of rows in the plane, which is the embedding."""
    if name == "FuzzyCMeans":
        return tiny(name, m=1.2, n_init=10)
    if name in END_TO_END:
        encoder = MLPEncoder(hidden_layer_sizes=(16,), n_components=8)
        return tiny(name, encoder=encoder, init="k-means", max_epochs=1, min_steps=0)
    params = {"autoencoder": IdentityAutoencoder(center=None), "init": "k-means", "lr": 1e-4}
    return least(name, **params)


@pytest.mark.parametrize("name", OF_PLANE)
def test_weights_decide_what_is_one_cluster(name):
    """Of three clusters one is a pair: the nearer one, unless its rows weigh more.

    Which is what so many equal rows do.
    """
    X, y = make_blobs([40] * 4, centers=CORNERS, cluster_std=0.05, random_state=0)
    times = np.where(y < 2, 5, 1)
    nearer, other = np.where(y < 2, 0, y), np.where(y >= 2, 2, y)
    assert adjusted_rand_score(of_plane(name).fit(X).labels_, nearer) == 1.0
    weighted = of_plane(name).fit(X, sample_weight=times)
    assert adjusted_rand_score(weighted.labels_, other) == 1.0
    repeated = of_plane(name).fit(X.repeat(times, axis=0))
    assert adjusted_rand_score(weighted.labels_, repeated.predict(X)) == 1.0


@pytest.mark.parametrize("name", WITH_CENTRES)
def test_centres_are_those_of_repeated_rows(name):
    """Half of each cluster counts five times: the centre lies nearer to that half."""
    X, y = blobs()
    half = X[:, 0] > np.array([X[y == j, 0].mean() for j in range(3)])[y]
    times = np.where(half, 5, 1)
    if name == "FuzzyCMeans":
        fresh = tiny(name)
    else:
        fresh = least(name, autoencoder=IdentityAutoencoder(), lr=1e-5)
    weighted = clone(fresh).fit(X, sample_weight=times)
    repeated = clone(fresh).fit(X.repeat(times, axis=0))
    plain = clone(fresh).fit(X)
    heavy = np.array([X[(y == j) & half].mean(0) for j in range(3)])
    light = np.array([X[(y == j) & ~half].mean(0) for j in range(3)])

    def shares(model):
        """How far along the way from the light half to the heavy one each centre lies."""
        embed = (lambda Z: Z) if name == "FuzzyCMeans" else model.transform
        way = embed(heavy) - embed(light)
        done = model.cluster_centers_[model.predict(heavy)] - embed(light)
        return (done * way).sum(1) / np.square(way).sum(1)

    np.testing.assert_allclose(shares(weighted), shares(repeated), atol=0.05)
    assert (shares(weighted) > shares(plain) + 0.15).all()


@pytest.mark.parametrize("name", AUTOENCODERS)
@pytest.mark.parametrize("heavy", [0, 1])
def test_an_autoencoder_reconstructs_heavy_rows_better(name, heavy):
    """Two kinds of rows, each in a plane of its own, and weights on either kind."""
    rng = np.random.default_rng(0)
    kind = np.arange(200) % 2
    basis = np.linalg.qr(rng.normal(size=(16, 4)))[0].T.reshape(2, 2, 16)
    X = np.einsum("ij,ijk->ik", rng.normal(size=(200, 2)), basis[kind])
    model = tiny(name, center=None).fit(X, sample_weight=np.where(kind == heavy, 1.0, 0.01))
    errors = np.square(model.inverse_transform(model.transform(X)) - X).mean(1)
    assert errors[kind == heavy].mean() < 0.8 * errors[kind != heavy].mean()


@pytest.mark.parametrize("name", ["Autoencoder", "DEC", "FuzzyCMeans"])
def test_centre_and_scale_of_the_input_are_weighted(name):
    X, _ = blobs()
    times = some_weights().astype(int)
    weighted = tiny(name).fit(X, sample_weight=times)
    repeated = tiny(name).fit(X.repeat(times, axis=0))
    np.testing.assert_allclose(weighted.center_, repeated.center_, rtol=1e-9)
    assert weighted.scale_ == pytest.approx(repeated.scale_, rel=1e-9)


def test_the_error_of_rows_held_out_is_weighted():
    """It is that of the heavy rows, which are all but constant, not of the noise of the others."""
    rng = np.random.default_rng(0)
    X = np.where(np.arange(200)[:, None] % 2, rng.normal(size=(200, 16)), 1.0)
    weights = np.where(np.arange(200) % 2, 1e-9, 1.0)
    model = tiny("Autoencoder", center=None, scale=None, validation_fraction=0.5, noise=0.0)
    model.fit(X, sample_weight=weights)
    errors = np.square(model.inverse_transform(model.transform(X)) - X).mean(1)
    assert min(model.history_["validation_loss"]) == pytest.approx(errors[0], rel=1e-2)
    assert errors[0] < 0.1 * errors[1::2].mean()


# -- where they come from and go to ----------------------------------------------------------------


def test_the_variance_of_the_embedding_is_weighted():
    X, _ = blobs()
    times = some_weights().astype(int)
    model = tiny("DEC", n_init=2).fit(X, sample_weight=times)
    Z = model.transform(X).repeat(times, axis=0).astype(np.float64)
    assert model.embedding_variance_ == pytest.approx(Z.var(0).sum(), rel=1e-6)


def test_a_representation_is_trained_with_the_weights_of_its_clusterer():
    X, _ = blobs()
    weights = some_weights()
    alone = tiny_autoencoder(random_state=0).fit(X, sample_weight=weights)
    dec = tiny("DEC", autoencoder=tiny_autoencoder(random_state=0))
    found = clone(dec).fit(X, sample_weight=weights)
    assert found.history_["pretraining_loss"] == alone.history_["loss"]
    np.testing.assert_array_equal(found.center_, alone.center_)
    assert found.history_["pretraining_loss"] != dec.fit(X).history_["pretraining_loss"]


def test_memory_tells_weights_apart(tmp_path):
    X, _ = blobs()
    cached = least("DEC", memory=str(tmp_path))
    for weights in (None, some_weights(), some_weights(1)):
        expected = least("DEC").fit(X, sample_weight=weights)
        for _ in range(2):
            assert_same_fit(cached.fit(X, sample_weight=weights), expected)


def test_warm_start_goes_on_with_other_weights():
    X, _ = blobs()
    weights = some_weights()
    weights[:5] = 0
    model = least("DEC", warm_start=True).fit(X, sample_weight=weights)
    center = model.center_
    model.fit(X, sample_weight=weights[::-1])
    np.testing.assert_array_equal(model.center_, center)
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    assert len(model.initial_labels_) == len(X)


class Spy(ClusterMixin, BaseEstimator):
    """A clusterer of the user, which takes weights."""

    seen = []

    def __init__(self, n_clusters=3):
        self.n_clusters = n_clusters

    def fit(self, X, y=None, sample_weight=None):
        self.seen.append(sample_weight)
        self.labels_ = KMeans(self.n_clusters, random_state=0).fit_predict(X)
        return self


def test_a_clusterer_that_takes_weights_gets_them(monkeypatch):
    monkeypatch.setattr(Spy, "seen", [])
    X, _ = blobs()
    weights = some_weights()
    least("DEC", init=Spy()).fit(X, sample_weight=weights)
    least("DEC", init=Spy()).fit(X)
    np.testing.assert_allclose(Spy.seen[0], weights / weights.mean())
    assert Spy.seen[1] is None


@pytest.mark.parametrize("init", [AgglomerativeClustering(), "ac-mod", "auto"])
def test_a_clusterer_that_takes_none_gets_none(init):
    X, y = blobs()
    model = least("DEC", init=init).fit(X, sample_weight=some_weights())
    assert adjusted_rand_score(model.initial_labels_, y) == 1.0


@pytest.mark.parametrize("init", ["random", "k-means++"])
def test_heavy_rows_are_drawn_as_seeds(init):
    z, _ = blobs()
    weights = np.full(len(z), 1e-12)
    weights[[3, 4, 5]] = 1.0
    drawn = seed_rows(init, z, 3, 0, weights)
    assert {row.tobytes() for row in drawn} == {row.tobytes() for row in z[[3, 4, 5]]}


@pytest.mark.parametrize("name", WAYS)
def test_weights_are_routed_through_a_pipeline(name):
    X, _ = blobs()
    weights = some_weights()
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, tiny(name).set_fit_request(sample_weight=True))
        embedded = pipeline.fit_transform(X, sample_weight=weights)
        scaled = pipeline[0].transform(X)
        expected = tiny(name).fit(scaled, sample_weight=weights)
        np.testing.assert_array_equal(embedded, expected.transform(scaled))
        if name in CLUSTERERS:
            labels = pipeline.fit_predict(X, sample_weight=weights)
            np.testing.assert_array_equal(labels, expected.labels_)


def test_weights_that_nobody_asked_for_are_refused():
    X, _ = blobs()
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), least("DEC"))
        with pytest.raises(ValueError, match=r"sample_weight.*not explicitly set as requested"):
            pipeline.fit(X, sample_weight=some_weights())
