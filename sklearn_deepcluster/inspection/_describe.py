"""What tells each cluster from the others, in a table."""

import numbers

import numpy as np
from scipy.sparse import issparse
from sklearn.metrics import pairwise_distances
from sklearn.pipeline import Pipeline

from sklearn_deepcluster.inspection._common import last_step
from sklearn_deepcluster.inspection._images import flat_rows, typicality
from sklearn_deepcluster.inspection._sizes import all_clusters, count_clusters


def describe_clusters(estimator, X, *, feature_names=None, n_representatives=3, n_features=5):
    """Describe the clusters that a fitted clusterer finds in X.

    Parameters
    ----------
    estimator : clusterer or Pipeline
        Fitted, with ``predict``.

    X : {array-like, sparse matrix} of shape (n_samples, n_features), images, sequences or texts
        Texts where the first step of a pipeline makes features of them.

    feature_names : array-like of shape (n_features,), default=None
        Names of the columns of X. None takes those of a data frame, those that the first step of a
        pipeline gives the features of texts, or "x0", "x1" and so on. Of images and sequences
        features are told only if they are named.

    n_representatives : int, default=3
        Representatives and borderline samples per cluster, at most.

    n_features : int, default=5
        Features per cluster, at most.

    Returns
    -------
    description : pandas.DataFrame
        A row per cluster, empty ones included, with the columns

        - "size", "share": its samples, and their share of all;
        - "confidence": mean of that of its samples, from 0 to 1, NaN if it has none. That is the
          probability by ``predict_proba``; without it ``1 - a / b`` for the distances a and b to
          the nearest and second nearest centre, 0 on the border. Centres are those of the
          embedding, or the means of the clusters;
        - "representatives", "borderline": positions in X of the most typical samples, see
          :class:`ClusterSamplesDisplay`, and of the least confident ones;
        - "high", "low": features, the most telling first, that are higher and lower in the cluster
          than in the other samples. What counts is the difference of the means in standard
          deviations of all samples; of sparse X the difference itself, so that the terms of
          texts are frequent ones.

    Raises
    ------
    ValueError
        If `feature_names` are not one for each feature or hold NaN, or a number is not positive.
    ImportError
        If pandas is not installed.

    See Also
    --------
    cluster_report : A page with this table and pictures.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_deepcluster.inspection import describe_clusters
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> table = describe_clusters(KMeans(3, random_state=0).fit(X), X, n_features=1)
    >>> len(table), list(table)[:3]
    (3, ['size', 'share', 'confidence'])
    >>> int(table["size"].sum())
    150
    """
    for name, value in (("n_representatives", n_representatives), ("n_features", n_features)):
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}={value!r} must be an int of at least 1.")
    pandas = imported_pandas()
    rows, names = features_of(estimator, X, feature_names)
    return tabulated(pandas, Found(estimator, X), rows, names, n_representatives, n_features)


class Found:
    """What a fitted clusterer finds in X, each once.

    Attributes
    ----------
    model : clusterer
        The last step of a pipeline.
    X : object
        What it is given.
    labels : ndarray of shape (n,)
    clusters : ndarray of shape (n_clusters,)
        All that there may be.
    confidence, typicality : ndarrays of shape (n,)
    """

    def __init__(self, estimator, X):
        self.model = last_step(estimator)
        whole = self.model is estimator or len(estimator.steps) == 1
        self.X = X if whole else estimator[:-1].transform(X)
        self.labels = np.asarray(self.model.predict(self.X))
        self.clusters = all_clusters(self.model, self.labels)
        self.confidence = confidence_of(self.model, self.X, self.labels)
        self.typicality = typicality(self.model, self.X, self.labels)[0]


def tabulated(pandas, found, rows, names, n_representatives=3, n_features=5):
    """The table of :func:`describe_clusters`."""
    labels, clusters, confidence = found.labels, found.clusters, found.confidence
    counts = count_clusters(labels, clusters)
    described = {
        "size": counts,
        "share": counts / len(labels),
        "confidence": [_mean(confidence[labels == cluster]) for cluster in clusters],
        "representatives": _first(clusters, labels, -found.typicality, n_representatives),
        "borderline": _first(clusters, labels, confidence, n_representatives),
    }
    if rows is not None:
        differences = _differences(rows, labels, clusters)
        described["high"] = [_named(names, d, n_features) for d in differences]
        described["low"] = [_named(names, -d, n_features) for d in differences]
    return pandas.DataFrame(described, index=pandas.Index(clusters, name="cluster"))


