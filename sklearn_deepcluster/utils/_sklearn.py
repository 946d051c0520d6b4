"""The one door to private names of scikit-learn: a change there is mended here."""

from sklearn.base import _fit_context
from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._split import _RepeatedSplits
from sklearn.utils._param_validation import HasMethods, Interval, InvalidParameterError, StrOptions
from sklearn.utils.fixes import parse_version

__all__ = [
    "SPLITTERS",
    "BaseSearchCV",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "_fit_context",
    "parse_version",
    "searched_scorer",
]


SPLITTERS = (BaseCrossValidator, BaseShuffleSplit, _RepeatedSplits)


def searched_scorer(search):
    """The ``scorer_`` that a search has after its fit, made from its parameters."""
    scorer = search._get_scorers()[0]
    return getattr(scorer, "_scorers", scorer)
