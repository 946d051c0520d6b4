"""Weights that are none are refused, before any training."""

import numpy as np
import pytest

from tests._instances import N_SAMPLES, WEIGHTED, blobs, tiny


def with_value(value):
    weights = np.ones(N_SAMPLES)
    weights[17] = value
    return weights


BAD = {
    "negative": (with_value(-1.0), "Negative values"),
    "a negative number": (-1.0, "Negative values"),
    "NaN": (with_value(np.nan), "NaN"),
    "infinite": (with_value(np.inf), "infinity"),
    "all 0": (np.zeros(N_SAMPLES), "non-zero"),
    "too few": (np.ones(N_SAMPLES - 1), r"\(299,\), expected \(300,\)"),
    "two columns": (np.ones((N_SAMPLES, 2)), "1D array"),
    "strings": (np.full(N_SAMPLES, "heavy"), "could not convert|dtype='numeric'"),
    "a string": ("balanced", ""),
    "complex": (np.ones(N_SAMPLES, dtype=complex), "Complex"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("name", ["DEC", "DEPICT", "Autoencoder", "FuzzyCMeans"])
def test_bad_weights_are_refused(name, case, no_training):
    weights, match = BAD[case]
    estimator = tiny(name)
    with pytest.raises(ValueError, match=f"(?s)sample_weight.*({match})"):
        estimator.fit(blobs()[0], sample_weight=weights)
    assert not hasattr(estimator, "n_features_in_")


@pytest.mark.parametrize("name", WEIGHTED)
def test_every_method_refuses_bad_weights(name, no_training):
    with pytest.raises(ValueError, match="sample_weight"):
        tiny(name).fit(blobs()[0], sample_weight=with_value(-1.0))


@pytest.mark.parametrize("name", ["DEC", "FuzzyCMeans"])
def test_rows_of_weight_0_are_no_clusters(name, no_training):
    with pytest.raises(ValueError, match="n_samples=2 should be >= n_clusters=3"):
        tiny(name).fit(blobs()[0], sample_weight=np.arange(N_SAMPLES) < 2)
