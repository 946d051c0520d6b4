"""Every Python block of the README and of the guide runs, from top to bottom of its page."""

import doctest
import importlib
import re
import textwrap
import warnings
from pathlib import Path

import pytest
from sklearn.utils.estimator_checks import check_estimator

from tests._instances import tiny_autoencoder

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "doc" / "guide").glob("*.rst"))]

FENCE = re.compile(r"^```(?:python|py|pycon)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
DIRECTIVE = re.compile(r"^( *)\.\. (?:code-block|code|sourcecode):: *(?:python3?|pycon) *$")
PROMPT = re.compile(r"^ *>>> ")
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def indent(line):
    return len(line) - len(line.lstrip())


def markdown_blocks(text):
    """(line number, code) of the fenced Python blocks."""
    return [(text.count("\n", 0, m.start(1)) + 1, m[1]) for m in FENCE.finditer(text)]


def rst_blocks(text):
    """(line number, code) of the Python directives and of the doctest blocks."""
    lines = text.splitlines()
    blocks, i = [], 0
    while i < len(lines):
        directive = DIRECTIVE.match(lines[i])
        start = i
        if directive:
            i += 1
            while i < len(lines) and (not lines[i].strip() or indent(lines[i]) > len(directive[1])):
                i += 1
            body = [
                "" if indent(line) and re.match(r" *:\w[\w-]*:", line) else line
                for line in lines[start + 1 : i]
            ]
            blocks.append((start + 2, textwrap.dedent("\n".join(body)) + "\n"))
        elif PROMPT.match(lines[i]):
            while i < len(lines) and lines[i].strip():
                i += 1
            blocks.append((start + 1, textwrap.dedent("\n".join(lines[start:i])) + "\n"))
        else:
            i += 1
    return blocks


def blocks_of(path):
    read = markdown_blocks if path.suffix == ".md" else rst_blocks
    return read(path.read_text(encoding="utf-8"))


def run(blocks, name):
    """Run the blocks of one page in one namespace; an error points at its line in the page."""
    namespace = {"__name__": "__page__"}
    for line, code in blocks:
        if not re.search(PROMPT.pattern, code, re.MULTILINE):
            exec(compile("\n" * (line - 1) + code, name, "exec"), namespace)
            continue
        # The runner empties a copy; the test's own dict is what later blocks see.
        test = doctest.DocTestParser().get_doctest(code, {}, name, name, line - 1)
        test.globs = namespace
        report = []
        result = doctest.DocTestRunner(optionflags=OPTIONS).run(
            test, out=report.append, clear_globs=False
        )
        assert result.failed == 0, "".join(report)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_block_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # what a page saves is gone with the test
    run(blocks_of(path), path.relative_to(ROOT).as_posix())


def test_the_method_of_the_guide_is_a_whole_one(tmp_path, monkeypatch):
    """The page on adding a method shows one: scikit-learn's checks pass, pickles included."""
    first, *_ = blocks_of(ROOT / "doc" / "guide" / "extending.rst")
    lines = [line for line in first[1].splitlines() if line.strip()]
    assert len(lines) <= 60
    (tmp_path / "the_method_of_the_guide.py").write_text(first[1], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    method = importlib.import_module("the_method_of_the_guide").PulledKMeans
    network = tiny_autoencoder(min_steps=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(method(3, autoencoder=network, max_epochs=1, random_state=0))


def test_readme_has_code():
    assert README.exists() and blocks_of(README)


def test_guide_has_code():
    assert any(blocks_of(path) for path in PAGES[1:])


def test_blocks_are_found():
    directive = ".. code-block:: python\n   :caption: c\n\n   x = 1\n\n   y = x\n"
    text = f"a\n\n{directive}\nb\n\n>>> x\n1\n\nc"
    assert [(line, code.strip()) for line, code in rst_blocks(text)] == [
        (4, "x = 1\n\ny = x"),
        (12, ">>> x\n1"),
    ]
    assert markdown_blocks("a\n```python\nx = 1\n```\n```bash\nls\n```\n") == [(3, "x = 1\n")]


@pytest.mark.parametrize("block", ["1 / 0\n", ">>> 1 + 1\n3\n", ">>> unknown\n"])
def test_a_wrong_block_fails(block):
    with pytest.raises((ZeroDivisionError, AssertionError)):
        run([(1, block)], "page")


def test_blocks_share_one_namespace():
    run([(1, "x = 1\n"), (3, ">>> x\n1\n>>> y = x + 1\n"), (6, "assert y == 2\n")], "page")


@pytest.mark.parametrize("page", [README, *sorted((ROOT / "doc").glob("**/*.rst"))], ids=str)
def test_no_page_has_a_placeholder(page):
    assert not re.findall(r"@[A-Z0-9]+@", page.read_text(encoding="utf-8"))
