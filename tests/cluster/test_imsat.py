"""IMSAT: the objective equals plain loops, perturbations are adversarial, augmentations arrive."""

import math

import joblib
import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors
from torch import nn
from torch.autograd import gradcheck

from sklearn_deepcluster import IMSAT, MLPEncoder, load_model, save_model
from sklearn_deepcluster._engine import Rows, Step
from sklearn_deepcluster.cluster import _information
from sklearn_deepcluster.cluster._information import InformationLoss, neighbor_radii
from sklearn_deepcluster.losses import mutual_information
from sklearn_deepcluster.nn import AffineJitter
from tests._instances import IMAGE, blobs

QUICK = {"max_epochs": 1, "min_steps": 60, "batch_size": 64}


def quick(**params):
    encoder = MLPEncoder(hidden_layer_sizes=(16,), n_components=16)
    return IMSAT(3, random_state=0, **({"encoder": encoder} | QUICK | params))


def draw(shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


class Net:
    """Stands for the engine: a linear network."""

    def __init__(self, weight):
        self.weight = weight
        self.module_ = nn.Identity()

    def infer(self, x):
        return (x @ self.weight,)


def step_of(x, weight):
    net = Net(weight)
    return Step(net.infer(x), x, torch.arange(len(x)), net=net)


def objective(radii, **options):
    loss = InformationLoss(draw((3, 2), 1), draw((3,), 2), 0.1, 4.0, radii=radii, **options)
    loss.generator = torch.Generator().manual_seed(0)
    return loss


# -- the objective -------------------------------------------------------------------------------


def test_the_entropies_equal_the_loops():
    proba = draw((7, 3)).softmax(1)
    marginal, conditional = mutual_information(proba.log())
    mean = [sum(row[j].item() for row in proba) / 7 for j in range(3)]
    assert marginal.item() == pytest.approx(-sum(m * math.log(m) for m in mean), rel=1e-12)
    each = [-sum(p * math.log(p) for p in row.tolist()) for row in proba]
    assert conditional.item() == pytest.approx(sum(each) / 7, rel=1e-12)


def test_certain_assignments_have_no_entropy_and_no_nan():
    log_proba = torch.tensor([[0.0, -1000.0], [-1000.0, 0.0]], dtype=torch.float64)
    marginal, conditional = mutual_information(log_proba)
    assert marginal.item() == pytest.approx(math.log(2)) and conditional.item() == 0.0


def test_the_objective_equals_the_loops():
    x, weight, other = draw((5, 4)), draw((4, 2), 3), draw((5, 4), 4)
    loss = objective(None, augmentation=lambda batch: batch + other)
    terms = loss(step_of(x, weight))

    def proba(x):
        rows = x @ weight @ loss.weight.T + loss.bias
        return [[math.exp(v) / sum(map(math.exp, row)) for v in row] for row in rows.tolist()]

    p, q = proba(x), proba(x + other)
    divergence = sum(
        a * math.log(a / b) for pair in zip(p, q, strict=True) for a, b in zip(*pair, strict=True)
    )
    mean = [sum(row[j] for row in p) / 5 for j in range(3)]
    marginal = -sum(m * math.log(m) for m in mean)
    conditional = -sum(a * math.log(a) for row in p for a in row) / 5
    expected = divergence / 5 - 0.1 * (4.0 * marginal - conditional)
    assert terms["loss"].item() == pytest.approx(expected, rel=1e-10)
    assert terms["augmented"].item() == pytest.approx(divergence / 5, rel=1e-10)
    assert terms["marginal"].item() == pytest.approx(marginal, rel=1e-10)
    assert terms["conditional"].item() == pytest.approx(conditional, rel=1e-10)


def test_a_weight_is_so_many_rows():
    x, net, other, times = (
        draw((5, 4)),
        draw((4, 2), 3),
        draw((5, 4), 4),
        torch.tensor([1, 3, 2, 1, 2]),
    )
    step = step_of(x, net)
    step.weight = times / times.double().mean()
    found = objective(None, augmentation=lambda batch: batch + other)(step)
    several = other.repeat_interleave(times, 0)
    repeated = step_of(x.repeat_interleave(times, 0), net)
    expected = objective(None, augmentation=lambda batch: batch + several)(repeated)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-12, atol=0)


