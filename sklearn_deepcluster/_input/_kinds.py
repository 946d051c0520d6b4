"""Which kind of container X is, told without importing its library, and what holds arrays."""

import numpy as np

from sklearn_deepcluster._input._indexed import IndexedRows, is_indexed

# By the name of the library, so that none of them is imported to ask.
_LIBRARIES = {
    "pandas": "table",
    "polars": "table",
    "pyarrow": "table",
    "scipy": "sparse",
    "torch": "tensor",
}


def kind_of(X):
    """Which kind of container X is: a key of the table of readers."""
    if isinstance(X, np.memmap):
        return "memmap"
    if isinstance(X, np.ndarray):
        return "array"
    if isinstance(X, (list, tuple)):
        return "list"
    if isinstance(X, IndexedRows) or is_indexed(X):
        return "indexed"
    kind = _LIBRARIES.get(type(X).__module__.partition(".")[0], "other")
    return "other" if kind == "tensor" and not hasattr(X, "detach") else kind


def unpacked(X):
    """X with arrays in the place of tensors, and of the tensors and tables of a list.

    Data sets that are read by index become :class:`IndexedRows`.
    """
    kind = kind_of(X)
    if kind == "indexed":
        return IndexedRows(X)
    if kind == "tensor":
        return tensor_to_numpy(X)
    if kind != "list":
        return X
    kinds = {kind_of(x) for x in X}
    if kinds.isdisjoint({"tensor", "table"}):
        return X
    return [_array_of(x) for x in X]


def _array_of(x):
    kind = kind_of(x)
    if kind == "tensor":
        return tensor_to_numpy(x)
    return x.to_numpy() if kind == "table" and hasattr(x, "to_numpy") else x


def tensor_to_numpy(tensor):
    """Array of a torch tensor of any type and device.

    Raises
    ------
    TypeError
        If the tensor is sparse.
    """
    if str(tensor.layout) != "torch.strided":
        raise TypeError("A sparse tensor was passed, but dense data is required: X.to_dense().")
    tensor = tensor.detach().cpu()
    try:
        return tensor.numpy()
    except TypeError:  # numpy has no bfloat16
        return tensor.float().numpy()
