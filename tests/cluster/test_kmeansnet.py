"""k-meansNet and TELL: objectives equal plain loops; who moves when; ends before a cluster does."""

import math

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import adjusted_rand_score, pairwise_distances
from torch.autograd import gradcheck

from sklearn_deepcluster import DEC, Autoencoder, KMeansNet, load_model, save_model
from sklearn_deepcluster._engine import Step, Trainer
from sklearn_deepcluster.cluster._kmeans_layer import KMeansLayer, KMeansLayerLoss, softness
from sklearn_deepcluster.cluster._start import seed_rows
from sklearn_deepcluster.cluster._tell import (
    Round,
    UnitKMeansLoss,
    move_centers,
    unit_centers,
)
from sklearn_deepcluster.losses import ReconstructionLoss
from tests._instances import assert_same_fit
from tests.cluster.conftest import small_autoencoder

# Neither the calm of the labels nor their drift ends the training.
_FREE = {"tol": 0.0, "drift_tol": None}


def quick(autoencoder, n_clusters=3, **params):
    defaults = {"max_epochs": 8, "min_steps": 0, "update_interval": 5, "batch_size": 30}
    return KMeansNet(
        n_clusters, autoencoder=autoencoder, random_state=0, **(defaults | _FREE | params)
    )


def draw(shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def squared(a, b):
    return sum((float(u) - float(v)) ** 2 for u, v in zip(a, b, strict=True))


# -- the layer and its objective -----------------------------------------------------------------


@torch.no_grad()
def test_the_coupled_layer_is_soft_k_means():
    """At its start the loss is that of soft k-means: sum over I times the squared distance."""
    x, centers, alpha = draw((5, 2)), draw((3, 2), 1), 0.7
    layer = KMeansLayer.at(centers, alpha)
    terms = KMeansLayerLoss(alpha)(Step(layer(x), x))
    expected = entropy = 0.0
    for i in range(5):
        distances = [squared(x[i], centers[j]) for j in range(3)]
        total = sum(math.exp(-alpha * d) for d in distances)
        for d in distances:
            p = math.exp(-alpha * d) / total
            expected += p * d / 5
            entropy -= p * math.log(p) / 5
    shift = float(layer.bias.mean())
    assert (float(terms["loss"]) - shift) / alpha == pytest.approx(expected)
    assert float(terms["entropy"]) == pytest.approx(entropy)


def test_the_gradient_is_that_of_the_formula():
    """dL / dz_j = -p_j (1 + z_j - f) with f = sum_j p_j z_j; for the biases, less its mean."""
    x, alpha = draw((4, 2)), 0.7
    layer = KMeansLayer(draw((3, 2), 1), draw(3, 2))
    KMeansLayerLoss(alpha)(Step(layer(x), x))["loss"].backward()
    weight, bias = np.zeros((3, 2)), np.zeros(3)
    for i in range(4):
        z = layer(x)[0][i].tolist()
        p = np.exp(z) / np.exp(z).sum()
        f = float(p @ z)
        for j in range(3):
            slope = -p[j] * (1 + z[j] - f) / 4
            weight[j] += slope * x[i].numpy()
            bias[j] += slope
    np.testing.assert_allclose(layer.weight.grad, weight, rtol=1e-10)
    np.testing.assert_allclose(layer.bias.grad, bias + 1 / 3, rtol=1e-10)
    assert float(layer.bias.grad.sum()) == pytest.approx(0.0, abs=1e-12)


def test_the_gradient_of_the_layer_is_right():
    x, loss = draw((4, 2)), KMeansLayerLoss(0.7)

    def by_head(weight, bias):
        return loss(Step((x @ weight.T + bias, bias), x))["loss"]

    assert gradcheck(by_head, [draw((3, 2), 1).requires_grad_(), draw(3, 2).requires_grad_()])


@torch.no_grad()
def test_the_loss_does_not_see_a_shift_of_all_biases():
    """The printed one sinks by as much as they rise, for ever."""
    x, loss = draw((4, 2)), KMeansLayerLoss(0.7)
    weight, bias = draw((3, 2), 1), draw(3, 2)
    ours, printed = [], []
    for shift in (0.0, 5.0):
        layer = KMeansLayer(weight, bias + shift)
        logits = layer(x)[0]
        ours.append(float(loss(Step((logits, layer.bias), x))["loss"]))
        gap = 0.7 * x.square().sum(1, keepdim=True) - logits
        printed.append(float((logits.softmax(1) * gap).sum(1).mean()))
    assert ours[0] == pytest.approx(ours[1])
    assert printed[1] == pytest.approx(printed[0] - 5.0)


# -- the objective of TELL -----------------------------------------------------------------------


def unit_loss(gamma=0.7):
    return UnitKMeansLoss(draw((3, 2), 1), ReconstructionLoss(), gamma)


@torch.no_grad()
def test_the_objective_of_tell_equals_the_loops():
    loss = unit_loss()
    z, x, back = unit_centers(draw((4, 2), 4)), draw((4, 5), 5), draw((4, 5), 6)
    terms = loss(Step((z, back), x, targets=Round.NETWORK))
    distance = sum(min(squared(z[i], c) for c in loss.centers) for i in range(4)) / 8
    error = sum(float((x[i, j] - back[i, j]) ** 2) for i in range(4) for j in range(5)) / 20
    assert float(terms["distance"]) == pytest.approx(distance)
    assert float(terms["reconstruction"]) == pytest.approx(error)
    assert float(terms["loss"]) == pytest.approx(error + 0.7 * distance)
    terms = loss(Step((z, back), x, targets=Round.CENTERS))
    assert float(terms["loss"]) == pytest.approx(error)


def test_the_gradient_of_tell_is_right():
    loss = unit_loss()
    x, outputs = draw((4, 5), 5), [draw((4, 2), 4).requires_grad_(), draw((4, 5)).requires_grad_()]
    assert gradcheck(lambda z, back: loss(Step((unit_centers(z), back), x))["loss"], outputs)


@torch.no_grad()
def test_centres_move_in_their_rounds_alone():
    loss = unit_loss()
    z, x = unit_centers(draw((4, 2), 4)), draw((4, 5), 5)
    before = loss.centers.clone()
    for moves in (Round.NETWORK, Round.CENTERS):
        step = Step((z, x), x, targets=moves)
        loss(step)
        assert torch.equal(loss.centers, before), "not before the weights have moved"
        loss.after_step(step)
        assert torch.equal(loss.centers, before) == (moves is Round.NETWORK)


def test_centres_turn_towards_their_rows():
    centers = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    z = unit_centers(torch.tensor([[3.0, 1.0], [2.0, 1.0], [0.1, 1.0]]))
    moved = centers.clone()
    move_centers(moved, z)
    direction = z[:2].mean(0).numpy() / np.linalg.norm(z[:2].mean(0))
    expected = np.array([1.0, 0.0]) + 0.1 * direction
    np.testing.assert_allclose(moved[0], expected / np.linalg.norm(expected), rtol=1e-6)
    np.testing.assert_allclose(moved.norm(dim=1), 1.0, rtol=1e-6)
    assert torch.equal(moved[2], centers[2]), "a centre without rows stays"
    for _ in range(200):
        move_centers(moved, z)
    np.testing.assert_allclose(moved[0], direction, atol=1e-5)


# -- TELL ----------------------------------------------------------------------------------------


@pytest.fixture
def watch(spy, monkeypatch):
    """The spy of the rounds, for objectives whose centres are no parameters."""
    seen = []

    def look(net, **kwargs):
        seen.append(
            {
                "moves": net.targets is Round.CENTERS,
                "centers": net.criterion_.centers.clone(),
                "weight": next(net.module_.parameters()).detach().clone(),
            }
        )

    monkeypatch.setattr(spy, "on_epoch_begin", look)
    spy.seen = seen
    return spy


def test_rounds_of_centres_and_of_the_network_take_turns(frozen, blobs, watch):
    model = quick(frozen, callbacks=[watch]).fit(blobs[0])
    assert [seen["moves"] for seen in watch.seen] == [True, False] * 4
    assert model.n_iter_ == 8
    for before, after in zip(watch.seen, watch.seen[1:], strict=False):
        assert torch.equal(before["centers"], after["centers"]) != before["moves"]
        assert not torch.equal(before["weight"], after["weight"])
    rows = model.history_
    for i, loss in enumerate(rows["loss"]):
        expected = rows["reconstruction"][i] + (rows["distance"][i] if i % 2 else 0.0)
        assert loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("max_epochs", "n_rounds"), [(1, 2), (2, 2), (5, 3), (100, 4)])
