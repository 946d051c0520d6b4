"""KNet, with both updates of U, on the data of its paper.

The bandwidth follows the shape of the clusters as in Table 1 of the paper: a tenth of the median
distance for moons and spirals, which are thin.
"""

from sklearn_deepcluster.benchmarks.recipes import Config, Published, Recipe

_PAPER = "KNet paper"
_THIN = {"sigma_scale": 0.1}
_FOR_SHAPE = {
    **{name: _THIN for name in ("knet-moon", "knet-spiral")},
    **{f"{name}-split": _THIN for name in ("knet-moon", "knet-spiral")},
    # The paper trains with 300 of the 30,000 rows.
    "knet-spiral_large": {**_THIN, "max_samples": 300},
}
# NMI of Table 2 and, of subsets, Table 4: eigenvectors, Stiefel.
_NMI = {
    "knet-moon": (1.0, 1.0),
    "knet-spiral": (1.0, 1.0),
    "knet-spiral_large": (1.0, 1.0),
    "knet-cancer": (0.842, 0.825),
    "knet-wine": (0.910, 0.900),
    "knet-face": (0.930, 0.926),
    "knet-rcv": (0.463, 0.461),
    "knet-moon-split": (1.0, 1.0),
    "knet-spiral-split": (1.0, 1.0),
    "knet-cancer-split": (0.840, 0.836),
    "knet-wine-split": (0.911, 0.893),
    "knet-face-split": (0.927, 0.911),
    "knet-rcv-split": (0.452, 0.431),
}


def _published(column):
    return {
        name: [
            Published(
                _PAPER, None, nmi[column], average="geometric", held_out=name.endswith("-split")
            )
        ]
        for name, nmi in _NMI.items()
    }


def _literal(n):
    """The authors' code: 20 epochs of batches of 5 per round, labels from normalised rows of U."""
    steps = 20 * (n // 5)
    return Config(
        {"start": "pretrain", "center": None, "scale": None},
        {
            "rounding": "rows",
            "batch_size": 5,
            "update_interval": steps,
            "max_steps": steps,
            "inner_tol": 0.0,
        },
        source="KNet repository, with orthonormal indicators and one state of Adam",
    )


_LITERAL = {
    f"knet-{name}": _literal(n)
    for name, n in {"moon": 1000, "cancer": 683, "wine": 178, "face": 624}.items()
}

RECIPES = [
    Recipe(
        "knet",
        "KNet",
        "KNet",
        representation="IdentityAutoencoder",
        for_shape=_FOR_SHAPE,
        paper=_LITERAL,
        published=_published(0),
    ),
    Recipe(
        "knet-sma",
        "KNet, Stiefel",
        "KNet",
        representation="IdentityAutoencoder",
        default={"update": "stiefel"},
        for_shape=_FOR_SHAPE,
        paper=_LITERAL,
        published=_published(1),
    ),
]
