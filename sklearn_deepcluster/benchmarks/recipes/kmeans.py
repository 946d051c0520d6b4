"""The baselines: k-means on the raw input and on the embedding of an autoencoder."""

from sklearn_deepcluster.benchmarks.recipes import Config, Published, Recipe
from sklearn_deepcluster.benchmarks.recipes._pretraining import (
    ADAM_200,
    DEC_KERAS_MNIST,
    DEC_KERAS_TEXT,
    DEC_KERAS_USPS,
    TEXT,
)

_STARTS = {"n_init": 20}
_DEC_KERAS = "DEC-keras"
_DEKM = "DEKM paper"

RECIPES = [
    Recipe(
        "k-means",
        "k-means",
        "sklearn.cluster.KMeans",
        default=_STARTS,
        published={
            "usps": [Published(_DEKM, 0.6681, 0.6262)],
            "mnist": [Published(_DEKM, 0.5340, 0.5000)],
            "mnist-test": [Published("DEPICT paper", 0.547, 0.501, "geometric")],
            # The DEKM paper's .2528 on COIL-20 is implausible beside its own NMI.
            "coil20": [Published("DTKC thesis, best inertia of 20", 0.69, 0.80)],
            "newsgroups": [Published(_DEKM, 0.2159, 0.1970)],
        },
    ),
    Recipe(
        "ae-kmeans",
        "Autoencoder + k-means",
        "sklearn.cluster.KMeans",
        representation="Autoencoder",
        slot=None,
        default=_STARTS,
        paper={
            "usps": Config(DEC_KERAS_USPS, source=_DEC_KERAS),
            "mnist": Config(DEC_KERAS_MNIST, source=_DEC_KERAS),
            "mnist-test": Config(DEC_KERAS_MNIST, source="DEC-keras, as on MNIST"),
            "newsgroups": Config(DEC_KERAS_TEXT, factor=TEXT, source="DEC-keras, as on Reuters"),
        },
        published={
            "usps": [
                Published(_DEC_KERAS, 0.709, 0.684, "geometric"),
                Published("IDEC repository", 0.693),
            ],
            "mnist": [
                Published(_DEC_KERAS, 0.879, 0.807, "geometric"),
                Published("IDEC repository", 0.818),
            ],
            "newsgroups": [Published(_DEKM, 0.4024, 0.3760)],
        },
    ),
    Recipe(
        "cae-kmeans",
        "ConvAutoencoder + k-means",
        "sklearn.cluster.KMeans",
        representation="ConvAutoencoder",
        slot=None,
        default=_STARTS,
        images_only=True,
        paper={
            name: Config(ADAM_200, source="DCEC and DEKM repositories")
            for name in ("usps", "mnist", "mnist-test", "coil20")
        },
        published={
            "usps": [Published(_DEKM, 0.7484, 0.7416)],
            "mnist": [Published(_DEKM, 0.8547, 0.8053)],
            "coil20": [Published(_DEKM, 0.6882, 0.7956)],
        },
    ),
]
