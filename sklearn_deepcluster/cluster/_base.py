"""Fit, predict, transform and score of deep clusterers, written once.

What the author of a method has to know; all else is private to the base:

``_network``
    Name of the parameter that holds the network: "autoencoder", or "encoder" where a method does
    without a decoder and so takes untrained networks, too.
``_default_network(form)``
    The network where that parameter is None.
``_keeps_decoder``
    Whether the decoder is trained along and serves ``inverse_transform``.
``_check(given)``
    Checks of this method, before any training; returns what it uses of y. See ``Given``.
``_adapt(module, settings, rng)``
    Turns the module of the network into that of the method; also when a saved model is loaded.
``_optimize(task)``
    The algorithm: trains, and returns an ``Outcome``. See ``Task``.
``_log_proba(z, head)``
    Log-probabilities of the clusters, where there are any; or else the nearest centre has a row.
``_score_runs(runs)``
    By what the best of ``n_init`` runs is chosen, of which all are there to be compared.

Beside these ``_takes_sparse = False`` refuses sparse X, for a method that needs all rows at once,
and ``_n_stages`` is how many tasks ``_optimize`` has at most, of which scikit-learn's callbacks are
told: the start and one training, unless it says otherwise.
"""

import copy
import dataclasses
import functools
import math
import numbers
import os

import numpy as np
import torch
from sklearn.base import ClusterMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklearn_deepcluster._engine import (
    Tasks,
    checkpointed,
    draw_seed,
    generator,
    map_blocks,
    ordinary_tensors,
    random_stream,
    told_data,
)
from sklearn_deepcluster._input import read, weigh
from sklearn_deepcluster.base import POSITIVE_INT, TRAINING_CONSTRAINTS, TorchEstimator
from sklearn_deepcluster.cluster._drift import told_by_neighbors
from sklearn_deepcluster.cluster._graph_choices import clearest_metric
from sklearn_deepcluster.cluster._network import (
    First,
    network_of,
    reads_sequences,
    takes_sparse,
)
from sklearn_deepcluster.cluster._start import NAMES, RAW_BYTES, Start, cluster_means, variances
from sklearn_deepcluster.cluster._task import Given, Run, Task
from sklearn_deepcluster.losses import squared_distances
from sklearn_deepcluster.representation import Autoencoder
from sklearn_deepcluster.representation._base import BaseAutoencoder, BaseRepresentation, decode
from sklearn_deepcluster.representation._encoders import BaseEncoder
from sklearn_deepcluster.representation._fingerprint import fit_told
from sklearn_deepcluster.utils._sklearn import HasMethods, Interval, StrOptions, _fit_context
from sklearn_deepcluster.utils._warnings import warn_user


