"""Save fitted estimators as data: JSON and tensors in one safetensors file, no code."""

import hashlib
import importlib
import inspect
import json
import os
import uuid

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from sklearn.base import BaseEstimator
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from sklearn_deepcluster import metrics
from sklearn_deepcluster._version import __version__
from sklearn_deepcluster.base import TorchEstimator, is_fitted_name
from sklearn_deepcluster.utils._sklearn import (
    SPLITTERS,
    BaseSearchCV,
    has_callbacks,
    parse_version,
    searched_scorer,
)
from sklearn_deepcluster.utils._warnings import warn_user
from sklearn_deepcluster.utils.discovery import all_descriptions, all_estimators

__all__ = ["check_savable", "load_model", "save_model"]

FORMAT = "sklearn_deepcluster"
# 1: one estimator of this package, its attributes in a header of their own. 2: estimators within
# estimators, scikit-learn's too.
FORMAT_VERSION = 2
# Made again from what the search was given.
_SCORER = "scorer_"
_OUTPUT = "_sklearn_output_config"
# RecursionError is a RuntimeError, OverflowError an ArithmeticError.
_DAMAGE = (
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
    ValueError,
    ArithmeticError,
    MemoryError,
)
_ELSEWHERE = "Use pickle or joblib, and trust the file."


def save_model(estimator, path):
    """Save a fitted estimator of this package, or one of scikit-learn's that holds such.

    The file is a safetensors file whose header holds the parameters as JSON. It stores no code:
    see :func:`check_savable` for what can be saved. Use pickle or joblib, and trust the file, for
    anything else.

    Parameters
    ----------
    estimator : estimator
        Fitted: of this package, or scikit-learn's such as a ``Pipeline`` or a ``GridSearchCV``
        with one of this package's in it.

    path : str or path-like
        File to write; an existing one is replaced.

    Raises
    ------
    ValueError
        If there is no network to save, or something cannot be saved as data; the message names it.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    load_model : Read such a file.
    check_savable : Ask before the training.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_deepcluster import Autoencoder, load_model, save_model
    >>> X = load_iris().data
    >>> ae = Autoencoder(hidden_layer_sizes=(8,), min_steps=10, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "ae.safetensors")
    ...     save_model(ae, path)
    ...     again = load_model(path)
    >>> bool((again.transform(X) == ae.transform(X)).all())
    True
    """
    if os.path.isdir(path):
        raise ValueError(f"{path} is a folder; a file in it is needed.")
    folder = os.path.dirname(os.fspath(path)) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"There is no folder {folder} to save the model in.")
    packer = _Packer()
    packed = packer.estimator(estimator, type(estimator).__name__)
    if hasattr(estimator, "fit"):
        check_is_fitted(estimator)
    if not packer.n_networks:
        raise ValueError(
            f"{type(estimator).__name__} holds no network; save it by pickle or joblib."
        )
    header = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "package_version": __version__,
        "model": json.dumps(packed),
    }
    header["sha256"] = _checksum(header, packer.tensors)
    temporary = f"{os.fspath(path)}.{uuid.uuid4().hex}.part"
    save_file(packer.tensors, temporary, metadata=header)
    os.replace(temporary, path)


def check_savable(estimator):
    """Check that :func:`save_model` can save an estimator; ask it before a long training.

    Savable are estimators of this package and of scikit-learn, one within the other, whose
    parameters and fitted attributes are: numbers, strings, tuples, lists and dicts of them, arrays,
    such estimators, scikit-learn's splitters, optimisers of ``torch.optim``, devices, and functions
    of ``sklearn.metrics``, :mod:`sklearn_deepcluster.metrics` and numpy. Callbacks, modules and
    functions of your own, and ``RandomState`` instances are not.

    Parameters
    ----------
    estimator : estimator
        Fitted or not.

    Raises
    ------
    ValueError
        If something cannot be saved as data; the message names it.

    See Also
    --------
    save_model : Save an estimator.

    Examples
    --------
    >>> from sklearn_deepcluster import DEC, check_savable
    >>> check_savable(DEC(3, callbacks=[print]))
    Traceback (most recent call last):
    ...
    ValueError: DEC.callbacks=<built-in function print> cannot be saved as data. Use pickle or...
    """
    _Packer().estimator(estimator, type(estimator).__name__)


