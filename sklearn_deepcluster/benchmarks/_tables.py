"""Tables from records: what was measured beside what was published."""

import statistics

from scipy.stats import spearmanr
from sklearn.metrics import adjusted_rand_score

from sklearn_deepcluster.benchmarks._data import SOURCES
from sklearn_deepcluster.benchmarks._records import default_folder, read_records, unpacked
from sklearn_deepcluster.benchmarks.recipes import all_recipes
from sklearn_deepcluster.cluster._graph_choices import clearest_metric
from sklearn_deepcluster.metrics import best_of_runs

_HEAD = (
    "method",
    "configuration",
    "seeds",
    "ACC",
    "NMI",
    "NMI (geometric)",
    "ARI",
    "seconds",
    "published ACC / NMI",
    "difference",
)
_BRIEF = ("method", "seeds", "ACC", "NMI", "published ACC / NMI")
_HEAD_SPLIT = ("ACC held out", "NMI held out (geometric)", "drop", "drop of k-means")
_STATISTICS = ("best", "mean", "sd", "max", "expected_best")
_NOTHING_ASKED = {"device": "auto", "precision": "auto"}
_JUDGED = {
    False: "the training part, held out is the test part",
    True: "the authors' subset, held out means judged on all rows",
}
_CAPTION = {
    **{
        name: f"{name}: fitted on {_JUDGED[name.startswith('knet-')]}"
        for name, source in SOURCES.items()
        if source.load_test is not None
    },
    "news20-wordllama-6000": "news20-wordllama-6000: 6,000 posts drawn at random",
    "japanese-vowels-moments": "japanese-vowels-moments: mean and sd per channel",
    "mnist-test-thinned": "mnist-test-thinned: class sizes fall geometrically, 10 to 1",
}


def table(records_dir=None, format="markdown", *, dataset=None, brief=False):
    """Render records as tables, one per data set.

    Scores are means over the seeds, with the standard deviation (divisor: seeds - 1) where there
    are several. The seconds are those of pretraining + clustering. The difference is that of ACC
    and NMI to the first published numbers, the NMI by their normaliser.

    Parameters
    ----------
    records_dir : path-like, default=None
        Folder of the records; None is that of ``python -m sklearn_deepcluster.benchmarks``.
    format : {"markdown", "rst"}, default="markdown"
    dataset : str, default=None
        Only this data set.
    brief : bool, default=False
        Only the columns method, seeds, ACC, NMI and published, and the default configuration.

    Returns
    -------
    text : str
        Empty where there are no records.

    Raises
    ------
    ValueError
        If `format` is unknown, or a file is damaged.

    Examples
    --------
    >>> from sklearn_deepcluster.benchmarks import table
    >>> table("no_such_folder")
    ''
    """
    if format not in _RENDER:
        raise ValueError(f"format must be one of {sorted(_RENDER)}, got {format!r}.")
    groups = {}
    for record in read_records(default_folder() if records_dir is None else records_dir):
        if dataset in (None, record["dataset"]) and not (brief and record["config"] != "default"):
            groups.setdefault(record["dataset"], []).append(record)
    names = sorted(groups, key=lambda name: _position(SOURCES, name))
    parts = []
    for name in names:
        head = _HEAD + (_HEAD_SPLIT if "scores_test" in groups[name][0] else ())
        caption = _CAPTION.get(name, name)
        rows = _rows(name, groups[name])
        if brief:
            kept = [head.index(column) for column in _BRIEF]
            head, rows = _BRIEF, [[row[i] for i in kept] for row in rows]
        parts.append(_RENDER[format](caption, head, rows))
    return "\n\n".join(parts)


