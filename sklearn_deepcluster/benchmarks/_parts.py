"""Settings of the graph on random parts of data sets: some classes, of equal size or not."""

import json
import statistics
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import normalized_mutual_info_score

from sklearn_deepcluster.benchmarks._data import SOURCES, load
from sklearn_deepcluster.benchmarks._records import default_folder, environment, write_record
from sklearn_deepcluster.benchmarks._tables import _RENDER
from sklearn_deepcluster.cluster import GraphAgglomerative

KINDS = ("equal", "falling", "one small")
# Classes of a part and rows of a class, at most and at least; what one class has of the one before,
# and the small one of the others.
_MOST_CLASSES, _MOST_ROWS, _LEAST_ROWS = 10, 400, 15
_RATIO, _SMALL = 0.6, 0.2


def draw_part(y, number):
    """Draw rows of a few classes; parts are of the three kinds in turn.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Classes.
    number : int
        Which part.

    Returns
    -------
    rows : ndarray of int
        Indices in ascending order.
    kind : {"equal", "falling", "one small"}
        How the sizes of the classes compare: 60 % of the one before, or a fifth of all others.
    """
    random = np.random.RandomState(number)
    classes = random.permutation(np.unique(y))
    classes = classes[: random.randint(2, min(_MOST_CLASSES, len(classes)) + 1)]
    kind = KINDS[number % len(KINDS)]
    shares = np.ones(len(classes))
    if kind == "falling":
        shares = _RATIO ** random.permutation(len(classes))
    elif kind == "one small":
        shares[0] = _SMALL
    kept = []
    for value, share in zip(classes, shares, strict=True):
        members = random.permutation(np.flatnonzero(y == value))
        kept.append(members[: max(_LEAST_ROWS, int(share * min(len(members), _MOST_ROWS)))])
    return np.sort(np.concatenate(kept)), kind


def run_parts(datasets, name, values, n_parts=30, *, out=None, report=print):
    """Cluster parts of data sets by the graph, with a parameter at several values.

    Parameters
    ----------
    datasets : list of str
        Of images or rows.
    name : str
        Parameter of ``GraphAgglomerative``.
    values : list
    n_parts : int, default=30
    out : path-like, default=None
        Folder of the records; None is that of the package's.
    report : callable, default=print
        Called with a line per data set.

    Returns
    -------
    paths : list of Path
        The records; one that exists is left as it is.

    Raises
    ------
    ValueError
        If a data set, parameter or value is unknown, there are no parts, or a record that exists is
        of other values or parts; before anything is run.
    """
    known = [key for key, source in SOURCES.items() if not source.sequences]
    for dataset in datasets:
        if dataset not in known:
            raise ValueError(f"Unknown data set {dataset!r}; there are {', '.join(known)}.")
    if n_parts < 1:
        raise ValueError(f"The number of parts must be at least 1, got {n_parts}.")
    if name == "n_clusters":
        raise ValueError("n_clusters is the number of classes of each part, and cannot be varied.")
    models = [GraphAgglomerative().set_params(**{name: value}) for value in values]
    for model in models:
        model._validate_params()
    folder = Path(default_folder() if out is None else out) / "parts"
    paths = [folder / f"{dataset}-{name}.json" for dataset in datasets]
    for path in paths:
        if path.exists() and _asked(_read(path)) != (values, n_parts):
            raise ValueError(f"{path} is of other values or parts: remove it, or take another out.")
    for dataset, path in zip(datasets, paths, strict=True):
        if path.exists():
            report(f"{path.name}: exists, skipped")
            continue
        record = _run_parts(dataset, models, n_parts) | {"parameter": name, "values": values}
        write_record(path, record)
        report(f"{path.name}: {_means(record['parts'])} by {values}")
    return paths


def _run_parts(dataset, models, n_parts):
    made_by, began, data = environment(), time.perf_counter(), load(dataset)
    X, parts = data.scaled("X", 1, "rows"), []
    for number in range(n_parts):
        rows, kind = draw_part(data.y, number)
        y = data.y[rows]
        n_clusters = len(np.unique(y))
        found = [model.set_params(n_clusters=n_clusters).fit_predict(X[rows]) for model in models]
        nmi = [float(normalized_mutual_info_score(y, labels)) for labels in found]
        parts.append({"kind": kind, "n": len(y), "n_clusters": n_clusters, "nmi": nmi})
    return {
        "kind": "parts",
        "dataset": dataset,
        "data_sha256": data.checksum,
        "parts": parts,
        "seconds": time.perf_counter() - began,
        **made_by,
    }


def _read(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _asked(record):
    return record["values"], len(record["parts"])


def parts_table(paths, format="markdown"):
    """Render records of parts of the same values: mean NMI, by data set and by kind of part."""
    records = [_read(path) for path in paths]
    values = records[0]["values"]
    rows = [(record["dataset"], record["parts"]) for record in records]
    every = [part for record in records for part in record["parts"]]
    rows += [(f"all, {kind}", [p for p in every if p["kind"] == kind]) for kind in KINDS]
    rows.append(("all", every))
    cells = [(label, str(len(parts)), *_means(parts)) for label, parts in rows if parts]
    head = ("parts of", "number", *(f"{records[0]['parameter']}={value}" for value in values))
    return _RENDER[format]("NMI of the graph on random parts", head, cells)


def _means(parts):
    columns = zip(*(part["nmi"] for part in parts), strict=True)
    return [f"{statistics.fmean(column):.3f}" for column in columns]
