"""Run recipes and write records."""

import dataclasses
import itertools

import numpy as np
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline

from sklearn_deepcluster._engine import resolve_device, uses_bfloat16
from sklearn_deepcluster.benchmarks._data import SOURCES, load
from sklearn_deepcluster.benchmarks._machine import Stopwatch
from sklearn_deepcluster.benchmarks._records import (
    default_folder,
    environment,
    packed,
    parameters,
    record_path,
    write_record,
)
from sklearn_deepcluster.benchmarks.recipes import all_recipes, class_of
from sklearn_deepcluster.cluster._graph_choices import neighbor_graphs
from sklearn_deepcluster.cluster._moves import modularity
from sklearn_deepcluster.metrics import unsupervised_accuracy

# The modularity of labels is that among so many rows at most.
_GRAPH_ROWS = 10_000


@dataclasses.dataclass
class _Pretrained:
    """A fitted representation and what its fit took."""

    representation: object
    seconds: float
    peak_mb: float
    n_used: int = 0


def run(
    methods,
    dataset,
    *,
    config="default",
    vary=None,
    n_seeds=None,
    out=None,
    device="auto",
    precision="auto",
    report=print,
):
    """Run recipes over the seeds 0, 1, ... and write one record each.

    The representation is fitted first, through its public ``fit``, and given to the clusterer as
    a :class:`~sklearn.frozen.FrozenEstimator`; both fits are timed. Methods that use equal
    representations share the one of their seed: its seconds are then in all of their records,
    and ``pretraining_shared`` says so in those that came later. A seed whose record exists is
    skipped, so that a run that was interrupted goes on where it stopped.

    Parameters
    ----------
    methods : list of str
        Names of recipes.
    dataset : str
        Name of a data set.
    config : {"default", "paper"}, default="default"
    vary : dict of str to list, default=None
        Parameters that depart from the configuration, with the values to try; all combinations
        are run. Those of the representation have its prefix, as in ``"autoencoder__noise"``.
    n_seeds : int, default=None
        Number of seeds; None takes that of the data set.
    out : path-like, default=None
        Folder of the records; None is :func:`default_folder`.
    device, precision : str, default="auto"
        Given to the estimators.
    report : callable, default=print
        Called with a line per record.

    Returns
    -------
    paths : list of Path
        All records of these methods and seeds, old and new.

    Raises
    ------
    ValueError
        If a method, the data set, the configuration or a parameter is unknown; before anything
        is run.
    """
    recipes = chosen(methods, dataset, config, vary)
    n_seeds = SOURCES[dataset].n_seeds if n_seeds is None else n_seeds
    if n_seeds < 1:
        raise ValueError(f"The number of seeds must be at least 1, got {n_seeds}.")
    resolve_device(device)
    out = default_folder() if out is None else out
    asked = {"device": device, "precision": precision}
    made_by = environment()  # now: the checkout may move on while the runs go on
    paths, data, graphs = [], None, {}
    for seed in range(n_seeds):
        pretrained = {}  # of this seed alone: the weights of all would fill the memory
        for recipe, changes in itertools.product(recipes, ParameterGrid(vary or {})):
            label = ",".join([config, *(f"{k}={changes[k]}" for k in sorted(changes))])
            path = record_path(out, dataset, recipe.method, label, seed, **asked)
            paths.append(path)
            if path.exists():
                report(f"{path.name}: exists, skipped")
                continue
            if data is None:
                data = load(dataset)
                graphs = _graphs(data, SOURCES[dataset])
            settings = recipe.config(config, dataset)
            settings = _changed(settings, changes, recipe) if changes else settings
            record, labels = _run_one(
                recipe, dataset, data, settings, label, seed, asked, pretrained
            )
            record["labels"] = packed(labels)
            record["modularity"] = {
                metric: float(modularity(edges, labels[: edges.shape[0]]))
                for metric, edges in graphs.items()
            }
            write_record(path, record | made_by)
            report(_summary(path, record))
    return paths