def restarts(records_dir=None, format="markdown", *, min_seeds=5):
    """Render how well scores that need no labels rank the runs of each method.

    "score" is ``score`` of the method on the training data, "agreement" the mean adjusted Rand
    index of a run's labels with those of the other runs, "modularity" that of its labels on the
    graph of neighbours of the data, and "loss" the negative loss.

    Parameters
    ----------
    records_dir : path-like, default=None
        Folder of the records; None is that of ``python -m sklearn_deepcluster.benchmarks``.
    format : {"markdown", "rst"}, default="markdown"
    min_seeds : int, default=5

    Returns
    -------
    text : str
        Per method and data set with enough seeds the mean and the best ACC, and for each of these
        scores its rank correlation (Spearman) with ACC over the seeds, and by how much the ACC of
        the run that it would keep is above the mean; "-" where records do not know it or all runs
        are equal. Empty where there are too few records.
    """
    groups = {}
    for record in read_records(default_folder() if records_dir is None else records_dir):
        if record["n_clusters"] == record["scores"]["n_clusters_found"]:
            key = (record["dataset"], record["title"], record["config"])
            groups.setdefault(key, []).append(record)
    rows = []
    for (dataset, title, config), runs in sorted(groups.items()):
        if len(runs) < min_seeds or runs[0]["restart_score"] is None:
            continue
        acc = [run["scores"]["acc"] for run in runs]
        cells = [f"{statistics.fmean(acc):.3f}", f"{max(acc):.3f}"]
        cells += [_ranked(find(runs), acc) for find in _RANKS.values()]
        rows.append([dataset, title, config, str(len(runs)), *cells])
    head = ("data", "method", "configuration", "seeds", "mean ACC", "best ACC", *_RANKS)
    caption = "rank correlation with ACC, and ACC of the run kept less the mean"
    return _RENDER[format](caption, head, rows) if rows else ""


def _ranked(scores, acc):
    """Rank correlation of scores with ACC, and what the best by score gains over the mean."""
    if None in scores or len(set(acc)) == 1 or len(set(scores)) == 1:
        return "-"
    kept = acc[max(range(len(acc)), key=scores.__getitem__)]
    return f"{spearmanr(scores, acc).statistic:+.2f}, {kept - statistics.fmean(acc):+.3f}"


def _agreement(runs):
    """Mean adjusted Rand index of each run with the others."""
    if any("labels" not in run for run in runs):
        return [None]
    labels = [unpacked(run["labels"]) for run in runs]
    return [
        statistics.fmean(adjusted_rand_score(a, b) for b in labels if b is not a) for a in labels
    ]


def _modularity(runs):
    """Of each run, by the metric in which all of them are clearer."""
    metrics = runs[0].get("modularity") or {}
    values = {m: [run.get("modularity", {}).get(m) for run in runs] for m in metrics}
    if not values or any(None in column for column in values.values()):
        return [None]
    means = {metric: statistics.fmean(column) for metric, column in values.items()}
    return values[clearest_metric(means, runs[0]["n_clusters"])]


def _negative_loss(runs):
    return [None if run.get("loss") is None else -run["loss"] for run in runs]


_RANKS = {
    "score": lambda runs: [run["restart_score"] for run in runs],
    "agreement": _agreement,
    "modularity": _modularity,
    "loss": _negative_loss,
}


def compare(methods, datasets, records_dir=None, format="markdown", *, score="nmi"):
    """Render one score of methods beside one another, defaults only, one row per data set.

    Parameters
    ----------
    methods : list of str
        Names of recipes, the columns.
    datasets : list of str
        Names of data sets, the rows.
    records_dir : path-like, default=None
        Folder of the records; None is that of ``python -m sklearn_deepcluster.benchmarks``.
    format : {"markdown", "rst"}, default="markdown"
    score : {"acc", "nmi", "nmi_geometric", "ari"}, default="nmi"
        Mean over the seeds, with the standard deviation and the number of seeds.

    Returns
    -------
    text : str
        "-" where there is no record.
    """
    groups = {}
    for record in read_records(default_folder() if records_dir is None else records_dir):
        if (record["config"], record["asked"]) == ("default", _NOTHING_ASKED):
            key = record["dataset"], record["method"]
            groups.setdefault(key, []).append(record["scores"][score])
    rows = []
    for dataset in datasets:
        cells = [groups.get((dataset, method), []) for method in methods]
        cells = [f"{_mean(values)} ({len(values)})" if values else "-" for values in cells]
        rows.append([dataset, *cells])
    recipes = all_recipes()
    head = ("data", *(recipes[method].title for method in methods))
    name = {"nmi_geometric": "NMI (geometric)"}.get(score, score.upper())
    return _RENDER[format](f"{name}, mean over the seeds (their number)", head, rows)