def test_gradients_reach_network_and_layer_but_not_what_is_known():
    """So the numerical gradient holds what is known of the batch fixed."""
    x, other = draw((4, 3)), draw((4, 3), 5)
    start = draw((3, 2), 3)
    known = objective(None).log_proba(x @ start).detach()

    def value(weight, layer, bias):
        loss = objective(None, augmentation=lambda batch: batch + other)
        del loss._parameters["weight"], loss._parameters["bias"]
        loss.weight, loss.bias = layer, bias
        divergence = loss._divergence
        loss._divergence = lambda step, _, x: divergence(step, known, x)
        return loss(step_of(x, weight))["loss"]

    given = [start, draw((3, 2), 1), draw((3,), 2)]
    assert gradcheck(value, [tensor.requires_grad_() for tensor in given])


def test_the_perturbation_changes_the_assignment_more_than_any_at_random():
    x, weight, radii = draw((6, 5)), draw((5, 2), 3), torch.rand(6, dtype=torch.float64) * 1e-2
    loss, step = objective(radii, xi=1e-2), step_of(x, weight)
    known = loss.log_proba(step.outputs[0]).detach()
    by = loss._adversarial(step, known)
    torch.testing.assert_close(by.norm(dim=1), radii)

    def change(moved):
        log_proba = loss.log_proba(step.network(x + moved)[0])
        return (known.exp() * (known - log_proba)).sum(1)

    for seed in range(20):
        other = nn.functional.normalize(draw((6, 5), 10 + seed)) * radii.unsqueeze(1)
        assert (change(by) >= 0.5 * change(other)).all()
    mean = torch.stack(
        [
            change(nn.functional.normalize(draw((6, 5), s)) * radii.unsqueeze(1))
            for s in range(30, 60)
        ]
    ).mean(0)
    assert (change(by) > 1.5 * mean).all()


def test_no_radius_and_no_gradient_are_no_perturbation():
    x = draw((4, 3))
    loss = objective(torch.zeros(4, dtype=torch.float64))
    for weight in (draw((3, 2), 3), torch.zeros((3, 2), dtype=torch.float64)):
        terms = loss(step_of(x, weight))
        assert terms["augmented"].item() == pytest.approx(0.0, abs=1e-12)
    loss = objective(torch.ones(4, dtype=torch.float64))
    terms = loss(step_of(x, torch.zeros((3, 2), dtype=torch.float64)))
    assert terms["augmented"].item() == pytest.approx(0.0, abs=1e-12)


# -- radii ---------------------------------------------------------------------------------------


def test_radii_are_distances_to_the_nth_neighbour():
    X = draw((40, 3)).float().numpy()
    distances, _ = NearestNeighbors(n_neighbors=6).fit(X).kneighbors()
    np.testing.assert_allclose(neighbor_radii(Rows(X), 6, 0), distances[:, -1], rtol=1e-5)
    farthest = NearestNeighbors(n_neighbors=39).fit(X).kneighbors()[0][:, -1]
    np.testing.assert_allclose(neighbor_radii(Rows(X), 100, 0), farthest, rtol=1e-5)
    assert neighbor_radii(Rows(np.ones((5, 2), np.float32)), 2, 0).tolist() == [0.0] * 5
    assert neighbor_radii(Rows(X[:1]), 10, 0).tolist() == [0.0]


def test_equal_rows_count_as_one_neighbour():
    """Of counts and categories many rows are equal: their radius is not 0 for that."""
    X = draw((40, 3)).float().numpy()
    repeated = np.repeat(X, 12, axis=0)
    radii = neighbor_radii(Rows(repeated), 6, 0)
    np.testing.assert_allclose(radii, np.repeat(neighbor_radii(Rows(X), 6, 0), 12), rtol=1e-5)


def test_radii_of_much_data_are_those_of_a_part(monkeypatch):
    X = draw((900, 3)).float().numpy()
    exact = neighbor_radii(Rows(X), 10, 0)
    monkeypatch.setattr(_information, "RAW_BYTES", 4 * 3 * 450)
    radii = neighbor_radii(Rows(X), 10, 0)
    assert radii.shape == (900,) and radii.dtype == torch.float32 and radii.min() > 0
    assert 0.8 < float((radii / exact).median()) < 1.25
    assert neighbor_radii(Rows(X), 899, 0).shape == (900,)
    assert not torch.equal(radii, neighbor_radii(Rows(X), 10, 1))


