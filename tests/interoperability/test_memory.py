"""A memory map is fitted in less memory than a float32 copy of it would take."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from tests._instances import ESTIMATORS

MEMORY_LIMITED = """
import resource, sys
import numpy as np
import torch
from tests._instances import (
    CLUSTERERS, END_TO_END, N_CLUSTERS, PAIRWISE, SEQUENTIAL, prefix_of, tiny
)

torch.set_num_threads(1)
X = np.memmap("X.dat", dtype=np.uint8, mode="r", shape=(40_000, 400))
float32_size = 4 * X.size
init = np.arange(2.0 * N_CLUSTERS).reshape(N_CLUSTERS, 2)


def quick(name):
    training = {"batch_size": 2048, "min_steps": 0, "max_epochs": 1}
    network = {**training, "noise": 0.0, "filters": (1,), "kernel_sizes": (3,)}
    network["sample_shape"] = (20, 20)
    own = {**training, "max_iter": 1, "update_interval": 10, "init": init, "max_samples": 500}
    own["n_neighbors"] = 2  # a graph of all rows is of the size of its edges
    own["epochs_per_period"] = 1
    if name in END_TO_END:
        own |= {"init": None}
    if name in PAIRWISE:
        own |= {"batch_size": 256}
    if name in SEQUENTIAL:
        network["sample_shape"] = (2, 200)
    if name in CLUSTERERS:
        params = own | {f"{prefix_of(name)}{key}": value for key, value in network.items()}
    else:
        params = network
    known = tiny(name).get_params()
    return tiny(name, **{key: value for key, value in params.items() if key in known})


def data_size():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmData"))


for name in sys.argv[1:]:
    quick(name).fit(X)  # whatever the libraries load late, for blocks of these sizes
for name in sys.argv[1:]:
    limit = data_size() + int(0.75 * float32_size)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))
    estimator = quick(name).fit(X)
    # An embedding as wide as the data would take as much by itself.
    part = X if estimator.n_components_ < 20 else X[:2048]
    Z = estimator.transform(part)
    assert Z.shape == (len(part), estimator.n_components_) and np.isfinite(Z).all()
    if name in CLUSTERERS:
        assert np.array_equal(estimator.predict(X), estimator.labels_)
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY,) * 2)
    print(name)
limit = data_size() + int(0.75 * float32_size)
resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))
try:
    X.astype(np.float32)
except MemoryError:
    print("the limit holds")
"""


FREED_AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "2097152", "MALLOC_TRIM_THRESHOLD_": "2097152"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA is Linux's")
@pytest.mark.parametrize(
    "names",
    [
        # What reads the rows is shared: a network of each kind, and a loss of pairs.
        pytest.param(["DEC", "ConvAutoencoder", "DTKC", "RDDC"], id="one of each kind"),
        pytest.param(ESTIMATORS, id="all", marks=pytest.mark.slow),
    ],
)
def test_a_uint8_memmap_needs_less_memory_than_its_float32_size(names, tmp_path):
    """In a process whose limit a float32 copy of the data would break, as it shows at the end.

    The C library gives freed memory back at once: a copy in what it kept would not be seen.
    """
    random = np.random.RandomState(0)
    X = np.memmap(tmp_path / "X.dat", dtype=np.uint8, mode="w+", shape=(40_000, 400))
    X[:] = random.randint(256, size=(2000, 400), dtype=np.uint8)[np.arange(40_000) % 2000]
    X.flush()
    del X
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(MEMORY_LIMITED), *names],
        cwd=tmp_path,
        env={**os.environ, **FREED_AT_ONCE, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == [*names, "the limit holds"]
