"""A page about the clusters that a fitted clusterer finds in data."""

import base64
import html
import io
from pathlib import Path

import numpy as np
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing

from sklearn_deepcluster.base import TorchEstimator
from sklearn_deepcluster.inspection._cluster_samples import ClusterSamplesDisplay
from sklearn_deepcluster.inspection._common import some_rows
from sklearn_deepcluster.inspection._describe import (
    Found,
    features_of,
    imported_pandas,
    tabulated,
)
from sklearn_deepcluster.inspection._embedding import EmbeddingDisplay
from sklearn_deepcluster.inspection._images import flat_rows, image_shape
from sklearn_deepcluster.inspection._loss_curves import LossCurvesDisplay
from sklearn_deepcluster.inspection._matrices import ClusterConfusionDisplay
from sklearn_deepcluster.inspection._neighbor_graph import NeighborGraphDisplay
from sklearn_deepcluster.inspection._prototypes import PrototypesDisplay
from sklearn_deepcluster.inspection._silhouette import SilhouetteDisplay
from sklearn_deepcluster.inspection._sizes import ClusterSizesDisplay

# Pictures show so many of the largest clusters: more have no room. The table has all.
MOST_CLUSTERS = 40
_DPI = 100

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 0 auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
.pictures { display: grid; gap: 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
section.wide { grid-column: 1 / -1; } section { min-width: 0; }
figure { margin: 0; overflow-x: auto; } figcaption { font-size: .9rem; }
figure img { max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line); }
.wide img { min-width: 45rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); }
:focus-visible { outline: 3px solid #0072B2; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; padding: .5rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
td.names { min-width: 9rem; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
thead th { background: var(--soft); }
.warning { border-left: 4px solid #D55E00; padding-left: .8rem; }
"""


def cluster_report(
    estimator,
    X,
    *,
    y=None,
    feature_names=None,
    title=None,
    out=None,
    max_samples=2000,
    random_state=0,
):
    """Make a page of HTML about the clusters that a fitted clusterer finds in X.

    It has what was fitted, a table of the clusters (:func:`describe_clusters`) and pictures: sizes,
    embedding, graph of neighbours, silhouettes, the course of the training, of images prototypes
    and samples, and with `y` the clusters against the classes. All is within the page, which
    needs no network.

    Parameters
    ----------
    estimator : clusterer or Pipeline
        Fitted, with ``predict``.

    X : {array-like, sparse matrix} of shape (n_samples, n_features), images, sequences or texts
        Texts where the first step of a pipeline makes features of them.

    y : array-like of shape (n_samples,), default=None
        Classes, to compare with.

    feature_names : array-like of shape (n_features,), default=None
        See :func:`describe_clusters`.

    title : str, default=None
        Of the page; None names the clusterer.

    out : path-like, default=None
        File to write the page to; None writes none.

    max_samples : int, default=2000
        Samples in the pictures, at most, chosen at random. The numbers are those of all.

    random_state : int, RandomState instance or None, default=0
        For that choice.

    Returns
    -------
    page : str

    Raises
    ------
    ValueError
        If `feature_names`, `y` or `max_samples` do not fit.
    ImportError
        If matplotlib or pandas is not installed.

    See Also
    --------
    describe_clusters : The table alone.

    Notes
    -----
    Pictures show the 40 largest clusters, the table all.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_deepcluster.inspection import cluster_report
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> page = cluster_report(KMeans(3, random_state=0).fit(X), X, y=y)
    >>> page[:15]
    '<!DOCTYPE html>'
    """
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    if y is not None and len(y) != n:
        raise ValueError(f"y has {len(y)} classes for {n} samples.")
    if n == 0:
        raise ValueError("X has no samples.")
    some = some_rows(n, max_samples, random_state)
    pandas, features = imported_pandas(), features_of(estimator, X, feature_names)
    found = Found(estimator, X)
    table = tabulated(pandas, found, *features)
    name = _name(estimator)
    title = f"Clusters by {name}" if title is None else str(title)
    sections = list(_pictures(estimator, X, y, found, some))
    page = _page(title, _summary(found.model, name, n, table), sections, _table(table))
    if out is not None:
        Path(out).write_text(page, encoding="utf-8")
    return page


def _name(estimator):
    steps = [estimator] if not isinstance(estimator, Pipeline) else [s for _, s in estimator.steps]
    return ", ".join(type(step).__name__ for step in steps)


def _summary(model, name, n, table):
    """What was fitted: names and values."""
    known = [("clusterer", name), ("samples", f"{n:,}"), ("clusters", str(len(table)))]
    for what, attribute in (("epochs", "n_iter_"), ("loss", "loss_"), ("inertia", "inertia_")):
        value = getattr(model, attribute, None)
        if isinstance(value, int | float | np.number):
            known.append((what, f"{value:.6g}"))
    if np.isfinite(table["confidence"]).any():
        mean = np.average(table["confidence"].fillna(0), weights=table["size"])
        known.append(("mean confidence", f"{mean:.3f}"))
    if hasattr(model, "get_params"):
        default = type(model)().get_params(deep=False) if _has_defaults(model) else {}
        changed = {
            key: value
            for key, value in model.get_params(deep=False).items()
            if key not in default or not _same(default[key], value)
        }
        if changed:
            text = ", ".join(f"{key}={value!r}" for key, value in changed.items())
            known.append(("parameters", text if len(text) < 1000 else f"{text[:1000]} …"))
    warnings = []
    empty = table.index[table["size"] == 0].tolist()
    if empty:
        warnings.append(f"Empty clusters: {', '.join(map(str, empty[:20]))}.")
    if len(table) - len(empty) == 1:
        warnings.append("All samples are in one cluster.")
    return known, warnings


def _has_defaults(model):
    try:
        type(model)()
    except TypeError:
        return False
    return True


def _same(a, b):
    return a is b or (type(a) is type(b) and repr(a) == repr(b))


def _pictures(estimator, X, y, found, some):
    """Sections: heading, display, caption."""
    labels = found.labels
    sizes = dict(zip(*np.unique(labels, return_counts=True), strict=True))
    largest = sorted(sizes, key=lambda label: -sizes[label])[:MOST_CLUSTERS]
    seen = np.isin(labels, largest)
    few = "" if len(largest) == len(sizes) else f" The {MOST_CLUSTERS} largest clusters."
    chosen = some[seen[some]]
    yield (
        "Sizes",
        ClusterSizesDisplay.from_predictions(labels, clusters=found.clusters),
        "Samples of each cluster; the dashed line is where all would be equal.",
    )
    Z = _embedded(found, chosen)
    if Z is not None and len(Z) > 1:
        shown = labels[chosen]
        what = f"{len(chosen):,} samples, at random.{few}"
        yield (
            "Embedding",
            EmbeddingDisplay.from_predictions(Z, shown),
            f"Colours, markers and numbers are clusters; {what}",
        )
        if 1 < len(np.unique(shown)) < len(shown):
            yield (
                "Silhouettes",
                SilhouetteDisplay.from_predictions(Z, shown),
                "Near 1 a sample is well within its cluster, near 0 between two, below 0 nearer "
                f"to another; {what}",
            )
        neighbors = min(5, len(chosen[:500]) - 1)
        yield (
            "Neighbours",
            NeighborGraphDisplay.from_predictions(Z, shown, n_neighbors=neighbors),
            f"Nearest neighbours in the embedding; 500 samples at most.{few}",
        )
    if y is not None:
        yield (
            "Clusters and classes",
            ClusterConfusionDisplay.from_predictions(y, labels),
            "Samples of each class in each cluster; clusters are in the order of the classes "
            "that they match best.",
        )
    history = getattr(found.model, "history_", None)
    if history and "loss" in history:
        yield (
            "Training",
            LossCurvesDisplay.from_estimator(estimator),
            "The loss and its terms, and the share of the labels that changed, by epoch.",
        )
    if _are_images(estimator, X):
        if len(largest) == len(sizes):
            display = PrototypesDisplay.from_estimator(estimator, X)
            text = {"decoded centre": "What the decoder makes of the centres.", "mean": "Means."}
            yield "Prototypes", display, text[display.kind]
        yield (
            "Samples",
            ClusterSamplesDisplay.from_predictions(
                np.asarray(X)[seen],
                labels[seen],
                scores=found.typicality[seen],
                sample_shape=image_shape(None, X, estimator),
            ),
            f"The most typical ones of each cluster.{few}",
        )


def _embedded(found, rows):
    """Embedding of some rows, or these themselves; None where there is none of numbers."""
    X = _safe_indexing(found.X.tocsr() if issparse(found.X) else found.X, rows)
    # What scikit-learn's k-means gives are distances to the centres, not an embedding.
    embeds = hasattr(found.model, "transform") and isinstance(found.model, TorchEstimator)
    Z = found.model.transform(X) if embeds else flat_rows(X)
    if issparse(Z):
        from sklearn.decomposition import TruncatedSVD

        n_components = min(50, Z.shape[1] - 1)
        Z = TruncatedSVD(n_components, random_state=0).fit_transform(Z) if n_components else None
    return None if Z is None else np.asarray(Z)


def _are_images(estimator, X):
    """Whether rows of X have the shape of images that can be drawn."""
    try:
        shape = image_shape(None, X, estimator)
    except (TypeError, ValueError):
        return False
    X = np.asarray(X)
    return min(shape[-2:]) > 1 and (X.dtype.kind != "f" or bool(np.isfinite(X).all()))


def _page(title, summary, sections, table):
    known, warnings = summary
    title = html.escape(title)
    facts = "\n".join(f"<dt>{html.escape(a)}</dt><dd>{html.escape(b)}</dd>" for a, b in known)
    notes = "\n".join(f'<p class="warning">{html.escape(text)}</p>' for text in warnings)
    pictures = "\n".join(_section(*section) for section in sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<dl>
{facts}
</dl>
{notes}
<div class="pictures">
{pictures}
</div>
<h2 id="clusters">Clusters</h2>
{table}
</main>
</body>
</html>
"""


def _section(heading, display, caption):
    figure = display.figure_
    width = figure.get_size_inches()[0]
    data, caption = _png(figure), html.escape(caption)
    alt = html.escape(f"{heading}. {_alt(display)}")
    wide, scrolls = (' class="wide"', ' tabindex="0"') if width > 8 else ("", "")
    name = heading.lower().replace(" ", "-")
    return (
        f'<section{wide} aria-labelledby="{name}">\n<h2 id="{name}">{html.escape(heading)}</h2>\n'
        f'<figure{scrolls}><img src="data:image/png;base64,{data}" alt="{alt}">\n'
        f"<figcaption>{caption}</figcaption></figure>\n</section>"
    )


def _alt(display):
    """What a picture shows, for those who do not see it."""
    if isinstance(display, ClusterSizesDisplay):
        counts = display.counts
        return f"Bars of {len(counts)} clusters, {min(counts)} to {max(counts)} samples."
    if isinstance(display, SilhouetteDisplay):
        return f"Mean silhouette {display.silhouettes.mean():.2f}."
    if isinstance(display, NeighborGraphDisplay):
        cut, kept = (len(e.get_segments()) for e in (display.between_, display.within_))
        return f"{cut} of {cut + kept} edges join different clusters."
    if isinstance(display, ClusterConfusionDisplay):
        agree = np.trace(display.counts) / display.counts.sum()
        return f"{agree:.1%} of the samples are on the diagonal."
    if isinstance(display, LossCurvesDisplay):
        return f"Curves of {', '.join(display.lines_)}.".replace("_", " ")
    if isinstance(display, PrototypesDisplay):
        return f"{len(display.clusters)} images, each a {display.kind}."
    if isinstance(display, ClusterSamplesDisplay):
        return f"Rows of images of {len(display.clusters)} clusters."
    return f"Scatter plot of {len(display.points)} samples in two dimensions."


def _png(figure):
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight")
    plt.close(figure)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _table(table):
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in ("cluster", *table))
    rows = "\n".join(
        f'<tr><th scope="row">{html.escape(str(cluster))}</th>'
        + "".join(_cell(value) for value in row)
        + "</tr>"
        for cluster, row in zip(table.index, table.itertuples(index=False), strict=True)
    )
    told = (
        ", and features that are higher or lower than in the other samples, the most telling first"
    )
    return f"""<div class="scroll" tabindex="0" role="region" aria-labelledby="clusters">
<table>
<caption>Size, confidence, typical and borderline samples (positions in
X){told if "high" in table else ""}.</caption>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>"""


def _cell(value):
    if isinstance(value, list):
        return f'<td class="names">{html.escape(", ".join(map(str, value)))}</td>'
    if isinstance(value, float | np.floating):
        text = "-" if np.isnan(value) else f"{value:.3f}"
        return f'<td class="number">{text}</td>'
    return f'<td class="number">{int(value):,}</td>'