def load_model(path):
    """Load an estimator that :func:`save_model` wrote; runs no code from the file.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    estimator : estimator
        Fitted; predicts as the saved one does.

    Raises
    ------
    ValueError
        If the file is damaged, or not such a file.
    FileNotFoundError
        If there is none.

    Warns
    -----
    UserWarning
        If a newer version wrote the file, or it has parameters that this version does not know.
    """
    if os.path.isdir(path):
        raise ValueError(f"{path} is a folder; the file that save_model wrote is needed.")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            # Copies: the tensors of the file change with it.
            tensors = {n: file.get_tensor(n).clone() for n in file.keys()}  # noqa: SIM118
    except (SafetensorError, json.JSONDecodeError) as exc:
        raise ValueError(f"{path} is not a readable model file: {exc}") from exc
    version = header.get("format_version", "")
    if header.get("format") != FORMAT or not version.isdigit() or int(version) > FORMAT_VERSION:
        raise ValueError(f"{path} was not written by save_model of this version.")
    if header.pop("sha256", None) != _checksum(header, tensors):
        raise ValueError(f"{path} is damaged: its content does not have its checksum.")
    unpacker = _Unpacker(tensors)
    try:
        packed = _from_version_1(header, tensors) if version == "1" else json.loads(header["model"])
        estimator = unpacker.estimator(packed)
    except _DAMAGE as exc:
        raise ValueError(f"{path} does not hold a whole model: {exc}") from exc
    written = header.get("package_version", __version__)
    if parse_version(written) > parse_version(__version__):
        warn_user(
            f"{path} was written by version {written} of sklearn_deepcluster; this is "
            f"{__version__}, which may read it wrongly.",
            UserWarning,
        )
    if unpacker.unknown:
        warn_user(
            f"{path} has parameters that this version does not know and leaves out: "
            f"{', '.join(sorted(unpacker.unknown))}.",
            UserWarning,
        )
    return estimator


def _from_version_1(header, tensors):
    packed = json.loads(header["estimator"])
    state = json.loads(header["attributes"])
    for name in tensors:
        kind, _, rest = name.partition(".")
        if kind == "attribute":
            state[rest] = {"tensor": name}
    # There was no centre then.
    state.setdefault("center_", {"array": 0.0, "dtype": "<f8"})
    return {**packed, "state": state, "module": "module"}


