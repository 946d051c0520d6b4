"""Labels of which the uncertain ones are noise."""

import numpy as np
from sklearn.utils import check_array


def labels_with_noise(proba, threshold):
    """Label of the most probable cluster of each sample, or -1 where that is not probable enough.

    Every method of this package puts every sample in some cluster; this leaves those out that it is
    not sure of, marked as scikit-learn's ``DBSCAN`` and ``HDBSCAN`` mark noise.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_clusters)
        Soft assignment such as ``predict_proba`` gives, or other memberships; higher is surer.

    threshold : float
        Least value, in [0, 1], of the most probable cluster. 0 leaves none out.

    Returns
    -------
    labels : ndarray of shape (n_samples,), int64
        -1 is noise.

    Raises
    ------
    ValueError
        If `proba` is no matrix of numbers in [0, 1], or `threshold` is outside of [0, 1].
    TypeError
        If `threshold` is no number.

    Notes
    -----
    What a soft assignment means differs between methods, and few are calibrated: DEC's training
    drives it towards 0 and 1. Look at ``proba.max(axis=1)`` before choosing the threshold.

    Examples
    --------
    >>> from sklearn_deepcluster.metrics import labels_with_noise
    >>> labels_with_noise([[0.9, 0.1], [0.45, 0.55], [0.0, 1.0]], threshold=0.8)
    array([ 0, -1,  1])
    """
    proba = check_array(proba, input_name="proba")
    if proba.min() < 0 or proba.max() > 1 + 1e-6:  # float32 rounds
        raise ValueError("proba must hold values in [0, 1].")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold!r} must be in [0, 1].")
    labels = proba.argmax(axis=1)
    return np.where(proba.max(axis=1) >= threshold, labels, -1)
