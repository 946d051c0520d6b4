"""Pictures of samples and of the importance of their pixels."""

import copy
import doctest
import sys
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler
from torch import nn

from sklearn_deepcluster import (
    DDC,
    DEC,
    DEKM,
    RDDC,
    Autoencoder,
    ConvEncoder,
    GraphAgglomerative,
    GRUEncoder,
    MLPEncoder,
)
from sklearn_deepcluster.inspection import ClusterSamplesDisplay, ImportanceDisplay
from sklearn_deepcluster.inspection._importance import log_odds

DISPLAYS = [ClusterSamplesDisplay, ImportanceDisplay]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def images():
    return load_digits(n_class=3).images[:200].astype(np.float32)


@pytest.fixture(scope="module")
def ddc(images):
    encoder = ConvEncoder(filters=(4,), kernel_sizes=(3,), n_components=8)
    return DDC(3, encoder=encoder, max_epochs=2, min_steps=20, random_state=0).fit(images)


@pytest.fixture(scope="module")
def autoencoder(images):
    model = Autoencoder(hidden_layer_sizes=(16,), n_components=3, min_steps=50, random_state=0)
    return FrozenEstimator(model.fit(images.reshape(200, -1)))


def cells(display):
    """The cells of the one picture that a display has drawn, row by row."""
    rows = display.images
    height, width = rows[0].shape[1:3]
    picture = np.asarray(display.im_.get_array())
    n_columns = picture.shape[1] // (width + 1)
    return [
        [picture[i * (height + 1) :, j * (width + 1) :][:height, :width] for j in range(n_columns)]
        for i in range(len(rows))
    ]


# -- samples of the clusters ---------------------------------------------------------------------


def test_the_samples_are_the_most_probable_of_each_cluster(ddc, images):
    display = ClusterSamplesDisplay.from_estimator(ddc, images, n_samples=4)
    labels, proba = ddc.predict(images), ddc.predict_proba(images)
    np.testing.assert_array_equal(display.clusters, np.unique(labels))
    np.testing.assert_array_equal(display.counts, np.unique(labels, return_counts=True)[1])
    for cluster, row in zip(display.clusters, display.images, strict=True):
        members = np.flatnonzero(labels == cluster)
        best = members[np.argsort(-proba[members, cluster], kind="stable")[:4]]
        np.testing.assert_array_equal(row, images[best])
    drawn = cells(display)
    np.testing.assert_allclose(drawn[1][2], display.images[1][2] / 16, rtol=1e-6)
    assert display.ax_.get_xlabel() == "most probable samples"
    ticks = [tick.get_text() for tick in display.ax_.get_yticklabels()]
    assert ticks == [f"{c}  ({n})" for c, n in zip(display.clusters, display.counts, strict=True)]


def test_without_probabilities_they_are_nearest_the_centre(autoencoder, images):
    X = images.reshape(200, -1)
    model = DEKM(3, autoencoder=autoencoder, max_iter=1, random_state=0).fit(X)
    assert not hasattr(model, "predict_proba")
    display = ClusterSamplesDisplay.from_estimator(model, X, sample_shape=(8, 8), n_samples=1)
    distances = np.linalg.norm(model.transform(X)[:, None] - model.cluster_centers_, axis=2)
    for cluster, row in zip(display.clusters, display.images, strict=True):
        members = np.flatnonzero(model.labels_ == cluster)
        nearest = members[distances[members, cluster].argmin()]
        np.testing.assert_array_equal(row[0], images[nearest])
    assert display.ax_.get_xlabel() == "nearest the centre samples"


@pytest.mark.parametrize("model", [GraphAgglomerative(3), KMeans(3, n_init=1, random_state=0)])
def test_without_an_embedding_they_are_nearest_the_mean(model, images):
    X = images.reshape(200, -1)
    labels = model.fit(X).predict(X)
    display = ClusterSamplesDisplay.from_estimator(model, X, sample_shape=(8, 8), n_samples=1)
    members = X[labels == 0]
    nearest = np.square(members - members.mean(axis=0)).sum(axis=1).argmin()
    np.testing.assert_array_equal(display.images[0][0].ravel(), members[nearest])


def test_random_samples_repeat_by_their_seed(ddc, images):
    def draw(seed):
        display = ClusterSamplesDisplay.from_estimator(
            ddc, images, n_samples=5, selection="random", random_state=seed
        )
        return np.concatenate(display.images)

    np.testing.assert_array_equal(draw(0), draw(0))
    assert not np.array_equal(draw(0), draw(1))


