"""The objectives of DEC, IDEC, DEKM and the autoencoders: plain loops and gradcheck."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from sklearn_deepcluster._engine import Step
from sklearn_deepcluster.cluster._dec import ClusteringLoss
from sklearn_deepcluster.cluster._dekm import RotatedTargetLoss, RotatedTargets
from sklearn_deepcluster.losses import (
    ReconstructionLoss,
    dekm_targets,
    scatter_rotation,
    within_scatter,
)

N, K, E, D = 9, 3, 4, 5
BATCH = torch.tensor([7, 2, 4, 0])


@pytest.fixture
def data():
    """float64 tensors: all embeddings, centres, targets P (n, k), a batch x and its image."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(K), size=N)
    arrays = {
        "z": rng.normal(size=(N, E)),
        "centers": rng.normal(size=(K, E)),
        "p": p,
        "x": rng.normal(size=(len(BATCH), D)),
        "x_hat": rng.normal(size=(len(BATCH), D)),
        "labels": np.array([0, 1, 2, 0, 1, 2, 0, 0, 1]),
    }
    return {name: torch.from_numpy(value) for name, value in arrays.items()}


def loop_kl(z, centers, p, alpha):
    """Mean over the rows of KL(p_i || q_i), entry by entry."""
    total = 0.0
    for z_i, p_i in zip(z.numpy(), p.numpy(), strict=True):
        kernel = [
            (1 + sum((z_i - mu) ** 2) / alpha) ** (-(alpha + 1) / 2) for mu in centers.numpy()
        ]
        for j in range(len(kernel)):
            total += p_i[j] * math.log(p_i[j] / (kernel[j] / sum(kernel)))
    return total / len(z)


def loop_mse(x, x_hat):
    n, d = x.shape
    return sum(float(x[i, a] - x_hat[i, a]) ** 2 for i in range(n) for a in range(d)) / (n * d)


def clustering_loss(data, alpha=1.0, gamma=1.0):
    return ClusteringLoss(data["centers"], alpha, gamma)


def step(data, z, x_hat=None):
    """What the objective is told of the batch with this embedding and reconstruction."""
    return Step((z, x_hat), data["x"], BATCH, data["p"])


@pytest.mark.parametrize("alpha", [1.0, 3.0])
def test_dec_is_the_divergence_from_the_targets_of_the_batch_rows(data, alpha):
    z = data["z"][BATCH]
    terms = clustering_loss(data, alpha)(step(data, z))
    expected = loop_kl(z, data["centers"], data["p"][BATCH], alpha)
    assert set(terms) == {"loss", "kl"}
    assert terms["loss"].item() == pytest.approx(expected, rel=1e-10)
    assert terms["kl"].item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("gamma", [0.0, 0.1, 10.0])
def test_idec_adds_the_reconstruction_averaged_over_rows_and_features(data, gamma):
    z = data["z"][BATCH]
    terms = clustering_loss(data, gamma=gamma)(step(data, z, data["x_hat"]))
    kl = loop_kl(z, data["centers"], data["p"][BATCH], 1.0)
    error = loop_mse(data["x"], data["x_hat"])
    assert terms["kl"].item() == pytest.approx(kl, rel=1e-10)
    assert terms["reconstruction"].item() == pytest.approx(error, rel=1e-10)
    assert terms["loss"].item() == pytest.approx(gamma * kl + error, rel=1e-10)


def test_gamma_zero_leaves_the_centres_alone(data):
    objective = clustering_loss(data, gamma=0.0)
    objective(step(data, data["z"][BATCH], data["x_hat"]))["loss"].backward()
    assert (objective.centers.grad == 0).all()


@pytest.mark.parametrize("with_decoder", [False, True])
def test_gradcheck_of_dec_and_idec(data, with_decoder):
    objective = clustering_loss(data, alpha=2.0, gamma=0.3)

    def loss(z, x_hat, centers):
        given = step(data, z, x_hat if with_decoder else None)
        return torch.func.functional_call(objective, {"centers": centers}, (given,))["loss"]

    inputs = (data["z"][BATCH], data["x_hat"], data["centers"])
    assert gradcheck(loss, [t.clone().requires_grad_() for t in inputs])


def test_the_objective_owns_its_centres(data):
    objective = clustering_loss(data)
    with torch.no_grad():
        objective.centers.add_(1.0)
    assert not torch.equal(objective.centers, data["centers"])


def test_reconstruction_equals_the_loop_and_passes_gradcheck(data):
    objective = ReconstructionLoss()
    x, x_hat = data["x"], data["x_hat"].requires_grad_()
    loss = objective(Step((None, x_hat), x))["loss"]
    assert loss.item() == pytest.approx(loop_mse(x, x_hat.detach()), rel=1e-12)
    assert gradcheck(lambda r: objective(Step((None, r), x))["loss"], (x_hat,))


# --- DEKM


