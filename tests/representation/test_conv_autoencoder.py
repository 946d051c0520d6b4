"""The convolutional autoencoder: images of any size, flat rows, and its refusals."""

import numpy as np
import pytest
from torch import nn

from sklearn_deepcluster import ConvAutoencoder

SMALL = {
    "filters": (6, 8),
    "kernel_sizes": (3, 3),
    "n_components": 5,
    "noise": 0.0,
    "max_epochs": 20,
    "min_steps": 0,
    "batch_size": 32,
    "lr": 5e-3,
    "random_state": 0,
}


def small(**params):
    return ConvAutoencoder(**(SMALL | params))


@pytest.fixture(scope="module")
def images(small_digits):
    return small_digits[0].reshape(-1, 8, 8)


def test_it_learns(images):
    autoencoder = small(max_epochs=40).fit(images)
    back = autoencoder.inverse_transform(autoencoder.transform(images))
    assert back.shape == images.shape and back.dtype == np.float32
    error = np.square(back - images).sum() / np.square(images - images.mean(0)).sum()
    assert error < 0.5
    expected = -np.mean(np.square(back - images, dtype=np.float64)) / autoencoder.scale_**2
    assert autoencoder.score(images) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_precisions_and_noise_train(images, precision, noise):
    autoencoder = small(precision=precision, noise=noise, max_epochs=8).fit(images)
    assert autoencoder.loss_ < 0.9 * autoencoder.history_["loss"][0]
    Z = autoencoder.transform(images)
    assert Z.dtype == np.float32
    np.testing.assert_array_equal(autoencoder.transform(images), Z)


@pytest.mark.parametrize("shape", [(4, 4), (5, 9), (13, 6), (3, 7, 7), (2, 5, 11)])
def test_images_of_any_size_and_number_of_channels(shape):
    X = np.random.default_rng(0).random((30, *shape), dtype=np.float32)
    autoencoder = small(max_epochs=1).fit(X)
    Z = autoencoder.transform(X)
    assert Z.shape == (30, 5)
    assert autoencoder.inverse_transform(Z).shape == X.shape


def test_flat_rows_with_sample_shape_are_the_same_images(images):
    flat = images.reshape(len(images), -1)
    of_images = small(max_epochs=2).fit(images)
    for shape in [(8, 8), (1, 8, 8), [8, 8], np.array([8, 8])]:
        of_rows = small(max_epochs=2, sample_shape=shape).fit(flat)
        np.testing.assert_array_equal(of_rows.transform(flat), of_images.transform(images))
        assert of_rows.inverse_transform(of_rows.transform(flat)).shape == flat.shape
    np.testing.assert_array_equal(of_images.transform(flat), of_images.transform(images))


def test_sample_shape_overrules_the_shape_of_the_array(images):
    autoencoder = small(max_epochs=1, sample_shape=(4, 4, 4)).fit(images)
    first = next(m for m in autoencoder.module_.modules() if isinstance(m, nn.Conv2d))
    assert first.in_channels == 4
    assert autoencoder.inverse_transform(autoencoder.transform(images)).shape == images.shape


@pytest.mark.parametrize("d", [1, 2, 9])
def test_flat_rows_alone_are_one_by_d_images(d):
    X = np.random.default_rng(0).normal(size=(20, d)).astype(np.float32)
    autoencoder = small(max_epochs=1).fit(X)
    assert autoencoder.module_.input_shape == (1, 1, d)
    assert autoencoder.inverse_transform(autoencoder.transform(X)).shape == (20, d)


def test_the_network_is_the_one_described(images):
    module = small(filters=(3, 5, 7), kernel_sizes=(5, 5, 3), max_epochs=1).fit(images).module_
    down = [m for m in module.encoder if isinstance(m, nn.Conv2d)]
    up = [m for m in module.decoder if isinstance(m, nn.ConvTranspose2d)]
    assert [(m.out_channels, m.kernel_size[0], m.stride) for m in down] == [
        (3, 5, (2, 2)),
        (5, 5, (2, 2)),
        (7, 3, (2, 2)),
    ]
    assert [(m.out_channels, m.kernel_size[0]) for m in up] == [(5, 3), (3, 5), (1, 5)]
    assert isinstance(module.encoder[-1], nn.Linear)


def test_warm_start_goes_on(images):
    autoencoder = small(max_epochs=4, warm_start=True).fit(images)
    before = autoencoder.loss_
    assert autoencoder.fit(images).loss_ < before


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"sample_shape": (7, 9)}, "sample_shape"),
        ({"sample_shape": (1, 1, 8, 8)}, "sample_shape"),
        ({"sample_shape": (-8, -8)}, "sample_shape"),
        ({"filters": (4, 4, 4, 4), "kernel_sizes": (3, 3, 3, 3)}, "too small"),
        ({"filters": ()}, "filters"),
        ({"filters": (4,)}, "same length"),
        ({"filters": (4, 0)}, "filters"),
        ({"filters": (4, 2.5)}, "filters"),
        ({"kernel_sizes": (3, 0)}, "kernel_sizes.*positive"),
        ({"kernel_sizes": (3, -3)}, "kernel_sizes.*positive"),
        ({"kernel_sizes": (3, 3.0)}, "kernel_sizes.*positive"),
    ],
    ids=str,
)
def test_networks_that_do_not_fit_are_refused(params, match, images):
    with pytest.raises(ValueError, match=match):
        small(**params).fit(images)


@pytest.mark.parametrize("kernel_sizes", [(4, 5), (5, 4), (2, 2), (5, 5)])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 30])
def test_flat_rows_are_images_of_one_line_for_any_kernel(kernel_sizes, width):
    X = np.random.default_rng(0).normal(size=(40, width)).astype(np.float32)
    model = ConvAutoencoder(
        filters=(3, 4), kernel_sizes=kernel_sizes, n_components=2, max_epochs=1, min_steps=3
    )
    Z = model.fit_transform(X)
    assert Z.shape == (40, 2)
    assert model.inverse_transform(Z).shape == X.shape
