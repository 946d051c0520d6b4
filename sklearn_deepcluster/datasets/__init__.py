"""Data sets on which deep clustering methods are compared."""

from sklearn_deepcluster.datasets._images import (
    fetch_coil20,
    fetch_fashion_mnist,
    fetch_mnist,
    fetch_usps,
    load_digits,
)
from sklearn_deepcluster.datasets._knet import fetch_knet
from sklearn_deepcluster.datasets._newsgroups import fetch_newsgroups
from sklearn_deepcluster.datasets._sequences import (
    fetch_character_trajectories,
    fetch_spoken_arabic_digits,
)

__all__ = [
    "fetch_character_trajectories",
    "fetch_coil20",
    "fetch_fashion_mnist",
    "fetch_knet",
    "fetch_mnist",
    "fetch_newsgroups",
    "fetch_spoken_arabic_digits",
    "fetch_usps",
    "load_digits",
]
