"""Wall time per step of ``Autoencoder.fit``, all of it, against plain torch loops."""

import time

import numpy as np
import torch
from torch import nn

from sklearn_deepcluster import Autoencoder
from sklearn_deepcluster.benchmarks._machine import counted_steps
from sklearn_deepcluster.benchmarks.speed._common import (
    BATCH,
    SIZES,
    auto_is,
    in_milliseconds,
    lines_of,
    medians,
)

N_ROWS = 256 * 40


def plain_loop(X, epochs, *, fused, autocast):
    """Train the reference autoencoder by a loop as one writes it by hand.

    Parameters
    ----------
    X : Tensor of shape (n, d)
    epochs : int
    fused : bool
        Use the fused form of Adam; False is ``torch.optim.Adam(parameters)``.
    autocast : bool
        Run the forward pass in bfloat16.
    """
    network = nn.Sequential(*_layers(SIZES), *_layers(SIZES[::-1])).to(X.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=fused or None)
    for _ in range(epochs):
        for rows in torch.randperm(len(X), device=X.device).split(BATCH):
            x = X[rows]
            optimizer.zero_grad()
            with torch.autocast(X.device.type, torch.bfloat16, enabled=autocast):
                reconstruction = network(x)
            nn.functional.mse_loss(reconstruction.float(), x).backward()
            optimizer.step()


def _layers(sizes):
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return layers[:-1]


def loop_by_hand(X, epochs, dtype):
    """Train the reference autoencoder with nothing but the arithmetic: no autograd, no allocation.

    One flat vector holds the weights, another their gradients; products in `dtype` go into buffers
    made beforehand, and the fused Adam updates all weights at once. What remains are the matrix
    products of a step, its elementwise operations and the pass of the optimiser: a bound for any
    loop on the same library. Biases stay zero.

    Parameters
    ----------
    X : Tensor of shape (n, d)
    epochs : int
    dtype : torch.dtype
        Of the products; master weights and moments are float32.

    Returns
    -------
    weights : list of Tensor of shape (n_out, n_in)
    """
    sizes = [*SIZES, *SIZES[-2::-1]]
    shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
    counts = [n_out * n_in for n_out, n_in in shapes]
    master = torch.cat(
        [torch.randn(count) / shape[1] ** 0.5 for count, shape in zip(counts, shapes, strict=True)]
    )
    master.grad = torch.empty_like(master)
    low, low_grad = master.to(dtype), master.grad.to(dtype)  # float32: the same memory
    weights = [w.view(shape) for w, shape in zip(low.split(counts), shapes, strict=True)]
    gradients = [g.view(shape) for g, shape in zip(low_grad.split(counts), shapes, strict=True)]
    activations = [torch.empty(BATCH, size, dtype=dtype) for size in sizes]
    errors = [torch.empty_like(a) for a in activations]
    biases = [torch.zeros(size, dtype=dtype) for size in sizes[1:]]
    optimizer = torch.optim.Adam([master], lr=1e-3, fused=True)
    linear = (len(SIZES) - 2, len(weights) - 1)
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(BATCH):
            activations[0].copy_(X[rows])
            low.copy_(master)
            for i, weight in enumerate(weights):
                torch.addmm(biases[i], activations[i], weight.t(), out=activations[i + 1])
                if i not in linear:
                    activations[i + 1].relu_()
            torch.sub(activations[-1], activations[0], out=errors[-1]).mul_(2 / errors[-1].numel())
            for i in reversed(range(len(weights))):
                torch.mm(errors[i + 1].t(), activations[i], out=gradients[i])
                errors[i + 1].sum(0)  # the gradient of the bias
                if i:
                    torch.mm(errors[i + 1], weights[i], out=errors[i])
                    if i - 1 not in linear:
                        errors[i].mul_(activations[i] > 0)
            master.grad.copy_(low_grad)
            optimizer.step()
    return [w.view(shape) for w, shape in zip(master.split(counts), shapes, strict=True)]


def _fit_autoencoder(X, epochs, precision):
    # Without noise, and from all rows: the plain loops have neither noise nor rows held out.
    params = {"batch_size": BATCH, "precision": precision, "device": "cpu", "random_state": 0}
    autoencoder = Autoencoder(noise=0.0, validation_fraction=None, max_epochs=epochs, min_steps=0)
    autoencoder.set_params(**params).fit(X)


def measure(rounds=3, epochs=3):
    """Seconds per step of the public fit and of plain loops, in turns.

    Returns
    -------
    result : dict
        Per contender the median and all values; ratios of the public fit in each precision to
        the naive float32 loop, to the plain loop of equal precision with fused Adam and to
        :func:`loop_by_hand`.
    """
    X = np.random.default_rng(0).random((N_ROWS, SIZES[0]), dtype=np.float32)
    tensor = torch.from_numpy(X)
    contenders = {
        "naive float32": lambda: plain_loop(tensor, epochs, fused=False, autocast=False),
        "fused float32": lambda: plain_loop(tensor, epochs, fused=True, autocast=False),
        "by hand float32": lambda: loop_by_hand(tensor, epochs, torch.float32),
        "fit float32": lambda: _fit_autoencoder(X, epochs, "float32"),
        "fused bfloat16": lambda: plain_loop(tensor, epochs, fused=True, autocast=True),
        "by hand bfloat16": lambda: loop_by_hand(tensor, epochs, torch.bfloat16),
        "fit bfloat16": lambda: _fit_autoencoder(X, epochs, "bfloat16"),
    }
    seconds = {name: [] for name in contenders}
    for round_ in range(rounds + 1):
        for name, contender in contenders.items():
            with counted_steps() as count:
                began = time.perf_counter()
                contender()
                elapsed = time.perf_counter() - began
            if count[0] != epochs * N_ROWS // BATCH:
                raise AssertionError(f"{name} made {count[0]} steps")
            if round_:  # the first round warms up
                seconds[name].append(elapsed / count[0])
    median = medians(seconds)
    ratios = {
        f"fit {p} / {loop}": median[f"fit {p}"] / median[loop]
        for p in ("float32", "bfloat16")
        for loop in ("naive float32", f"fused {p}", f"by hand {p}")
    }
    # What is left of the naive loop when nothing but the arithmetic remains.
    for p in ("float32", "bfloat16"):
        ratios[f"by hand {p} / naive float32"] = median[f"by hand {p}"] / median["naive float32"]
    auto = auto_is()
    return {
        "rows": N_ROWS,
        "steps": epochs * N_ROWS // BATCH,
        "auto_is": auto,
        **in_milliseconds(seconds),
        "ratios": ratios,
        "ratio_auto_to_naive": ratios[f"fit {auto} / naive float32"],
    }


def report(result):
    """Lines of text for a result of :func:`measure`."""
    return [
        f"Wall time per step, {result['steps']} steps each, batch {BATCH}:",
        *lines_of(result),
        f"  precision='auto' is {result['auto_is']} here: "
        f"{result['ratio_auto_to_naive']:.2f} of the naive loop",
    ]
