"""Prediction strength: how well clusters found in one half of the data predict the other half."""

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics.cluster import contingency_matrix
from sklearn.model_selection import KFold, check_cv
from sklearn.utils import Bunch, indexable

from sklearn_deepcluster.metrics._space import final_step
from sklearn_deepcluster.utils._warnings import warn_user


def prediction_strength(estimator, X, *, cv=2, n_jobs=None, random_state=None):
    r"""Prediction strength of a clusterer by cross-validation.

    For each fold, one model is fitted on the training part and another on the test part. The
    strength is the share of pairs of test samples in a common test cluster that the training
    model puts together as well, in the cluster where that share is smallest:

    .. math::
        \mathrm{ps} = \min_j \frac{1}{n_j (n_j - 1)} \sum_{i \neq i' \in A_j}
        \mathbf{1}\{c_i = c_{i'}\}

    with the test clusters :math:`A_j` of :math:`n_j` samples and the labels :math:`c_i` that the
    training model predicts for the test samples. It is computed from the contingency table of
    the two labelings; no matrix of pairs is formed.

    Parameters
    ----------
    estimator : clusterer or pipeline
        Must have ``predict``. It is cloned, never changed. Give it a `random_state` of its own if
        the result is to be repeatable.
    X : array-like of shape (n_samples, ...)
        Samples, in any form that `estimator` takes and that can be indexed by row.
    cv : int, cross-validation generator or iterable, default=2
        Number of shuffled folds, or a splitter such as
        ``RepeatedKFold(n_splits=2, n_repeats=5, random_state=0)``. The paper recommends two
        folds, where training and test parts are of equal size.
    n_jobs : int or None, default=None
        Number of models fitted at the same time, through joblib.
    random_state : int, RandomState instance or None, default=None
        Decides the split when `cv` is an integer.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        With the attributes

        - ``mean`` : float between 0 and 1, the mean over the folds;
        - ``standard_error`` : float, the standard error of that mean, NaN for a single fold;
        - ``fold_values`` : ndarray of shape (n_folds,).

    Raises
    ------
    ValueError
        If `estimator` has no ``predict``, or is frozen so that it can't be fitted to the folds.

    See Also
    --------
    prediction_strength_scorer : The same for the `scoring` parameter of a search.
    select_n_clusters : Choose a number of clusters from such a search.

    Notes
    -----
    The strength is 1 for a single cluster, by definition. The number of clusters is therefore
    not where the strength is largest but, as the paper has it, the largest number whose strength
    is above a threshold of 0.8 to 0.9.

    The formula is 0 / 0 for a test cluster of one sample: it has no pair that could be torn
    apart, and doesn't lower the minimum.

    A collapsed clustering would be called strong, since it is easily repeated. So one convention
    is added to the paper: a fold counts as 0 if either of its models left some of its
    `n_clusters` clusters without a sample in its own ``labels_`` (models without these two
    attributes are taken as they are).

    A single split is noisy: too large a number of clusters looks strong now and then. Repeat it.

    Training parts and test parts that are the same set of rows share one model: with two folds,
    2 models are fitted instead of 4.

    References
    ----------
    .. [1] R. Tibshirani and G. Walther, "Cluster validation by prediction strength", Journal of
       Computational and Graphical Statistics 14(3), 2005.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_deepcluster.metrics import prediction_strength
    >>> X, _ = make_blobs(600, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    >>> for k in (2, 3, 4):
    ...     result = prediction_strength(KMeans(k, n_init=5, random_state=0), X, random_state=0)
    ...     print(k, result.mean > 0.9)
    2 False
    3 True
    4 False
    """
    _check_estimator(estimator)
    (X,) = indexable(X)
    if isinstance(cv, int | np.integer):
        cv = KFold(cv, shuffle=True, random_state=random_state)
    folds = list(check_cv(cv).split(X))
    parts = {part.tobytes(): part for fold in folds for part in fold}
    fitted = Parallel(n_jobs=n_jobs)(
        delayed(_fit)(estimator, _rows(X, part)) for part in parts.values()
    )
    models = dict(zip(parts, fitted, strict=True))
    values = np.array(
        [
            _compare(models[train.tobytes()], models[test.tobytes()], _rows(X, test))
            for train, test in folds
        ]
    )
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return Bunch(mean=float(values.mean()), standard_error=float(error), fold_values=values)


def prediction_strength_scorer(estimator, X, y=None):
    """Prediction strength of a fitted clusterer on new samples, for ``scoring=``.

    A clone of `estimator` is fitted on `X`, and its clusters are compared with what `estimator`
    predicts for `X`. In a search that needs only out-of-sample ``predict`` and no labels.

    Parameters
    ----------
    estimator : fitted clusterer or pipeline
        Must have ``predict``. It is not changed.
    X : array-like of shape (n_samples, ...)
        Samples that `estimator` was not fitted on: the test part of a fold.
    y : None
        Ignored.

    Returns
    -------
    strength : float
        Between 0 and 1, higher is better.

    Raises
    ------
    ValueError
        If `estimator` has no ``predict``, or is frozen so that a clone can't be fitted.

    See Also
    --------
    prediction_strength : Formula, conventions and reference.
    select_n_clusters : The rule by which to choose when a search varies the number of clusters.

    Notes
    -----
    Use it with ``cv=KFold(2, shuffle=True, random_state=0)``, or better `RepeatedKFold` of two
    splits, to follow the paper. Each fold costs a second fit, on its test part. With an integer
    `random_state` the clone starts from the same seed as `estimator`; for
    :class:`~sklearn.cluster.KMeans` use several `n_init`.

    Strengths at equal numbers of clusters can be compared, whatever else the candidates differ
    in. Between numbers of clusters the largest strength is no guide, see `select_n_clusters`.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.model_selection import GridSearchCV, KFold
    >>> from sklearn_deepcluster.metrics import prediction_strength_scorer, select_n_clusters
    >>> X, _ = make_blobs(600, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    >>> search = GridSearchCV(
    ...     KMeans(n_init=5, random_state=0),
    ...     {"n_clusters": [2, 3, 4, 5]},
    ...     scoring=prediction_strength_scorer,
    ...     refit=select_n_clusters,
    ...     cv=KFold(2, shuffle=True, random_state=0),
    ... )
    >>> search.fit(X).best_params_
    {'n_clusters': 3}
    """
    _check_estimator(estimator)
    return _compare(estimator, _fit(estimator, X), X)


