"""Wall time per step of epochs of ``DDC.fit`` and ``DTKC.fit`` against plain torch loops."""

import time

import numpy as np
import torch
from torch import nn

from sklearn_deepcluster import DDC, DTKC
from sklearn_deepcluster._engine import Callback, generator
from sklearn_deepcluster.benchmarks._machine import counted_steps
from sklearn_deepcluster.benchmarks.speed._common import (
    auto_is,
    in_fresh_process,
    in_milliseconds,
    lines_of,
    medians,
)
from sklearn_deepcluster.kernels import batch_kernel, squared_distance_matrix
from sklearn_deepcluster.losses import ddc_terms
from sklearn_deepcluster.nn import block_convnet

IMAGE = (1, 28, 28)
IMAGE_BATCH = 120
N_IMAGES = 120 * 40


def plain_divergence_loop(X, epochs, *, fused, autocast, channels_last):
    """Train the network and the loss of DDC by a loop as one writes it by hand.

    Parameters
    ----------
    X : Tensor of shape (n, 1, 28, 28)
    epochs : int
    fused, autocast : bool
        See ``_steps.plain_loop``.
    channels_last : bool
        Layout of images and weights.

    Returns
    -------
    seconds : list of float
        Per epoch.
    """
    network = nn.Sequential(
        block_convnet(IMAGE, (32, 32), (5, 3), 100, generator(0)), nn.Linear(100, 10)
    ).train()
    network = network.to(X.device)
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
        X = X.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=fused or None)
    seconds = []
    for _ in range(epochs):
        began = time.perf_counter()
        for rows in torch.randperm(len(X), device=X.device).split(IMAGE_BATCH):
            optimizer.zero_grad()
            with torch.autocast(X.device.type, torch.bfloat16, enabled=autocast):
                z = network[0](X[rows])
                u = network[1](z)
            z, u = z.float(), u.float().softmax(1)
            kernel = batch_kernel(squared_distance_matrix(z, z))
            sum(ddc_terms(u, kernel).values()).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimizer.step()
        if X.device.type == "cuda":
            torch.cuda.synchronize(X.device)
        seconds.append(time.perf_counter() - began)
    return seconds


class _EpochSeconds(Callback):
    """Seconds of every epoch, in a list that survives the copying of callbacks."""

    seconds = []

    def on_epoch_begin(self, net, **kwargs):
        self.began_ = time.perf_counter()

    def on_epoch_end(self, net, **kwargs):
        self.seconds.append(time.perf_counter() - self.began_)


def _fit_divergence(cls, X, epochs):
    _EpochSeconds.seconds.clear()
    options = {"max_epochs": epochs, "min_steps": 0, "patience": None, "init": None}
    options |= {"batch_size": IMAGE_BATCH, "device": "cpu"}
    cls(10, callbacks=[_EpochSeconds()], random_state=0, **options).fit(X)
    return list(_EpochSeconds.seconds)


def measure(rounds=3, epochs=3):
    """Seconds per step of DDC and DTKC on images of 28 x 28, and of plain loops.

    In turns, each in a fresh process: what one leaves behind, such as memory that the C library
    keeps, serves the next one otherwise.

    Returns
    -------
    result : dict
        As of ``_steps.measure``.
    """
    auto = auto_is()
    plain = f"plain {auto}"
    contenders = {"naive float32": "naive", plain: "plain", "DDC": "DDC", "DTKC": "DTKC"}
    seconds = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            seconds[name] += in_fresh_process("--divergence-of", contender, str(epochs))
    median = medians(seconds)
    ratios = {
        f"DDC / {plain}": median["DDC"] / median[plain],
        "DDC / naive float32": median["DDC"] / median["naive float32"],
        "DTKC / DDC": median["DTKC"] / median["DDC"],
    }
    return {
        "rows": N_IMAGES,
        "steps": epochs * (N_IMAGES // IMAGE_BATCH),
        "auto_is": auto,
        **in_milliseconds(seconds),
        "ratios": ratios,
    }


def in_process(name, epochs):
    """In a fresh process: seconds per step of each epoch, after an epoch that warms up."""
    epochs = int(epochs)
    X = np.random.default_rng(0).random((N_IMAGES, *IMAGE), dtype=np.float32)
    low = auto_is() == "bfloat16"
    options = {"fused": True, "autocast": low, "channels_last": True}
    if name == "naive":
        options = dict.fromkeys(options, False)
    with counted_steps() as count:
        if name in ("naive", "plain"):
            found = plain_divergence_loop(torch.from_numpy(X), epochs + 1, **options)
        else:
            found = _fit_divergence({"DDC": DDC, "DTKC": DTKC}[name], X, epochs + 1)
    per_epoch = N_IMAGES // IMAGE_BATCH
    if count[0] != (epochs + 1) * per_epoch:
        raise AssertionError(f"{name} made {count[0]} steps")
    return [each / per_epoch for each in found[1:]]


def report(result):
    """Lines of text for a result of :func:`measure`."""
    head = f"Wall time per step of epochs, {result['steps']} steps, batch {IMAGE_BATCH}:"
    return [head, *lines_of(result)]
