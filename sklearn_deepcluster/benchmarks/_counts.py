"""How many clusters the graph finds by itself in data sets whose classes are known."""

import json
import time
from pathlib import Path

import numpy as np
from scipy.sparse import diags_array
from scipy.sparse.linalg import eigsh
from sklearn.metrics import normalized_mutual_info_score

from sklearn_deepcluster.benchmarks._data import SOURCES, load
from sklearn_deepcluster.benchmarks._records import default_folder, environment, write_record
from sklearn_deepcluster.benchmarks._tables import _RENDER
from sklearn_deepcluster.cluster import GraphAgglomerative
from sklearn_deepcluster.cluster._moves import neighbor_edges

# The first gap of this many eigenvalues that is larger than all others is looked for.
_EIGENVALUES = 100


def run_counts(datasets, max_rows=10_000, *, out=None, report=print):
    """Count the clusters of data sets by modularity, and by the gaps of eigenvalues beside.

    Parameters
    ----------
    datasets : list of str
        Of images, rows or sequences, which are padded with zeros.
    max_rows : int, default=10_000
        Of larger data sets so many, drawn at random.
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
        If a data set is unknown, or there are no rows; before anything is run.
    """
    known = [name for name, source in SOURCES.items() if not source.sparse]
    for dataset in datasets:
        if dataset not in known:
            raise ValueError(f"Unknown data set {dataset!r}; there are {', '.join(known)}.")
    if max_rows < 2:
        raise ValueError(f"The number of rows must be at least 2, got {max_rows}.")
    folder = Path(default_folder() if out is None else out) / "n_clusters"
    paths = [folder / f"{dataset}.json" for dataset in datasets]
    for dataset, path in zip(datasets, paths, strict=True):
        if path.exists():
            report(f"{path.name}: exists, skipped")
            continue
        record = _run_counts(dataset, max_rows)
        write_record(path, record)
        report(f"{path.name}: {record['found']} of {record['n_clusters']}")
    return paths


def _run_counts(dataset, max_rows):
    made_by, data = environment(), load(dataset)
    rows = np.random.default_rng(0).permutation(len(data.y))[:max_rows]
    X, y = data.scaled("X", 1, "rows")[rows], data.y[rows]
    n_clusters, times = len(np.unique(y)), []
    models = []
    for count in ("auto", n_clusters):
        began = time.perf_counter()
        models.append(GraphAgglomerative(count).fit(X))
        times.append(time.perf_counter() - began)
    auto = models[0]
    return {
        "kind": "n_clusters",
        "dataset": dataset,
        "data_sha256": data.checksum,
        "n": len(y),
        "n_clusters": n_clusters,
        "found": {"modularity": auto.n_clusters_, "eigengap": _by_eigengap(auto)},
        "nmi": [float(normalized_mutual_info_score(y, model.labels_)) for model in models],
        "seconds": times,
        **made_by,
    }


def _by_eigengap(graph):
    """After how many eigenvalues of its graph, two or more, the next one is the farthest away."""
    edges = neighbor_edges(graph._X, graph.n_neighbors_)
    scaling = diags_array(edges.sum(axis=1) ** -0.5)
    count = min(_EIGENVALUES, edges.shape[0] - 1)
    start = np.random.RandomState(0).uniform(-1, 1, edges.shape[0])
    values = eigsh(scaling @ edges @ scaling, count, v0=start, return_eigenvectors=False)
    gaps = -np.diff(np.sort(values)[::-1])
    return int(gaps[1:].argmax()) + 2


def counts_table(paths, format="markdown"):
    """Render records of counted clusters."""
    records = [json.loads(Path(path).read_text(encoding="utf-8")) for path in paths]
    cells = [
        (
            record["dataset"],
            str(record["n"]),
            str(record["n_clusters"]),
            str(record["found"]["modularity"]),
            str(record["found"]["eigengap"]),
            *(f"{value:.3f}" for value in record["nmi"]),
        )
        for record in records
    ]
    near = [
        sum(abs(record["found"][way] - record["n_clusters"]) <= 1 for record in records)
        for way in ("modularity", "eigengap")
    ]
    cells.append(("within one", "", f"of {len(records)}", *map(str, near), "", ""))
    head = ("data", "samples", "classes", "modularity", "eigengap", "NMI", "NMI, number given")
    return _RENDER[format]("Number of clusters that the graph finds", head, cells)
