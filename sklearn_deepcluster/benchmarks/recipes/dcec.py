"""DCEC: the configuration of its repository, the same on every data set."""

from sklearn_deepcluster.benchmarks.recipes import Config, Published, Recipe
from sklearn_deepcluster.benchmarks.recipes._pretraining import ADAM_200

_CLUSTERING = {
    "gamma": 0.1,
    "optimizer": "adam",
    "lr": 1e-3,
    "max_epochs": 1,
    "min_steps": 20_000,
    "update_interval": 140,
    "tol": 1e-3,
}

RECIPES = [
    Recipe(
        "dcec",
        "DCEC",
        "DCEC",
        representation="ConvAutoencoder",
        images_only=True,
        paper={
            name: Config(ADAM_200, _CLUSTERING, source="DCEC repository")
            for name in ("usps", "mnist", "mnist-test", "coil20")
        },
        published={
            "usps": [Published("DEKM paper", 0.7835, 0.8134)],
            "mnist": [Published("DEKM paper", 0.8716, 0.8592)],
            "coil20": [Published("DEKM paper", 0.7188, 0.8224)],
        },
    )
]
