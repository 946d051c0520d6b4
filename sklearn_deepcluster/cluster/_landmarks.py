r"""Landmark-based spectral clustering (LSC).

Reference: Chen and Cai, "Large Scale Spectral Clustering with Landmark-Based Representation"
(AAAI 2011). Each row is written by its r nearest of p landmarks a, centres of k-means (LSC-K) or
random rows (LSC-R):

.. math:: Z_{il} = K(x_i, a_l) \Big/ \sum_{l'} K(x_i, a_{l'}), \quad
          K(x, a) = e^{-\|x - a\|^2 / 2 \sigma^2},

with sums over the r nearest. Rows are joined by :math:`\hat Z \hat Z^T` with :math:`\hat Z = Z
D^{-1/2}`, D the column sums of Z. The spectral embedding are the left singular vectors of
:math:`\hat Z` for the singular values 2 to k + 1, rows brought to length 1, and its clusters those
of k-means. With right vectors v of the p x p matrix :math:`\hat Z^T \hat Z` they are :math:`\hat Z
v / s`, which a new row has as well.

Deviations: the paper leaves sigma open; it is the mean distance to the r nearest landmarks. The
first singular vector is known, :math:`v \propto D^{1/2} 1` for s = 1, and is taken out of the
matrix before the others are sought: in a graph of several pieces more vectors have s = 1, and an
arbitrary mixture of them would be left out instead. Landmarks of k-means are found on a part of
many rows.
"""

import math

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_deepcluster._engine import Standard, learn_standard
from sklearn_deepcluster._input import read
from sklearn_deepcluster.base import POSITIVE_INT
from sklearn_deepcluster.cluster._landmark_graph import (
    embed,
    landmark_weights,
    nearest_landmarks,
    right_vectors,
)
from sklearn_deepcluster.cluster._memberships import nearest_centers
from sklearn_deepcluster.utils._pickles import VersionedPickle
from sklearn_deepcluster.utils._sklearn import StrOptions, _fit_context
from sklearn_deepcluster.utils._warnings import warn_user

# Landmarks are drawn from so many rows, and k-means moves them so many times: they need to cover
# the data, not to be its best quantisation.
_LANDMARK_ROWS, _LANDMARK_STEPS = 20_000, 20
# An eigenvalue above this, besides the first, is that of another piece of the graph.
_PIECE = 1 - 1e-10


