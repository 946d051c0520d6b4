"""What a fit depends on, told from other data and parameters: code by what it does, not by name."""

import pickle
import types

import joblib
import numpy as np
import sklearn
import torch
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from torch import nn

from sklearn_deepcluster._engine import CHUNK_ROWS, Callback, resolve_device, uses_bfloat16
from sklearn_deepcluster._version import __version__

_OF_EVERY_CLASS = (
    "__module__",
    "__dict__",
    "__weakref__",
    "__doc__",
    "__firstlineno__",
    "_abc_impl",
)
# Parameters that do not change what a fit finds, or cannot be told: callbacks.
_OUTSIDE = ("callbacks", "checkpoint", "memory", "n_jobs", "verbose")


def fit_told(estimator, samples, y=None, fitted=None):
    """What a fit depends on: name of a parameter, or of what is given to ``fit`` -> hash.

    Parameters
    ----------
    estimator : TorchEstimator
    samples : Samples
    y : array-like, default=None
        Labels that are used.
    fitted : nn.Module, default=None
        What a warm start goes on from.

    Raises
    ------
    ValueError
        If a parameter cannot be told from another, or there is no seed.
    """
    if not isinstance(estimator.random_state, (int, np.integer)):
        raise ValueError(
            f"checkpoint expects an integer random_state, and it is {estimator.random_state!r}: "
            "the same fit has to draw the same numbers again."
        )
    params = estimator.get_params(deep=False)
    told = {name: _with_weights(value) for name, value in params.items() if name not in _OUTSIDE}
    lost = sorted(name for name, value in told.items() if not picklable(value))
    if lost:
        raise ValueError(
            f"checkpoint cannot tell {', '.join(lost)} of {type(estimator).__name__} from "
            "another, as it cannot be pickled."
        )
    device = resolve_device(estimator.device)
    told |= {
        "device": device.type,
        "precision": uses_bfloat16(estimator.precision, device),
        "class": type(estimator).__name__,
        "versions": (__version__, torch.__version__, sklearn.__version__, np.__version__),
        "X": (data_told(samples.X), samples.sample_shape),
        "sample_weight": (samples.weight, samples.kept),
        "y": None if y is None else np.asarray(y),
        "fitted model": None if fitted is None else _weights(fitted),
    }
    return {name: joblib.hash(value, coerce_mmap=True) for name, value in told.items()}


def _with_weights(value):
    """A parameter as described, and its weights where it has some."""
    if isinstance(value, FrozenEstimator):
        module = getattr(value.estimator, "module_", None)
        return described(value), None if module is None else _weights(module)
    if isinstance(value, nn.Module):
        return network_told(value), _weights(value)
    if isinstance(value, BaseEstimator):
        params = {name: _with_weights(v) for name, v in value.get_params(deep=False).items()}
        return described(type(value)), {k: v for k, v in params.items() if k not in _OUTSIDE}
    return described(value)


def _weights(module):
    return {name: weight.cpu().numpy() for name, weight in module.state_dict().items()}


def network_told(module):
    """What a network computes: its layers, with the code of those of a user."""
    return [(name, _described_module(m), str(m)) for name, m in module.named_modules()]


def data_told(X):
    """Rows as what joblib can hash."""
    if issparse(X):  # as an object it also holds what it has found out of itself
        return X.data, X.indices, X.indptr
    if not isinstance(X, np.ndarray):  # a data set is told by its rows, wherever they lie
        return [joblib.hash(X[i : i + CHUNK_ROWS]) for i in range(0, len(X), CHUNK_ROWS)]
    return X


def picklable(value):
    try:
        pickle.dumps(value)
    except (pickle.PicklingError, TypeError, AttributeError):
        return False
    return True


def described(value, within=()):
    """`value` with code in the place of functions and classes, which pickle knows by name alone."""
    if id(value) in within:  # a function that calls itself
        return "itself"
    within = (*within, id(value))
    if isinstance(value, dict):
        return {key: described(item, within) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [described(item, within) for item in value]
    if isinstance(value, types.FunctionType):
        held = [cell.cell_contents for cell in value.__closure__ or ()]
        held = [value.__defaults__, value.__kwdefaults__, held]
        return _named(value), _code(value.__code__), described(held, within)
    if isinstance(value, (staticmethod, classmethod)):
        return described(value.__func__, within)
    if isinstance(value, property):
        return described([value.fget, value.fset], within)
    if isinstance(value, type):
        return [_described_class(cls, within) for cls in value.__mro__]
    if isinstance(value, BaseEstimator):
        return described(type(value), within), described(value.get_params(deep=False), within)
    if isinstance(value, Callback):
        return described(type(value), within), described(vars(value), within)
    return value


def _described_class(cls, within):
    """Its name, and what a user has written in it."""
    if _of_a_library(cls):
        return _named(cls)
    held = {n: v for n, v in vars(cls).items() if n not in _OF_EVERY_CLASS}
    return _named(cls), described(held, within)


def _described_module(module):
    """What a layer of the user computes beside its weights: its code and attributes."""
    if _of_a_library(type(module)):
        return _named(type(module))
    held = {name: v for name, v in vars(module).items() if name not in vars(torch.nn.Module())}
    return described(type(module)), described(held)


def _of_a_library(cls):
    library = cls.__module__.partition(".")[0]
    return library in ("abc", "builtins", "torch", "skorch", "sklearn", __name__.partition(".")[0])


def _named(value):
    return f"{value.__module__}.{value.__qualname__}"


def _code(code):
    """What a code object does, without where it stands."""
    return code.co_code, [_constant(c) for c in code.co_consts], code.co_names, code.co_varnames


def _constant(value):
    if isinstance(value, types.CodeType):
        return _code(value)
    # The order of a set differs between processes.
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)
