"""Where and in which precision a module trains."""

import contextlib
import os
import threading

import torch

from sklearn_deepcluster.utils._warnings import warn_user

PRECISION_VARIABLE = "SKLEARN_DEEPCLUSTER_PRECISION"

# What "auto" takes: the first that is there.
_AUTO = {
    "cuda": lambda: torch.cuda.is_available(),
    "xpu": lambda: torch.xpu.is_available(),
    "mps": lambda: torch.backends.mps.is_available(),
}

# Just below the most that glibc's threshold adapts to, with room for alignment.
_LARGEST_KEPT = 31 * 2**20


def keep_freed_memory():
    """Let the C library keep what one step frees for the next one.

    glibc gives blocks beyond a threshold back to the system at once, so that every step faults the
    same pages in again, for a good part of the time of a small convolutional network. The threshold
    adapts to the largest such block that was freed: here one that is never touched. A process that
    may not have that much goes without.
    """
    with contextlib.suppress(RuntimeError):
        torch.empty(_LARGEST_KEPT, dtype=torch.uint8)


def ordinary_tensors(function):
    """Decorator: what is made within can be trained, also under torch's inference mode."""
    return torch.inference_mode(False)(torch.enable_grad()(function))


def resolve_device(device):
    """Return the ``torch.device`` that `device` names; "auto" is a GPU where there is one.

    Raises
    ------
    ValueError
        If `device` is not the name of a device, or of one that this machine does not have.
    """
    if device == "auto":
        return torch.device(next((name for name, there in _AUTO.items() if there()), "cpu"))
    try:
        resolved = torch.device(device)
        torch.zeros(1, device=resolved).cpu()  # a "meta" tensor has no values
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as exc:
        raise ValueError(
            f"device={device!r} is not available here: {str(exc).splitlines()[0]} "
            "Use device='auto' or device='cpu'."
        ) from exc
    return resolved


def inference_device(device):
    """Return `device`, or the CPU with a warning where a fitted model has come without its GPU."""
    try:
        return resolve_device(device)
    except ValueError:
        warn_user(f"device={device!r} is not available here; predicting on the CPU.")
        return torch.device("cpu")


def uses_bfloat16(precision, device):
    """Whether training on `device` runs its products in bfloat16.

    ``precision="auto"`` says yes where the hardware multiplies bfloat16 itself, or says what the
    environment variable `PRECISION_VARIABLE` does: for tests, and to compare machines.

    Raises
    ------
    ValueError
        If the variable names no precision.
    """
    if precision == "auto":
        precision = os.environ.get(PRECISION_VARIABLE) or "auto"
        if precision not in ("auto", "float32", "bfloat16"):
            raise ValueError(
                f"The environment variable {PRECISION_VARIABLE}={precision!r} must be float32 or "
                "bfloat16."
            )
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        with torch.cuda.device(device):  # the question is about the current one
            return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        # torch has no public question for this yet.
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, name, lambda: False)() for name in probes)
    return False


def free_memory(device):
    """Bytes that are free on a GPU, or None where that is not known."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "xpu":
        with contextlib.suppress(AttributeError, RuntimeError):  # not every driver tells
            return torch.xpu.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return None


# cuDNN is set for the whole process. All threads that are within share one setting: the first makes
# it, the last takes it back.
_CUDNN = threading.Lock()
_within = 0
_restore = None


@contextlib.contextmanager
def exact_cudnn(device):
    """Let cuDNN compute in float32 and the same bits every time, for a block of code.

    By itself it multiplies float32 numbers as TF32, with ten bits, and may add up in any order.
    Where `device` is no CUDA device nothing is touched.
    """
    global _within, _restore
    if torch.device(device).type != "cuda":
        yield
        return
    with _CUDNN:
        if _within == 0:
            _restore = _set_exact()
        _within += 1
    try:
        yield
    finally:
        with _CUDNN:
            _within -= 1
            if _within == 0:
                _restore()


def _set_exact():
    """Set the flags of cuDNN; return what sets them back."""
    cudnn = torch.backends.cudnn
    flags = {name: getattr(cudnn, name) for name in ("deterministic", "benchmark")}
    # Since torch 2.9 each operation has its own precision; the one flag for all, if it can be read,
    # sets these along, and must not contradict them.
    operations = [getattr(cudnn, name) for name in ("conv", "rnn") if hasattr(cudnn, name)]
    operations = [each for each in operations if hasattr(each, "fp32_precision")]
    precisions = [each.fp32_precision for each in operations]
    try:
        flags["allow_tf32"] = cudnn.allow_tf32
        cudnn.allow_tf32 = False
    except RuntimeError:  # the user has set operations apart
        for each in operations:
            each.fp32_precision = "ieee"
    cudnn.deterministic, cudnn.benchmark = True, False

    def restore():
        for name, value in flags.items():
            setattr(cudnn, name, value)
        for each, precision in zip(operations, precisions, strict=True):
            if each.fp32_precision != precision:
                each.fp32_precision = precision

    return restore
