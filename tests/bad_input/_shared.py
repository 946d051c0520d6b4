"""What the tests of this folder share."""

import pytest

from tests._instances import (
    CLUSTERERS,
    ESTIMATORS,
    PRETRAINED,
    accepts,
)

every_estimator = pytest.mark.parametrize("name", ESTIMATORS)


every_clusterer = pytest.mark.parametrize("name", CLUSTERERS)


every_pretrained = pytest.mark.parametrize("name", PRETRAINED)


every_initialised = pytest.mark.parametrize("name", [n for n in CLUSTERERS if accepts(n, "init")])
