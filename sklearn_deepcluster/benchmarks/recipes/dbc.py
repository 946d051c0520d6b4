"""DBC: no configuration is public beside the figures."""

from sklearn_deepcluster.benchmarks.recipes import Published, Recipe

_THESIS = "DTKC thesis"

RECIPES = [
    Recipe(
        "dbc",
        "DBC",
        "DBC",
        representation="ConvAutoencoder",
        images_only=True,
        default_representation={"batch_norm": True},
        published={
            "mnist": [Published(_THESIS, 0.964, 0.917)],
            "usps": [Published(_THESIS, 0.743, 0.724)],
            "coil20": [Published(_THESIS, 0.793, 0.895)],
        },
    )
]
