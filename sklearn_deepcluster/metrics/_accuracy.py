"""Unsupervised clustering accuracy."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import make_scorer
from sklearn.metrics.cluster import contingency_matrix
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d


def _check_labels(labels, name):
    """Return `labels` as a 1-d array without missing values, and not empty."""
    labels = column_or_1d(labels)
    if labels.dtype.kind == "O":  # strings in an object array, or anything with missing values
        if any(label is None or label != label for label in labels):
            raise ValueError(f"{name} contains missing values.")
    else:
        assert_all_finite(labels, input_name=name)
    if len(labels) == 0:
        raise ValueError(f"{name} is empty: the accuracy of 0 samples is not defined.")
    return labels


def unsupervised_accuracy(y_true, y_pred):
    r"""Share of samples that are right under the best matching of clusters and classes.

    .. math::
        \mathrm{ACC} = \max_m \frac{1}{n} \sum_{i=1}^{n} \mathbf{1}\{y_i = m(c_i)\}

    where :math:`m` runs over the one-to-one maps between clusters :math:`c` and classes
    :math:`y`. The best map is found by the Hungarian method on the contingency table, which may
    be rectangular: all samples of a surplus cluster, or of a surplus class, count as errors.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Classes: integers or strings, in any coding.
    y_pred : array-like of shape (n_samples,)
        Cluster labels, in any coding. A label for noise such as -1 is a cluster like the others.

    Returns
    -------
    accuracy : float
        Between 0 (exclusive) and 1.

    Raises
    ------
    ValueError
        If the two have different lengths, are empty or not one-dimensional, or contain missing
        values.

    See Also
    --------
    unsupervised_accuracy_scorer : The same for the `scoring` parameter of a search.
    sklearn.metrics.normalized_mutual_info_score : Needs no matching.

    Notes
    -----
    Unlike purity, where several clusters may share a class, the accuracy does not grow with the
    number of clusters alone. It is not adjusted for chance: with balanced classes, random labels
    get a little more than ``1 / n_classes``.

    References
    ----------
    .. [1] Y. Yang, D. Xu, F. Nie, S. Yan and Y. Zhuang, "Image clustering using local
       discriminant models and global integration", IEEE Transactions on Image Processing 19(10),
       2010.

    Examples
    --------
    >>> from sklearn_deepcluster.metrics import unsupervised_accuracy
    >>> unsupervised_accuracy([0, 0, 1, 1], ["b", "b", "a", "a"])
    1.0
    >>> unsupervised_accuracy([0, 0, 1, 1], [5, 5, 5, 5])
    0.5
    """
    y_true = _check_labels(y_true, "y_true")
    y_pred = _check_labels(y_pred, "y_pred")
    check_consistent_length(y_true, y_pred)
    table = contingency_matrix(y_true, y_pred)
    matched = table[linear_sum_assignment(table, maximize=True)].sum()
    return float(matched / np.float64(len(y_true)))


# Calls ``estimator.predict(X)`` and compares with the ``y`` that was given to the search.
unsupervised_accuracy_scorer = make_scorer(unsupervised_accuracy)
