"""Labels with noise: the uncertain ones are -1."""

import numpy as np
import pytest

from sklearn_deepcluster.metrics import labels_with_noise
from tests._instances import blobs, fitted

PROBA = np.array([[0.9, 0.1], [0.45, 0.55], [0.0, 1.0]], dtype=np.float32)


@pytest.mark.parametrize(
    ("threshold", "labels"),
    [(0, [0, 1, 1]), (0.55, [0, 1, 1]), (0.8, [0, -1, 1]), (1, [-1, -1, 1])],
)
def test_labels_below_the_threshold_are_noise(threshold, labels):
    found = labels_with_noise(PROBA, np.float32(threshold))
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, labels)


def test_with_threshold_zero_it_is_predict():
    X, _ = blobs()
    dec = fitted("DEC")
    np.testing.assert_array_equal(labels_with_noise(dec.predict_proba(X), 0), dec.labels_)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, np.nan])
def test_a_threshold_outside_of_0_and_1_is_refused(threshold):
    with pytest.raises(ValueError, match="threshold"):
        labels_with_noise(PROBA, threshold)


@pytest.mark.parametrize("proba", [[0.5, 0.5], [[0.5, np.nan]], [[-0.1, 0.5]], [[2.0, 0.0]]])
def test_what_is_no_soft_assignment_is_refused(proba):
    with pytest.raises(ValueError, match="proba|2D array"):
        labels_with_noise(proba, 0.5)
