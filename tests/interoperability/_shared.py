"""What the tests of this folder share."""

import numpy as np
import pytest

from tests._instances import (
    CLUSTERERS,
    ESTIMATORS,
    PRETRAINED,
    blobs,
)

every_estimator = pytest.mark.parametrize("name", ESTIMATORS)


every_clusterer = pytest.mark.parametrize("name", CLUSTERERS)


every_pretrained = pytest.mark.parametrize("name", PRETRAINED)


def pretrainings(stages):
    return sum("pretraining" in stage for stage in stages)


def pixels():
    """The blobs as whole numbers 0..255 in float32, so that uint8 holds them too."""
    X, _ = blobs()
    X = np.round(255 * (X - X.min()) / np.ptp(X)).astype(np.float32)
    X.setflags(write=False)
    return X


def memmap(X, folder, mode="r", order="C"):
    path = folder / "X.dat"
    written = np.memmap(path, dtype=X.dtype, mode="w+", shape=X.shape, order=order)
    written[:] = X
    written.flush()
    return np.memmap(path, dtype=X.dtype, mode=mode, shape=X.shape, order=order)