# -- the estimator -------------------------------------------------------------------------------


def test_finds_clusters_and_reports_its_terms():
    X, y = blobs()
    model = quick().fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.9
    history = model.history_
    for loss, augmented, marginal, conditional in zip(
        *(history[k] for k in ("loss", "augmented", "marginal", "conditional")), strict=True
    ):
        assert loss == pytest.approx(augmented - 0.1 * (4 * marginal - conditional), rel=1e-4)
    assert model.loss_ == min(history["loss"])
    proba = model.predict_proba(X)
    mean = proba.mean(axis=0, dtype=float)
    information = -(mean * np.log(mean)).sum() + (proba * np.log(proba + 1e-30)).sum(1).mean()
    assert model.score(X) == pytest.approx(information, rel=1e-3)


def test_a_score_that_is_no_number_is_an_error():
    X, _ = blobs()
    with pytest.raises(ValueError, match="embedding of X is not finite"):
        quick(min_steps=4).fit(X).score(1e38 * X.astype(np.float64))


def test_perturbed_rows_do_not_enter_the_statistics_of_batch_normalisation():
    X, _ = blobs()
    params = {"lr": 1e-12, "optimizer": "sgd", "max_epochs": 1, "min_steps": 4}
    plain = quick(lam=0.0, eps_scale=1e-9, **params).fit(X)
    moved = quick(lam=0.0, eps_scale=1e3, **params).fit(X)
    for (name, a), b in zip(plain.module_.named_buffers(), moved.module_.buffers(), strict=True):
        if "num_batches" not in name:
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    counts = [b for name, b in moved.module_.named_buffers() if "num_batches" in name]
    assert counts and all(int(count) == 4 for count in counts)
    assert all(
        layer.track_running_stats
        for layer in moved.module_.modules()
        if hasattr(layer, "track_running_stats")
    )


@pytest.mark.parametrize("adversarial", [False, True])
def test_an_augmentation_gets_images_and_is_seeded(adversarial):
    X, _ = blobs()
    seen = []

    def jitter(batch):
        seen.append(tuple(batch.shape))
        return batch + 0.1 * torch.randn(batch.shape)

    images = X.reshape(-1, *IMAGE)
    params = {"augmentation": jitter, "adversarial": adversarial, "encoder": None}
    params |= {"max_epochs": 1, "min_steps": 4, "encoder__hidden_layer_sizes": (8,)}
    fits = [
        IMSAT(3, random_state=0, batch_size=64).set_params(**params).fit(images) for _ in range(2)
    ]
    assert set(seen) == {(64, 1, *IMAGE)}
    np.testing.assert_array_equal(*(fit.transform(images) for fit in fits))
    assert fits[0].history_["augmented"][0] > 0


def test_an_augmentation_of_the_package_draws_from_the_stream_of_the_training():
    X, _ = blobs()
    images = X.reshape(-1, *IMAGE)
    torch.manual_seed(0)
    first = quick(augmentation=AffineJitter(), min_steps=4).fit(images)
    torch.manual_seed(1)
    second = quick(augmentation=AffineJitter(), min_steps=4).fit(images)
    np.testing.assert_array_equal(first.transform(images), second.transform(images))
    other = quick(augmentation=AffineJitter(degrees=90), min_steps=4).fit(images)
    assert not np.array_equal(first.transform(images), other.transform(images))


def test_what_cannot_be_is_refused_before_any_training(monkeypatch):
    X, _ = blobs()
    with pytest.raises(ValueError, match="augmentation"):
        quick(adversarial=False).fit(X)
    with pytest.raises(ValueError, match="is a class"):
        quick(augmentation=AffineJitter).fit(X)
    for made, words in (
        (lambda batch: batch.numpy(), "augmentation made ndarray"),
        (lambda batch: None, "augmentation made NoneType"),
        (lambda batch: batch * float("nan"), "must stay finite"),
    ):
        with pytest.raises(ValueError, match=words):
            quick(augmentation=made).fit(X)
    with pytest.raises(ValueError, match="batch_size=2 should be >= n_clusters=3"):
        quick(batch_size=2).fit(X)
    with pytest.raises(ValueError, match=r"augmentation made \(64, 15\)"):
        quick(augmentation=lambda batch: batch[:, 1:]).fit(X)
    with pytest.raises(ValueError, match="AffineJitter got a batch"):
        quick(augmentation=AffineJitter()).fit(X)


