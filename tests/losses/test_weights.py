"""Weights of rows in objectives, targets and means: an integer weight is so many equal rows."""

import types

import numpy as np
import pytest
import torch

from sklearn_deepcluster._engine import Rows, Step, learn_standard, mean_loss
from sklearn_deepcluster.cluster._aec import CenterDistanceLoss, means_of
from sklearn_deepcluster.cluster._dcn import HardAssignmentLoss, moved_centers
from sklearn_deepcluster.cluster._dec import ClusteringLoss
from sklearn_deepcluster.cluster._dekm import RotatedTargetLoss, RotatedTargets
from sklearn_deepcluster.cluster._divergence import DivergenceLoss
from sklearn_deepcluster.cluster._dkm import SoftDistanceLoss
from sklearn_deepcluster.cluster._information import InformationLoss
from sklearn_deepcluster.cluster._kmeans_layer import KMeansLayerLoss
from sklearn_deepcluster.cluster._labels import match_classes
from sklearn_deepcluster.cluster._memberships import alternate
from sklearn_deepcluster.cluster._mixture import MixtureBound, moments
from sklearn_deepcluster.cluster._softmax import SoftmaxClusteringLoss, ranked_prior
from sklearn_deepcluster.cluster._start import cluster_means, variances, within_variance
from sklearn_deepcluster.cluster._tell import Round, UnitKMeansLoss, move_centers
from sklearn_deepcluster.kernels import batch_kernel, squared_distance_matrix
from sklearn_deepcluster.losses import (
    IdentityLoss,
    ReconstructionLoss,
    ddc_terms,
    target_distribution,
    within_scatter,
)

N, K, E, D = 6, 3, 2, 4
TIMES = torch.tensor([1, 3, 2, 1, 5, 2])
LABELS = torch.tensor([0, 1, 2, 0, 1, 1])


def draw(shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def several(rows):
    """Each row as often as its weight says."""
    return rows.repeat_interleave(TIMES, 0)


CENTERS = draw((K, E), 1)
TARGETS = draw((N, K), 2).softmax(1)
AUTOENCODER = ((N, E), (N, D))
SHARES = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)

# Objective, shapes of the outputs, targets.
OBJECTIVES = {
    "reconstruction": (lambda: ReconstructionLoss(0.3), (*AUTOENCODER, (N, 3), (N, 3)), None),
    "identity": (IdentityLoss, ((N, D), (N, D)), None),
    "DEC": (lambda: ClusteringLoss(CENTERS, 1.0), ((N, E), None), TARGETS),
    "IDEC": (lambda: ClusteringLoss(CENTERS, 1.0, 0.3), AUTOENCODER, TARGETS),
    "DCN": (
        lambda: HardAssignmentLoss(CENTERS, torch.ones(K), LABELS, ReconstructionLoss(), 0.7),
        AUTOENCODER,
        None,
    ),
    "AEC": (
        lambda: CenterDistanceLoss(CENTERS, ReconstructionLoss(), 0.7),
        AUTOENCODER,
        CENTERS[LABELS],
    ),
    "DKM": (
        lambda: SoftDistanceLoss(CENTERS, LABELS, ReconstructionLoss(), 0.7),
        AUTOENCODER,
        2.0,
    ),
    "DEKM": (
        RotatedTargetLoss,
        ((N, E),),
        RotatedTargets(torch.linalg.qr(draw((E, E), 3))[0], draw((N, E), 4)),
    ),
    "DEPICT": (
        lambda: SoftmaxClusteringLoss(CENTERS, draw(K, 5), ReconstructionLoss(), 0.7),
        AUTOENCODER,
        TARGETS,
    ),
    "TELL, network": (
        lambda: UnitKMeansLoss(CENTERS, ReconstructionLoss(), 0.7),
        AUTOENCODER,
        Round.NETWORK,
    ),
    "TELL, centres": (
        lambda: UnitKMeansLoss(CENTERS, ReconstructionLoss(), 0.7),
        AUTOENCODER,
        Round.CENTERS,
    ),
    "VaDE": (
        lambda: MixtureBound(
            SHARES, CENTERS, 0.1 + CENTERS.square(), bernoulli=False, recon_weight=0.7, floor=0.01
        ),
        ((N, E), (N, D), (N, E), (N, E)),
        None,
    ),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_weight_is_so_many_rows(name):
    """All terms, and the gradients of outputs and parameters."""
    make, shapes, targets = OBJECTIVES[name]
    x, index, weight = draw((N, D), 6), torch.arange(N), TIMES / TIMES.double().mean()
    found = []
    for take, options in ((lambda rows: rows, {"weight": weight}), (several, {})):
        outputs = [s if s is None else draw(s, 7 + i) for i, s in enumerate(shapes)]
        leaves = [o.requires_grad_() for o in outputs if o is not None]
        given = tuple(o if o is None else take(o) for o in outputs)
        objective = make()
        terms = objective(Step(given, take(x), take(index), targets, **options))
        loss = terms.pop("loss")
        if name == "DEKM":  # a sum over the batch
            loss = loss / len(given[0])
        loss.backward()
        learned = [p.grad for p in objective.parameters() if p.grad is not None]
        found.append([loss, *terms.values(), *(o.grad for o in leaves if o.grad is not None)])
        found[-1] += learned
    assert len(found[0]) == len(found[1]) > 1
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_a_weight_is_so_many_rows_of_a_layer():
    logits, bias, x = draw((N, K)), draw(K, 1), draw((N, E), 2)
    weight = TIMES / TIMES.double().mean()
    weighted = KMeansLayerLoss(0.5)(Step((logits, bias), x, weight=weight))
    repeated = KMeansLayerLoss(0.5)(Step((several(logits), bias), several(x)))
    for name, value in repeated.items():
        torch.testing.assert_close(weighted[name], value, rtol=1e-12, atol=0)


def pairs(z, logits, weight=None):
    """The terms of DDC, whose kernel has a width that depends on the weights, too."""
    kernel = batch_kernel(squared_distance_matrix(z, z), 0.5, weight=weight)
    return ddc_terms(logits.softmax(1), kernel, SHARES, weight)


def test_a_weight_is_so_many_rows_that_are_compared():
    found = []
    for take, weight in ((lambda rows: rows, TIMES / TIMES.double().mean()), (several, None)):
        leaves = draw((N, E)).requires_grad_(), draw((N, K), 1).requires_grad_()
        terms = pairs(*map(take, leaves), weight)
        of_both = terms["separation"] + terms["corners"]
        found.append([*terms.values(), *torch.autograd.grad(of_both, leaves)])
    (separation, spread, *rest), expected = found[0], found[1]
    of_rows = [expected[0], *expected[2:]]
    torch.testing.assert_close([separation, *rest], of_rows, rtol=1e-10, atol=1e-14)
    # Rows are compared with others, not with themselves.
    counted = (draw((N, K), 1).softmax(1) / (K * SHARES)) @ draw((N, K), 1).softmax(1).T
    both = [(i, j) for i in range(N) for j in range(i)]
    each = [float(counted[i, j]) for i, j in both]
    weights = [float(TIMES[i] * TIMES[j]) for i, j in both]
    assert float(spread.detach()) == pytest.approx(np.average(each, weights=weights), rel=1e-12)


@pytest.mark.parametrize("times", [[2, 2, 2], [1, 1, 2], [1, 0, 3], [7, 1, 1]])
def test_the_median_of_a_batch_is_that_of_repeated_rows(times):
    z, times = draw((3, E)), torch.tensor(times)
    distances = squared_distance_matrix(z, z)
    found = batch_kernel(distances, 1.0, weight=(times / times.double().mean()).float())
    repeated = distances.repeat_interleave(times, 0).repeat_interleave(times, 1)
    expected = (distances / repeated.median().clamp_min(1e-9)).neg().exp()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["DDC", "IMSAT"])