def loop_scatter(z, labels, centers):
    scatter = np.zeros((E, E))
    for z_i, s_i in zip(z.numpy(), labels.tolist(), strict=True):
        deviation = z_i - centers[s_i].numpy()
        for a in range(E):
            for b in range(E):
                scatter[a, b] += deviation[a] * deviation[b]
    return scatter


def test_within_scatter_equals_the_loop_in_float64(data):
    arguments = data["z"], data["labels"], data["centers"]
    expected = loop_scatter(*arguments)
    np.testing.assert_allclose(within_scatter(*arguments), expected, rtol=1e-12)
    single = within_scatter(data["z"].float(), data["labels"], data["centers"].float())
    assert single.dtype == torch.float64
    np.testing.assert_allclose(single, expected, rtol=1e-5, atol=1e-5)


def test_gradcheck_of_within_scatter(data):
    inputs = data["z"].requires_grad_(), data["centers"].requires_grad_()
    assert gradcheck(lambda z, mu: within_scatter(z, data["labels"], mu), inputs)


def test_the_last_column_of_the_rotation_is_the_widest_direction(data):
    scatter = within_scatter(data["z"], data["labels"], data["centers"])
    rotation = scatter_rotation(scatter)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(E), atol=1e-12)
    spectrum = rotation.T @ scatter @ rotation
    np.testing.assert_allclose(spectrum, np.diag(np.diag(spectrum)), atol=1e-10)
    assert (np.diff(np.diag(spectrum)) > 0).all()
    reference = np.linalg.eigh(loop_scatter(data["z"], data["labels"], data["centers"]))[1]
    # Signs are free.
    np.testing.assert_allclose(np.abs(reference.T @ rotation.numpy()), np.eye(E), atol=1e-8)


@pytest.mark.parametrize("dims", [[E - 1], [1], list(range(E))])
def test_targets_take_the_chosen_coordinates_from_the_centres(data, dims):
    y, center_y = data["z"], data["centers"][data["labels"]]
    before = y.clone()
    targets = dekm_targets(y, center_y, dims)
    for i in range(N):
        for a in range(E):
            assert targets[i, a] == (center_y[i, a] if a in dims else y[i, a])
    assert torch.equal(y, before)


def test_gradcheck_of_the_targets(data):
    inputs = data["z"].requires_grad_(), data["centers"].requires_grad_()
    assert gradcheck(lambda y, mu: dekm_targets(y, mu[data["labels"]], [E - 1]), inputs)


def rotated_targets(data, dims):
    rotation = scatter_rotation(within_scatter(data["z"], data["labels"], data["centers"]))
    targets = dekm_targets(
        data["z"] @ rotation, (data["centers"] @ rotation)[data["labels"]], [E - 1]
    )
    return RotatedTargets(rotation, targets, dims)


def rotated_loss(z, made):
    return RotatedTargetLoss()(Step((z, None), z, BATCH, made))


@pytest.mark.parametrize("dims", [None, [E - 1]], ids=["anchored", "literal"])
def test_dekm_equals_the_loop(data, dims):
    made = rotated_targets(data, dims)
    z = data["z"][BATCH] + 0.1 * data["centers"][0]
    terms = rotated_loss(z, made)
    expected = 0.0
    for row, i in enumerate(BATCH.tolist()):
        y = [sum(float(z[row, b] * made.rotation[b, a]) for b in range(E)) for a in range(E)]
        for a in range(E) if dims is None else dims:
            expected += (y[a] - float(made.targets[i, a])) ** 2 / E
    assert terms["loss"].item() == pytest.approx(expected, rel=1e-10)
    assert terms["target_error"].item() == pytest.approx(expected / len(BATCH), rel=1e-10)
    assert not terms["target_error"].requires_grad


@pytest.mark.parametrize("dims", [None, [E - 1]], ids=["anchored", "literal"])
def test_gradcheck_of_dekm(data, dims):
    made = rotated_targets(data, dims)
    z = (data["z"][BATCH] + 0.1).requires_grad_()
    assert gradcheck(lambda z: rotated_loss(z, made)["loss"], (z,))


def test_the_literal_form_leaves_the_other_coordinates_free_and_the_anchored_one_does_not(data):
    gradients = {}
    for name, dims in {"anchored": None, "literal": [E - 1]}.items():
        made = rotated_targets(data, dims)
        z = (data["z"][BATCH] + 0.1).requires_grad_()  # the encoder has moved since the update
        rotated_loss(z, made)["loss"].backward()
        gradients[name] = (z.grad @ made.rotation).numpy()
    np.testing.assert_allclose(gradients["literal"][:, :-1], 0.0, atol=1e-14)
    assert (np.abs(gradients["anchored"][:, :-1]) > 1e-3).any(axis=0).all()
    np.testing.assert_allclose(gradients["literal"][:, -1], gradients["anchored"][:, -1])


def test_right_after_an_update_both_forms_agree(data):
    z = data["z"][BATCH]
    losses = [rotated_loss(z, rotated_targets(data, dims))["loss"] for dims in (None, [E - 1])]
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-12)
    assert losses[0] > 0
