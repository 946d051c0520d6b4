"""What a training is between two epochs, as numbers: to be stored and gone on from.

Module, objective and optimiser give it by their ``state_dict``; schedules, callbacks and batches
keep theirs as attributes. Of these what is made of numbers, text, arrays and tensors is state, what
cannot be told apart from that included; the rest, such as the task or the rows, is there again when
the same fit begins again.
"""

import enum
import importlib
import json

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import nn

from sklearn_deepcluster._engine._net import Snapshot
from sklearn_deepcluster._engine._seeds import global_states, set_global_states

_PLAIN = (type(None), bool, int, float, str)
_OF_MODULES = frozenset(vars(nn.Module()))
_PACKAGE = __name__.partition(".")[0]


class NotStorable(Exception):
    """Of a value that is not made of numbers, text, arrays and tensors."""


class TrainingState:
    """The state of a training whose net is initialised.

    Parameters
    ----------
    net : IndexedNet
    batches : iterable
        Of an epoch.
    stream : torch.Generator
        What the layers draw from.
    global_rng : bool
        Whether they draw from torch's global generators, too.
    """

    def __init__(self, net, batches, stream, global_rng):
        self.net = net
        self.batches = batches
        self.stream = stream
        self.global_rng = global_rng

    def numbers(self, *, finished=False):
        """Return it as a str of JSON and the tensors, by number, that this speaks of.

        Parameters
        ----------
        finished : bool, default=False
            Nothing follows: there is no more to draw and no step to make.
        """
        net, writer = self.net, _Writer(self._modules(), finished)
        state = {
            "history": net.history.to_list(),
            "stop": net.stop_training,
            "kept_epoch": net.kept_epoch,
            "least": net.least_,
            "targets": net.targets,
            "weights": [module.state_dict() for module in self._roots()],
            "modules": [_attributes(m, _OF_MODULES) for m in self._modules()],
            "callbacks": [[name, _attributes(callback)] for name, callback in net.callbacks_],
            "batches": _attributes(self.batches),
        }
        if not finished:
            state["optimizer"] = net.optimizer_.state_dict()
            state["stream"] = self.stream
            state["global"] = global_states(net.device) if self.global_rng else []
        made = {name: writer.value(value) for name, value in state.items()}
        return json.dumps({**made, "finished": finished}), writer.tensors

    def taken(self, numbers, *, finished=False):
        """Go on from such numbers; return whether there are some, of a training that is `finished`.

        One that is not is gone on from after its beginning, when callbacks have what they keep.
        """
        if numbers is None:
            return False
        net, (text, tensors) = self.net, numbers
        state = json.loads(text)
        if finished and not state["finished"]:
            return False
        reader = _Reader(tensors, self._modules(), torch.device(net.device))
        for module, weights in zip(self._roots(), reader.value(state["weights"]), strict=True):
            for name in weights.keys() - module.state_dict().keys():  # a buffer that is None yet
                place, _, buffer = name.rpartition(".")
                setattr(module.get_submodule(place), buffer, weights[name])
            module.load_state_dict(weights)
        kept = [*zip(self._modules(), state["modules"]["list"], strict=True)]
        callbacks = dict(pair["list"] for pair in state["callbacks"]["list"])
        # There may be others of the user now.
        kept += [(held, callbacks[name]) for name, held in net.callbacks_ if name in callbacks]
        for holder, values in [*kept, (self.batches, state["batches"])]:
            for name, value in values["dict"]:
                setattr(holder, name, reader.value(value, getattr(holder, name, None)))
        net.history.clear()
        net.history.extend(reader.value(state["history"]))
        net.stop_training = state["stop"]
        net.kept_epoch = state["kept_epoch"]
        net.least_ = reader.value(state["least"])
        net.targets = reader.value(state["targets"])
        if not state["finished"]:
            net.optimizer_.load_state_dict(reader.value(state["optimizer"]))
            reader.value(state["stream"], self.stream)
            set_global_states(net.device, reader.value(state["global"]))
        return True

    def _roots(self):
        return self.net.module_, self.net.criterion_

    def _modules(self):
        return [module for root in self._roots() for module in root.modules()]


def _attributes(holder, without=()):
    """Those attributes that may be state; a _Writer leaves out what it cannot store."""
    return _Some({name: value for name, value in vars(holder).items() if name not in without})


class _Some(dict):
    """A dict of which what can be stored is."""


