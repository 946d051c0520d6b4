"""Measure: time, peak memory, optimisation steps."""

import contextlib
import os
import sys
import threading
import time
from pathlib import Path

_MB = 2**20


class Stopwatch:
    """Context manager: wall time and growth of the resident memory of a block.

    The memory is the highest resident set size during the block less the one at its start. A
    thread reads it from ``/proc/self/statm`` every 10 ms; where the process's own high-water
    mark (``getrusage``) rises during the block, that exact figure is used instead. Without
    ``/proc`` only the high-water mark is known, and growth below an earlier one is not seen.

    Attributes
    ----------
    seconds : float
    peak_mb : float
        In units of 2 ** 20 bytes.
    """

    def __enter__(self):
        self._start_mark = _high_water_mark()
        self._start = _resident() or self._start_mark
        self._peak = self._start
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        self._began = time.perf_counter()
        return self

    def __exit__(self, *exception):
        self.seconds = time.perf_counter() - self._began
        self._done.set()
        self._sampler.join()
        mark = _high_water_mark()
        if mark > self._start_mark:
            self._peak = max(self._peak, mark)
        self.peak_mb = (self._peak - self._start) / _MB

    def _sample(self):
        while not self._done.wait(0.01):
            self._peak = max(self._peak, _resident() or 0)


@contextlib.contextmanager
def counted_steps():
    """Count the steps of every torch optimiser in this process, ``count[0]``."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    count = [0]

    def step(optimizer, args, kwargs):
        count[0] += 1

    handle = register_optimizer_step_post_hook(step)
    try:
        yield count
    finally:
        handle.remove()


def _resident():
    """Resident set size in bytes; None where there is no /proc."""
    statm = Path("/proc/self/statm")
    if not statm.is_file():
        return None
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _high_water_mark():
    """Highest resident set size of the process so far, in bytes; 0 where it is not known."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