def imported_pandas():
    """The library, or how to obtain it."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("The table needs pandas: pip install pandas.") from error
    return pandas


def _mean(values):
    return float(values.mean()) if len(values) else np.nan


def _first(clusters, labels, keys, count):
    """Of each cluster the rows of the least keys."""
    order = np.argsort(keys, kind="stable")
    return [order[labels[order] == cluster][:count].tolist() for cluster in clusters]


def features_of(estimator, X, feature_names):
    """What is told of X: rows (n, d), dense or sparse, and names of the columns; or None twice."""
    names = feature_names
    if _is_texts(X):
        if not isinstance(estimator, Pipeline):
            return None, None
        if names is None and hasattr(estimator[0], "get_feature_names_out"):
            names = estimator[0].get_feature_names_out()
        X = estimator[0].transform(X)
    elif names is None:
        names = getattr(X, "columns", None)
    if not issparse(X):
        try:
            X = np.asarray(X)
        except ValueError:  # sequences of different lengths
            X = np.empty(0, dtype=object)
        if X.dtype == object or (X.ndim != 2 and names is None):
            if feature_names is not None:
                raise ValueError("feature_names were given, but X has no features of numbers.")
            return None, None
        X = X.reshape(len(X), -1)
    width = X.shape[1]
    if names is None:
        return X, np.array([f"x{i}" for i in range(width)])
    names = list(names)
    if len(names) != width:
        raise ValueError(f"feature_names has {len(names)} names; X has {width} features.")
    if any(name is None or name != name for name in names):
        raise ValueError("feature_names hold None or NaN.")
    return X, np.array([str(name) for name in names])


def _is_texts(X):
    if issparse(X) or getattr(X, "ndim", 1) != 1 or not len(X):
        return False
    return isinstance(next(iter(X)), str)


def confidence_of(model, X, labels):
    """How sure each row is of its cluster, from 0 to 1; see :func:`describe_clusters`."""
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(X)).max(axis=1).astype(np.float64)
    centers = getattr(model, "cluster_centers_", None)
    Z = model.transform(X) if hasattr(model, "transform") else None
    if Z is None or centers is None:
        Z = Z if Z is not None else flat_rows(X)
        if Z is None:
            return np.full(len(labels), np.nan)
        centers = np.stack([_row_mean(Z[labels == cluster]) for cluster in np.unique(labels)])
    # scikit-learn's KMeans transforms to the distances themselves.
    is_distance = Z.shape[1] == len(centers) and (Z.argmin(axis=1) == labels).all()
    distances = Z if is_distance else pairwise_distances(Z, centers)
    if distances.shape[1] == 1:
        return np.ones(len(labels))
    nearest = np.partition(distances, 1, axis=1)[:, :2]
    beyond = np.where(nearest[:, 1] > 0, nearest[:, 1], 1.0)
    return 1.0 - nearest[:, 0] / beyond


def _row_mean(rows):
    return np.asarray(rows.mean(axis=0), dtype=np.float64).ravel()


def _differences(X, labels, clusters):
    """Mean within each cluster less that of the other rows, (n_clusters, d); 0 of empty ones."""
    if issparse(X):
        X, scale = X.tocsr(), 1.0
    else:
        X = X.astype(np.float64)
        scale = np.nanstd(X, axis=0)
        scale[~(scale > 0)] = np.inf
    total, differences = np.asarray(X.sum(axis=0)).ravel(), []
    for cluster in clusters:
        members = labels == cluster
        n_in, n_out = np.count_nonzero(members), np.count_nonzero(~members)
        if not n_in or not n_out:
            differences.append(np.zeros(X.shape[1]))
            continue
        within = np.asarray(X[members].sum(axis=0)).ravel()
        differences.append((within / n_in - (total - within) / n_out) / scale)
    return differences


def _named(names, differences, count):
    """Names of the largest positive differences."""
    order = np.argsort(-differences, kind="stable")[:count]
    return [str(names[i]) for i in order if differences[i] > 0]
