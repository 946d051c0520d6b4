"""What the parts share: the device and the sizes, the time, the estimators."""

import contextlib
import dataclasses
import os
import statistics
import time
import traceback
import warnings

import numpy as np
import torch
from sklearn.base import ClusterMixin

from sklearn_deepcluster._engine import Callback
from sklearn_deepcluster.base import TorchEstimator
from sklearn_deepcluster.datasets import fetch_mnist
from sklearn_deepcluster.datasets._base import DATA_VARIABLE
from sklearn_deepcluster.representation import ConvEncoder
from sklearn_deepcluster.representation._encoders import DefaultEncoder
from sklearn_deepcluster.utils.discovery import all_estimators


@dataclasses.dataclass(frozen=True)
class Setting:
    """Where and how large.

    Attributes
    ----------
    device : str
    dry : bool
        Tiny sizes, on the CPU: whether all runs, not how fast.
    """

    device: str
    dry: bool

    def size(self, full, dry):
        """A number by whether this is a dry run."""
        return dry if self.dry else full


def card(setting):
    """What is known of the device, for the record."""
    if torch.device(setting.device).type != "cuda":
        return {"name": setting.device}
    known = torch.cuda.get_device_properties(setting.device)
    return {
        "name": known.name,
        "memory_gib": known.total_memory / 2**30,
        "capability": f"{known.major}.{known.minor}",
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def synchronize(device):
    """Wait until the device has done all that was asked of it."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def timed(function, device):
    """Seconds that a call takes on the device, and what it returns."""
    synchronize(device)
    began = time.perf_counter()
    out = function()
    synchronize(device)
    return time.perf_counter() - began, out


@contextlib.contextmanager
def peak_memory(device):
    """Gives a dict, in which afterwards is the peak of memory on the device, "peak_mb"."""
    found = {"peak_mb": None}
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    yield found
    if on_gpu:
        found["peak_mb"] = (torch.cuda.max_memory_allocated(device) - before) / 2**20


class StepSeconds(Callback):
    """Seconds per step of each epoch, without what is done between epochs.

    In a list of the class, which survives the copying of callbacks.
    """

    seconds = []

    def on_epoch_begin(self, net, **kwargs):
        self.n_steps_ = 0
        synchronize(net.device)
        self.began_ = time.perf_counter()

    def on_batch_end(self, net, **kwargs):
        self.n_steps_ += 1

    def on_epoch_end(self, net, **kwargs):
        synchronize(net.device)
        if self.n_steps_:
            self.seconds.append((time.perf_counter() - self.began_) / self.n_steps_)


def step_seconds(estimator, X):
    """Median seconds per step of the last stage of a fit, whose first epoch warms up.

    Returns
    -------
    seconds : float or None
        None where nothing is trained.
    n_epochs : int
        Of which it is the median.
    """
    StepSeconds.seconds.clear()
    estimator.set_params(callbacks=[StepSeconds()]).fit(X)
    measured = list(StepSeconds.seconds)
    measured = measured[1:] or measured
    return statistics.median(measured) if measured else None, len(measured)


# Parameters by which a fit is short, where an estimator or its network has them; what is small is
# so for all. No estimator has to be entered here.
SHORT = {
    "max_epochs": 2,
    "min_steps": 20,
    "max_iter": 2,
    "max_steps": 20,
    "update_interval": 10,
    "epochs_per_period": 2,
    "warm_up_epochs": 1,
    "batch_size": 64,
    "noise": 0.0,  # its draws on a GPU are others than on a CPU
}
SMALL = {
    "hidden_layer_sizes": (128,),  # wide enough for the identity of 64 pixels
    "filters": (8,),
    "kernel_sizes": (3,),
    "hidden_size": 8,
    "n_components": 8,
}


def networks():
    """Names of the public estimators that train a network."""
    return [name for name, cls in all_estimators() if issubclass(cls, TorchEstimator)]


def estimator_of(name, n_clusters, *, values, **params):
    """An estimator with its default network, both with those of the `values` that they know."""
    cls = dict(all_estimators())[name]
    estimator = cls()
    slots = [""]
    if issubclass(cls, ClusterMixin):
        estimator.set_params(n_clusters=n_clusters)
        default = estimator._default_network(None)
        if isinstance(default, DefaultEncoder):  # what it is for images, with all parameters
            default = ConvEncoder(**default.get_params())
        if hasattr(default, "get_params"):
            estimator.set_params(**{cls._network: default})
            slots.append(f"{cls._network}__")
    for slot in slots:
        known = estimator.get_params()
        given = {slot + key: value for key, value in values.items() if slot + key in known}
        estimator.set_params(**given)
    return estimator.set_params(**params)


def images(n_samples, side=8, n_clusters=3):
    """Images of a few kinds (n, side, side), float32; sequences, to what reads these."""
    rng = np.random.default_rng(0)
    kinds = rng.random((n_clusters, side, side))
    labels = rng.integers(n_clusters, size=n_samples)
    noise = rng.normal(scale=0.1, size=(n_samples, side, side))
    return (kinds[labels] + noise).astype(np.float32)


def mnist(setting):
    """MNIST as float32 images (n, 28, 28) in [0, 1], and labels; nothing is downloaded.

    Raises
    ------
    FileNotFoundError
        If the variable for local data is not set.
    """
    if setting.dry:
        rng = np.random.default_rng(0)
        return rng.random((300, 28, 28), dtype=np.float32), rng.integers(10, size=300)
    if not os.environ.get(DATA_VARIABLE):
        raise FileNotFoundError(f"set {DATA_VARIABLE} to the folder that holds mnist.npz")
    X, y = fetch_mnist(return_X_y=True)
    return np.float32(X / 255), y


def attempted(function, *args):
    """The result of a call, or what went wrong: one method must not end the part."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args)
    except Exception as exc:  # of whatever kind: it is what the record is for
        return {"error": f"{type(exc).__name__}: {exc}", "traceback": traceback.format_exc()}


def failed(results):
    """Names of the results that are errors."""
    return [name for name, found in results.items() if "error" in found]


def lines_of(results, text):
    """A line of text for each result: `text` of it and its peak of memory, or what went wrong."""
    width = max(map(len, results), default=0)
    lines = []
    for name, found in results.items():
        if "error" in found:
            line = found["error"]
        else:
            peak = "" if found["peak_mb"] is None else f", peak {found['peak_mb']:.0f} MB"
            line = text(found) + peak
        lines.append(f"  {name:<{width}} {line}")
    return lines
