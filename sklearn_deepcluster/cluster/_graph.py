r"""Graph agglomeration: degree linkage, path integral, modularity on a sparse neighbour graph.

References: Zhang, Wang, Zhao, Tang, "Graph Degree Linkage" (ECCV 2012); Zhang, Zhao, Wang,
"Agglomerative clustering via maximum incremental path integral" (Pattern Recognition 2013). JULE
and DEPICT start from it.

The graph joins each row to its K nearest neighbours with :math:`w_{ij} = e^{-d_{ij}^2/s}` and
itself with weight 1; P is w with rows of sum 1. A and B attract each other by

.. math:: |A|^{-2} 1_A^T (S_{A \cup B} - S_A) 1_A + |B|^{-2} 1_B^T (S_{A \cup B} - S_B) 1_B,
          \quad S_C = (I - z P_{CC})^{-1},

the weight of the walks that leave a cluster, visit the other and come back, z per step. The
shortest of them give the degree linkage :math:`z^2 |A|^{-2} 1^T P_{AB} P_{BA} 1 + \dots`; the path
integral is expanded to one more step, a relative error of about :math:`z^2`.

Neither knows how large a cluster is likely to be: a handful of remote rows outlasts the border
between two large ones. "modularity" starts as the degree linkage and then merges the pair that
gains the most of Newman's modularity, in which clusters of any size are worth the edges that
they have beyond those expected at random (Clauset, Newman, Moore, Physical Review E 70, 2004);
at last single rows change sides where that gains more.

Deviations: for the degree linkage and the path integral an edge counts both ways. As published it
has one: what no row has among its neighbours is never visited, so attracts nothing and is never
merged, and with few neighbours a giant and crumbs are left. Neighbours are searched in a canonical
order of the rows, so the result does not depend on the given one; equal rows start in one cluster;
where the graph falls apart into more pieces than clusters, the smallest joins the nearest.
"""

import math
import numbers

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from sklearn_deepcluster._engine import CHUNK_ROWS, Standard, learn_standard
from sklearn_deepcluster._input import read
from sklearn_deepcluster.base import POSITIVE_INT
from sklearn_deepcluster.cluster._agglomeration import (
    BLOCK_VALUES,
    STEP_WEIGHT,
    angular_standard,
    by_modularity,
    canonical_order,
    distances_to_neighbors,
    edges_of,
    merge_down,
    merged,
    rows_of,
    unsigned_zeros,
    weights_of,
)
from sklearn_deepcluster.cluster._graph_choices import (
    choose_count,
    choose_metric,
    choose_neighbors,
    choose_resolution,
)
from sklearn_deepcluster.cluster._moves import modularity, shared_edges
from sklearn_deepcluster.cluster._neighbors import (
    check_algorithm,
    exact_neighbors,
    nearest_neighbors,
    search_in,
)
from sklearn_deepcluster.cluster._tree import tree_of
from sklearn_deepcluster.utils._pickles import VersionedPickle
from sklearn_deepcluster.utils._sklearn import Interval, StrOptions, _fit_context
from sklearn_deepcluster.utils._warnings import warn_user

# A cluster with more than this share of the rows is looked at twice.
_GIANT_SHARE = 0.5


