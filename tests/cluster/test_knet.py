"""KNet: objective, schedule, options, subsets, bad input."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris, load_wine, make_blobs, make_moons
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from torch.autograd import gradcheck

from sklearn_deepcluster import Autoencoder, IdentityAutoencoder, KNet, Stiefel
from sklearn_deepcluster._engine import Step
from sklearn_deepcluster.cluster import _kernel_alternation, _knet
from sklearn_deepcluster.cluster._kernel_alternation import Factor, HSICLoss
from sklearn_deepcluster.cluster._kernel_width import spectral_width
from sklearn_deepcluster.cluster._spectral_start import (
    SpectralStart,
    modularity,
    neighbor_graph,
    normalized_cut,
)
from sklearn_deepcluster.kernels import (
    KernelOperator,
    hsic,
    hsic_factor,
    leading_eigenvectors,
)
from sklearn_deepcluster.persistence import load_model, save_model
from tests._instances import network_input


@pytest.fixture(scope="module")
def moons():
    X, y = make_moons(300, noise=0.05, random_state=0)
    return scale(X).astype(np.float32), y


def quick(n_clusters=2, **params):
    defaults = {"sigma_scale": 0.1, "max_steps": 300, "random_state": 0}
    return KNet(n_clusters, **(defaults | params))


# -- objective -----------------------------------------------------------------------------------


def tensors(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]


def test_the_loss_equals_the_loop():
    factor, z, x, back = tensors((20, 3), (6, 2), (6, 4), (6, 4))
    index = torch.tensor([3, 0, 19, 7, 7, 12])
    expected = 0.0
    for i in range(6):
        for j in range(6):
            if i != j:
                weight = float(factor[index[i]] @ factor[index[j]])
                gap = float(((z[i] - z[j]) ** 2).sum())
                expected += weight * np.exp(-gap / (2 * 0.8**2))
    expected *= 20 * 19 / (6 * 5)
    error = sum(float(((x[i] - back[i]) ** 2).sum()) for i in range(6)) * 20 / 6
    terms = HSICLoss(0.8)(Step((z, back), x, index, Factor(factor, 0.3)))
    assert float(terms["hsic"]) == pytest.approx(expected, rel=1e-12)
    assert float(terms["reconstruction"]) == pytest.approx(error, rel=1e-12)
    assert float(terms["loss"]) == pytest.approx(-expected + 0.3 * error, rel=1e-12)


def test_the_loss_passes_gradcheck():
    factor, z, x, back = tensors((9, 2), (5, 3), (5, 4), (5, 4))
    index = torch.arange(5)
    loss, made = HSICLoss(0.8), Factor(factor, 0.3)
    assert gradcheck(
        lambda z, back: loss(Step((z, back), x, index, made))["loss"],
        (z.requires_grad_(), back.requires_grad_()),
    )


def test_batches_estimate_the_whole_without_bias():
    """The mean over all batches of three is the value of all eight rows."""
    factor, z = tensors((8, 2), (8, 3))
    loss = HSICLoss(0.8)
    batches = torch.combinations(torch.arange(8), 3)
    mean = np.mean([float(loss.value(z[batch], batch, factor)) for batch in batches])
    assert mean == pytest.approx(float(loss.value(z, torch.arange(8), factor)), rel=1e-12)


def test_the_value_of_all_rows_is_their_hsic():
    z = tensors((40, 3))[0].float()
    operator = KernelOperator(z, 0.9)
    u, values = leading_eigenvectors(operator, 3)
    value = HSICLoss(0.9).value(z, torch.arange(40), hsic_factor(u, operator.scaling))
    assert float(value) == pytest.approx(hsic(operator, u), rel=1e-4)
    assert hsic(operator, u) == pytest.approx(float(values.sum()), rel=1e-5)


def test_one_row_has_no_pairs():
    factor, z = tensors((4, 2), (1, 3))
    z.requires_grad_()
    value = HSICLoss(0.8).value(z, torch.tensor([2]), factor)
    value.backward()
    assert value.item() == 0.0 and (z.grad == 0).all()


# -- what it learns ------------------------------------------------------------------------------


@pytest.mark.parametrize("update", ["eig", "stiefel"])
def test_moons_become_round_clusters(moons, update):
    X, y = moons
    knet = quick(update=update).fit(X)
    assert adjusted_rand_score(y, knet.labels_) == 1.0
    assert adjusted_rand_score(y, KMeans(2, n_init=10, random_state=0).fit_predict(X)) < 0.7
    new, y_new = make_moons(200, noise=0.05, random_state=1)
    new = StandardScaler().fit_transform(new)
    assert adjusted_rand_score(y_new, knet.predict(new)) > 0.95
    # Rows of a cluster are within the bandwidth, clusters far beyond it.
    z = knet.transform(X)
    within = max(pdist(z[y == j]).mean() for j in (0, 1))
    assert within < knet.sigma_ < 0.5 * pdist(knet.cluster_centers_)[0]


@pytest.mark.parametrize("max_iter", [0, 1.5, None])
def test_an_update_that_cannot_be_is_refused(max_iter, moons):
    with pytest.raises(ValueError, match="'max_iter' parameter of Stiefel"):
        quick(update=Stiefel(max_iter=max_iter)).fit(moons[0])


def test_the_ascent_has_a_parameter_of_its_own(moons):
    X, _ = moons
    short = {"max_iter": 2, "max_steps": 50, "n_refine": 1}
    named, given = (quick(update=u, **short).fit(X) for u in ("stiefel", Stiefel(max_iter=50)))
    np.testing.assert_array_equal(named.cluster_centers_, given.cluster_centers_)
    search = quick(update=Stiefel()).set_params(update__max_iter=7)
    assert search.update.max_iter == 7


@pytest.mark.parametrize("update", ["eig", "stiefel"])
def test_it_does_not_fall_below_its_initial_spectral_embedding(update):
    X, y = scale(load_wine().data), load_wine().target
    knet = KNet(3, update=update, random_state=0).fit(X)
    operator = KernelOperator(torch.from_numpy(network_input(knet, X)), knet.sigma_)
    u, values = leading_eigenvectors(operator, 3)
    kmeans = KMeans(3, n_init=10, random_state=0)
    spectral = [
        normalized_mutual_info_score(y, kmeans.fit_predict(points.numpy()))
        for points in (u * values.sqrt(), torch.nn.functional.normalize(u, dim=1))
    ]
    assert normalized_mutual_info_score(y, knet.labels_) >= max(spectral) - 0.01


def test_the_hsic_rises_and_u_follows(moons):
    X, _ = moons
    history = quick().fit(X).history_
    soft = history["hsic"][: -len(history["label_change"])]
    assert soft[-1] > 2 * soft[0]
    assert history["spectral_hsic"][-1] <= 2.0
    assert all(0 <= d <= 1 for d in history["projector_distance"])
    assert history["label_change"][-1] < 0.01


def test_the_bandwidth_is_a_share_of_the_median_distance(moons):
    X, _ = moons
    knet = quick(sigma_scale=0.2, max_steps=1, n_refine=0).fit(X)
    assert knet.sigma_ == pytest.approx(0.2 * np.median(pdist(network_input(knet, X))), rel=1e-4)
    assert quick(sigma=0.5, sigma_scale=0.4, max_steps=1, n_refine=0).fit(
        X
    ).sigma_ == pytest.approx(0.2)


def test_the_unit_of_the_data_does_not_matter(moons):
    X, _ = moons
    a, b = (quick(n_refine=0, max_steps=100).fit(X * factor) for factor in (1, 256))
    np.testing.assert_array_equal(a.labels_, b.labels_)
    assert a.sigma_ == pytest.approx(b.sigma_, rel=1e-5)


def test_pretraining_is_the_other_start(moons):
    X, y = moons
    knet = quick(start="pretrain").fit(X)
    assert len(knet.history_["pretraining_loss"]) > 100
    assert adjusted_rand_score(y, knet.labels_) > 0.95


def test_a_kernel_on_top_of_another_embedding():
    X, y = scale(load_iris().data), load_iris().target
    frozen = FrozenEstimator(
        Autoencoder(
            hidden_layer_sizes=(32,), n_components=3, random_state=0, max_epochs=1, min_steps=150
        ).fit(X)
    )
    before = frozen.transform(X)
    knet = KNet(3, autoencoder=frozen, max_steps=100, random_state=0).fit(X)
    assert knet.transform(X).shape == (150, 3)
    assert adjusted_rand_score(y, knet.labels_) > 0.5
    np.testing.assert_array_equal(frozen.transform(X), before)


def test_lam_keeps_the_data_recoverable_and_the_decoder(moons):
    X, _ = moons
    free, held = (quick(lam=lam, n_refine=0).fit(X) for lam in (0.0, 100.0))
    assert not hasattr(free, "inverse_transform")
    assert "reconstruction" in held.history_ and "reconstruction" not in free.history_
    back = held.inverse_transform(held.transform(X))
    assert np.mean((back - X) ** 2) < 0.05
    # Without, the rows of a cluster fall together, and what they were is lost.
    spread = [np.var(k.transform(X)[k.labels_ == 0], axis=0).sum() for k in (free, held)]
    assert spread[0] < 0.1 * spread[1]


def test_lam_may_change_after_a_fit(moons, tmp_path):
    """What was fitted keeps its decoder, or its lack of one, until the next fit."""
    X, _ = moons
    params = {"n_refine": 0, "max_steps": 10}
    for before, after in ((0.0, 1.0), (1.0, 0.0)):
        knet = quick(lam=before, **params).fit(X).set_params(lam=after)
        assert hasattr(knet, "inverse_transform") == (before > 0)
        save_model(knet, tmp_path / "model")
        again = load_model(tmp_path / "model")
        assert hasattr(again, "inverse_transform") == (before > 0)
        np.testing.assert_array_equal(again.transform(X), knet.transform(X))
        assert hasattr(knet.fit(X), "inverse_transform") == (after > 0)
    fitted = quick(warm_start=True, **params).fit(X)
    with pytest.raises(ValueError, match="warm_start cannot go on with lam=1.0"):
        fitted.set_params(lam=1.0).fit(X)


def test_the_hard_phase_is_without_lam(moons):
    X, _ = moons
    params = {"n_refine": 2, "tol": 0.0, "max_steps": 100, "drift_tol": None}
    history = quick(lam=1.0, **params).fit(X).history_
    assert len(history["label_change"]) == 2
    assert len(history["reconstruction"]) == len(history["loss"]) - 2


# -- schedule ------------------------------------------------------------------------------------


def test_each_phase_can_be_switched_off(moons):
    X, _ = moons
    soft = quick(n_refine=0).fit(X).history_
    assert "label_change" not in soft and len(soft["projector_distance"]) == 1
    hard = quick(max_iter=0, n_refine=3, tol=0.0, drift_tol=None).fit(X).history_
    assert len(hard["label_change"]) == 3 and len(hard["loss"]) == 3


def test_soft_rounds_end_when_u_stays(moons):
    X, _ = moons
    params = {"n_refine": 0, "max_steps": 20, "inner_tol": 1e9, "update_interval": 5}
    assert len(quick(max_iter=5, tol=0.0, **params).fit(X).history_["projector_distance"]) == 5
    # No two subspaces are further apart than 1.
    assert len(quick(max_iter=5, tol=1.1, **params).fit(X).history_["projector_distance"]) == 1


def test_a_soft_round_ends_when_the_encoder_gains_no_more(moons):
    X, _ = moons
    params = {"n_refine": 0, "update_interval": 20, "max_steps": 400, "normalize_degree": False}
    assert quick(inner_tol=0.0, **params).fit(X).n_iter_ > 2
    # Two looks are needed to see a gain.
    assert quick(inner_tol=1e9, **params).fit(X).n_iter_ == 2
    assert quick(inner_tol=0.0, **(params | {"max_steps": 40})).fit(X).n_iter_ == 2


def test_a_kernel_that_is_separate_from_the_start_is_followed_to_the_end(moons):
    """Of the moons the leading eigenvalues are near 1, so the tolerance is near 0."""
    X, y = moons
    assert (
        quick(n_refine=0).fit(X).n_iter_ > quick(n_refine=0, normalize_degree=False).fit(X).n_iter_
    )


@pytest.fixture(scope="module")
def of_irises():
    return KNet(3, max_steps=100, random_state=0).fit(scale(load_iris().data))


@pytest.mark.parametrize(
    "params",
    [
        {"rounding": "rows"},
        {"zero_diagonal": False},
        {"normalize_degree": False},
        {"n_vectors": 2},
    ],
    ids=lambda params: next(iter(params)),
)
def test_every_option_is_used(params, of_irises):
    X, y = scale(load_iris().data), load_iris().target
    other = KNet(3, max_steps=100, random_state=0, **params).fit(X)
    assert normalized_mutual_info_score(y, other.labels_) > 0.6
    assert other.history_["hsic"] != of_irises.history_["hsic"]


def test_a_matrix_in_parts_gives_the_same_result(moons):
    X, y = moons
    whole, parts = quick(max_steps=100).fit(X), quick(max_steps=100, block_size=64).fit(X)
    np.testing.assert_allclose(whole.history_["hsic"], parts.history_["hsic"], rtol=1e-3)
    np.testing.assert_array_equal(whole.labels_, parts.labels_)


def test_separate_clusters_are_told_by_one_vector_less(moons, monkeypatch):
    """As the kernel is centred; a second vector would split one of the two moons."""
    X, _ = moons
    widths = []

    class Spied(_knet.HSICSchedule):
        def begin(self, *args):
            targets = super().begin(*args)
            widths.append(self.u.shape[1])
            return targets

    monkeypatch.setattr(_knet, "HSICSchedule", Spied)
    for params in ({}, {"sigma_scale": 1.0}, {"n_vectors": 2}, {"n_vectors": 3}):
        quick(max_steps=2, n_refine=1, **params).fit(X)
    assert widths == [1, 2, 2, 3]


def test_warm_start_goes_on_from_the_labels(moons):
    X, y = moons
    knet = quick(warm_start=True).fit(X)
    sigma, first = knet.sigma_, knet.labels_
    knet.fit(X)
    assert knet.sigma_ == sigma
    assert len(knet.history_["label_change"]) == len(knet.history_["projector_distance"])
    np.testing.assert_array_equal(knet.labels_, first)


def test_warm_start_finds_centres_anew_and_keeps_the_numbers_of_clusters():
    X, _ = make_blobs(150, centers=4, n_features=2, random_state=3, cluster_std=2.5)
    knet = quick(4, sigma_scale=1.0, max_steps=100, warm_start=True).fit(X)
    labels, centers = knet.labels_, knet.cluster_centers_
    knet.fit(X)
    assert np.mean(knet.labels_ == labels) > 0.9
    assert not np.array_equal(knet.cluster_centers_, centers)
    means = [knet.transform(X)[knet.labels_ == j].mean(0) for j in range(4)]
    np.testing.assert_allclose(knet.cluster_centers_, means, atol=0.05 * np.abs(means).max())


def test_going_on_without_lam_drops_the_decoder(moons):
    X, _ = moons
    knet = quick(lam=0.1, max_steps=50, n_refine=1, warm_start=True).fit(X)
    assert hasattr(knet, "inverse_transform")
    knet.set_params(lam=0.0).fit(X)
    assert knet.lam_ == 0.0 and knet.module_.decoder is None
    assert not hasattr(knet, "inverse_transform")


# -- drift from the start ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def waves():
    """Three noisy sine waves, one above the other, in the plane."""
    random = np.random.RandomState(0)
    t = random.uniform(0, 2 * np.pi, (3, 120))
    height = np.sin(t) + 1.3 * np.arange(3)[:, None] + 0.1 * random.randn(3, 120)
    X = np.stack([t.ravel(), height.ravel()], axis=1)
    return scale(X).astype(np.float32), np.repeat([0, 1, 2], 120)


def test_clusters_that_drift_are_given_up_for_those_of_the_start(waves, monkeypatch):
    X, y = waves
    wrong = np.roll(y, 60)
    monkeypatch.setattr(_kernel_alternation, "rounded", lambda *args: wrong)
    monkeypatch.setattr(
        SpectralStart, "chosen", lambda operator, *args, **kwargs: start_of(operator, y)
    )
    params = {"max_iter": 0, "n_refine": 5, "max_steps": 600}
    free, held = (quick(3, drift_tol=most, **params).fit(X) for most in (None, 0.01))
    assert "start_change" not in free.history_
    assert normalized_mutual_info_score(y, free.labels_) < 0.8
    assert normalized_mutual_info_score(y, held.labels_) > 0.9
    assert held.history_["start_change"][-1] < held.history_["start_change"][0]


def start_of(operator, labels):
    graph = neighbor_graph(operator.z)
    return SpectralStart(labels, graph, modularity(graph, labels))


def test_clusters_that_stay_are_kept_as_training_made_them(moons):
    X, _ = moons
    free, held = (quick(drift_tol=d).fit(X) for d in (None, 0.01))
    np.testing.assert_array_equal(free.cluster_centers_, held.cluster_centers_)
    assert "start_change" not in held.history_


@pytest.mark.parametrize(("n_clusters", "n_refine"), [(1, 1), (2, 0)])
def test_nothing_is_held_without_other_clusters_or_the_hard_phase(moons, n_clusters, n_refine):
    knet = quick(n_clusters, n_refine=n_refine, drift_tol=0.0, max_steps=50).fit(moons[0])
    assert "start_change" not in knet.history_


def test_modularity_is_that_of_the_formula(waves):
    X, y = waves
    graph = neighbor_graph(torch.from_numpy(X))
    dense = graph.toarray()
    np.testing.assert_array_equal(dense, dense.T)
    degrees, total = dense.sum(1), dense.sum()
    same = y[:, None] == y
    expected = ((dense - np.outer(degrees, degrees) / total) * same).sum() / total
    assert modularity(graph, y) == pytest.approx(expected)
    assert modularity(graph, np.roll(y, 60)) < modularity(graph, y) - 0.2


def test_the_cut_is_the_share_of_the_kernel_that_leaves_clusters(waves):
    X, y = waves
    operator = KernelOperator(torch.from_numpy(X), 0.3)
    kernel = operator._kernel.double().numpy()
    expected = sum(kernel[np.ix_(y == j, y != j)].sum() / kernel[y == j].sum() for j in range(3))
    assert normalized_cut(operator, y, 3) == pytest.approx(expected, rel=1e-4)


def test_the_start_is_the_labels_that_the_kernel_or_the_neighbours_rate_best(waves):
    X, y = waves
    operator = KernelOperator(torch.from_numpy(X), 0.1)
    for by_cut in (True, False):
        start = SpectralStart.chosen(operator, [np.roll(y, 60), y], 3, by_cut=by_cut)
        np.testing.assert_array_equal(start.labels, y)
        assert start.drift(y) == 0.0 and start.drift(np.roll(y, 60)) > 0.2


# -- the width by the spectrum -------------------------------------------------------------------


def test_the_width_by_the_spectrum_separates_thin_clusters(moons):
    X, y = moons
    knet = quick(sigma_scale="auto").fit(X)
    assert knet.sigma_ < 0.3 * np.median(pdist(X))
    assert adjusted_rand_score(y, knet.labels_) == 1.0


def test_the_width_by_the_spectrum_is_1_where_none_separates():
    wine = torch.from_numpy(scale(load_wine().data).astype(np.float32))
    generator = torch.Generator().manual_seed(0)
    # Narrow kernels have eigenvalues of 1 there, too, of a few remote rows.
    assert spectral_width(wine, 5.0, 3, generator) == 1.0
    assert spectral_width(wine, 5.0, 1, generator) == 1.0
    assert spectral_width(wine[:5], 5.0, 4, generator) == 1.0
    assert spectral_width(wine, 1e-9, 3, generator) == 1.0


# -- subsets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("max_samples", "n"), [(150, 150), (0.5, 150), (1000, 300), (1.0, 300)])
def test_training_on_a_subset_labels_all_rows(moons, max_samples, n, monkeypatch):
    X, y = moons
    seen = []
    monkeypatch.setattr(
        _kernel_alternation,
        "leading_eigenvectors",
        lambda op, *a, **k: seen.append(len(op)) or real(op, *a, **k),
    )
    knet = quick(max_samples=max_samples).fit(X)
    assert set(seen) == {n}
    assert knet.labels_.shape == (300,)
    assert adjusted_rand_score(y, knet.labels_) > 0.95


real = leading_eigenvectors


def test_a_subset_by_its_spectrum(moons, monkeypatch):
    X, y = moons
    seen = []
    monkeypatch.setattr(
        _kernel_alternation,
        "leading_eigenvectors",
        lambda op, *a, **k: seen.append(len(op)) or real(op, *a, **k),
    )
    knet = quick(max_samples="spectrum").fit(X)
    assert 20 < seen[0] < 300
    assert adjusted_rand_score(y, knet.labels_) > 0.9


def test_memory_maps_are_trained_on_a_subset(moons, tmp_path):
    X, y = moons
    stored = np.memmap(tmp_path / "X", dtype=np.float64, mode="w+", shape=X.shape)
    stored[:] = X
    stored.flush()
    mapped = np.memmap(tmp_path / "X", dtype=np.float64, mode="r", shape=X.shape)
    a, b = (quick(max_samples=150, n_refine=0, max_steps=50).fit(x) for x in (mapped, X))
    np.testing.assert_array_equal(a.labels_, b.labels_)


def test_a_kernel_matrix_that_does_not_fit_is_refused_and_the_way_out_named(moons):
    X = np.zeros((30_000, 2), dtype=np.float32)
    with pytest.raises(ValueError, match=r"30000 rows takes 3\.4 GiB.*max_samples.*block_size"):
        quick().fit(X)


# -- bad input -----------------------------------------------------------------------------------


def test_a_median_distance_of_zero_is_refused():
    X = np.zeros((100, 3))
    X[:5] = np.random.RandomState(0).randn(5, 3)
    for start in ("identity", "pretrain"):
        with pytest.raises(ValueError, match="sigma='median' is 0"):
            KNet(2, start=start).fit(X)
    # Of another representation it can be known only once there is an embedding.
    ae = Autoencoder(hidden_layer_sizes=(8,), min_steps=1, max_epochs=1, random_state=0)
    with pytest.raises(ValueError, match="sigma='median' is 0"):
        KNet(2, autoencoder=ae).fit(X)
    with pytest.warns(UserWarning, match="5 of 100 rows have no neighbours"):
        knet = KNet(2, sigma=0.1, random_state=0).fit(X)
    assert np.isfinite(knet.transform(X)).all()


def test_an_isolated_row_is_reported_and_joins_the_nearest_cluster(moons):
    X, y = moons
    X = np.concatenate([X, [[30.0, 30.0]]]).astype(np.float32)
    with pytest.warns(UserWarning, match="1 of 301 rows have no neighbours") as caught:
        knet = quick().fit(X)
    assert caught[0].filename == __file__
    assert adjusted_rand_score(y, knet.labels_[:-1]) > 0.95


def test_a_bandwidth_that_isolates_all_rows_is_refused(moons):
    X, _ = moons
    with pytest.raises(ValueError, match="sigma is too small"):
        quick(sigma=1e-5).fit(X[::10])


@pytest.mark.parametrize("max_samples", [1, 0.003])
def test_subsets_smaller_than_the_clusters_are_refused(moons, max_samples):
    with pytest.raises(ValueError, match="max_samples=.* leaves 1 rows.*n_clusters=2"):
        quick(max_samples=max_samples).fit(moons[0])


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"n_vectors": 301}, "n_vectors=301"),
        ({"max_iter": 0, "n_refine": 0}, "max_iter=0 and n_refine=0"),
        ({"start": "pretrain", "autoencoder": IdentityAutoencoder()}, "autoencoder__start"),
        ({"n_clusters": 301}, "n_samples=300.*n_clusters=301"),
    ],
)
def test_parameters_that_contradict_are_refused(moons, params, match):
    with pytest.raises(ValueError, match=match):
        quick(**params).fit(moons[0])


@pytest.mark.parametrize("n_clusters", [1, 29, 30])
def test_one_cluster_and_as_many_as_rows(moons, n_clusters):
    X = moons[0][:30]
    knet = quick(n_clusters, sigma_scale=1.0, max_steps=100).fit(X)
    assert len(np.unique(knet.labels_)) == n_clusters
    np.testing.assert_array_equal(knet.predict(X), knet.labels_)


# -- scikit-learn --------------------------------------------------------------------------------


def test_a_grid_search_over_the_bandwidth_finds_the_moons(moons):
    X, y = moons
    search = GridSearchCV(
        make_pipeline(StandardScaler(), quick()),
        {"knet__sigma_scale": [0.1, 3.0], "knet__lam": [1e-3]},
        scoring="adjusted_rand_score",
        cv=2,
        error_score="raise",
    ).fit(X, y)
    assert search.best_params_["knet__sigma_scale"] == 0.1
    assert search.best_score_ > 0.95
