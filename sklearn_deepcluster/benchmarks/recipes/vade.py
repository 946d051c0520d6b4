"""VaDE: the configuration of its repository for MNIST, for fewer epochs.

Of its 3,000 epochs, 2 million steps, 100 are made. The learning rate is the least that the
repository comes down to, so that these are like its last.
"""

from sklearn_deepcluster.benchmarks.recipes import Config, Published, Recipe

_PRETRAINING = {
    "center": None,
    "scale": None,
    "output_activation": "sigmoid",
    "noise": 0.0,
    "layerwise_epochs": 10,
    "max_epochs": 50,
    "min_steps": 0,
}
_CLUSTERING = {"batch_size": 100, "lr": 2e-4, "max_epochs": 100, "min_steps": 0}

RECIPES = [
    Recipe(
        "vade",
        "VaDE",
        "VaDE",
        representation="Autoencoder",
        paper={
            "mnist": Config(
                _PRETRAINING, _CLUSTERING, source="VaDE repository, 100 epochs of its 3,000"
            )
        },
        published={"mnist": [Published("VaDE repository, best of several", 0.945)]},
    )
]
