"""Pages that are made from the package when the documentation is built.

Written to ``doc/generated`` before Sphinx looks for sources:

- ``api_<room>.rst``: one page per room, from its ``__all__``;
- ``estimators.inc``: the table of estimators, from discovery;
- ``reproduction.inc``: the tables of the committed records;
- ``start.inc``: where methods ended beside where they started, of these records;
- ``parts.inc``, ``counts.inc``: the graph on parts of data, and how many clusters it finds;
- ``changelog.inc``: the changelog.

A new method therefore needs no edit here.
"""

import importlib
import inspect
import re
import shutil
from pathlib import Path

from numpydoc.docscrape import NumpyDocString
from sklearn.base import BaseEstimator

from sklearn_deepcluster.utils.discovery import all_estimators

PACKAGE = "sklearn_deepcluster"

# Rooms with public names, in the order of the API page, and what the page says of them.
ROOMS = {
    "cluster": "Clusterers. Every one has ``fit``, ``fit_predict``, ``predict`` and ``transform``.",
    "representation": "Transformers that learn an embedding, useful on their own.",
    "metrics": "Scores of clusterings, with and without labels.",
    "datasets": "Loaders of the data that the benchmarks use.",
    "persistence": "Save and load fitted estimators without running code.",
    "inspection": "Pictures, tables and a page of fitted estimators.",
    "exceptions": "Warnings that can be filtered by their class.",
    "utils.discovery": "The public estimators of the package.",
    "nn": "Building blocks of networks, in torch alone.",
    "losses": "Objectives and their parts, in torch alone.",
    "kernels": "Kernels and bandwidths, in torch alone.",
}


def public_names(room):
    """The sorted ``__all__`` of a room; empty for a room that has not been built."""
    name = f"{PACKAGE}.{room}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not name.startswith(error.name):
            raise
        return []
    return sorted(k for k in getattr(module, "__all__", ()) if has_docstring(getattr(module, k)))


def has_docstring(value):
    """Whether a public object has one of its own; a plain dict shows that of ``dict``."""
    own = type(value).__module__ != "builtins"
    return own or inspect.isclass(value) or inspect.isroutine(value)


def own_methods(cls):
    """Names of the public methods and properties of a class that this package defines."""
    found = set()
    # Methods behind available_if are seen on an instance; a class of torch may need arguments.
    subject = cls() if issubclass(cls, BaseEstimator) else cls
    for base in cls.__mro__:
        if base.__module__.startswith(PACKAGE):
            for attribute, value in vars(base).items():
                routing = re.fullmatch(r"set_\w+_request", attribute)
                documented = inspect.getdoc(value) and not isinstance(value, type)
                public = not attribute.startswith("_") and not routing
                if public and documented and is_available(subject, attribute):
                    found.add(attribute)
    return sorted(found)


def is_available(subject, attribute):
    """False for methods that `available_if` hides; properties of fitted models count as there."""
    return isinstance(getattr(type(subject), attribute, None), property) or hasattr(
        subject, attribute
    )


def methods_by_class():
    """Full name -> methods, for the template of the class pages."""
    found = {}
    for room in ROOMS:
        for name in public_names(room):
            value = getattr(importlib.import_module(f"{PACKAGE}.{room}"), name)
            if inspect.isclass(value):
                found[f"{PACKAGE}.{room}.{name}"] = own_methods(value)
    return found


def first_sentence(docstring):
    """The summary line of a docstring, up to the first semicolon or full stop."""
    return re.split(r"[.;](?:\s|$)", inspect.cleandoc(docstring).splitlines()[0])[0] + "."


def references(docstring):
    """The entries of the References section, each on one line."""
    lines = NumpyDocString(inspect.cleandoc(docstring))["References"]
    text = " ".join(line.strip() for line in lines)
    return [entry.strip() for entry in re.split(r"\.\. \[\w+\]", text) if entry.strip()]


def estimator_table():
    """Estimators with their paper, as a list-table."""
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "   :widths: 18 32 36 14",
        "",
        "   * - Estimator",
        "     - What it is",
        "     - Paper",
        "     - Also has",
    ]
    for name, cls in all_estimators():
        model = cls()  # what depends on available_if is seen on an instance
        optional = [m for m in ("predict_proba", "inverse_transform") if hasattr(model, m)]
        paper = references(cls.__doc__)
        lines += [
            f"   * - :class:`~{cls.__module__.rpartition('._')[0]}.{name}`",
            f"     - {first_sentence(cls.__doc__)}",
            f"     - {paper[0] if paper else ''}",
            f"     - {', '.join(f'``{m}``' for m in optional)}",
        ]
    return "\n".join(lines) + "\n"


