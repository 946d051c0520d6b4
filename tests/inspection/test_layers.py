"""Kernels of the layers, how they change while a clusterer trains, and curves of its loss."""

import pickle
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch import nn

from sklearn_deepcluster import (
    DDC,
    DEC,
    DEPICT,
    DTKC,
    RDTKC,
    Autoencoder,
    ConvEncoder,
    GraphAgglomerative,
    GRUEncoder,
    KMeansNet,
    KNet,
    MLPEncoder,
)
from sklearn_deepcluster.inspection import (
    KernelDistanceDisplay,
    KernelTrace,
    LayerKernelDisplay,
    LossCurvesDisplay,
    ideal_kernel_distance,
)
from sklearn_deepcluster.inspection._layers import evaluating, layer_outputs
from sklearn_deepcluster.kernels import batch_kernel, naive_tensor_distances, tensor_distances
from tests._instances import network_input

CONV = ConvEncoder(filters=(3, 4), kernel_sizes=(3, 1), n_components=6, padding="valid")
SHORT = {"max_epochs": 3, "min_steps": 15, "batch_size": 40, "random_state": 0}
AT_RANDOM = {**SHORT, "init": None}  # without clusters to start from


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def images():
    return load_digits(n_class=3).images[:150].astype(np.float32)


@pytest.fixture(scope="module")
def dtkc(images):
    trace = KernelTrace(images[:40])
    return DTKC(3, encoder=CONV, callbacks=[trace], **SHORT).fit(images)


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(90, centers=3, n_features=6, random_state=0)
    return X.astype(np.float32), y


def distance_by_hand(kernel, labels):
    ideal = np.array([[float(a == b) for b in labels] for a in labels])
    return np.linalg.norm(kernel / np.linalg.norm(kernel) - ideal / np.linalg.norm(ideal))


# -- distance to the ideal kernel ----------------------------------------------------------------


def test_the_distance_is_that_of_the_normalised_matrices():
    rng = np.random.RandomState(0)
    kernel, labels = rng.rand(7, 7), rng.randint(3, size=7)
    want = distance_by_hand(kernel, labels)
    assert ideal_kernel_distance(kernel, labels) == pytest.approx(want, rel=1e-12)
    assert ideal_kernel_distance(5 * kernel, labels) == pytest.approx(want, rel=1e-12)
    names = np.array(["one", "two", "three"])[labels]
    tensors = torch.from_numpy(kernel), torch.from_numpy(labels)
    assert ideal_kernel_distance(kernel, names) == ideal_kernel_distance(*tensors)


def test_the_distance_goes_from_zero_to_the_root_of_two():
    labels = [0, 0, 1, 1, 1]
    ideal = np.equal.outer(labels, labels).astype(float)
    assert ideal_kernel_distance(ideal, labels) == 0
    assert ideal_kernel_distance(1 - ideal, labels) == pytest.approx(np.sqrt(2))
    with pytest.raises(ValueError, match="kernel has shape"):
        ideal_kernel_distance(ideal, labels[:4])


# -- kernels of the layers -----------------------------------------------------------------------


def test_the_kernels_are_those_of_the_layers_sorted_by_cluster(dtkc, images):
    display = LayerKernelDisplay.from_estimator(dtkc, images, max_samples=None)
    assert list(display.kernels) == ["layer 1", "layer 2", "embedding"]
    order = np.argsort(dtkc.labels_, kind="stable")
    np.testing.assert_array_equal(display.labels, dtkc.labels_[order])
    encoder, x = (
        dtkc.module_.encoder,
        torch.from_numpy(network_input(dtkc, images[order]).reshape(-1, 1, 8, 8)),
    )
    with torch.no_grad():
        first = encoder.blocks[0](x)
        second = encoder.blocks[1](first)
        z = torch.from_numpy(dtkc.transform(images[order]))
        want = {
            "layer 1": batch_kernel(tensor_distances(first), 0.15),
            "layer 2": batch_kernel(tensor_distances(second), 0.15),
            "embedding": batch_kernel(naive_tensor_distances(z[:, None]), 0.15),
        }
    for name, kernel in want.items():
        np.testing.assert_allclose(display.kernels[name], kernel, atol=1e-3)
        by_hand = distance_by_hand(display.kernels[name].astype(float), display.labels)
        assert display.distances[name] == pytest.approx(by_hand, rel=1e-6)
        assert 0 < display.distances[name] < np.sqrt(2)