def test_by_predictions_the_highest_scores_are_drawn(images):
    labels = np.array(["a", "b"] * 100)
    scores = np.arange(200.0)
    display = ClusterSamplesDisplay.from_predictions(images, labels, scores=scores, n_samples=2)
    np.testing.assert_array_equal(display.images[0], images[[198, 196]])
    np.testing.assert_array_equal(display.clusters, ["a", "b"])
    without = ClusterSamplesDisplay.from_predictions(images, labels, n_samples=2)
    assert without.order == "random"
    with pytest.raises(ValueError, match="scores has shape"):
        ClusterSamplesDisplay.from_predictions(images, labels, scores=scores[:5])


def test_a_small_cluster_leaves_room(images):
    labels = np.zeros(200, dtype=int)
    labels[:2] = 1
    display = ClusterSamplesDisplay.from_predictions(images, labels, n_samples=4)
    assert [len(row) for row in display.images] == [4, 2]
    drawn = cells(display)
    assert np.isfinite(drawn[1][1]).all() and np.isnan(drawn[1][2]).all()
    display.figure_.canvas.draw()


def test_colours_are_drawn_as_colours():
    X = np.random.RandomState(0).rand(20, 3, 4, 5)
    display = ClusterSamplesDisplay.from_predictions(X, np.arange(20) % 2, n_samples=30)
    assert display.images[0].shape == (10, 4, 5, 3)
    low, high = X.min(), X.max()
    want = (np.moveaxis(X, 1, -1) - low) / (high - low)
    drawn = cells(display)
    for cell in drawn[0]:
        assert any(np.allclose(cell[..., :3], image) for image in want)
        assert (cell[..., 3] == 1).all()
    assert np.asarray(display.im_.get_array())[4, 0, 3] == 0  # the gap is transparent


def test_one_channel_is_grey():
    X = np.random.RandomState(0).rand(20, 1, 4, 5)
    display = ClusterSamplesDisplay.from_predictions(X, np.arange(20) % 2)
    assert display.images[0].shape == (10, 4, 5)


def test_the_shape_of_the_images_is_that_of_x_of_the_fit_or_of_the_network(ddc, images):
    flat = images.reshape(200, -1)
    want = ClusterSamplesDisplay.from_estimator(ddc, images).images
    encoder = ConvEncoder(filters=(4,), kernel_sizes=(3,), n_components=8, sample_shape=(8, 8))
    of_rows = DDC(3, encoder=encoder, max_epochs=2, min_steps=20, random_state=0).fit(flat)
    for model in (ddc, of_rows):
        found = ClusterSamplesDisplay.from_estimator(model, flat).images
        np.testing.assert_array_equal(np.concatenate(found), np.concatenate(want))


def test_a_pipeline_is_drawn_as_it_was_given(images, autoencoder):
    flat = images.reshape(200, -1)
    half = FunctionTransformer(lambda X: X / 2)
    pipeline = make_pipeline(half, DEC(3, autoencoder=autoencoder, max_epochs=1, random_state=0))
    pipeline.fit(flat)
    display = ClusterSamplesDisplay.from_estimator(pipeline, flat, sample_shape=(8, 8))
    assert np.concatenate(display.images).max() == 16
    with pytest.raises(ValueError, match="give sample_shape"):
        ClusterSamplesDisplay.from_estimator(pipeline, flat)


@pytest.mark.parametrize("display", DISPLAYS)
@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"sample_shape": (4, 4)}, "has 16 values, a sample of X 64"),
        ({"sample_shape": (2, 8, 4)}, "not that of images"),
        ({"n_samples": 0}, "n_samples must be at least 1"),
        ({"selection": "best"}, "selection must be 'typical' or 'random'"),
    ],
)
def test_bad_parameters_are_refused(display, params, match, ddc, images):
    if display is ImportanceDisplay:
        pytest.importorskip("captum", reason="needs captum")
    with pytest.raises(ValueError, match=match):
        display.from_estimator(ddc, images, **params)


def test_labels_must_fit_the_images(images):
    with pytest.raises(ValueError, match="inconsistent"):
        ClusterSamplesDisplay.from_predictions(images, np.zeros(5))
    with pytest.raises(ValueError, match="give sample_shape"):
        ClusterSamplesDisplay.from_predictions(images.reshape(200, -1), np.zeros(200))