def chosen(methods, dataset, config, vary=None):
    """Return the recipes of these names, or say by a ValueError what is wrong with them."""
    known = all_recipes()
    if dataset not in SOURCES:
        raise ValueError(f"Unknown data set {dataset!r}; there are {', '.join(SOURCES)}.")
    for method in methods:
        if method not in known:
            raise ValueError(f"Unknown method {method!r}; there are {', '.join(known)}.")
        if dataset not in known[method].datasets:
            needed = "sequences" if known[method].form == "sequences" else "images"
            raise ValueError(f"{method} needs {needed}, which {dataset} are not.")
        known[method].config(config, dataset)
        _check_names(known[method], dataset, vary or {})
    return [known[method] for method in methods]


def _check_names(recipe, dataset, names):
    """Refuse what is a parameter of neither the clusterer nor its representation."""
    name = recipe.representation_name(dataset)
    known = set(_public(recipe.estimator).get_params(deep=False))
    if name is not None:
        known |= {_prefix(recipe) + k for k in _public(name).get_params(deep=False)}
    unknown = sorted(set(names) - known)
    if unknown:
        raise ValueError(f"{recipe.method} has no parameter {', '.join(unknown)} on {dataset}.")


def _prefix(recipe):
    return f"{recipe.slot or 'autoencoder'}__"


def _public(name):
    """An estimator of this package by its name, or of another by its dotted path."""
    try:
        return class_of(name)()
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{name} is not installed: pip install 'sklearn-deepcluster[peers]'."
        ) from error


def _changed(settings, changes, recipe):
    """Return the settings with some parameters changed."""
    prefix = _prefix(recipe)
    own = {k: v for k, v in changes.items() if not k.startswith(prefix)}
    nested = {k.removeprefix(prefix): v for k, v in changes.items() if k.startswith(prefix)}
    return dataclasses.replace(
        settings,
        clusterer=settings.clusterer | own,
        representation=settings.representation | nested,
        source=f"{settings.source}, but {', '.join(sorted(changes))}",
    )


def _run_one(recipe, dataset, data, settings, config, seed, asked, pretrained):
    """Fit one method with one seed; return its record and the labels."""
    name = recipe.representation_name(dataset)
    form = recipe.form_on(dataset)
    X = data.scaled("X", settings.factor, form)
    state = {**asked, "random_state": seed}
    fitted = None
    if name is not None:
        representation = _representation(recipe, name, settings, state, X)
        key = (repr(sorted(parameters(representation).items())), name, settings.factor)
        if key not in pretrained:
            pretrained[key] = _pretrain(representation, X)
        fitted = pretrained[key]
        fitted.n_used += 1
    n_clusters = SOURCES[dataset].n_clusters
    estimator = _estimator(recipe, settings, n_clusters, state, fitted)
    known = {} if recipe.n_labels is None else {"y": some_labels(data.y, recipe.n_labels, seed)}
    with Stopwatch() as clustering:
        estimator.fit(X, **known)
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    labels = last.labels_ if hasattr(last, "labels_") else estimator.predict(X)
    record = {
        "kind": "run",
        "method": recipe.method,
        "title": recipe.title,
        "dataset": dataset,
        "config": config,
        "seed": seed,
        "n": X.shape[0],
        "n_features": int(np.prod(data.X.shape[1:])),
        "n_clusters": n_clusters,
        "data_sha256": data.checksum,
        "factor": settings.factor,
        "config_source": settings.source,
        "scores": _scores(data.y, labels),
        "loss": getattr(last, "loss_", None),
        "restart_score": float(estimator.score(X)) if hasattr(estimator, "score") else None,
        "n_iter": getattr(last, "n_iter_", None),
        "seconds_pretraining": fitted.seconds if fitted else 0.0,
        "seconds_clustering": clustering.seconds,
        "pretraining_shared": bool(fitted and fitted.n_used > 1),
        "peak_mb": max(clustering.peak_mb, fitted.peak_mb if fitted else 0.0),
        **_computed_on(
            last if "device" in last.get_params() or fitted is None else fitted.representation
        ),
        "asked": asked,
        "estimator": type(last).__name__,
        "parameters": parameters(last),
        "representation": name,
        "representation_parameters": parameters(fitted.representation) if fitted else None,
        "n_labels": int((known["y"] >= 0).sum()) if known else None,
    }
    start = getattr(last, "initial_labels_", None)
    if start is not None and start.min() >= 0:
        record["scores_start"] = _scores(data.y, start)
        # Where clusters are matched as well as can be.
        record["changed"] = 1.0 - float(unsupervised_accuracy(start, labels))
    if data.X_test is not None:
        X_test = data.scaled("X_test", settings.factor, form)
        record["scores_test"] = _scores(data.y_test, estimator.predict(X_test))
        record["kmeans_drop"] = _kmeans_drop(data, n_clusters, seed)
    return record, labels


