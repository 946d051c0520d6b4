r"""Fuzzy c-means.

Reference: Bezdek, "Pattern Recognition with Fuzzy Objective Function Algorithms" (Plenum Press,
1981). A row belongs to every cluster, by memberships of sum 1; minimised is

.. math:: J = \sum_{ij} u_{ij}^m d_{ij}^2, \quad d_{ij} = \|x_i - c_j\|,

by turns of

.. math:: u_{ij} = \Big(\sum_l (d_{ij} / d_{il})^{2 / (m - 1)}\Big)^{-1}, \quad
          c_j = \sum_i u_{ij}^m x_i \Big/ \sum_i u_{ij}^m .

A row that lies on centres is shared by these alone.

Memberships are kept as logarithms: with m near 1 they are powers of distances with exponents that
overflow. Distances are sums of squared differences in float64, so a row on a centre is at
distance 0, and the answer for a row does not depend on the rows that come with it.
"""

import numbers

import numpy as np
from scipy.spatial.distance import cdist, pdist, squareform
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.cluster import kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_deepcluster._engine import Standard, learn_standard
from sklearn_deepcluster._input import read, weigh
from sklearn_deepcluster.base import POSITIVE_INT
from sklearn_deepcluster.cluster._memberships import (
    alternate,
    log_memberships,
    nearest_centers,
    objective,
    row_blocks,
)
from sklearn_deepcluster.utils._pickles import VersionedPickle
from sklearn_deepcluster.utils._sklearn import Interval, StrOptions, _fit_context
from sklearn_deepcluster.utils._warnings import warn_user

# Centres coincide where they are nearer to one another than this share of the distance at which
# rows lie from the nearest centre.
_SAME_CENTER = 0.01


