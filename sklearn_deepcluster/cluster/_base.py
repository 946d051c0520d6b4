"""Fit, predict, transform and score of deep clusterers, written once.

A method implements ``_optimize(task)``, the algorithm box, and, where it has a soft assignment,
``_log_proba``; everything else is here.
"""

import copy
import functools
import numbers
import os
import warnings

import numpy as np
import torch
from sklearn.base import ClusterMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from sklearn_deepcluster._engine import (
    Rows,
    draw_seed,
    map_blocks,
    random_stream,
)
from sklearn_deepcluster.base import POSITIVE_INT, TRAINING_CONSTRAINTS, TorchEstimator
from sklearn_deepcluster.cluster._init import NAMES, check_init, cluster_means, initial_clusters
from sklearn_deepcluster.cluster._task import Run, Task
from sklearn_deepcluster.losses import squared_distances
from sklearn_deepcluster.representation import Autoencoder
from sklearn_deepcluster.representation._base import BaseAutoencoder, decode
from sklearn_deepcluster.representation._cache import fit_cached
from sklearn_deepcluster.utils._sklearn import HasMethods, _fit_context


class BaseDeepClusterer(ClusterMixin, TorchEstimator):
    """Base of the deep clusterers."""

    _parameter_constraints = {
        **TRAINING_CONSTRAINTS,
        "n_clusters": POSITIVE_INT,
        "autoencoder": [BaseAutoencoder, FrozenEstimator, None],
        "init": "no_validation",
        "n_init": POSITIVE_INT,
        "n_jobs": [numbers.Integral, None],
        "memory": [str, os.PathLike, HasMethods("cache"), None],
    }

    # The parameter that holds the representation.
    _slot = "autoencoder"
    # What may be frozen there.
    _representations = BaseAutoencoder
    # The fitted arrays that ``_assign`` works with; ``_optimize`` returns them.
    _head_attributes = ("cluster_centers_",)
    # Whether the decoder is kept (and trained) in the clustering phase.
    _keeps_decoder = False
    # The strings that `init` may be.
    _init_names = NAMES

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # ClusterMixin empties it.
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _default_representation(self):
        return Autoencoder()

    def _given(self):
        """What the user gave as representation."""
        return getattr(self, self._slot)

    def set_params(self, **params):
        """Set parameters; those of the representation work for the default one too.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter is not known, or belongs to a frozen representation.
        """
        slot = self._slot
        nested = [key for key in params if key.startswith(f"{slot}__")]
        if nested:
            given = params.get(slot, self._given())
            if isinstance(given, FrozenEstimator):
                raise ValueError(
                    f"{nested[0]} cannot be set: the {slot} is frozen. Give an unfrozen "
                    "one to search its parameters."
                )
            if given is None:
                params[slot] = given = self._default_representation()
            if not hasattr(given, "set_params"):
                raise ValueError(f"{nested[0]} cannot be set: {slot}={given!r}.")
        return super().set_params(**params)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Learn the embedding and cluster X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or image array
            Training data; (n_samples, height, width) and
            (n_samples, channels, height, width) are flattened.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a parameter is not valid; before any training.
        FloatingPointError
            If the training of every run diverges.
        """
        resume = self.warm_start and hasattr(self, "module_")
        X = self._check_X(X, reset=not resume)
        self._check_params(X, resume)
        y = self._check_y(X, y)
        stream = random_stream(self.random_state)
        seeds = [draw_seed(stream) for _ in range(self.n_init)]
        if self.n_init == 1:
            runs = [self._run(X, y, seeds[0], resume)]
        else:
            runs = Parallel(n_jobs=self.n_jobs)(
                delayed(_try_run)(self, X, y, seed, resume) for seed in seeds
            )
        best = _best_run(runs)
        for name, value in best.fitted.items():
            setattr(self, name, value)
        n_empty = self.n_clusters - len(np.unique(self.labels_))
        if n_empty:
            warnings.warn(
                f"{n_empty} of {self.n_clusters} clusters are empty.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _check_params(self, X, resume):
        """Check what depends on X or on other parameters, before any training."""
        if len(X) < self.n_clusters:
            raise ValueError(f"n_samples={len(X)} should be >= n_clusters={self.n_clusters}.")
        given = self._given()
        if isinstance(given, FrozenEstimator):
            fitted = given.estimator
            if not isinstance(fitted, self._representations):
                kind = "an autoencoder" if self._slot == "autoencoder" else "a representation"
                raise ValueError(f"{self._slot}={given!r} does not hold {kind}.")
            check_is_fitted(fitted, "module_")
            if fitted.n_features_in_ != X.shape[1]:
                raise ValueError(
                    f"{self._slot} was fitted on {fitted.n_features_in_} features; "
                    f"X has {X.shape[1]}."
                )
        else:
            self._source()._validate_params()
        if self.batch_size == 1:
            self._trainer().check_batch_norm(self._rebuild_module(), smallest=1)
        if resume and len(self.cluster_centers_) != self.n_clusters:
            raise ValueError("warm_start cannot go on with another n_clusters.")
        self._check_init(X)

    def _check_init(self, X):
        check_init(self.init, self.n_clusters, self._known_width(X), self._init_names)

    def _known_width(self, X):
        """Number of components where it is known before training, else None."""
        source = self._source()
        if isinstance(self._given(), FrozenEstimator):
            return source.n_components_
        # Of a user's module it is known once it is built.
        of_user = getattr(source, "module", None) is not None
        return None if of_user else source.n_components

    def _check_y(self, X, y):
        """Hook: what of the labels y a method uses, checked; None for all but semi-supervised."""
        return None

    def _source(self):
        """The representation, unwrapped if it is frozen, the default one if it is None."""
        given = self._given()
        if isinstance(given, FrozenEstimator):
            return given.estimator
        return self._default_representation() if given is None else given

    def _representation(self, X, seed):
        """Return a fitted representation: frozen, from the cache, or fitted now."""
        if isinstance(self._given(), FrozenEstimator):
            return self._source()
        source = clone(self._source())
        reusable = source._costly and (
            self.random_state is not None or source.random_state is not None
        )
        inherited = {"device": self.device, "precision": self.precision, "random_state": seed}
        for name, value in inherited.items():
            if getattr(source, name) in (None, "auto"):
                source.set_params(**{name: value})
        X = X.reshape(len(X), *self.sample_shape_)
        verbose = max(self.verbose, source.verbose)
        return fit_cached(source, X, self.memory if reusable else None, verbose)

    def _rebuild_module(self):
        """Build the module anew for saved weights."""
        source = clone(self._source())
        source.n_features_in_ = self.n_features_in_
        source.sample_shape_ = self.sample_shape_
        module = source._rebuild_module()
        return self._adapted(module)

    def _adapted(self, module):
        """Hook: turn the module of a representation into that of the clusterer, in place."""
        if not self._keeps_decoder:
            module.decoder = None
        return module

    def _companion(self, module, rows, seed):
        """Hook: what is learned from the intermediate outputs of the module, or None.

        Returns
        -------
        companion : CompanionLoss or None
        """
        return None

    def _run(self, X, y, seed, resume):
        """One whole run: representation, initial clustering, the method."""
        stream = random_stream(seed)
        # The seed of the representation is the first, so it depends on random_state alone.
        seeds = [draw_seed(stream) for _ in range(3)]
        trainer = self._trainer()
        source = self if resume else self._representation(X, seeds[0])
        module = self._adapted(copy.deepcopy(source.module_))
        trainer.global_rng = self._source()._draws_globally()
        rows = Rows(X, scale=source.scale_, device=trainer.device)
        task = Task(
            module=module.to(trainer.device),
            rows=rows,
            trainer=trainer,
            seed=seeds[2],
            initial_clusters=functools.partial(
                initial_clusters,
                self.cluster_centers_ if resume else self.init,
                n_clusters=self.n_clusters,
                seed=seeds[1],
            ),
            stage=f"{type(self).__name__}: clustering",
            reconstruction=self._source()._loss(),
            y=y,
            head=self._head(trainer.device) if resume else None,
            companion=self._companion(module, rows, seeds[2]),
        )
        head, epochs = self._optimize(task)
        labels, z = self._assign_rows(module, head, rows)
        centers = head.get("cluster_centers_")
        if centers is None:
            empty = np.broadcast_to(z.mean(axis=0), (self.n_clusters, z.shape[1]))
            centers = cluster_means(z, labels, empty)
        centers = centers.cpu().numpy()
        variance = float(z.var(axis=0, dtype=np.float64).sum()) or 1.0
        history = _history(epochs)
        if not resume and hasattr(source, "history_"):
            history["pretraining_loss"] = list(source.history_["loss"])
        fitted = {
            "module_": module,
            "cluster_centers_": centers,
            "labels_": labels,
            "history_": history,
            "loss_": history["loss"][-1],
            "n_iter_": len(history["loss"]),
            "scale_": source.scale_,
            "n_components_": source.n_components_,
            "embedding_variance_": variance,
        }
        fitted |= {k: v for k, v in fitted_head(head).items() if k != "cluster_centers_"}
        return Run(fitted, score=self._restart_score(fitted, z))

    def _restart_score(self, fitted, z):
        """Hook: by what the best of `n_init` runs is chosen, without labels; higher is better."""
        return -_mean_gap(z, fitted["cluster_centers_"]) / fitted["embedding_variance_"]

    def _assign(self, z, head):
        """Labels of embedded rows z (b, e): the most probable, or else the nearest, cluster."""
        if hasattr(self, "_log_proba"):
            return self._log_proba(z, head).argmax(1)
        return squared_distances(z, head["cluster_centers_"]).argmin(1)

    def _assign_rows(self, module, head, rows):
        """Labels and embedding of all rows, both ndarrays."""

        def assign(block):
            z = module.encode(block)
            return torch.cat([self._assign(z, head).to(z.dtype).unsqueeze(1), z], dim=1)

        out = map_blocks(assign, rows).numpy()
        if not np.isfinite(out).all():
            raise FloatingPointError(
                f"{type(self).__name__}: clustering diverged: the embedding is not finite. "
                f"The likely cause is a step size that is too large (lr={self.lr})."
            )
        return out[:, 0].astype(np.int64), out[:, 1:]

    def _assign_new(self, X):
        module, rows = self._fitted(X)
        return self._assign_rows(module, self._head(rows.device), rows)

    def _head(self, device):
        """What maps the embedding to clusters, name of the fitted attribute -> Tensor."""
        return {
            name: torch.from_numpy(np.array(getattr(self, name))).to(device)
            for name in self._head_attributes
        }

    def predict(self, X):
        """Assign each sample to a cluster.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or image array

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            On the training data it equals ``labels_``.
        """
        return self._assign_new(X)[0]

    @available_if(lambda self: hasattr(self, "_log_proba"))
    def predict_proba(self, X):
        """Soft assignment of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or image array

        Returns
        -------
        proba : ndarray of shape (n_samples, n_clusters), float32
            Rows sum to 1.
        """
        module, rows = self._fitted(X)
        head = self._head(rows.device)
        return map_blocks(
            lambda block: self._log_proba(module.encode(block), head).exp(), rows
        ).numpy()

    @available_if(lambda self: self._keeps_decoder)
    def inverse_transform(self, Z):
        """Decode embeddings; of ``cluster_centers_`` it gives a prototype of each cluster.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float32
            In the units of the training data; image arrays come back as images.
        """
        check_is_fitted(self, "module_")
        return decode(self, Z)

    def score(self, X, y=None):
        r"""Negative mean squared distance to the nearest centre, over the training variance.

        :math:`-\frac{1}{n} \sum_i \min_j \lVert z_i - \mu_j \rVert^2 / v` with v the total
        variance of the training embedding (``embedding_variance_``). On the training data it is
        the within-cluster share of the scatter, negated, by which ``n_init`` runs are compared.
        It is higher for tighter embeddings whatever the clusters mean: it cannot choose
        parameters such as gamma or ``n_components``; give searches a ``scoring``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or image array

        y : Ignored

        Returns
        -------
        score : float
        """
        z = self._assign_new(X)[1]
        return -_mean_gap(z, self.cluster_centers_) / self.embedding_variance_


def _mean_gap(z, centers):
    """Mean squared distance of the rows of z to the nearest centre."""
    return float(pairwise_distances_argmin_min(z, centers, metric="sqeuclidean")[1].mean())


def fitted_head(head):
    """Fitted attributes of a head: tensors as arrays."""
    return {k: v.cpu().numpy() if torch.is_tensor(v) else v for k, v in head.items()}


def _history(epochs):
    """Turn the net's rows into lists per term; the loss comes first."""
    names = dict.fromkeys(
        name for row in epochs for name in row if name not in ("batches", "epoch", "train_loss")
    )
    history = {"loss": [row["train_loss"] for row in epochs if "train_loss" in row]}
    return history | {name: [row[name] for row in epochs if name in row] for name in names}


def _try_run(estimator, X, y, seed, resume):
    """One of several runs: a diverged one is returned as its error, to be left out."""
    try:
        return estimator._run(X, y, seed, resume)
    except FloatingPointError as error:
        return error


def _best_run(runs):
    finished = [run for run in runs if isinstance(run, Run)]
    if not finished:
        raise runs[-1]
    return max(finished, key=lambda run: run.rank)
