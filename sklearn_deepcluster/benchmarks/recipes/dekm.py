"""DEKM and its full-batch form DEKM_F: the configuration of the repository.

It stops at 0.5 % of changed labels, where the paper says 0.1 %, and takes text at unit norm.
"""

from sklearn_deepcluster.benchmarks.recipes import Config, Published, Recipe
from sklearn_deepcluster.benchmarks.recipes._pretraining import ADAM_200

# At most 14,000 steps: 350 rounds of 40 for images, 1,400 rounds of 10 for text. Each round has
# fresh k-means starts, twice as many as the iterations that the last one took: about 20.
_IMAGES = {
    "optimizer": "adam",
    "lr": 1e-3,
    "update_interval": 40,
    "max_iter": 350,
    "kmeans_n_init": 20,
    "tol": 5e-3,
}
_TEXT = {**_IMAGES, "update_interval": 10, "max_iter": 1400}
_PAPER = {
    **{
        name: Config(ADAM_200, _IMAGES, source="DEKM repository")
        for name in ("usps", "mnist", "mnist-test", "coil20")
    },
    "newsgroups": Config(ADAM_200, _TEXT, source="DEKM repository"),
}

RECIPES = [
    Recipe(
        "dekm",
        "DEKM",
        "DEKM",
        representation="ConvAutoencoder",
        paper=_PAPER,
        published={
            "usps": [Published("DEKM paper", 0.7975, 0.8223)],
            "mnist": [Published("DEKM paper", 0.9575, 0.9106)],
            "coil20": [Published("DEKM paper", 0.6903, 0.8006)],
            "newsgroups": [Published("DEKM paper", 0.4108, 0.4027)],
        },
    ),
    Recipe(
        "dekm-f",
        "DEKM, full batch",
        "DEKM",
        representation="ConvAutoencoder",
        default={"batch_size": None},
        paper=_PAPER,
        published={
            "usps": [Published("DEKM paper", 0.7887, 0.8051)],
            "mnist": [Published("DEKM paper", 0.9423, 0.9054)],
            "coil20": [Published("DEKM paper", 0.7262, 0.8197)],
            "newsgroups": [Published("DEKM paper", 0.4120, 0.4376)],
        },
    ),
]
