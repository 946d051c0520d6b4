"""Find the public estimators of the package, for the common tests and the catalogue."""

import importlib
import inspect
import pkgutil

from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin

__all__ = ["all_descriptions", "all_estimators"]

_PACKAGE = __name__.partition(".")[0]
# Rooms that hold no estimators: commands, pictures (which need matplotlib) and tests.
_SKIPPED = frozenset({"benchmarks", "inspection", "tests"})
_TYPES = {"cluster": ClusterMixin, "transformer": TransformerMixin}


def all_estimators(type_filter=None):
    """List the public estimators of the package.

    An estimator is public if a subpackage lists it in its ``__all__``. Base classes (names that
    start with ``Base`` or an underscore, abstract classes) are left out.

    Parameters
    ----------
    type_filter : {"cluster", "transformer"} or None, default=None
        Keep only the estimators with scikit-learn's `ClusterMixin` or `TransformerMixin`. As in
        :func:`sklearn.utils.discovery.all_estimators`, a class can be of both types.

    Returns
    -------
    estimators : list of (str, type)
        Names and classes, sorted by name.

    Raises
    ------
    ValueError
        If `type_filter` is neither None nor one of the names above.

    Examples
    --------
    >>> from sklearn_deepcluster.utils.discovery import all_estimators
    >>> "DEC" in dict(all_estimators(type_filter="cluster"))
    True
    """
    if type_filter is not None and type_filter not in _TYPES:
        raise ValueError(
            f"type_filter must be None or one of {sorted(_TYPES)}, got {type_filter!r}."
        )
    found = _estimators_in(_PACKAGE)
    if type_filter is not None:
        found = {k: v for k, v in found.items() if issubclass(v, _TYPES[type_filter])}
    return sorted(found.items())


def all_descriptions():
    """List the public descriptions of networks: they have parameters, and are not fitted.

    Returns
    -------
    descriptions : list of (str, type)
        Names and classes, sorted by name.

    Examples
    --------
    >>> from sklearn_deepcluster.utils.discovery import all_descriptions
    >>> "MLPEncoder" in dict(all_descriptions())
    True
    """
    return sorted(_descriptions_in(_PACKAGE).items())


def _estimators_in(package):
    """Dict of name -> class of the public estimators in the subpackages of `package`."""
    return {name: cls for name, cls in _classes_in(package) if hasattr(cls, "fit")}


def _descriptions_in(package):
    """Dict of name -> class of the public descriptions in the subpackages of `package`."""
    return {name: cls for name, cls in _classes_in(package) if not hasattr(cls, "fit")}


def _classes_in(package):
    """Name and class of all with parameters that the subpackages of `package` list."""
    for name in _subpackages(package):
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", ()):
            candidate = getattr(module, public)
            if _is_public(public, candidate, package):
                yield public, candidate


def _subpackages(package):
    """Dotted names of the public subpackages of `package`, at any depth."""
    paths = importlib.import_module(package).__path__
    for info in pkgutil.iter_modules(paths):
        if info.ispkg and not info.name.startswith("_") and info.name not in _SKIPPED:
            name = f"{package}.{info.name}"
            yield name
            yield from _subpackages(name)


def _is_public(name, candidate, package):
    return (
        inspect.isclass(candidate)
        and issubclass(candidate, BaseEstimator)
        and candidate.__module__.startswith(f"{package}.")
        and not name.startswith(("_", "Base"))
        and not inspect.isabstract(candidate)
    )
