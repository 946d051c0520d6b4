"""The scripts for speed compare equals, and say what they found."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from sklearn_deepcluster import Autoencoder
from sklearn_deepcluster.benchmarks import speed, versus_clustpy
from sklearn_deepcluster.benchmarks._machine import counted_steps
from sklearn_deepcluster.benchmarks.speed import (
    _divergence,
    _graph,
    _inference,
    _memory,
    _methods,
    _search,
    _steps,
)
from sklearn_deepcluster.cluster import _start


@pytest.fixture
def tiny(monkeypatch):
    """Small sizes, so that the scripts run in a second."""
    monkeypatch.setattr(_steps, "SIZES", (16, 8, 4))
    monkeypatch.setattr(_steps, "BATCH", 32)
    monkeypatch.setattr(_steps, "N_ROWS", 32 * 4)


@pytest.fixture
def small_networks(monkeypatch):
    """Autoencoders of the default size are small, and k-means starts twice."""
    monkeypatch.setitem(Autoencoder.__init__.__kwdefaults__, "hidden_layer_sizes", (8,))
    monkeypatch.setattr(_start, "KMEANS_STARTS", 2)


@pytest.mark.parametrize("fused", [False, True])
def test_the_plain_loop_makes_the_steps_it_should(tiny, fused):
    X = torch.rand(32 * 4, 16)
    with counted_steps() as count:
        _steps.plain_loop(X, 3, fused=fused, autocast=False)
    assert count[0] == 3 * 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_loop_by_hand_trains(tiny, dtype):
    generator = torch.Generator().manual_seed(0)
    X = torch.rand(32 * 4, 2, generator=generator) @ torch.rand(2, 16, generator=generator)

    def error(epochs):
        x = X
        weights = _steps.loop_by_hand(X, epochs, dtype)
        for i, weight in enumerate(weights):
            x = x @ weight.t()
            if i not in (len(weights) // 2 - 1, len(weights) - 1):
                x = x.relu()
        return (x - X).square().mean()

    with torch.random.fork_rng():  # the loop draws as one does by hand: globally
        torch.manual_seed(0)
        with counted_steps() as count:
            trained = error(100)
        assert count[0] == 100 * 4
        assert trained < 0.1 * error(0)


def test_the_plain_network_is_the_one_of_the_autoencoder():
    X = np.ones((5000, 784), dtype=np.float32)  # of fewer rows it is smaller
    ours = Autoencoder(noise=0.0, max_epochs=0, min_steps=0).fit(X)
    shapes = [tuple(p.shape) for p in ours.module_.parameters()]
    layers = [*_steps._layers(_steps.SIZES), *_steps._layers(_steps.SIZES[::-1])]
    assert [tuple(p.shape) for p in torch.nn.Sequential(*layers).parameters()] == shapes
    kinds = [type(m) for m in ours.module_.modules() if not list(m.children())]
    assert [type(layer) for layer in layers] == kinds


def test_steps_are_measured_in_every_precision(tiny, monkeypatch):
    def fit(X, epochs, precision):
        small = {"hidden_layer_sizes": (8,), "n_components": 4, "batch_size": 32}
        Autoencoder(max_epochs=epochs, min_steps=0, precision=precision, **small).fit(X)

    monkeypatch.setattr(_steps, "_fit_autoencoder", fit)
    result = _steps.measure(rounds=1, epochs=2)
    assert result["steps"] == 8
    ms = result["ms_per_step"]
    ratio = result["ratios"]["fit float32 / naive float32"]
    assert ratio == pytest.approx(ms["fit float32"] / ms["naive float32"])
    assert f"{ratio:.2f}" in speed.report({"steps": result})


def test_unequal_steps_are_an_error(tiny, monkeypatch):
    monkeypatch.setattr(_steps, "_fit_autoencoder", lambda X, epochs, precision: None)
    with pytest.raises(AssertionError, match="fit float32 made 0 steps"):
        _steps.measure(rounds=1, epochs=1)


def test_clustering_phases_are_compared_with_the_autoencoder(monkeypatch):
    monkeypatch.setattr(_methods, "N_ROWS", 512)
    monkeypatch.setattr(_methods, "SIZES", (64, 8, 3))
    monkeypatch.setattr(_methods, "WIDTHS", (16, 20))
    result = _methods.measure(rounds=1, epochs=1)
    for width in ("16", "20"):
        ms, ratios = result[width]["ms_per_step"], result[width]["ratios"]
        assert set(ms) == {"autoencoder", "DEC", "IDEC", "DCN", "DKM", "AEC", "VaDE"}
        assert ratios["DCN / autoencoder"] == pytest.approx(ms["DCN"] / ms["autoencoder"])
    assert f"{ratios['DCN / autoencoder']:.2f}" in speed.report({"methods": result})


def test_a_grid_search_with_memory_pretrains_once_per_fold_and_once_for_the_refit(
    small_networks,
):
    result = _search.measure(pretraining_steps=1, clustering_steps=1, n_rows=150)
    assert result["pretrainings"] == 4
    assert result["fits"] == 13
    expected = 4 * result["P_seconds"] + 13 * result["C_seconds"]
    assert result["ratio"] == pytest.approx(result["seconds"] / expected)


def test_latencies_are_compared_in_turns(small_networks, monkeypatch):
    monkeypatch.setattr(_inference, "ROWS", {1: 2, 20: 1})
    monkeypatch.setattr(_inference, "IMAGES", {1: 1})
    monkeypatch.setattr(_inference, "IMAGE", (1, 28, 28))
    result = _inference.measure()
    assert set(result["rows"]) == {"1", "20"} and set(result["images"]) == {"1"}
    one = result["rows"]["1"]
    assert one["ratio"] == pytest.approx(one["predict"] / one["network"])
    assert f"{one['ratio']:.2f}" in speed.report({"inference": result})


def test_the_graph_is_measured_by_rows(monkeypatch):
    monkeypatch.setattr(_graph, "ROWS", (100, 200))
    monkeypatch.setattr(_graph, "N_CLUSTERS", 3)
    result = _graph.measure()
    assert list(result) == ["100", "200"]
    for n, one in result.items():
        assert one["ari"] == 1 and one["seconds"] > 0
        assert one["data_mb"] == int(n) * 32 * 4 / 2**20
    text = _graph.report({"100": {"seconds": 2.0, "peak_mb": 3.2, "data_mb": 1.0, "ari": 0.5}})
    assert "2.0 s,  20000 s per million,      3 MB beside 1 MB of data, ARI 0.500" in text[1]


def test_reports_of_search_and_memory():
    search = {"pretrainings": 4, "fits": 13, "P_seconds": 2.0, "C_seconds": 1.0}
    search |= {"seconds": 22.0, "ratio": 1.05, "ratio_without_memory": 0.56}
    memory = {"float32_mb": 209.4, "IDEC uint8": 300.0}
    text = speed.report({"search": search, "memory": memory})
    assert "4 pretrainings for 13 fits" in text
    assert "1.05 of 4 P + 13 C" in text
    assert "300 MB" in text


def test_our_side_of_the_comparison_runs_in_a_fresh_process(tmp_path):
    X = np.random.default_rng(0).random((48, 16), dtype=np.float32)
    np.save(tmp_path / "X.npy", X)
    job = {"side": "ours", "method": "DEC", "seed": 0, "data": str(tmp_path / "X.npy")}
    job |= {"n_clusters": 3, "batch_size": 16, "precision": "float32"}
    job |= {"pretraining_epochs": 1, "clustering_epochs": 2}
    result = versus_clustpy._fit_in_fresh_process(job, "no python is needed", tmp_path)
    assert result["steps"] == 3 * (1 + 2)
    assert len(result["labels"]["labels"]) == 48


def test_both_sides_are_compared_in_turns_and_by_steps(monkeypatch):
    sides = []

    def fit(job, python, folder):
        sides.append(job["side"])
        ours = job["side"] == "ours"
        labels = {"labels": [0, 0, 1, 1] if ours else [0, 1, 1, 1]}
        if not ours:
            labels["method's own labels"] = [0, 1, 0, 1]
        seconds = 2.0 if ours else 6.0
        return {"seconds": seconds, "steps": 8, "threads": 1, "torch": "2", "labels": labels}

    monkeypatch.setattr(versus_clustpy, "_fit_in_fresh_process", fit)
    X, y = np.zeros((4, 2), dtype=np.float32), np.array([0, 0, 1, 1])
    fits = versus_clustpy.compare(X, y, "python", seeds=range(2), epochs=1, methods=["DEC"])
    assert sides == ["clustpy", "ours", "ours", "clustpy"]
    summary = versus_clustpy.summarize(fits)["DEC"]
    assert summary["times_faster"] == 3
    assert summary["nmi"]["ours"] == 1
    assert 0 < summary["nmi"]["clustpy"] < 1
    assert summary["nmi_of"]["clustpy"] == "labels"

    steps = iter((8, 9))
    monkeypatch.setattr(
        versus_clustpy, "_fit_in_fresh_process", lambda *a: fit(*a) | {"steps": next(steps)}
    )
    with pytest.raises(RuntimeError, match="unequal numbers of steps, clustpy 8, ours 9"):
        versus_clustpy.compare(X, y, "python", seeds=range(1), epochs=1, methods=["DEC"])


# Runs a file as Python itself does, and prints at the end what was imported.
WATCHED = """
import atexit, runpy, sys
atexit.register(lambda: print(*sys.modules))
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_failing_side_shows_its_error_and_imports_nothing_of_this_package(tmp_path, monkeypatch):
    """One test: it is starting the process that takes time."""
    loaded, run = [], subprocess.run

    def watched(command, **options):
        python, *arguments = command
        options["stdout"] = subprocess.PIPE
        done = run([python, "-c", WATCHED, *arguments], cwd=tmp_path, **options)
        loaded.extend(done.stdout.split())
        return done

    monkeypatch.setattr(subprocess, "run", watched)
    job = {"side": "clustpy", "method": "DEC", "data": str(tmp_path / "missing.npy")}
    with pytest.raises(RuntimeError, match="(?s)clustpy failed.*missing.npy"):
        versus_clustpy._fit_in_fresh_process(job, sys.executable, tmp_path)
    assert "torch" in loaded
    assert not any(name.startswith("sklearn_deepcluster") for name in loaded)


