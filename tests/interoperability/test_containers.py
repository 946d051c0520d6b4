"""Every container and unit of the same data gives the same result."""

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score

from sklearn_deepcluster._engine import Trainer
from tests._instances import (
    CLUSTERERS,
    ESTIMATORS,
    IMAGE,
    KINDS,
    N_FEATURES,
    N_SAMPLES,
    ON_TOP,
    REPRESENTATIONS,
    SEQUENTIAL,
    accepts,
    assert_same_fit,
    blobs,
    fitted,
    least,
    least_fitted,
    prefix_of,
    same_weights,
    tiny,
)
from tests.interoperability._shared import (
    every_estimator,
    memmap,
    pixels,
)


def fractions():
    """The blobs in float64, with digits that float32 cannot hold."""
    return blobs()[0].astype(np.float64) * np.pi


def read_only(X):
    X = X.copy()
    X.setflags(write=False)
    return X


CONTAINERS = {
    "float64": lambda X, folder: X.astype(np.float64),
    "float16": lambda X, folder: X.astype(np.float16),
    "int64": lambda X, folder: X.astype(np.int64),
    "uint8": lambda X, folder: X.astype(np.uint8),
    "big-endian": lambda X, folder: X.astype(">f4"),
    "list": lambda X, folder: X.tolist(),
    "tuple of arrays": lambda X, folder: tuple(X),
    "frame": lambda X, folder: pd.DataFrame(X),
    "frame of uint8": lambda X, folder: pd.DataFrame(X.astype(np.uint8)),
    "Fortran order": lambda X, folder: np.asfortranarray(X),
    "every second row": lambda X, folder: np.repeat(X, 2, axis=0)[::2],
    "reversed twice": lambda X, folder: X[::-1].copy()[::-1],
    "writeable": lambda X, folder: X.copy(),
    "read-only": lambda X, folder: read_only(X),
    "memmap of float32": memmap,
    "memmap of float64": lambda X, folder: memmap(X.astype(np.float64), folder),
    "memmap of uint8": lambda X, folder: memmap(X.astype(np.uint8), folder),
    "writeable memmap": lambda X, folder: memmap(X, folder, mode="r+"),
    "memmap in Fortran order": lambda X, folder: memmap(X, folder, order="F"),
    "images": lambda X, folder: X.reshape(-1, *IMAGE),
    "images of uint8": lambda X, folder: X.reshape(-1, *IMAGE).astype(np.uint8),
    "images with a channel": lambda X, folder: X.reshape(-1, 1, *IMAGE),
    "list of images": lambda X, folder: list(X.reshape(-1, *IMAGE)),
    "memmap of images": lambda X, folder: memmap(X.astype(np.uint8), folder).reshape(-1, *IMAGE),
}


# All estimators read by the same readers: every container for a network of each kind, two for every
# estimator.
ONE_OF_A_KIND = ("ConvAutoencoder", "DEC", "DDC", "RDDC")
ONE_OF_A_READER = ("memmap of uint8", "list of images")


@functools.cache
def fitted_on_pixels(name, images):
    """Fitted on flat rows; a convolutional network reads them as images if `images`."""
    prefix = prefix_of(name)
    short = {f"{prefix}min_steps": 10}
    if images:
        short |= {f"{prefix}sample_shape": IMAGE}
    return least(name, **{k: v for k, v in short.items() if accepts(name, k)}).fit(pixels())


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize(
    ("name", "container"),
    [
        (name, container)
        for name in ESTIMATORS
        for container in CONTAINERS
        if name in ONE_OF_A_KIND or container in ONE_OF_A_READER
        if name not in SEQUENTIAL or "image" not in container
    ],
)
def test_every_container_gives_the_same_result(name, container, tmp_path):
    X = pixels()
    estimator = fitted_on_pixels(name, "image" in container)
    other = CONTAINERS[container](X, tmp_path)
    before = np.array(other)
    assert estimator.n_features_in_ == N_FEATURES
    Z = estimator.transform(X)
    if "image" not in container or estimator.module_.input_shape is not None:
        np.testing.assert_array_equal(estimator.transform(other), Z)
    again = clone(estimator).fit(other)
    assert again.n_features_in_ == N_FEATURES
    assert same_weights(estimator, again)
    np.testing.assert_array_equal(again.transform(X), Z)
    np.testing.assert_array_equal(again.transform(other), Z)
    if name in CLUSTERERS:
        np.testing.assert_array_equal(again.labels_, estimator.labels_)
        np.testing.assert_array_equal(again.predict(other), estimator.labels_)
    np.testing.assert_array_equal(np.array(other), before)


