"""Records are written whole, read back as they were, and name what they are about."""

import json
import time

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from sklearn_deepcluster.benchmarks import _records
from sklearn_deepcluster.benchmarks._machine import Stopwatch, counted_steps


def test_round_trip(tmp_path):
    record = {"kind": "run", "dataset": "digits", "scores": {"acc": 0.5}, "seed": 3}
    _records.write_record(tmp_path / "digits" / "a.json", record)
    assert _records.read_records(tmp_path) == [record]


def test_numpy_values_become_plain(tmp_path):
    path = tmp_path / "digits" / "a.json"
    _records.write_record(path, {"a": np.float32(0.5), "b": np.arange(2), "c": tmp_path})
    assert json.loads(path.read_text()) == {"a": 0.5, "b": [0, 1], "c": str(tmp_path)}


def test_what_cannot_be_written_leaves_the_old_record(tmp_path):
    path = tmp_path / "digits" / "a.json"
    _records.write_record(path, {"a": 1})
    with pytest.raises(TypeError, match="object has no place"):
        _records.write_record(path, {"a": 2, "b": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(path.parent.iterdir()) == [path]


def test_records_of_another_kind_are_left_out(tmp_path):
    _records.write_record(tmp_path / "speed" / "speed.json", {"kind": "speed"})
    assert _records.read_records(tmp_path) == []


def test_a_damaged_record_is_named(tmp_path):
    path = tmp_path / "digits" / "a.json"
    path.parent.mkdir()
    path.write_text('{"kind": "ru')
    with pytest.raises(ValueError, match="a.json is no record"):
        _records.read_records(tmp_path)


def test_paths_differ_by_all_that_is_asked_for(tmp_path):
    path = _records.record_path(tmp_path, "usps", "dec", "paper", 2)
    assert path == tmp_path / "usps" / "dec-paper-seed2.json"
    asked = {"device": "cuda:0", "precision": "float32"}
    path = _records.record_path(tmp_path, "usps", "dec", "paper", 2, **asked)
    assert path.name == "dec-paper-cuda0-float32-seed2.json"


def test_checksum_sees_values_shape_and_type():
    X = np.arange(6.0)
    checksums = [
        _records.checksum(X),
        _records.checksum(X[::-1]),
        _records.checksum(X.reshape(2, 3)),
        _records.checksum(X.astype(np.float32)),
        _records.checksum(X, X),
    ]
    assert len(set(checksums)) == 5
    assert _records.checksum(X.copy()) == checksums[0]
    assert _records.checksum(np.asfortranarray(X.reshape(2, 3))) == checksums[2]


def test_parameters_are_plain_or_repr():
    params = _records.parameters(KMeans(3, init=KMeans, random_state=0))
    assert params["n_clusters"] == 3
    assert params["init"] == repr(KMeans)
    assert set(params) == set(KMeans().get_params())


def test_environment_says_where_and_with_what():
    environment = _records.environment()
    assert environment["versions"]["torch"] == torch.__version__
    assert environment["threads"] == torch.get_num_threads()
    assert environment["cpu"]


def test_stopwatch_sees_memory_that_is_freed_again():
    with Stopwatch() as watch:
        block = np.ones(2**25)  # 256 MB
        time.sleep(0.1)
        del block
    assert 250 < watch.peak_mb < 400
    assert watch.seconds >= 0.1


def test_stopwatch_without_growth():
    with Stopwatch() as watch:
        time.sleep(0.03)
    assert watch.peak_mb < 50


@pytest.mark.parametrize("fused", [False, True])
def test_steps_are_counted(fused):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight], fused=fused)
    weight.sum().backward()
    with counted_steps() as count:
        optimizer.step()
        optimizer.step()
    optimizer.step()
    assert count[0] == 2
