"""Context prediction: which patches are drawn, what is learned from them, and what is handed on."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn

from sklearn_deepcluster import DDC, DTKC, ContextPredictor, ConvEncoder, load_model, save_model
from sklearn_deepcluster._engine import Step, Trainer, draw_seed, generator, random_stream
from sklearn_deepcluster.nn import PatchGrid, PositionLoss, choose_patches, same_padded
from sklearn_deepcluster.nn._encoders import conv_block

SMALL = {
    "filters": (6, 8),
    "kernel_sizes": (3, 3),
    "n_components": 5,
    "max_epochs": 1,
    "min_steps": 100,
    "batch_size": 64,
    "lr": 3e-3,
    "random_state": 0,
}


def small(**params):
    return ContextPredictor(**(SMALL | params))


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def images(small_digits):
    return small_digits[0].reshape(-1, 8, 8)


@pytest.fixture(scope="module")
def context(images):
    return small().fit(images)


@pytest.fixture(scope="module")
def briefly(images):
    return small(min_steps=2).fit(images)


# -- patches -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sides", "patch", "jitter"),
    [((28, 28), 7, 1), ((16, 16), 5, 0), ((128, 128), 24, 4), ((512, 300), 24, 4), ((1, 16), 5, 0)],
)
def test_the_sizes_of_the_thesis_are_the_default(sides, patch, jitter):
    assert choose_patches(sides, "auto", "auto") == (patch, jitter)


@pytest.mark.parametrize("side", [*range(1, 60), 92, 128, 500])
def test_what_is_chosen_fits_whatever_is_given(side):
    for patch in ["auto", *range(1, side // 3 + 1)]:
        size, jitter = choose_patches((side, side), patch, "auto")
        assert patch in ("auto", size) and 3 * (size + jitter) <= max(side, 3)
    for jitter in range(side // 3):
        size, given = choose_patches((side, side), "auto", jitter)
        assert given == jitter and size >= 1


def numbered(n, channels, height, width):
    """Images whose values are their own coordinates: image, channel, row, column."""
    axes = (torch.arange(size, dtype=torch.float32) for size in (n, channels, height, width))
    i, c, row, column = torch.meshgrid(*axes, indexing="ij")
    return ((i * 100 + c) * 100 + row) * 100 + column


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 15, 21)])
def test_patches_are_what_slices_cut(shape):
    grid = PatchGrid(shape[1:], 4, 1)
    x = numbered(40, *shape)
    corners, _ = grid.draw(40, rng())
    patches = grid.cut(x, corners)
    assert patches.shape == (80, shape[0], 4, 4)
    for i in range(40):
        for which in range(2):
            row, column = corners[i, which]
            expected = x[i, :, row : row + 4, column : column + 4]
            np.testing.assert_array_equal(patches[2 * i + which], expected)


def test_pairs_lie_in_neighbouring_cells_of_a_grid_anywhere_in_the_image():
    n, side, patch, jitter = 4000, 28, 7, 1
    grid = PatchGrid((side, side), patch, jitter)
    corners, position = grid.draw(n, rng())
    assert grid.moves.tolist() == [
        [i, j] for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)
    ]
    middle, other = corners[:, 0], corners[:, 1]
    shift = other - middle - 8 * grid.moves[position]
    assert set(shift.flatten().tolist()) == {-1, 0, 1}
    assert int(corners.min()) == 0 and int(corners.max()) == side - patch
    # The middle patch lies alike whatever the position: it alone does not tell it.
    assert (middle.min(0).values.tolist(), middle.max(0).values.tolist()) == ([8, 8], [13, 13])
    for k in range(8):
        assert len(middle[position == k].unique(dim=0)) == 36
        assert int((position == k).sum()) == pytest.approx(n / 8, rel=0.2)
    assert ((other - middle).abs().max(1).values >= patch).all(), "patches overlap"


def test_the_middle_pairs_are_all_neighbours_and_no_chance():
    grid = PatchGrid((28, 28), 7, 1)
    corners = grid.middle(3)
    assert corners.shape == (3, 9, 2)
    np.testing.assert_array_equal(corners[0], corners[2])
    assert corners[0, 0].tolist() == [10, 10]
    np.testing.assert_array_equal(corners[0, 1:] - corners[0, 0], 8 * grid.moves)


@pytest.mark.parametrize(
    ("sides", "size", "moves"),
    [
        ((1, 9), (1, 3), [[0, -1], [0, 1]]),
        ((2, 9), (2, 3), [[0, -1], [0, 1]]),
        ((9, 1), (3, 1), [[-1, 0], [1, 0]]),
        ((1, 1), (1, 1), [[0, -1], [0, 1]]),
        ((2, 2), (2, 1), [[0, -1], [0, 1]]),
    ],
)
def test_sides_below_three_pixels_have_no_neighbours(sides, size, moves):
    patch, jitter = choose_patches(sides, "auto", "auto")
    grid = PatchGrid(sides, patch, jitter)
    assert grid.size == size and grid.moves.tolist() == moves
    corners, _ = grid.draw(50, rng())
    patches = grid.cut(torch.ones(50, 1, *sides), corners)
    assert patches.shape == (100, 1, *size)
    if max(sides) < 3:  # columns of zeros were added
        assert set(patches.unique().tolist()) == {0.0, 1.0}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("side", [1, 2, 5, 6, 7, 24])
@pytest.mark.parametrize("kernel", [2, 3, 5])
def test_padded_blocks_are_the_blocks_with_same_padding(kernel, side):
    block = conv_block(2, 3, kernel, rng()).eval()
    for norm in (m for m in block if isinstance(m, nn.BatchNorm2d)):
        norm.running_mean += 0.1
    twin = copy.deepcopy(block)
    for layer in twin:
        if isinstance(layer, nn.Conv2d):
            layer.padding = "same"
        elif isinstance(layer, nn.MaxPool2d):
            layer.ceil_mode = True
    x = torch.randn(4, 2, side, side, generator=rng(1))
    out = same_padded(block, x)
    assert out.shape == (4, 3, math.ceil(side / 2), math.ceil(side / 2))
    torch.testing.assert_close(out, twin(x))
    torch.testing.assert_close(same_padded(twin, x), twin(x))  # once, not twice


# -- learning ------------------------------------------------------------------------------------


def test_it_learns_the_positions(images, digits, context):
    unseen = digits[0][300:].reshape(-1, 8, 8)
    assert context.history_["loss"][0] > context.loss_
    assert context.score(images) > -math.log(8) + 0.3
    assert context.score(unseen) > -math.log(8) + 0.3


def test_it_learns_on_mnist(data_home):
    from sklearn_deepcluster.datasets import fetch_mnist

    X = fetch_mnist(subset="test").data[:2000]
    model = ContextPredictor(filters=(8, 8), max_epochs=1, min_steps=60, random_state=0)
    model.set_params(batch_size=64, lr=3e-3).fit(X[:1000])
    assert (model.patch_size_, model.jitter_) == (7, 1)
    assert model.score(X[1000:]) > -math.log(8) + 0.3


def test_where_nothing_can_be_told_it_guesses():
    X = np.full((40, 8, 8), 3.0)
    assert small().fit(X).score(X) == pytest.approx(-math.log(8), abs=0.05)


def test_score_is_the_cross_entropy_of_all_neighbours(images, context):
    """By plain loops; patches of 2 x 2 pixels become maps of one, with 8 channels."""
    blocks = copy.deepcopy(context.module_.encoder.blocks)
    vector = torch.from_numpy(context.classifier_weights_)
    shapes = [(100, 8), (100,), (100, 200), (100,), (100, 100), (100,), (8, 100), (8,)]
    parts = vector.split([math.prod(shape) for shape in shapes])
    W, a, W1, a1, W2, a2, W3, a3 = (p.view(s) for p, s in zip(parts, shapes, strict=True))

    def summary(image, row, column):
        y = torch.from_numpy(image[row : row + 2, column : column + 2] / np.float32(context.scale_))
        y = y[None, None]
        for block in blocks:
            y = same_padded(block, y)
        return (W @ y.flatten() + a).relu()

    total = 0.0
    with torch.no_grad():
        for image in images[:5]:
            moves = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
            for k, (i, j) in enumerate(moves):
                pair = torch.cat([summary(image, 3, 3), summary(image, 3 + 2 * i, 3 + 2 * j)])
                logits = W3 @ (W2 @ (W1 @ pair + a1).relu() + a2).relu() + a3
                total -= float(logits.log_softmax(0)[k])
    assert context.patch_size_ == 2 and context.jitter_ == 0
    assert context.score(images[:5]) == pytest.approx(-total / 40, rel=1e-4)
    assert context.score(images[4::-1]) == pytest.approx(-total / 40, rel=1e-4)


def test_the_loss_is_the_cross_entropy_and_counts_what_is_found():
    logits = torch.randn(6, 8, generator=rng(), dtype=torch.float64, requires_grad=True)
    position = torch.tensor([0, 3, 7, 7, 2, 1])
    terms = PositionLoss()(Step((logits, position.float())))
    proba = logits.detach().softmax(1)
    expected = sum(-math.log(proba[i, k]) for i, k in enumerate(position)) / 6
    assert float(terms["loss"].detach()) == pytest.approx(expected, rel=1e-12)
    found = sum(int(proba[i].argmax()) == int(k) for i, k in enumerate(position))
    assert float(terms["accuracy"]) == pytest.approx(found / 6)
    assert torch.autograd.gradcheck(
        lambda z: PositionLoss()(Step((z, position)))["loss"], (logits,)
    )


def test_a_weight_is_so_many_images():
    logits = torch.randn(4, 8, generator=rng(), dtype=torch.float64)
    position, times = torch.tensor([0.0, 3.0, 7.0, 2.0]), torch.tensor([1, 3, 2, 2])
    found = PositionLoss()(Step((logits, position), weight=times / times.double().mean()))
    repeated = [part.repeat_interleave(times, 0) for part in (logits, position)]
    expected = PositionLoss()(Step(tuple(repeated)))["loss"]
    torch.testing.assert_close(found["loss"], expected, rtol=1e-12, atol=0)


def test_every_epoch_draws_new_patches(images, monkeypatch):
    drawn = []
    draw = PatchGrid.draw

    def record(self, *args):
        drawn.append(draw(self, *args))
        return drawn[-1]

    monkeypatch.setattr(PatchGrid, "draw", record)
    first = small(batch_size=300, max_epochs=3, min_steps=0).fit(images)
    assert len(drawn) == 3
    assert len({tuple(position.tolist()) for _, position in drawn}) == 3
    again = small(batch_size=300, max_epochs=3, min_steps=0).fit(images)
    for (a, b), (c, d) in zip(drawn[:3], drawn[3:], strict=True):
        assert torch.equal(a, c) and torch.equal(b, d)
    np.testing.assert_array_equal(first.transform(images), again.transform(images))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precisions_train_and_results_are_bitwise_the_same(images, precision):
    first, second = (small(precision=precision).fit(images) for _ in range(2))
    assert first.loss_ < 0.95 * first.history_["loss"][0]
    np.testing.assert_array_equal(first.classifier_weights_, second.classifier_weights_)
    np.testing.assert_array_equal(first.transform(images), second.transform(images))
    assert first.history_ == second.history_ and first.score(images) == second.score(images)


# -- what is handed on ---------------------------------------------------------------------------


def test_the_blocks_are_trained_and_the_head_is_fresh(images, context):
    encoder = ConvEncoder(filters=(6, 8), kernel_sizes=(3, 3), n_components=5)
    start = encoder.build(64, (8, 8), generator(draw_seed(random_stream(0))))[0]
    before, after = start.state_dict(), context.module_.state_dict()
    assert before.keys() == after.keys() and context.module_.decoder is None
    for name, value in before.items():
        assert torch.equal(value, after[name]) == name.startswith("encoder.head"), name
    assert not any(m.training for m in context.module_.modules())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cls", [DDC, DTKC])
def test_clusterers_start_from_its_blocks(cls, images, context, tmp_path):
    # With steps of no length the batch normalisation alone changes.
    still = {"optimizer": "sgd", "lr": 1e-30, "momentum": 0.0, "max_epochs": 1, "min_steps": 2}
    still |= {"init": None, "random_state": 0}
    frozen = cls(3, encoder=FrozenEstimator(context), **still).fit(images)
    for (name, a), b in zip(
        context.module_.named_parameters(), frozen.module_.parameters(), strict=True
    ):
        torch.testing.assert_close(a, b, msg=name)
    assert frozen.history_["pretraining_loss"] == context.history_["loss"]
    own = cls(3, encoder=small(), **still).fit(images)
    assert own.n_components_ == 5 and own.module_.state_dict().keys() == {
        *context.module_.state_dict()
    }
    np.testing.assert_array_equal(own.labels_, own.predict(images))
    save_model(own, tmp_path / "model")
    np.testing.assert_array_equal(load_model(tmp_path / "model").predict(images), own.labels_)


def test_the_classifier_is_kept_and_the_pickle_holds_no_optimiser(images, context, tmp_path):
    save_model(context, tmp_path / "model")
    for again in (load_model(tmp_path / "model"), pickle.loads(pickle.dumps(context))):
        assert again.score(images) == context.score(images)
        np.testing.assert_array_equal(again.transform(images), context.transform(images))
    weights = sum(v.numel() * v.element_size() for v in context.module_.state_dict().values())
    dump = pickle.dumps(context)
    assert len(dump) < weights + context.classifier_weights_.nbytes + 20_000
    assert b"skorch" not in dump and b"optim" not in dump.replace(b"optimizer", b"")


def test_score_is_that_of_the_fit_whatever_the_parameters_are_now(images, context):
    changed = copy.deepcopy(context).set_params(patch_size=1, jitter=1, filters=(3,))
    assert changed.score(images) == context.score(images)


def test_warm_start_goes_on_with_the_classifier(images, context):
    model = copy.deepcopy(context).set_params(warm_start=True)
    first = model.history_["loss"][0]
    model.fit(images)
    assert model.history_["loss"][0] < first - 0.2
    with pytest.raises(ValueError, match="warm_start.*patch_size"):
        model.set_params(patch_size=1).fit(images)


# -- shapes and refusals -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), [8, 8], np.array([8, 8])])
def test_flat_rows_with_sample_shape_are_the_same_images(shape, images, briefly):
    flat = images.reshape(len(images), -1)
    of_rows = small(sample_shape=shape, min_steps=2).fit(flat)
    np.testing.assert_array_equal(of_rows.transform(flat), briefly.transform(images))
    assert of_rows.score(flat) == briefly.score(images)


@pytest.mark.parametrize("shape", [(1,), (2,), (3,), (9,), (2, 2), (3, 3), (2, 30), (3, 7, 5)])
@pytest.mark.parametrize("n_samples", [2, 3])
def test_images_of_any_size_and_hardly_any_of_them(shape, n_samples):
    X = np.random.default_rng(0).random((n_samples, *shape), dtype=np.float32)
    model = small(min_steps=2).fit(X)
    assert np.isfinite(model.transform(X)).all() and model.score(X) < 0


def test_two_features_tell_left_from_right():
    X = np.random.default_rng(0).normal((3.0, 5.0), size=(200, 2))
    # Long and slow: the running statistics of a network that still moves fast lag behind it.
    assert small(lr=1e-3, min_steps=400).fit(X).score(X) > -0.5 * math.log(2)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"patch_size": 3}, "patch_size=3 .*8 x 8 pixels.* need 9"),
        ({"patch_size": 2, "jitter": 1}, "patch_size=2 and jitter=1"),
        ({"jitter": 2}, "patch_size='auto' and jitter=2"),
        ({"patch_size": 0}, "patch_size"),
        ({"patch_size": 1.5}, "patch_size"),
        ({"patch_size": "large"}, "patch_size"),
        ({"jitter": -1}, "jitter"),
        ({"jitter": None}, "jitter"),
        ({"sample_shape": (7, 9)}, "sample_shape"),
        ({"resize": None, "kernel_sizes": (5, 3), "padding": "valid"}, "too small"),
        ({"filters": (6,)}, "same length"),
        ({"batch_size": 1}, "batch_size=1 .*batch normali"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_before_any_training(params, match, images, monkeypatch):
    def train(self, module, objective, rows, **kwargs):
        self.check_batch_norm(module, 1 if self.batch_size == 1 else 2)
        pytest.fail("training has started")

    monkeypatch.setattr(Trainer, "train", train)
    with pytest.raises(ValueError, match=match):
        small(**params).fit(images)


def test_one_image_is_refused(images):
    with pytest.raises(ValueError, match="n_samples=1"):
        small().fit(images[:1])
