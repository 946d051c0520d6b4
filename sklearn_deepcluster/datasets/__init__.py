"""Data sets on which deep clustering methods are compared."""

from sklearn_deepcluster.datasets._images import (
    fetch_cmu_pie,
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
    fetch_japanese_vowels,
    fetch_osu_leaf,
    fetch_spoken_arabic_digits,
)
from sklearn_deepcluster.datasets._tables import (
    fetch_cifar10_efficientnet,
    fetch_news20_wordllama,
    fetch_pbmc68k_reduced,
)

__all__ = [
    "fetch_character_trajectories",
    "fetch_cifar10_efficientnet",
    "fetch_cmu_pie",
    "fetch_coil20",
    "fetch_fashion_mnist",
    "fetch_japanese_vowels",
    "fetch_knet",
    "fetch_mnist",
    "fetch_news20_wordllama",
    "fetch_newsgroups",
    "fetch_osu_leaf",
    "fetch_pbmc68k_reduced",
    "fetch_spoken_arabic_digits",
    "fetch_usps",
    "load_digits",
]
