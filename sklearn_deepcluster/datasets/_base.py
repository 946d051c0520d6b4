"""What all loaders share: local files with checksums, downloads, errors, subsets."""

import hashlib
import importlib.util
import io
import os
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import numpy as np
from sklearn.datasets import fetch_openml
from sklearn.utils import Bunch

DATA_VARIABLE = "SKLEARN_DEEPCLUSTER_DATA"
SUBSETS = ("all", "train", "test")
# What numpy.load and the reading of a member can raise on a damaged file.
_DAMAGE = (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class DataSet:
    """What is known of a data set before it is read."""

    name: str  # in messages
    loader: str  # name of the public function
    file: str  # name of the local file
    keys: tuple  # arrays in it
    sha256: str | None  # of the local file; None: the form alone is checked
    class_counts: tuple  # of the rows per class, one tuple per part: (train, test) or (all,)
    target_names: tuple
    descr: str
    data_id: int | None = None  # on OpenML
    shape: tuple = ()  # of one sample
    dtype: type | None = None
    origin: str = ""  # of data that are read from a local file only: where the values are

    @property
    def n_rows(self):
        return [sum(part) for part in self.class_counts]


def check_subset(subset):
    if subset not in SUBSETS:
        raise ValueError(f"subset must be one of {SUBSETS}, got {subset!r}.")


def local_path(spec):
    """Path of the local file of `spec`, or None where the environment offers none."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        return None
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise NotADirectoryError(
            f"The environment variable {DATA_VARIABLE} must name a folder of data files, "
            f"got {str(folder)!r}. Correct it, or unset it."
        )
    path = folder / spec.file
    return path if path.exists() else None


def require_local(spec):
    """Path of the local file of `spec`, without which there are no data."""
    path = local_path(spec)
    if path is None:
        raise FileNotFoundError(
            f"{spec.name} is read from a local file only: set the environment variable "
            f"{DATA_VARIABLE} to a folder that holds {spec.file}, with the arrays "
            f"{', '.join(spec.keys)} ({spec.origin})."
        )
    return path


def read_local(spec, path):
    """Read and verify a local file; return its arrays as a dict, and its SHA-256."""
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    remedy = (
        f"It may be damaged, incomplete or another version. Replace or remove it{_download(spec)}."
    )
    if spec.sha256 is not None and sha256 != spec.sha256:
        raise ValueError(
            f"{path} is not the {spec.name} file that is expected: its SHA-256 is {sha256}, not "
            f"{spec.sha256}. {remedy}"
        )
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {key: archive[key] for key in spec.keys}, sha256
    except _DAMAGE as error:
        raise ValueError(
            f"{path} can't be read as an npz file with the arrays {', '.join(spec.keys)} "
            f"({error}). {remedy}"
        ) from error


def read_checked(spec, path):
    """Samples, labels, split and SHA-256 of a local file in the form of `spec`."""
    arrays, sha256 = read_local(spec, path)
    X, y = arrays["X"], arrays["y"]
    # Files without a split have the training part first, if there are parts.
    split = arrays.get("split")
    if split is None and len(spec.class_counts) > 1:
        split = np.repeat([0, 1], spec.n_rows)
    if X.dtype == np.float16:
        X = X.astype(np.float32)
    check_form(spec, X, y, split, path)
    return X, y.astype(np.int64), split, sha256


def _download(spec):
    return f"; without it, {spec.loader} downloads the data" if spec.data_id is not None else ""


@contextmanager
def explain_offline(spec, data_home):
    """Turn failures to download into an error that says how to obtain the data."""
    try:
        yield
    except (OSError, HTTPException) as error:
        where = "the default data_home" if data_home is None else f"data_home={str(data_home)!r}"
        raise ConnectionError(
            f"{spec.name} is not in the cache of scikit-learn ({where}) and could not be "
            f"downloaded: {error}. Either call {spec.loader}() once with a connection to the "
            f"internet and copy the cache, the folder that sklearn.datasets.get_data_home() "
            f"names, to this machine; or set the environment variable {DATA_VARIABLE} to a "
            f"folder that holds {spec.file} (arrays {', '.join(spec.keys)})."
        ) from error


def download_openml(spec, data_home):
    """Samples of shape (n, n_features) and labels as strings, from OpenML or its cache."""
    # liac-arff needs no pandas, but is slow and takes several times the memory.
    parser = "pandas" if importlib.util.find_spec("pandas") else "liac-arff"
    with explain_offline(spec, data_home):
        data = fetch_openml(
            data_id=spec.data_id, data_home=data_home, as_frame=False, parser=parser
        )
    return data.data, data.target


def array_checksum(*arrays):
    """SHA-256 of the bytes of `arrays`, for data that was not read from one known file."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def check_form(spec, X, y, split, source):
    """Check shape, type and the number of rows per class and part against what is known."""
    problem = None
    expected = (sum(spec.n_rows), *spec.shape)
    if X.shape != expected or X.dtype != spec.dtype:
        problem = f"samples of shape {X.shape} and type {X.dtype}, not {expected} of {spec.dtype}"
    elif y.shape != expected[:1] or split is not None and split.shape != expected[:1]:
        problem = f"labels or split of another length than {expected[0]}"
    elif not np.isfinite(X.sum()):  # also for sparse X
        problem = "samples that are not finite"
    else:
        problem = _wrong_counts(spec, y, split)
    if problem:
        raise ValueError(
            f"{source} does not hold {spec.name} in the form that is expected: it has {problem}. "
            f"It may be damaged or another version."
        )


def _wrong_counts(spec, y, split):
    parts = [y] if split is None else [y[split == part] for part in range(len(spec.class_counts))]
    expected = np.array(spec.class_counts)
    if split is None:
        expected = expected.sum(axis=0, keepdims=True)
    for part, counts in zip(parts, expected, strict=True):
        labels, found = np.unique(part, return_counts=True)
        if not np.array_equal(labels, np.arange(len(counts))) or not np.array_equal(found, counts):
            shown = dict(zip(labels[:20].tolist(), found.tolist(), strict=False))
            return f"{len(labels)} classes with these numbers of rows: {shown}"
    return None


def subset_rows(spec, split, subset):
    """The rows of a subset, as a slice where they are all."""
    if subset == "all":
        return slice(None)
    if split is None:
        raise ValueError(
            f"subset={subset!r} is not available: this copy of {spec.name} doesn't say which "
            f"rows belong to it. Use subset='all'."
        )
    return split == SUBSETS.index(subset) - 1


def make_bunch(spec, data, target, **more):
    return Bunch(
        data=data,
        target=target,
        target_names=list(spec.target_names),
        DESCR=spec.descr,
        **more,
    )
