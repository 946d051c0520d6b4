r"""Scorers that need no labels: how compact and well separated the clusters are.

Each scorer has the signature ``scorer(estimator, X, y=None)`` and can be given as ``scoring=``.
All three judge ``estimator.predict(X)`` in the space where the estimator does its clustering:

- steps of a pipeline before the last are applied to `X`;
- a last step that has learned a network (attribute ``module_``) is asked for its embedding,
  ``transform(X)``;
- any other last step, such as :class:`~sklearn.cluster.KMeans` (whose ``transform`` gives
  distances to the centres, not an embedding), is judged on `X` as that step receives it.

So ``make_pipeline(Autoencoder(), KMeans())`` and ``DEC()`` are both judged in their embeddings.
"""

import numpy as np
from sklearn.metrics import (
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)
from sklearn.utils import check_array

from sklearn_deepcluster.metrics._space import final_step

# Silhouettes cost O(n^2): larger data is judged on this many rows, always the same ones.
SILHOUETTE_ROWS = 5_000
# Scores of a clustering that has no score. The Davies-Bouldin index has no upper bound, and an
# infinite score would make the mean over folds and its spread infinite or NaN.
WORST_SILHOUETTE = -1.0
WORST_CALINSKI_HARABASZ = 0.0
WORST_DAVIES_BOULDIN = -1e9


def _embedding_and_labels(estimator, X):
    """Return where `estimator` clusters `X`, and its labels for `X`.

    The embedding is moved and scaled to mean 0 and mean squared norm 1. The scores don't depend
    on that, but the tolerances inside scikit-learn do.
    """
    step, X = final_step(estimator, X)
    labels = np.asarray(step.predict(X))
    if hasattr(step, "module_") and hasattr(step, "transform"):
        X = step.transform(X)
    Z = check_array(X, dtype=[np.float64, np.float32], copy=True)
    Z -= Z.mean(axis=0, dtype=np.float64).astype(Z.dtype)
    spread = np.sqrt(np.einsum("ij,ij->", Z, Z, dtype=np.float64) / len(Z))
    if spread > 0:
        Z /= Z.dtype.type(spread)
    return Z, labels, spread > 0


def _score(score, estimator, X, worst):
    Z, labels, spreads = _embedding_and_labels(estimator, X)
    if not spreads or not _is_scored(labels):
        return worst
    return float(score(Z, labels))


def _is_scored(labels):
    """Whether the scores exist: at least two clusters, and fewer clusters than samples."""
    return 2 <= len(np.unique(labels)) < len(labels)


def silhouette_scorer(estimator, X, y=None):
    """Mean silhouette coefficient of the predicted clusters in the embedding.

    Parameters
    ----------
    estimator : fitted clusterer or pipeline
        Must have ``predict``. The embedding is ``transform(X)`` of a last step that has a
        ``module_``, else `X` as the last step receives it.
    X : array-like of shape (n_samples, ...)
        Samples, in the form that `estimator` takes.
    y : None
        Ignored.

    Returns
    -------
    score : float
        Between -1 and 1, higher is better. It is -1, the worst value, if there is no score:
        all samples in one cluster, as many clusters as samples, or all embedded alike.

    See Also
    --------
    prediction_strength_scorer : Compares models with different embeddings fairly.
    sklearn.metrics.silhouette_score : The same of given points and labels.

    Notes
    -----
    Of more than 5,000 samples, 5,000 are drawn with a fixed seed, since the cost is quadratic.
    The draw depends on the number of samples alone, so that all candidates of a search are
    judged on the same rows.

    Each model is judged in its own embedding. A model that squeezes its clusters together gets
    a high score whether or not they mean anything, so use this to compare clusterings of similar
    embeddings (numbers of clusters, say), not the embeddings.

    References
    ----------
    .. [1] P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of
       cluster analysis", Journal of Computational and Applied Mathematics 20, 1987.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn_deepcluster.metrics import silhouette_scorer
    >>> X = [[0.0], [0.1], [5.0], [5.1]]
    >>> round(silhouette_scorer(KMeans(2, random_state=0).fit(X), X), 2)
    0.98
    """
    Z, labels, spreads = _embedding_and_labels(estimator, X)
    if len(Z) > SILHOUETTE_ROWS:
        rows = np.random.RandomState(0).permutation(len(Z))[:SILHOUETTE_ROWS]
        Z, labels = Z[rows], labels[rows]
    if not spreads or not _is_scored(labels):
        return WORST_SILHOUETTE
    return float(silhouette_score(Z, labels))


def calinski_harabasz_scorer(estimator, X, y=None):
    """Ratio of between-cluster to within-cluster dispersion in the embedding.

    Parameters
    ----------
    estimator : fitted clusterer or pipeline
        Must have ``predict``. The embedding is ``transform(X)`` of a last step that has a
        ``module_``, else `X` as the last step receives it.
    X : array-like of shape (n_samples, ...)
        Samples, in the form that `estimator` takes.
    y : None
        Ignored.

    Returns
    -------
    score : float
        At least 0, higher is better. It is 0, the worst value, if there is no score: all samples
        in one cluster, as many clusters as samples, or all embedded alike.

    See Also
    --------
    silhouette_scorer : Bounded; its notes on comparing embeddings hold here, too.
    sklearn.metrics.calinski_harabasz_score : The same of given points and labels.

    Notes
    -----
    The value grows with the number of samples: compare only values on equally many.

    References
    ----------
    .. [1] T. Calinski and J. Harabasz, "A dendrite method for cluster analysis",
       Communications in Statistics 3(1), 1974.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn_deepcluster.metrics import calinski_harabasz_scorer
    >>> X = [[0.0], [1.0], [5.0], [6.0]]
    >>> round(calinski_harabasz_scorer(KMeans(2, random_state=0).fit(X), X), 2)
    50.0
    """
    return _score(calinski_harabasz_score, estimator, X, WORST_CALINSKI_HARABASZ)


def davies_bouldin_scorer(estimator, X, y=None):
    """Negated Davies-Bouldin index of the predicted clusters in the embedding.

    Parameters
    ----------
    estimator : fitted clusterer or pipeline
        Must have ``predict``. The embedding is ``transform(X)`` of a last step that has a
        ``module_``, else `X` as the last step receives it.
    X : array-like of shape (n_samples, ...)
        Samples, in the form that `estimator` takes.
    y : None
        Ignored.

    Returns
    -------
    score : float
        At most 0, higher is better. It is -1e9 if there is no score: all samples in one cluster,
        as many clusters as samples, or all embedded alike. The index has no upper bound; this
        value is finite so that means over folds remain finite.

    See Also
    --------
    silhouette_scorer : Bounded; its notes on comparing embeddings hold here, too.
    sklearn.metrics.davies_bouldin_score : The same of given points and labels, not negated.

    References
    ----------
    .. [1] D. L. Davies and D. W. Bouldin, "A cluster separation measure", IEEE Transactions on
       Pattern Analysis and Machine Intelligence 1(2), 1979.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn_deepcluster.metrics import davies_bouldin_scorer
    >>> X = [[0.0], [1.0], [5.0], [6.0]]
    >>> round(davies_bouldin_scorer(KMeans(2, random_state=0).fit(X), X), 2)
    -0.2
    """
    return _score(
        lambda Z, labels: -davies_bouldin_score(Z, labels), estimator, X, WORST_DAVIES_BOULDIN
    )
