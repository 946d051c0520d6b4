"""Fitted representations, cached on disk."""

import os

import filelock
import joblib


def fit_cached(autoencoder, X, memory, verbose):
    """Fit a representation, or take the equal one that was fitted before.

    Parameters
    ----------
    autoencoder : representation
        Not fitted, with a seed.
    X : ndarray
    memory : str, path, joblib.Memory or None
        Where to cache; None fits.
    verbose : int

    Returns
    -------
    autoencoder : fitted representation
    """
    if memory is None or isinstance(memory, (str, os.PathLike)):
        memory = joblib.Memory(memory, verbose=0)
    location = getattr(memory, "location", None)
    if location is None:
        return _fit(None, autoencoder, X, verbose)
    key = joblib.hash((autoencoder, X), coerce_mmap=True)
    fit = memory.cache(_fit, ignore=["autoencoder", "X", "verbose"])
    os.makedirs(location, exist_ok=True)
    # Parallel candidates wait for the first instead of fitting the same.
    with filelock.FileLock(os.path.join(location, f"{key}.lock")):
        return fit(key, autoencoder, X, verbose)


def _fit(key, autoencoder, X, verbose):
    """Fit; `key` stands for all that the result depends on."""
    return autoencoder.set_params(verbose=verbose).fit(X)
