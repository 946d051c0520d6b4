"""What the tests of this folder share."""

import pytest

from tests._instances import (
    CLUSTERERS,
    DESCRIPTIONS,
    ESTIMATORS,
    EVERY,
    EVERY_CLUSTERER,
    REPRESENTATIONS,
)

every_public = pytest.mark.parametrize("name", EVERY)


every_public_clusterer = pytest.mark.parametrize("name", EVERY_CLUSTERER)


# Those around a network.
every_estimator = pytest.mark.parametrize("name", ESTIMATORS)


every_clusterer = pytest.mark.parametrize("name", CLUSTERERS)


every_representation = pytest.mark.parametrize("name", REPRESENTATIONS)


# Those that only describe a network.
every_description = pytest.mark.parametrize("name", DESCRIPTIONS)


def outputs(estimator, X):
    """All per-sample results of an estimator."""
    names = ("predict", "predict_proba", "transform")
    return {n: getattr(estimator, n)(X) for n in names if hasattr(estimator, n)}