class LandmarkSpectralClustering(
    VersionedPickle, ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator
):
    """Spectral clustering by landmarks, in time linear in the number of samples.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.

    landmarks : {"k-means", "random"}, default="k-means"
        Centres of k-means (LSC-K), or random samples (LSC-R), of at most 20,000 samples. Random
        ones take less time; in the paper their clusters are worse.

    n_landmarks : int, default=1000
        Number of landmarks, more than `n_clusters`; as many as there are distinct samples where
        these are fewer.

    n_neighbors : int, default=5
        Nearest landmarks that a sample is written by.

    n_init : int, default=10
        Starts of k-means on the embedding.

    random_state : int, RandomState instance or None, default=None
        Seed of the landmarks and of k-means.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), int64
        Cluster of each sample.

    cluster_centers_ : ndarray of shape (n_clusters, n_components), float32
        Centres of k-means in the embedding.

    landmarks_ : ndarray of shape (n_landmarks, n_features)
        In the units of X; float32, or float64 where that would lose digits.

    singular_values_ : ndarray of shape (n_components,)
        Of the vectors of the embedding, at most 1, in falling order; 0 where there is no such
        vector. n_components is `n_clusters`, or the number of landmarks if that is less.

    sigma_ : float
        The width of the kernel, of X in its learned unit: in units of ``scale_``.

    center_ : ndarray of shape (n_features,)
        What is subtracted from X: its background or its mean row; see ``Autoencoder``.

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
    sklearn.cluster.SpectralClustering : On the graph of all samples; no new samples.
    GraphAgglomerative : Merges clusters of such a graph.

    Notes
    -----
    The time is that of ``n_samples * n_landmarks`` distances and of the eigenvectors of a matrix
    of `n_landmarks` rows; memory grows with ``n_samples * (n_neighbors + n_clusters)``.

    References
    ----------
    .. [1] X. Chen, D. Cai, "Large Scale Spectral Clustering with Landmark-Based Representation",
       AAAI Conference on Artificial Intelligence, 2011.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from sklearn.metrics import adjusted_rand_score
    >>> from sklearn_deepcluster import LandmarkSpectralClustering
    >>> X, y = make_moons(1000, noise=0.05, random_state=0)
    >>> model = LandmarkSpectralClustering(2, n_landmarks=100, random_state=0).fit(X)
    >>> bool(adjusted_rand_score(y, model.labels_) > 0.95)
    True
    """

    _parameter_constraints = {
        "n_clusters": POSITIVE_INT,
        "landmarks": [StrOptions({"k-means", "random"})],
        "n_landmarks": POSITIVE_INT,
        "n_neighbors": POSITIVE_INT,
        "n_init": POSITIVE_INT,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        landmarks="k-means",
        n_landmarks=1000,
        n_neighbors=5,
        n_init=10,
        random_state=None,
    ):
        self.n_clusters = n_clusters
        self.landmarks = landmarks
        self.n_landmarks = n_landmarks
        self.n_neighbors = n_neighbors
        self.n_init = n_init
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Cluster X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or image array
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
            If X or a parameter is not valid.

        Warns
        -----
        ConvergenceWarning
            If the graph falls into more pieces than clusters, or the embedding has fewer distinct
            rows.
        """
        if self.n_landmarks <= self.n_clusters:
            raise ValueError(
                f"n_landmarks={self.n_landmarks} should be > n_clusters={self.n_clusters}."
            )
        samples = read(self, X, reset=True)
        n = len(samples)
        if n < self.n_clusters:
            raise ValueError(f"n_samples={n} should be >= n_clusters={self.n_clusters}.")
        rng = check_random_state(self.random_state)
        standard = learn_standard(samples.X)
        # A power of two rounds nothing, so ties between landmarks stay ties.
        standard = Standard(standard.center, 2.0 ** round(math.log2(standard.scale)))
        landmarks = self._choose_landmarks(samples.X, standard, rng)
        search = NearestNeighbors(n_neighbors=min(self.n_neighbors, len(landmarks))).fit(landmarks)
        neighbors, distances = nearest_landmarks(samples.X, standard, landmarks, search)
        sigma = float(np.sqrt(distances).mean())
        Z = landmark_weights(neighbors, distances, sigma, len(landmarks))
        projection, values = right_vectors(Z, self.n_clusters)
        projection = projection.astype(np.float32)
        if self.n_clusters > 1 and values[-1] > _PIECE:
            warn_user(
                "The graph of samples and landmarks falls into more pieces than "
                f"n_clusters={self.n_clusters}. A larger n_neighbors, or fewer n_landmarks, "
                "connects more.",
                ConvergenceWarning,
            )
        embedding = embed(Z, projection)
        kmeans = KMeans(self.n_clusters, n_init=self.n_init, random_state=rng).fit(embedding)
        vars(self).pop("feature_names_in_", None)
        vars(self).update(
            samples.fitted,
            labels_=nearest_centers(embedding, kmeans.cluster_centers_)[0],
            cluster_centers_=kmeans.cluster_centers_,
            landmarks_=standard.undo(landmarks),
            singular_values_=np.sqrt(values),
            sigma_=sigma,
            center_=standard.center,
            scale_=standard.scale,
            _landmarks=landmarks,
            _search=search,
            _projection=projection,
        )
        return self

    def _choose_landmarks(self, X, standard, rng):
        """Landmarks in the learned unit, no two the same."""
        n = len(X)
        if n > _LANDMARK_ROWS:
            X = X[np.sort(rng.choice(n, _LANDMARK_ROWS, replace=False))]
        X = standard.apply(X)
        distinct = np.unique(X, axis=0)
        if len(distinct) <= self.n_landmarks:
            return distinct
        if self.landmarks == "random":
            return distinct[rng.choice(len(distinct), self.n_landmarks, replace=False)]
        kmeans = KMeans(
            self.n_landmarks, init="random", n_init=1, max_iter=_LANDMARK_STEPS, random_state=rng
        )
        return np.unique(kmeans.fit(X).cluster_centers_, axis=0)

    def transform(self, X):
        """Embed X by the singular vectors.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or image array

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
            Rows of length 1, or 0 where no landmark nearby has a part in the embedding.
        """
        check_is_fitted(self, "labels_")
        X = read(self, X, reset=False).X
        standard = Standard(self.center_, self.scale_)
        neighbors, distances = nearest_landmarks(X, standard, self._landmarks, self._search)
        Z = landmark_weights(neighbors, distances, self.sigma_, len(self._landmarks))
        return embed(Z, self._projection)

    def predict(self, X):
        """Assign each sample to the nearest centre in the embedding.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or image array

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            On the training data it is ``labels_``.
        """
        return nearest_centers(self.transform(X), self.cluster_centers_)[0]

    @property
    def _n_features_out(self):
        return self._projection.shape[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
