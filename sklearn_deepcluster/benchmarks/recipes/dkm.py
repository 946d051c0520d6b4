"""DKM: the configuration of its repository, with a pretraining and annealed from scratch.

There reconstruction error and distance are sums over coordinates, weighed 1 to 1, of X as it is:
with a mean over d features the distance has the weight 1 / d. An epoch is a pass over the data.
"""

from sklearn_deepcluster.benchmarks.recipes import Config, Published, Recipe

_FEATURES = {"mnist": 784, "usps": 256, "newsgroups": 2000}
_NETWORK = {"center": None, "scale": None, "noise": 0.0}
_PRETRAINING = {**_NETWORK, "optimizer": "adam", "lr": 1e-3, "max_epochs": 50, "min_steps": 0}
_SCRATCH = {"max_epochs": 0, "min_steps": 0}


def _clustering(d, epochs):
    shared = {"optimizer": "adam", "lr": 1e-3, "min_steps": 0, "tol": 0.0}
    return {"lam": 1 / d, "max_epochs": epochs, **shared}


def _published(numbers):
    return {name: [Published(source, acc, nmi)] for name, (source, acc, nmi) in numbers.items()}


_DEKM = "DEKM paper"
_DKM = "DKM paper"

RECIPES = [
    Recipe(
        "dkm",
        "DKM, pretrained",
        "DKM",
        representation="Autoencoder",
        paper={
            name: Config(_PRETRAINING, _clustering(d, 100), source="DKM repository, DKM_p")
            for name, d in _FEATURES.items()
        },
        published=_published(
            {
                "mnist": (_DEKM, 0.840, 0.796),
                "usps": (_DEKM, 0.757, 0.776),
                "newsgroups": (_DEKM, 0.512, 0.467),
            }
        ),
    ),
    Recipe(
        "dkm-annealed",
        "DKM, from scratch",
        "DKM",
        representation="Autoencoder",
        default={
            "alpha": "annealed",
            "init": "random",
            "lam": 0.003,
            "max_epochs": 200,
            "min_steps": 7400,
        },
        default_representation=_SCRATCH,
        paper={
            name: Config(_NETWORK, _clustering(d, 200), source="DKM repository, DKM_a")
            for name, d in _FEATURES.items()
        },
        published=_published(
            {
                "mnist": (_DKM, 0.823, 0.780),
                "usps": (_DKM, 0.755, 0.730),
                "newsgroups": (_DKM, 0.448, 0.428),
            }
        ),
    ),
]
