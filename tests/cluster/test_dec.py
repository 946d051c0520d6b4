"""DEC: the algorithm of the paper, step by step, against plain NumPy."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from sklearn_deepcluster import DEC
from sklearn_deepcluster._engine import Rows, Trainer, generator
from sklearn_deepcluster._engine._rows import shuffled_order
from sklearn_deepcluster.cluster._task import Task
from sklearn_deepcluster.nn import AutoencoderModule
from tests._instances import network_input
from tests.cluster.conftest import start_from

CPU = torch.device("cpu")


def quick(frozen, **params):
    defaults = {
        "autoencoder": frozen,
        "max_epochs": 6,
        "min_steps": 0,
        "update_interval": 5,
        "tol": 0.0,
        "drift_tol": None,
        "batch_size": 30,
        "lr": 2e-3,
        "precision": "float32",
        "random_state": 0,
    }
    return DEC(3, **(defaults | params))


def soft_assignment(z, centers, alpha=1.0):
    z, centers = np.asarray(z, dtype=np.float64), np.asarray(centers, dtype=np.float64)
    distances = np.array([[np.sum((a - b) ** 2) for b in centers] for a in z])
    q = (1 + distances / alpha) ** (-(alpha + 1) / 2)
    return q / q.sum(1, keepdims=True)


def sharpened(q):
    weight = q**2 / q.sum(0)
    return weight / weight.sum(1, keepdims=True)


# --- the whole algorithm on a linear encoder


def reference(X, W, b, mu, *, order, batch_size, rounds, lr, alpha):
    """ALGORITHM: refresh P over all rows, then steps of SGD by the paper's gradients, per round."""
    position, history = 0, {"loss": [], "label_change": []}
    labels = None
    for steps in rounds:
        q = soft_assignment(X @ W.T + b, mu, alpha)
        p = sharpened(q)
        if labels is not None:
            history["label_change"].append(np.mean(labels != q.argmax(1)))
        labels = q.argmax(1)
        losses = []
        for _ in range(steps):
            rows = [order[(position + s) % len(X)] for s in range(batch_size)]
            position += batch_size
            z = X[rows] @ W.T + b
            q_batch = soft_assignment(z, mu, alpha)
            losses.append(np.mean(np.sum(p[rows] * np.log(p[rows] / q_batch), axis=1)))
            dz, dmu = np.zeros_like(z), np.zeros_like(mu)
            for i in range(batch_size):
                for j in range(len(mu)):
                    difference = z[i] - mu[j]
                    pull = (p[rows[i], j] - q_batch[i, j]) / (1 + difference @ difference / alpha)
                    dz[i] += (alpha + 1) / alpha * pull * difference / batch_size
                    dmu[j] -= (alpha + 1) / alpha * pull * difference / batch_size
            W, b, mu = W - lr * dz.T @ X[rows], b - lr * dz.sum(0), mu - lr * dmu
        history["loss"].append(np.mean(losses))
    return W, b, mu, history


