"""Rows of X as float32 tensors: batches for training, fixed blocks for inference."""

import functools
import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array, issparse
from torch.utils.data import Dataset

from sklearn_deepcluster._engine._dense import dense_rows
from sklearn_deepcluster._engine._device import free_memory
from sklearn_deepcluster._engine._standard import TOO_LARGE, Standard

# Rows are shuffled within windows of this many bytes (as float32): data below it is shuffled as a
# whole, and a memory-mapped file above it is read in stretches. It depends on the shape of X
# alone, so arrays and memory maps of the same data train alike.
WINDOW_BYTES = 2**28
CHUNK_ROWS = 2048


class Rows:
    """The rows of a 2-D array or memory map in the unit of a network: float32 tensors on `device`.

    Parameters
    ----------
    X : ndarray, memmap, csr_array or IndexedRows of shape (n_samples, n_features)
        Any real dtype. It is not modified, nor copied but for batches: to a GPU once, in chunks,
        where it takes at most half of the free memory, and where it is small and has a centre, or
        is read by index, as float32. Of sparse X batches and blocks alone are made dense.

    standard : Standard, default=Standard()
        What is subtracted from each row, in float64, and the divisor.

    device : torch.device or str, default="cpu"

    weight : float32 Tensor of shape (n_samples,) on the CPU, default=None
        How much each row counts, with mean 1; None where all count the same.
    """

    def __init__(self, X, *, standard=None, device="cpu", weight=None):
        self.X = X
        self.weight = weight
        self.standard = standard or Standard()
        self.device = torch.device(device)
        center = self.standard.row(X.shape[1])
        self._center = None if center is None else torch.from_numpy(center)
        self._scale = self.standard.scale
        self._plain = self.standard.is_plain
        self._may_overflow = not self._plain or X.dtype.itemsize > 4
        self._resident = None
        # A batch in float64, or one that is read row by row, costs as much as a step of a small
        # network: of data that are not large, what training gets is kept.
        n_bytes = 4 * math.prod(X.shape)
        small = n_bytes <= WINDOW_BYTES and not (isinstance(X, np.memmap) or issparse(X))
        costs = not (self._plain and isinstance(X, np.ndarray))
        self._may_keep = small and costs and self.device.type == "cpu"
        self._kept = None
        if self.device.type != "cpu" and not issparse(X):
            free = free_memory(self.device)
            if free is not None and n_bytes <= free // 2:
                self._resident = self._uploaded()

    def __len__(self):
        return self.X.shape[0]

    @property
    def n_features(self):
        return self.X.shape[1]

    def like(self, X):
        """Other rows in the same unit and place."""
        return Rows(X, standard=self.standard, device=self.device)

    def some(self, index):
        """The rows `index` (1-D int64 tensor on the CPU) alone, with their weights."""
        X = self.X[index.numpy()]
        some = self.like(X if issparse(X) else np.asarray(X))
        if self.weight is not None:
            some.weight = self.weight[index] / self.weight[index].mean()
        return some

    def without_center(self):
        """Sparse rows in the unit of the network but for the centre, csr_array of float32."""
        unit = Rows(self.X, standard=Standard(scale=self.standard.scale))
        values = unit._standardized(np.array(self.X.data)).numpy()
        return csr_array((values, self.X.indices, self.X.indptr), shape=self.X.shape)

    def _uploaded(self):
        """All rows on the device, where they go in chunks: never twice, and never whole here."""
        rows = torch.empty(*self.X.shape, dtype=torch.float32, device=self.device)
        for start in range(0, len(self), CHUNK_ROWS):
            where = slice(start, min(start + CHUNK_ROWS, len(self)))
            rows[where] = self._tensor(where)
        return rows

    def _tensor(self, where):
        # A slice may be a read-only view; a copy, so that torch never sees foreign memory.
        return self._standardized(_own_rows(self.X, where))

    def _standardized(self, part):
        """`part`, an array of its own, as tensor in the unit of the network."""
        with np.errstate(over="ignore"):
            part = part.astype(np.float32 if self._plain else np.float64, copy=False)
        tensor = torch.from_numpy(part)
        # On the CPU, as not every device has float64, and each look at a tensor would wait for it.
        if self._plain:
            if self._scale != 1.0:
                tensor.mul_(1.0 / self._scale)
        else:
            if self._center is not None:
                tensor.sub_(self._center)
            tensor = tensor.div_(self._scale).float()
        if self._may_overflow and tensor.isinf().any():
            raise ValueError(TOO_LARGE)
        if self.device.type == "cuda":
            # From pinned memory it goes while the device computes, and nobody waits.
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    @property
    def index_device(self):
        """Where the numbers of rows to take are wanted."""
        return self.device if self._resident is not None else torch.device("cpu")

    def batch(self, index):
        """The rows `index` as a :class:`Batch`; the index goes to the device once."""
        index = index.to(self.index_device)
        return Batch(self.take(index), index.to(self.device))

    def take(self, index):
        """Return the rows `index` (1-D int64 tensor) as a tensor."""
        index = index.to(self.index_device)
        if self._resident is not None:
            return self._resident.index_select(0, index)
        if self._may_keep and self._kept is None:
            self._kept = torch.cat([block for _, block in self.blocks((CHUNK_ROWS,))])[: len(self)]
        if self._kept is not None:
            return self._kept.index_select(0, index)
        return self._standardized(_own_rows(self.X, index.numpy()))

    def blocks(self, sizes):
        """Yield (slice, tensor): consecutive rows in blocks of these sizes alone.

        Parameters
        ----------
        sizes : sequence of int
            In falling order. What is left at the end is padded with zeros to the smallest.
        """
        start = 0
        while start < len(self):
            left = len(self) - start
            size = next((size for size in sizes if size <= left), sizes[-1])
            stop = min(start + size, len(self))
            if self._resident is not None:
                block = self._resident[start:stop]
            else:
                block = self._tensor(slice(start, stop))
            if stop - start < size:
                block = torch.cat([block, block.new_zeros(size - len(block), self.n_features)])
            yield slice(start, stop), block
            start = stop


