"""Inference in blocks: the same bits in any company, little memory, no work for rows not there."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_deepcluster._engine import Rows, _blocks, map_blocks
from sklearn_deepcluster.nn import AutoencoderModule, RecurrentEncoder, conv_encoder, mlp


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def network(kind):
    """A module and the width of its rows."""
    if kind == "mlp":
        return AutoencoderModule(mlp([36, 40, 5], rng()), None), 36
    if kind == "conv":
        encoder = conv_encoder((1, 6, 6), (4, 8), (3, 3), 5, rng())
        return AutoencoderModule(encoder, None, input_shape=(1, 6, 6)), 36
    module = AutoencoderModule(RecurrentEncoder(2, 6, 1, 5, rng()), None, input_shape=(-1, 2))
    return module.eval(), 24


def table(n, d, kind=None):
    X = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    if kind == "gru":
        for i, row in enumerate(X):
            row[2 * (1 + i % (d // 2)) :] = np.nan
    return X


class Counting:
    """Counts the rows of every block that the function is given."""

    def __init__(self, function):
        self.function, self.sizes = function, []

    def __call__(self, block):
        self.sizes.append(len(block))
        return self.function(block)


@pytest.mark.parametrize("kind", ["mlp", "conv", "gru"])
@pytest.mark.parametrize("autocast", [False, True])
def test_the_result_for_a_row_does_not_depend_on_the_others_bitwise(kind, autocast):
    module, d = network(kind)
    size = _blocks.block_size(Rows(table(1, d)))
    X = table(17 * size + 7, d, kind)

    def outputs(rows, quick=True):
        options = {"module": module, "asked": "z", "quick": quick, "autocast": autocast}
        return map_blocks(module.encode, Rows(rows), **options).numpy()

    whole = outputs(X)
    assert whole.dtype == np.float32 and whole.shape == (len(X), 5)
    some = [slice(i, i + n) for n in (1, 2, 3, 7, 64, 100, size + 1) for i in (0, 5, size)]
    for rows in (*some, slice(-7, None)):
        np.testing.assert_array_equal(outputs(X[rows]), whole[rows])
        np.testing.assert_array_equal(outputs(X[rows], quick=False), whole[rows])
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_array_equal(outputs(X[order]), whole[order])


def test_few_rows_are_not_padded_to_many():
    module, d = network("mlp")
    exact = Counting(lambda x: x[:, :2] * 2)
    for n, sizes in ((1, [2]), (3, [2, 2]), (100, [64, 32, 4])):
        map_blocks(exact, Rows(table(n, d)), module=module, asked="elementwise")
        exact.sizes.clear()
        map_blocks(exact, Rows(table(n, d)), module=module, asked="elementwise")
        assert exact.sizes == sizes


def test_sizes_of_other_bits_are_not_used():
    """A function whose answers depend on the size of the block, as those of a product can."""
    module, d = network("mlp")

    def function(x):
        return x[:, :1] + (0.0 if len(x) in (256, 32, 4096) else 1.0)

    counting = Counting(function)
    X = table(40, d)
    out = map_blocks(counting, Rows(X), module=module, asked="odd")
    np.testing.assert_array_equal(out, X[:, :1])
    counting.sizes.clear()
    map_blocks(counting, Rows(X), module=module, asked="odd")
    assert counting.sizes == [32, 32]
    counting.sizes.clear()
    X = table(2 * 4096 + 10, d)
    np.testing.assert_array_equal(
        map_blocks(counting, Rows(X), module=module, asked="odd"), X[:, :1]
    )
    assert counting.sizes[-3:] == [4096, 4096, 256]


def test_what_was_tried_is_tried_once_and_goes_with_the_module():
    module, d = network("mlp")
    counting = Counting(module.encode)
    map_blocks(counting, Rows(table(1, d)), module=module, asked="z")
    first = len(counting.sizes)
    map_blocks(counting, Rows(table(1, d)), module=module, asked="z")
    assert len(counting.sizes) == first + 1
    assert module in _blocks._EQUAL
    n = len(_blocks._EQUAL)
    del module, counting
    assert len(_blocks._EQUAL) < n


@pytest.mark.parametrize(
    ("d", "size"), [(1, 256), (1024, 256), (1025, 128), (150_528, 1), (10**7, 1)]
)
def test_wide_rows_come_in_small_blocks(d, size):
    assert _blocks.block_size(Rows(np.zeros((1, d), dtype=np.uint8))) == size


def test_blocks_are_mapped_without_gradients_and_integers_stay_integers():
    weight = torch.ones(3, 2, requires_grad=True)
    out = map_blocks(lambda block: block @ weight, Rows(table(5, 3)))
    assert not out.requires_grad
    # Ordinary tensors, not inference tensors: training may use them as targets.
    assert not out.is_inference()
    labels = map_blocks(lambda block: (block @ weight).argmax(1), Rows(table(5, 3)))
    assert labels.dtype == torch.int64 and labels.shape == (5,)


def test_without_a_module_no_row_is_added():
    counting = Counting(nn.Identity())
    map_blocks(counting, Rows(table(600, 3)))
    assert counting.sizes == [256, 256, 88]
