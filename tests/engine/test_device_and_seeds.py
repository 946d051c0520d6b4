"""Devices, precisions and seeds."""

import contextlib
import inspect
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
    exact_cudnn,
    generator,
    inference_device,
    random_stream,
    resolve_device,
    seeded_global_rng,
    uses_bfloat16,
)
from sklearn_deepcluster._engine._device import (
    _LARGEST_KEPT,
    PRECISION_VARIABLE,
    keep_freed_memory,
)

ABSENT = "cuda:99"


PLACES = {"cuda": torch.cuda, "xpu": torch.xpu, "mps": torch.backends.mps}


@pytest.mark.parametrize(
    ("there", "expected"),
    [((), "cpu"), (("mps",), "mps"), (("xpu", "mps"), "xpu"), (("cuda", "xpu"), "cuda")],
)
def test_auto_is_a_gpu_where_there_is_one(there, expected, monkeypatch):
    for name, place in PLACES.items():
        monkeypatch.setattr(place, "is_available", lambda here=name in there: here)
    assert resolve_device("auto") == torch.device(expected)


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


@pytest.mark.usefixtures("undecided")
@pytest.mark.parametrize("index", [0, 1])
def test_auto_precision_asks_the_card_in_use(index, monkeypatch):
    """Of two cards the second has bfloat16."""
    asked = [0]

    @contextlib.contextmanager
    def current(device):
        asked.append(device.index)
        yield
        asked.pop()

    monkeypatch.setattr(torch.cuda, "device", current)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: asked[-1] == 1)
    assert uses_bfloat16("auto", torch.device("cuda", index)) is (index == 1)


# -- cuDNN: its flags can be read and set without a GPU --------------------------------------------


def flags():
    cudnn = torch.backends.cudnn
    precisions = cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision
    return cudnn.deterministic, cudnn.benchmark, *(p == "tf32" for p in precisions)


@pytest.fixture
def fast(monkeypatch):
    """A user who wants speed."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    assert flags() == (False, True, True, True)


@pytest.mark.usefixtures("fast")
def test_cudnn_is_exact_for_a_block_and_as_before_afterwards():
    before = flags(), torch.backends.cudnn.allow_tf32
    with pytest.raises(RuntimeError, match="inside"), exact_cudnn("cuda:1"):
        assert flags() == (True, False, False, False)
        assert not torch.backends.cudnn.allow_tf32
        with exact_cudnn(torch.device("cuda")):
            pass
        assert flags() == (True, False, False, False)
        raise RuntimeError("inside")
    assert (flags(), torch.backends.cudnn.allow_tf32) == before
    with exact_cudnn("cpu"):
        assert flags() == before[0]


@pytest.mark.usefixtures("fast")
def test_cudnn_is_exact_until_the_last_thread_is_out():
    inside, leave = threading.Event(), threading.Event()
    seen = []

    def work():
        with exact_cudnn("cuda"):
            inside.set()
            leave.wait()
            seen.append(flags())

    thread = threading.Thread(target=work)
    with exact_cudnn("cuda"):
        thread.start()
        inside.wait()
    assert flags() == (True, False, False, False)
    leave.set()
    thread.join()
    assert seen == [(True, False, False, False)]
    assert flags() == (False, True, True, True)


def test_operations_that_the_user_has_set_apart_stay_apart():
    """Then the one flag for all of them cannot be read any more."""
    cudnn = torch.backends.cudnn
    cudnn.conv.fp32_precision = "ieee"
    try:
        with exact_cudnn("cuda"):
            assert flags() == (True, False, False, False)
        assert flags() == (False, False, False, True)
    finally:
        cudnn.conv.fp32_precision = "tf32"
    assert cudnn.allow_tf32


@pytest.fixture
def two_cards(monkeypatch):
    """Two CUDA devices, as far as their global generators go."""
    generators = tuple(generator(10 + i) for i in range(2))
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "default_generators", generators)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("all are seeded"))
    return generators


@pytest.mark.parametrize(("device", "used"), [("cpu", None), ("cuda", 0), ("cuda:1", 1)])
def test_the_global_generators_in_use_alone_are_seeded_and_restored(device, used, two_cards):
    places = [torch.random.default_generator, *two_cards]
    before = [place.get_state() for place in places]
    fresh = generator(3).get_state()
    with seeded_global_rng(3, device):
        seeded = [torch.equal(place.get_state(), fresh) for place in places]
        for place in places[1:]:
            torch.rand(2, generator=place)
    assert seeded == [True, used == 0, used == 1]
    kept = [torch.equal(p.get_state(), s) for p, s in zip(places, before, strict=True)]
    assert kept == [True, used == 0, used == 1]  # the other one went on


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
import contextlib, resource
import torch

{source}
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
    # The function alone: the process need not import the package.
    source = f"_LARGEST_KEPT = {_LARGEST_KEPT}\n{inspect.getsource(keep_freed_memory)}"
    code = STEPS.format(source=source)
    faults = int(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert faults < 5 * 10 * 2**20 // mmap.PAGESIZE


def test_a_process_that_may_not_have_the_memory_goes_without(monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError("can't allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "empty", refuse)
        keep_freed_memory()