def _own_rows(X, which):
    """These rows as an array that shares no memory with X."""
    if not isinstance(X, np.ndarray):
        return dense_rows(X, which)
    return np.array(X[which]) if isinstance(which, slice) else np.take(X, which, axis=0)


class Chosen(Dataset):
    """Some of the rows as callbacks get them: pairs of a row (d,) and its number in `rows`.

    Parameters
    ----------
    rows : Rows
    index : int64 Tensor or None
        Which of them; None is all.
    """

    def __init__(self, rows, index=None):
        self.rows = rows
        self.index = torch.arange(len(rows)) if index is None else index

    def __len__(self):
        return len(self.index)

    def __getitem__(self, i):
        index = self.index[i].reshape(1)
        return self.rows.take(index)[0], int(index)


def shuffled_order(n_samples, n_features, generator):
    """Return a permutation of the rows; beyond `WINDOW_BYTES` it is local in the file."""
    window = max(CHUNK_ROWS, WINDOW_BYTES // (4 * n_features))
    if n_samples <= window:
        return torch.randperm(n_samples, generator=generator)
    starts = torch.arange(0, n_samples, CHUNK_ROWS)
    starts = starts[torch.randperm(len(starts), generator=generator)]
    per_window = max(1, window // CHUNK_ROWS)
    parts = []
    for group in starts.split(per_window):
        rows = torch.cat([torch.arange(s, min(s + CHUNK_ROWS, n_samples)) for s in group.tolist()])
        parts.append(rows[torch.randperm(len(rows), generator=generator)])
    return torch.cat(parts)


class Batch(NamedTuple("Batch", [("x", torch.Tensor), ("index", torch.Tensor)])):
    """Rows x (b, d) and which ones they are, index (b,); where there are several, its ``kind``."""

    def __new__(cls, x, index, kind=None):
        batch = super().__new__(cls, x, index)
        batch.kind = kind
        return batch


class Batches:
    """Iterable over the batches of one epoch.

    With ``steps=None`` an epoch visits every row once in a new order, in batches whose sizes
    differ by at most one (no tiny last batch). With ``steps=s`` an epoch is `s` batches from one
    fixed order, drawn once, in which the position goes on from epoch to epoch and wraps around;
    the last epoch is shorter where `max_steps` says so. With ``reshuffle`` the order is drawn anew
    whenever less than a batch of it is left, so that every pair of rows can meet in a batch. Of
    `chosen`, an int64 Tensor, they are batches of these rows alone.
    """

    def __init__(
        self,
        rows,
        batch_size,
        generator,
        *,
        steps=None,
        max_steps=None,
        reshuffle=False,
        chosen=None,
    ):
        self.rows = rows
        self.chosen = chosen
        self.n_rows = len(rows) if chosen is None else len(chosen)
        self.batch_size = min(batch_size or self.n_rows, self.n_rows)
        self.generator = generator
        self.steps = steps
        self.reshuffle = reshuffle
        self._steps_left = float("inf") if max_steps is None else max_steps
        self._position = 0
        self._order = None if steps is None else self._new_order()

    def _new_order(self):
        order = shuffled_order(self.n_rows, self.rows.n_features, self.generator)
        order = order if self.chosen is None else self.chosen[order]
        return order.to(self.rows.index_device)  # at once, not batch by batch

    def __len__(self):
        return self.steps or -(-self.n_rows // self.batch_size)

    @property
    def smallest(self):
        """Rows of the smallest batch."""
        return self.batch_size if self.steps else self.n_rows // len(self)

    def __iter__(self):
        for index in self._indices():
            yield self.rows.batch(index)

    def _indices(self):
        if self.steps is None:
            yield from self._new_order().tensor_split(len(self))
            return
        n, b = self.n_rows, self.batch_size
        for _ in range(min(self.steps, self._steps_left)):
            self._steps_left -= 1
            if self.reshuffle and self._position + b > n:
                self._order, self._position = self._new_order(), 0
            start = self._position % n
            rest = self._order[: max(0, start + b - n)]
            part = self._order[start : start + b]
            yield torch.cat([part, rest]) if len(rest) else part
            self._position += b


def in_rounds(steps, *, max_steps=None, reshuffle=False):
    """Return what makes batches in rounds of so many steps; see :class:`Batches`."""
    return functools.partial(Batches, steps=steps, max_steps=max_steps, reshuffle=reshuffle)
