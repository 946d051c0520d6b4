"""The one door to private names of scikit-learn: a change there is mended here."""

from sklearn.base import _fit_context
from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._split import _RepeatedSplits
from sklearn.utils._param_validation import HasMethods, Interval, InvalidParameterError, StrOptions
from sklearn.utils.fixes import parse_version

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # experimental there: a scikit-learn without them works, too

    class CallbackSupportMixin:
        """Mixin of estimators, empty where scikit-learn has no callbacks."""

    def with_callbacks(method):
        """Return the method as it is."""
        return method


__all__ = [
    "SPLITTERS",
    "BaseSearchCV",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "_fit_context",
    "has_callbacks",
    "parse_version",
    "searched_scorer",
    "with_callbacks",
]


SPLITTERS = (BaseCrossValidator, BaseShuffleSplit, _RepeatedSplits)


def has_callbacks(estimator):
    """Whether ``set_callbacks`` of scikit-learn has given it some."""
    return hasattr(estimator, "_skl_callbacks")


def searched_scorer(search):
    """The ``scorer_`` that a search has after its fit, made from its parameters."""
    scorer = search._get_scorers()[0]
    return getattr(scorer, "_scorers", scorer)