@pytest.mark.parametrize("name", [*KINDS, *REPRESENTATIONS])
def test_float64_memmaps_equal_arrays_to_the_last_bit(name, tmp_path):
    X = fractions()
    assert_same_fit(least(name).fit(X), least(name).fit(memmap(X, tmp_path)))


@every_estimator
def test_float32_input_is_not_copied(name, monkeypatch):
    """What the engine reads is the caller's own memory, for arrays of any number of dimensions."""
    X = pixels()
    rows = []
    train = Trainer.train

    def record(self, module, objective, used, **kwargs):
        rows.append(used.X)
        return train(self, module, objective, used, **kwargs)

    monkeypatch.setattr(Trainer, "train", record)
    for other in (X, X.reshape(-1, *IMAGE)):
        rows.clear()
        least(name).fit(other)
        if name in ON_TOP:  # it is the representation that reads them
            del rows[-1]
        assert rows and all(np.shares_memory(used, X) for used in rows)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        (name, shape)
        for name in ESTIMATORS
        if name not in SEQUENTIAL
        for shape in (IMAGE, (1, *IMAGE), (4, 2, 2))
        if shape == IMAGE or name in (*KINDS, *REPRESENTATIONS)
    ],
)
def test_images_and_flat_rows_are_interchangeable_after_fit(name, shape):
    X = pixels()
    estimator = least(name).fit(X.reshape(-1, *shape))
    assert estimator.sample_shape_ == shape
    assert estimator.n_features_in_ == N_FEATURES
    Z = estimator.transform(X)
    same = [X.reshape(-1, *shape)]
    if shape in (IMAGE, (1, *IMAGE)):
        same += [X.reshape(-1, *IMAGE), X.reshape(-1, 1, *IMAGE)]
    for other in same:
        np.testing.assert_array_equal(estimator.transform(other), Z)
        if name in CLUSTERERS:
            np.testing.assert_array_equal(estimator.predict(other), estimator.labels_)
    if hasattr(estimator, "inverse_transform"):
        assert estimator.inverse_transform(Z).shape == (N_SAMPLES, *shape)
    flat = fitted_on_pixels(name, False)
    assert flat.sample_shape_ == (N_FEATURES,)
    with pytest.raises(ValueError, match="fitted on samples of shape"):  # which of many shapes?
        flat.transform(X.reshape(-1, *shape))


@pytest.mark.parametrize(
    ("name", "unit"),
    [(name, 255.0) for name in CLUSTERERS]
    + [(name, unit) for name in ("DEC", "DDC", "KNet") for unit in (1e-6, 1e12)],
)
def test_the_unit_of_the_input_does_not_matter(name, unit):
    X, y = blobs()
    estimator, other = fitted(name), tiny(name).fit(unit * X.astype(np.float64))
    assert adjusted_rand_score(estimator.labels_, y) == 1.0
    assert adjusted_rand_score(estimator.labels_, other.labels_) == 1.0
    assert other.scale_ == pytest.approx(unit * estimator.scale_)
    assert other.score(unit * X) == pytest.approx(estimator.score(X), rel=0.02)


@every_estimator
def test_a_unit_that_is_a_power_of_two_changes_no_bit(name):
    X, _ = blobs()
    estimator, other = least_fitted(name), least(name).fit(1024 * X)
    assert same_weights(estimator, other)
    np.testing.assert_array_equal(other.transform(1024 * X), estimator.transform(X))


@every_estimator
def test_feature_names_are_kept_and_checked(name):
    X, _ = blobs()
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(N_FEATURES)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator = least(name).fit(frame)  # nothing inside looses the names and warns
    assert list(estimator.feature_names_in_) == list(frame.columns)
    np.testing.assert_array_equal(estimator.transform(frame), least_fitted(name).transform(X))
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.transform(frame[frame.columns[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        estimator.transform(X)
    assert not hasattr(estimator.fit(X), "feature_names_in_")


@every_estimator
def test_set_output_and_names_of_the_embedding(name):
    X, _ = blobs()
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(N_FEATURES)]).set_index(
        pd.Index(range(1000, 1000 + N_SAMPLES))
    )
    estimator = least(name).set_output(transform="pandas").fit(frame)
    Z = estimator.transform(frame)
    expected = [f"{name.lower()}{i}" for i in range(estimator.n_components_)]
    assert list(estimator.get_feature_names_out()) == list(Z.columns) == expected
    assert list(Z.index) == list(frame.index)
    assert (Z.dtypes == np.float32).all()
    np.testing.assert_array_equal(Z.to_numpy(), least_fitted(name).transform(X))
    if name in CLUSTERERS:
        assert isinstance(estimator.predict(frame), np.ndarray)
