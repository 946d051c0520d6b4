"""Searches reach into networks and parameters of the clustering."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from tests._instances import (
    CLUSTERERS,
    END_TO_END,
    N_CLUSTERS,
    N_FEATURES,
    ON_TOP,
    PUBLIC,
    accepts,
    assert_same_fit,
    blobs,
    frozen,
    given,
    prefix_of,
    slot_of,
    tiny,
    tiny_representation,
)
from tests.interoperability._shared import every_clusterer, pretrainings

SMALL = {"max_epochs": [1], "min_steps": [40]}


# Of each the last parameter decides how wide the embedding or its network is.
SMALL_NETWORK = {
    "Autoencoder": SMALL | {"hidden_layer_sizes": [(16,)], "n_components": [2, 3]},
    "ConvAutoencoder": SMALL | {"filters": [(4,)], "kernel_sizes": [(3,)], "n_components": [2, 3]},
    "DefaultEncoder": {"activation": ["relu"], "n_components": [15, 16]},
    "MLPEncoder": {"hidden_layer_sizes": [(16,)], "n_components": [15, 16]},
    "GRUEncoder": {"hidden_size": [8], "n_layers": [1], "n_components": [15, 16]},
    "IdentityAutoencoder": SMALL | {"hidden_layer_sizes": [(32,), (64,)]},
}


def default_network(name):
    return type(PUBLIC[name]()._default_network(None))


# The first of those with the same default network, and those on top of one.
ONE_OF_A_NETWORK = {default_network(name): name for name in reversed(CLUSTERERS)}.values()


@pytest.mark.parametrize("name", [n for n in CLUSTERERS if n in (*ONE_OF_A_NETWORK, *ON_TOP)])
def test_grid_search_reaches_into_the_default_representation(name):
    """``GridSearchCV(IDEC(10), {"autoencoder__n_components": ...})`` runs as it stands."""
    X, y = blobs()
    estimator = tiny(name, **{slot_of(name): None})
    default = default_network(name)
    grid = {prefix_of(name) + key: value for key, value in SMALL_NETWORK[default.__name__].items()}
    search = GridSearchCV(
        estimator, grid, scoring="adjusted_rand_score", cv=2, error_score="raise"
    ).fit(X, y)
    assert search.best_score_ > 0.9
    best = search.best_estimator_
    chosen = given(best).get_params()
    assert (
        search.best_params_.items() <= {prefix_of(name) + k: v for k, v in chosen.items()}.items()
    )
    width = N_CLUSTERS if name in ON_TOP else chosen.get("n_components", N_FEATURES)
    assert best.transform(X).shape[1] == width
    assert type(given(best)) is default
    assert given(estimator) is None
    np.testing.assert_array_equal(search.predict(X), best.labels_)


@every_clusterer
def test_grid_search_over_parameters_of_the_clustering(name, tmp_path, stages):
    """Two parameters; each half of the data, and all of them, has one representation."""
    X, y = blobs()
    own = {"lr": [1e-2 if name in END_TO_END else 1e-3]}
    for parameter, value in (("sigma_scale", 0.3), ("gamma", 0.1), ("lam", 0.1)):
        if accepts(name, parameter):
            own = {parameter: [value]}
    grid = {"n_clusters": [2, 3], **own}
    estimator = tiny(name, memory=str(tmp_path))
    search = GridSearchCV(
        estimator, grid, scoring="adjusted_rand_score", cv=2, error_score="raise"
    ).fit(X, y)
    assert search.best_params_["n_clusters"] == 3
    assert search.best_score_ == 1.0
    assert pretrainings(stages) == (3 if hasattr(given(estimator), "fit") else 0)
    best = search.best_estimator_
    assert_same_fit(best, clone(best).set_params(memory=None).fit(X))


@every_clusterer
def test_the_parameters_of_a_frozen_representation_cannot_be_searched(name, stages):
    X, y = blobs()
    parameter = f"{slot_of(name)}__n_components"
    estimator = frozen(name, tiny_representation(name).fit(X))
    stages.clear()
    search = GridSearchCV(estimator, {parameter: [2]}, scoring="accuracy")
    with pytest.raises(ValueError, match=f"{parameter}.*frozen"):
        search.fit(X, y)
    assert stages == []


def test_an_unknown_nested_parameter_is_an_error():
    with pytest.raises(ValueError, match="nonsense"):
        tiny("IDEC", autoencoder=None).set_params(autoencoder__nonsense=1)
    with pytest.raises(ValueError, match="nonsense"):
        tiny("DDC").set_params(encoder__nonsense=1)
    with pytest.raises(ValueError, match="nonsense"):
        tiny("IDEC").set_params(nonsense=1)
