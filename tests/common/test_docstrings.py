"""Docstrings list what there is."""

import ast
import inspect
import re

import pandas as pd
import pytest

from tests._instances import (
    DESCRIPTIONS,
    EVERY,
    EVERY_CLUSTERER,
    N_FEATURES,
    PUBLIC,
    blobs,
    tiny,
)
from tests.common._shared import every_public


def section(doc, title):
    """Dict of name -> the rest of its line, of one section of a numpydoc docstring."""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=^\w[\w ]*\n-+$|\Z)", doc, flags=re.M | re.S)
    if found is None:
        return {}
    text = found.group(1).replace("\\\n", "")
    entries = re.findall(r"^(\*{0,2}\w+(?:, \w+)*)(?: : (.*))?$", text, flags=re.M)
    return {n.strip("*"): kind for names, kind in entries for n in names.split(", ")}


@pytest.mark.parametrize("name", [*EVERY, *DESCRIPTIONS])
def test_docstring_lists_the_parameters_of_the_signature(name):
    cls = (PUBLIC | DESCRIPTIONS)[name]
    documented = section(inspect.getdoc(cls), "Parameters")
    parameters = inspect.signature(cls).parameters
    assert list(documented) == list(parameters)
    for parameter, description in documented.items():
        default = re.search(r"default=(.*)$", description)
        assert default, f"{parameter} is documented without its default"
        assert ast.literal_eval(default.group(1)) == parameters[parameter].default, parameter


@every_public
def test_docstring_lists_the_attributes_of_a_fitted_estimator(name):
    X, _ = blobs()
    estimator = tiny(name).fit(pd.DataFrame(X, columns=[f"f{i}" for i in range(N_FEATURES)]))
    documented = set(section(inspect.getdoc(PUBLIC[name]), "Attributes"))
    present = {a for a in vars(estimator) if a.endswith("_") and not a.startswith("_")}
    assert documented == present


@every_public
def test_docstrings_of_methods_list_their_parameters(name):
    for method, function in inspect.getmembers(PUBLIC[name], callable):
        if method.startswith("_") or not function.__module__.startswith("sklearn_deepcluster"):
            continue
        documented = section(inspect.getdoc(function), "Parameters")
        expected = [p for p in inspect.signature(function).parameters if p != "self"]
        assert list(documented) == expected, method


@every_public
def test_n_clusters_comes_first_and_the_rest_is_keyword_only(name):
    parameters = list(inspect.signature(PUBLIC[name]).parameters.values())
    if name in EVERY_CLUSTERER:
        first = parameters.pop(0)
        assert first.name == "n_clusters" and first.default == 8
        assert PUBLIC[name](5).n_clusters == 5
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters)
