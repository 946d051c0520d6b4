"""DEKM: the algorithm of the paper, step by step, against plain NumPy."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_deepcluster import DEKM
from sklearn_deepcluster._engine import Rows, Trainer, generator
from sklearn_deepcluster._engine._rows import shuffled_order
from sklearn_deepcluster.cluster import _dekm
from sklearn_deepcluster.cluster._dekm import KMeansRefresh, label_change
from sklearn_deepcluster.cluster._task import Task
from sklearn_deepcluster.nn import AutoencoderModule
from tests.cluster.conftest import start_from

CPU = torch.device("cpu")
TARGETS = ["last", "random", "all", "random-raw", "all-raw"]


def quick(frozen, **params):
    defaults = {
        "autoencoder": frozen,
        "max_iter": 4,
        "update_interval": 6,
        "tol": 0.0,
        "drift_tol": None,
        "batch_size": 30,
        "lr": 2e-3,
        "precision": "float32",
        "random_state": 0,
    }
    return DEKM(**({"n_clusters": 3} | defaults | params))


# --- change of labels


def brute_force_change(old, new):
    """Smallest share of differing labels over all ways to rename the old clusters."""
    k = max(*old, *new) + 1
    return min(
        np.mean([names[a] != b for a, b in zip(old, new, strict=True)])
        for names in itertools.permutations(range(k))
    )


@pytest.mark.parametrize("seed", range(10))
def test_label_change_is_the_least_over_all_renamings(seed):
    rng = np.random.default_rng(seed)
    old, new = rng.integers(4, size=(2, 25))
    if seed % 2:
        new = np.where(rng.random(25) < 0.8, (old + 1) % 4, new)
    change = label_change(old, new)
    assert change == pytest.approx(brute_force_change(old, new), abs=1e-12)
    renamed = rng.permutation(4)
    assert label_change(renamed[old], new) == pytest.approx(change, abs=1e-12)
    assert label_change(old, renamed[new]) == pytest.approx(change, abs=1e-12)
    assert label_change(old, renamed[old]) == 0.0


def test_label_change_with_vanished_clusters():
    assert label_change(np.array([0, 0, 1, 2]), np.array([1, 1, 1, 1])) == 0.5
    assert label_change(np.array([1, 1, 1, 1]), np.array([0, 0, 1, 2])) == 0.5


# --- the whole algorithm on a linear encoder


def lloyd(H, mu):
    """k-means from the centres mu; every cluster is expected to keep members."""
    while True:
        labels = np.array([np.argmin([np.sum((h - m) ** 2) for m in mu]) for h in H])
        means = np.array([H[labels == j].mean(0) for j in range(len(mu))])
        if np.allclose(means, mu, rtol=0, atol=1e-12):
            return labels, means
        mu = means


def reference(X, W, b, mu, *, order, batch_size, rounds, steps, lr, anchor):
    """The pseudo-code: k-means, scatter, rotation, targets, steps on stale targets."""
    e, position, losses = len(b), 0, []
    for _ in range(rounds):
        H = X @ W.T + b
        s, mu = lloyd(H, mu)
        scatter = sum(np.outer(h - mu[j], h - mu[j]) for h, j in zip(H, s, strict=True))
        V = np.linalg.eigh(scatter)[1]
        T = H @ V
        T[:, -1] = (mu @ V)[s, -1]
        sums = []
        for _ in range(steps):
            rows = [order[(position + r) % len(X)] for r in range(batch_size)]
            position += batch_size
            difference = (X[rows] @ W.T + b) @ V - T[rows]
            if not anchor:
                difference[:, :-1] = 0.0
            sums.append(np.sum(difference**2) / e)
            dz = 2 / e * difference @ V.T
            W, b = W - lr * dz.T @ X[rows], b - lr * dz.sum(0)
        losses.append(np.mean(sums))
    return W, b, *lloyd(X @ W.T + b, mu), losses


@pytest.mark.parametrize("anchor", [True, False])
@pytest.mark.parametrize("batch_size", [7, None])
def test_several_rounds_equal_the_papers_algorithm(anchor, batch_size):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(24, 4)) * 0.7 + np.repeat(2 * np.eye(4)[:3], 8, axis=0)
    X = X.astype(np.float32)
    module = AutoencoderModule(nn.Linear(4, 3), None)
    with torch.no_grad():
        module.encoder.weight.copy_(torch.from_numpy(rng.normal(size=(3, 4))))
        module.encoder.bias.zero_()
    weights = [p.detach().double().numpy().copy() for p in module.encoder.parameters()]
    start = (X @ weights[0].T)[[0, 8, 16]].astype(np.float32)
    task = Task(
        module=module,
        rows=Rows(X),
        trainer=Trainer(
            device=CPU,
            autocast=False,
            batch_size=batch_size,
            optimizer="sgd",
            lr=0.01,
            momentum=0.0,
        ),
        seed=3,
        n_components=3,
        start=start_from(torch.from_numpy(start)),
        stage="test",
    )
    dekm = DEKM(3, anchor=anchor, max_iter=3, update_interval=5, tol=0.0, batch_size=batch_size)
    outcome = dekm._optimize(task)
    centers, history = outcome.head["cluster_centers_"], outcome.history
    W, b, _, mu, losses = reference(
        X.astype(np.float64),
        *weights,
        start.astype(np.float64),
        order=shuffled_order(24, 4, generator(3)).tolist(),
        batch_size=batch_size or 24,
        rounds=3,
        steps=5,
        lr=0.01,
        anchor=anchor,
    )
    np.testing.assert_allclose([e["train_loss"] for e in history], losses, rtol=1e-4)
    np.testing.assert_allclose(
        [e["target_error"] for e in history], np.divide(losses, batch_size or 24), rtol=1e-4
    )
    np.testing.assert_allclose(module.encoder.weight.detach(), W, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(module.encoder.bias.detach(), b, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(centers, mu, rtol=1e-3, atol=1e-4)
    assert np.abs(W - weights[0]).max() > 0.02  # something was learned


# --- targets


def refresh(target, *, anchor=True, seed=0, rounds=1):
    """Targets on random data, of each round, and the data."""
    rng = np.random.default_rng(1)
    z = torch.from_numpy(rng.normal(size=(40, 4)).astype(np.float32))
    labels = torch.arange(40) % 3
    centers = torch.stack([z[labels == j].mean(0) for j in range(3)])
    task = SimpleNamespace(seed=seed, trainer=SimpleNamespace(device=CPU), weight=None)
    schedule = KMeansRefresh(task, None, SimpleNamespace(target=target, anchor=anchor))
    made = [schedule._targets(z, labels, centers) for _ in range(rounds)]
    return made, z.numpy(), labels.numpy(), centers.numpy()


def replaced(made, z):
    """Coordinates of the rotated embedding that the targets replace."""
    moved = ~np.isclose(made.targets, z @ made.rotation.numpy(), atol=1e-6)
    return [int(a) for a in np.flatnonzero(moved.any(0))]


@pytest.mark.parametrize("anchor", [True, False])
@pytest.mark.parametrize("target", TARGETS)
def test_each_target_replaces_its_coordinates(target, anchor):
    (made,), z, labels, centers = refresh(target, anchor=anchor)
    rotation = made.rotation.numpy()
    if target.endswith("-raw"):
        np.testing.assert_array_equal(rotation, np.eye(4))
    else:
        deviation = z - centers[labels]
        reference = np.linalg.eigh(deviation.T.astype(np.float64) @ deviation)[1]
        np.testing.assert_allclose(np.abs(reference.T @ rotation), np.eye(4), atol=1e-4)
    dims = replaced(made, z)
    assert {"last": dims == [3], "all": dims == [0, 1, 2, 3]}.get(
        target.removesuffix("-raw"), len(dims) == 1
    )
    np.testing.assert_allclose(
        made.targets[:, dims], (centers @ rotation)[labels][:, dims], atol=1e-6
    )
    assert made.dims is None if anchor else made.dims == dims


@pytest.mark.parametrize("target", ["random", "random-raw"])
def test_a_random_target_is_drawn_anew_each_round_and_reproducibly(target):
    rounds, z, _, _ = refresh(target, rounds=12)
    drawn = [replaced(made, z) for made in rounds]
    assert len({tuple(dims) for dims in drawn}) == 4
    again = refresh(target, rounds=12)[0]
    assert [replaced(made, z) for made in again] == drawn
    other = refresh(target, rounds=12, seed=1)[0]
    assert [replaced(made, z) for made in other] != drawn


@pytest.mark.parametrize("anchor", [True, False])
@pytest.mark.parametrize("target", TARGETS)
def test_every_target_trains(frozen, blobs, target, anchor):
    X, _ = blobs
    start = quick(frozen, lr=1e-12).fit(X)
    dekm = quick(frozen, target=target, anchor=anchor, max_iter=12, lr=5e-3).fit(X)
    np.testing.assert_array_equal(dekm.predict(X), dekm.labels_)
    assert dekm.n_iter_ == 12
    assert dekm.score(X) > start.score(X) + 0.05


def test_anchoring_changes_the_result_unless_all_coordinates_are_replaced(frozen, blobs):
    X, _ = blobs

    def embedding(**params):
        return quick(frozen, **params).fit(X).transform(X)

    assert not np.allclose(embedding(), embedding(anchor=False), atol=1e-3)
    # Equal but for the rotation's rounding.
    np.testing.assert_allclose(
        embedding(target="all-raw"), embedding(target="all-raw", anchor=False), atol=1e-5
    )


def test_the_anchor_holds_the_scale_of_the_embedding(frozen, blobs):
    X, _ = blobs
    start = np.var(frozen.transform(X))
    params = {"max_iter": 40, "lr": 1e-2}
    anchored, literal = (
        np.var(quick(frozen, anchor=anchor, **params).fit(X).transform(X)) / start
        for anchor in (True, False)
    )
    assert abs(np.log(anchored)) < abs(np.log(literal))


# --- batches


def test_no_batch_size_means_the_full_batch(frozen, blobs, spy):
    quick(frozen, batch_size=None, callbacks=[spy]).fit(blobs[0])
    assert len(spy.batches) == 4 * 6
    assert all(sorted(batch) == list(range(150)) for batch in spy.batches)


def test_batches_go_on_through_one_order_across_rounds(frozen, blobs, spy):
    quick(frozen, callbacks=[spy]).fit(blobs[0])
    assert {len(batch) for batch in spy.batches} == {30}
    for start in range(0, 20, 5):
        assert sorted(sum(spy.batches[start : start + 5], [])) == list(range(150))
        assert spy.batches[start] == spy.batches[0]


# --- k-means of the rounds


@pytest.fixture
def kmeans_calls(monkeypatch):
    calls = []

    class Recorder(_dekm.KMeans):
        def fit(self, X, y=None, sample_weight=None):
            super().fit(X, sample_weight=sample_weight)
            calls.append(SimpleNamespace(params=self.get_params(), X=X.copy(), labels=self.labels_))
            return self

    monkeypatch.setattr(_dekm, "KMeans", Recorder)
    return calls


def means(call, k=3):
    return np.array([call.X[call.labels == j].mean(0) for j in range(k)])


def test_rounds_start_from_the_last_centres(frozen, blobs, kmeans_calls):
    quick(frozen).fit(blobs[0])
    assert len(kmeans_calls) == 5  # four rounds and the end
    for before, call in itertools.pairwise(kmeans_calls):
        assert call.params["n_init"] == 1
        np.testing.assert_allclose(call.params["init"], means(before), atol=1e-5)


def test_kmeans_n_init_asks_for_fresh_starts(frozen, blobs, kmeans_calls):
    quick(frozen, kmeans_n_init=7).fit(blobs[0])
    first, *others = kmeans_calls
    assert first.params["n_init"] == 1 and not isinstance(first.params["init"], str)
    assert len(others) == 4
    for call in others:
        assert call.params["n_init"] == 7 and call.params["init"] == "k-means++"
    assert len({call.params["random_state"] for call in others}) == 4


def test_when_the_rounds_run_out_k_means_is_fitted_once_more(frozen, blobs, kmeans_calls):
    X, _ = blobs
    dekm = quick(frozen, lr=1e-2).fit(X)
    Z = dekm.transform(X)
    np.testing.assert_allclose(kmeans_calls[-1].X, Z, atol=1e-5)
    assert not np.allclose(kmeans_calls[-2].X, Z, atol=1e-2)
    for j in range(3):
        np.testing.assert_allclose(
            dekm.cluster_centers_[j], Z[dekm.labels_ == j].mean(0), atol=1e-4
        )


def test_when_it_has_settled_the_last_k_means_is_kept(frozen, blobs, kmeans_calls):
    X, _ = blobs
    dekm = quick(frozen, tol=1.0).fit(X)
    # Stopped by the second round's k-means, before its steps.
    assert len(kmeans_calls) == 2 and dekm.n_iter_ == 1
    assert len(dekm.history_["label_change"]) == 1
    np.testing.assert_allclose(kmeans_calls[-1].X, dekm.transform(X), atol=1e-5)
    np.testing.assert_allclose(dekm.cluster_centers_, means(kmeans_calls[-1]), atol=1e-5)


# --- stopping rule, history, score


def test_it_stops_at_the_first_round_with_fewer_changes_than_tol(frozen, blobs):
    X, _ = blobs
    # More clusters than there are: their borders move.
    params = {"n_clusters": 8, "max_iter": 30, "lr": 1e-2}
    changes = quick(frozen, **params).fit(X).history_["label_change"]
    assert len(changes) == 29 and max(changes) > 0.01
    for tol in (0.5, 0.02, 0.0067):
        first = next(r for r, change in enumerate(changes) if change < tol)
        dekm = quick(frozen, tol=tol, **params).fit(X)
        assert dekm.history_["label_change"] == changes[: first + 1]
        assert dekm.n_iter_ == first + 1


def test_recorded_changes_are_those_of_the_labels(frozen, blobs, kmeans_calls):
    dekm = quick(frozen, lr=1e-2, max_iter=8).fit(blobs[0])
    pairs = itertools.pairwise([call.labels.tolist() for call in kmeans_calls[:-1]])
    expected = [brute_force_change(a, b) for a, b in pairs]
    np.testing.assert_allclose(dekm.history_["label_change"], expected, atol=1e-12)


def test_history_has_its_keys_and_lengths(frozen, blobs):
    dekm = quick(frozen).fit(blobs[0])
    assert set(dekm.history_) == {"loss", "target_error", "label_change", "pretraining_loss"}
    assert len(dekm.history_["loss"]) == len(dekm.history_["target_error"]) == dekm.n_iter_ == 4
    assert len(dekm.history_["label_change"]) == 3
    # The loss sums over the batch, the error is per row.
    np.testing.assert_allclose(
        dekm.history_["loss"], 30 * np.array(dekm.history_["target_error"]), rtol=1e-5
    )


def test_it_has_no_soft_assignment_and_no_decoder(frozen, blobs):
    dekm = quick(frozen).fit(blobs[0])
    assert dekm.module_.decoder is None
    for name in ("predict_proba", "inverse_transform"):
        assert not hasattr(dekm, name)


def test_labels_are_the_nearest_centres_and_score_is_the_within_share(frozen, blobs):
    X, _ = blobs
    dekm = quick(frozen).fit(X)
    z = dekm.transform(X).astype(np.float64)
    distances = ((z[:, None] - dekm.cluster_centers_) ** 2).sum(-1)
    np.testing.assert_array_equal(dekm.labels_, distances.argmin(1))
    expected = -distances.min(1).mean() / z.var(0).sum()
    assert dekm.score(X) == pytest.approx(expected, rel=1e-5)


def test_it_narrows_the_widest_direction(frozen, blobs):
    X, _ = blobs

    def widest(dekm):
        z = dekm.fit(X).transform(X)
        deviation = z - dekm.cluster_centers_[dekm.labels_]
        return np.linalg.eigvalsh(np.cov(deviation.T))[-1] / z.var(0).sum()

    assert widest(quick(frozen, max_iter=20, lr=5e-3)) < 0.7 * widest(quick(frozen, lr=1e-12))


def test_warm_start_goes_on_from_network_and_centres(unfitted, blobs, kmeans_calls):
    X, _ = blobs
    dekm = quick(unfitted, warm_start=True).fit(X)
    centers, Z = dekm.cluster_centers_.copy(), dekm.transform(X)
    kmeans_calls.clear()
    dekm.fit(X)
    np.testing.assert_array_equal(kmeans_calls[0].params["init"], centers)
    np.testing.assert_allclose(kmeans_calls[0].X, Z, atol=1e-5)
    assert "pretraining_loss" not in dekm.history_
