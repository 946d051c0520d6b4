"""Rows of a data set that is read by index: of torch, or of Hugging Face's ``datasets``."""

import numpy as np
from torch.utils.data import Dataset

_HUGGING_FACE = "datasets"


def is_indexed(X):
    """Whether X is a data set that gives one item at a time."""
    return isinstance(X, Dataset) or type(X).__module__.partition(".")[0] == _HUGGING_FACE


class IndexedRows:
    """A data set as if it were a matrix: what is asked for is read, flattened and stacked.

    An item is a row, a tuple of which the row is the first (such as a row and its label), or a
    dictionary with one value.

    Parameters
    ----------
    data : object
        With ``__len__`` and ``__getitem__``; ``__getitems__``, if it is there, reads several.

    Raises
    ------
    TypeError
        If it has no length.
    ValueError
        If it is empty, or an item is no row.
    """

    def __init__(self, data):
        try:
            n = len(data)
        except TypeError as exc:
            raise TypeError(
                f"X is a {type(data).__name__} without a length; a data set that is read by index "
                "is needed."
            ) from exc
        if n == 0:
            raise ValueError("X has 0 samples; at least 1 is needed.")
        self.data = data
        first = self._row(0, data[0])
        self.sample_shape = first.shape
        self.shape = n, first.size
        # Later ones may be fractions where the first is not.
        self.dtype = np.result_type(first.dtype, np.float32)

    @property
    def ndim(self):
        return 2

    @property
    def size(self):
        """Number of values."""
        return self.shape[0] * self.shape[1]

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, which):
        """Rows of a slice, of indices or of a mask, an array (m, n_features) of its own."""
        which = np.arange(len(self))[which].tolist()
        several = getattr(self.data, "__getitems__", None)
        items = several(which) if several else (self.data[i] for i in which)
        rows = np.empty((len(which), self.shape[1]), dtype=self.dtype)
        for place, (i, item) in enumerate(zip(which, items, strict=True)):
            row = self._row(i, item)
            if row.size != self.shape[1]:
                raise ValueError(
                    f"Item {i} of X has {row.size} values; item 0 has {self.shape[1]}."
                )
            rows[place] = row.ravel()
        return rows

    def __iter__(self):
        """The items as they are, of any length."""
        return (self._row(i, self.data[i]) for i in range(len(self)))

    def __array__(self, dtype=None, copy=None):
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def _row(self, i, item):
        if isinstance(item, dict):
            if len(item) != 1:
                raise ValueError(
                    f"Item {i} of X has the columns {', '.join(map(str, item))}; one is needed: "
                    "select it."
                )
            (item,) = item.values()
        item = item[0] if isinstance(item, tuple) else item
        if hasattr(item, "detach"):
            item = item.detach().cpu().numpy()
        row = np.asarray(item)
        if row.dtype.kind not in "biuf" or row.ndim == 0:
            raise ValueError(f"Item {i} of X is {item!r:.80}, which is no row of numbers.")
        return row
