"""Methods go back where neighbours in the data share their cluster less and less."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from skorch.callbacks import Callback
from skorch.history import History
from torch import nn

from sklearn_deepcluster import DDC, DEC, GraphAgglomerative, KMeansNet, MLPEncoder
from sklearn_deepcluster._engine import Rows
from sklearn_deepcluster.cluster import _drift
from sklearn_deepcluster.cluster._drift import DriftWatch
from sklearn_deepcluster.cluster._start import Start
from tests._instances import tiny_autoencoder


def scripted(shares, tol=0.01, **params):
    """A net whose labels are wrong for these shares of the rows, epoch by epoch; the first: before.

    The share is the weight of the module, which is therefore what the watch keeps and restores.
    """
    y = torch.arange(300) % 3
    X = np.random.default_rng(0).normal(size=(300, 2)) + 9.0 * np.eye(3)[y][:, :2]

    def labels(share):
        return torch.where(torch.arange(300) < round(300 * share), (y + 1) % 3, y)

    return watched(X, labels, shares, tol, **params)


def watched(X, labels, states, tol=0.01, n_clusters=3, of_graph=False, **params):
    """A net whose labels are those of these states, epoch by epoch; the first: before."""
    X = torch.from_numpy(X)
    module = nn.Linear(1, 1)

    def assign(z):
        return labels(round(module.weight.item(), 3))

    part = SimpleNamespace(embed=lambda device="cpu": X, described_rows=lambda: X)
    task = SimpleNamespace(
        rows=Rows(X.numpy()),
        start=SimpleNamespace(described=None, n_clusters=n_clusters, of_graph=of_graph),
        trainer=SimpleNamespace(device=torch.device("cpu")),
        with_rows=lambda rows: part,
        seed=0,
    )
    net = SimpleNamespace(
        module_=module,
        criterion_=nn.Linear(1, 1),
        history=History(),
        stop_training=False,
        kept_epoch=None,
    )
    watch = DriftWatch(task, assign, tol, **params)
    watch.on_train_begin(net)
    nn.init.constant_(module.weight, states[0])
    for state in states[1:]:
        net.history.new_epoch()
        watch.on_epoch_begin(net)
        nn.init.constant_(module.weight, state)
        watch.on_epoch_end(net)
        if net.stop_training:
            break
    watch.on_train_end(net)
    return net, round(module.weight.item(), 3)


def test_it_goes_back_to_where_neighbours_agreed_most_and_ends():
    net, share = scripted([0.2, 0.1, 0.15, 0.3, 0.4, 0.5, 0.6, 0.6])
    assert share == 0.1 and net.kept_epoch == 1
    assert net.stop_training and len(net.history) == 1 + _drift._PATIENCE
    seen = net.history[:, "modularity"]
    assert seen[0] == max(seen) and seen[0] > 1.5 * seen[-1]


def test_it_goes_back_to_the_start():
    net, share = scripted([0.1, 0.3, 0.4])
    assert share == 0.1 and not net.stop_training and net.kept_epoch == 0


@pytest.mark.parametrize(
    "shares", [[0.3, 0.2, 0.1, 0.05], [0.2, 0.1, 0.3, 0.1, 0.3, 0.1], [0.1, 0.1, 0.103]]
)
def test_what_rises_recovers_or_hardly_falls_is_kept(shares):
    net, share = scripted(shares)
    assert share == shares[-1] and not net.stop_training and net.kept_epoch is None


def test_a_start_that_is_hardly_more_modular_counts_no_more():
    net, share = scripted([0.1, 0.103, 0.12])
    assert share == 0.103 and net.kept_epoch == 1
    net, share = scripted([0.1, 0.103, 0.106], tol=0.015)
    assert share == 0.106 and net.kept_epoch is None
    seen = scripted([0.1, 0.1, 0.103, 0.106])[0].history[:, "modularity"]
    assert seen[0] - seen[2] > 0.015 * seen[0]  # the start would have been left for too little


def test_epochs_in_which_the_start_is_learned_are_not_kept():
    """The first is the most modular, as it has learned the start but coarsely."""
    net, share = scripted([0.3, 0.1, 0.13, 0.2], first=2)
    assert share == 0.13 and net.kept_epoch == 2
    assert len(net.history[:, "modularity"]) == 3
    assert scripted([0.3, 0.1, 0.13, 0.2])[1] == 0.1


def test_of_a_start_that_was_found_in_a_graph_twice_as_much_may_be_lost():
    """And no more than of others, once there is an epoch that was not."""
    start, near, further = scripted([0.1, 0.1, 0.105, 0.11])[0].history[:, "modularity"]
    assert 1.5 < 100 * (1 - near / start) < 3 < 100 * (1 - further / start)
    assert 1.5 < 100 * (1 - further / near) < 3
    fallen = [scripted([0.1, 0.105], tol=0.015, of_graph=which)[1] for which in (False, True)]
    assert fallen == [0.1, 0.105]
    assert scripted([0.1, 0.12], tol=0.015, of_graph=True)[1] == 0.1
    net, share = scripted([0.1, 0.105, 0.11], tol=0.015, of_graph=True)
    assert share == 0.105 and net.kept_epoch == 1


@pytest.mark.parametrize(
    ("init", "of_graph"),
    [
        ("ac-mod", True),
        ("auto", True),
        ("ac-gdl", False),
        ("k-means", False),
        (None, False),
        (GraphAgglomerative(), True),
        (GraphAgglomerative(linkage="degree"), False),
        (KMeans(), False),
        (np.zeros((3, 2)), False),
    ],
)
def test_which_starts_were_found_in_a_graph(init, of_graph):
    assert Start(init, 3).of_graph == of_graph


def test_how_much_it_may_fall_is_told():
    assert scripted([0.1, 0.14], tol=0.5)[1] == 0.14
    assert scripted([0.1, 0.14], tol=0.01)[1] == 0.1


def uneven(state):
    """Labels of a small group of rows and a large one: 0 of all as one, 1 right, 2 halves."""
    if state == 2:
        return (torch.arange(300) < 150).long()
    return (torch.arange(300) < 50).long() * int(state)


def test_a_large_cluster_that_is_torn_to_leave_a_small_one_is_drift(monkeypatch):
    """The modularity rises by it, as it likes clusters of one size."""
    X = np.random.default_rng(0).normal(size=(300, 2))
    X[:50, 0] += 30.0
    X[50:] = X[50:][np.argsort(X[50:, 0])[::-1]]
    net, state = watched(X, uneven, [1, 2, 2], n_clusters=2)
    seen = net.history[:, "modularity"]
    assert state == 1 and net.kept_epoch == 0 and len(seen) == 2
    monkeypatch.setattr(_drift, "_CUT", np.inf)
    assert watched(X, uneven, [1, 2, 2], n_clusters=2)[1] == 2


def test_a_lost_cluster_is_cut_as_much_as_can_be():
    """So what finds it again is no drift, and what loses it is."""
    X = np.random.default_rng(0).normal(size=(300, 2))
    X[:50, 0] += 30.0
    assert watched(X, uneven, [0, 1, 1], n_clusters=2)[1] == 1
    assert watched(X, uneven, [1, 0, 0], n_clusters=2)[1] == 1


class Wreck(Callback):
    """Random weights at the beginning of every epoch."""

    def on_epoch_begin(self, net, **kwargs):
        with torch.no_grad():
            for weight in net.module_.parameters():
                weight.normal_(generator=torch.Generator().manual_seed(weight.numel()))


def quick(**params):
    encoder = MLPEncoder(hidden_layer_sizes=(16,), n_components=16)
    return DDC(3, encoder=encoder, max_epochs=3, min_steps=6, random_state=0).set_params(**params)


def test_a_method_does_not_end_below_its_start(blobs):
    X, _ = blobs
    kept, left = (quick(callbacks=[Wreck()], lr=1e-2, drift_tol=tol).fit(X) for tol in (0.01, None))
    assert "modularity" in kept.history_ and "modularity" not in left.history_
    changed = [np.mean(model.labels_ != model.initial_labels_) for model in (kept, left)]
    assert changed[0] < 0.1 and changed[1] > 0.3
    # The loss that runs are compared by is that of the weights that were kept.
    assert kept.kept_epoch_ == 0 and kept.loss_ == kept.history_["loss"][0]
    assert left.loss_ == left.history_["loss"][left.kept_epoch_ - 1] == min(left.history_["loss"])


def test_from_random_weights_nothing_is_watched(blobs):
    X, _ = blobs
    model = quick(init=None).fit(X)
    assert "modularity" not in model.history_ and (model.initial_labels_ == -1).all()


def test_the_layer_of_kmeansnet_is_watched_by_the_data(blobs):
    X, _ = blobs
    net = KMeansNet(3, autoencoder=tiny_autoencoder(), min_steps=20, random_state=0).fit(X)
    assert len(net.history_["modularity"]) == net.n_iter_


def test_the_clusters_at_the_start_are_told(blobs):
    X, _ = blobs
    given = np.arange(len(X)) % 3

    class Given:
        def fit_predict(self, X):
            return given

        def get_params(self, deep=True):
            return {}

        def set_params(self, **params):
            return self

        def __sklearn_clone__(self):
            return self

    dec = DEC(3, autoencoder=tiny_autoencoder(), init=Given(), min_steps=20, random_state=0).fit(X)
    np.testing.assert_array_equal(dec.initial_labels_, given)
