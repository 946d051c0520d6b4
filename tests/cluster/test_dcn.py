"""DCN: the objective equals plain loops; assignments and centres follow on line, as published."""

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch import nn
from torch.autograd import gradcheck

from sklearn_deepcluster import DCN, load_model, save_model
from sklearn_deepcluster._engine import Rows, Step, Trainer, generator
from sklearn_deepcluster._engine._rows import shuffled_order
from sklearn_deepcluster.cluster._dcn import HardAssignmentLoss, moved_centers
from sklearn_deepcluster.cluster._task import Task
from sklearn_deepcluster.losses import ReconstructionLoss
from sklearn_deepcluster.nn import AutoencoderModule
from tests.cluster.conftest import start_from

QUICK = {"max_epochs": 8, "min_steps": 0, "batch_size": 30, "lr": 5e-3, "tol": 0.0}
QUICK["drift_tol"] = None


def quick(autoencoder, **params):
    return DCN(3, autoencoder=autoencoder, random_state=0, precision="float32", **(QUICK | params))


def draw(shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def loss_of(labels, lam=0.7):
    counts = torch.full((3,), 5.0, dtype=torch.float64)
    return HardAssignmentLoss(draw((3, 2), 1), counts, labels, ReconstructionLoss(), lam)


# -- the objective -------------------------------------------------------------------------------


def test_the_objective_equals_the_loops():
    labels, index = torch.tensor([2, 0, 1, 1, 0]), torch.tensor([4, 0, 2])
    loss, z, x, back = loss_of(labels), draw((3, 2)), draw((3, 4), 2), draw((3, 4), 3)
    error = sum(float((x[i, j] - back[i, j]) ** 2) for i in range(3) for j in range(4)) / 12
    distance = sum(
        float((z[i, a] - loss.centers[labels[index[i]], a]) ** 2)
        for i in range(3)
        for a in range(2)
    )
    terms = loss(Step((z, back), x, index))
    assert float(terms["reconstruction"]) == pytest.approx(error, rel=1e-12)
    assert float(terms["distance"]) == pytest.approx(distance / 3, rel=1e-12)
    assert float(terms["loss"]) == pytest.approx(error + 0.7 / 2 * distance / 3, rel=1e-12)


def test_the_gradient_is_right():
    loss, index = loss_of(torch.tensor([2, 0, 1])), torch.arange(3)
    x, outputs = draw((3, 4), 2), [draw(s, 3).requires_grad_() for s in ((3, 2), (3, 4))]
    assert gradcheck(lambda *o: loss(Step(o, x, index))["loss"], outputs)


@pytest.mark.parametrize("first_count", [0.0, 1.0, 100.0])
def test_a_batch_moves_the_centres_as_the_loop_over_its_rows(first_count):
    centers, z = draw((4, 2), 1), draw((30, 2), 2)
    labels = torch.from_numpy(np.random.default_rng(3).integers(3, size=30))  # the last has none
    counts = torch.full((4,), first_count, dtype=torch.float64)
    expected, seen = centers.clone(), counts.clone()
    for row, label in zip(z, labels.tolist(), strict=True):
        seen[label] += 1
        expected[label] += (row - expected[label]) / seen[label]
    found, after = moved_centers(centers, counts, z, labels)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(after, seen)
    np.testing.assert_array_equal(found[3], centers[3])


# -- the algorithm -------------------------------------------------------------------------------


def reference(X, autoencoder, centers, labels, *, order, lr, lam, count, epochs):
    """The paper's algorithm for a linear autoencoder and SGD, row by row, in float64."""
    W, b, V, c = (np.array(part, dtype=np.float64) for part in autoencoder)
    labels, counts = labels.copy(), np.full(len(centers), float(count))
    for epoch in range(epochs):
        for rows in order[epoch]:
            x, n = X[rows], len(rows)
            z = x @ W.T + b
            back = z @ V.T + c
            d_back = 2 * (back - x) / x.size
            dz = d_back @ V + lam * (z - centers[labels[rows]]) / n
            V, c = V - lr * d_back.T @ z, c - lr * d_back.sum(0)
            W, b = W - lr * dz.T @ x, b - lr * dz.sum(0)
            for i in rows:  # by the encoder that has moved
                z_i = X[i] @ W.T + b
                labels[i] = np.argmin(((z_i - centers) ** 2).sum(1))
            moved = centers.copy()
            for i in rows:
                counts[labels[i]] += 1
                moved[labels[i]] += (X[i] @ W.T + b - moved[labels[i]]) / counts[labels[i]]
            centers = moved
    return W, centers, counts, labels


def test_several_passes_equal_the_papers_algorithm():
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(24, 4)) + np.repeat(3 * np.eye(4)[:3], 8, axis=0)).astype(np.float32)
    module = AutoencoderModule(nn.Linear(4, 2), nn.Linear(2, 4))
    with torch.no_grad():
        for part in module.parameters():
            part.copy_(torch.from_numpy(rng.normal(size=part.shape)))
    weights = [p.detach().numpy().copy() for p in module.parameters()]
    start = torch.from_numpy((X @ weights[0].T + weights[1])[[0, 8, 16]].copy())
    labels = torch.arange(24) % 3  # far from the nearest
    task = Task(
        module=module,
        n_components=2,
        rows=Rows(X),
        trainer=Trainer(
            device=torch.device("cpu"),
            autocast=False,
            batch_size=6,
            optimizer="sgd",
            lr=0.02,
            momentum=0.0,
        ),
        seed=7,
        start=start_from(start, labels),
        stage="test",
        reconstruction=ReconstructionLoss(),
    )
    dcn = DCN(3, lam=0.8, count_init=4, max_epochs=3, min_steps=0, batch_size=6, tol=0.0)
    outcome = dcn._optimize(task)
    rng = generator(7)
    order = [shuffled_order(24, 4, rng).numpy().reshape(4, 6) for _ in range(3)]
    W, centers, counts, _ = reference(
        X.astype(np.float64),
        weights,
        start.double().numpy(),
        labels.numpy(),
        order=order,
        lr=0.02,
        lam=0.8,
        count=4,
        epochs=3,
    )
    np.testing.assert_allclose(module.encoder.weight.detach(), W, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(outcome.head["cluster_centers_"], centers, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(outcome.attributes["counts_"], counts)
    assert counts.sum() == 3 * 4 + 3 * 24


def test_clusters_are_found_and_become_tighter(frozen, blobs):
    X, y = blobs
    loose, tight = (quick(frozen, lam=lam, max_epochs=20).fit(X) for lam in (0.0, 3.0))
    assert tight.score(X) > loose.score(X) + 0.05
    assert adjusted_rand_score(y, tight.labels_) > 0.8
    assert tight.history_["distance"][-1] < 0.7 * loose.history_["distance"][-1]


def test_lam_zero_is_the_plain_autoencoder_with_centres_that_follow(frozen, blobs):
    model = quick(frozen, lam=0.0).fit(blobs[0])
    assert model.history_["loss"] == model.history_["reconstruction"]
    assert not np.allclose(
        model.cluster_centers_,
        quick(frozen, lam=0.0, max_epochs=1).fit(blobs[0]).cluster_centers_,
        atol=1e-4,
    )


@pytest.mark.parametrize(("count", "moves"), [(1, 1e-2), (10**7, 0.0)])
def test_counts_hold_the_centres(count, moves, frozen, blobs):
    X, _ = blobs
    start = quick(frozen, lr=1e-12, max_epochs=1, count_init=10**7).fit(X).cluster_centers_
    moved = quick(frozen, count_init=count).fit(X).cluster_centers_
    gap = np.abs(moved - start).max()
    assert gap > moves if moves else gap < 1e-3


def test_it_stops_where_few_labels_change(frozen, blobs):
    model = quick(frozen, tol=0.5, max_epochs=50).fit(blobs[0])
    assert model.n_iter_ == 1 and model.history_["label_change"][-1] < 0.5
    assert len(quick(frozen).fit(blobs[0]).history_["label_change"]) == 8


def test_warm_start_goes_on_with_centres_and_counts(unfitted, blobs):
    X, _ = blobs
    model = quick(unfitted, warm_start=True, max_epochs=2).fit(X)
    assert model.counts_.sum() == 3 * 100 + 2 * 150
    centers = model.cluster_centers_
    model.set_params(lr=1e-12, max_epochs=1).fit(X)
    assert model.counts_.sum() == 3 * 100 + 3 * 150
    assert "pretraining_loss" not in model.history_
    assert np.abs(model.cluster_centers_ - centers).max() < 0.5 * np.abs(centers).max()


def test_partial_fit_goes_on_with_network_centres_and_counts(unfitted, blobs):
    X, y = blobs
    model = quick(unfitted).partial_fit(X[:100])  # the first call is fit
    assert model.counts_.sum() == 3 * 100 + 8 * 100
    kept = model.history_, model.loss_, model.n_iter_
    weights = model.module_.state_dict()["encoder.0.weight"].clone()
    centers = model.cluster_centers_
    model.partial_fit(X[100:])
    assert model.counts_.sum() == 3 * 100 + 8 * 100 + 50
    assert len(model.labels_) == len(model.initial_labels_) == 50
    assert (model.history_, model.loss_, model.n_iter_) == kept
    assert not torch.equal(model.module_.state_dict()["encoder.0.weight"], weights)
    assert 0 < np.abs(model.cluster_centers_ - centers).max() < 0.5 * np.abs(centers).max()
    assert adjusted_rand_score(y, model.predict(X)) > 0.8
    assert len(model.partial_fit(X[:1]).labels_) == 1  # fewer rows than clusters


def test_partial_fit_is_a_pass_of_a_fit_that_goes_on(unfitted, blobs):
    X, _ = blobs
    one, other = quick(unfitted, max_epochs=2).fit(X), quick(unfitted, max_epochs=2).fit(X)
    other.set_params(warm_start=True, max_epochs=1).fit(X)
    one.partial_fit(X)
    np.testing.assert_array_equal(one.cluster_centers_, other.cluster_centers_)
    np.testing.assert_array_equal(one.labels_, other.labels_)


def test_auto_weighs_both_terms_alike(frozen, blobs):
    history = (model := quick(frozen, lam="auto", lr=1e-12, max_epochs=1).fit(blobs[0])).history_
    equal = 0.5 * model.lam_ * history["distance"][0]
    assert equal == pytest.approx(history["reconstruction"][0], rel=0.05)


def test_partial_fit_refuses_what_fit_refuses(unfitted, blobs):
    model = quick(unfitted, max_epochs=1).fit(blobs[0])
    for name, value in (("lam", -5), ("batch_size", 0), ("optimizer", "foo"), ("lam", "a")):
        with pytest.raises(ValueError, match=name):
            model.set_params(**{name: value}).partial_fit(blobs[0])
        model.set_params(**{name: getattr(quick(unfitted), name)})


def test_partial_fit_refuses_another_number_of_clusters_or_features(unfitted, blobs):
    X, _ = blobs
    model = quick(unfitted, max_epochs=1).fit(X)
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:, :5])
    with pytest.raises(ValueError, match="n_clusters"):
        model.set_params(n_clusters=4).partial_fit(X)


def test_a_saved_model_has_its_counts(frozen, blobs, unfitted, tmp_path):
    X, _ = blobs
    model = quick(unfitted).fit(X)
    save_model(model, tmp_path / "dcn")
    again = load_model(tmp_path / "dcn")
    np.testing.assert_array_equal(again.counts_, model.counts_)
    np.testing.assert_array_equal(again.predict(X), model.labels_)
