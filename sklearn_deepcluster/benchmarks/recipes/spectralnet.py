"""SpectralNet on the data of its paper and of KNet's."""

from sklearn_deepcluster.benchmarks.recipes import Config, Published, Recipe

_SOURCE = "SpectralNet paper"
# NMI of Table 2 and, of subsets, Table 4 of the KNet paper.
_BY_KNET = {
    "knet-moon": 1.0,
    "knet-spiral": 1.0,
    "knet-cancer": 0.829,
    "knet-wine": 0.797,
    "knet-rcv": 0.435,
    "knet-face": 0.756,
    "knet-moon-split": 1.0,
    "knet-spiral-split": 1.0,
    "knet-cancer-split": 0.822,
    "knet-wine-split": 0.772,
    "knet-rcv-split": 0.413,
    "knet-face-split": 0.755,
}

RECIPES = [
    Recipe(
        "spectralnet",
        "SpectralNet",
        "SpectralNet",
        paper={
            "mnist": Config(
                clusterer={
                    "affinity": "siamese",
                    "n_neighbors": 2,
                    "scale_k": 1,
                    "max_epochs": 400,
                    "optimizer": "rmsprop",
                },
                source="SpectralNet repository, on codes of our autoencoder and with our gradient",
            )
        },
        published={
            "mnist": [Published(_SOURCE, 0.971, 0.924)],
            **{
                name: [
                    Published(
                        "KNet paper",
                        None,
                        nmi,
                        average="geometric",
                        held_out=name.endswith("-split"),
                    )
                ]
                for name, nmi in _BY_KNET.items()
            },
        },
    ),
]
