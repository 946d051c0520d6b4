"""k-meansNet: the defaults (TELL), and the free layer of the first paper."""

from sklearn_deepcluster.benchmarks.recipes import Config, Published, Recipe

# The first paper: Adadelta for at most 3000 epochs each, sigmoid embedding, dropout. Neither
# learning rate nor size of the batches is given; alpha was tuned on labels.
_SIGMOID = {
    "center": None,
    "scale": None,
    "noise": 0.2,
    "noise_kind": "dropout",
    "embedding_activation": "sigmoid",
    "output_activation": "sigmoid",
    "optimizer": "adadelta",
    "lr": 1.0,
    "max_epochs": 3000,
    "min_steps": 0,
}
_FREE = {
    "variant": "decoupled",
    "init": "k-means++",
    "alpha": 1e-3,
    "optimizer": "adadelta",
    "lr": 1.0,
    "max_epochs": 3000,
    "min_steps": 0,
}
_PAPER = "k-meansNet paper"

RECIPES = [
    Recipe(
        "kmeansnet",
        "KMeansNet (TELL)",
        "KMeansNet",
        representation="Autoencoder",
    ),
    Recipe(
        "kmeansnet-conv",
        "KMeansNet (TELL), convolutional",
        "KMeansNet",
        representation="ConvAutoencoder",
        default_representation={"embedding_activation": "unit_norm"},
        images_only=True,
    ),
    Recipe(
        "kmeansnet-decoupled",
        "KMeansNet, decoupled",
        "KMeansNet",
        representation="Autoencoder",
        default={"variant": "decoupled"},
        paper={"mnist": Config(_SIGMOID, _FREE, source="k-meansNet paper, batches of 256")},
        published={"mnist": [Published(_PAPER, 0.8776, 0.7870)]},
    ),
    Recipe(
        "kmeansnet-raw",
        "KMeansNet, decoupled, raw data",
        "KMeansNet",
        default={"variant": "decoupled", "autoencoder": "passthrough"},
        published={"mnist": [Published(_PAPER, 0.5755, 0.5031)]},
    ),
    Recipe(
        "kmeansnet-identity",
        "KMeansNet from the data themselves",
        "KMeansNet",
        representation="IdentityAutoencoder",
    ),
    Recipe(
        "sphere-kmeans",
        "Autoencoder of unit norm + k-means",
        "sklearn.cluster.KMeans",
        representation="Autoencoder",
        slot=None,
        default={"n_init": 20},
        default_representation={"embedding_activation": "unit_norm"},
    ),
]
