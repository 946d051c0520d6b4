"""Rows as tensors: batches visit what they should, blocks give the same bits in any company."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from sklearn_deepcluster._engine import Rows, Standard, _rows
from sklearn_deepcluster._engine._rows import Batch, Batches, shuffled_order


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def table(n, d=3, dtype=np.float32):
    return np.random.default_rng(0).uniform(0, 200, size=(n, d)).astype(dtype)


# --- rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int64, bool])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_take_gives_scaled_float32_rows_and_leaves_the_data_alone(dtype, scale):
    X = table(20, dtype=dtype)
    X.setflags(write=False)
    index = torch.tensor([3, 0, 19, 3])
    out = Rows(X, standard=Standard(scale=scale)).take(index)
    assert out.dtype == torch.float32
    np.testing.assert_array_equal(out, X[[3, 0, 19, 3]].astype(np.float32) / np.float32(scale))
    out.fill_(-1)
    np.testing.assert_array_equal(X, table(20, dtype=dtype))


def with_zeros(n, d=5, dtype=np.float64):
    X = table(n, d)
    return np.where(X < 120, 0, np.pi * X).astype(dtype)


UNITS = [
    Standard(),
    Standard(scale=3.0),
    Standard(np.array([0.0, 0.0, 7.1, 0.0, 0.3]), 3.0),
    Standard(scale=1e-40),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, bool])
@pytest.mark.parametrize("standard", UNITS[:3])
def test_sparse_rows_give_the_bits_of_dense_ones(dtype, standard):
    X = with_zeros(40, dtype=dtype)
    dense, sparse = (Rows(rows, standard=standard) for rows in (X, csr_array(X)))
    assert len(sparse) == 40 and sparse.n_features == 5
    index = torch.tensor([39, 5, 5, 0])
    assert torch.equal(sparse.take(index), dense.take(index))
    for (_, a), (_, b) in zip(sparse.blocks((16, 8)), dense.blocks((16, 8)), strict=True):
        assert torch.equal(a, b)
    for some in (sparse.some(index), dense.some(index)):
        assert some.standard is standard
        assert torch.equal(some.take(torch.arange(4)), dense.take(index))
    assert isinstance(sparse.some(index).X, csr_array)
    before = csr_array(X)
    sparse.take(index).fill_(-1)
    np.testing.assert_array_equal(sparse.X.data, before.data)


@pytest.mark.parametrize("standard", UNITS)
def test_sparse_rows_in_the_unit_of_the_network_have_no_centre(standard):
    X = with_zeros(40) * (standard.scale if standard.scale < 1 else 1)
    found = Rows(csr_array(X), standard=standard).without_center()
    expected = Rows(X, standard=Standard(scale=standard.scale)).take(torch.arange(40)).numpy()
    np.testing.assert_array_equal(found.toarray(), expected)


def test_of_sparse_rows_what_is_asked_for_alone_becomes_dense(monkeypatch):
    made, toarray = [], csr_array.toarray

    def record(self, *args, **kwargs):
        made.append(self.shape[0])
        return toarray(self, *args, **kwargs)

    monkeypatch.setattr(csr_array, "toarray", record)
    rows = Rows(csr_array(with_zeros(40)), standard=UNITS[2])
    rows.take(torch.tensor([39, 5, 0]))
    list(rows.blocks((16, 8)))
    rows.some(torch.arange(30))
    assert made == [3, 16, 16, 8]


@pytest.mark.parametrize("n", [1, 7, 8, 9, 24, 31])
@pytest.mark.parametrize("sizes", [(8,), (16, 8), (8, 4, 2)])
def test_blocks_cover_the_rows_in_tensors_of_these_sizes(n, sizes):
    X = table(n)
    seen = np.zeros(n, dtype=int)
    for where, block in Rows(X, standard=Standard(scale=2.0)).blocks(sizes):
        size = where.stop - where.start
        assert len(block) in sizes and (len(block) == size or len(block) == sizes[-1])
        np.testing.assert_array_equal(block[:size], X[where] / 2)
        assert (block[size:] == 0).all()
        seen[where] += 1
    assert (seen == 1).all()


def test_a_memory_map_gives_the_same_rows(tmp_path):
    X = table(300, dtype=np.uint8)
    X.tofile(tmp_path / "x.bin")
    mapped = np.memmap(tmp_path / "x.bin", dtype=np.uint8, mode="r", shape=X.shape)
    index = torch.tensor([299, 5, 5])
    assert torch.equal(
        Rows(mapped, standard=Standard(scale=3)).take(index),
        Rows(X, standard=Standard(scale=3)).take(index),
    )
    for (_, a), (_, b) in zip(Rows(mapped).blocks((64,)), Rows(X).blocks((64,)), strict=True):
        assert torch.equal(a, b)


# --- order and batches


@pytest.mark.parametrize("n", [1, 7, 100])
def test_order_is_a_permutation(n):
    order = shuffled_order(n, 3, rng())
    assert order.sort().values.tolist() == list(range(n))
    assert torch.equal(order, shuffled_order(n, 3, rng()))
    assert n < 100 or not torch.equal(order, shuffled_order(n, 3, rng(1)))


@pytest.mark.parametrize("n", [65, 128, 129, 1000, 1024])
def test_order_beyond_the_window_is_a_permutation_that_is_local_in_the_file(n, monkeypatch):
    monkeypatch.setattr(_rows, "CHUNK_ROWS", 16)
    monkeypatch.setattr(_rows, "WINDOW_BYTES", 64 * 3 * 4)
    order = shuffled_order(n, 3, rng())
    assert order.sort().values.tolist() == list(range(n))
    assert order.tolist() != list(range(n))
    for start in range(0, n, 64):
        # Windows hold four stretches; 64 rows in a row touch two windows at most.
        assert len({i // 16 for i in order[start : start + 64].tolist()}) <= 8
    stretches = [i // 16 for i in order[:64].tolist()]
    assert stretches != sorted(stretches)
    assert torch.equal(order, shuffled_order(n, 3, rng()))


@pytest.mark.parametrize(("n", "b"), [(10, 3), (9, 3), (1, 5), (7, 7), (7, 100), (257, 256)])
def test_an_epoch_visits_every_row_once_in_batches_of_nearly_one_size(n, b):
    X = table(n)
    batches = Batches(Rows(X), b, rng())
    orders = []
    for _ in range(3):
        epoch = list(batches)
        sizes = [len(index) for _, index in epoch]
        assert len(epoch) == len(batches) == -(-n // b)
        assert max(sizes) <= b and max(sizes) - min(sizes) <= 1 and min(sizes) >= 1
        index = torch.cat([index for _, index in epoch])
        assert index.sort().values.tolist() == list(range(n))
        np.testing.assert_array_equal(torch.cat([x for x, _ in epoch]), X[index.numpy()])
        orders.append(index.tolist())
    assert n < 7 or orders[0] != orders[1]


def test_no_batch_size_means_one_batch():
    batches = Batches(Rows(table(11)), None, rng())
    assert [len(index) for _, index in batches] == [11]
    rounds = Batches(Rows(table(11)), None, rng(), steps=2)
    assert [len(index) for _, index in rounds] == [11, 11]


@pytest.mark.parametrize(("n", "b", "steps"), [(12, 4, 3), (12, 4, 2), (10, 4, 3), (5, 4, 7)])
def test_rounds_of_steps_go_on_through_one_fixed_order(n, b, steps):
    X = table(n)
    batches = Batches(Rows(X), b, rng(), steps=steps)
    order = shuffled_order(n, 3, rng()).tolist()
    position = 0
    for _ in range(2 * n):
        assert len(batches) == steps
        epoch = list(batches)
        assert len(epoch) == steps
        for x, index in epoch:
            assert index.tolist() == [order[(position + s) % n] for s in range(b)]
            np.testing.assert_array_equal(x, X[index.numpy()])
            position += b


@pytest.mark.parametrize(("steps", "max_steps", "sizes"), [(5, 12, [5, 5, 2]), (4, 8, [4, 4])])
def test_the_last_round_is_shorter_where_the_steps_run_out(steps, max_steps, sizes):
    batches = Batches(Rows(table(10)), 4, rng(), steps=steps, max_steps=max_steps)
    whole = Batches(Rows(table(10)), 4, rng(), steps=max_steps)
    rounds = [[index.tolist() for _, index in batches] for _ in sizes]
    assert [len(indices) for indices in rounds] == sizes
    assert sum(rounds, []) == [index.tolist() for _, index in whole]


def test_a_reshuffled_order_is_drawn_anew_whenever_it_is_used_up():
    n, b = 11, 4
    batches = Batches(Rows(table(n)), b, rng(), steps=3, reshuffle=True)
    orders = [[index.tolist() for _, index in batches] for _ in range(4)]
    # Two batches fit into eleven rows; the three rows that are left wait for the next order.
    taken = [index for order in orders for index in order]
    passes = list(zip(taken[::2], taken[1::2], strict=True))
    assert all(len({*first, *second}) == 2 * b for first, second in passes)
    assert len({tuple(first) for first, _ in passes}) == len(passes)
    whole = Batches(Rows(table(n)), n, rng(), steps=2, reshuffle=True)
    first, second = (index.tolist() for _, index in whole)
    assert sorted(first) == sorted(second) == list(range(n)) and first != second


def test_with_a_reshuffled_order_every_pair_of_rows_meets():
    n = 12
    batches = Batches(Rows(table(n)), 4, rng(), steps=200, reshuffle=True)
    met = np.zeros((n, n), dtype=bool)
    for _, index in batches:
        met[np.ix_(index, index)] = True
    assert met.all()


def test_a_batch_is_a_pair_that_may_have_a_kind():
    x, index = torch.zeros(2, 3), torch.arange(2)
    batch = Batch(x, index, "left")
    first, second = batch  # callbacks of users unpack it
    assert first is batch.x is x and second is batch.index is index
    assert batch.kind == "left" and Batch(x, index).kind is None


@pytest.mark.parametrize("steps", [None, 4])
def test_batches_of_chosen_rows_hold_these_alone(steps):
    X, chosen = table(20), torch.tensor([1, 2, 3, 5, 8, 13, 17, 19])
    batches = Batches(Rows(X), 2, rng(), steps=steps, chosen=chosen)
    epoch = list(batches)
    index = torch.cat([index for _, index in epoch])
    assert len(epoch) == len(batches) == 4 and index.sort().values.tolist() == chosen.tolist()
    np.testing.assert_array_equal(torch.cat([x for x, _ in epoch]), X[index.numpy()])
