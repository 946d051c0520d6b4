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
    """Seed torch's global generators for a block of code, one block at a time, and restore them."""
    devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with _GLOBAL_RNG_LOCK, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