def test_a_batch_counts_by_the_weight_of_its_rows(name):
    outputs, weight = (draw((N, E)),), TIMES / TIMES.double().mean()
    layer, x = (CENTERS, draw(K, 5)), draw((N, E))
    if name == "DDC":
        objective = DivergenceLoss(*layer, 0.5, "code")
    else:
        net = types.SimpleNamespace(module_=torch.nn.Identity(), infer=lambda x: (x,))
        objective = InformationLoss(*layer, 0.1, 4.0, radii=None, augmentation=torch.sin)
    kwargs = {} if name == "DDC" else {"net": net}
    half, one, two = (
        objective(Step(outputs, x, torch.arange(N), weight=w, **kwargs))
        for w in (0.5 * weight, torch.ones(N).double(), 2.0 * weight)
    )
    plain = objective(Step(outputs, x, torch.arange(N), **kwargs))
    for term, value in plain.items():
        torch.testing.assert_close(one[term], value, rtol=1e-12, atol=0)
        torch.testing.assert_close(two[term], 4 * half[term], rtol=1e-12, atol=0)
        assert not torch.allclose(2 * half[term], value, rtol=1e-3)


def test_steps_add_up_to_the_mean_over_all_rows():
    values, weight = draw(N).square(), TIMES / TIMES.double().mean()
    batches = [torch.tensor([0, 4]), torch.tensor([1, 2]), torch.tensor([3, 5])]
    means = [Step((), weight=weight[b]).mean(values[b]) for b in batches]
    expected = np.average(values, weights=TIMES)
    assert float(sum(means)) / 3 == pytest.approx(expected, rel=1e-12)


# -- of all rows: each with weights, and on rows repeated ------------------------------------------


def unit(centers):
    return torch.nn.functional.normalize(centers, dim=1)


def tell(z, labels, weight=None):
    centers = unit(CENTERS)
    move_centers(centers, unit(z), weight)
    return centers


def matched(z, labels, weight=None):
    classes = (z[:, 0] > 0).long().numpy()
    weight = None if weight is None else weight.numpy()
    return torch.from_numpy(match_classes(labels.numpy(), classes, K, weight))