class BaseDeepClusterer(ClusterMixin, TorchEstimator):
    """Base of the deep clusterers.

    Parameters
    ----------
    n_clusters : int
        Number of clusters.

    autoencoder : Autoencoder, ConvAutoencoder or FrozenEstimator
        The representation to start from; None is ``Autoencoder()``. It is cloned and trained;
        a fitted one in ``sklearn.frozen.FrozenEstimator`` is used as it is, and not changed. Its
        ``random_state=None``, ``device="auto"`` and ``precision="auto"`` take the values given
        here.

    encoder : MLPEncoder, ConvEncoder, GRUEncoder, representation, nn.Module or callable
        The network. A representation such as ``ContextPredictor()`` or ``ConvAutoencoder()`` is
        cloned and trained first; a fitted one in ``sklearn.frozen.FrozenEstimator`` is used as it
        is, and not changed. A module of the user is copied, and a callable is called with the
        number of features; their forward gives the embedding, or a tuple of it and of
        intermediate outputs.

    init : {"k-means", "ac-gdl", "ac-pic", "ac-mod", "auto"}, array-like or clusterer
        Initial clustering of the embedding: k-means with 20 starts, of which those within a
        hundredth of the least inertia are told apart by the modularity of their clusters on a graph
        of nearest neighbours; ``GraphAgglomerative`` by degree linkage, path integral or modularity
        ("auto": by modularity, of the embedding or, if that is clearer, of X itself where it has at
        most 32 MB as float32), centres of shape (n_clusters, n_components), or a clusterer, which
        is cloned and given `n_clusters`, and a seed if it has none.

    max_epochs : int
        Passes over the data in the clustering phase, at most.

    min_steps : int
        Small data take more passes, up to this many optimisation steps (see ``Autoencoder``).

    drift_tol : float or None
        At the end go back to where the modularity of the labels on the graph of nearest neighbours
        of X (of 2,000 samples at most, see ``GraphAgglomerative``) was largest, if it has fallen by
        more than this fraction since, or their normalised cut has risen by more than 15 times this
        fraction and this fraction of one cluster: the method was then destroying what it was given.
        The start counts until an epoch is within that of it, and of a start by the modularity of a
        graph twice as much may be lost. After five such epochs in a row it is the end.
        ``history_["modularity"]`` is the curve. None leaves the method to itself, as published.

    lr : float
        Learning rate of the clustering phase.

    n_init : int
        Number of whole runs, pretraining included, with different seeds; kept is the one whose
        clusters are most modular on the graph of nearest neighbours of X (of 2,000 samples at
        most, see `drift_tol`). A run with an empty cluster loses to any without.

    n_jobs : int
        Number of runs at a time, through joblib.

    memory : str, path or joblib.Memory
        Where to cache the fitted representation, so that fits which differ in clustering
        parameters alone train it once. Needs an integer `random_state`.

    warm_start : bool
        Go on from the network and centres of the previous fit.

    callbacks : list of skorch callbacks
        Copied and given to the inner skorch net of the clustering phase, in which no rows are held
        out: ``monitor="train_loss"``.

    random_state : int, RandomState instance or None
        Seed of everything. The global generators are not used.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each training sample, those of weight 0 included; equals ``predict`` of the
        training data.

    initial_labels_ : ndarray of shape (n_samples,)
        The clusters that the method started from; -1 for samples in which none were looked for, as
        without a start, with `warm_start` and for those of weight 0.

    cluster_centers_ : ndarray of shape (n_clusters, n_components)
        Centres in the embedding.

    module_ : torch.nn.Module
        The encoder, with ``encode``; it works on (X - ``center_``) / ``scale_``.

    inertia_ : float
        Sum of squared distances of the samples of ``labels_`` to the nearest centre, in the
        embedding, times their weights over the mean of these. Its unit is that of the embedding,
        which every fit learns anew: compare models by ``score``, which has none.

    embedding_variance_ : float
        Total variance of the training embedding.
    """

    _parameter_constraints = {
        **TRAINING_CONSTRAINTS,
        "n_clusters": POSITIVE_INT,
        "autoencoder": [BaseAutoencoder, FrozenEstimator, None],
        "encoder": [BaseEncoder, BaseRepresentation, FrozenEstimator, nn.Module, callable, None],
        "init": [StrOptions(set(NAMES)), "array-like", HasMethods("fit_predict")],
        "max_epochs": POSITIVE_INT,
        "min_steps": [Interval(numbers.Integral, 0, None, closed="left")],
        "tol": [Interval(numbers.Real, 0, None, closed="left")],
        "drift_tol": [Interval(numbers.Real, 0, None, closed="left"), None],
        "n_init": POSITIVE_INT,
        "n_jobs": [numbers.Integral, None],
        "memory": [str, os.PathLike, HasMethods("cache"), None],
    }

    _network = "autoencoder"
    _keeps_decoder = False
    _n_stages = 2

    def _default_network(self, form):
        """The network for None.

        Parameters
        ----------
        form : Form or None
            What is known of the samples: in ``fit`` all of them (``Samples``), of a fitted method
            their form alone, and before that nothing.
        """
        return Autoencoder()

    def _check(self, given):
        """Check what depends on X or on other parameters; return what the method uses of y.

        Parameters
        ----------
        given : Given
        """

    def _adapt(self, module, settings, rng):
        """Turn the module of the network into that of the method.

        Parameters
        ----------
        module : AutoencoderModule
            To be changed in place, or wrapped.
        settings : dict
            Parameters by name, those that a saved model was fitted with; and "n_components".
        rng : torch.Generator
            For new weights.

        Returns
        -------
        module : AutoencoderModule
        """
        if not self._keeps_decoder:
            module.decoder = None
        return module

    def _score_runs(self, runs):
        """Score of each :class:`Run`, without labels; higher is better.

        Of runs whose clusters are equally modular, mostly the same, that of the tighter ones.
        """
        if any(run.modularity is None for run in runs):
            return [-run.scatter for run in runs]
        means = {m: np.mean([run.modularity[m] for run in runs]) for m in runs[0].modularity}
        metric = clearest_metric(means, self.n_clusters, runs[0].around_mean)
        return [(round(run.modularity[metric], 9), -run.scatter) for run in runs]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # ClusterMixin empties it.
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.sparse = self._takes_sparse and takes_sparse(self)
        return tags

    def set_params(self, **params):
        """Set parameters; those of the network work for the default one too.

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
        name = self._network
        nested = [key for key in params if key.startswith(f"{name}__")]
        if nested:
            given = params.get(name, getattr(self, name))
            if isinstance(given, FrozenEstimator):
                raise ValueError(
                    f"{nested[0]} cannot be set: the {name} is frozen. Give an unfrozen "
                    "one to search its parameters."
                )
            if given is None:
                params[name] = given = self._default_network(None)
            if not hasattr(given, "set_params"):
                raise ValueError(f"{nested[0]} cannot be set: {name}={given!r}.")
        return super().set_params(**params)

    def fit(self, X, y=None):
        """Learn the embedding and cluster X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array
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
        TypeError
            If X is sparse and the network is not fully connected; KNet takes no sparse X at all.
        FloatingPointError
            If the training of every run diverges.
        """
        return self._fit(X, y)

    @_fit_context(prefer_skip_nested_validation=False)
    @ordinary_tensors
    def _fit(self, X, y=None, sample_weight=None):
        resumed = self.warm_start and hasattr(self, "module_")
        samples = weigh(self._read(X, reset=not resumed), sample_weight)
        stream = random_stream(self.random_state)
        seeds = [draw_seed(stream) for _ in range(self.n_init)]
        network = network_of(self, samples)
        given = Given(samples, y, network, resumed)
        self._check_all(given, _run_seeds(seeds[0])[0])
        given = dataclasses.replace(given, y=self._check(given))
        fitted = self.module_ if resumed else None
        told = functools.partial(fit_told, self, samples, given.y, fitted)
        with checkpointed(getattr(self, "checkpoint", None), told) as trainings:
            fitted = self._fit_runs(X, y, sample_weight, given, seeds, trainings)
        self._become(fitted)
        n_empty = self.n_clusters - len(np.unique(self.labels_))
        if n_empty:
            warn_user(f"{n_empty} of {self.n_clusters} clusters are empty.", ConvergenceWarning)
        return self

    def _fit_runs(self, X, y, sample_weight, given, seeds, trainings):
        """The fitted state of the best of the runs."""
        n_stages = self._n_stages + (given.network.trained and not given.resumed)
        one = self.n_init == 1
        tasks = Tasks.of(
            self,
            told_data(X, y, sample_weight),
            max_subtasks=n_stages if one else self.n_init,
            parallel=not one,
        )
        with tasks.told():
            if one:
                runs = [self._run(given, seeds[0], tasks, trainings)]
            else:
                of_runs = tasks.split("run", self.n_init, n_stages)
                parts = [trainings and trainings.part(f"run-{i}") for i in range(self.n_init)]
                runs = Parallel(n_jobs=self.n_jobs)(
                    delayed(_try_run)(self, given, *of_run)
                    for of_run in zip(seeds, parts, of_runs, strict=True)
                )
            fitted = self._best_run(runs).fitted
            if given.samples.kept is not None:
                fitted |= self._labels_of_all(X, fitted, given.samples.kept)
            tasks.fitted = fitted
        return fitted

    def _labels_of_all(self, X, fitted, kept):
        """Labels of all samples, where the fit has seen those that were `kept` alone."""
        model = copy.copy(self)
        model._become(fitted)
        labels = model.predict(X)
        initial = np.full(len(labels), -1)
        initial[kept] = fitted["initial_labels_"]
        return {"labels_": labels, "initial_labels_": initial}

    def _read(self, X, *, reset):
        sequential, shape = reads_sequences(self)
        return read(self, X, reset=reset, sequential=sequential, sample_shape=shape)

    def _check_all(self, given, seed):
        """The checks of all methods; `seed` is that of the first run's network."""
        n_samples = len(given.samples)
        if n_samples < self.n_clusters:
            raise ValueError(f"n_samples={n_samples} should be >= n_clusters={self.n_clusters}.")
        given.network.check(given.samples, None if given.resumed else seed)
        if given.resumed and len(self.cluster_centers_) != self.n_clusters:
            raise ValueError("warm_start cannot go on with another n_clusters.")
        trainer = self._trainer()
        if self.batch_size == 1:
            trainer.check_batch_norm(self._module_for(given), smallest=1)
        if hasattr(self, "init"):
            Start(self.init, self.n_clusters).check(given.network.width)

    def _module_for(self, given):
        """A module like the one that will be trained, to look at."""
        if given.resumed:
            return self.module_
        module, n_components = given.network.build(given.samples)
        settings = self.get_params(deep=False) | {"n_components": n_components}
        return self._adapt(copy.deepcopy(module), settings, generator(0))

    def _rebuild_module(self):
        """Build the module anew for saved weights."""
        params = self.get_params(deep=False)
        settings = {name: getattr(self, f"{name}_", value) for name, value in params.items()}
        form = self._form()
        module, settings["n_components"] = network_of(self, form).build(form)
        return self._adapt(module, settings, generator(0))

    def _run(self, given, seed, tasks, trainings=None):
        """One whole run: network, initial clustering, the method."""
        samples, network = given.samples, given.network
        # The seed of the representation is the first, so it depends on random_state alone.
        network_seed, start_seed, seed = _run_seeds(seed)
        trainer = self._trainer(global_rng=network.draws_globally, tasks=tasks, trainings=trainings)
        if given.resumed:
            module = copy.deepcopy(self.module_)
            if not self._keeps_decoder:
                module.decoder = None
            kept = network.reconstruction
            first = First(module, self._standard(), self.n_components_, reconstruction=kept)
        else:
            folder = None if trainings is None else os.path.join(trainings.folder, "pretraining")
            first = network.first(samples, network_seed, self, tasks, folder)
            settings = self.get_params(deep=False) | {"n_components": first.n_components}
            first.module = self._adapt(first.module, settings, generator(network_seed))
        rows = samples.rows(first.standard, trainer.device)
        task = Task(
            module=first.module.to(trainer.device),
            n_components=first.n_components,
            rows=rows,
            trainer=trainer,
            seed=seed,
            start=Start(
                getattr(self, "init", "k-means"),
                self.n_clusters,
                start_seed,
                table=len(samples.sample_shape) == 1,
                weight=samples.weight,
                tasks=tasks,
            ),
            stage=f"{type(self).__name__}: clustering",
            reconstruction=first.reconstruction,
            y=given.y,
            drift_tol=getattr(self, "drift_tol", None),
            head=self._head(trainer.device) if given.resumed else None,
            sample_shape=samples.sample_shape,
        )
        if 4 * math.prod(given.samples.X.shape) <= RAW_BYTES:
            task.start.raw_rows = task.raw_rows
        outcome = self._optimize(task)
        return self._finished(given, first, task, outcome)

    def _finished(self, given, first, task, outcome):
        """The fitted state that a run has led to, and how good it is."""
        labels, z = self._assign_rows(task.module, outcome.head, task.rows, quick=False)
        head, weight = fitted_head(outcome.head), given.samples.weight
        if "cluster_centers_" not in head:
            empty = np.broadcast_to(z.mean(axis=0), (self.n_clusters, z.shape[1]))
            head["cluster_centers_"] = cluster_means(z, labels, empty, weight).numpy()
        centers = head["cluster_centers_"]
        variance = _total_variance(z, weight) or 1.0
        history = _history(outcome.history)
        kept = outcome.history[-1].get("kept_epoch", len(history["loss"]))
        if first.losses is not None:
            history["pretraining_loss"] = list(first.losses)
        seen = given.samples.fitted
        if given.resumed:
            seen = {name: value for name, value in vars(self).items() if name in _OF_SAMPLES}
        fitted = {
            **seen,
            "module_": task.module,
            "labels_": labels,
            "history_": history,
            "loss_": history["loss"][max(kept, 1) - 1],
            "n_iter_": len(history["loss"]),
            "kept_epoch_": kept,
            "center_": first.standard.center,
            "scale_": first.standard.scale,
            "n_components_": first.n_components,
            "inertia_": inertia(z, centers, weight),
            "embedding_variance_": variance,
            "initial_labels_": _initial_labels(task),
            **head,
            **outcome.attributes,
        }
        told = (None, False) if self.n_init == 1 else told_by_neighbors(task, labels)
        return Run(fitted, _mean_gap(z, centers, weight) / variance, *told)

    def _best_run(self, runs):
        """The best of the runs that did not diverge: none with fewer clusters than another."""
        finished = [run for run in runs if isinstance(run, Run)]
        if not finished:
            raise runs[-1]
        ranks = zip([run.n_found for run in finished], self._score_runs(finished), strict=True)
        return max(zip(ranks, finished, strict=True), key=lambda ranked: ranked[0])[1]

    def _assign(self, z, head):
        """Labels of embedded rows z (b, e): the most probable, or else the nearest, cluster."""
        if hasattr(self, "_log_proba"):
            return self._log_proba(z, head).argmax(1)
        return squared_distances(z, head["cluster_centers_"]).argmin(1)

    def _assign_rows(self, module, head, rows, quick=True):
        """Labels and embedding of all rows, both ndarrays."""

        def assign(block):
            z = module.encode(block)
            return torch.cat([self._assign(z, head).to(z.dtype).unsqueeze(1), z], dim=1)

        out = map_blocks(assign, rows, module=module, asked="labels", quick=quick).numpy()
        if not np.isfinite(out).all():
            raise FloatingPointError(
                f"{type(self).__name__}: clustering diverged: the embedding is not finite. "
                f"The likely cause is a step size that is too large (lr={self.lr})."
            )
        return out[:, 0].astype(np.int64), out[:, 1:]

    def _assign_new(self, X):
        module, rows = self._fitted(X)
        try:
            return self._assign_rows(module, self._head(rows.device), rows)
        except FloatingPointError as exc:  # the weights are finite: it is X
            raise ValueError(_TOO_FAR) from exc

    def _head(self, device):
        """What maps the embedding to clusters, name of the fitted attribute -> Tensor."""
        return FittedHead(self, device)

    def predict(self, X):
        """Assign each sample to a cluster.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array

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
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array

        Returns
        -------
        proba : ndarray of shape (n_samples, n_clusters), float32
            Rows sum to 1.
        """
        module, rows = self._fitted(X)
        head = self._head(rows.device)

        def proba(block):
            return self._log_proba(module.encode(block), head).exp()

        def embedding_too(block):  # a steep soft-max would hide how it is rounded
            z = module.encode(block)
            return torch.cat([z, self._log_proba(z, head)], dim=1)

        out = map_blocks(proba, rows, module=module, asked="proba", compare=embedding_too)
        return self._finite(out).numpy()

    def _finite(self, out):
        """What was computed of new rows, or an error where they are too far."""
        if not torch.isfinite(out).all():  # the weights are finite: it is X
            raise ValueError(_TOO_FAR)
        return out

    @available_if(lambda self: self._has_decoder())
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

    def _has_decoder(self):
        """Whether there is a decoder: as fitted, and before that as the parameters say."""
        if hasattr(self, "module_"):
            return self.module_.decoder is not None
        return self._keeps_decoder

    def score(self, X, y=None):
        r"""Negative mean squared distance to the nearest centre, over the training variance.

        :math:`-\frac{1}{n} \sum_i \min_j \lVert z_i - \mu_j \rVert^2 / v` with v the total
        variance of the training embedding (``embedding_variance_``). On the training data it is
        the within-cluster share of the scatter, negated. It is higher for tighter embeddings
        whatever the clusters mean: it cannot choose parameters such as gamma or
        ``n_components``; give searches a ``scoring``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array

        y : Ignored

        Returns
        -------
        score : float
        """
        z = self._assign_new(X)[1]
        return -_mean_gap(z, self.cluster_centers_) / self.embedding_variance_