def test_pictures_and_titles_are_those_of_the_layers(dtkc, images):
    display = LayerKernelDisplay.from_estimator(dtkc, images, max_samples=50)
    assert len(display.labels) == 50 and len(display.axes_) == len(display.ims_) == 3
    for ax, im, name in zip(display.axes_, display.ims_, display.kernels, strict=True):
        np.testing.assert_array_equal(im.get_array(), display.kernels[name])
        assert ax.get_title() == f"{name}\n{display.distances[name]:.2f} from ideal"
    display.figure_.canvas.draw()


def test_the_bandwidth_is_the_estimators_unless_another_is_given(images):
    model = DTKC(3, encoder=CONV, sigma_scale=0.4, bandwidth="mvc", **AT_RANDOM).fit(images)
    own, wide, given = (
        LayerKernelDisplay.from_estimator(model, images, **params)
        for params in ({}, {"sigma_scale": 0.8, "bandwidth": "code"}, {"sigma_scale": 0.1})
    )
    for name, kernel in own.kernels.items():
        np.testing.assert_array_equal(kernel, wide.kernels[name])
        assert given.kernels[name].sum() < kernel.sum()


def test_a_tables_hidden_layers_have_gaussian_kernels(blobs):
    X, y = blobs
    ddc = DDC(3, encoder=MLPEncoder(hidden_layer_sizes=(8, 5), n_components=4), **SHORT)
    pipeline = make_pipeline(StandardScaler(), ddc).fit(X)
    names = np.array(["x", "y", "z"])[y]
    display = LayerKernelDisplay.from_estimator(pipeline, X, names, max_samples=None)
    assert list(display.kernels) == ["layer 1", "layer 2", "embedding"]
    np.testing.assert_array_equal(display.labels, np.sort(names))
    order = np.argsort(names, kind="stable")
    x = torch.from_numpy(network_input(ddc, pipeline[0].transform(X)[order]))
    with torch.no_grad():
        hidden = ddc.module_.encoder.blocks[0](x)
    squares = (hidden[:, None] - hidden).square().sum(-1)
    np.testing.assert_allclose(display.kernels["layer 1"], batch_kernel(squares), atol=1e-4)


def test_stacks_sequences_and_bare_encoders_have_layers(blobs):
    X, _ = blobs
    autoencoder = Autoencoder(hidden_layer_sizes=(8, 7), n_components=3, min_steps=20)
    dec = DEC(3, autoencoder=autoencoder, max_epochs=1, min_steps=10, random_state=0).fit(X)
    assert len(LayerKernelDisplay.from_estimator(dec, X).kernels) == 3
    linear = DDC(3, encoder=nn.Linear(6, 4), **AT_RANDOM).fit(X)
    assert list(LayerKernelDisplay.from_estimator(linear, X).kernels) == ["embedding"]
    rng = np.random.RandomState(0)
    sequences = [s + rng.rand(t, 2) for t in range(3, 23) for s in (0, 1)]
    encoder = GRUEncoder(hidden_size=4, n_layers=2, n_components=4)
    rdtkc = RDTKC(2, encoder=encoder, init=None, **SHORT).fit(sequences)
    assert len(LayerKernelDisplay.from_estimator(rdtkc, sequences).kernels) == 3


def test_given_outputs_are_drawn():
    rng = np.random.RandomState(0)
    outputs = {"maps": rng.rand(12, 2, 3, 4), "vectors": rng.rand(12, 5)}
    labels = np.arange(12) % 2
    _, axes = plt.subplots(1, 2)
    display = LayerKernelDisplay.from_predictions(outputs, labels, axes=axes, alpha=0.5)
    assert list(display.axes_) == list(axes) and display.ims_[0].get_alpha() == 0.5
    order = np.argsort(labels, kind="stable")
    want = batch_kernel(tensor_distances(torch.from_numpy(outputs["maps"][order]).float()))
    np.testing.assert_allclose(display.kernels["maps"], want, atol=1e-5)
    again = display.plot(colorbar=False)
    assert again is display and again.axes_[0] is not axes[0]
    with pytest.raises(ValueError, match="axes holds 1 axes; 2 are needed"):
        display.plot(axes=axes[:1])
    with pytest.raises(ValueError, match="inconsistent"):
        LayerKernelDisplay.from_predictions(outputs, labels[:4])


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"bandwidth": "median"}, "bandwidth must be"),
        ({"sigma_scale": 0}, "sigma_scale must be positive"),
        ({"max_samples": 0}, "max_samples must be at least 1"),
        ({"y": [0, 1]}, "inconsistent"),
    ],
)
def test_bad_parameters_are_refused(params, match, dtkc, images):
    with pytest.raises(ValueError, match=match):
        LayerKernelDisplay.from_estimator(dtkc, images, **params)


