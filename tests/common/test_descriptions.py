"""Descriptions of networks are parameters, and no estimators."""

import inspect
import os

import pytest
from sklearn.base import clone

from sklearn_deepcluster import (
    save_model,
)
from tests._instances import (
    DESCRIPTIONS,
    PUBLIC,
)
from tests.common._shared import every_description


@every_description
def test_descriptions_are_no_estimators(name):
    """They have parameters and can be cloned and searched, but nothing can be fitted."""
    assert name not in PUBLIC
    description = DESCRIPTIONS[name]()
    assert not hasattr(description, "fit") and not hasattr(description, "transform")
    parameter = "max_iter" if name == "Stiefel" else "n_components"
    again = clone(description.set_params(**{parameter: 7}))
    assert again is not description and again.get_params() == description.get_params()
    assert getattr(again, parameter) == 7
    assert eval(repr(description), dict(DESCRIPTIONS)).get_params() == description.get_params()


@every_description
def test_descriptions_are_keyword_only(name):
    parameters = inspect.signature(DESCRIPTIONS[name]).parameters.values()
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters)


@every_description
def test_a_description_alone_is_no_model(name, tmp_path):
    with pytest.raises(ValueError, match=f"{name} holds no network"):
        save_model(DESCRIPTIONS[name](), tmp_path / "model")
    assert os.listdir(tmp_path) == []
