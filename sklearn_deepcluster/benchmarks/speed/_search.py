"""Time of a grid search with ``memory``, against what its parts take."""

import statistics
import tempfile
import time
from unittest import mock

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_deepcluster import IDEC, Autoencoder
from sklearn_deepcluster.benchmarks.speed._common import SIZES
from sklearn_deepcluster.metrics import unsupervised_accuracy_scorer

GAMMAS = (0.01, 0.03, 0.1, 0.3)
N_FOLDS = 3


def measure(pretraining_steps=600, clustering_steps=200, n_rows=3000):
    """Time of a grid search over gamma with ``memory``, against its parts.

    P and C are the mean times of a pretraining and of a clustering phase alone, each measured
    before and after the search, on the rows of one fold. Steps are fixed, so that a fold takes
    as long as the refit on all rows.

    Returns
    -------
    result : dict
        "pretrainings" (trainings of an ``Autoencoder`` during the search), seconds and the ratio of
        the search to 4 P + 13 C.
    """
    X, y = _labelled_rows(n_rows)
    idec = IDEC(
        10,
        autoencoder=Autoencoder(max_epochs=1, min_steps=pretraining_steps),
        max_epochs=1,
        min_steps=clustering_steps,
        update_interval=min(30, clustering_steps),
        tol=0,
        device="cpu",
        random_state=0,
    )
    folds = KFold(N_FOLDS)
    rows, _ = next(folds.split(X))
    parts = [_time_parts(idec, X[rows]) for _ in range(2)][1:]  # the first one warms up
    with tempfile.TemporaryDirectory() as cache:
        search = GridSearchCV(
            idec.set_params(memory=cache),
            {"gamma": list(GAMMAS)},
            cv=folds,
            scoring=unsupervised_accuracy_scorer,
        )
        # Patched on the class: the estimators of the search are clones of clones.
        trained = Autoencoder._fit_samples
        watched = mock.patch.object(Autoencoder, "_fit_samples", autospec=True, side_effect=trained)
        with watched as f:
            began = time.perf_counter()
            search.fit(X, y)
            total = time.perf_counter() - began
        pretrainings = f.call_count
    idec.set_params(memory=None)
    parts.append(_time_parts(idec, X[rows]))
    P, C = (statistics.fmean(times) for times in zip(*parts, strict=True))
    n_fits = len(GAMMAS) * N_FOLDS + 1
    expected = (N_FOLDS + 1) * P + n_fits * C
    return {
        "pretrainings": pretrainings,
        "fits": n_fits,
        "P_seconds": P,
        "C_seconds": C,
        "seconds": total,
        "ratio": total / expected,
        "ratio_without_memory": total / (n_fits * (P + C)),
    }


def _time_parts(idec, X):
    """Seconds of a pretraining and of a clustering phase."""
    autoencoder = clone(idec.autoencoder).set_params(random_state=0)
    began = time.perf_counter()
    autoencoder.fit(X)
    between = time.perf_counter()
    clone(idec).set_params(autoencoder=FrozenEstimator(autoencoder)).fit(X)
    return between - began, time.perf_counter() - between


def _labelled_rows(n):
    """Ten noisy clusters in 784 dimensions."""
    rng = np.random.default_rng(0)
    y = rng.integers(10, size=n)
    X = rng.normal(size=(10, SIZES[0]))[y] + 2 * rng.normal(size=(n, SIZES[0]))
    return X.astype(np.float32), y


def report(result):
    """Lines of text for a result of :func:`measure`."""
    return [
        f"GridSearchCV over {len(GAMMAS)} gammas, {N_FOLDS} folds, with memory: "
        f"{result['pretrainings']} pretrainings for {result['fits']} fits",
        f"  {result['seconds']:.1f} s; P = {result['P_seconds']:.1f} s, "
        f"C = {result['C_seconds']:.1f} s; {result['ratio']:.2f} of 4 P + 13 C, "
        f"{result['ratio_without_memory']:.2f} of 13 (P + C)",
    ]