def test_what_has_no_network_is_refused(images):
    with pytest.raises(ValueError, match="GraphAgglomerative has no network"):
        LayerKernelDisplay.from_estimator(GraphAgglomerative(3).fit(images), images)


def test_every_part_goes_back_to_its_own_mode():
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    module.train()
    module[1].eval()
    with evaluating(module):
        assert not any(part.training for part in module.modules())
    assert [part.training for part in module.modules()] == [True, True, False]


def test_outputs_do_not_depend_on_the_rows_beside(dtkc, images):
    x = torch.from_numpy(network_input(dtkc, np.tile(images, (2, 1, 1))))
    for output in layer_outputs(dtkc.module_, x).values():
        torch.testing.assert_close(output[:150], output[150:], rtol=1e-4, atol=1e-5)


# -- the trace of a training ---------------------------------------------------------------------


def layers(history):
    return [name for name in history if name.startswith("kernel_distance")]


@pytest.mark.parametrize(("cls", "init"), [(DTKC, "ac-mod"), (DTKC, None), (DDC, None)])
def test_the_training_is_the_same_with_a_trace(cls, init, images):
    trace = KernelTrace(images[:40])
    bare = cls(3, encoder=CONV, init=init, **SHORT).fit(images)
    traced = cls(3, encoder=CONV, init=init, callbacks=[trace], **SHORT).fit(images)
    found = dict(traced.history_)
    names = layers(found)
    assert names == [f"kernel_distance_{n}" for n in ("layer_1", "layer_2", "embedding")]
    assert all(len(found.pop(name)) == bare.n_iter_ for name in names)
    assert found == bare.history_
    for key, value in bare.module_.state_dict().items():
        assert torch.equal(traced.module_.state_dict()[key], value)
    np.testing.assert_array_equal(traced.coef_, bare.coef_)
    assert not hasattr(trace, "x_")  # a copy was given to the net


def test_a_module_that_draws_is_not_disturbed_by_a_trace(blobs):
    X, _ = blobs
    encoder = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 4))
    bare, traced = (
        DDC(3, encoder=encoder, callbacks=callbacks, **AT_RANDOM).fit(X)
        for callbacks in (None, [KernelTrace(X[:30])])
    )
    np.testing.assert_array_equal(traced.transform(X), bare.transform(X))


def test_the_module_trains_on_in_training_mode(images):
    modes = []

    class Look(KernelTrace):
        def on_batch_begin(self, net, **kwargs):
            modes.append({part.training for part in net.module_.modules()})

    DTKC(3, encoder=CONV, callbacks=[Look(images[:40])], **AT_RANDOM).fit(images)
    assert modes and all(mode == {True} for mode in modes)


def test_the_epoch_that_was_kept_has_the_distances_of_the_fitted_model(images):
    # Drift that is taken back could end before the first epoch, of which nothing is recorded.
    params = {"callbacks": [KernelTrace(images[:40])], "drift_tol": None, **AT_RANDOM}
    dtkc = DTKC(3, encoder=CONV, **params).fit(images)
    kept = dtkc.kept_epoch_ - 1
    display = LayerKernelDisplay.from_estimator(dtkc, images[:40], max_samples=None)
    for name, distance in display.distances.items():
        recorded = dtkc.history_[f"kernel_distance_{name.replace(' ', '_')}"]
        assert all(type(value) is float for value in recorded)
        # The display sorts the rows, and sums are rounded by their order.
        assert recorded[kept] == pytest.approx(distance, abs=1e-3)


def test_by_given_labels(images):
    y = load_digits(n_class=3).target[:40]
    own, given = (
        DDC(3, encoder=CONV, callbacks=[KernelTrace(images[:40], labels)], **AT_RANDOM)
        .set_params(drift_tol=None)
        .fit(images)
        for labels in (None, np.array(["a", "b", "c"])[y])
    )
    assert own.history_["loss"] == given.history_["loss"]
    assert own.history_ != given.history_
    kept = given.kept_epoch_ - 1
    display = LayerKernelDisplay.from_estimator(given, images[:40], y, max_samples=None)
    recorded = given.history_["kernel_distance_embedding"][kept]
    assert recorded == pytest.approx(display.distances["embedding"], abs=1e-3)


AUTOENCODER = Autoencoder(hidden_layer_sizes=(8,), n_components=3, min_steps=20, max_epochs=1)
OTHERS = [
    DEC(3, autoencoder=AUTOENCODER, max_epochs=2, min_steps=10, random_state=0),
    DEPICT(3, autoencoder=AUTOENCODER, max_epochs=2, min_steps=10, random_state=0),
    KNet(3, max_steps=20, n_refine=1, random_state=0),
    KMeansNet(3, autoencoder=AUTOENCODER, max_epochs=2, min_steps=10, random_state=0),
]


