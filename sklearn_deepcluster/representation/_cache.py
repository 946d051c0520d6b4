"""Fitted representations, cached on disk."""

import os

import filelock
import joblib
import torch

from sklearn_deepcluster._engine import Tasks, draw_seed, random_stream
from sklearn_deepcluster._version import __version__
from sklearn_deepcluster.representation._fingerprint import (
    data_told,
    described,
    network_told,
    picklable,
)
from sklearn_deepcluster.utils._sklearn import with_callbacks


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
    for name in ("checkpoint", "module", "verbose"):
        params.pop(name, None)
    network = network_told(module)
    weights = {name: weight.numpy() for name, weight in module.state_dict().items()}
    versions = __version__, torch.__version__
    what = (type(representation).__name__, described(params), network, weights, versions)
    # joblib would pass over some of what it cannot pickle.
    lost = sorted(name for name, value in params.items() if not picklable(described(value)))
    lost += [] if picklable(network) else ["module"]
    if lost:
        raise ValueError(
            f"memory= cannot tell {', '.join(lost)} of {type(representation).__name__} from "
            "another, as it cannot be pickled."
        )
    data = data_told(samples.X), samples.sample_shape
    if samples.weight is not None:
        data = *data, samples.weight
    return joblib.hash((what, *data), coerce_mmap=True)
