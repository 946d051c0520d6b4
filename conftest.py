"""Fixtures and rules shared by the tests and the doctests."""

import functools
import os
from pathlib import Path

# Before anything imports matplotlib or torch: the tests draw without a display, and threads that
# wait for work sleep (spinning ones make the suite many times slower beside a busy process).
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pytest
import torch
from sklearn import datasets
from sklearn.feature_extraction.text import TfidfVectorizer
from threadpoolctl import threadpool_limits

from sklearn_deepcluster.cluster import _graph_choices, _start
from sklearn_deepcluster.datasets import _newsgroups

DATA_VARIABLE = "SKLEARN_DEEPCLUSTER_DATA"

# Tests of promises other than learning, and the examples: that they run is theirs. In these the
# clustering to start from is a quick one, and learned for few steps; a graph asks for steadiness
# once.
OTHER_PROMISES = (
    "sklearn_deepcluster/",
    "tests/bad_input/",
    "tests/common/",
    "tests/inspection/",
    "tests/interoperability/",
    "tests/test_docs_code.py",
    "tests/test_fitted_state.py",
)
QUICK_START = {
    _start: {"KMEANS_STARTS": 1, "START_ROUND": 10, "START_STEPS": 20, "MAX_START_STEPS": 40},
    _graph_choices: {"N_PARTS": 1},
}


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and torch sees none")


@pytest.fixture(autouse=True, scope="module")
def quick_start(request):
    """By module, so that what the tests of one share starts alike."""
    with pytest.MonkeyPatch.context() as patch:
        if request.node.nodeid.startswith(OTHER_PROMISES):
            for module, values in QUICK_START.items():
                for name, value in values.items():
                    patch.setattr(module, name, value)
        yield


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread():
    """scikit-learn's k-means sets the threads of BLAS, those of the whole process, while it runs.

    Where fits in two threads overlap, one of them can leave its number behind, and what KNet takes
    from LAPACK is rounded otherwise ever after.
    """
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(scope="session")
def digits():
    """The 1,797 handwritten digits: ``X`` float32 in [0, 1] of shape (1797, 64), ``y``.

    Both are read-only: a test that writes to its input fails, and none can spoil another.
    """
    X, y = datasets.load_digits(return_X_y=True)
    X = np.ascontiguousarray(X / 16, dtype=np.float32)
    X.setflags(write=False)
    y.setflags(write=False)
    return X, y


@pytest.fixture(scope="session")
def small_digits(digits):
    """The first 300 digits: read-only ``X`` of shape (300, 64) and ``y``."""
    X, y = digits
    return X[:300], y[:300]


@pytest.fixture(scope="session")
def data_home():
    """Folder of the local data files; skips where the environment names none."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        pytest.skip(f"needs local data: set {DATA_VARIABLE} to the folder of the npz files")
    if not Path(folder).is_dir():
        pytest.fail(f"{DATA_VARIABLE} names {folder!r}, which is no folder")
    return Path(folder)


class VectorizedOnce(TfidfVectorizer):
    """What it makes of as many posts by the same parameters is made once."""

    made = {}

    def fit_transform(self, raw_documents, y=None):
        key = repr(self), len(raw_documents)
        if key not in self.made:
            self.made[key] = super().fit_transform(raw_documents), dict(vars(self))
        X, state = self.made[key]
        vars(self).update(state)
        return X


posts_once = functools.cache(_newsgroups._from_file)


@pytest.fixture(scope="module")
def quick_newsgroups(data_home):
    """The 18,846 posts are read once, and their words counted once, by all tests of a process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_newsgroups, "_from_file", posts_once)
        patch.setattr(_newsgroups, "TfidfVectorizer", VectorizedOnce)
        yield