@pytest.mark.parametrize("model", OTHERS, ids=lambda model: type(model).__name__)
def test_other_clusterers_are_traced(model, blobs):
    X, y = blobs
    model = clone(model).set_params(callbacks=[KernelTrace(X[:30], y[:30])]).fit(X)
    names = layers(model.history_)
    assert names[-1] == "kernel_distance_embedding" and len(names) >= 2
    assert all(len(model.history_[name]) == model.n_iter_ for name in names)
    model.set_params(callbacks=[KernelTrace(X[:30])])
    if hasattr(model, "predict_proba") and not isinstance(model, KMeansNet):
        assert layers(model.fit(X).history_) == names
    else:
        with pytest.raises(ValueError, match="give y"):
            model.fit(X)


def test_where_no_network_is_trained_there_is_nothing_to_trace(blobs):
    X, y = blobs
    model = KMeansNet(
        3, autoencoder=AUTOENCODER, variant="decoupled", callbacks=[KernelTrace(X, y)]
    )
    with pytest.raises(ValueError, match="no network is trained"):
        model.fit(X)


@pytest.mark.parametrize("length", [9, 14])
def test_sequences_are_traced_whatever_their_length(length):
    rng = np.random.RandomState(0)
    X = [s + rng.rand(t, 2) for t in range(4, 12) for s in (0, 1, 2)]
    some = [rng.rand(t, 2) for t in range(3, length)]
    encoder = GRUEncoder(hidden_size=4, n_layers=2, n_components=4)
    params = {"encoder": encoder, "init": None, **SHORT, "batch_size": 12}
    model = RDTKC(2, callbacks=[KernelTrace(some)], **params).fit(X)
    assert len(layers(model.history_)) == 3
    with pytest.raises(ValueError, match="a row of its X has 15 values"):
        RDTKC(2, callbacks=[KernelTrace(np.ones((4, 15)))], **params).fit(X)


@pytest.mark.parametrize(
    ("trace", "match"),
    [
        (KernelTrace(np.ones((5, 63))), "a row of its X has 63 values, but .* of 64"),
        (KernelTrace(np.full((5, 64), np.nan)), "X contains NaN"),
        (KernelTrace(np.ones((5, 64)), [0, 1]), "inconsistent"),
        (KernelTrace(np.ones((5, 64)), bandwidth="median"), "bandwidth must be"),
        (KernelTrace(np.ones((5, 64)), sigma_scale=-1), "sigma_scale must be positive"),
    ],
)
def test_a_bad_trace_is_refused(trace, match, images):
    with pytest.raises(ValueError, match=match):
        DDC(3, encoder=CONV, callbacks=[trace], **AT_RANDOM).fit(images)


def test_restarts_have_traces_of_their_own_and_traces_travel(images):
    trace = pickle.loads(pickle.dumps(KernelTrace(images[:40])))
    model = DDC(3, encoder=CONV, callbacks=[trace], n_init=2, **AT_RANDOM)
    model = pickle.loads(pickle.dumps(clone(model).fit(images)))
    assert len(model.history_["kernel_distance_embedding"]) == model.n_iter_


def test_the_curves_are_what_was_recorded(dtkc):
    display = KernelDistanceDisplay.from_estimator(make_pipeline(dtkc))
    assert list(display.distances) == ["layer 1", "layer 2", "embedding"]
    for line, (name, values) in zip(display.lines_, display.distances.items(), strict=True):
        assert values == dtkc.history_[f"kernel_distance_{name.replace(' ', '_')}"]
        np.testing.assert_array_equal(line.get_xdata(), range(1, len(values) + 1))
        np.testing.assert_array_equal(line.get_ydata(), values)
        assert line.get_label() == name
    assert len(display.lines_) == 3


def test_without_a_trace_there_is_nothing_to_draw(blobs):
    ddc = DDC(3, encoder=MLPEncoder(hidden_layer_sizes=(8,)), **AT_RANDOM).fit(blobs[0])
    with pytest.raises(ValueError, match="callbacks"):
        KernelDistanceDisplay.from_estimator(ddc)


# -- curves of the loss --------------------------------------------------------------------------


