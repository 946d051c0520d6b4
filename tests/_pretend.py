"""A device that is none: its tensors say that they are elsewhere, and compute on the CPU.

Operations refuse tensors of two devices as those of a GPU do, random numbers ask for a generator of
the device, and there is no float64, as on Apple's. torch has a device of this name without values,
"meta"; here it has values.
"""

import contextlib
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sklearn_deepcluster._engine import _blocks, _rows

NAME = "meta"
DEVICE = torch.device(NAME)

_aten = torch.ops.aten
# What takes an index, or lengths, from the CPU.
_INDEXING = {
    _aten._pack_padded_sequence.default,
    _aten.index.Tensor,
    _aten.index_put.default,
    _aten.index_put_.default,
    _aten._index_put_impl_.default,
}
# It waits for the device.
_READING = {_aten._local_scalar_dense.default, _aten.equal.default, _aten.nonzero.default}


class There(torch.Tensor):
    """A tensor that says it is on the device; ``here`` has its values."""

    @staticmethod
    def __new__(cls, here):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            here.shape,
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=DEVICE,
            requires_grad=False,
        )

    def __init__(self, here):
        self.here = here

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise RuntimeError(f"{func} outside of the pretence")

    def __repr__(self):
        return f"There({self.here!r})"


class Pretend(TorchDispatchMode):
    """Within it the device is there.

    Attributes
    ----------
    n_waits : int
        How often the CPU had to wait for values of the device.
    n_uploads : int
        How often values went to it.
    """

    def __init__(self):
        super().__init__()
        self.n_waits = self.n_uploads = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        given = list(_tensors((args, *kwargs.values())))
        there = any(isinstance(x, There) for x in given)
        target = kwargs.get("device")
        results_there = there if target is None else torch.device(target).type == NAME
        if func is _aten.copy_.default:
            self._count_copy(isinstance(args[1], There), isinstance(args[0], There))
        elif func is _aten._to_copy.default:
            self._count_copy(there, results_there)
        elif there:
            self._refuse_mixed(func, args, given)
        drawn = kwargs.get("generator")
        if drawn is not None and (drawn._cdata in _generators) != results_there:
            raise RuntimeError(f"{func}: the generator is of another device")
        self.n_waits += there and func in _READING
        if target is not None:
            kwargs["device"] = torch.device("cpu")
        out = func(*_mapped(_here, args), **{k: _mapped(_here, v) for k, v in kwargs.items()})
        known = {id(x.here): x for x in given if isinstance(x, There)}  # what changed in place
        if func is _aten._pack_padded_sequence.default:
            return _wrap(out[0]), out[1]  # the sizes of its batches stay
        if results_there:
            return _mapped(lambda x: known[id(x)] if id(x) in known else _wrap(x), out)
        return out

    def _count_copy(self, source, target):
        self.n_waits += source and not target
        self.n_uploads += target and not source

    def _refuse_mixed(self, func, args, given):
        if func in _INDEXING:  # an index may come from the CPU
            given = args[:1]
        for x in given:
            if not isinstance(x, There) and (x.ndim or func in _INDEXING):
                raise RuntimeError(f"{func}: expected all tensors to be on the same device")


# Those of the device, by what stays the same of them wherever they are seen.
_generators = {}


class _Generator(torch.Generator):
    """One that may be of the device."""

    def __new__(cls, device="cpu"):
        made = super().__new__(cls)
        if torch.device(device).type == NAME:
            _generators[made._cdata] = made
        return made

    @property
    def device(self):
        return DEVICE if self._cdata in _generators else torch.device("cpu")


def _tensors(given):
    for x in given:
        if isinstance(x, torch.Tensor):
            yield x
        elif isinstance(x, (tuple, list)):
            yield from _tensors(x)


def _mapped(function, given):
    if isinstance(given, (tuple, list)):
        return type(given)(_mapped(function, x) for x in given)
    return function(given) if isinstance(given, torch.Tensor) else given


def _here(x):
    return x.here if isinstance(x, There) else x


def _wrap(x):
    if x.dtype == torch.float64:
        raise TypeError("the device has no float64")
    return There(x)


@contextlib.contextmanager
def pretended(free=2**30):
    """The device is there, with so many bytes of memory; gives the :class:`Pretend`."""
    pretend, autocast, tensor = Pretend(), torch.autocast, torch.tensor

    def no_autocast(device, *args, **kwargs):
        there = device == NAME and not kwargs["enabled"]
        return contextlib.nullcontext() if there else autocast(device, *args, **kwargs)

    def moved_tensor(*args, device=None, **kwargs):  # torch's own makes an empty one
        made = tensor(*args, **kwargs)
        return made if device is None else made.to(device)

    with (
        mock.patch.object(torch, "autocast", no_autocast),
        mock.patch.object(torch, "tensor", moved_tensor),
        mock.patch.object(torch, "Generator", _Generator),
        mock.patch.object(_rows, "free_memory", lambda device: free),
        # Whether other sizes of blocks give the same bits takes long to find out here.
        mock.patch.object(_blocks, "_equal", lambda *args, **kwargs: []),
        pretend,
    ):
        yield pretend
