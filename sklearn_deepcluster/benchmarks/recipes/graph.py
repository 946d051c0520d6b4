"""Graph agglomeration of the raw input and of embeddings."""

from sklearn_deepcluster.benchmarks.recipes import Published, Recipe

_SOURCE = "DEPICT paper"

RECIPES = [
    Recipe(
        "graph-degree",
        "Graph degree linkage",
        "GraphAgglomerative",
        slot=None,
        default={"linkage": "degree"},
        # The paper's USPS is another release of 11,000 images.
        published={"mnist-test": [Published(_SOURCE, 0.933, 0.844, "geometric")]},
    ),
    Recipe(
        "graph-path",
        "Graph path integral",
        "GraphAgglomerative",
        slot=None,
        default={"linkage": "path_integral"},
        published={"mnist-test": [Published(_SOURCE, 0.920, 0.853, "geometric")]},
    ),
    Recipe(
        "graph-modularity",
        "Graph modularity",
        "GraphAgglomerative",
        slot=None,
        default={"linkage": "modularity"},
    ),
    Recipe(
        "ae-graph",
        "Autoencoder + graph degree linkage",
        "GraphAgglomerative",
        representation="Autoencoder",
        slot=None,
        default={"linkage": "degree"},
    ),
    Recipe(
        "cae-graph",
        "ConvAutoencoder + graph degree linkage",
        "GraphAgglomerative",
        representation="ConvAutoencoder",
        slot=None,
        default={"linkage": "degree"},
        images_only=True,
    ),
]