@pytest.mark.parametrize("alpha", [1.0, 2.5])
def test_several_rounds_equal_the_papers_algorithm(alpha):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(23, 4)).astype(np.float32)
    module = AutoencoderModule(nn.Linear(4, 2), None)
    start = torch.from_numpy(rng.normal(size=(3, 2)).astype(np.float32))
    weights = [p.detach().double().numpy().copy() for p in module.encoder.parameters()]
    task = Task(
        module=module,
        rows=Rows(X),
        trainer=Trainer(
            device=CPU, autocast=False, batch_size=6, optimizer="sgd", lr=0.3, momentum=0.0
        ),
        seed=7,
        n_components=2,
        start=start_from(start),
        stage="test",
    )
    # 4 epochs of 4 steps are 16 steps: 3 rounds of 5, and one of a single step.
    dec = DEC(3, alpha=alpha, max_epochs=4, min_steps=0, batch_size=6, update_interval=5, tol=0.0)
    outcome = dec._optimize(task)
    centers, history = outcome.head["cluster_centers_"], outcome.history
    W, b, mu, expected = reference(
        X.astype(np.float64),
        *weights,
        start.double().numpy(),
        order=shuffled_order(23, 4, generator(7)).tolist(),
        batch_size=6,
        rounds=[5, 5, 5, 1],
        lr=0.3,
        alpha=alpha,
    )
    assert len(history) == 4
    np.testing.assert_allclose([e["train_loss"] for e in history], expected["loss"], rtol=1e-4)
    np.testing.assert_allclose(
        [e["label_change"] for e in history[1:]], expected["label_change"], atol=1e-6
    )
    np.testing.assert_allclose(module.encoder.weight.detach(), W, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(module.encoder.bias.detach(), b, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(centers, mu, rtol=1e-3, atol=1e-5)
    assert np.abs(mu - start.numpy()).max() > 0.05  # something was learned


# --- targets


def test_targets_are_sharpened_over_all_rows_at_every_refresh(frozen, blobs, spy, embed):
    X, _ = blobs
    dec = quick(frozen, callbacks=[spy], alpha=2.0).fit(X)
    assert len(spy.rounds) == dec.n_iter_ == 6
    for seen in spy.rounds:
        q = soft_assignment(
            embed(seen["module"], network_input(dec, X)), seen["centers"], alpha=2.0
        )
        np.testing.assert_allclose(seen["targets"], sharpened(q), rtol=1e-3, atol=1e-6)
    assert not torch.allclose(spy.rounds[0]["targets"], spy.rounds[1]["targets"])


class Noisy(nn.Module):
    def __init__(self, n_features=6):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(n_features, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)
        )
        self.decoder = nn.Linear(3, n_features)


def test_refreshes_embed_in_evaluation_mode(unfitted, blobs, spy, embed):
    """A user's dropout must not draw for the targets, nor batch norm count their blocks."""
    X, _ = blobs
    dec = quick(unfitted.set_params(module=Noisy), callbacks=[spy]).fit(X)
    for seen in spy.rounds:
        q = soft_assignment(embed(seen["module"], network_input(dec, X)), seen["centers"])
        np.testing.assert_allclose(seen["targets"], sharpened(q), rtol=1e-3, atol=1e-6)
    # Pretraining: 20 epochs of 5 steps; clustering: 6 rounds of 5.
    assert int(dec.module_.encoder[1].num_batches_tracked) == 20 * 5 + 6 * 5


# --- schedule


def planned(n_samples, **params):
    """What DEC asks the engine to do for so many rows: (rounds, steps a round, steps in all)."""
    plan = {}

    def train(objective, *, rounds, batches, schedule, assign):
        plan.update(rounds=rounds, **batches.keywords)
        return []

    task = SimpleNamespace(
        rows=range(n_samples),
        embed=lambda device="cpu": torch.zeros(4, 2),
        resumed=False,
        start=start_from(torch.zeros(3, 2)),
        trainer=SimpleNamespace(device=CPU),
        train=train,
    )
    DEC(3, **params)._optimize(task)
    return plan["rounds"], plan["steps"], plan["max_steps"]


@pytest.mark.parametrize(
    ("n_samples", "interval"),
    [(50, 30), (1_797, 30), (15_360, 30), (25_600, 50), (70_000, 137), (1_000_000, 140)],
)
def test_auto_interval_is_half_an_epoch_between_30_and_140_steps(n_samples, interval):
    assert planned(n_samples)[1] == interval


@pytest.mark.parametrize(
    ("n_samples", "params", "steps"),
    [
        (100, {"max_epochs": 3, "min_steps": 0, "batch_size": 10}, 30),
        (100, {"max_epochs": 3, "min_steps": 75, "batch_size": 10}, 80),
        (5, {"max_epochs": 3, "min_steps": 75, "batch_size": 10}, 75),
        (70_000, {"max_epochs": 50, "min_steps": 1000}, 50 * 274),
    ],
)
def test_rounds_make_the_promised_steps(n_samples, params, steps):
    for interval in (1, 7, 30):
        rounds, per_round, in_all = planned(n_samples, update_interval=interval, **params)
        assert per_round == interval and in_all == steps
        assert rounds == math.ceil(steps / interval)


def test_batches_go_on_through_one_order_across_refreshes(frozen, blobs, spy):
    X, _ = blobs
    quick(frozen, callbacks=[spy], update_interval=2).fit(X)
    assert len(spy.batches) == 30 and {len(batch) for batch in spy.batches} == {30}
    # n is a multiple of the batch size: five batches are one pass, again and again.
    for start in range(0, 30, 5):
        one_pass = sum(spy.batches[start : start + 5], [])
        assert sorted(one_pass) == list(range(150))
        assert spy.batches[start] == spy.batches[0]


# --- stopping rule


def test_tol_zero_never_stops(frozen, blobs):
    dec = quick(frozen, lr=1e-12).fit(blobs[0])
    assert dec.n_iter_ == 6
    assert dec.history_["label_change"] == [0.0] * 5


def test_it_stops_at_the_first_refresh_with_fewer_changes_than_tol(frozen, blobs):
    X, _ = blobs
    # Slow steps at first: the initial centres are far from settled.
    params = {
        "init": [[-3.0, 0, 0], [0, 3, 0], [3, 0, 3]],
        "max_epochs": 40,
        "lr": 1e-2,
    }
    changes = quick(frozen, **params).fit(X).history_["label_change"]
    assert len(changes) == 39
    for tol in (0.5, 0.05, 0.02, 0.0067):
        dec = quick(frozen, tol=tol, **params).fit(X)
        first = next(r for r, change in enumerate(changes) if change < tol)
        assert dec.history_["label_change"] == changes[: first + 1]
        # The refresh that stops it is not followed by steps.
        assert dec.n_iter_ == len(dec.history_["loss"]) == first + 1
    assert max(changes) > 0.02  # else the rule was not tried


def test_labels_are_those_of_the_refresh_that_stopped_it(frozen, blobs, spy, embed):
    X, _ = blobs
    dec = quick(frozen, tol=0.5, callbacks=[spy]).fit(X)
    assert dec.n_iter_ < 6
    last = spy.rounds[-1]
    q = soft_assignment(embed(last["module"], network_input(dec, X)), last["centers"])
    np.testing.assert_array_equal(dec.labels_, q.argmax(1))
    np.testing.assert_array_equal(dec.cluster_centers_, last["centers"])


# --- what is fitted


def test_history_has_its_keys_and_lengths(frozen, blobs):
    dec = quick(frozen).fit(blobs[0])
    assert set(dec.history_) == {"loss", "kl", "label_change", "pretraining_loss"}
    assert len(dec.history_["loss"]) == len(dec.history_["kl"]) == dec.n_iter_ == 6
    assert len(dec.history_["label_change"]) == 5
    assert dec.history_["loss"] == dec.history_["kl"]
    assert dec.history_["pretraining_loss"] == frozen.estimator.history_["loss"]
    assert dec.loss_ == dec.history_["loss"][-1]


def test_the_decoder_is_dropped(frozen, blobs):
    dec = quick(frozen).fit(blobs[0])
    assert dec.module_.decoder is None
    assert not hasattr(dec, "inverse_transform")
    assert frozen.estimator.module_.decoder is not None


@pytest.mark.parametrize("alpha", [1.0, 5.0])
def test_probabilities_and_labels_are_students_t(frozen, blobs, alpha):
    X, _ = blobs
    dec = quick(frozen, alpha=alpha).fit(X)
    q = soft_assignment(dec.transform(X), dec.cluster_centers_, alpha)
    np.testing.assert_allclose(dec.predict_proba(X), q, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(dec.labels_, q.argmax(1))


def test_score_is_the_within_share_of_the_scatter_negated(frozen, blobs):
    X, _ = blobs
    dec = quick(frozen).fit(X)
    z = dec.transform(X).astype(np.float64)
    assert dec.embedding_variance_ == pytest.approx(z.var(0).sum(), rel=1e-5)
    for rows in (X, X[:20]):
        z_rows = dec.transform(rows).astype(np.float64)
        nearest = ((z_rows[:, None] - dec.cluster_centers_) ** 2).sum(-1).min(1)
        expected = -nearest.mean() / z.var(0).sum()
        assert dec.score(rows) == pytest.approx(expected, rel=1e-5)


def test_it_tightens_the_clusters(frozen, blobs):
    X, _ = blobs
    start, end = (quick(frozen, lr=lr, max_epochs=20).fit(X) for lr in (1e-12, 1e-2))
    assert end.score(X) > start.score(X) + 0.1
    assert end.predict_proba(X).max(1).mean() > start.predict_proba(X).max(1).mean() + 0.1


def test_an_empty_cluster_is_reported(frozen, blobs):
    far = np.zeros((3, 3), dtype=np.float32)
    far[1:] = [[1, 1, 1], [1e4, 1e4, 1e4]]
    with pytest.warns(ConvergenceWarning, match="1 of 3 clusters are empty"):
        dec = quick(frozen, init=far).fit(blobs[0])
    assert len(np.unique(dec.labels_)) == 2
    assert np.isfinite(dec.cluster_centers_).all()
    assert np.isfinite(dec.predict_proba(blobs[0])).all()


def test_full_precision_and_bfloat16_both_train(frozen, blobs):
    X, _ = blobs
    for precision in ("float32", "bfloat16"):
        dec = quick(frozen, precision=precision, lr=1e-2, max_epochs=20).fit(X)
        assert dec.transform(X).dtype == dec.predict_proba(X).dtype == np.float32
        assert dec.score(X) > -0.3


# --- warm start


def test_warm_start_goes_on_from_network_and_centres(unfitted, blobs, spy, embed):
    X, _ = blobs
    dec = quick(unfitted, warm_start=True).fit(X)
    assert "pretraining_loss" in dec.history_
    centers, Z, score = dec.cluster_centers_.copy(), dec.transform(X), dec.score(X)
    dec.set_params(callbacks=[spy]).fit(X)
    np.testing.assert_array_equal(spy.rounds[0]["centers"], centers)
    np.testing.assert_allclose(embed(spy.rounds[0]["module"], network_input(dec, X)), Z, atol=1e-5)
    assert "pretraining_loss" not in dec.history_
    assert dec.score(X) > score
    with pytest.raises(ValueError, match="n_clusters"):
        dec.set_params(n_clusters=4).fit(X)
