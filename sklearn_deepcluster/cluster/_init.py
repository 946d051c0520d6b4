"""The clustering that a method starts from."""

import numpy as np
import torch
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.utils import check_array

KMEANS_STARTS = 20


def _is_clusterer(init):
    return hasattr(init, "fit_predict") and not isinstance(init, type)


def check_init(init, n_clusters, width):
    """Check the parameter `init`; `width` is that of the embedding, None where it is not known.

    Raises
    ------
    ValueError
        If `init` is neither "k-means" nor a clusterer nor an array (n_clusters, width).
    """
    if isinstance(init, str):
        if init != "k-means":
            raise ValueError(
                f"init={init!r} is not known; use 'k-means', an array of centres "
                "(n_clusters, n_components) or a clusterer."
            )
    elif not _is_clusterer(init):
        try:
            centers = check_array(init, dtype=np.float32, input_name="init")
        except (TypeError, ValueError) as exc:
            raise ValueError(
                f"init={init!r} is no array of centres (n_clusters, n_components): {exc}"
            ) from exc
        if len(centers) != n_clusters:
            raise ValueError(f"init has {len(centers)} centres; n_clusters={n_clusters}.")
        if width is not None and centers.shape[1] != width:
            raise ValueError(
                f"init has centres in {centers.shape[1]} dimensions; the embedding has {width}."
            )


def initial_centers(init, z, *, n_clusters, seed):
    """Return the centres to start from.

    Parameters
    ----------
    init : "k-means", array-like of shape (n_clusters, e) or clusterer
    z : Tensor of shape (n, e)
        The embedding.
    n_clusters : int
    seed : int

    Returns
    -------
    centers : float32 Tensor of shape (n_clusters, e)

    Raises
    ------
    ValueError
        If a clusterer finds noise or another number of clusters.
    """
    z = z.numpy()
    if isinstance(init, str):
        kmeans = KMeans(n_clusters, n_init=KMEANS_STARTS, random_state=seed).fit(z)
        return cluster_means(z, kmeans.labels_, kmeans.cluster_centers_)
    if not _is_clusterer(init):
        check_init(init, n_clusters, z.shape[1])
        return torch.from_numpy(np.array(init, dtype=np.float32))
    clusterer = clone(init)
    params = clusterer.get_params()
    if "n_clusters" in params:
        clusterer.set_params(n_clusters=n_clusters)
    if params.get("random_state", seed) is None:
        clusterer.set_params(random_state=seed)
    found, labels = np.unique(clusterer.fit_predict(z), return_inverse=True)
    if found[0] < 0 or len(found) != n_clusters:
        noise = " and noise" if found[0] < 0 else ""
        raise ValueError(
            f"init={init!r} found {np.sum(found >= 0)} clusters{noise}; "
            f"n_clusters={n_clusters} without noise are needed."
        )
    return cluster_means(z, labels, np.zeros((n_clusters, z.shape[1])))


def cluster_means(z, labels, empty):
    """Mean of each cluster as float32 Tensor (k, e); `empty` holds those of empty clusters.

    Recomputed from the labels, so that the last bits do not depend on the order in which a
    parallel k-means added up.
    """
    centers = np.array(empty, dtype=np.float32)
    for j in np.unique(labels):
        centers[j] = z[labels == j].mean(axis=0, dtype=np.float64)
    return torch.from_numpy(centers)
