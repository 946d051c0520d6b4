"""DEC: the configuration of DEC-keras, whose ten runs per data set are the best documented."""

from sklearn_deepcluster.benchmarks.recipes import Config, Published, Recipe
from sklearn_deepcluster.benchmarks.recipes._pretraining import (
    DEC_KERAS_MNIST,
    DEC_KERAS_TEXT,
    DEC_KERAS_USPS,
    TEXT,
)

# At most 20,000 steps of SGD.
_CLUSTERING = {
    "optimizer": "sgd",
    "lr": 0.01,
    "momentum": 0.9,
    "max_epochs": 1,
    "min_steps": 20_000,
    "tol": 1e-3,
}
_MNIST = {**_CLUSTERING, "update_interval": 140}
_OTHER = {**_CLUSTERING, "update_interval": 30}

RECIPES = [
    Recipe(
        "dec",
        "DEC",
        "DEC",
        representation="Autoencoder",
        paper={
            "usps": Config(DEC_KERAS_USPS, _OTHER, source="DEC-keras"),
            "mnist": Config(DEC_KERAS_MNIST, _MNIST, source="DEC-keras"),
            "mnist-test": Config(DEC_KERAS_MNIST, _MNIST, source="DEC-keras, as on MNIST"),
            "newsgroups": Config(
                DEC_KERAS_TEXT, _OTHER, factor=TEXT, source="DEC-keras, as on Reuters"
            ),
        },
        published={
            # The DEKM paper's .7368 on USPS looks like a slip: it is the value for Reuters.
            "usps": [
                Published("IDEC repository", 0.741),
                Published("DEC-keras", 0.764, 0.787, "geometric"),
            ],
            "mnist": [
                Published("DEC, as quoted by DEKM", 0.8430, 0.8372),
                Published("DEC-keras", 0.912, 0.869, "geometric"),
            ],
            "mnist-test": [Published("DEPICT paper", 0.859, 0.827, "geometric")],
            "coil20": [Published("DEC, as quoted by DEKM", 0.6542, 0.8049)],
            "newsgroups": [Published("DEKM paper", 0.3565, 0.4379)],
        },
    )
]
