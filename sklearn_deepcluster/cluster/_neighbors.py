"""Nearest neighbours of the rows of X: exactly, or approximately where there are many."""

import importlib.util

import numpy as np
from joblib import effective_n_jobs
from scipy.sparse import csr_array, issparse
from sklearn import config_context, get_config
from sklearn.neighbors import NearestNeighbors

from sklearn_deepcluster.utils._warnings import warn_user

# Above so many rows "auto" is approximate where faiss is installed. Up to so many features
# trees are exact and fast.
MANY_ROWS, FEW_FEATURES = 20_000, 15
# Links of a row, and how many candidates are followed: nearly all neighbours of digits are true.
_LINKS, _BREADTH = 16, 40
# Distances of sparse rows that are held at a time.
_MEGABYTES = 256
# Above so many an exact search takes hours, which is said.
SLOW_ROWS = 200_000


def has_approximate_search():
    """Whether faiss is installed."""
    return importlib.util.find_spec("faiss") is not None


def check_algorithm(algorithm, X):
    """Refuse what needs a package that is not installed, or other rows.

    Raises
    ------
    ImportError
        If `algorithm` is "approximate" without faiss.
    ValueError
        If it is with sparse X.
    """
    if algorithm == "approximate" and issparse(X):
        raise ValueError(
            "algorithm='approximate' takes no sparse X: its neighbours are searched exactly, by "
            "algorithm='auto' or 'exact'."
        )
    if algorithm == "approximate" and not has_approximate_search():
        raise ImportError(
            "algorithm='approximate' needs faiss: pip install 'sklearn-deepcluster[neighbors]'."
        )


def search_in(X, n_neighbors, n_jobs=None):
    """The exact search among the rows of X, ndarray or csr_array."""
    return NearestNeighbors(n_neighbors=n_neighbors, n_jobs=n_jobs).fit(searched(X))


def searched(X):
    """Rows as they are searched: of sparse float32 scikit-learn would round the distances."""
    if not issparse(X):
        return X
    return csr_array((X.data.astype(np.float64), X.indices, X.indptr), shape=X.shape)


def exact_neighbors(search, X, own=False):
    """Indices of the nearest of the rows of the search to each row of X.

    With `own` X are these rows, and none is its own neighbour.
    """
    asked = None if own else searched(X)
    if not issparse(X):
        return search.kneighbors(asked, return_distance=False)
    # Distances of sparse rows are computed for as many rows at a time as this allows.
    megabytes = min(_MEGABYTES, get_config()["working_memory"])
    with config_context(working_memory=megabytes):
        return search.kneighbors(asked, return_distance=False)


def nearest_neighbors(search, X, algorithm):
    """Indices of the nearest neighbours of each row among the others.

    Parameters
    ----------
    search : NearestNeighbors
        Fitted on X; its number of neighbours and jobs count for both algorithms.
    X : ndarray or csr_array of shape (n, d)
    algorithm : {"auto", "exact", "approximate"}

    Returns
    -------
    neighbors : int64 ndarray of shape (n, n_neighbors)
    """
    if is_approximate(X, algorithm):
        return _by_links(X, search.n_neighbors, search.n_jobs)
    return exact_neighbors(search, X, own=True)


def is_approximate(X, algorithm):
    """Whether the neighbours of these rows are searched approximately."""
    n, d = X.shape
    if algorithm != "auto" or n <= MANY_ROWS or d <= FEW_FEATURES:
        return algorithm == "approximate"
    if has_approximate_search() and not issparse(X):
        return True
    if n > SLOW_ROWS:
        way = "pip install 'sklearn-deepcluster[neighbors]' for an approximate search"
        if issparse(X):
            way = "TruncatedSVD makes dense rows of them, for which there is an approximate search"
        warn_user(
            f"The neighbours of {n} rows are searched exactly, which takes long: {way}.",
            UserWarning,
        )
    return False


def _by_links(X, n_neighbors, n_jobs):
    """Search by links on several scales (Malkov and Yashunin, IEEE PAMI 42, 2020)."""
    import faiss

    threads = faiss.omp_get_max_threads()
    index = faiss.IndexHNSWFlat(X.shape[1], _LINKS)
    index.hnsw.efConstruction, index.hnsw.efSearch = _BREADTH, max(_BREADTH, 2 * n_neighbors)
    try:
        faiss.omp_set_num_threads(1)  # threads that add rows would make another graph every time
        index.add(X)
        faiss.omp_set_num_threads(effective_n_jobs(n_jobs) if n_jobs else threads)
        # One more, the row itself; it is not found first where rows are equal.
        _, found = index.search(X, min(n_neighbors + 1, len(X)))
    finally:
        faiss.omp_set_num_threads(threads)
    return _others(found)


def _others(found):
    """Without the row itself, or the last where it is not among those found (n, k + 1)."""
    missing = found < 0  # parts of the graph that the search did not reach
    found = np.where(
        missing, np.take_along_axis(found, (~missing).sum(1, keepdims=True) - 1, 1), found
    )
    itself = found == np.arange(len(found))[:, None]
    drop = np.where(itself.any(axis=1), itself.argmax(axis=1), found.shape[1] - 1)
    kept = np.ones(found.shape, dtype=bool)
    kept[np.arange(len(found)), drop] = False
    return found[kept].reshape(len(found), -1)