OF_ALL_ROWS = {
    "targets": lambda z, labels, w=None: target_distribution(
        torch.softmax(z @ CENTERS.T, 1), weight=w
    )[-1],
    "balanced targets": lambda z, labels, w=None: target_distribution(
        torch.softmax(z @ CENTERS.T, 1), "sqrt", SHARES, w
    )[0],
    "scatter": lambda z, labels, w=None: within_scatter(z, labels, CENTERS, w),
    "DCN": lambda z, labels, w=None: torch.cat(
        [part.flatten() for part in moved_centers(CENTERS, 2 * torch.ones(K), z, labels, w)]
    ),
    "AEC": lambda z, labels, w=None: means_of(z, labels, CENTERS, w),
    "TELL": tell,
    "prior": lambda z, labels, w=None: ranked_prior("start", labels, K, w),
    "VaDE": lambda z, labels, w=None: torch.cat(
        [part.flatten() for part in moments(z, labels, CENTERS, 1e-3, w)]
    ),
    "matched classes": matched,
}


@pytest.mark.parametrize("name", OF_ALL_ROWS)
def test_a_weight_is_so_many_rows_among_all(name):
    z = draw((N, E))
    weighted = OF_ALL_ROWS[name](z, LABELS, TIMES.double())
    repeated = OF_ALL_ROWS[name](several(z), several(LABELS))
    torch.testing.assert_close(weighted.double(), repeated.double(), rtol=1e-6, atol=1e-7)
    unweighted = OF_ALL_ROWS[name](z, LABELS)
    assert name == "matched classes" or not torch.allclose(
        unweighted.double(), repeated.double(), rtol=1e-3
    )


def test_variances_are_those_of_repeated_rows():
    z, weight = draw((N, E)), TIMES / TIMES.double().mean()
    torch.testing.assert_close(variances(z, weight), variances(several(z)), rtol=1e-12, atol=0)
    within = within_variance(several(z), several(LABELS), CENTERS)
    assert within_variance(z, LABELS, CENTERS, weight) == pytest.approx(within, rel=1e-12)


def test_means_are_those_of_repeated_rows():
    z = draw((N, E)).numpy()
    found = cluster_means(z, LABELS.numpy(), np.zeros((4, E)), TIMES.double().numpy())
    expected = cluster_means(
        z.repeat(TIMES, axis=0), LABELS.numpy().repeat(TIMES), np.zeros((4, E))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_light_rows_have_means():
    """Weights of a cluster that add up to less than one row."""
    z, weight = draw((N, E)), torch.full((N,), 1e-3, dtype=torch.float64)
    torch.testing.assert_close(
        means_of(z, LABELS, CENTERS, weight), means_of(z, LABELS, CENTERS), rtol=1e-12, atol=1e-12
    )


def test_fuzzy_means_and_objective_are_those_of_repeated_rows():
    X, start = draw((N, D)).float().numpy(), draw((K, D), 1).numpy()
    weight = TIMES.double().numpy()
    found = alternate(X, start, 2.0, 20, 0.0, weight)
    expected = alternate(X.repeat(TIMES, axis=0), start, 2.0, 20, 0.0)
    np.testing.assert_allclose(found.centers, expected.centers, rtol=1e-9)
    assert found.objective == pytest.approx(expected.objective, rel=1e-9)


# -- what comes before and after -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [None, (2, 2, 1)])
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("chunk", [2**20, 8])
def test_centre_and_scale_are_those_of_repeated_rows(shape, background, chunk, monkeypatch):
    monkeypatch.setattr("sklearn_deepcluster._engine._standard.CHUNK_VALUES", chunk)
    X = draw((N, D)).numpy() + 50.0
    if background:
        X[4, :] = X[1, 1] = 0.0  # few values, but of heavy rows
    found = learn_standard(X, shape, weight=(TIMES / TIMES.double().mean()).numpy())
    expected = learn_standard(X.repeat(TIMES, axis=0), shape)
    np.testing.assert_allclose(found.center, expected.center, rtol=1e-12)
    assert found.scale == pytest.approx(expected.scale, rel=1e-9)
    assert (found.center == 0).any() == background


def test_the_mean_loss_of_all_rows_is_weighted(monkeypatch):
    monkeypatch.setattr("sklearn_deepcluster._engine._blocks._BLOCK_ROWS", {"cpu": 4, "cuda": 4})
    X = draw((N, D)).float().numpy()
    weight = (TIMES / TIMES.float().mean()).float()

    def outputs(x):
        return None, 0.5 * x

    found = mean_loss(ReconstructionLoss(), outputs, Rows(X, weight=weight))
    expected = mean_loss(ReconstructionLoss(), outputs, Rows(X.repeat(TIMES, axis=0)))
    assert found == pytest.approx(expected, rel=1e-6)
    assert found != pytest.approx(mean_loss(ReconstructionLoss(), outputs, Rows(X)), rel=1e-2)


def test_part_of_the_rows_has_weights_of_mean_one():
    rows = Rows(draw((N, D)).numpy(), weight=TIMES / TIMES.float().mean())
    part = rows.some(torch.tensor([1, 4]))
    np.testing.assert_allclose(part.weight, [3 / 4, 5 / 4], rtol=1e-6)
    np.testing.assert_array_equal(part.X, rows.X[[1, 4]])
