"""DEPICT, the learning strategies of its Table 3, and its semi-supervised form."""

from sklearn_deepcluster.benchmarks.recipes import Config, Published, Recipe

# The repository: batches of 100, Adam at 1e-4, at most 4001 epochs of pretraining that stop by a
# validation set stratified by the true labels, which is not imitated: 400 epochs instead.
_PRETRAINING = {
    "n_components": 10,
    "center": None,
    "scale": None,
    "noise": 0.1,
    "noise_kind": "dropout",
    "hidden_weight": 0.1,
    "activation": "leaky_relu",
    "embedding_activation": "tanh",
    "filters": (50, 50),
    "kernel_sizes": (4, 5),
    "batch_size": 100,
    "lr": 1e-4,
    "max_epochs": 400,
    "min_steps": 0,
}
_CLUSTERING = {
    "batch_size": 100,
    "lr": 1e-4,
    "max_epochs": 400,
    "min_steps": 0,
    "tol": 1e-4,
    "prior": None,
}
_SOURCE = "DEPICT repository, 400 epochs each, pixels in [0, 1] where it has [-1, 1]"


def _config(init):
    return Config(_PRETRAINING, {**_CLUSTERING, "init": init}, source=_SOURCE)


# NMI / ACC of Table 3 on MNIST-full, MNIST-test and USPS; the paper's USPS has 11,000 images.
def _published(mnist, mnist_test, usps):
    names = {"mnist": mnist, "mnist-test": mnist_test, "usps": usps}
    return {
        name: [
            Published(
                "DEPICT paper, 11,000 images" if name == "usps" else "DEPICT paper",
                acc,
                nmi,
                "geometric",
            )
        ]
        for name, (acc, nmi) in names.items()
    }


RECIPES = [
    Recipe(
        "depict",
        "DEPICT",
        "DEPICT",
        representation="ConvAutoencoder",
        paper={
            "usps": _config("ac-pic"),
            "mnist": _config("k-means"),
            "mnist-test": _config("ac-pic"),
        },
        published=_published((0.965, 0.917), (0.963, 0.915), (0.964, 0.927)),
    ),
    Recipe(
        "depict-rda",
        "DEPICT, RdA",
        "DEPICT",
        representation="ConvAutoencoder",
        default_representation={"hidden_weight": 0.0},
        published=_published((0.677, 0.808), (0.950, 0.899), (0.923, 0.901)),
    ),
    Recipe(
        "depict-sda",
        "DEPICT, SdA",
        "DEPICT",
        representation="ConvAutoencoder",
        default={"lam": 0.0},
        default_representation={"hidden_weight": 0.0, "layerwise_epochs": 20},
        published=_published((0.427, 0.365), (0.390, 0.353), (0.412, 0.328)),
    ),
    Recipe(
        "depict-100-labels",
        "DEPICT, 100 labels",
        "DEPICT",
        representation="ConvAutoencoder",
        default={"semi_supervised": True},
        n_labels=100,
        # 2.65 % of the test part in error.
        published={"mnist-split": [Published("DEPICT paper, held out", 0.9735, held_out=True)]},
    ),
]