def start(methods=None, datasets=None, records_dir=None, format="markdown", *, score="nmi"):
    """Render where methods ended beside where they started, defaults only, one row per data set.

    Parameters
    ----------
    methods, datasets : list of str, default=None
        Names of recipes, the columns, and of data sets, the rows; None are those with records.
    records_dir : path-like, default=None
        Folder of the records; None is that of ``python -m sklearn_deepcluster.benchmarks``.
    format : {"markdown", "rst"}, default="markdown"
    score : {"acc", "nmi", "nmi_geometric", "ari"}, default="nmi"

    Returns
    -------
    text : str
        "start -> end (changed)", means over the seeds of the records that know their start, the
        last the share of the samples that changed their cluster; and the mean gain of each method.
    """
    groups = {}
    for record in read_records(default_folder() if records_dir is None else records_dir):
        asked = (record["config"], record["asked"]) == ("default", _NOTHING_ASKED)
        if asked and "scores_start" in record:
            ends = [record[part][score] for part in ("scores_start", "scores")]
            key = record["dataset"], record["method"]
            groups.setdefault(key, []).append((*ends, record["changed"]))
    recipes = all_recipes()
    if methods is None:
        methods = [name for name in recipes if any(name == method for _, method in groups)]
    if datasets is None:
        datasets = [name for name in SOURCES if any(name == dataset for dataset, _ in groups)]
    rows, gains = [], {method: [] for method in methods}
    for dataset in datasets:
        cells = [dataset]
        for method in methods:
            runs = groups.get((dataset, method))
            if runs is None:
                cells.append("-")
                continue
            first, last, changed = (statistics.fmean(column) for column in zip(*runs, strict=True))
            gains[method].append(last - first)
            cells.append(f"{_short(first)} → {_short(last)} ({changed:.0%})")
        rows.append(cells)
    mean = [f"{statistics.fmean(g):+.3f}" if (g := gains[method]) else "-" for method in methods]
    rows.append(["mean gain", *mean])
    head = ("data", *(recipes[method].title for method in methods))
    name = {"nmi_geometric": "NMI (geometric)"}.get(score, score.upper())
    return _RENDER[format](f"{name}, start → end (samples that changed)", head, rows)


def _short(value):
    return f"{value:.3f}".removeprefix("0")


def best(methods, datasets, records_dir=None, format="markdown", *, score="acc", config="default"):
    """Render what to expect of the run with the least loss, as the tensor kernel thesis does.

    Parameters
    ----------
    methods, datasets : list of str
        Names of recipes and of data sets; a row each, where there are records.
    records_dir : path-like, default=None
        Folder of the records; None is that of ``python -m sklearn_deepcluster.benchmarks``.
    format : {"markdown", "rst"}, default="markdown"
    score : {"acc", "nmi", "nmi_geometric", "ari"}, default="acc"
    config : str, default="default"
        The configuration, with what was varied, as in the names of the records.

    Returns
    -------
    text : str
        Score of the run with the least loss, mean, standard deviation and maximum of all runs, and
        the expected score of the best of as many runs (see ``metrics.best_of_runs``), beside the
        published "best | mean" (or mean alone); empty where there are no records.
    """
    groups = {}
    for record in read_records(default_folder() if records_dir is None else records_dir):
        if (record["config"], record["asked"]) == (config, _NOTHING_ASKED):
            groups.setdefault((record["dataset"], record["method"]), []).append(record)
    rows, recipes = [], all_recipes()
    for dataset in datasets:
        for method in methods:
            runs = groups.get((dataset, method))
            if not runs:
                continue
            losses = [run.get("loss") for run in runs]
            known = None not in losses
            scores = [run["scores"][score] for run in runs]
            # Without losses the best is not known, the others do not depend on them.
            found = best_of_runs(losses if known else [0] * len(runs), scores, n_bootstraps=0)
            cells = {key: f"{found[key]:.3f}" for key in _STATISTICS}
            if not known:
                cells |= {"best": "-", "expected_best": "-"}
            if len(runs) == 1:
                cells["sd"] = "-"
            cells = list(cells.values())
            name = "nmi" if score.startswith("nmi") else score
            published = [
                f"{getattr(result, name):.2f} ({result.source})"
                for result in recipes[method].published.get(dataset, [])
                if getattr(result, name, None) is not None
            ]
            row = [dataset, recipes[method].title, str(len(runs)), *cells]
            rows.append([*row, "; ".join(published) or "-"])
    head = ("data", "method", "seeds", "best by loss", "mean", "sd", "max", "expected best")
    name = {"nmi_geometric": "NMI (geometric)"}.get(score, score.upper())
    return _RENDER[format](name, (*head, "published"), rows) if rows else ""