@pytest.mark.parametrize("display", DISPLAYS)
def test_given_axes_and_style_are_used(display, ddc, images):
    if display is ImportanceDisplay:
        pytest.importorskip("captum", reason="needs captum")
    _, ax = plt.subplots()
    drawn = display.from_estimator(ddc, images, n_samples=2, ax=ax, alpha=0.25)
    assert drawn.ax_ is ax and drawn.figure_ is ax.figure and drawn.im_.get_alpha() == 0.25
    again = drawn.plot()
    assert again is drawn and again.ax_ is not ax


@pytest.mark.parametrize("display", DISPLAYS)
def test_without_matplotlib_the_error_says_how_to_get_it(display, ddc, images, monkeypatch):
    if display is ImportanceDisplay:
        pytest.importorskip("captum", reason="needs captum")
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"sklearn-deepcluster\[plot\]"):
        display.from_estimator(ddc, images)


# -- importance of pixels ------------------------------------------------------------------------


def test_without_captum_the_error_says_how_to_get_it(ddc, images, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ImportError, match=r"sklearn-deepcluster\[importance\]"):
        ImportanceDisplay.from_estimator(ddc, images)


def test_the_log_odds_are_those_of_the_probabilities():
    log_p = torch.randn(5, 4, dtype=torch.float64).log_softmax(1)
    p = log_p.exp()
    torch.testing.assert_close(log_odds(log_p), (p / (1 - p)).log())
    assert log_odds(torch.zeros(5, 1)).tolist() == [[0.0]] * 5


def test_the_log_odds_have_a_gradient_where_the_probability_is_one():
    logits = torch.tensor([[60.0, 0.0, -5.0]], requires_grad=True)
    log_p = logits.log_softmax(1)
    assert log_p[0, 0] == 0
    log_odds(log_p)[0, 0].backward()
    torch.testing.assert_close(logits.grad[0, 0], torch.tensor(1.0))


def derivative(model, x, cluster, guided):
    """Derivative of the log odds by hand; guided: what a ReLU passes back is positive."""
    layers = [m for m in model.module_.modules() if isinstance(m, nn.ReLU)] if guided else []
    handles = [
        layer.register_full_backward_hook(lambda layer, into, out: (into[0].clamp_min(0.0),))
        for layer in layers
    ]
    x = torch.from_numpy(x.reshape(len(x), -1).copy()).requires_grad_()
    center = torch.from_numpy(
        np.zeros(x.shape[1]) + (model._standard().row(x.shape[1]) if model.center_.any() else 0.0)
    )
    z = model.module_.encode(((x - center) / model.scale_).float())
    logits = z @ torch.from_numpy(model.coef_).T + torch.from_numpy(model.intercept_)
    p = logits.double().softmax(1)[:, cluster]
    (p.log() - (-p).log1p()).sum().backward()
    for handle in handles:
        handle.remove()
    return x.grad.numpy()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_importance_is_the_guided_derivative_of_the_log_odds(activation, images):
    pytest.importorskip("captum", reason="needs captum")
    encoder = ConvEncoder(filters=(4,), kernel_sizes=(3,), n_components=8, activation=activation)
    model = DDC(3, encoder=encoder, max_epochs=1, min_steps=10, random_state=0).fit(images)
    display = ImportanceDisplay.from_estimator(model, images, n_samples=2)
    for cluster, row, found in zip(
        display.clusters, display.images, display.importances, strict=True
    ):
        want = derivative(model, row, cluster, guided=True).reshape(-1, 8, 8)
        np.testing.assert_allclose(found, want, rtol=1e-3, atol=1e-5 * np.abs(want).max())
        plain = derivative(model, row, cluster, guided=False).reshape(-1, 8, 8)
        assert not np.allclose(found, plain, rtol=1e-2)  # the head has a ReLU in any case


