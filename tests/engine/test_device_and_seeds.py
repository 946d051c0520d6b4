"""Devices, precisions and seeds."""

import mmap
import platform
import random
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from sklearn_deepcluster import Autoencoder
from sklearn_deepcluster._engine import (
    draw_seed,
    generator,
    inference_device,
    random_stream,
    resolve_device,
    seeded_global_rng,
    uses_bfloat16,
)
from sklearn_deepcluster._engine._device import PRECISION_VARIABLE, keep_freed_memory

ABSENT = "cuda:99"


def test_auto_is_cuda_where_there_is_one():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert resolve_device("auto").type == expected


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_a_device_that_is_here_is_resolved(device):
    assert resolve_device(device) == torch.device("cpu")


@pytest.mark.parametrize("device", [ABSENT, "toaster", "cpu:x", ""])
def test_a_device_that_is_not_here_is_named_in_the_error(device):
    with pytest.raises(ValueError, match="device=") as error:
        resolve_device(device)
    assert repr(device) in str(error.value) and "device='auto'" in str(error.value)


def test_inference_falls_back_to_the_cpu_with_a_warning():
    with pytest.warns(UserWarning, match="cuda:99.*predicting on the CPU"):
        assert inference_device(ABSENT) == torch.device("cpu")


def test_precision_by_name_does_not_depend_on_the_device():
    for device in (torch.device("cpu"), torch.device("meta")):
        assert uses_bfloat16("bfloat16", device)
        assert not uses_bfloat16("float32", device)


@pytest.mark.parametrize("auto", ["float32", "bfloat16"])
def test_the_environment_may_say_what_auto_precision_is(auto, monkeypatch):
    monkeypatch.setenv(PRECISION_VARIABLE, auto)
    for device in (torch.device("cpu"), torch.device("meta")):
        assert uses_bfloat16("auto", device) is (auto == "bfloat16")
        assert uses_bfloat16("bfloat16", device) and not uses_bfloat16("float32", device)
    assert Autoencoder()._trainer().autocast is (auto == "bfloat16")


def test_the_environment_must_name_a_precision(monkeypatch):
    monkeypatch.setenv(PRECISION_VARIABLE, "half")
    with pytest.raises(ValueError, match=f"{PRECISION_VARIABLE}='half' must be float32 or"):
        uses_bfloat16("auto", torch.device("cpu"))
    assert not uses_bfloat16("float32", torch.device("cpu"))


@pytest.fixture
def undecided(monkeypatch):
    """Auto precision is for the hardware to say."""
    monkeypatch.delenv(PRECISION_VARIABLE, raising=False)


@pytest.mark.usefixtures("undecided")
def test_auto_precision_is_float32_on_an_unknown_device():
    assert not uses_bfloat16("auto", torch.device("meta"))


@pytest.mark.usefixtures("undecided")
@pytest.mark.parametrize(("units", "expected"), [((), False), (0, True), (1, True)])
def test_auto_precision_asks_the_processor_for_bfloat16_units(units, expected, monkeypatch):
    for position, probe in enumerate(("_is_avx512_bf16_supported", "_is_amx_tile_supported")):
        monkeypatch.setattr(torch.cpu, probe, lambda here=position == units: here, raising=False)
    assert uses_bfloat16("auto", torch.device("cpu")) is expected


def test_seeds_are_reproducible_and_none_leaves_the_global_state_alone():
    assert draw_seed(random_stream(5)) == draw_seed(random_stream(5))
    stream = np.random.RandomState(5)
    assert random_stream(stream) is stream
    before = np.random.get_state()[1].copy(), random.getstate(), torch.get_rng_state()
    seeds = {draw_seed(random_stream(None)) for _ in range(5)}
    assert len(seeds) == 5
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert random.getstate() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_generators_are_independent_of_the_global_one():
    a = torch.rand(3, generator=generator(1))
    torch.rand(1)
    assert torch.equal(a, torch.rand(3, generator=generator(1)))


def test_the_seeded_global_generator_is_restored_also_after_an_error():
    before = torch.get_rng_state()
    drawn = []
    for _ in range(2):
        with pytest.raises(RuntimeError, match="inside"), seeded_global_rng(3):
            drawn.append(torch.rand(4))
            raise RuntimeError("inside")
    assert torch.equal(*drawn)
    assert torch.equal(torch.get_rng_state(), before)


def test_blocks_with_the_seeded_global_generator_do_not_overlap():
    barrier = threading.Barrier(2)
    draws = {}

    def work(seed):
        barrier.wait()
        for _ in range(20):
            with seeded_global_rng(seed):
                draws.setdefault(seed, []).append(torch.cat([torch.rand(50) for _ in range(5)]))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in (0, 1):
        assert len(draws[seed]) == 20
        assert all(torch.equal(draw, draws[seed][0]) for draw in draws[seed])
    assert not torch.equal(draws[0][0], draws[1][0])


def test_a_device_without_memory_is_refused():
    with pytest.raises(ValueError, match="device='meta'"):
        resolve_device("meta")


STEPS = """
import resource
import torch
from sklearn_deepcluster._engine._device import keep_freed_memory

keep_freed_memory()
for i in range(23):
    if i == 3:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    kept = [torch.ones(10 * 2**20, dtype=torch.uint8) for _ in range(5)]
    del kept
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the threshold")
def test_memory_is_kept_between_steps():
    """Twenty steps with 50 MB each fault in fewer pages than one of them has."""
    faults = int(subprocess.check_output([sys.executable, "-c", STEPS], text=True))
    assert faults < 5 * 10 * 2**20 // mmap.PAGESIZE


def test_a_process_that_may_not_have_the_memory_goes_without(monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError("can't allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "empty", refuse)
        keep_freed_memory()