def _rows(dataset, records):
    """One row of cells per method, configuration and precision, in the order of the recipes."""
    recipes = all_recipes()
    groups = {}
    for record in records:
        key = (record["method"], record["config"], record["device"], record["precision"])
        groups.setdefault(key, []).append(record)
    rows = []
    for key in sorted(groups, key=lambda key: (_position(recipes, key[0]), *key)):
        recipe = recipes.get(key[0])
        published = recipe.published.get(dataset, []) if recipe else []
        runs = sorted(groups[key], key=lambda record: record["seed"])
        rows.append(_row(runs, published))
    return rows


def _row(runs, published):
    first = runs[0]
    config = first["config"]
    if first["representation"] is not None:
        config += f", {first['device']} {first['precision']}"
    cells = [first["title"], config, _seeds(runs)]
    cells += [_mean([r["scores"][s] for r in runs]) for s in ("acc", "nmi", "nmi_geometric", "ari")]
    cells.append(_seconds(runs))
    cells += [_published(published), _difference(runs, published)]
    if "scores_test" in first:
        tests = [r["scores_test"]["acc"] for r in runs]
        drops = [r["scores_test"]["acc"] - r["scores"]["acc"] for r in runs]
        nmi = [r["scores_test"]["nmi_geometric"] for r in runs]
        cells += [
            _mean(tests),
            _mean(nmi),
            _signed(drops),
            _signed([r["kmeans_drop"] for r in runs]),
        ]
    return cells


def _mean(values):
    text = f"{statistics.fmean(values):.3f}"
    return text if len(values) == 1 else f"{text} ± {statistics.stdev(values):.3f}"


def _signed(values):
    return f"{statistics.fmean(values):+.3f}"


def _seconds(runs):
    """Mean seconds: pretraining + clustering."""
    clustering = statistics.fmean(r["seconds_clustering"] for r in runs)
    if runs[0]["representation"] is None:
        return f"{clustering:.0f}"
    return f"{statistics.fmean(r['seconds_pretraining'] for r in runs):.0f} + {clustering:.0f}"


def _seeds(runs):
    """The seeds, as "0-2" where none is missing."""
    seeds = [run["seed"] for run in runs]
    if len(seeds) > 1 and seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}-{seeds[-1]}"
    return ", ".join(map(str, seeds))


def _published(published):
    results = []
    for result in published:
        acc = "-" if result.acc is None else f"{result.acc:.3f}"
        nmi = "" if result.nmi is None else f" / {result.nmi:.3f}"
        results.append(f"{acc}{nmi} ({result.source})")
    return "; ".join(results) or "-"


def _difference(runs, published):
    if not published:
        return "-"
    target = published[0]
    scores = [r["scores_test" if target.held_out else "scores"] for r in runs]
    text = "-"
    if target.acc is not None:
        text = _signed([each["acc"] - target.acc for each in scores])
    if target.nmi is not None:
        nmi = "nmi_geometric" if target.average == "geometric" else "nmi"
        text += " / " + _signed([each[nmi] - target.nmi for each in scores])
    return text


def _position(names, name):
    """Place of `name` in an ordered collection; the unknown come last."""
    names = list(names)
    return names.index(name) if name in names else len(names)


def _markdown(caption, head, rows):
    lines = [f"**{caption}**", "", _line(head), _line("---" for _ in head)]
    return "\n".join(lines + [_line(row) for row in rows])


def _line(cells):
    return "| " + " | ".join(cells) + " |"


def _rst(caption, head, rows):
    lines = [f".. list-table:: {caption}", "   :header-rows: 1"]
    for row in (head, *rows):
        lines.append("")
        lines += [f"   {'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(row)]
    return "\n".join(lines)


_RENDER = {"markdown": _markdown, "rst": _rst}