def _checksum(header, tensors):
    """Digest of all that a file holds: a damaged weight must not go unseen."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()


def _own_classes():
    """Dict of name -> class of this package: estimators, descriptions of networks."""
    return dict(all_estimators() + all_descriptions())


def _class_name(cls):
    """The name by which a file knows a class, or None where it may not hold it."""
    if _own_classes().get(cls.__name__) is cls:
        return cls.__name__
    path = cls.__module__.split(".")
    name = f"{'.'.join(path[:2])}.{cls.__name__}"
    return name if path[0] == "sklearn" and _public(name) is cls else None


def _class_of(name):
    own = _own_classes().get(name)
    if own is not None:
        return own
    cls = _public(name)
    if not isinstance(cls, type) or not issubclass(cls, (BaseEstimator, *SPLITTERS)):
        raise ValueError(f"no file may hold a {name!r}")
    return cls


def _public(name):
    """What scikit-learn has under a name such as "sklearn.cluster.KMeans", or None."""
    package, _, rest = name.partition(".")
    module, _, public = rest.partition(".")
    if package != "sklearn" or not module.isidentifier() or not public.isidentifier():
        return None
    try:
        return getattr(importlib.import_module(f"sklearn.{module}"), public, None)
    except ImportError:
        return None


def _function_name(function):
    """The name by which a file knows a function or a scorer, or None where it may not hold it."""
    for name in metrics.__all__:
        known = getattr(metrics, name)
        if known is function or (
            isinstance(known, type(function)) and vars(known) == vars(function) != {}
        ):
            return f"{metrics.__name__}.{name}"
    name = getattr(function, "__name__", "")
    for prefix in ("sklearn.metrics", "numpy"):
        if _function_of(f"{prefix}.{name}") is function:
            return f"{prefix}.{name}"
    return None


def _function_of(name):
    module, _, function = name.rpartition(".")
    if module == "numpy":
        found = getattr(np, function, None)
        return found if isinstance(found, np.ufunc) else None
    if module == metrics.__name__:
        return getattr(metrics, function, None) if function in metrics.__all__ else None
    if module == "sklearn.metrics":
        found = _public(name)
        return found if inspect.isfunction(found) else None
    return None


def _check_unchanged(estimator, name):
    """Refuse a network that the parameters, as they are now, do not describe."""
    try:
        again = estimator._rebuild_module()
        same = str(again) == str(estimator.module_)
        same &= _shapes(again) == _shapes(estimator.module_)
    except (ValueError, RuntimeError, TypeError):
        same = False
    if not same:
        raise ValueError(
            f"{name} cannot be saved: its parameters were changed since it was fitted, and no "
            "longer describe its network. Set them back, or fit it again."
        )


def _shapes(module):
    return {name: value.shape for name, value in module.state_dict().items()}


class _Packer:
    """Turns values into JSON, with one-key dicts for what JSON has no type for, and tensors."""

    def __init__(self):
        self.tensors = {}
        self.n_networks = 0

    def estimator(self, estimator, name):
        cls = type(estimator)
        known = _class_name(cls) if isinstance(estimator, BaseEstimator) else None
        if known is None:
            raise ValueError(
                f"{name}={estimator!r} cannot be saved as data: it is not an estimator of this "
                f"package or of scikit-learn. {_ELSEWHERE}"
            )
        if has_callbacks(estimator):
            raise ValueError(
                f"{name} has callbacks of scikit-learn, which cannot be saved: take them off it by "
                "set_callbacks() without any."
            )
        params = estimator.get_params(deep=False)
        packed = {
            "class": known,
            "params": {key: self.value(value, f"{name}.{key}") for key, value in params.items()},
        }
        own, state = cls.__module__.partition(".")[0] != "sklearn", {}
        for key, value in vars(estimator).items():
            if key in params or key in (_OUTPUT, "module_", _SCORER):
                continue
            if not own or is_fitted_name(key):
                state[key] = self.value(value, f"{name}.{key}")
        if own and state and not isinstance(estimator, TorchEstimator):
            raise ValueError(f"{name} holds no network; save it by pickle or joblib.")
        if state:
            packed["state"] = state
        if hasattr(estimator, _OUTPUT):
            packed["output"] = dict(getattr(estimator, _OUTPUT))
        if isinstance(estimator, TorchEstimator) and hasattr(estimator, "module_"):
            _check_unchanged(estimator, name)
            packed["module"] = prefix = f"module{self.n_networks or ''}"
            self.n_networks += 1
            for key, value in estimator.module_.state_dict().items():
                self.tensors[f"{prefix}.{key}"] = value.detach().cpu().contiguous().clone()
        return packed

    def value(self, value, name):
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, np.generic) and not isinstance(value.item(), np.generic):
            return self.value(value.item(), name)
        if isinstance(value, tuple):
            return {"tuple": [self.value(item, name) for item in value]}
        if isinstance(value, list):
            return [self.value(item, name) for item in value]
        if isinstance(value, np.ma.MaskedArray):
            parts = {"data": value.data, "mask": np.ma.getmaskarray(value)}
            return {"masked": {key: self.value(part, name) for key, part in parts.items()}}
        if isinstance(value, np.ndarray):
            return self._array(value, name)
        if isinstance(value, slice):
            parts = value.start, value.stop, value.step
            return {"slice": [self.value(part, name) for part in parts]}
        if isinstance(value, Bunch):
            return {"bunch": {key: self.value(v, f"{name}[{key!r}]") for key, v in value.items()}}
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return {"dict": {key: self.value(v, f"{name}[{key!r}]") for key, v in value.items()}}
        if isinstance(value, BaseEstimator):
            return {"estimator": self.estimator(value, name)}
        packed = self._named(value, name)
        if packed is None:
            raise ValueError(f"{name}={value!r} cannot be saved as data. {_ELSEWHERE}")
        return packed

    def _array(self, value, name):
        if value.dtype.kind in "fiub" and value.dtype.itemsize <= 8:
            key = f"array{len(self.tensors)}"
            native = value.astype(value.dtype.newbyteorder("="))
            self.tensors[key] = torch.from_numpy(np.ascontiguousarray(native).reshape(value.shape))
            return {"tensor": key}
        if value.dtype.kind not in "OUS":
            raise ValueError(f"{name}, an array of {value.dtype}, cannot be saved. {_ELSEWHERE}")
        dtype = "object" if value.dtype.kind == "O" else value.dtype.kind
        return {"array": self.value(value.tolist(), name), "dtype": dtype}

    def _named(self, value, name):
        """A value that is known by its name, or None."""
        if isinstance(value, torch.device):
            return {"device": str(value)}
        if isinstance(value, np.dtype) and value.kind in "fiubOUS":
            return {"kind": value.str}
        if isinstance(value, SPLITTERS) and _class_name(type(value)):
            held = {key: self.value(v, f"{name}.{key}") for key, v in vars(value).items()}
            return {"splitter": {"class": _class_name(type(value)), "state": held}}
        if isinstance(value, type):
            if issubclass(value, np.generic):
                return {"dtype": np.dtype(value).str}
            if issubclass(value, SPLITTERS) and _class_name(value):
                return {"class": _class_name(value)}
            public = getattr(torch.optim, value.__name__, None)
            return {"optimizer": value.__name__} if public is value else None
        known = _function_name(value) if callable(value) else None
        return None if known is None else {"function": known}


class _Unpacker:
    """Turns what `_Packer` made into values again."""

    def __init__(self, tensors):
        self.tensors = tensors
        self.unknown = set()

    def estimator(self, packed):
        cls = _class_of(packed["class"])
        known = inspect.signature(cls).parameters
        given = packed["params"]
        self.unknown |= {f"{cls.__name__}.{name}" for name in given if name not in known}
        estimator = cls(**{k: self.value(v) for k, v in given.items() if k in known})
        own = cls.__module__.partition(".")[0] != "sklearn"
        for name, value in packed.get("state", {}).items():
            if hasattr(cls, name) or name.startswith("__") or (own and not is_fitted_name(name)):
                raise ValueError(f"no {cls.__name__} has an attribute {name!r}")
            setattr(estimator, name, self.value(value))
        if "output" in packed:
            estimator._sklearn_output_config = packed["output"]
        if isinstance(estimator, BaseSearchCV) and "state" in packed:
            estimator.scorer_ = searched_scorer(estimator)
        if "module" in packed:
            prefix = f"{packed['module']}."
            weights = {
                name.removeprefix(prefix): tensor
                for name, tensor in self.tensors.items()
                if name.startswith(prefix)
            }
            estimator.module_ = estimator._rebuild_module()
            estimator.module_.load_state_dict(weights)
            estimator.module_.eval()
        return estimator

    def value(self, value):
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "array" in value:
            dtype = np.dtype(value["dtype"])
            # Words are as long as they are; what a file says of their length is not asked.
            dtype = None if dtype.kind in "US" else dtype
            return np.array(self.value(value["array"]), dtype=dtype)
        ((kind, held),) = value.items()
        return self._of[kind](self, held)

    def _splitter(self, held):
        cls = _class_of(held["class"])
        if not issubclass(cls, SPLITTERS):
            raise ValueError(f"{held['class']!r} is no splitter")
        splitter = object.__new__(cls)
        vars(splitter).update({key: self.value(v) for key, v in held["state"].items()})
        return splitter

    def _optimizer(self, name):
        cls = getattr(torch.optim, name)
        if not issubclass(cls, torch.optim.Optimizer):
            raise ValueError(f"{name!r} is no optimiser")
        return cls

    def _function(self, name):
        function = _function_of(name)
        if function is None:
            raise ValueError(f"no file may hold a {name!r}")
        return function

    _of = {
        "tuple": lambda self, held: tuple(map(self.value, held)),
        "dict": lambda self, held: {key: self.value(item) for key, item in held.items()},
        "tensor": lambda self, held: self.tensors[held].numpy(),
        "masked": lambda self, held: np.ma.MaskedArray(
            **{k: self.value(v) for k, v in held.items()}
        ),
        "estimator": lambda self, held: self.estimator(held),
        "device": lambda self, held: torch.device(held),
        "dtype": lambda self, held: np.dtype(held).type,
        "class": lambda self, held: _class_of(held),
        "kind": lambda self, held: np.dtype(held),
        "slice": lambda self, held: slice(*map(self.value, held)),
        "bunch": lambda self, held: Bunch(**{key: self.value(v) for key, v in held.items()}),
        "splitter": _splitter,
        "optimizer": _optimizer,
        "function": _function,
    }
