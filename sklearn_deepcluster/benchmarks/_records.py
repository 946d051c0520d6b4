"""Records: one JSON file per run, with what is needed to judge and repeat it."""

import base64
import hashlib
import json
import os
import platform
import subprocess
import tempfile
import zlib
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import sklearn_deepcluster

_PACKAGE = Path(sklearn_deepcluster.__file__).resolve().parent
_EXTRAS = ("umap-learn",)
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "skorch")


def default_folder():
    """Folder of the records: ``doc/records`` of the checkout, else ``records`` where one is.

    Returns
    -------
    folder : Path
    """
    root = _PACKAGE.parent
    return root / "doc" / "records" if (root / "pyproject.toml").is_file() else Path("records")


def record_path(folder, dataset, method, config, seed, *, device="auto", precision="auto"):
    """Path of one record; a device or precision that was asked for is part of the name."""
    asked = [part.replace(":", "") for part in (device, precision) if part != "auto"]
    name = "-".join([method, config, *asked, f"seed{seed}"])
    return Path(folder) / dataset / f"{name}.json"


def write_record(path, record):
    """Write `record` as JSON, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1, default=_plain)
            file.write("\n")
        os.chmod(temporary, 0o644)  # mkstemp's own mode keeps others from reading it
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_records(folder):
    """Read every record of a run under `folder`, sorted by path.

    Raises
    ------
    ValueError
        If a file is not JSON; it names the file.
    """
    records = []
    for path in sorted(Path(folder).glob("*/*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as exc:
            raise ValueError(f"{path} is no record: {exc}") from exc
        if record.get("kind") == "run":
            records.append(record)
    return records


def checksum(*arrays):
    """SHA-256 over dtype, shape and bytes of the arrays, as a hexadecimal string."""
    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.view(np.uint8).reshape(-1).data)
    return digest.hexdigest()


def packed(labels):
    """Labels as a short string, which :func:`unpacked` reads."""
    return base64.b64encode(zlib.compress(labels.astype("<u2").tobytes(), 9)).decode("ascii")


def unpacked(text):
    """The labels of a string of :func:`packed`, ndarray (n,)."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<u2")


def parameters(estimator):
    """Return the parameters of an estimator as plain values, others by their ``repr``."""
    params = estimator.get_params(deep=False)
    return {name: json.loads(json.dumps(value, default=repr)) for name, value in params.items()}


def environment():
    """Versions, commit and machine, as the records hold them.

    Returns
    -------
    environment : dict
        "versions", "commit" (None outside a repository), "dirty" (the package differs from the
        commit), "cpu", "threads" (of torch) and "wait_policy" (of OpenMP).
    """
    import torch

    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--", str(_PACKAGE)) if commit else None
    return {
        "versions": {
            "sklearn_deepcluster": sklearn_deepcluster.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
            **{name: version(name) for name in _EXTRAS if find_spec(name.partition("-")[0])},
        },
        "commit": commit,
        "dirty": None if changes is None else bool(changes),
        "cpu": cpu_model(),
        "threads": torch.get_num_threads(),
        "wait_policy": os.environ.get("OMP_WAIT_POLICY"),
    }


def cpu_model():
    """Name of the processor, with the number of cores that are visible."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name} ({os.cpu_count()} cores)"


def _git(*arguments):
    """Output of a git command on the package's repository; None where there is none."""
    if not (_PACKAGE.parent / ".git").exists():
        return None
    command = ["git", "-C", str(_PACKAGE.parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a record")
