"""The one door to private names of scikit-learn: a change there is mended here."""

from sklearn.base import _fit_context
from sklearn.utils._param_validation import HasMethods, Interval, InvalidParameterError, StrOptions

__all__ = ["HasMethods", "Interval", "InvalidParameterError", "StrOptions", "_fit_context"]
