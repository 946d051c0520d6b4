"""Speed and memory of this package, as ratios measured in one run.

``python -m sklearn_deepcluster.benchmarks.speed`` prints

- the wall time per step of ``Autoencoder.fit``, all of it, against plain torch loops;
- the wall time per step of epochs of ``DDC.fit`` and ``DTKC.fit`` against plain torch loops;
- the time of a grid search with ``memory``, against what its parts take;
- the growth of memory during a fit of 70,000 x 784 values.

Contenders take turns, and their numbers of optimisation steps are counted and compared. Absolute
times depend on the machine; the ratios are what to look at.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold
from torch import nn

from sklearn_deepcluster import DDC, DTKC, IDEC, Autoencoder
from sklearn_deepcluster._engine import Callback, generator, uses_bfloat16
from sklearn_deepcluster.benchmarks._machine import Stopwatch, counted_steps
from sklearn_deepcluster.benchmarks._records import default_folder, environment, write_record
from sklearn_deepcluster.kernels import batch_kernel, squared_distance_matrix
from sklearn_deepcluster.losses import ddc_terms
from sklearn_deepcluster.metrics import unsupervised_accuracy_scorer
from sklearn_deepcluster.nn import block_convnet

_MODULE = "sklearn_deepcluster.benchmarks.speed"
SIZES = (784, 500, 500, 2000, 10)
BATCH = 256
N_ROWS = 256 * 40
GAMMAS = (0.01, 0.03, 0.1, 0.3)
N_FOLDS = 3
MEMORY_ROWS = 70_000


def _auto_is():
    return "bfloat16" if uses_bfloat16("auto", torch.device("cpu")) else "float32"


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
    network = nn.Sequential(*_layers(SIZES), *_layers(SIZES[::-1]))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=fused or None)
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(BATCH):
            x = X[rows]
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
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
    # Without noise: the plain loops have none.
    autoencoder = Autoencoder(noise=0.0, max_epochs=epochs, min_steps=0, random_state=0)
    autoencoder.set_params(batch_size=BATCH, precision=precision, device="cpu").fit(X)


def measure_steps(rounds=3, epochs=3):
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
    median = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = {
        f"fit {p} / {loop}": median[f"fit {p}"] / median[loop]
        for p in ("float32", "bfloat16")
        for loop in ("naive float32", f"fused {p}", f"by hand {p}")
    }
    # What is left of the naive loop when nothing but the arithmetic remains.
    for p in ("float32", "bfloat16"):
        ratios[f"by hand {p} / naive float32"] = median[f"by hand {p}"] / median["naive float32"]
    auto = _auto_is()
    return {
        "rows": N_ROWS,
        "steps": epochs * N_ROWS // BATCH,
        "auto_is": auto,
        "ms_per_step": {name: 1000 * value for name, value in median.items()},
        "all_ms_per_step": {k: [1000 * v for v in values] for k, values in seconds.items()},
        "ratios": ratios,
        "ratio_auto_to_naive": ratios[f"fit {auto} / naive float32"],
    }


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
        See :func:`plain_loop`.
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
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
        X = X.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=fused or None)
    seconds = []
    for _ in range(epochs):
        began = time.perf_counter()
        for rows in torch.randperm(len(X)).split(IMAGE_BATCH):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                z = network[0](X[rows])
                u = network[1](z)
            z, u = z.float(), u.float().softmax(1)
            kernel = batch_kernel(squared_distance_matrix(z, z))
            sum(ddc_terms(u, kernel).values()).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimizer.step()
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


def measure_divergence(rounds=3, epochs=3):
    """Seconds per step of DDC and DTKC on images of 28 x 28, and of plain loops.

    In turns, each in a fresh process: what one leaves behind, such as memory that the C library
    keeps, serves the next one otherwise.

    Returns
    -------
    result : dict
        As of :func:`measure_steps`.
    """
    auto = _auto_is()
    plain = f"plain {auto}"
    contenders = {"naive float32": "naive", plain: "plain", "DDC": "DDC", "DTKC": "DTKC"}
    seconds = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            seconds[name] += _in_fresh_process("--divergence-of", contender, str(epochs))
    median = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = {
        f"DDC / {plain}": median["DDC"] / median[plain],
        "DDC / naive float32": median["DDC"] / median["naive float32"],
        "DTKC / DDC": median["DTKC"] / median["DDC"],
    }
    return {
        "rows": N_IMAGES,
        "steps": epochs * (N_IMAGES // IMAGE_BATCH),
        "auto_is": auto,
        "ms_per_step": {name: 1000 * value for name, value in median.items()},
        "all_ms_per_step": {k: [1000 * v for v in values] for k, values in seconds.items()},
        "ratios": ratios,
    }


def _divergence_of(name, epochs):
    """In a fresh process: seconds per step of each epoch, after an epoch that warms up."""
    X = np.random.default_rng(0).random((N_IMAGES, *IMAGE), dtype=np.float32)
    low = _auto_is() == "bfloat16"
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


def _in_fresh_process(*arguments):
    command = [sys.executable, "-m", _MODULE, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure_search(pretraining_steps=600, clustering_steps=200, n_rows=3000):
    """Time of a grid search over gamma with ``memory``, against its parts.

    P and C are the mean times of a pretraining and of a clustering phase alone, each measured
    before and after the search, on the rows of one fold. Steps are fixed, so that a fold takes
    as long as the refit on all rows.

    Returns
    -------
    result : dict
        "pretrainings" (calls of ``Autoencoder.fit`` during the search), seconds and the ratio of
        the search to 4 P + 13 C.
    """
    X, y = _labelled_rows(n_rows)
    idec = IDEC(
        10,
        autoencoder=Autoencoder(max_epochs=1, min_steps=pretraining_steps),
        max_epochs=1,
        min_steps=clustering_steps,
        update_interval=min(30, clustering_steps),
        tol=0,
        device="cpu",
        random_state=0,
    )
    folds = KFold(N_FOLDS)
    rows, _ = next(folds.split(X))
    parts = [_time_parts(idec, X[rows]) for _ in range(2)][1:]  # the first one warms up
    with tempfile.TemporaryDirectory() as cache:
        search = GridSearchCV(
            idec.set_params(memory=cache),
            {"gamma": list(GAMMAS)},
            cv=folds,
            scoring=unsupervised_accuracy_scorer,
        )
        # Patched on the class: the estimators of the search are clones of clones.
        with mock.patch.object(Autoencoder, "fit", autospec=True, side_effect=Autoencoder.fit) as f:
            began = time.perf_counter()
            search.fit(X, y)
            total = time.perf_counter() - began
        pretrainings = f.call_count
    idec.set_params(memory=None)
    parts.append(_time_parts(idec, X[rows]))
    P, C = (statistics.fmean(times) for times in zip(*parts, strict=True))
    n_fits = len(GAMMAS) * N_FOLDS + 1
    expected = (N_FOLDS + 1) * P + n_fits * C
    return {
        "pretrainings": pretrainings,
        "fits": n_fits,
        "P_seconds": P,
        "C_seconds": C,
        "seconds": total,
        "ratio": total / expected,
        "ratio_without_memory": total / (n_fits * (P + C)),
    }


def _time_parts(idec, X):
    """Seconds of a pretraining and of a clustering phase."""
    autoencoder = clone(idec.autoencoder).set_params(random_state=0)
    began = time.perf_counter()
    autoencoder.fit(X)
    between = time.perf_counter()
    clone(idec).set_params(autoencoder=FrozenEstimator(autoencoder)).fit(X)
    return between - began, time.perf_counter() - between


def _labelled_rows(n):
    """Ten noisy clusters in 784 dimensions."""
    rng = np.random.default_rng(0)
    y = rng.integers(10, size=n)
    X = rng.normal(size=(10, SIZES[0]))[y] + 2 * rng.normal(size=(n, SIZES[0]))
    return X.astype(np.float32), y


def measure_memory():
    """Peak growth of memory in MB during fits of 70,000 x 784, each in a fresh process.

    Returns
    -------
    result : dict
        "Autoencoder float32" and so on -> MB (2 ** 20 bytes), and "float32_mb", the size of
        the data in float32.
    """
    result = {"float32_mb": MEMORY_ROWS * SIZES[0] * 4 / 2**20}
    for name in ("Autoencoder", "IDEC"):
        for dtype in ("float32", "uint8"):
            result[f"{name} {dtype}"] = _in_fresh_process("--memory-of", name, dtype)
    return result


def _memory_of(name, dtype):
    """In a fresh process: growth in MB during one fit, after a tiny fit has loaded everything."""
    rng = np.random.default_rng(0)
    shape = (MEMORY_ROWS, SIZES[0])
    if dtype == "float32":
        X = rng.random(shape, dtype=np.float32)
    else:
        X = rng.integers(256, size=shape, dtype=np.uint8)
    estimator = Autoencoder(max_epochs=1, min_steps=0, device="cpu", random_state=0)
    if name == "IDEC":
        estimator = IDEC(
            10, autoencoder=estimator, max_epochs=1, min_steps=0, device="cpu", random_state=0
        )
    estimator.fit(X[:512])
    with Stopwatch() as watch:
        estimator.fit(X)
    return watch.peak_mb


def report(result):
    """Lines of text for a result of :func:`main`."""
    lines = []
    if "steps" in result:
        steps = result["steps"]
        lines.append(f"Wall time per step, {steps['steps']} steps each, batch {BATCH}:")
        lines += [f"  {name:<16} {ms:7.2f} ms" for name, ms in steps["ms_per_step"].items()]
        lines += [f"  {name:<34} {ratio:5.2f}" for name, ratio in steps["ratios"].items()]
        lines.append(
            f"  precision='auto' is {steps['auto_is']} here: "
            f"{steps['ratio_auto_to_naive']:.2f} of the naive loop"
        )
    if "divergence" in result:
        steps = result["divergence"]
        lines.append(f"Wall time per step of epochs, {steps['steps']} steps, batch {IMAGE_BATCH}:")
        lines += [f"  {name:<16} {ms:7.2f} ms" for name, ms in steps["ms_per_step"].items()]
        lines += [f"  {name:<34} {ratio:5.2f}" for name, ratio in steps["ratios"].items()]
    if "search" in result:
        search = result["search"]
        lines += [
            f"GridSearchCV over {len(GAMMAS)} gammas, {N_FOLDS} folds, with memory: "
            f"{search['pretrainings']} pretrainings for {search['fits']} fits",
            f"  {search['seconds']:.1f} s; P = {search['P_seconds']:.1f} s, "
            f"C = {search['C_seconds']:.1f} s; {search['ratio']:.2f} of 4 P + 13 C, "
            f"{search['ratio_without_memory']:.2f} of 13 (P + C)",
        ]
    if "memory" in result:
        memory = dict(result["memory"])
        size = memory.pop("float32_mb")
        lines.append(f"Growth of memory, 70,000 x 784 ({size:.0f} MB in float32):")
        lines += [f"  {name:<20} {mb:6.0f} MB" for name, mb in memory.items()]
    return "\n".join(lines)


_MEASURES = {
    "steps": measure_steps,
    "divergence": measure_divergence,
    "search": measure_search,
    "memory": measure_memory,
}


def main(argv=None):
    """Run the command line; return the result that it prints."""
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_deepcluster.benchmarks.speed",
        description="Measure speed and memory as ratios within one run.",
    )
    parser.add_argument("--only", choices=_MEASURES, action="append", help="part to measure")
    parser.add_argument("--record", action="store_true", help="write a record")
    parser.add_argument("--out", default=default_folder(), help="records (%(default)s)")
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--divergence-of", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.memory_of:
        print(json.dumps(_memory_of(*args.memory_of)))
        return None
    if args.divergence_of:
        name, epochs = args.divergence_of
        print(json.dumps(_divergence_of(name, int(epochs))))
        return None
    result = {"kind": "speed", **environment()}
    for name in args.only or _MEASURES:
        result[name] = _MEASURES[name]()
        print(report({name: result[name]}), flush=True)
    if args.record:
        name = "speed" if not args.only else "-".join(["speed", *args.only])
        path = Path(args.out) / "speed" / f"{name}.json"
        write_record(path, result)
        print(f"record: {path}")
    return result


if __name__ == "__main__":
    main()
