"""A folder in which a fit leaves what it has done, so that the same fit goes on after a kill.

Everything between the trainings of a fit follows from data, parameters and seeds, and is made
again. Of each training there is a file per epoch: it is written beside the last one, which goes
when the next one is complete. Its name holds the number of the epoch and a checksum, so that a file
that was torn tells itself.
"""

import contextlib
import json
import os
import re
import zlib

import filelock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from sklearn_deepcluster._engine._state import NotStorable
from sklearn_deepcluster.exceptions import CheckpointWarning
from sklearn_deepcluster.utils._warnings import warn_user

_FIT = "fit.json"
_BESIDE = ".tmp"
_KEPT = 2  # files of a training that has not ended


@contextlib.contextmanager
def checkpointed(folder, told):
    """The :class:`Trainings` of a fit with this checkpoint, which no other fit has meanwhile.

    Parameters
    ----------
    folder : str, path or None
        None is no checkpoint.
    told : callable
        Returns what the fit depends on, name -> str.

    Raises
    ------
    ValueError
        If the folder is of another fit, in use or none.
    """
    if folder is None:
        yield None
        return
    folder = os.fspath(folder)
    try:
        os.makedirs(folder, exist_ok=True)
        lock = filelock.FileLock(os.path.join(folder, "lock"), timeout=0)
        lock.acquire()
    except filelock.Timeout:
        raise ValueError(f"checkpoint={folder!r} is in use by another fit.") from None
    except OSError as exc:
        raise ValueError(f"checkpoint={folder!r} cannot be used: {exc}") from exc
    with lock:
        _agree(folder, told())
        yield Trainings(folder)


def _agree(folder, told):
    """Compare with what the folder is of; of a new one it is this."""
    path = os.path.join(folder, _FIT)
    try:
        with open(path, encoding="utf-8") as file:
            before = dict(json.load(file))
    except FileNotFoundError:
        try:
            _write(path, json.dumps(told, indent=1).encode())
        except OSError as exc:
            raise ValueError(f"checkpoint={folder!r} cannot be written: {exc}") from exc
        return
    except (OSError, TypeError, ValueError) as exc:
        raise ValueError(f"checkpoint={folder!r} is damaged: {_FIT} cannot be read.") from exc
    other = sorted(name for name in {**told, **before} if told.get(name) != before.get(name))
    if other:
        raise ValueError(
            f"checkpoint={folder!r} is of a fit with other {', '.join(other)}. Give every fit a "
            "folder of its own."
        )


class Trainings:
    """The trainings of a fit, or of one of its runs, in the order in which they take place.

    Parameters
    ----------
    folder : str
    """

    def __init__(self, folder):
        self.folder = folder
        self.n_begun = 0

    def part(self, name):
        """Those of a part of the fit that may run in another process."""
        return Trainings(os.path.join(self.folder, name))

    def next(self, stage):
        """The :class:`TrainingFiles` of the training that begins."""
        self.n_begun += 1
        name = re.sub(r"\W+", "-", stage.partition(": ")[2] or stage)
        os.makedirs(self.folder, exist_ok=True)
        for file in os.listdir(self.folder):
            if file.endswith(_BESIDE):  # of a process that was killed while it wrote
                os.remove(os.path.join(self.folder, file))
        return TrainingFiles(self.folder, f"{self.n_begun:02d}-{name}", stage)


class TrainingFiles:
    """What there is of a training.

    Parameters
    ----------
    folder : str
    name : str
        What the names of its files begin with.
    stage : str
        Named in warnings.
    """

    def __init__(self, folder, name, stage):
        self.folder = folder
        self.name = name
        self.stage = stage
        self.able = True

    def last(self):
        """JSON and tensors of the last file that is whole, or None."""
        for number, name in self._found():
            try:
                return self._read(name)
            except (OSError, ValueError, SafetensorError):
                warn_user(
                    f"{os.path.join(self.folder, name)} is damaged: {self.stage} goes on from "
                    f"before epoch {number}.",
                    CheckpointWarning,
                )
        return None

    def write(self, state, number, *, finished=False):
        """Write a :class:`TrainingState` after so many epochs, or warn that it is not possible."""
        if not self.able:
            return
        try:
            text, tensors = state.numbers(finished=finished)
            data = save(tensors, {"state": text})
            name = f"{self.name}-{number:06d}-{zlib.crc32(data):08x}.safetensors"
            _write(os.path.join(self.folder, name), data)
            for _, old in self._found()[1 if finished else _KEPT :]:
                os.remove(os.path.join(self.folder, old))
        except (OSError, NotStorable) as exc:
            self.able = False
            warn_user(
                f"checkpoint: {self.stage} leaves nothing from epoch {number} on: {exc}",
                CheckpointWarning,
            )

    def _found(self):
        """Number of epochs and name of each file, the last one first."""
        pattern = re.compile(rf"{re.escape(self.name)}-(\d+)-[0-9a-f]{{8}}\.safetensors")
        names = map(pattern.fullmatch, os.listdir(self.folder))
        return sorted(((int(m[1]), m[0]) for m in names if m), reverse=True)

    def _read(self, name):
        path = os.path.join(self.folder, name)
        with open(path, "rb") as file:
            told = int(name.rpartition("-")[2].partition(".")[0], 16)
            if zlib.crc32(file.read()) != told:
                raise ValueError("another checksum")
        with safe_open(path, "pt") as file:
            return file.metadata()["state"], {key: file.get_tensor(key) for key in file.keys()}


def _write(path, data):
    """Write a file that is there as a whole or not at all."""
    beside = f"{path}{_BESIDE}"
    try:
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.remove(beside)
        raise