def test_few_steps_train_the_network_too(max_epochs, n_rounds, frozen, blobs, watch):
    params = {"update_interval": "auto", "batch_size": 256, "callbacks": [watch], "gamma": 10.0}
    model = quick(frozen, max_epochs=max_epochs, **params).fit(blobs[0][:60])
    assert model.n_iter_ == n_rounds
    assert [seen["moves"] for seen in watch.seen[:2]] == [True, False]
    assert model.history_["loss"][1] > model.history_["reconstruction"][1]


def test_the_error_of_hidden_layers_is_recorded(blobs):
    """Its weight times it is part of the reconstruction."""
    for weight in (0.0, 0.5):
        autoencoder = small_autoencoder(hidden_weight=weight, max_epochs=1)
        history = quick(autoencoder, max_epochs=2).fit(blobs[0]).history_
        assert ("hidden" in history) == (weight > 0)
    assert (0.5 * np.array(history["hidden"]) < history["reconstruction"]).all()


def test_embedding_and_centres_lie_on_the_sphere(frozen, blobs):
    X, _ = blobs
    model = quick(frozen).fit(X)
    np.testing.assert_allclose(np.linalg.norm(model.transform(X), axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(model.cluster_centers_, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(model.coef_, 2 * model.alpha_ * model.cluster_centers_, rtol=1e-5)
    assert not model.intercept_.any()
    nearest = (model.transform(X) @ model.cluster_centers_.T).argmax(1)
    np.testing.assert_array_equal(model.labels_, nearest)
    assert model.inverse_transform(model.cluster_centers_).shape == (3, 6)


def test_rows_come_nearer_to_their_centres(frozen, blobs):
    X, _ = blobs
    weak, strong = (quick(frozen, gamma=gamma, max_epochs=40).fit(X) for gamma in (0, 10.0))
    assert strong.history_["distance"][-1] < 0.5 * weak.history_["distance"][-1]
    assert weak.history_["reconstruction"][-1] < strong.history_["reconstruction"][-1]


def test_tell_stops_when_labels_settle(frozen, blobs):
    model = quick(frozen, tol=0.2, max_epochs=100).fit(blobs[0])
    assert model.n_iter_ < 100
    assert model.history_["label_change"][-1] < 0.2


# -- the decoupled layer -------------------------------------------------------------------------

FREE = {"variant": "decoupled", "optimizer": "adadelta", "lr": 1.0}


def test_weights_and_biases_go_their_own_ways(frozen, blobs):
    """Coupled, each bias is that of its weights; decoupled it is not, and the encoder stays."""
    X, _ = blobs
    model = quick(frozen, **FREE, alpha=2.0).fit(X)
    coupled = -np.square(model.coef_).sum(1) / (4 * 2.0)
    gap = model.intercept_ - coupled
    assert np.ptp(gap) > 1e-3
    for old, new in zip(
        frozen.estimator.module_.encoder.parameters(),
        model.module_.encoder.parameters(),
        strict=True,
    ):
        assert torch.equal(old, new)
    assert model.module_.decoder is None and not hasattr(model, "inverse_transform")
    assert model.history_["loss"][-1] < model.history_["loss"][0]


def test_one_tiny_step_leaves_the_layer_of_k_means(frozen, blobs):
    X, _ = blobs
    params = {**FREE, "optimizer": "sgd", "lr": 1e-9, "max_epochs": 1}
    model = quick(frozen, **params, alpha=2.0).fit(X)
    Z = model.transform(X)
    kmeans = KMeans(3, n_init=20, random_state=0).fit(Z)
    assert adjusted_rand_score(kmeans.labels_, model.labels_) == 1.0
    centers = model.coef_ / 4.0
    np.testing.assert_allclose(
        np.sort(centers, axis=0), np.sort(kmeans.cluster_centers_, axis=0), atol=1e-3
    )
    np.testing.assert_allclose(model.intercept_, -2.0 * np.square(centers).sum(1), rtol=1e-4)
    # The centres that are kept are the means of the clusters.
    for j in range(3):
        np.testing.assert_allclose(
            model.cluster_centers_[j], Z[model.labels_ == j].mean(0), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("alpha", [1e-3, 1.0, "auto"])
def test_it_ends_before_a_cluster_does(alpha, frozen, blobs):
    """Left alone the layer would go on to lose clusters."""
    X, _ = blobs
    model = quick(frozen, **FREE | {"lr": 5.0}, alpha=alpha, max_epochs=3000).fit(X)
    assert model.n_iter_ < 3000
    assert len(np.unique(model.labels_)) == 3
    assert model.history_["label_change"][-1] > 0
    if alpha != "auto":
        return
    layer = KMeansLayer(torch.from_numpy(model.coef_), torch.from_numpy(model.intercept_))
    optimizer, loss = torch.optim.Adadelta(layer.parameters(), 5.0), KMeansLayerLoss(model.alpha_)
    z = torch.from_numpy(model.transform(X))
    for step in range(4000):
        optimizer.zero_grad()
        loss(Step(layer(z), z))["loss"].backward()
        optimizer.step()
        if step % 100 == 0 and len(layer(z)[0].argmax(1).unique()) < 3:
            return
    pytest.fail("all clusters are left")


def test_the_decoupled_layer_stops_when_the_loss_settles(frozen, blobs):
    params = {**FREE, "optimizer": "sgd", "lr": 1e-6}
    model = quick(frozen, **params, tol=1e-3, max_epochs=100).fit(blobs[0])
    assert model.n_iter_ == 2


def test_it_is_trained_in_float32_whatever_the_precision(frozen, blobs):
    X, _ = blobs
    fits = [quick(frozen, **FREE, precision=p).fit(X) for p in ("float32", "bfloat16")]
    np.testing.assert_array_equal(fits[0].coef_, fits[1].coef_)


@pytest.mark.parametrize("variant", ["tell", "decoupled"])
def test_alpha_by_the_rule_and_by_hand(variant, frozen, blobs):
    X, _ = blobs
    model = quick(frozen, variant=variant, lr=1e-9).fit(X)
    Z = model.transform(X)
    variance = np.square(Z - model.cluster_centers_[model.labels_]).mean()
    assert model.alpha_ == pytest.approx(0.5 / variance, rel=0.02)
    assert softness(torch.zeros(4, 2), torch.zeros(4, dtype=int), torch.zeros(1, 2)) == 5e5
    by_hand = quick(frozen, variant=variant, alpha=3).fit(X)
    assert by_hand.alpha_ == 3.0 and type(by_hand.alpha_) is float
    logits = by_hand.transform(X) @ by_hand.coef_.T + by_hand.intercept_
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(by_hand.predict_proba(X), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(by_hand.predict(X), logits.argmax(1))


# -- the data themselves -------------------------------------------------------------------------


def raw(**params):
    return quick("passthrough", variant="decoupled", **params)


def test_the_data_themselves_can_be_clustered(blobs, tmp_path):
    X, y = blobs
    model = raw(memory=str(tmp_path)).fit(X)
    assert model.coef_.shape == model.cluster_centers_.shape == (3, 6)
    assert model.n_components_ == 6
    assert adjusted_rand_score(y, model.labels_) > 0.5
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    norms = np.linalg.norm(X, axis=1, keepdims=True)
    np.testing.assert_allclose(model.transform(X), X / norms, rtol=1e-5, atol=1e-6)
    free = raw(normalize=False).fit(X)
    scale = np.sqrt(np.square(X).mean())
    np.testing.assert_allclose(free.transform(X), X / scale, rtol=1e-5)
    np.testing.assert_array_equal(raw(normalize=False).fit(64 * X).labels_, free.labels_)
    save_model(model, tmp_path / "model")
    assert_same_fit(model, load_model(tmp_path / "model"))


def test_images_and_given_centres_go_with_the_raw_data(blobs):
    X, y = blobs
    flat = raw().fit(X)
    images = raw().fit(X.reshape(-1, 2, 3))
    np.testing.assert_array_equal(flat.labels_, images.labels_)
    centers = np.stack([X[y == j].mean(0) for j in range(3)])
    assert adjusted_rand_score(y, raw(init=centers).fit(X).labels_) > 0.5
    with pytest.raises(ValueError, match="init has centres in 5 dimensions; the embedding has 6"):
        raw(init=centers[:, :5]).fit(X)


def test_parameters_of_no_autoencoder_cannot_be_set():
    with pytest.raises(ValueError, match="autoencoder__lr cannot be set.*passthrough"):
        raw().set_params(autoencoder__lr=1e-3)
    assert isinstance(KMeansNet().set_params(autoencoder__lr=1e-3).autoencoder, Autoencoder)


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"autoencoder": "passthrough"}, "variant='tell'.*autoencoder='passthrough' has none"),
        ({"normalize": False}, "variant='tell' needs normalize=True"),
        ({"init": [[1, 0, 0], [0, 1, 0], [1, 0, 0]]}, "init has equal centres"),
        ({"init": [[1, 0, 0], [0, 1, 0], [2, 0, 0]]}, "init has equal centres"),
        ({"init": [[1, 0, 0], [0, 1, 0], [0, 0, 0]]}, "init has a centre at 0"),
        ({"init": [[1, 0, 0], [0, 1, 0], [1, 0, 0]], **FREE}, "init has equal centres"),
        ({"autoencoder": "raw"}, "autoencoder"),
        ({"alpha": "median"}, "alpha"),
    ],
)
def test_what_does_not_go_together_is_refused(params, match, unfitted, blobs, monkeypatch):
    monkeypatch.setattr(Trainer, "train", lambda *args, **kw: pytest.fail("training has started"))
    with pytest.raises(ValueError, match=match):
        quick(**({"autoencoder": unfitted} | params)).fit(blobs[0])


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("last", [[2, 0, 0], [0, 0, 0]], ids=["direction", "zero"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_decoupled_layer_takes_centres_as_they_are(last, normalize, frozen, blobs):
    init = [[1, 0, 0], [0, 1, 0], last]
    params = {"optimizer": "sgd", "lr": 1e-9, "max_epochs": 1, "alpha": 2.0}
    model = quick(frozen, init=init, normalize=normalize, variant="decoupled", **params)
    np.testing.assert_allclose(model.fit(blobs[0]).coef_, 4.0 * np.array(init), atol=1e-4)


def test_one_component_on_the_sphere_makes_two_clusters_at_most(blobs, monkeypatch):
    X, _ = blobs
    x, match = X[:, :1], "variant='decoupled' with normalize=False"
    with pytest.raises(ValueError, match=match):
        raw().fit(x)
    two = raw(n_clusters=2).fit(x)
    assert sorted(np.unique(two.transform(x))) == [-1.0, 1.0] and len(np.unique(two.labels_)) == 2
    assert len(np.unique(raw(normalize=False).fit(x).labels_)) == 3
    line = FrozenEstimator(small_autoencoder(n_components=1, max_epochs=1, random_state=0).fit(X))
    monkeypatch.setattr(Trainer, "train", lambda *args, **kw: pytest.fail("training has started"))
    for autoencoder in (line, small_autoencoder(n_components=1)):
        with pytest.raises(ValueError, match=match):
            quick(autoencoder).fit(X)


# -- parameters that are changed after fit --------------------------------------------------------

CHANGES = [
    ({}, {"variant": "decoupled"}, "another variant='decoupled'.*fitted with variant='tell'"),
    (FREE, {"variant": "tell"}, "another variant='tell'.*fitted with variant='decoupled'"),
    (FREE, {"normalize": False}, "another normalize=False.*fitted with normalize=True"),
    (FREE, {"autoencoder": "passthrough"}, "another autoencoder='passthrough'.*an autoencoder"),
]


@pytest.mark.parametrize(("params", "change", "match"), CHANGES)
def test_no_fit_goes_on_with_another_model(params, change, match, frozen, blobs):
    X, _ = blobs
    model = quick(frozen, warm_start=True, max_epochs=1, **params).fit(X)
    before = model.coef_.copy(), model.intercept_.copy()
    model.set_params(**change)
    with pytest.raises(ValueError, match=f"partial_fit cannot go on with {match}"):
        model.partial_fit(X)
    with pytest.raises(ValueError, match=f"warm_start cannot go on with {match}"):
        model.fit(X)
    np.testing.assert_array_equal(model.coef_, before[0])
    np.testing.assert_array_equal(model.intercept_, before[1])


def test_no_fit_goes_on_from_the_data_themselves_with_an_autoencoder(blobs, unfitted):
    X, _ = blobs
    model = raw(warm_start=True, max_epochs=1).fit(X).set_params(autoencoder=unfitted)
    for go_on in (model.partial_fit, model.fit):
        with pytest.raises(ValueError, match="(?s)another autoencoder=.*'passthrough'"):
            go_on(X)
    assert_same_fit(model.set_params(warm_start=False).fit(X), clone(model).fit(X))


@pytest.mark.parametrize(("params", "change", "match"), CHANGES[:3])
def test_a_changed_parameter_leaves_the_fitted_model(
    params, change, match, unfitted, blobs, tmp_path
):
    """Until the next fit, which takes the parameters as they are then."""
    X, _ = blobs
    model = quick(unfitted, max_epochs=1, **params).fit(X)
    Z, decodes = model.transform(X), hasattr(model, "inverse_transform")
    model.set_params(**change)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert_same_fit(loaded, model)
    for same in (model, loaded):
        np.testing.assert_array_equal(same.transform(X), Z)
        assert hasattr(same, "inverse_transform") == decodes
        if decodes:
            assert same.inverse_transform(same.cluster_centers_).shape == (3, 6)
    for again in (model, loaded):
        assert_same_fit(again.fit(X), clone(again).fit(X))
    assert hasattr(model, "inverse_transform") == (model.variant == "tell")


def test_warm_start_goes_on_with_the_decoupled_layer(frozen, blobs):
    X, _ = blobs
    model = quick(frozen, **FREE, warm_start=True, max_epochs=1).fit(X)
    before = model.coef_, model.alpha_
    model.fit(X)
    assert model.alpha_ == before[1]
    change = np.abs(model.coef_ - before[0]).max()
    assert 0 < change < 0.1 * np.abs(before[0]).max()


# -- initial centres -----------------------------------------------------------------------------


def test_seeds_are_distinct_rows():
    z = np.repeat(np.arange(4.0, dtype=np.float32), 25).reshape(-1, 1)
    for init in ("random", "k-means++"):
        draws = [sorted(seed_rows(init, z, 4, seed).ravel()) for seed in range(20)]
        assert draws == [[0.0, 1.0, 2.0, 3.0]] * 20
    assert len({tuple(seed_rows("random", z, 2, seed).ravel()) for seed in range(20)}) > 3
    few = seed_rows("random", z, 6, 0)
    assert few.shape == (6, 1) and set(few.ravel()) == {0.0, 1.0, 2.0, 3.0}


@pytest.mark.parametrize("init", ["random", "k-means++", "k-means", "ac-gdl"])
@pytest.mark.parametrize("variant", ["tell", "decoupled"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_start_serves(init, variant, frozen, blobs):
    X, _ = blobs
    model = quick(frozen, init=init, variant=variant).fit(X)
    assert len(np.unique(model.labels_)) >= 2
    assert_same_fit(model, clone(model).fit(X))


def test_other_methods_take_no_seeds_for_clusters(frozen, blobs):
    with pytest.raises(ValueError, match="The 'init' parameter of DEC must be a str among"):
        DEC(3, autoencoder=frozen, init="random").fit(blobs[0])


# -- partial_fit ---------------------------------------------------------------------------------

VARIANTS = [{}, FREE]


@pytest.mark.parametrize("params", VARIANTS, ids=["tell", "decoupled"])
def test_the_first_call_is_fit(params, unfitted, blobs):
    X, _ = blobs
    assert_same_fit(quick(unfitted, **params).partial_fit(X), quick(unfitted, **params).fit(X))


@pytest.mark.parametrize("params", VARIANTS, ids=["tell", "decoupled"])
def test_later_calls_move_the_layer_alone(params, frozen, blobs):
    X, _ = blobs
    model = quick(frozen, **params).fit(X[:100])
    old = quick(frozen, **params).fit(X[:100])
    again = model.partial_fit(X[100:])
    assert again is model
    np.testing.assert_array_equal(model.labels_, model.predict(X[100:]))
    gaps = pairwise_distances(model.transform(X[100:]), model.cluster_centers_).min(axis=1)
    assert model.inertia_ == pytest.approx((gaps**2).sum(), rel=1e-4)
    np.testing.assert_array_equal(model.transform(X), old.transform(X))
    assert not np.array_equal(model.coef_, old.coef_)
    for name in ("history_", "loss_", "n_iter_", "alpha_", "embedding_variance_", "scale_"):
        assert getattr(model, name) == getattr(old, name), name
    assert_same_fit(model, old.partial_fit(X[100:]))


def test_centres_follow_new_data(frozen, blobs):
    """Shifted rows draw the centre of their cluster to where they are."""
    X, _ = blobs
    model = quick(frozen).fit(X)
    j = model.labels_[0]
    cluster = X[model.labels_ == j]
    target = unit_centers(torch.from_numpy(model.transform(cluster[:5]))).mean(0)
    target = (target / target.norm()).numpy()
    others = np.delete(model.cluster_centers_, j, axis=0)
    before = model.cluster_centers_[j] @ target
    for _ in range(60):
        model.partial_fit(cluster[:5])
    assert model.cluster_centers_[j] @ target > before
    assert model.cluster_centers_[j] @ target == pytest.approx(1.0, abs=1e-4)
    np.testing.assert_allclose(np.delete(model.cluster_centers_, j, axis=0), others, rtol=1e-5)
    np.testing.assert_allclose(model.coef_, 2 * model.alpha_ * model.cluster_centers_, rtol=1e-5)


def test_many_calls_lose_clusters_of_the_decoupled_layer(frozen, blobs):
    """As the documentation says: nothing holds them there."""
    X, _ = blobs
    model = quick(frozen, variant="decoupled", optimizer="sgd", lr=0.5).fit(X)
    assert len(np.unique(model.labels_)) == 3
    for _ in range(100):
        model.partial_fit(X)
    assert len(np.unique(model.labels_)) < 3


@pytest.mark.parametrize("params", VARIANTS, ids=["tell", "decoupled"])
def test_one_row_and_one_cluster_are_enough_for_partial_fit(params, frozen, blobs):
    X, _ = blobs
    model = quick(frozen, n_clusters=1, **params).fit(X).partial_fit(X[:1])
    assert model.labels_.tolist() == [0]
    np.testing.assert_array_equal(model.predict_proba(X), np.ones((150, 1)))


def test_partial_fit_refuses_what_fit_refuses(frozen, blobs):
    X, _ = blobs
    model = quick(frozen).fit(X)
    before = model.coef_.copy()
    for bad, match in ((X[:, :5], "5 features, but KMeansNet is expecting 6"), (X * np.nan, "NaN")):
        with pytest.raises(ValueError, match=match):
            model.partial_fit(bad)
    with pytest.raises(ValueError, match="batch_size"):
        model.set_params(batch_size=0).partial_fit(X)
    np.testing.assert_array_equal(model.coef_, before)
    with pytest.raises(NotFittedError):
        quick(frozen).predict(X)


# -- the default ---------------------------------------------------------------------------------


def test_the_default_network_embeds_on_the_sphere(blobs):
    X, _ = blobs
    model = KMeansNet(3, random_state=0, max_epochs=1, min_steps=0).set_params(
        autoencoder__hidden_layer_sizes=(8,), autoencoder__min_steps=2, autoencoder__max_epochs=1
    )
    assert model.autoencoder.embedding_activation == "unit_norm"
    ae = clone(model.autoencoder).set_params(random_state=0).fit(X)
    np.testing.assert_allclose(np.linalg.norm(ae.transform(X), axis=1), 1.0, rtol=1e-5)
    assert np.isfinite(model.fit(X).transform(X)).all()


def test_other_networks_are_brought_to_the_sphere(blobs):
    X, _ = blobs
    frozen = FrozenEstimator(small_autoencoder(random_state=0).fit(X))
    model = quick(frozen, max_epochs=1, lr=1e-9, precision="float32").fit(X)
    Z = frozen.transform(X)
    np.testing.assert_allclose(
        model.transform(X), Z / np.linalg.norm(Z, axis=1, keepdims=True), atol=1e-4
    )
    assert not frozen.estimator.module_.unit_norm
