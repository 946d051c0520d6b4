"""What the pictures share."""

import numpy as np
from sklearn.utils import check_array, check_consistent_length, check_random_state


def get_axes(ax):
    """Return the axes, new ones for None, or say how to obtain matplotlib."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Pictures need matplotlib: pip install 'sklearn-deepcluster[plot]'."
        ) from error
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def embedding_and_labels(estimator, X, y):
    """Embedding of X by a fitted clusterer, and its labels unless others are given."""
    labels = estimator.predict(X) if y is None else y
    return estimator.transform(X), labels


def checked(Z, labels):
    """Rows as float32 (n, e) and labels as an array (n,)."""
    Z = check_array(Z, dtype=np.float32, input_name="Z")
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"labels must be 1-D, got an array of shape {labels.shape}.")
    check_consistent_length(Z, labels)
    return Z, labels


def some_rows(n, max_samples, random_state):
    """Sorted indices of at most `max_samples` of n rows, drawn at random."""
    if max_samples is None or n <= max_samples:
        return np.arange(n)
    if max_samples < 1:
        raise ValueError(f"max_samples must be at least 1, got {max_samples}.")
    return np.sort(check_random_state(random_state).permutation(n)[:max_samples])