def test_without_relus_it_is_the_derivative_and_in_units_of_x(images):
    pytest.importorskip("captum", reason="needs captum")
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.Tanh(), nn.Linear(6, 3))
    model = DDC(3, encoder=network, max_epochs=1, min_steps=10, random_state=0).fit(images)
    display = ImportanceDisplay.from_estimator(model, images, n_samples=1)

    def evidence(image, cluster):
        z = torch.from_numpy(model.transform(image[None])).double()
        logits = z @ torch.from_numpy(model.coef_).double().T + torch.from_numpy(model.intercept_)
        return float(log_odds(logits.log_softmax(1))[0, cluster])

    image, found, cluster = display.images[0][0], display.importances[0][0], display.clusters[0]
    step = np.zeros((8, 8), dtype=np.float32)
    step[4, 3] = 0.5
    slope = evidence(image + step, cluster) - evidence(image - step, cluster)
    assert found[4, 3] == pytest.approx(slope, rel=0.02)


def test_each_image_stands_beside_its_importance(ddc, images):
    pytest.importorskip("captum", reason="needs captum")
    display = ImportanceDisplay.from_estimator(ddc, images, n_samples=2)
    drawn = cells(display)[0]
    assert len(drawn) == 4
    grey = plt.get_cmap("gray_r")(display.images[0][1] / 16)[..., :3]
    np.testing.assert_allclose(drawn[2][..., :3], grey)
    values = display.importances[0][1]
    strongest = np.unravel_index(np.abs(values).argmax(), values.shape)
    red, _, blue, _ = drawn[3][strongest]
    assert (red > blue) == (values[strongest] > 0)
    assert "most probable" in display.ax_.get_xlabel()


def test_the_clusterer_is_left_as_it_was(ddc, images):
    pytest.importorskip("captum", reason="needs captum")
    before = {name: value.clone() for name, value in ddc.module_.state_dict().items()}
    gradients = [copy.deepcopy(p.grad) for p in ddc.module_.parameters()]
    labels = ddc.predict(images)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ImportanceDisplay.from_estimator(ddc, images, n_samples=2)
    for name, value in ddc.module_.state_dict().items():
        assert torch.equal(value, before[name])
    for module in ddc.module_.modules():
        assert not module._forward_hooks and not module._backward_hooks and not module.training
    for parameter, gradient in zip(ddc.module_.parameters(), gradients, strict=True):
        assert parameter.grad is gradient is None or torch.equal(parameter.grad, gradient)
    np.testing.assert_array_equal(ddc.predict(images), labels)


def test_without_probabilities_the_distance_to_the_centre_counts(autoencoder, images):
    pytest.importorskip("captum", reason="needs captum")
    X = images.reshape(200, -1)
    model = DEKM(3, autoencoder=autoencoder, max_iter=1, random_state=0).fit(X)
    display = ImportanceDisplay.from_estimator(model, X, sample_shape=(8, 8), n_samples=1)
    assert np.abs(np.concatenate(display.importances)).max() > 0
    assert "nearest the centre" in display.ax_.get_xlabel()


def test_colours_are_summed_and_pipelines_work():
    pytest.importorskip("captum", reason="needs captum")
    X = np.random.RandomState(0).rand(60, 3 * 6 * 6)
    encoder = MLPEncoder(hidden_layer_sizes=(8,), n_components=4)
    ddc = DDC(2, encoder=encoder, max_epochs=1, min_steps=5, random_state=0)
    pipeline = make_pipeline(MaxAbsScaler(), ddc).fit(X)
    display = ImportanceDisplay.from_estimator(pipeline, X, sample_shape=(3, 6, 6), n_samples=2)
    assert display.images[0].shape[1:] == (6, 6, 3) and display.importances[0].shape[1:] == (6, 6)


def test_what_has_no_network_or_no_images_is_refused(images):
    pytest.importorskip("captum", reason="needs captum")
    with pytest.raises(ValueError, match="GraphAgglomerative has no network"):
        ImportanceDisplay.from_estimator(GraphAgglomerative(3).fit(images), images)
    X = np.random.RandomState(0).rand(20, 5, 3)
    X[:, 4] = np.nan
    encoder = GRUEncoder(hidden_size=4, n_layers=1, n_components=4)
    model = RDDC(2, encoder=encoder, init=None, max_epochs=1, min_steps=5, random_state=0).fit(X)
    with pytest.raises(ValueError, match="no images"):
        ImportanceDisplay.from_estimator(model, X)


def test_the_example_of_the_docstring_runs():
    pytest.importorskip("captum", reason="needs captum")
    text = ImportanceDisplay.__doc__.replace("# doctest: +SKIP", "")
    example = doctest.DocTestParser().get_doctest(text, {}, "ImportanceDisplay", None, 0)
    assert doctest.DocTestRunner().run(example).failed == 0
