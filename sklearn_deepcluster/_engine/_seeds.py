"""Random numbers without the global generators."""

import contextlib
import threading

import numpy as np
import torch
from sklearn.utils import check_random_state

# A user's own module may draw from torch's global generator, which belongs to the whole process:
# one such module is built or trained at a time.
_GLOBAL_RNG_LOCK = threading.RLock()


def random_stream(random_state):
    """Return a ``RandomState``; None gives fresh entropy and leaves NumPy's global state alone."""
    if random_state is None:
        return np.random.RandomState(np.random.SeedSequence().generate_state(8))
    return check_random_state(random_state)


def draw_seed(stream):
    """Draw one integer seed from a ``RandomState``."""
    return int(stream.randint(np.iinfo(np.int32).max))


def generator(seed, device="cpu"):
    """Return a ``torch.Generator`` on `device`, seeded."""
    return torch.Generator(device=device).manual_seed(seed)


@contextlib.contextmanager
def seeded_global_rng(seed, device="cpu"):
    """Seed torch's global generators for a block of code, one block at a time, and restore them.

    They are those of the CPU and of `device`; others are left alone.
    """
    generators = _global_generators(torch.device(device))
    with _GLOBAL_RNG_LOCK:
        before = [each.get_state() for each in generators]
        try:
            for each in generators:
                each.manual_seed(seed)
            yield
        finally:
            for each, state in zip(generators, before, strict=True):
                each.set_state(state)


def global_states(device):
    """States of torch's global generators of the CPU and of `device`."""
    return [each.get_state() for each in _global_generators(torch.device(device))]


def set_global_states(device, states):
    """Set the states of as many of them as are given."""
    for each, state in zip(_global_generators(torch.device(device)), states, strict=False):
        each.set_state(state)


def _global_generators(device):
    generators = [torch.random.default_generator]
    if device.type in ("cuda", "xpu"):
        module = torch.get_device_module(device)
        module.init()  # there are none before
        index = module.current_device() if device.index is None else device.index
        generators.append(module.default_generators[index])
    elif device.type == "mps":
        generators.append(torch.mps._get_default_mps_generator())
    return generators
