"""Rows of X as images, those that tell most of a cluster, and many images as one."""

import math

import numpy as np
from scipy.sparse import issparse
from sklearn.metrics import pairwise_distances
from sklearn.utils import check_random_state

from sklearn_deepcluster.inspection._common import get_axes, last_step

# Share of the side of an image that is left free around it.
_GAP = 0.1
# Height of an image in a figure of its own.
_INCHES = 0.5


def image_shape(given, X, estimator=None):
    """Shape of a sample: as given, that of X, or that which the estimator was fitted on.

    Returns
    -------
    shape : tuple of int
        (height, width) or (channels, height, width).

    Raises
    ------
    ValueError
        If it is unknown, or is not that of images.
    TypeError
        If X is sparse.
    """
    if issparse(X):
        raise TypeError("Sparse data was passed for X; what is drawn are dense rows: X.toarray().")
    model = last_step(estimator)
    if model is not estimator:  # a pipeline may change the shape on the way
        model = None
    candidates = (
        given,
        np.shape(X)[1:],
        getattr(model, "sample_shape_", None),
        getattr(getattr(model, "module_", None), "input_shape", None),
    )
    shape = next((tuple(s) for s in candidates if s is not None and len(s) > 1), None)
    if shape is None:
        raise ValueError(
            "The rows are flat, and the shape of the images is not known: give sample_shape, "
            "(height, width) or (channels, height, width)."
        )
    if len(shape) > 3 or (len(shape) == 3 and shape[0] not in (1, 3)):
        raise ValueError(
            f"sample_shape={shape} is not that of images: (height, width), or 1 or 3 channels in "
            "front of them."
        )
    return shape


def as_images(X, shape):
    """Rows as an array (n, height, width), or (n, height, width, 3) of colours."""
    X = np.asarray(X)
    if X[0].size != math.prod(shape):
        raise ValueError(
            f"sample_shape={shape} has {math.prod(shape)} values, a sample of X {X[0].size}."
        )
    X = X.reshape(len(X), *shape)
    if len(shape) == 2:
        return X
    return X[:, 0] if shape[0] == 1 else np.moveaxis(X, 1, -1)


def select_rows(labels, n_samples, *, scores=None, random_state=None):
    """Some rows of each cluster: those of the highest scores first, or random ones.

    Parameters
    ----------
    labels : ndarray of shape (n,)
    n_samples : int
        Rows per cluster, at most.
    scores : ndarray of shape (n,), optional
    random_state : int, RandomState instance or None
        Used without scores.

    Returns
    -------
    clusters : ndarray of shape (n_clusters,)
        The sorted labels.
    chosen : list of ndarray
        Indices of the rows, per cluster.
    """
    if n_samples < 1:
        raise ValueError(f"n_samples must be at least 1, got {n_samples}.")
    if scores is None:
        scores = check_random_state(random_state).permutation(len(labels))
    order = np.argsort(-np.asarray(scores), kind="stable")
    clusters = np.unique(labels)
    return clusters, [order[labels[order] == cluster][:n_samples] for cluster in clusters]


def typicality(estimator, X, labels):
    """How typical each row is of its cluster, and in words what "typical" is.

    The probability of its cluster; of clusterers without probabilities the distance to the
    centre, negated, or to the mean of its cluster where there is no embedding.
    """
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(X).max(axis=1), "most probable"
    centers = getattr(last_step(estimator), "cluster_centers_", None)
    if hasattr(estimator, "transform") and centers is not None:
        Z = estimator.transform(X)
        if Z.shape[1] == centers.shape[1]:
            return -np.linalg.norm(Z - centers[labels], axis=1), "nearest the centre"
    if last_step(estimator) is not estimator:
        X = estimator[:-1].transform(X)
    rows = flat_rows(X)
    scores = np.zeros(len(labels))
    for cluster in np.unique(labels) if rows is not None else ():
        members = labels == cluster
        mean = np.asarray(rows[members].mean(axis=0)).reshape(1, -1)
        scores[members] = -pairwise_distances(rows[members], mean).ravel()
    return scores, "nearest the mean"


def flat_rows(X):
    """Flat rows, dense or sparse; None of sequences and of rows with NaN."""
    if issparse(X):
        return X.tocsr()
    try:
        X = np.asarray(X, dtype=np.float64)
    except ValueError:  # of different lengths
        return None
    X = X.reshape(len(X), -1)
    return X if np.isfinite(X).all() else None


def select_by(selection, estimator, X, labels):
    """Scores by which rows are selected, None for random ones, and the choice in words."""
    if selection == "random":
        return None, "random"
    if selection != "typical":
        raise ValueError(f"selection must be 'typical' or 'random', got {selection!r}.")
    return typicality(estimator, X, labels)


def scaled(images):
    """Images as floats in [0, 1], by the least and the greatest value of all of them."""
    images = np.asarray(images, dtype=np.float64)
    least, greatest = images.min(), images.max()
    return (images - least) / ((greatest - least) or 1.0)


def draw_montage(ax, rows, clusters, counts, **style):
    """Draw images, a row per cluster; return the axes and the picture in them.

    Parameters
    ----------
    ax : matplotlib Axes or None
    rows : list of lists of ndarrays of shape (height, width) or (height, width, 3)
        Images of one shape, with values in [0, 1].
    clusters, counts : ndarrays
        Label of each row, and how many samples have it.
    **style : dict
        Passed to matplotlib's ``imshow``.
    """
    picture, middles = _montage(rows)
    height = _INCHES * len(rows)
    width = height * picture.shape[1] / picture.shape[0]
    ax = get_axes(ax, figsize=(max(width + 1.0, 4.5), height + 0.7), layout="compressed")
    image = ax.imshow(picture, **{"interpolation": "nearest"} | style)
    names = [f"{cluster}  ({count})" for cluster, count in zip(clusters, counts, strict=True)]
    ax.set_yticks(middles, names)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(ylabel="cluster  (samples)")
    return ax, image


def _montage(rows):
    """Tile images, with gaps that are NaN or transparent, and tell where the rows' middles are."""
    shape = next(image.shape for row in rows for image in row)
    height, width = (side + max(1, round(_GAP * side)) for side in shape[:2])
    size = len(rows) * height, max(len(row) for row in rows) * width
    colored = len(shape) == 3
    picture = np.zeros((*size, 4)) if colored else np.full(size, np.nan)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            where = np.s_[i * height : i * height + shape[0], j * width : j * width + shape[1]]
            if colored:
                picture[where] = np.concatenate([image[..., :3], np.ones((*shape[:2], 1))], axis=2)
            else:
                picture[where] = image
    return picture, np.arange(len(rows)) * height + (shape[0] - 1) / 2