def _graphs(data, source):
    """Edges of neighbours in the data, metric -> matrix; none of sequences."""
    if source.sequences:
        return {}
    X = data.scaled("X", 1, "rows")[:_GRAPH_ROWS]
    return neighbor_graphs(X, source.n_clusters)[0]


def some_labels(y, n_labels, seed):
    """Keep at most `n_labels` of the labels, as many of each class; the others become -1.

    A class that is too small for its share gives all its labels.
    """
    rng = np.random.default_rng(seed)
    classes = np.unique(y)
    partial = np.full(len(y), -1)
    for label in classes:
        members = np.flatnonzero(y == label)
        size = min(n_labels // len(classes), len(members))
        rows = rng.choice(members, size, replace=False)
        partial[rows] = label
    return partial


def _representation(recipe, name, settings, state, X):
    """Return the representation, unfitted: the clusterer's default one, changed by `settings`."""
    representation = _public(name)
    if recipe.slot == "autoencoder":
        clusterer = _public(recipe.estimator)
        own = clusterer._default_network(clusterer._read(X, reset=True))
        if type(own) is type(representation):
            representation = clone(own)
    known = representation.get_params(deep=False)
    state = {name: value for name, value in state.items() if name in known}
    return representation.set_params(**settings.representation, **state)


def _pretrain(representation, X):
    with Stopwatch() as watch:
        representation.fit(X)
    return _Pretrained(representation, watch.seconds, watch.peak_mb)


def _estimator(recipe, settings, n_clusters, state, fitted):
    estimator = _public(recipe.estimator)
    known = estimator.get_params(deep=False)
    # "auto" leaves an estimator its own default.
    state = {name: value for name, value in state.items() if name in known and value != "auto"}
    count = "n_clusters" if "n_clusters" in known else "n_components"  # of mixtures
    estimator.set_params(**{count: n_clusters}, **settings.clusterer, **state)
    if fitted is None:
        return estimator
    frozen = FrozenEstimator(fitted.representation)
    if recipe.slot is None:
        return make_pipeline(frozen, estimator)
    return estimator.set_params(**{recipe.slot: frozen})


def _scores(y, labels):
    return {
        "acc": float(unsupervised_accuracy(y, labels)),
        "nmi": float(normalized_mutual_info_score(y, labels)),
        "nmi_geometric": float(normalized_mutual_info_score(y, labels, average_method="geometric")),
        "ari": float(adjusted_rand_score(y, labels)),
        "n_clusters_found": len(np.unique(labels)),
    }


def _kmeans_drop(data, n_clusters, seed):
    """Change of ACC from the fitted to the held-out rows for k-means on the raw input."""
    flat = data.scaled("X", 1, "rows")
    kmeans = KMeans(n_clusters, n_init=20, random_state=seed).fit(flat)
    test = kmeans.predict(data.scaled("X_test", 1, "rows"))
    return float(
        unsupervised_accuracy(data.y_test, test) - unsupervised_accuracy(data.y, kmeans.labels_)
    )


def _computed_on(estimator):
    """Device and precision of the training, by name."""
    params = estimator.get_params(deep=False)
    if "device" not in params:  # without a network
        return {"device": "cpu", "precision": "float32"}
    device = resolve_device(params["device"])
    low = uses_bfloat16(params["precision"], device)
    return {"device": str(device), "precision": "bfloat16" if low else "float32"}


def _summary(path, record):
    scores = record["scores"]
    seconds = record["seconds_pretraining"] + record["seconds_clustering"]
    return (
        f"{path.name}: ACC {scores['acc']:.3f}  NMI {scores['nmi']:.3f}  "
        f"ARI {scores['ari']:.3f}  {seconds:.0f} s"
    )
