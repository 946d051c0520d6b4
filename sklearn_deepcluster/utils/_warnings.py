"""Warnings that point at the line of the user."""

import os
import sys
import warnings

import joblib
import sklearn

_INSIDE = tuple(
    os.path.dirname(path) + os.sep
    for path in (os.path.dirname(__file__), sklearn.__file__, joblib.__file__)
)
_DECORATORS = os.path.join("torch", "utils", "_contextlib.py")


def warn_user(message, category=UserWarning):
    """Warn, with the line that called into this package or scikit-learn as the place."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_inside(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_inside(path):
    return path.startswith(_INSIDE) or path.endswith(_DECORATORS)
