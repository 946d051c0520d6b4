"""Fitted representations, cached on disk."""

import os
import pickle
import types

import filelock
import joblib
import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import BaseEstimator

from sklearn_deepcluster._engine import CHUNK_ROWS, Callback, Tasks, draw_seed, random_stream
from sklearn_deepcluster._version import __version__
from sklearn_deepcluster.utils._sklearn import with_callbacks

_OF_EVERY_CLASS = ("__module__", "__dict__", "__weakref__", "__doc__", "__firstlineno__")


@with_callbacks
def fit_cached(representation, samples, memory, verbose, data):
    """Fit a representation, or take the equal one that was fitted before.

    Equal are those with the same parameters, network (its structure, code and first weights), data,
    weights of these and versions. What is stored are weights and numbers, no code.

    Parameters
    ----------
    representation : BaseRepresentation
        Not fitted, with a seed.
    samples : Samples
    memory : str, path, joblib.Memory or None
        Where to cache; None fits.
    verbose : int
    data : dict
        What scikit-learn's callbacks can ask for; see :class:`Tasks`.

    Returns
    -------
    representation : fitted BaseRepresentation

    Raises
    ------
    ValueError
        If a parameter cannot be told from another, as it cannot be pickled.
    """
    representation.set_params(verbose=verbose)
    representation._validate_params()
    if memory is None or isinstance(memory, (str, os.PathLike)):
        memory = joblib.Memory(memory, verbose=0)
    tasks = Tasks.of(representation, data, representation._n_stages)
    with tasks.told():
        tasks.fitted = _state(representation, samples, memory, tasks)
    representation._become(tasks.fitted)
    return representation


def _state(representation, samples, memory, tasks):
    """Fitted state of a representation, from the cache if there is one that has it."""
    location = getattr(memory, "location", None)
    if location is None:
        return representation._fit_samples(samples, tasks)
    seed = draw_seed(random_stream(representation.random_state))
    module = representation._build(samples, seed)[0]
    key = _key(representation, module, samples)
    fit = memory.cache(_fit, ignore=["representation", "samples", "tasks"])
    os.makedirs(location, exist_ok=True)
    # Parallel candidates wait for the first instead of fitting the same.
    with filelock.FileLock(os.path.join(location, f"{key}.lock")):
        try:
            state = fit(key, representation, samples, tasks)
        except _Stopped as stopped:
            (state,) = stopped.args
    module.load_state_dict(state["module_"])
    return state | {"module_": module.eval()}


def _fit(key, representation, samples, tasks):
    """Fitted state, with weights for the module; `key` stands for all that it depends on."""
    state = representation._fit_samples(samples, tasks)
    state |= {"module_": state["module_"].cpu().state_dict()}
    if tasks.stopped:  # by what is no part of the key: the next fit is to train to the end
        raise _Stopped(state)
    return state


class _Stopped(Exception):
    """Takes a fitted state past the cache, which keeps what is returned."""


def _key(representation, module, samples):
    params = representation.get_params(deep=False)
    for name in ("module", "verbose"):
        params.pop(name, None)
    network = [(name, _described_module(m), str(m)) for name, m in module.named_modules()]
    weights = {name: weight.numpy() for name, weight in module.state_dict().items()}
    versions = __version__, torch.__version__
    what = (type(representation).__name__, _described(params), network, weights, versions)
    # joblib would pass over some of what it cannot pickle.
    lost = sorted(name for name, value in params.items() if not _picklable(_described(value)))
    lost += [] if _picklable(network) else ["module"]
    if lost:
        raise ValueError(
            f"memory= cannot tell {', '.join(lost)} of {type(representation).__name__} from "
            "another, as it cannot be pickled."
        )
    X = samples.X
    if issparse(X):  # as an object it also holds what it has found out of itself
        X = X.data, X.indices, X.indptr
    elif not isinstance(X, np.ndarray):  # a data set is told by its rows, wherever they lie
        X = [joblib.hash(X[i : i + CHUNK_ROWS]) for i in range(0, len(X), CHUNK_ROWS)]
    data = X, samples.sample_shape
    if samples.weight is not None:
        data = *data, samples.weight
    return joblib.hash((what, *data), coerce_mmap=True)


def _picklable(value):
    try:
        pickle.dumps(value)
    except (pickle.PicklingError, TypeError, AttributeError):
        return False
    return True


def _described(value, within=()):
    """`value` with code in the place of functions and classes, which pickle knows by name alone."""
    if id(value) in within:  # a function that calls itself
        return "itself"
    within = (*within, id(value))
    if isinstance(value, dict):
        return {key: _described(item, within) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_described(item, within) for item in value]
    if isinstance(value, types.FunctionType):
        held = [cell.cell_contents for cell in value.__closure__ or ()]
        held = [value.__defaults__, value.__kwdefaults__, held]
        return _named(value), _code(value.__code__), _described(held, within)
    if isinstance(value, (staticmethod, classmethod)):
        return _described(value.__func__, within)
    if isinstance(value, property):
        return _described([value.fget, value.fset], within)
    if isinstance(value, type):
        return [_described_class(cls, within) for cls in value.__mro__]
    if isinstance(value, BaseEstimator):
        return _described(type(value), within), _described(value.get_params(deep=False), within)
    if isinstance(value, Callback):
        return _described(type(value), within), _described(vars(value), within)
    return value


def _described_class(cls, within):
    """Its name, and what a user has written in it."""
    if _of_a_library(cls):
        return _named(cls)
    held = {n: v for n, v in vars(cls).items() if n not in _OF_EVERY_CLASS}
    return _named(cls), _described(held, within)


def _described_module(module):
    """What a layer of the user computes beside its weights: its code and attributes."""
    if _of_a_library(type(module)):
        return _named(type(module))
    held = {name: v for name, v in vars(module).items() if name not in vars(torch.nn.Module())}
    return _described(type(module)), _described(held)


def _of_a_library(cls):
    library = cls.__module__.partition(".")[0]
    return library in ("builtins", "torch", "skorch", "sklearn", __name__.partition(".")[0])


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