class FuzzyCMeans(
    VersionedPickle, ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator
):
    """Fuzzy c-means: k-means with memberships instead of labels.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.

    m : float, default=2.0
        Fuzzifier, above 1. Near 1 memberships are 0 or 1, as in k-means; the larger it is, the more
        a row is shared. In more than about 10 dimensions 2 is too much for most data: all
        memberships become ``1 / n_clusters`` and all centres the mean. Take 1.1 to 1.3 there.

    init : {"k-means++"} or array-like of shape (n_clusters, n_features), default="k-means++"
        Centres to start from.

    n_init : int, default=1
        Number of starts, of which that with the least objective is kept; given centres are one.

    max_iter : int, default=300
        Iterations of a start at most.

    tol : float, default=1e-5
        A start has converged when no membership changes by more.

    random_state : int, RandomState instance or None, default=None
        Seed of the starts.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        Centres, in the units of X; float32, or float64 where that would lose digits.

    labels_ : ndarray of shape (n_samples,), int64
        The cluster of each sample's largest membership, that of the nearest centre.

    objective_ : float
        The objective J, in squared units of X; with weights the sum is one of weighted rows.

    n_iter_ : int
        Iterations of the start that was kept.

    center_ : ndarray of shape (n_features,)
        What is subtracted from X before it is computed with in float32: its background or its
        mean row; see ``Autoencoder``.

    scale_ : float
        Divisor of what is left.

    sample_shape_ : tuple of int
        Shape of one sample as given to ``fit``.

    n_features_in_ : int
        Number of features.

    n_samples_fit_ : int
        Number of samples that were clustered, without those of weight 0.

    feature_names_in_ : ndarray of str
        Names of the features, where X has them.

    See Also
    --------
    sklearn.cluster.KMeans : The limit of m to 1.
    DKM : Soft assignments that a network is trained by.

    Notes
    -----
    Memory is that of X in float32 and of one float64 array (n_samples, n_clusters).

    References
    ----------
    .. [1] J. C. Bezdek, "Pattern Recognition with Fuzzy Objective Function Algorithms", Plenum
       Press, 1981.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_deepcluster import FuzzyCMeans
    >>> X = np.array([[0.0], [1.0], [3.9], [8.0], [9.0]])
    >>> model = FuzzyCMeans(2, random_state=0).fit(X)
    >>> bool(model.labels_[0] == model.labels_[1] != model.labels_[4])
    True
    >>> bool(model.predict_proba(X)[2].min() > 0.1)
    True
    """

    _parameter_constraints = {
        "n_clusters": POSITIVE_INT,
        "m": [Interval(numbers.Real, 1, None, closed="neither")],
        "init": [StrOptions({"k-means++"}), "array-like"],
        "n_init": POSITIVE_INT,
        "max_iter": POSITIVE_INT,
        "tol": [Interval(numbers.Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        m=2.0,
        init="k-means++",
        n_init=1,
        max_iter=300,
        tol=1e-5,
        random_state=None,
    ):
        self.n_clusters = n_clusters
        self.m = m
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Cluster X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or image array
            Training data; image arrays are flattened.

        y : Ignored
            Present for API consistency.

        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts, 0 or more, in the means and in the objective; one of weight
            0 still gets a label. None is 1.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, a weight or a parameter is not valid.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` was reached, or centres coincide.
        """
        everything = read(self, X, reset=True)
        samples = weigh(everything, sample_weight)
        n = len(samples)
        if n < self.n_clusters:
            raise ValueError(f"n_samples={n} should be >= n_clusters={self.n_clusters}.")
        init = self._given_centers(samples.X.shape[1])
        standard = learn_standard(samples.X, weight=samples.weight)
        X, weight = standard.apply(samples.X), samples.weight
        init = None if init is None else _in_unit(init, standard)
        best = self._best_of_starts(X, init, weight)
        centers = best.centers.astype(np.float32)
        labels, spread = nearest_centers(X, centers)
        if samples.kept is not None:
            labels = nearest_centers(standard.apply(everything.X), centers)[0]
        vars(self).pop("feature_names_in_", None)
        vars(self).update(
            samples.fitted,
            cluster_centers_=standard.undo(centers),
            labels_=labels,
            objective_=_in_units(best.objective, standard) * samples.mean_weight,
            n_iter_=best.n_iter,
            center_=standard.center,
            scale_=standard.scale,
            _centers=centers,
        )
        if not best.converged:
            warn_user(
                f"Memberships still change by more than tol={self.tol} after "
                f"max_iter={self.max_iter} iterations.",
                ConvergenceWarning,
            )
        self._check_centers(centers, spread)
        return self

    def _given_centers(self, n_features):
        """The centres given as `init`, checked; None where they are drawn."""
        if isinstance(self.init, str):
            return None
        init = check_array(self.init, dtype=np.float64, input_name="init")
        expected = (self.n_clusters, n_features)
        if init.shape != expected:
            raise ValueError(
                f"init has shape {init.shape}; (n_clusters, n_features) is {expected}."
            )
        return init

    def _best_of_starts(self, X, init, weight):
        if init is not None:
            return alternate(X, init, self.m, self.max_iter, self.tol, weight)
        rng = check_random_state(self.random_state)
        best = None
        for _ in range(self.n_init):
            start, _ = kmeans_plusplus(X, self.n_clusters, sample_weight=weight, random_state=rng)
            run = alternate(X, start, self.m, self.max_iter, self.tol, weight)
            if best is None or run.objective < best.objective:
                best = run
        return best

    def _check_centers(self, centers, spread):
        """Warn where centres coincide: then memberships tell nothing."""
        gaps = squareform(pdist(centers.astype(np.float64)))
        np.fill_diagonal(gaps, np.inf)
        n_same = int((gaps <= _SAME_CENTER * spread).any(axis=1).sum())
        if not n_same:
            return
        if spread == 0:
            message = f"X has fewer distinct rows than n_clusters={self.n_clusters}."
        else:
            message = (
                f"{n_same} of {self.n_clusters} centres coincide: with m={self.m} memberships are "
                "nearly equal, as they often are in more than 10 dimensions. Take m nearer to 1, "
                "such as 1.1 to 1.3, or fewer clusters."
            )
        warn_user(message, ConvergenceWarning)

    def predict(self, X):
        """Assign each sample to the nearest centre, that of its largest membership.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or image array

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            On the training data it is ``labels_``.
        """
        labels = [squared.argmin(axis=1) for squared in self._distances(X)]
        return np.concatenate(labels)

    def predict_proba(self, X):
        """Memberships of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or image array

        Returns
        -------
        U : ndarray of shape (n_samples, n_clusters), float64
            Rows of sum 1.
        """
        U = [np.exp(log_memberships(squared, self.m)) for squared in self._distances(X)]
        return np.concatenate(U)

    def transform(self, X):
        """Distances to the centres.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or image array

        Returns
        -------
        distances : ndarray of shape (n_samples, n_clusters), float64
            In the units of X.
        """
        distances = [np.sqrt(squared) for squared in self._distances(X)]
        return np.concatenate(distances) * self.scale_

    def score(self, X, y=None):
        """Minus the objective of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or image array

        y : Ignored
            Present for API consistency.

        Returns
        -------
        score : float
            -J, with memberships by the fitted centres, in squared units of X.
        """
        blocks = self._distances(X)
        total = sum(objective(log_memberships(d, self.m), d, self.m) for d in blocks)
        return -_in_units(total, Standard(self.center_, self.scale_))

    def _distances(self, X):
        """Squared distances to the centres in the learned unit, block by block."""
        check_is_fitted(self, "cluster_centers_")
        X = read(self, X, reset=False).X
        standard = Standard(self.center_, self.scale_)
        return (
            cdist(standard.apply(X[part]), self._centers, "sqeuclidean")
            for part in row_blocks(X, self._centers)
        )

    @property
    def _n_features_out(self):
        return len(self._centers)


def _in_unit(init, standard):
    """Given centres in the learned unit."""
    try:
        return standard.apply(init)
    except ValueError as exc:
        raise ValueError(f"init: {exc}".replace(": X", ": it")) from exc


def _in_units(value, standard):
    """An objective in squared units of X; infinite where float64 has no such number."""
    return value * standard.scale * standard.scale
