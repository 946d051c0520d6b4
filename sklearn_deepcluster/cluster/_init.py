"""The clustering that a method starts from."""

import numpy as np
import torch
from sklearn.base import clone
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils import check_array

from sklearn_deepcluster.cluster._graph import GraphAgglomerative

KMEANS_STARTS = 20
# Least variance within clusters: absolute, and relative to that of all rows.
MIN_VARIANCE = 1e-6
MIN_SHARE = 1e-3
_GRAPH_LINKAGES = {"ac-gdl": "degree", "ac-pic": "path_integral", "ac-mod": "modularity"}
# What every method takes by name; a method may add seedings, which are not optimised further.
NAMES = ("k-means", *_GRAPH_LINKAGES)
SEEDINGS = ("k-means++", "random")


def _is_clusterer(init):
    return hasattr(init, "fit_predict") and not isinstance(init, type)


def check_init(init, n_clusters, width, names=NAMES):
    """Check the parameter `init`; `width` is that of the embedding, None where it is not known.

    `names` are the strings that the method takes.

    Raises
    ------
    ValueError
        If `init` is none of the names, no clusterer and no array (n_clusters, width).
    """
    if isinstance(init, str):
        if init not in names:
            known = ", ".join(map(repr, names))
            raise ValueError(
                f"init={init!r} is not known; use {known}, an array of centres "
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


def initial_clusters(init, z, *, n_clusters, seed):
    """Return the clustering to start from.

    Parameters
    ----------
    init : str, array-like of shape (n_clusters, e) or clusterer
        "k-means" has 20 starts; those with "ac-" are `GraphAgglomerative`; "k-means++" and "random"
        are rows of z, in equal clusters only where there are too few distinct ones.
    z : Tensor of shape (n, e)
        The embedding.
    n_clusters : int
    seed : int

    Returns
    -------
    labels : int64 Tensor of shape (n,)
    centers : float32 Tensor of shape (n_clusters, e)
        Those given, or else the cluster means.

    Raises
    ------
    ValueError
        If a clusterer finds noise or another number of clusters.
    """
    z = z.numpy()
    if isinstance(init, str) and init in SEEDINGS:
        init = seed_rows(init, z, n_clusters, seed)
    if isinstance(init, str) and init not in _GRAPH_LINKAGES:
        kmeans = KMeans(n_clusters, n_init=KMEANS_STARTS, random_state=seed).fit(z)
        labels = torch.from_numpy(kmeans.labels_.astype(np.int64))
        return labels, cluster_means(z, kmeans.labels_, kmeans.cluster_centers_)
    if not isinstance(init, str) and not _is_clusterer(init):
        check_init(init, n_clusters, z.shape[1])
        centers = np.array(init, dtype=np.float32)
        labels = pairwise_distances_argmin(z, centers).astype(np.int64)
        return torch.from_numpy(labels), torch.from_numpy(centers)
    if isinstance(init, str):
        clusterer = GraphAgglomerative(linkage=_GRAPH_LINKAGES[init])
    else:
        clusterer = clone(init)
    params = clusterer.get_params()
    if "n_clusters" in params:
        clusterer.set_params(n_clusters=n_clusters)
    if params.get("random_state", seed) is None:
        clusterer.set_params(random_state=seed)
    found, labels = np.unique(clusterer.fit_predict(z), return_inverse=True)
    few = isinstance(clusterer, GraphAgglomerative) and len(found) < n_clusters
    if found[0] < 0 or (len(found) != n_clusters and not few):
        noise = " and noise" if found[0] < 0 else ""
        raise ValueError(
            f"init={init!r} found {np.sum(found >= 0)} clusters{noise}; "
            f"n_clusters={n_clusters} without noise are needed."
        )
    # Where rows are equal there can be fewer: the others start empty, at the mean.
    empty = np.broadcast_to(z.mean(axis=0), (n_clusters, z.shape[1]))
    return torch.from_numpy(labels.astype(np.int64)), cluster_means(z, labels, empty)


def seed_rows(init, z, n_clusters, seed):
    """Rows of z to start from, drawn by k-means++ or at random, distinct while there are such."""
    random = np.random.RandomState(seed)
    if init == "k-means++":
        return kmeans_plusplus(z, n_clusters, random_state=random)[0]
    order = random.permutation(len(z))
    chosen, left = [], order
    while len(chosen) < n_clusters:
        if not len(left):
            return z[[*chosen, *order[: n_clusters - len(chosen)]]]
        chosen.append(left[0])
        left = left[(z[left] != z[left[0]]).any(axis=1)]
    return z[chosen]


def within_variance(z, labels, centers):
    """Variance per dimension within clusters, the width of the round Gaussians that fit them.

    Rows that are all but equal within their clusters, for which weights would be endless, count as
    a thousandth as wide as the data, or as `MIN_VARIANCE`.

    Parameters
    ----------
    z : Tensor of shape (n, e)
    labels : int Tensor of shape (n,)
    centers : Tensor of shape (k, e)
    """
    floor = max(MIN_VARIANCE, MIN_SHARE * float(z.var(0, correction=0).mean()))
    return max(floor, float((z - centers[labels]).square().mean()))


def cluster_means(z, labels, empty):
    """Mean of each cluster as float32 Tensor (k, e); `empty` holds those of empty clusters.

    Recomputed from the labels, so that the last bits do not depend on the order in which a
    parallel k-means added up.
    """
    centers = np.array(empty, dtype=np.float32, order="C")
    for j in np.unique(labels):
        centers[j] = z[labels == j].mean(axis=0, dtype=np.float64)
    return torch.from_numpy(centers)
