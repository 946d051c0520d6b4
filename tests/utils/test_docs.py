"""Docstrings are completed when a class is made: what a base describes is not written again."""

import inspect

import pytest
from numpydoc.docscrape import ClassDoc

from sklearn_deepcluster import DCEC, RDTKC
from sklearn_deepcluster.utils._docs import complete_docstring
from sklearn_deepcluster.utils.discovery import all_estimators


class BaseThing:
    """Base.

    Parameters
    ----------
    alpha : float
        Of the base.

    beta : {"a", "b"}
        Second.

    tol : float
        Third.

    Attributes
    ----------
    labels_ : ndarray
        Labels.

    module_ : nn.Module
        Network.
    """


complete_docstring(BaseThing)


def made(doc, init, bases=(BaseThing,), module="sklearn_deepcluster.cluster"):
    cls = type("Thing", bases, {"__doc__": doc, "__init__": init, "__module__": module})
    complete_docstring(cls)
    return cls


def init(self, alpha, *, tol=1e-4, beta="b"):
    pass


def test_parameters_come_in_the_order_of_the_signature_with_its_defaults():
    thing = made("A thing.\n\n    See Also\n    --------\n    Other : x", init)
    expected = """A thing.

Parameters
----------
alpha : float
    Of the base.

tol : float, default=1e-4
    Third.

beta : {"a", "b"}, default="b"
    Second.

Attributes
----------
labels_ : ndarray
    Labels.

module_ : nn.Module
    Network.

See Also
--------
Other : x
"""
    assert thing.__doc__ == expected
    assert inspect.getdoc(thing) == expected.rstrip("\n")


def test_what_a_class_says_itself_wins_and_may_add_to_the_base():
    doc = """A thing.

    Parameters
    ----------
    tol : int
        Its own.

    beta
        ...
        And more.

    Attributes
    ----------
    head_ : ndarray
        Added.

    labels_ : list
        Its own.
    """
    thing = made(doc, init)
    assert "tol : int, default=1e-4\n    Its own." in thing.__doc__
    assert 'beta : {"a", "b"}, default="b"\n    Second.\n    And more.' in thing.__doc__
    attributes = thing.__doc__.partition("Attributes\n")[2]
    assert [line.split(" :")[0] for line in attributes.splitlines() if " : " in line] == [
        "labels_",
        "head_",
        "module_",
    ]
    # The next class inherits from both, the nearest first.
    other = made("Another.", init, (thing,))
    assert "tol : int, default=1e-4\n    Its own." in other.__doc__
    assert "alpha : float\n    Of the base." in other.__doc__


def test_a_parameter_that_nobody_describes_is_an_error():
    with pytest.raises(TypeError, match="Thing: no docstring describes the parameter 'gamma'"):
        made("A thing.", lambda self, gamma=1: None)


@pytest.mark.parametrize("doc", [None, "", "Mine.", "Mine.\n\nParameters\n----------\nx: odd"])
def test_classes_of_users_are_left_alone(doc):
    thing = made(doc, lambda self, gamma=1: None, module="theirs")
    assert thing.__doc__ == doc


def test_every_class_has_all_its_parameters_for_tools_that_read_docstrings():
    for name, cls in all_estimators():
        documented = [p.name for p in ClassDoc(cls)["Parameters"]]
        assert documented == list(inspect.signature(cls).parameters), name


def test_variants_say_what_is_theirs():
    assert "None is ``ConvAutoencoder()``" in DCEC.__doc__
    text = RDTKC.__doc__
    assert text.count("The network; None is ``GRUEncoder()``.") == 1
    assert '"corners" and\n    "companion"' in text, "the history of DTKC, not of RDDC"