def test_an_environment_that_is_complete_is_not_made_again(tmp_path):
    held = f"torch=={torch.__version__.partition('+')[0]}"
    (tmp_path / "installed.txt").write_text(f"{held}\n{versus_clustpy.CLUSTPY}\n")
    python = versus_clustpy.prepare_venv(tmp_path)
    assert python.is_relative_to(tmp_path)
    assert not python.exists()


def test_the_memory_of_a_fit_is_measured_in_a_fresh_process(monkeypatch):
    commands = []

    def fake(command, **kwargs):
        commands.append(command[-2:])
        return subprocess.CompletedProcess(command, 0, stdout=json.dumps(12.5))

    monkeypatch.setattr(subprocess, "run", fake)
    result = _memory.measure()
    assert commands == [[n, d] for n in ("Autoencoder", "IDEC") for d in ("float32", "uint8")]
    assert result["IDEC uint8"] == 12.5
    assert result["float32_mb"] == pytest.approx(70_000 * 784 * 4 / 2**20)


@pytest.fixture
def tiny_images(monkeypatch):
    monkeypatch.setattr(_divergence, "N_IMAGES", 60)
    monkeypatch.setattr(_divergence, "IMAGE_BATCH", 30)


@pytest.mark.parametrize("name", ["naive", "plain", "DDC", "DTKC"])
@pytest.mark.filterwarnings("ignore:.* of 10 clusters are empty")
def test_divergence_is_measured_over_the_same_steps(name, tiny_images):
    found = _divergence.in_process(name, 2)
    assert len(found) == 2 and min(found) > 0


def test_contenders_that_make_other_steps_are_an_error(monkeypatch, tiny_images):
    monkeypatch.setattr(_divergence, "_fit_divergence", lambda cls, X, epochs: [1.0] * epochs)
    with pytest.raises(AssertionError, match="DDC made 0 steps"):
        _divergence.in_process("DDC", 1)


def test_divergence_is_measured_in_turns_each_in_a_fresh_process(monkeypatch):
    commands = []
    seconds = {"naive": [0.4, 0.4], "plain": [0.2, 0.2], "DDC": [0.1, 0.3], "DTKC": [0.3, 0.3]}

    def fake(command, **kwargs):
        commands.append(command[-3:])
        return subprocess.CompletedProcess(command, 0, stdout=json.dumps(seconds[command[-2]]))

    monkeypatch.setattr(subprocess, "run", fake)
    result = _divergence.measure(rounds=2, epochs=2)
    assert commands == 2 * [["--divergence-of", name, "2"] for name in seconds]
    ratios = result["ratios"]
    assert ratios["DDC / naive float32"] == pytest.approx(0.5)
    assert ratios["DTKC / DDC"] == pytest.approx(1.5)
    assert "0.50" in speed.report({"divergence": result})
