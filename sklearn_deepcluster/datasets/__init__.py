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

__all__ = [
    "fetch_coil20",
    "fetch_fashion_mnist",
    "fetch_knet",
    "fetch_mnist",
    "fetch_newsgroups",
    "fetch_usps",
    "load_digits",
]
