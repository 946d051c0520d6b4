"""The command for GPUs runs from end to end, here without one and at tiny sizes."""

import json
import subprocess

import pytest
import torch

from sklearn_deepcluster import Autoencoder
from sklearn_deepcluster.benchmarks import __main__, gpu
from sklearn_deepcluster.benchmarks.gpu import _agreement, _clustpy, _common, _fits, _steps, _tests
from sklearn_deepcluster.benchmarks.speed import _divergence
from sklearn_deepcluster.benchmarks.speed import _steps as loops
from sklearn_deepcluster.cluster import _graph_choices, _start
from tests._instances import ESTIMATORS, KINDS

DRY = _common.Setting("cpu", dry=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name in ("KMEANS_STARTS", "START_ROUND", "START_STEPS", "MAX_START_STEPS"):
        monkeypatch.setattr(_start, name, 2)
    monkeypatch.setattr(_graph_choices, "N_PARTS", 1)
    for module in (loops, _fits):
        monkeypatch.setattr(module, "SIZES", (784, 16, 4))
    for module in (_divergence, _steps, _fits):
        monkeypatch.setattr(module, "IMAGE_BATCH", 60)


def test_without_a_gpu_the_command_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as end:
        __main__.main(["gpu", "--out", str(tmp_path)])
    assert end.value.code == 1
    error = capsys.readouterr().err
    assert "No CUDA device" in error and "--dry-run" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("part", ["predict", "agreement", "steps", "fits", "clustpy"])
def test_a_dry_run_of_every_part_writes_its_record(part, tmp_path, monkeypatch, capsys):
    if part == "agreement":  # three fits each: one of each kind will do
        monkeypatch.setattr(_agreement, "networks", lambda: ["Autoencoder", *KINDS])
    __main__.main(["gpu", "--out", str(tmp_path), "--dry-run", "--part", part])
    record = json.loads((tmp_path / "gpu" / f"{part}-dry-run.json").read_text())
    assert record["dry_run"] and record["card"]["name"] == "cpu"
    assert {"versions", "commit", "seconds"} <= set(record)
    if part == "steps":
        assert set(record["results"]["float32"]) == set(ESTIMATORS)
    if part == "agreement":
        found = record["results"].values()
        assert all(one["agrees"] and one["fit_embedding"] == 0 for one in found)
    if part == "fits":
        assert set(record["results"]) == {"DEC", "DDC", "DEPICT"}
        assert all(one["ratio"] > 0 for one in record["results"].values())
    assert f"record: {tmp_path}" in capsys.readouterr().out


def test_a_method_that_fails_is_named_and_ends_nothing(tmp_path, monkeypatch, capsys):
    names = ["Autoencoder", "DEC"]

    def fail(self, *args):
        raise RuntimeError("on two devices")

    monkeypatch.setattr(_agreement, "networks", lambda: names)
    monkeypatch.setattr(Autoencoder, "transform", fail)
    with pytest.raises(SystemExit, match="1"):
        __main__.main(["gpu", "--out", str(tmp_path), "--dry-run", "--part", "agreement"])
    record = json.loads((tmp_path / "gpu" / "agreement-dry-run.json").read_text())
    assert "on two devices" in record["results"]["Autoencoder"]["error"]
    assert record["results"]["DEC"]["agrees"]
    assert "failed: agreement: Autoencoder" in capsys.readouterr().err


def test_the_tests_are_counted(monkeypatch):
    def fake(command, **kwargs):
        assert command[1:5] == ["-m", "pytest", "-m", "gpu"]
        out = "F.s\n2 failed, 40 passed, 1 skipped, 3000 deselected in 3.1s\n"
        return subprocess.CompletedProcess(command, 1, stdout=out, stderr="")

    monkeypatch.setattr(subprocess, "run", fake)
    result = _tests.measure(DRY)
    assert result["counts"] == {"failed": 2, "passed": 40, "skipped": 1, "deselected": 3000}
    assert result["error"] == "pytest ended with 1"
    text = gpu.report("tests", result)
    assert "2 failed, 40 passed" in text and "ended with 1" in text


def test_loops_of_other_numbers_of_steps_are_an_error(monkeypatch):
    monkeypatch.setattr(_fits, "plain_dec_loop", lambda *args, **kwargs: None)
    with pytest.raises(AssertionError, match="4 steps, and 2 of the plain loop"):
        _fits._dec(*_common.mnist(DRY), DRY)


def test_clustpy_is_compared_on_the_device(monkeypatch):
    asked = []

    def compare(X, y, python, **options):
        asked.append(options)
        return [
            {"side": side, "method": m, "steps": 4, "seconds": s, "nmi": {"labels": 0.5}}
            for m in options["methods"]
            for side, s in (("ours", 1.0), ("clustpy", 3.0))
        ]

    monkeypatch.setattr(_clustpy.versus_clustpy, "compare", compare)
    monkeypatch.setattr(_clustpy, "find_spec", lambda name: True)
    monkeypatch.setattr(_clustpy, "version", lambda name: "0.0.3")
    result = _clustpy.measure(DRY)
    assert asked[0]["device"] == "cpu"
    assert "3.00 times faster" in gpu.report("clustpy", result)


def test_reports_tell_the_peak_of_memory_and_what_went_wrong():
    found = {"seconds": 1.5, "plain_seconds": 3.0, "ratio": 0.5, "steps": 40, "peak_mb": 12.3}
    results = {"DEC": found, "DEPICT": {"error": "RuntimeError: out of memory"}}
    lines = gpu.report("fits", {"rows": 70_000, "results": results}).splitlines()
    assert lines[0] == "Whole fits of 70,000 images:"
    assert "40 steps" in lines[1] and lines[1].endswith("0.50, peak 12 MB")
    assert lines[2] == "  DEPICT RuntimeError: out of memory"
    results = {"array": {"rows_per_second": 1e6, "network_rows_per_second": 2e6, "peak_mb": None}}
    text = gpu.report("predict", {"rows": 10, "width": 784, "results": results})
    assert "1,000,000 rows/s" in text and text.endswith("2,000,000")


def test_local_data_alone_is_read(monkeypatch):
    monkeypatch.delenv(_common.DATA_VARIABLE, raising=False)
    with pytest.raises(FileNotFoundError, match=_common.DATA_VARIABLE):
        _common.mnist(_common.Setting("cuda", dry=False))


def test_steps_of_an_epoch_are_timed_without_what_comes_between():
    assert _steps.PRECISIONS == ("float32", "bfloat16")
    X = _common.images(60)
    values = {"max_epochs": 3, "min_steps": 0, "batch_size": 20, **_common.SMALL}
    values |= {"update_interval": 1, "tol": 0.0, "drift_tol": None, "random_state": 0}
    estimator = _common.estimator_of("DEC", 3, values=values)
    seconds, n_epochs = _common.step_seconds(estimator, X)
    assert seconds > 0 and n_epochs == 8  # of nine rounds of one step the first warms up