_TOO_FAR = (
    "The embedding of X is not finite: X holds NaN, infinity or values far beyond those of the fit."
)


class FittedHead(dict):
    """The head of a fitted estimator: its attributes as tensors, made when asked for."""

    def __init__(self, estimator, device):
        super().__init__()
        self.estimator, self.device = estimator, device

    def __missing__(self, name):
        value = torch.from_numpy(np.array(getattr(self.estimator, name)))
        if value.dtype == torch.float64:  # a number; not every device has it
            value = value.float()
        self[name] = value.to(self.device)
        return self[name]


# Fitted attributes that tell of the samples alone: they stay when a fit goes on.
_OF_SAMPLES = ("n_features_in_", "n_samples_fit_", "sample_shape_", "feature_names_in_")


def _initial_labels(task):
    if task.start.labels is None:
        return np.full(len(task.rows), -1)
    return task.start.labels.cpu().numpy()


def _gaps(z, centers):
    """Squared distance of each row of z to the nearest centre, ndarray (n,)."""
    return pairwise_distances_argmin_min(z, centers, metric="sqeuclidean")[1]


def _mean_gap(z, centers, weight=None):
    return float(np.average(_gaps(z, centers), weights=weight))


def inertia(z, centers, weight=None):
    """Sum of squared distances of the rows of z to the nearest centre; `weight` has mean 1."""
    gaps = _gaps(z, centers).astype(np.float64)
    return float(gaps.sum() if weight is None else gaps @ weight)


