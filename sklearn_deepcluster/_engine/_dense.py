"""Sparse rows become dense a part at a time, never as a whole."""

import numpy as np
from scipy.sparse import issparse


def dense_rows(X, which):
    """These rows of X as an array.

    Parameters
    ----------
    X : ndarray, memmap, csr_array or IndexedRows of shape (n_samples, n_features)
    which : slice or 1-D ndarray

    Returns
    -------
    rows : ndarray
        A view of dense X where a slice was asked for.
    """
    part = X[which]
    return part.toarray() if issparse(part) else np.asarray(part)
