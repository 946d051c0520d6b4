"""The rooms of the package import in one direction, and heavy libraries stay in their room."""

import ast
from pathlib import Path

import pytest

PACKAGE = "sklearn_deepcluster"
ROOT = Path(__file__).resolve().parent.parent / PACKAGE

# A module may import from its own room and from the rooms in the rows above its own.
ROWS = (
    ("_version", "exceptions"),
    ("utils",),
    ("nn", "losses", "kernels", "metrics", "datasets"),
    ("_engine",),
    ("_input",),
    ("base",),
    ("representation",),
    ("cluster",),
    ("persistence",),
    ("inspection", "benchmarks"),
)
ROW = {room: i for i, row in enumerate(ROWS) for room in row}
TOP = "__init__"  # the package's own file gathers the public names, so it sees every room


def imports(source, module):
    """Absolute dotted names that `source` imports, as (name, whether inside a function).

    `module` is the dotted name of a plain module or, for an ``__init__.py``, that name with
    ``.__init__`` at the end. ``from a import b`` counts as ``a.b``, whatever ``b`` is, and
    ``import sklearn_deepcluster`` as what is then read from it.
    """
    tree = ast.parse(source)
    late = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(outer)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name != PACKAGE or alias.asname]
            found += [(name, id(node) in late) for name in names]
        elif isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == PACKAGE:
            found.append((f"{PACKAGE}.{node.attr}", id(node) in late))
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                parent = module.split(".")[: -node.level]
                origin = ".".join(parent + ([node.module] if node.module else []))
            found += [(f"{origin}.{alias.name}", id(node) in late) for alias in node.names]
    return found


def room_of(name):
    """The room of a dotted name inside the package; TOP for the package's own names."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROW else TOP


def misdirected(source, module):
    """Names imported from a room that `module` may not import from."""
    here = room_of(module)
    if here == TOP:
        return []
    wrong = []
    for name, _ in imports(source, module):
        if name.split(".")[0] != PACKAGE:
            continue
        there = room_of(name)
        if there == TOP:
            # Public names at the top stand to the right of `persistence`, the last room they
            # come from.
            allowed = ROW[here] > ROW["persistence"]
        else:
            allowed = there == here or ROW[there] < ROW[here]
        if not allowed:
            wrong.append(name)
    return wrong


def misplaced(source, module):
    """Names of skorch or matplotlib imported where they have no place."""
    here = room_of(module)
    wrong = []
    for name, late in imports(source, module):
        library = name.split(".")[0]
        if library == "skorch" and here != "_engine":
            wrong.append(name)
        if library == "matplotlib" and not late and here not in ("inspection", "benchmarks"):
            wrong.append(name)
    return wrong


def modules():
    """(dotted name, path) of every module of the package."""
    return [
        (".".join(path.relative_to(ROOT.parent).with_suffix("").parts), path)
        for path in sorted(ROOT.rglob("*.py"))
    ]


def test_imports_point_one_way():
    for module, path in modules():
        assert misdirected(path.read_text(encoding="utf-8"), module) == [], module


def test_only_the_engine_imports_skorch_and_plotting_is_late():
    for module, path in modules():
        assert misplaced(path.read_text(encoding="utf-8"), module) == [], module


def test_every_room_has_a_place_in_the_order():
    rooms = {path.stem for path in ROOT.glob("*.py")}
    rooms |= {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert rooms - {TOP} <= set(ROW)


@pytest.mark.parametrize(
    ("module", "line", "wrong"),
    [
        ("nn._mlp", "from ..base import X", ["base.X"]),
        ("nn._mlp", "from .. import base", ["base"]),
        ("nn._mlp", "from ..losses import X", ["losses.X"]),
        ("nn._mlp", "def f():\n    import sklearn_deepcluster.cluster", ["cluster"]),
        ("nn.__init__", "from ..base import X", ["base.X"]),
        ("base", "from .cluster import X", ["cluster.X"]),
        ("base", "from . import DEC", ["DEC"]),
        ("cluster._dec", "from ..inspection import X", ["inspection.X"]),
        ("base", f"import {PACKAGE}\n{PACKAGE}.cluster.DEC()", ["cluster"]),
        ("base", f"import {PACKAGE}\n{PACKAGE}.__version__", ["__version__"]),
        ("base", "from ._version import __version__", []),
        ("nn._mlp", "from ._conv import X\nfrom ..utils import Y", []),
        ("nn.__init__", "from ._mlp import X", []),
        ("base", "from ._engine import X\nfrom ._input import Y", []),
        ("_engine._net", "from .._input import X", ["_input.X"]),
        ("cluster._dec", "from sklearn_deepcluster.base import X\nimport torch", []),
        ("benchmarks.demo", "from sklearn_deepcluster import DEC", []),
    ],
)
def test_the_direction_check_sees_what_it_should(module, line, wrong):
    assert misdirected(line, f"{PACKAGE}.{module}") == [f"{PACKAGE}.{name}" for name in wrong]


@pytest.mark.parametrize(
    ("module", "line", "wrong"),
    [
        ("cluster._dec", "from skorch import NeuralNet", ["skorch.NeuralNet"]),
        ("base", "def f():\n    import skorch.callbacks", ["skorch.callbacks"]),
        ("cluster._dec", "import matplotlib.pyplot as plt", ["matplotlib.pyplot"]),
        ("cluster._dec", "def f():\n    import matplotlib.pyplot as plt", []),
        ("_engine.net", "from skorch import NeuralNet", []),
        ("benchmarks.demo", "import matplotlib", []),
    ],
)
def test_the_placement_check_sees_what_it_should(module, line, wrong):
    assert misplaced(line, f"{PACKAGE}.{module}") == wrong