def api_page(room, names):
    """Page with the autosummary of one room."""
    title = f"{PACKAGE}.{room}"
    head = [title, "=" * len(title), "", ROOMS[room], "", f".. currentmodule:: {title}", ""]
    table = [".. autosummary::", "   :toctree: api", "   :nosignatures:", ""]
    return "\n".join(head + table + [f"   {name}" for name in names]) + "\n"


def reproduction_tables():
    """The tables of the committed records, results first, restarts last."""
    benchmarks = importlib.import_module(f"{PACKAGE}.benchmarks")
    parts = [benchmarks.table(format="rst"), benchmarks.restarts(format="rst")]
    return ("\n\n".join(filter(None, parts)) or "There are no records yet.") + "\n"


# The data sets of the page on kinds of data, and what is compared there; also in the README.
KINDS_OF_DATA = {
    "methods": [
        "k-means",
        "spectral",
        "umap-kmeans",
        "umap-mixture",
        "graph-modularity",
        "ddc",
        "depict",
        "kmeansnet-identity",
        "rddc",
    ],
    "datasets": [
        "digits",
        "mnist-10000",
        "usps",
        "mnist-test",
        "coil20",
        "cmu-pie",
        "pbmc68k-reduced",
        "news20-wordllama-6000",
        "cifar10-efficientnet",
        "newsgroups-lsa",
        "japanese-vowels-moments",
        "japanese-vowels",
        "osu-leaf",
    ],
}


def kinds_table():
    """Methods beside what one would pick without them, data set by data set."""
    benchmarks = importlib.import_module(f"{PACKAGE}.benchmarks")
    return benchmarks.compare(**KINDS_OF_DATA, format="rst") + "\n"


def start_table():
    """Start and end of the methods and data sets whose committed records know both."""
    benchmarks = importlib.import_module(f"{PACKAGE}.benchmarks")
    return benchmarks.start(format="rst") + "\n"


def counts_table(folder):
    """How many clusters the graph finds."""
    counts = importlib.import_module(f"{PACKAGE}.benchmarks._counts")
    return counts.counts_table(sorted(folder.glob("*.json")), "rst") + "\n"


def parts_table(folder):
    """The graph on random parts of data, by resolution."""
    parts = importlib.import_module(f"{PACKAGE}.benchmarks._parts")
    return parts.parts_table(sorted(folder.glob("*-resolution.json")), "rst") + "\n"


def changelog(text):
    """The Markdown changelog without its title, in reStructuredText."""
    text = re.sub(r"`([^`]+)`", r"``\1``", text.partition("\n")[2])
    for mark, line in (("###", "~"), ("##", "-")):
        text = re.sub(
            rf"^{mark} (.+)$",
            lambda m, c=line: f"{m[1]}\n{c * len(m[1])}",
            text,
            flags=re.MULTILINE,
        )
    return text


def write(path, text):
    path.write_text(text, encoding="utf-8")


def write_pages(app, config):
    folder = Path(app.srcdir) / "generated"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    rooms = [(room, names) for room in ROOMS if (names := public_names(room))]
    for room, names in rooms:
        write(folder / f"api_{room}.rst", api_page(room, names))
    toctree = [".. toctree::", "   :maxdepth: 2", ""]
    toctree += [f"   generated/api_{room}" for room, _ in rooms]
    write(folder / "api.inc", "\n".join(toctree) + "\n")
    write(folder / "estimators.inc", estimator_table())
    write(folder / "reproduction.inc", reproduction_tables())
    write(folder / "start.inc", start_table())
    write(folder / "kinds.inc", kinds_table())
    write(folder / "parts.inc", parts_table(Path(app.srcdir) / "records" / "parts"))
    write(folder / "counts.inc", counts_table(Path(app.srcdir) / "records" / "n_clusters"))
    changes = Path(app.srcdir).parent / "CHANGELOG.md"
    write(folder / "changelog.inc", changelog(changes.read_text(encoding="utf-8")))


def setup(app):
    app.config.autosummary_context = {"own_methods": methods_by_class()}
    app.connect("config-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
