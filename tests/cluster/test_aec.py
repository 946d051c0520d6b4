"""AEC: the objective equals plain loops; labels and centres follow once a pass."""

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch.autograd import gradcheck

from sklearn_deepcluster import AEC
from sklearn_deepcluster._engine import Step
from sklearn_deepcluster.cluster._aec import CenterDistanceLoss, means_of
from sklearn_deepcluster.losses import ReconstructionLoss
from tests.cluster.conftest import Spy

QUICK = {"max_epochs": 8, "min_steps": 0, "batch_size": 30, "lr": 5e-3, "tol": 0.0}
QUICK["drift_tol"] = None


def quick(autoencoder, **params):
    return AEC(3, autoencoder=autoencoder, random_state=0, precision="float32", **(QUICK | params))


def draw(shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def test_the_objective_equals_the_loops():
    index, z, x, back = torch.tensor([4, 0, 2]), draw((3, 2)), draw((3, 4), 2), draw((3, 4), 3)
    targets = draw((5, 2), 4)
    loss = CenterDistanceLoss(draw((2, 2)), ReconstructionLoss(), 0.7)
    terms = loss(Step((z, back), x, index, targets))
    distance = sum(
        float((z[i, a] - targets[index[i], a]) ** 2) / 3 for i in range(3) for a in range(2)
    )
    error = sum(float((x[i, j] - back[i, j]) ** 2) for i in range(3) for j in range(4)) / 12
    assert float(terms["distance"]) == pytest.approx(distance, rel=1e-12)
    assert float(terms["loss"]) == pytest.approx(error + 0.7 * distance, rel=1e-12)


def test_the_gradient_is_right():
    loss, index = CenterDistanceLoss(draw((2, 2)), ReconstructionLoss(), 0.7), torch.arange(3)
    x, outputs = draw((3, 4), 2), [draw(s, 3).requires_grad_() for s in ((3, 2), (3, 4))]
    assert gradcheck(lambda *o: loss(Step(o, x, index, draw((3, 2), 5)))["loss"], outputs)


def test_centres_are_means_and_an_empty_cluster_takes_the_farthest_row():
    z = torch.tensor([[0.0, 0.0], [0.0, 2.0], [10.0, 0.0], [11.0, 7.0], [10.0, 2.0]])
    labels, before = torch.tensor([0, 0, 2, 2, 2]), torch.tensor([[0.0, 1.0], [50, 50], [10, 1.0]])
    means = means_of(z, labels, before)
    np.testing.assert_allclose(means, [[0, 1], [11, 7], [31 / 3, 3]], rtol=1e-6)


def test_labels_and_centres_are_those_of_the_embedding_before_each_pass(frozen, blobs):
    X, _ = blobs
    spy = Spy()
    model = quick(frozen, max_epochs=3, callbacks=[spy]).fit(X)
    assert len(model.history_["label_change"]) == 2
    start = quick(frozen, max_epochs=1, lr=1e-12).fit(X)
    z = start.transform(X)
    first = np.stack([z[start.initial_labels_ == j].mean(axis=0) for j in range(3)])
    np.testing.assert_allclose(start.cluster_centers_, first, rtol=1e-3, atol=1e-3)
    # At the end centres are means of the embedding as it is.
    z, nearest = model.transform(X), model.cluster_centers_
    means = np.stack([z[model.labels_ == j].mean(axis=0) for j in range(3)])
    np.testing.assert_allclose(nearest, means, atol=0.1 * np.abs(means).max())


def test_clusters_are_found_and_become_tighter(frozen, blobs):
    X, y = blobs
    loose, tight = (quick(frozen, lam=lam, max_epochs=20).fit(X) for lam in (0.0, 3.0))
    assert tight.score(X) > loose.score(X) + 0.05
    assert adjusted_rand_score(y, tight.labels_) > 0.8


@pytest.mark.parametrize("init", ["random", "k-means++"])
def test_it_starts_from_rows(init, frozen, blobs):
    X, y = blobs
    model = quick(frozen, init=init, max_epochs=20).fit(X)
    start = adjusted_rand_score(y, model.initial_labels_)
    assert start < adjusted_rand_score(y, model.labels_)


def test_it_stops_where_few_labels_change(frozen, blobs):
    model = quick(frozen, tol=0.5, max_epochs=50).fit(blobs[0])
    assert model.n_iter_ == 1 and model.history_["label_change"][-1] < 0.5


def test_warm_start_goes_on_with_the_centres(unfitted, blobs):
    X, _ = blobs
    model = quick(unfitted, warm_start=True, max_epochs=2).fit(X)
    centers = model.cluster_centers_
    model.set_params(lr=1e-12, max_epochs=1).fit(X)
    assert "pretraining_loss" not in model.history_
    assert np.abs(model.cluster_centers_ - centers).max() < 0.2 * np.abs(centers).max()
