"""DKM: the objective equals plain loops, gradients pass the assignments, alpha grows."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch.autograd import gradcheck

from sklearn_deepcluster import DKM, load_model, save_model
from sklearn_deepcluster._engine import Step
from sklearn_deepcluster.cluster._dkm import SoftDistanceLoss, annealed_alphas
from sklearn_deepcluster.losses import ReconstructionLoss
from tests.cluster.conftest import small_autoencoder

QUICK = {"max_epochs": 8, "min_steps": 0, "batch_size": 30, "lr": 5e-3, "tol": 0.0}
QUICK["drift_tol"] = None


def quick(autoencoder, **params):
    return DKM(3, autoencoder=autoencoder, random_state=0, precision="float32", **(QUICK | params))


def draw(shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


# -- the objective -------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.1, 2.0, 1000.0])
def test_the_objective_equals_the_loops(alpha):
    index, z, x, back = torch.tensor([4, 0, 2]), draw((3, 2)), draw((3, 4), 2), draw((3, 4), 3)
    loss = SoftDistanceLoss(draw((3, 2), 1), torch.zeros(5, dtype=int), ReconstructionLoss(), 0.7)
    terms = loss(Step((z, back), x, index, alpha))
    distance = 0.0
    for row in z.tolist():
        gaps = [sum((a - b) ** 2 for a, b in zip(row, c, strict=True)) for c in loss.centers]
        gaps = [gap.item() for gap in gaps]
        powers = [math.exp(-alpha * (gap - min(gaps))) for gap in gaps]
        distance += sum(g * p / sum(powers) for g, p in zip(gaps, powers, strict=True)) / 3
    error = float((x - back).square().mean())
    assert float(terms["distance"]) == pytest.approx(distance, rel=1e-10)
    assert float(terms["reconstruction"]) == pytest.approx(error, rel=1e-12)
    assert terms["loss"].item() == pytest.approx(error + 0.7 * distance, rel=1e-10)
    nearest = (z.unsqueeze(1) - loss.centers).square().sum(2).argmin(1)
    assert loss.labels[index].tolist() == nearest.tolist() and loss.labels[[1, 3]].tolist() == [
        0,
        0,
    ]


def test_gradients_pass_the_assignments_and_reach_the_representatives():
    labels, index, x = torch.zeros(3, dtype=int), torch.arange(3), draw((3, 4), 2)

    def value(z, back, centers):
        loss = SoftDistanceLoss(centers, labels, ReconstructionLoss(), 0.7)
        del loss._parameters["relative"]
        loss.relative = centers
        return loss(Step((z, back), x, index, 1.5))["loss"]

    given = [draw(s, 3).requires_grad_() for s in ((3, 2), (3, 4), (3, 2))]
    assert gradcheck(value, given)


def test_representatives_move_in_the_unit_of_the_embedding():
    """The same loss; a step of so much is as large a share of the embedding, however wide."""
    z, back, x, index = draw((3, 2)), draw((3, 4), 3), draw((3, 4), 2), torch.arange(3)
    centers, labels = draw((2, 2), 1), torch.zeros(3, dtype=int)
    losses = [SoftDistanceLoss(centers, labels, ReconstructionLoss(), 0.7, u) for u in (1.0, 8.0)]
    values = [loss(Step((z, back), x, index, 2.0))["loss"] for loss in losses]
    assert values[0].item() == pytest.approx(values[1].item(), rel=1e-12)
    with torch.no_grad():
        for loss in losses:
            loss.relative += 0.5
    gaps = [(loss.centers - centers).detach() for loss in losses]
    np.testing.assert_allclose(gaps[1], 8 * gaps[0], rtol=1e-12)


def test_the_annealed_alphas_are_those_of_the_paper():
    alphas = annealed_alphas()
    assert alphas[:5] == pytest.approx([0.1, 0.423, 0.752, 1.078, 1.409], abs=1e-3)
    assert len(alphas) == 40 and alphas[-1] == pytest.approx(28.13, abs=5e-3)


# -- the algorithm -------------------------------------------------------------------------------


def test_clusters_are_found_and_become_tighter(frozen, blobs):
    X, y = blobs
    loose, tight = (quick(frozen, lam=lam, max_epochs=20).fit(X) for lam in (0.0, 3.0))
    assert tight.score(X) > loose.score(X) + 0.05
    assert adjusted_rand_score(y, tight.labels_) > 0.8
    assert tight.history_["distance"][-1] < 0.7 * loose.history_["distance"][-1]


def test_lam_zero_is_the_plain_autoencoder(frozen, blobs):
    model = quick(frozen, lam=0.0).fit(blobs[0])
    assert model.history_["loss"] == model.history_["reconstruction"]


def test_each_alpha_serves_an_equal_share_of_the_epochs(frozen, blobs):
    model = quick(frozen, alpha=[0.5, 1.0, 1.0, 4.0]).fit(blobs[0])
    assert model.history_["alpha"] == [0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 4.0, 4.0]
    assert model.alpha_ == 4.0
    # Each value has an epoch, and few changes do not end the series before its last.
    model = quick(frozen, alpha="annealed", max_epochs=1, tol=1.0, drift_tol=0.01).fit(blobs[0])
    assert model.history_["alpha"] == annealed_alphas()


def test_from_scratch_it_needs_no_pretraining(blobs):
    X, y = blobs
    ae = small_autoencoder(max_epochs=0, min_steps=0)
    model = quick(ae, alpha="annealed", init="random", lam=0.01, max_epochs=160).fit(X)
    assert model.history_["pretraining_loss"] == []
    assert adjusted_rand_score(y, model.labels_) > 0.8


def test_probabilities_are_a_softmax_of_the_distances(frozen, blobs):
    X, _ = blobs
    model = quick(frozen, alpha=0.3).fit(X)
    gaps = np.square(model.transform(X)[:, None] - model.cluster_centers_).sum(2)
    powers = np.exp(-0.3 * (gaps - gaps.min(1, keepdims=True)))
    expected = powers / powers.sum(1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-5)
    assert ((model.predict_proba(X).max(1) > 0.5) & (model.predict_proba(X).max(1) < 0.99)).any()


def test_labels_of_a_tiny_alpha_are_the_nearest(frozen, blobs):
    X, _ = blobs
    model = quick(frozen, alpha=1e-9).fit(X)
    gaps = np.square(model.transform(X)[:, None] - model.cluster_centers_).sum(2)
    np.testing.assert_array_equal(model.labels_, gaps.argmin(1))


def test_probabilities_of_a_row_do_not_depend_on_the_others(blobs):
    """A steep soft-max hides how the embedding is rounded from who looks at it alone."""
    X, _ = blobs
    model = quick(small_autoencoder(hidden_layer_sizes=(64, 64)), max_epochs=1).fit(X)
    model.alpha_ = 3.0
    whole = model.predict_proba(X)
    for size in (1, 2, 7, 33):
        parts = [model.predict_proba(X[i : i + size]) for i in range(0, len(X), size)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_auto_weighs_both_terms_alike(frozen, blobs):
    X, _ = blobs
    model = quick(frozen, lr=1e-12, max_epochs=1).fit(X)
    history = model.history_
    equal = model.lam_ * history["distance"][0]
    assert equal == pytest.approx(history["reconstruction"][0], rel=1e-2)
    model = quick(frozen, warm_start=True, max_epochs=1).fit(X)
    before = model.lam_
    assert model.fit(X).lam_ == before


def test_it_stops_where_few_labels_change(frozen, blobs):
    model = quick(frozen, tol=0.5, max_epochs=50).fit(blobs[0])
    assert model.n_iter_ == 1 and model.history_["label_change"][-1] < 0.5


def test_warm_start_goes_on_with_representatives_and_the_last_alpha(unfitted, blobs):
    X, _ = blobs
    model = quick(unfitted, warm_start=True, max_epochs=2, alpha=[1.0, 5.0]).fit(X)
    centers = model.cluster_centers_
    model.set_params(lr=1e-12).fit(X)
    assert model.history_["alpha"] == [5.0, 5.0]
    np.testing.assert_allclose(model.cluster_centers_, centers, atol=1e-5)


def test_a_saved_model_has_its_alpha(unfitted, blobs, tmp_path):
    X, _ = blobs
    model = quick(unfitted, alpha=[0.1, 0.7]).fit(X)
    save_model(model, tmp_path / "dkm")
    again = load_model(tmp_path / "dkm")
    assert again.alpha_ == 0.7
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize(
    "alpha", [0, -1.0, [], [1.0, 0.5], [0.0, 1.0], [1.0, np.nan], [[1.0]], ["a"], "other", None]
)
def test_bad_alphas_are_refused_by_name(alpha, unfitted, blobs):
    with pytest.raises(ValueError, match="alpha"):
        quick(unfitted, alpha=alpha).fit(blobs[0])
