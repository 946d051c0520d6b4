"""Save fitted estimators as data: JSON and tensors in one safetensors file, no code."""

import hashlib
import inspect
import json
import os

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sklearn_deepcluster._version import __version__
from sklearn_deepcluster.base import TorchEstimator
from sklearn_deepcluster.utils.discovery import all_descriptions, all_estimators

__all__ = ["load_model", "save_model"]

FORMAT = "sklearn_deepcluster"
FORMAT_VERSION = 1
# Restored from the module's own tensors instead.
_MODULE = "module_"


def save_model(estimator, path):
    """Save a fitted estimator of this package.

    The file is a safetensors file whose header holds the parameters as JSON. It stores no code:
    parameters must be plain (numbers, strings, tuples and lists of them, arrays, estimators and
    encoders of this package). Use pickle or joblib, and trust the file, for anything else.

    Parameters
    ----------
    estimator : estimator of this package
        Fitted.

    path : str or path-like
        File to write; an existing one is replaced.

    Raises
    ------
    ValueError
        If the estimator is not one of this package's, holds no network, or a parameter is not
        plain; the message names it.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    load_model : Read such a file.

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
    params = _pack_estimator(estimator, type(estimator).__name__)
    if not isinstance(estimator, TorchEstimator):
        raise ValueError(
            f"{type(estimator).__name__} holds no network; save it by pickle or joblib."
        )
    check_is_fitted(estimator, _MODULE)
    tensors, attributes = {}, {}
    for name, value in vars(estimator).items():
        if not name.endswith("_") or name.startswith("_") or name == _MODULE:
            continue
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            tensors[f"attribute.{name}"] = torch.from_numpy(np.ascontiguousarray(value).copy())
        else:
            attributes[name] = _pack(value, name)
    for name, value in estimator.module_.state_dict().items():
        tensors[f"module.{name}"] = value.detach().cpu().contiguous().clone()
    header = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "package_version": __version__,
        "estimator": json.dumps(params),
        "attributes": json.dumps(attributes),
    }
    header["sha256"] = _checksum(header, tensors)
    temporary = f"{os.fspath(path)}.part"
    save_file(tensors, temporary, metadata=header)
    os.replace(temporary, path)


def load_model(path):
    """Load an estimator that :func:`save_model` wrote; runs no code from the file.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    estimator : estimator of this package
        Fitted; predicts as the saved one does.

    Raises
    ------
    ValueError
        If the file is damaged, or not such a file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, json.JSONDecodeError) as exc:
        raise ValueError(f"{path} is not a readable model file: {exc}") from exc
    if header.get("format") != FORMAT or header.get("format_version") != str(FORMAT_VERSION):
        raise ValueError(f"{path} was not written by save_model of this version.")
    if header.pop("sha256", None) != _checksum(header, tensors):
        raise ValueError(f"{path} is damaged: its content does not have its checksum.")
    try:
        estimator = _unpack(json.loads(header["estimator"]))
        attributes = {
            name: _unpack(value) for name, value in json.loads(header["attributes"]).items()
        }
        module = {}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "attribute":
                attributes[rest] = tensor.numpy()
            else:
                module[rest] = tensor
        for name, value in attributes.items():
            if not name.endswith("_") or name.startswith("_"):
                raise ValueError(f"no estimator has an attribute {name!r}")
            setattr(estimator, name, value)
        estimator.module_ = estimator._rebuild_module()
        estimator.module_.load_state_dict(module)
    except (KeyError, TypeError, AttributeError, RuntimeError, ValueError) as exc:
        raise ValueError(f"{path} does not hold a whole model: {exc}") from exc
    estimator.module_.eval()
    return estimator


def _checksum(header, tensors):
    """Digest of all that a file holds: a damaged weight must not go unseen."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _classes():
    """Dict of name -> class of what a file may hold: estimators, descriptions of networks."""
    return dict(all_estimators() + all_descriptions())


def _pack_estimator(estimator, name):
    if _classes().get(type(estimator).__name__) is not type(estimator):
        raise ValueError(
            f"{name}={estimator!r} cannot be saved: it is not an estimator of this package. "
            "Use pickle or joblib."
        )
    params = estimator.get_params(deep=False)
    return {
        "class": type(estimator).__name__,
        "params": {key: _pack(value, f"{name}.{key}") for key, value in params.items()},
    }


def _pack(value, name):
    """Turn a value into JSON, with one-key dicts for what JSON has no type for."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return _pack(value.item(), name)
    if isinstance(value, tuple):
        return {"tuple": [_pack(item, name) for item in value]}
    if isinstance(value, list):
        return [_pack(item, name) for item in value]
    if isinstance(value, np.ndarray):
        dtype = "object" if value.dtype.kind == "O" else value.dtype.str
        return {"array": _pack(value.tolist(), name), "dtype": dtype}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _pack(item, f"{name}[{key!r}]") for key, item in value.items()}}
    if isinstance(value, BaseEstimator):
        return {"estimator": _pack_estimator(value, name)}
    raise ValueError(
        f"{name}={value!r} cannot be saved: only plain values can. Use pickle or joblib."
    )


def _unpack(value):
    if isinstance(value, list):
        return [_unpack(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "tuple" in value:
        return tuple(_unpack(item) for item in value["tuple"])
    if "array" in value:
        return np.array(_unpack(value["array"]), dtype=value["dtype"])
    if "dict" in value:
        return {key: _unpack(item) for key, item in value["dict"].items()}
    packed = value.get("estimator", value)
    cls = _classes()[packed["class"]]
    known = inspect.signature(cls).parameters
    params = {key: _unpack(item) for key, item in packed["params"].items() if key in known}
    return cls(**params)
