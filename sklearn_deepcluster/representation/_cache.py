"""Fitted representations, cached on disk."""

import os

import filelock
import joblib


def fit_cached(representation, samples, memory, verbose):
    """Fit a representation, or take the equal one that was fitted before.

    Parameters
    ----------
    representation : BaseRepresentation
        Not fitted, with a seed.
    samples : Samples
    memory : str, path, joblib.Memory or None
        Where to cache; None fits.
    verbose : int

    Returns
    -------
    representation : fitted BaseRepresentation
    """
    if memory is None or isinstance(memory, (str, os.PathLike)):
        memory = joblib.Memory(memory, verbose=0)
    location = getattr(memory, "location", None)
    if location is None:
        return _fit(None, representation, samples, verbose)
    key = joblib.hash((representation, samples.X, samples.sample_shape), coerce_mmap=True)
    fit = memory.cache(_fit, ignore=["representation", "samples", "verbose"])
    os.makedirs(location, exist_ok=True)
    # Parallel candidates wait for the first instead of fitting the same.
    with filelock.FileLock(os.path.join(location, f"{key}.lock")):
        return fit(key, representation, samples, verbose)


def _fit(key, representation, samples, verbose):
    """Fit; `key` stands for all that the result depends on."""
    representation.set_params(verbose=verbose)
    representation._validate_params()
    representation._become(representation._fit_samples(samples))
    return representation