def select_n_clusters(cv_results, *, threshold=0.8, param=None):
    """Choose the largest number of clusters that is strong enough, for ``refit=``.

    The rule of the paper on prediction strength: of the numbers of clusters whose best candidate
    has a strength of at least `threshold`, take the largest; of the candidates with that number,
    the strongest.

    Parameters
    ----------
    cv_results : dict
        The ``cv_results_`` of a search with ``scoring=prediction_strength_scorer``. A search calls
        ``refit=select_n_clusters`` with it; bind other values of the parameters below by
        :func:`functools.partial`.
    threshold : float, default=0.8
        Strength that is enough. The paper recommends 0.8 to 0.9.
    param : str or None, default=None
        The parameter that holds the number of clusters. None: the one parameter of the search
        that is named ``n_clusters``, or ends in ``__n_clusters``.

    Returns
    -------
    best_index : int
        Position of the chosen candidate. If no candidate is strong enough, a `UserWarning` says
        so and the strongest is chosen; then a single cluster describes the data as well.

    Raises
    ------
    ValueError
        If there is no such parameter in the search, or more than one, if `threshold` is not
        between 0 and 1, or if the search has no single score.

    References
    ----------
    .. [1] R. Tibshirani and G. Walther, "Cluster validation by prediction strength", Journal of
       Computational and Graphical Statistics 14(3), 2005.

    Examples
    --------
    >>> from sklearn_deepcluster.metrics import select_n_clusters
    >>> select_n_clusters({"param_n_clusters": [2, 3, 4], "mean_test_score": [1.0, 0.9, 0.5]})
    1
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be between 0 and 1, got {threshold!r}.")
    if "mean_test_score" not in cv_results:
        raise ValueError("select_n_clusters needs a search with a single score.")
    counts = np.asarray(cv_results[_count_key(cv_results, param)], dtype=float)
    strength = np.asarray(cv_results["mean_test_score"], dtype=float)
    strength = np.where(np.isnan(strength), -np.inf, strength)  # candidates that failed
    strong = strength >= threshold
    if not strong.any():
        warn_user(
            f"No candidate has a prediction strength of {threshold}: the strongest is chosen, "
            f"with {strength.max():.3f}.",
            UserWarning,
        )
        return int(np.argmax(strength))
    eligible = counts == counts[strong].max()
    return int(np.argmax(np.where(eligible, strength, -np.inf)))


def _count_key(cv_results, param):
    """The key of `cv_results` that holds the numbers of clusters."""
    if param is not None:
        keys = [key for key in cv_results if key == f"param_{param}"]
    else:
        keys = [
            key
            for key in cv_results
            if key == "param_n_clusters" or (key[:6], key[-12:]) == ("param_", "__n_clusters")
        ]
    if len(keys) != 1:
        raise ValueError(
            f"The search must have exactly one parameter for the number of clusters, got {keys} "
            f"for param={param!r}; set param, by functools.partial."
        )
    return keys[0]


def _check_estimator(estimator):
    if not hasattr(estimator, "predict"):
        raise ValueError(f"estimator must have predict(X) for new samples; {estimator!r} has none.")
    if isinstance(final_step(estimator)[0], FrozenEstimator):
        raise ValueError(
            "estimator is frozen, so that it can't be fitted to other samples: give the "
            "estimator inside the FrozenEstimator."
        )


def _rows(X, index):
    """Rows of a data frame, a list or an array."""
    if hasattr(X, "iloc"):
        return X.iloc[index]
    if hasattr(X, "shape"):
        return X[index]
    return [X[i] for i in index]


def _fit(estimator, X):
    return clone(estimator).fit(X)


def _compare(model, test_model, X_test):
    """Strength of `model` on `X_test`, of which `test_model` is the own clustering."""
    if _lost_clusters(model) or _lost_clusters(test_model):
        return 0.0
    return _strength(test_model.predict(X_test), model.predict(X_test))


def _lost_clusters(model):
    """Whether `model` left some of its clusters without a sample of its own."""
    step, _ = final_step(model)
    asked, labels = getattr(step, "n_clusters", None), getattr(step, "labels_", None)
    return asked is not None and labels is not None and len(np.unique(labels)) < asked


def _strength(test_labels, predicted):
    """Smallest share, over the test clusters, of pairs that `predicted` keeps together."""
    table = contingency_matrix(test_labels, predicted).astype(np.float64)
    kept = (table * (table - 1)).sum(axis=1)
    sizes = table.sum(axis=1)
    pairs = sizes * (sizes - 1)
    return float(np.divide(kept, pairs, out=np.ones_like(kept), where=pairs > 0).min())