class GraphAgglomerative(VersionedPickle, ClusterMixin, BaseEstimator):
    """Agglomeration on a graph of nearest neighbours.

    Starts from the connected components of the 1-nearest-neighbour graph and merges the two
    clusters that attract each other most on the graph of `n_neighbors`, until
    `n_clusters` are left. Memory grows with ``n_samples * n_neighbors``.

    It clusters raw features well by itself and serves as the ``init`` of the deep methods.

    Parameters
    ----------
    n_clusters : int or "auto", default=8
        Number of clusters. "auto" is the one, of 2 or more, whose partition of up to 4,000 samples
        has the largest modularity; `n_neighbors` and `metric` are then chosen without it. It is a
        hint: see the page on choosing parameters in the guide for how near it comes.

    n_neighbors : int or "auto", default="auto"
        Neighbours of each sample in the graph; n_samples - 1 where there are fewer. "auto" is
        ``n_samples / n_clusters / 8``, but at least 4 and at most 20: of small clusters more
        neighbours would be of others. Where that is less than 20, of up to 2,000 samples, it is up
        to 20 instead where with more the clusters of random parts of the samples are those of all
        samples much more nearly. With ``n_clusters="auto"`` it is 20.

    linkage : {"modularity", "degree", "path_integral"}, default="modularity"
        "degree" counts the walks that visit the other cluster for one step [1]_;
        "path_integral" also those that stay longer, each step weighted by 0.01 [2]_.
        "modularity" merges by degree down to 30 clusters per cluster asked for, then by the gain
        of modularity [3]_, which prefers clusters of similar size; then single samples move to
        the cluster of their neighbours while that gains more [4]_.

    metric : {"auto", "euclidean", "cosine"}, default="auto"
        "cosine" compares angles: rows are divided by their norm. Where X has negative values, as
        embeddings have, and fewer zeros than a quarter, the mean of these rows is subtracted, if
        it is .1 long, and they are divided by their norm again; pixels and counts keep their zero,
        sparse X too. It suits faces in different light, and often text, embeddings and counts.
        "auto" is "euclidean", unless there are more than 15 features (a direction is one dimension
        less, which tells in few) and, of up to 4,000 samples, the modularity of the partition by
        cosine is nearer to the largest that so many clusters can have: by a tenth, or by .06 where
        the mean is subtracted.

    resolution : float or "auto", default="auto"
        Of linkage "modularity": what is expected by chance counts so many times [5]_. At 1 a large
        cluster is rather parted than a small one left alone; with less clusters may differ more
        in size, and far below 1 single remote samples are left as clusters. "auto" is 1, or 0.5
        where the partition at 0.5 has a normalised cut [6]_ of less than .8 of that at 1. Metric
        and neighbours are chosen at 1.

    sigma_scale : float, default=1.0
        Width of the weights ``exp(-d ** 2 / s)``: s is `sigma_scale` times the mean squared
        distance to the neighbours, doubled until no sample is cut off from its nearest one.

    algorithm : {"auto", "exact", "approximate"}, default="auto"
        Search of the neighbours in ``fit``. "approximate" needs the package faiss
        (``pip install "sklearn-deepcluster[neighbors]"``) and finds nearly all; "auto" is that
        above 20,000 samples of more than 15 features where the package is installed. Of sparse X
        neighbours are searched exactly.

    n_jobs : int, default=None
        Jobs of the neighbour search.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), int64
        Clusters, numbered by the first training sample of each in an order that depends on the
        values alone.

    n_clusters_ : int
        Number of clusters that were looked for: `n_clusters`, or what "auto" has found.

    n_leaves_ : int
        Number of clusters that the merging started from.

    children_ : ndarray of shape (n_samples - 1, 2), int64
        What each merge joined, down to one cluster, in this order and as
        :class:`~sklearn.cluster.AgglomerativeClustering` has it: a sample if less than n_samples,
        else the merge with n_samples less. The first are those to the `n_leaves_`, the next, by
        `linkage`, those to `n_clusters_`: to the clusters of `labels_`, but for single samples that
        moved. After them the nearest merge first.

    distances_ : ndarray of shape (n_samples - 1,)
        How many times the edges between the clusters of a merge chance would make [7]_; 0 to the
        `n_leaves_`. Above 1 the merge costs modularity, at resolution 1. They ascend: one above
        a later one is lowered to it. Without an edge it is twice the largest other, at least 2.

    n_neighbors_ : int
        Neighbours of each sample.

    metric_ : {"euclidean", "cosine"}
        How samples were compared.

    resolution_ : float
        That of linkage "modularity"; 1 for the others.

    modularity_ : float
        Of the clusters, at resolution 1: the share of the edges that is inside them, less that
        expected by chance; at most ``1 - 1 / n_clusters``.

    kernel_width_ : float
        The width s, of X in its learned unit: in units of ``scale_`` squared.

    center_ : ndarray of shape (n_features,)
        What is subtracted from X: its background or its mean row, see ``Autoencoder``; by "cosine"
        from rows of norm 1, their mean or zero, see `metric`.

    scale_ : float
        Divisor of what is left, a power of two.

    sample_shape_ : tuple of int
        Shape of one sample as given to ``fit``.

    n_features_in_ : int
        Number of features.

    n_samples_fit_ : int
        Number of samples that were clustered.

    feature_names_in_ : ndarray of str
        Names of the features, where X has them.

    See Also
    --------
    sklearn.cluster.AgglomerativeClustering : Ward's and other linkages.

    Notes
    -----
    The result does not depend on the order of the rows.

    Sparse X stays sparse, and has the clusters of dense X, but for the choice between neighbours at
    exactly the same distance.

    References
    ----------
    .. [1] W. Zhang, X. Wang, D. Zhao, X. Tang, "Graph Degree Linkage: Agglomerative Clustering
       on a Directed Graph", European Conference on Computer Vision, 2012.
    .. [2] W. Zhang, D. Zhao, X. Wang, "Agglomerative clustering via maximum incremental path
       integral", Pattern Recognition 46, 2013.
    .. [3] A. Clauset, M. E. J. Newman, C. Moore, "Finding community structure in very large
       networks", Physical Review E 70, 2004.
    .. [4] V. D. Blondel, J.-L. Guillaume, R. Lambiotte, E. Lefebvre, "Fast unfolding of
       communities in large networks", Journal of Statistical Mechanics, 2008.
    .. [5] J. Reichardt, S. Bornholdt, "Statistical mechanics of community detection", Physical
       Review E 74, 2006.
    .. [6] J. Shi, J. Malik, "Normalized cuts and image segmentation", IEEE Transactions on
       Pattern Analysis and Machine Intelligence 22, 2000.
    .. [7] T. Bonald, B. Charpentier, A. Galland, A. Hollocou, "Hierarchical graph clustering using
       node pair sampling", Mining and Learning with Graphs (MLG), 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.metrics import normalized_mutual_info_score
    >>> from sklearn_deepcluster import GraphAgglomerative
    >>> X, y = load_digits(return_X_y=True)
    >>> labels = GraphAgglomerative(10).fit_predict(X)
    >>> bool(normalized_mutual_info_score(y, labels) > 0.92)
    True
    """

    _parameter_constraints = {
        "n_clusters": [*POSITIVE_INT, StrOptions({"auto"})],
        "n_neighbors": [*POSITIVE_INT, StrOptions({"auto"})],
        "linkage": [StrOptions(set(STEP_WEIGHT))],
        "metric": [StrOptions({"auto", "euclidean", "cosine"})],
        "resolution": [Interval(numbers.Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "sigma_scale": [Interval(numbers.Real, 0, None, closed="neither")],
        "algorithm": [StrOptions({"auto", "exact", "approximate"})],
        "n_jobs": [numbers.Integral, None],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        n_neighbors="auto",
        linkage="modularity",
        metric="auto",
        resolution="auto",
        sigma_scale=1.0,
        algorithm="auto",
        n_jobs=None,
    ):
        self.n_clusters = n_clusters
        self.n_neighbors = n_neighbors
        self.linkage = linkage
        self.metric = metric
        self.resolution = resolution
        self.sigma_scale = sigma_scale
        self.algorithm = algorithm
        self.n_jobs = n_jobs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Cluster X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array
            Training data; image arrays are flattened.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a parameter is not valid, or X is sparse and the search approximate.
        """
        samples = read(self, X, reset=True)
        check_algorithm(self.algorithm, samples.X)
        n = len(samples)
        n_clusters = None if self.n_clusters == "auto" else self.n_clusters
        if n_clusters is not None and n < n_clusters:
            raise ValueError(f"n_samples={n} should be >= n_clusters={n_clusters}.")
        standard = Standard() if self.metric == "cosine" else _standard_of(samples.X)
        metric = self.metric
        if metric == "auto":
            metric = choose_metric(samples.X, standard, n_clusters)
        standard = angular_standard(samples.X) if metric == "cosine" else standard
        X = rows_of(samples.X, standard, metric)
        order = canonical_order(X)
        X = X[order]
        n_neighbors = self.n_neighbors
        if n_neighbors == "auto":
            n_neighbors = choose_neighbors(X, n_clusters)
        n_neighbors = min(n_neighbors, max(1, n - 1))
        search = search_in(X, n_neighbors, self.n_jobs)
        learned = {"labels": np.zeros(n, dtype=np.int64), "n_leaves_": 1}
        learned |= {"kernel_width_": 0.0, "resolution_": 1.0, "modularity_": 0.0}
        learned |= {"children_": np.empty((0, 2), dtype=np.int64), "distances_": np.empty(0)}
        if n > 1:
            neighbors = nearest_neighbors(search, X, self.algorithm)
            if n_clusters is None:
                n_clusters = choose_count(X, n_neighbors, self.sigma_scale)
            learned = self._agglomerate(X, order, neighbors, n_clusters)
        # Numbered by the first row of each.
        _, first, place = np.unique(learned.pop("labels"), return_index=True, return_inverse=True)
        sorted_labels = np.argsort(np.argsort(first))[place]
        labels = np.empty(n, dtype=np.int64)
        labels[order] = sorted_labels
        vars(self).pop("feature_names_in_", None)
        vars(self).update(
            samples.fitted,
            **learned,
            n_clusters_=n_clusters or 1,
            n_neighbors_=n_neighbors,
            metric_=metric,
            center_=standard.center,
            scale_=standard.scale,
            labels_=labels,
            _X=X,
            _search=search,
            _labels=sorted_labels,
        )
        n_found = len(first)
        if n_found < self.n_clusters_:
            warn_user(
                f"X has {n_found} distinct rows, fewer than n_clusters={self.n_clusters_}.",
                ConvergenceWarning,
            )
        return self

    def _agglomerate(self, X, order, neighbors, n_clusters):
        """What is learned of the sorted rows; the labels are any numbers, the tree has `order`."""
        edges = edges_of(X, neighbors, self.sigma_scale, n_clusters)
        resolution = self.resolution
        if self.linkage != "modularity":
            merger, n_pieces = merged(X, edges, n_clusters, self.linkage)
            labels, shared, resolution = merger.labels.copy(), shared_edges(merger.flow), 1.0
            self._check_for_giant(X, edges, labels, n_clusters)
        elif resolution == "auto":
            found = choose_resolution(X, edges, n_clusters)
            resolution, labels, merger, shared, n_pieces = found
        else:
            found = by_modularity(X, edges, n_clusters, (resolution,))
            (labels,), (merger,), shared, n_pieces = found
        if n_pieces > n_clusters:
            warn_user(
                f"The graph of neighbours falls into {n_pieces} pieces, more than "
                f"n_clusters={n_clusters}; the smallest were joined to the nearest. A larger "
                "n_neighbors connects more.",
                ConvergenceWarning,
            )
        merger.prefer_near()  # modularity would go by size where hardly an edge is left
        merge_down(merger, X, 1)
        children, distances = tree_of(merger, edges.leaves, order)
        return {
            "labels": labels,
            "children_": children,
            "distances_": distances,
            "kernel_width_": edges.width,
            "n_leaves_": int(edges.leaves.max()) + 1,
            "resolution_": float(resolution),
            "modularity_": modularity(shared, labels),
        }

    def _check_for_giant(self, X, edges, labels, n_clusters):
        """Warn where most rows are in one cluster, and modularity has no such one."""
        largest = _largest_share(labels)
        if largest <= _GIANT_SHARE or n_clusters == 1:
            return
        other = _largest_share(choose_resolution(X, edges, n_clusters)[1])
        if other <= _GIANT_SHARE:
            name = {"degree": "ac-gdl", "path_integral": "ac-pic"}[self.linkage]
            warn_user(
                f"linkage={self.linkage!r} (init={name!r}) left {largest:.0%} of the rows in one "
                f"cluster; by modularity the largest has {other:.0%}. Take linkage='modularity' "
                "(init='ac-mod'), or another n_neighbors.",
                ConvergenceWarning,
            )

    def predict(self, X):
        """Assign each sample to the cluster of the most weight among its nearest neighbours.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            A training sample has its own cluster, so on the training data it is ``labels_``.
        """
        check_is_fitted(self, "labels_")
        X = read(self, X, reset=False).X
        if issparse(self._X):
            X = csr_array(X)
        elif issparse(X):
            parts = gen_batches(X.shape[0], CHUNK_ROWS)
            return np.concatenate([self._predict(X[part].toarray()) for part in parts])
        return self._predict(X)

    def _predict(self, X):
        X = rows_of(X, Standard(self.center_, self.scale_), self.metric_)
        neighbors = exact_neighbors(self._search, X)
        distances = distances_to_neighbors(X, self._X, neighbors)
        # Relative to the nearest: far from the data all weights would vanish.
        nearest = distances.min(axis=1, keepdims=True)
        weights = weights_of(distances - nearest, self.kernel_width_)
        known = nearest[:, 0] == 0
        weights[known] = distances[known] == 0
        labels = self._labels[neighbors]
        found = np.empty(len(labels), dtype=np.int64)
        count = int(self._labels.max()) + 1
        step = max(1, BLOCK_VALUES // count)
        for start in range(0, len(labels), step):
            part = slice(start, start + step)
            votes = np.zeros((len(labels[part]), count))
            np.add.at(votes, (np.arange(len(votes))[:, None], labels[part]), weights[part])
            found[part] = votes.argmax(axis=1)
        return found


def _standard_of(X):
    """A centre, and a scale that is a power of two: it rounds nothing, so ties stay ties."""
    rows = unsigned_zeros(X)
    # Sums in an order that depends on the values alone.
    standard = learn_standard(rows[canonical_order(rows)])
    return Standard(standard.center, 2.0 ** round(math.log2(standard.scale)))


def _largest_share(labels):
    return np.unique(labels, return_counts=True)[1].max() / len(labels)
