"""IMSAT from random weights, as published."""

from sklearn_deepcluster.benchmarks.recipes import Config, Published, Recipe

_SOURCE = "IMSAT paper"
# All else are the defaults.
_PAPER = Config(
    clusterer={"min_steps": 0, "drift_tol": None},
    source="IMSAT paper and code, but the input at mean square 1",
)

RECIPES = [
    Recipe(
        "imsat",
        "IMSAT",
        "IMSAT",
        slot="encoder",
        paper=dict.fromkeys(("mnist", "newsgroups"), _PAPER),
        published={
            "mnist": [Published(_SOURCE, 0.984, None)],
            "newsgroups": [Published(f"{_SOURCE}, 2,000 words", 0.311, None)],
        },
    ),
]