def test_every_term_has_its_curve(dtkc):
    display = LossCurvesDisplay.from_estimator(dtkc)
    terms = ["loss", "separation", "spread", "corners", "companion", "modularity"]
    assert list(display.lines_) == terms
    for ax, (term, lines) in zip(display.axes_, display.lines_.items(), strict=True):
        assert ax.get_title() == term and ax.get_xlabel() == "epoch"
        (line,) = lines
        np.testing.assert_array_equal(line.get_ydata(), dtkc.history_[term])
        np.testing.assert_array_equal(line.get_xdata(), range(1, dtkc.n_iter_ + 1))
    display.figure_.canvas.draw()


def test_several_clusterers_share_the_axes(dtkc, images):
    ddc = DDC(3, encoder=CONV, **AT_RANDOM).fit(images)
    display = LossCurvesDisplay.from_estimator({"without": ddc, "with": dtkc})
    assert len(display.axes_) == 6
    assert [line.get_label() for line in display.lines_["loss"]] == ["without", "with"]
    assert [line.get_label() for line in display.lines_["companion"]] == ["with"]
    assert display.lines_["companion"][0].get_color() == display.lines_["loss"][1].get_color()
    legend = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert legend[:2] == ["without", "with"]


def test_terms_can_be_chosen(dtkc):
    terms = ["companion", "kernel_distance_embedding"]
    _, axes = plt.subplots(2, 1)
    display = LossCurvesDisplay.from_estimator(dtkc, terms=terms, axes=axes, linewidth=3)
    assert list(display.lines_) == terms and list(display.axes_) == list(axes)
    assert display.lines_["companion"][0].get_linewidth() == 3
    with pytest.raises(ValueError, match="'kl'"):
        LossCurvesDisplay.from_estimator(dtkc, terms=["kl"])


def test_the_epoch_that_was_kept_is_marked(images):
    model = DDC(3, encoder=CONV, **AT_RANDOM).fit(images)
    model.history_ = {"loss": [3.0, 1.0, 2.0], "spread": [0.3, 0.1, 0.2], "label_change": [0.5]}
    model.kept_epoch_ = 2
    display = LossCurvesDisplay.from_estimator(model)
    assert display.kept_epochs == {"DDC": 2}
    marks = [
        [(*line.get_xdata(), *line.get_ydata()) for line in ax.lines if line.get_marker() == "o"]
        for ax in display.axes_
    ]
    assert marks == [[(2, 1.0)], [(2, 0.1)], []]
    # What is not known in every epoch has no epochs.
    assert [ax.get_xlabel() for ax in display.axes_] == ["epoch", "epoch", "record"]
    model.kept_epoch_ = 3  # the last epoch: the end of the curve says it
    assert LossCurvesDisplay.from_estimator(model).kept_epochs == {"DDC": None}


class Spoil(Callback):
    """From the fourth epoch on there are no clusters and no learning: the loss is higher."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) > 3:
            with torch.no_grad():
                for parameter in net.criterion_.parameters():
                    parameter.zero_()
            for group in net.optimizer_.param_groups:
                group["lr"] = 1e-12


def test_the_least_loss_of_a_training_is_the_one_marked(blobs):
    callbacks = [Spoil(), KernelTrace(blobs[0][:30])]
    params = {**SHORT, "max_epochs": 6, "callbacks": callbacks}
    model = DDC(3, encoder=MLPEncoder(hidden_layer_sizes=(8,)), **params).fit(blobs[0])
    kept = int(np.argmin(model.history_["loss"])) + 1
    assert kept < 6
    assert LossCurvesDisplay.from_estimator(model).kept_epochs == {"DDC": kept}
    display = KernelDistanceDisplay.from_estimator(model)
    assert display.kept_epoch == kept and display.ax_.lines[-1].get_xdata()[0] == kept


def test_pretraining_has_an_axis_of_its_own(blobs):
    model = clone(OTHERS[0]).fit(blobs[0])
    display = LossCurvesDisplay.from_estimator(model)
    assert display.axes_[list(display.lines_).index("pretraining_loss")].get_xlabel() == (
        "epoch of pretraining"
    )
    alone = Autoencoder(hidden_layer_sizes=(8,), min_steps=20, random_state=0).fit(blobs[0])
    assert "loss" in LossCurvesDisplay.from_estimator(alone).lines_


@pytest.mark.parametrize(
    "draw",
    [
        lambda model, X: LayerKernelDisplay.from_estimator(model, X),
        lambda model, X: KernelDistanceDisplay.from_estimator(model),
        lambda model, X: LossCurvesDisplay.from_estimator(model),
    ],
)
def test_without_matplotlib_the_error_says_how_to_get_it(draw, dtkc, images, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"sklearn-deepcluster\[plot\]"):
        draw(dtkc, images)
