"""Discovery finds every public estimator of the package and nothing else."""

import sys
import textwrap

import pytest
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin

from sklearn_deepcluster.utils import discovery
from sklearn_deepcluster.utils.discovery import all_descriptions, all_estimators


def test_finds_the_estimators_of_the_package():
    found = all_estimators()
    names = [name for name, _ in found]
    assert {"Autoencoder", "ConvAutoencoder", "DEC", "IDEC", "DCEC", "DEKM"} <= set(names)
    assert names == sorted(set(names))
    for name, cls in found:
        assert issubclass(cls, BaseEstimator)
        assert cls.__name__ == name
        assert cls.__module__.startswith("sklearn_deepcluster.")


def test_filters_by_type():
    clusterers = dict(all_estimators("cluster"))
    transformers = dict(all_estimators("transformer"))
    assert "DEC" in clusterers and "Autoencoder" not in clusterers
    assert "Autoencoder" in transformers
    assert all(issubclass(cls, ClusterMixin) for cls in clusterers.values())
    assert all(issubclass(cls, TransformerMixin) for cls in transformers.values())
    with pytest.raises(ValueError, match="type_filter"):
        all_estimators("classifier")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package with public and private classes; returns its name."""
    estimators = """
        from abc import ABC, abstractmethod
        from sklearn.base import BaseEstimator
        from sklearn.cluster import KMeans
        __all__ = ["Good", "BaseBad", "_Bad", "Abstract", "KMeans", "function", "Plain", "NUMBER"]
        __all__ += ["Described", "BaseDescribed"]
        class Fitted(BaseEstimator):
            def fit(self): pass
        class Good(Fitted): pass
        class Unlisted(Fitted): pass
        class BaseBad(Fitted): pass
        class _Bad(Fitted): pass
        class BaseDescribed(BaseEstimator): pass
        class Described(BaseDescribed): pass
        class Abstract(ABC, BaseEstimator):
            @abstractmethod
            def fit(self): pass
        class Plain: pass
        def function(): pass
        NUMBER = 1
    """
    listed = """
        from sklearn.base import BaseEstimator
        __all__ = ["{name}"]
        class {name}(BaseEstimator):
            def fit(self): pass
    """
    name = "fake_package_for_discovery"
    files = {
        "": "",
        "cluster": estimators,
        "cluster/deeper": listed.format(name="Deep"),
        "_private": listed.format(name="Private"),
        "benchmarks": "raise RuntimeError('must not be imported')",
        "inspection": "raise RuntimeError('must not be imported')",
        "unlisted": "",
    }
    for folder, source in files.items():
        path = tmp_path / name / folder
        path.mkdir(parents=True, exist_ok=True)
        (path / "__init__.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    for module in [m for m in sys.modules if m.split(".")[0] == name]:
        del sys.modules[module]


def test_only_public_concrete_estimators_count(package):
    assert sorted(discovery._estimators_in(package)) == ["Deep", "Good"]


def test_what_cannot_be_fitted_is_a_description(package):
    assert sorted(discovery._descriptions_in(package)) == ["Described"]
    found = all_descriptions()
    assert {"ConvEncoder", "GRUEncoder", "MLPEncoder"} <= set(dict(found))
    assert set(found) & set(all_estimators()) == set()
    assert [name for name, _ in found] == sorted(dict(found))