class _Writer:
    """Makes JSON of values, and tensors for a safetensors file."""

    def __init__(self, modules, finished):
        self.tensors = {}
        self.finished = finished
        self.modules = {id(module): i for i, module in enumerate(modules)}

    def value(self, value):
        if type(value) in _PLAIN:
            return value
        if isinstance(value, _Some):
            return {"dict": list(self._some(value))}
        if isinstance(value, dict):
            return {"dict": [[self.value(k), self.value(v)] for k, v in value.items()]}
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        if isinstance(value, (np.ndarray, np.generic)):
            return self._array(value)
        if isinstance(value, enum.Enum) and _is_ours(type(value)):
            return {"enum": _place(type(value)), "name": value.name}
        if isinstance(value, tuple) and hasattr(value, "_fields") and _is_ours(type(value)):
            return {"named": _place(type(value)), "items": [self.value(item) for item in value]}
        if type(value) in (list, tuple):
            return {type(value).__name__: [self.value(item) for item in value]}
        if isinstance(value, csr_array):
            parts = value.data, value.indices, value.indptr
            return {"csr": self.value(list(parts)), "shape": list(value.shape)}
        if isinstance(value, np.random.RandomState):
            return {"random": self.value(value.get_state())}
        if self.finished:  # what follows is for the next epoch
            raise NotStorable(type(value).__name__)
        if isinstance(value, torch.Generator):
            return {"generator": self._tensor(value.get_state())}
        if isinstance(value, Snapshot):
            of = [self.modules[id(module)] for module in value.modules]
            return {"snapshot": self.value(value.states), "of": of}
        if hasattr(value, "load_state_dict") and not isinstance(value, (type, nn.Module)):
            return {"state": self.value(value.state_dict())}
        raise NotStorable(type(value).__name__)

    def _some(self, values):
        for name, value in values.items():
            before = len(self.tensors)
            try:
                yield [name, self.value(value)]
            except NotStorable:
                for number in range(before, len(self.tensors)):  # of its first parts
                    del self.tensors[str(number)]

    def _tensor(self, tensor):
        number = len(self.tensors)
        # The order in memory is part of it: a fused optimiser does not look at strides.
        order = sorted(range(tensor.ndim), key=tensor.stride, reverse=True)
        order = list(range(tensor.ndim)) if tensor.is_contiguous() else order
        # A copy: what is stored may share no memory.
        own = tensor.detach().permute(order).to("cpu", copy=True).contiguous()
        self.tensors[str(number)] = own
        return {"tensor": number, "order": order, "on_device": tensor.device.type != "cpu"}

    def _array(self, array):
        if array.dtype.hasobject:
            raise NotStorable("objects")
        data = torch.from_numpy(np.frombuffer(array.tobytes(), np.uint8).copy())
        kind = {"dtype": array.dtype.str, "shape": list(array.shape)}
        return {"array": self._tensor(data), "scalar": isinstance(array, np.generic), **kind}


class _Reader:
    """Makes values of what a :class:`_Writer` made of them."""

    def __init__(self, tensors, modules, device):
        self.tensors = tensors
        self.modules = modules
        self.device = device

    def value(self, value, now=None):
        """The value; `now` is what is there, for what goes on as the same object."""
        if type(value) in _PLAIN:
            return value
        kind = next(iter(value))
        return getattr(self, f"_{kind}")(value, now)

    def _dict(self, value, now):
        return {self.value(key): self.value(item) for key, item in value["dict"]}

    def _list(self, value, now):
        return [self.value(item) for item in value["list"]]

    def _tuple(self, value, now):
        return tuple(self.value(item) for item in value["tuple"])

    def _tensor(self, value, now=None):
        tensor = self.tensors[str(value["tensor"])]
        tensor = tensor.permute([value["order"].index(i) for i in range(tensor.ndim)])
        return tensor.to(self.device) if value["on_device"] else tensor

    def _array(self, value, now):
        data = self._tensor(value["array"]).numpy().tobytes()
        array = np.frombuffer(bytearray(data), np.dtype(value["dtype"])).reshape(value["shape"])
        return array[()] if value["scalar"] else array

    def _csr(self, value, now):
        return csr_array(tuple(self.value(value["csr"])), shape=value["shape"])

    def _generator(self, value, now):
        now.set_state(self._tensor(value["generator"]).cpu())
        return now

    def _random(self, value, now):
        now.set_state(self.value(value["random"]))
        return now

    def _snapshot(self, value, now):
        return Snapshot.of([self.modules[i] for i in value["of"]], self.value(value["snapshot"]))

    def _enum(self, value, now):
        return _found(value["enum"])[value["name"]]

    def _named(self, value, now):
        return _found(value["named"])(*(self.value(item) for item in value["items"]))

    def _state(self, value, now):
        now.load_state_dict(self.value(value["state"]))
        return now


def _is_ours(cls):
    return cls.__module__.partition(".")[0] == _PACKAGE


def _place(cls):
    return f"{cls.__module__}:{cls.__qualname__}"


def _found(place):
    module, _, name = place.partition(":")
    if module.partition(".")[0] != _PACKAGE:
        raise ValueError(f"{place} is none of this package")
    return getattr(importlib.import_module(module), name)