def test_an_augmentation_may_change_its_batch_and_have_another_dtype():
    X, _ = blobs()
    plain = quick(augmentation=lambda batch: batch + 1.0, min_steps=4).fit(X)
    other = quick(augmentation=lambda batch: batch.add_(1.0).double(), min_steps=4).fit(X)
    np.testing.assert_array_equal(plain.transform(X), other.transform(X))


def test_a_module_as_augmentation_is_copied_and_not_trained():
    X, _ = blobs()
    given = nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16)).eval()
    before = {name: value.clone() for name, value in given.state_dict().items()}
    first = quick(augmentation=given, min_steps=4).fit(X)
    assert all(torch.equal(before[name], value) for name, value in given.state_dict().items())
    assert not given.training and given[0].weight.requires_grad and given[0].weight.grad is None
    with joblib.parallel_config("threading"):
        again = quick(augmentation=given, min_steps=4, n_init=2, n_jobs=2).fit(X)
    assert again.n_iter_ == first.n_iter_


def test_an_encoder_without_a_gradient_is_refused_by_name():
    class Steps(nn.Module):
        def __init__(self, n_features):
            super().__init__()
            self.linear = nn.Linear(n_features, 4)

        def forward(self, x):
            return self.linear((x > 0).float())

    with pytest.raises(ValueError, match="adversarial=True expects an encoder"):
        quick(encoder=Steps).fit(blobs()[0])


def test_saved_models_predict_as_they_did(tmp_path):
    X, _ = blobs()
    model = quick(init="k-means", min_steps=20).fit(X)
    save_model(model, tmp_path / "imsat")
    again = load_model(tmp_path / "imsat")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


# -- the jitter ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["degrees", "scale", "shear", "translate"])
@pytest.mark.parametrize("amount", [-0.1, "much", None, float("nan")])
def test_amounts_are_checked(name, amount):
    with pytest.raises(ValueError, match=name):
        AffineJitter(**{name: amount})


def test_a_scale_is_one_of_the_image(monkeypatch):
    x = torch.zeros(1, 1, 41, 41)
    x[..., 16:25, 16:25] = 1.0
    draws = torch.tensor([[0.5], [1.0], [0.5], [0.5], [0.5]])
    monkeypatch.setattr(torch, "rand", lambda *shape, **kw: draws)
    larger = AffineJitter(degrees=0, scale=0.5, shear=0, translate=0)(x)
    assert float(larger.sum() / x.sum()) == pytest.approx(1.5**2, rel=0.05)


def test_no_jitter_changes_nothing_and_each_amount_does_what_it_says():
    x = torch.rand(6, 2, 9, 12)
    still = AffineJitter(degrees=0, scale=0, shear=0, translate=0)
    torch.testing.assert_close(still(x), x, rtol=0, atol=1e-5)
    for amount in ("degrees", "scale", "shear", "translate"):
        only = {"degrees": 0, "scale": 0, "shear": 0, "translate": 0, amount: 0.3}
        only["degrees"] *= 100
        moved = AffineJitter(**only)(x)
        assert moved.shape == x.shape and not torch.allclose(moved, x, atol=1e-2)
        assert not torch.allclose(moved[0] - x[0], moved[1] - x[1], atol=1e-2)
        assert moved.min() >= x.min() - 1e-5 and moved.max() <= x.max() + 1e-5


def test_an_image_is_turned_as_it_is_whatever_its_sides(monkeypatch):
    """A rotation keeps distances: a disc stays a disc in an image that is not square."""
    height, width = 21, 41
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    disc = ((rows - 10) ** 2 + (columns - 20) ** 2 <= 49).float()[None, None]
    monkeypatch.setattr(torch, "rand", lambda *shape, **kw: torch.tensor([[1.0], *[[0.5]] * 4]))
    turned = AffineJitter(degrees=40, scale=0, shear=0, translate=0)(disc)
    assert (turned - disc).abs().mean() < 0.02
