"""DCN: the configuration of its repository for raw MNIST.

There reconstruction error and distance are sums over coordinates, weighed 1 to 1: with a mean over
d features, half the squared distance has the weight 2 / d. Nesterov's momentum is plain here.
"""

from sklearn_deepcluster.benchmarks.recipes import Config, Published, Recipe

# 250 epochs a layer and 250 for the whole, tied weights, ReLUs everywhere.
_PRETRAINING = {
    "center": None,
    "scale": None,
    "noise": 0.0,
    "tied": True,
    "embedding_activation": "relu",
    "output_activation": "relu",
    "layerwise_epochs": 250,
    "optimizer": "sgd",
    "lr": 0.01,
    "momentum": 0.9,
    "max_epochs": 250,
    "min_steps": 0,
}
_CLUSTERING = {
    "lam": 2 / 784,
    "optimizer": "sgd",
    "lr": 1e-4,
    "momentum": 0.9,
    "max_epochs": 50,
    "min_steps": 0,
    "tol": 0.0,
}

RECIPES = [
    Recipe(
        "dcn",
        "DCN",
        "DCN",
        representation="Autoencoder",
        paper={"mnist": Config(_PRETRAINING, _CLUSTERING, source="DCN repository, raw MNIST")},
        published={
            "usps": [Published("DEKM paper", 0.67, 0.67)],
            "mnist": [
                Published("DTKC thesis", 0.83, 0.81),
                Published("DEKM paper", 0.84, 0.80),
            ],
            "coil20": [Published("DEKM paper", 0.74, 0.81)],
            "newsgroups": [Published("DEKM paper", 0.44, 0.48)],
        },
    )
]
