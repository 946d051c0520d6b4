"""JULE: triplets equal plain loops, clusters merge in periods, batches hold pairs."""

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch.autograd import gradcheck

from sklearn_deepcluster import JULE, GraphAgglomerative, MLPEncoder, load_model, save_model
from sklearn_deepcluster._engine import Callback, Rows, Step
from sklearn_deepcluster.cluster import _jule, _periods
from sklearn_deepcluster.cluster._periods import ClusterBatches, TripletLoss, cluster_counts
from tests._instances import blobs, tiny_autoencoder

LABELS = torch.tensor([0, 1, 0, 2, 1, 0, 3])


def quick(**params):
    defaults = {"epochs_per_period": 3, "batch_size": 50, "random_state": 0}
    encoder = MLPEncoder(hidden_layer_sizes=(16,), n_components=8)
    return JULE(3, **({"encoder": encoder} | defaults | params))


def draw(shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def loss_of(z, n_negatives, labels=LABELS, seed=0, **params):
    loss = TripletLoss(**({"gamma": 1.5, "margin": 0.7} | params), n_negatives=n_negatives)
    loss.generator = torch.Generator().manual_seed(seed)
    return loss(Step((z,), index=torch.arange(len(z)), targets=labels))


# -- the objective -------------------------------------------------------------------------------


def test_the_objective_equals_the_loops():
    z = draw((7, 3))
    terms = loss_of(z, n_negatives=7)
    losses = []
    for a in range(7):
        for p in range(7):
            if a == p or LABELS[a] != LABELS[p]:
                continue
            for n in range(7):
                if LABELS[n] != LABELS[a]:
                    near = sum((z[a] - z[p]) ** 2).item()
                    far = sum((z[a] - z[n]) ** 2).item()
                    losses.append(max(0.0, 1.5 * near - far + 0.7))
    assert terms["loss"].item() == pytest.approx(np.mean(losses), rel=1e-10)
    assert terms["violated"].item() == pytest.approx(np.mean(np.array(losses) > 0), rel=1e-6)
    assert 0 < terms["violated"] < 1


def test_negatives_are_drawn_and_none_is_of_the_same_cluster():
    """Far rows of other clusters, and near ones of the same: no triplet has a loss."""
    labels = torch.arange(8) // 2
    z = 10.0 * torch.eye(4, dtype=torch.float64)[labels]
    assert loss_of(z, 2, labels)["loss"].item() == 0.0
    z = draw((8, 3))
    values = {loss_of(z, 1, labels, seed=seed)["loss"].item() for seed in range(5)}
    assert len(values) > 1
    whole = loss_of(z, 20, labels)["loss"].item()
    many = [loss_of(z, 2, labels, seed=seed)["loss"].item() for seed in range(400)]
    assert np.mean(many) == pytest.approx(whole, rel=0.1)


def test_gradients_reach_the_embedding():
    assert gradcheck(lambda z: loss_of(z, 3)["loss"], draw((7, 3)).requires_grad_())


@pytest.mark.parametrize("labels", [torch.arange(5), torch.zeros(5, dtype=int)])
def test_a_batch_without_triplets_has_no_loss(labels):
    z = draw((5, 2)).requires_grad_()
    loss = loss_of(z, 3, labels)["loss"]
    loss.backward()
    assert loss.item() == 0.0 and not z.grad.any()


# -- batches and periods -------------------------------------------------------------------------


def test_batches_hold_pairs_and_every_row_once():
    """Of 300 clusters of three, 30 random rows would hold two of one now and then."""
    labels = torch.arange(900) % 300

    class Fixed:
        pass

    schedule = Fixed()
    schedule.labels = labels
    rows = Rows(np.zeros((900, 2), np.float32))
    batches = ClusterBatches(rows, 30, torch.Generator().manual_seed(0), schedule)
    seen = [batch.index for batch in batches]
    assert len(seen) == len(batches) == 30
    assert torch.cat(seen).sort().values.tolist() == list(range(900))
    shares = [1 - len(labels[index].unique()) / len(index) for index in seen]
    assert np.mean(shares) > 0.6
    again = [batch.index for batch in batches]
    assert not torch.equal(torch.cat(seen), torch.cat(again))
    # Of few large clusters a batch holds several.
    schedule.labels = torch.arange(900) % 4
    batches = ClusterBatches(rows, 100, torch.Generator().manual_seed(0), schedule)
    assert all(len(schedule.labels[batch.index].unique()) > 1 for batch in batches)


@pytest.mark.parametrize(
    ("n_leaves", "eta", "expected"),
    [
        (400, 0.9, [40, 10]),
        (400, 0.2, [320, 256, 204, 163, 130, 104, 83, 66, 52, 41, 32, 25, 20, 16, 12, 10]),
        (10, 0.9, [10]),
        (7, 0.9, [10]),
    ],
)
def test_a_share_of_the_clusters_merges_in_each_period(n_leaves, eta, expected):
    assert cluster_counts(n_leaves, 10, eta) == expected


def test_clusters_merge_after_each_period_by_the_embedding(monkeypatch):
    X, y = blobs()
    seen = []
    graph_of = _jule.graph_of

    def watched(rows, n_neighbors, n_clusters):
        seen.append((rows.shape[1], n_clusters))
        return graph_of(rows, n_neighbors, n_clusters)

    for module in (_jule, _periods):
        monkeypatch.setattr(module, "graph_of", watched)
    model = quick(eta=0.8, recluster=None).fit(X)
    counts = cluster_counts(model.n_leaves_, 3, 0.8)
    assert len(counts) > 1
    # Leaves, and the first merges, are of the data; what follows is of the embedding.
    assert seen == [(16, 3), *((8, count) for count in counts[1:])]
    assert model.history_["n_clusters"] == [c for c in counts for _ in range(3)]
    assert adjusted_rand_score(y, model.labels_) == 1.0
    np.testing.assert_allclose(np.linalg.norm(model.transform(X), axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("recluster", ["modularity", "degree"])
def test_the_embedding_is_clustered_anew(recluster, monkeypatch):
    X, y = blobs()
    linkages = []

    class Watched(GraphAgglomerative):
        def fit(self, X, y=None):
            linkages.append((self.linkage, self.n_clusters, X.shape))
            return super().fit(X)

    monkeypatch.setattr(_jule, "GraphAgglomerative", Watched)
    model = quick(recluster=recluster).fit(X)
    assert linkages == [(recluster, 3, (300, 8))]
    assert adjusted_rand_score(y, model.labels_) == 1.0


def test_of_a_representation_the_first_merges_are_by_its_embedding(monkeypatch):
    X, _ = blobs()
    seen = []
    graph_of = _jule.graph_of

    def watched(rows, *args):
        seen.append(rows.shape[1])
        return graph_of(rows, *args)

    for module in (_jule, _periods):
        monkeypatch.setattr(module, "graph_of", watched)
    quick(encoder=tiny_autoencoder(n_components=3)).fit(X)
    assert set(seen) == {3}


def test_where_a_callback_ends_the_training_the_rest_is_merged():
    X, y = blobs()

    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.stop_training = True

    model = quick(eta=0.3, recluster=None, callbacks=[Stop()]).fit(X)
    assert model.n_iter_ == 1 and model.history_["n_clusters"][0] > 3
    assert adjusted_rand_score(y, model.labels_) == 1.0


def test_equal_rows_start_in_one_cluster_wherever_they_are():
    X = np.repeat(draw((8, 2)).float().numpy(), 3, axis=0)
    order = np.random.default_rng(0).permutation(24)
    in_order, shuffled = (_jule.graph_of(torch.from_numpy(rows), 20, 9) for rows in (X, X[order]))
    assert adjusted_rand_score(in_order.leaves[order], shuffled.leaves) == 1.0
    weights = in_order.graph.toarray()[order][:, order]
    np.testing.assert_allclose(weights.sum(1), shuffled.graph.toarray().sum(1), rtol=1e-6)


@pytest.mark.parametrize("batch_size", [8, 10])
def test_a_small_batch_has_several_clusters(batch_size):
    X, _ = blobs()
    assert max(quick(batch_size=batch_size, margin=5.0, recluster=None).fit(X).history_["loss"]) > 0
    with pytest.raises(ValueError, match="batch_size=7 should be >= 8"):
        quick(batch_size=7).fit(X)


def test_a_warm_start_goes_on_for_one_period_with_the_same_clusters():
    X, y = blobs()
    model = quick(warm_start=True, recluster=None).fit(X)
    leaves, labels = model.n_leaves_, model.labels_
    model.fit(X)
    assert model.n_iter_ == 3 and set(model.history_["n_clusters"]) == {3}
    assert model.n_leaves_ == leaves
    np.testing.assert_array_equal(model.labels_, labels)


def test_saved_models_predict_as_they_did(tmp_path):
    X, _ = blobs()
    model = quick().fit(X)
    save_model(model, tmp_path / "jule")
    again = load_model(tmp_path / "jule")
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    np.testing.assert_array_equal(again.predict(X), model.labels_)
