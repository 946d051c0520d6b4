"""AEC: the network of the authors' demonstration code, trained by Adam.

There the weight of the distances is a tenth of that of the reconstruction error, both sums over
coordinates: with a mean over d features it is 0.1 / d.
"""

from sklearn_deepcluster.benchmarks.recipes import Config, Published, Recipe

_PRETRAINING = {
    "hidden_layer_sizes": (1000, 250, 50),
    "activation": "sigmoid",
    "embedding_activation": "sigmoid",
    "output_activation": "sigmoid",
    "center": None,
    "scale": None,
    "noise": 0.0,
    "layerwise_epochs": 10,
    "max_epochs": 200,
    "min_steps": 0,
}
_CLUSTERING = {"max_epochs": 60, "min_steps": 0, "tol": 0.0}

_KNET = "KNet paper"
_FULL = {"moon": 0.562, "spiral": 0.283, "cancer": 0.799, "wine": 0.546, "rcv": 0.393}
_FULL["face"] = 0.768
_SPLIT = {"moon": 0.511, "spiral": 0.322, "cancer": 0.764, "wine": 0.491, "rcv": 0.268}
_SPLIT["face"] = 0.525


def _published():
    found = {}
    for names, suffix in ((_FULL, ""), (_SPLIT, "-split")):
        for name, nmi in names.items():
            row = Published(_KNET, None, nmi, average="geometric", held_out=bool(suffix))
            found[f"knet-{name}{suffix}"] = [row]
    return found


RECIPES = [
    Recipe(
        "aec",
        "AEC",
        "AEC",
        representation="Autoencoder",
        paper={
            name: Config(
                _PRETRAINING,
                {"lam": 0.1 / d, **_CLUSTERING},
                source="AEC demonstration code, with squared distances and Adam",
            )
            for name, d in {"mnist": 784, "usps": 256}.items()
        },
        published=_published(),
    )
]
