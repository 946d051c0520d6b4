"""IDEC: the configuration of its repository, after DEC's original pretraining."""

from sklearn_deepcluster.benchmarks.recipes import Config, Published, Recipe
from sklearn_deepcluster.benchmarks.recipes._pretraining import (
    DEC_KERAS_TEXT,
    TEXT,
    stacked_denoising,
)

_CLUSTERING = {"gamma": 0.1, "max_epochs": 1, "min_steps": 20_000, "tol": 1e-3}
_ADAM = {**_CLUSTERING, "optimizer": "adam", "lr": 1e-3, "update_interval": 140}
_SGD = {**_CLUSTERING, "optimizer": "sgd", "lr": 0.1, "momentum": 0.99}
_SOURCE = "IDEC repository; pretraining of the DEC repository at a constant learning rate"

RECIPES = [
    Recipe(
        "idec",
        "IDEC",
        "IDEC",
        representation="Autoencoder",
        paper={
            "usps": Config(stacked_denoising(1352), {**_SGD, "update_interval": 30}, 2.0, _SOURCE),
            "mnist": Config(stacked_denoising(183), _ADAM, 5.1, _SOURCE),
            "mnist-test": Config(stacked_denoising(1250), _ADAM, 5.1, f"{_SOURCE}; as on MNIST"),
            "newsgroups": Config(
                DEC_KERAS_TEXT,
                {**_SGD, "update_interval": 3},
                TEXT,
                "IDEC repository, as on Reuters; pretraining of DEC-keras",
            ),
        },
        published={
            "usps": [Published("IDEC paper, as quoted by DEKM", 0.7605, 0.7846, "geometric")],
            "mnist": [Published("IDEC paper, as quoted by DEKM", 0.8806, 0.8672, "geometric")],
            "newsgroups": [Published("DEKM paper", 0.4050, 0.3820)],
        },
    )
]
