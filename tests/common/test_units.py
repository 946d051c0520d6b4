"""Neither the unit nor the offset of the input matters, for every clusterer."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from tests._instances import (
    CLUSTERERS,
    EVERY_CLUSTERER,
    IMAGE,
    KINDS,
    REPRESENTATIONS,
    accepts,
    blobs,
    fitted,
    least,
    tiny,
)
from tests.common._shared import every_estimator

WITHOUT_NETWORK = [name for name in EVERY_CLUSTERER if name not in CLUSTERERS]


# The centre is taken away before the network: offsets of other sizes for one of each way there.
@pytest.mark.parametrize(
    ("name", "offset"),
    [(name, 1e6) for name in EVERY_CLUSTERER]
    + [(name, offset) for name in (*KINDS, *WITHOUT_NETWORK) for offset in (100.0, -1e4)],
)
def test_an_offset_does_not_matter(name, offset):
    X, y = blobs()
    X = X.astype(np.float64)
    model = tiny(name).fit(X + offset)
    assert adjusted_rand_score(y, model.labels_) == 1.0
    np.testing.assert_array_equal(model.predict(X + offset), model.labels_)


@pytest.mark.parametrize(
    "name",
    ["DEC", "DDC", "RDDC", *WITHOUT_NETWORK],
)
@pytest.mark.parametrize(
    ("unit", "offset"), [(255.0, 0.0), (1e-50, 0.0), (1e50, 0.0), (1e-6, 1.7), (1.0, 1.7e9)]
)
def test_nor_do_extreme_units_or_times(name, unit, offset):
    """A unit of 1e-50 is zero in float32; 1.7e9 is the time in seconds."""
    X, y = blobs()
    X = unit * X.astype(np.float64) + offset
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert adjusted_rand_score(y, tiny(name).fit(X).labels_) == 1.0


@pytest.mark.parametrize("name", ["DEC", "DDC", "KNet"])
def test_float32_input_may_have_an_offset_as_far_as_float32_holds_it(name):
    X, y = blobs()
    assert adjusted_rand_score(y, tiny(name).fit(X + np.float32(1e4)).labels_) == 1.0


@pytest.mark.parametrize("name", [n for n in CLUSTERERS if "Conv" in repr(tiny(n))])
def test_each_channel_has_an_offset_of_its_own(name):
    X, _ = blobs()
    images = np.repeat(X.astype(np.float64).reshape(-1, 1, *IMAGE), 3, axis=1)
    offsets = np.array([0.0, 1e5, -1e6])[:, None, None]
    model, moved = (least(name).fit(x) for x in (images, images + offsets))
    assert model.center_.shape == moved.center_.shape == (3, 1, 1)
    np.testing.assert_allclose(moved.center_ - model.center_, offsets, rtol=1e-9, atol=1e-9)
    assert moved.scale_ == pytest.approx(model.scale_, rel=1e-9)


@pytest.mark.parametrize(
    "name", [n for n in REPRESENTATIONS if n != "ContextPredictor"] + ["IDEC", "DCEC"]
)
def test_the_inverse_is_in_the_units_of_x(name):
    X = blobs()[0].astype(np.float64) + 1e9
    model = tiny(name).fit(X)
    back = model.inverse_transform(model.transform(X))
    assert np.abs(back - X).max() < 2 * np.ptp(X)
    assert back.dtype == np.float64  # float32 would hold hundreds apart


@every_estimator
def test_the_centre_is_switched_off(name):
    parameter = next(
        (p for p in ("center", "autoencoder__center", "encoder__center") if accepts(name, p)), None
    )
    if parameter is None:
        pytest.fail("nothing switches it off")
    model = least(name, **{parameter: None}).fit(blobs()[0])
    assert not model.center_.any()
    assert fitted(name).center_.any()


@every_estimator
def test_rows_that_squeeze_the_others_are_named(name):
    X = blobs()[0].astype(np.float64)
    X[7] += 1e9
    with pytest.warns(UserWarning, match="such as row 7, make .* of its variance") as caught:
        least(name).fit(X)
    ours = [w for w in caught if "variance" in str(w.message)]
    assert {w.filename for w in ours} == {__file__}


@every_estimator
def test_a_background_stays_zero(name):
    """Digits on paper, counts with zeros: what is zero in X is zero to the network."""
    X, _ = blobs()
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.5, 0, X - X.min() + 1)
    model = least(name).fit(X)
    assert not model.center_.any()
