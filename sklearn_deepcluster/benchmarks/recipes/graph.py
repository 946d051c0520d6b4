"""Graph agglomeration of the raw input: degree linkage and path integral."""

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
]