def _total_variance(z, weight):
    if weight is None:
        return float(z.var(axis=0, dtype=np.float64).sum())
    z, weight = torch.from_numpy(z).double(), torch.from_numpy(weight)
    return float(variances(z, weight).sum())


def fitted_head(head):
    """Fitted attributes of a head: tensors as arrays."""
    return {k: v.cpu().numpy() if torch.is_tensor(v) else v for k, v in head.items()}


# Of a row of the net's history, of which callbacks are told more; the loss comes first.
_NO_TERMS = ("batches", "epoch", "train_loss", "kept_epoch", "train_batch_count", "dur")


def _history(epochs):
    """Turn the net's rows into lists per term; the loss comes first."""
    names = dict.fromkeys(name for row in epochs for name in row)
    names = [name for name in names if name not in _NO_TERMS and not name.endswith("_best")]
    history = {"loss": [row["train_loss"] for row in epochs if "train_loss" in row]}
    return history | {name: [row[name] for row in epochs if name in row] for name in names}


def _run_seeds(seed):
    """Seeds of the network, the initial clustering and the clustering phase of a run."""
    stream = random_stream(seed)
    return [draw_seed(stream) for _ in range(3)]


def _try_run(estimator, given, seed, trainings, tasks):
    """One of several runs: a diverged one is returned as its error, to be left out."""
    try:
        with tasks.told():
            run = estimator._run(given, seed, tasks, trainings)
            tasks.fitted = run.fitted
        return run
    except FloatingPointError as error:
        return error
