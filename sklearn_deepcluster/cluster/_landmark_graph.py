"""Landmark graph of rows and its spectral embedding; see ``_landmarks.py`` for the method."""

import math

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import csr_array
from sklearn.utils import gen_batches

from sklearn_deepcluster.cluster._agglomeration import BLOCK_VALUES, distances_to_neighbors

# An eigenvalue below this is rounding.
_NO_VALUE = 1e-10
# Rows of the embedding have a length of about 1 before they are brought to 1; what is below this
# is rounding, and stays.
_NO_LENGTH = 1e-6


def nearest_landmarks(X, standard, landmarks, search):
    """Indices (n, r) of the nearest landmarks of raw rows, and the squared distances."""
    neighbors = np.empty((len(X), search.n_neighbors), dtype=np.int32)
    distances = np.empty(neighbors.shape)
    for part in gen_batches(len(X), max(1, BLOCK_VALUES // X.shape[1])):
        rows = standard.apply(X[part])
        neighbors[part] = search.kneighbors(rows, return_distance=False)
        distances[part] = distances_to_neighbors(rows, landmarks, neighbors[part])
    return neighbors, distances


def landmark_weights(neighbors, distances, sigma, n_landmarks):
    """The sparse matrix Z (n, p) of rows with these nearest landmarks and squared distances."""
    # Relative to the nearest: far from the data all weights would vanish.
    weights = distances - distances.min(axis=1, keepdims=True)
    weights = np.exp(weights / (-2 * sigma**2)) if sigma else (weights == 0).astype(np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    ends = np.arange(0, neighbors.size + 1, neighbors.shape[1])
    return csr_array((weights.ravel(), neighbors.ravel(), ends), (len(neighbors), n_landmarks))


def right_vectors(Z, k):
    """What maps Z to its left singular vectors 2 to k + 1, times the root of n.

    Returns
    -------
    projection : ndarray of shape (p, min(k, p))
        Zero for landmarks that no row is near, and for vectors that there are not.
    values : ndarray of shape (min(k, p),)
        Squares of the singular values, in falling order.
    """
    n, p = Z.shape
    degrees = Z.sum(axis=0)
    roots = np.divide(1, np.sqrt(degrees), out=np.zeros(p), where=degrees > 0)
    gram = (Z.T @ Z).toarray() * np.outer(roots, roots)
    first = np.sqrt(degrees / n)
    gram -= np.outer(first, first)
    values, vectors = eigh(gram, subset_by_index=[p - min(k, p), p - 1])
    values, vectors = np.clip(values[::-1], 0, 1), vectors[:, ::-1]
    values[values < _NO_VALUE] = 0
    inverse = np.divide(1, np.sqrt(values), out=np.zeros(len(values)), where=values > 0)
    return math.sqrt(n) * roots[:, None] * vectors * inverse, values


def embed(Z, projection):
    """Rows of Z as rows of length 1, float32."""
    embedding = Z @ projection
    lengths = np.sqrt(np.square(embedding).sum(axis=1, keepdims=True))
    return (embedding / np.where(lengths > _NO_LENGTH, lengths, 1)).astype(np.float32)
