"""On real digits every method is far better than chance and no worse than what it starts from."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import normalized_mutual_info_score

from sklearn_deepcluster import DCEC, DEC, DEKM, IDEC, Autoencoder, ConvAutoencoder, KMeansNet
from sklearn_deepcluster.metrics import unsupervised_accuracy

N_ROWS = 600
TRAINING = {
    "max_epochs": 30,
    "min_steps": 0,
    "batch_size": 64,
    "validation_fraction": None,  # of so few rows all are needed
    "random_state": 0,
}


@pytest.fixture(scope="module")
def representations(digits):
    """A dense and a convolutional autoencoder, fitted, and the images that they were given."""
    X = digits[0][:N_ROWS].reshape(-1, 8, 8)
    models = {
        "dense": Autoencoder(hidden_layer_sizes=(96, 96), n_components=10, **TRAINING),
        "conv": ConvAutoencoder(
            filters=(12, 16), kernel_sizes=(3, 3), n_components=10, lr=3e-3, **TRAINING
        ),
    }
    return X, {name: FrozenEstimator(model.fit(X)) for name, model in models.items()}


@pytest.mark.parametrize(
    ("cls", "kind", "params"),
    [
        (DEC, "dense", {"min_steps": 400}),
        (IDEC, "dense", {"min_steps": 400}),
        (DCEC, "conv", {"min_steps": 200}),
        (DEKM, "dense", {"max_iter": 10}),
        (DEKM, "conv", {"max_iter": 10}),
        (KMeansNet, "dense", {"min_steps": 200}),
    ],
    ids=["DEC", "IDEC", "DCEC", "DEKM", "DEKM-conv", "KMeansNet"],
)
def test_methods_cluster_digits(cls, kind, params, digits, representations):
    X, models = representations
    y = digits[1][:N_ROWS]
    initial = KMeans(10, n_init=20, random_state=0).fit_predict(models[kind].transform(X))
    model = cls(10, autoencoder=models[kind], batch_size=64, lr=1e-3, random_state=0, **params).fit(
        X
    )
    accuracy = unsupervised_accuracy(y, model.labels_)
    # Chance is 0.1 (and about 0.2 after the best matching).
    assert accuracy > 0.6
    assert accuracy >= unsupervised_accuracy(y, initial) - 0.02
    nmi = normalized_mutual_info_score(y, model.labels_)
    assert nmi > 0.6
    assert nmi >= normalized_mutual_info_score(y, initial) - 0.02
    assert len(np.unique(model.labels_)) == 10


def test_digits_that_were_not_trained_on_are_clustered_about_as_well(digits, representations):
    X, models = representations
    idec = IDEC(
        10, autoencoder=models["dense"], batch_size=64, min_steps=400, lr=1e-3, random_state=0
    ).fit(X)
    held_out, y = digits[0][N_ROWS:], digits[1]
    inside = unsupervised_accuracy(y[:N_ROWS], idec.labels_)
    outside = unsupervised_accuracy(y[N_ROWS:], idec.predict(held_out))
    assert outside > inside - 0.15
