"""What every estimator around a torch module shares: input, device, embedding, state."""

import copy
import math
import numbers

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from sklearn_deepcluster._engine import (
    CHUNK_ROWS,
    OPTIMIZERS,
    Rows,
    Trainer,
    inference_device,
    map_blocks,
    resolve_device,
    uses_bfloat16,
)
from sklearn_deepcluster.utils._sequences import check_padding, is_sequences, padded_rows
from sklearn_deepcluster.utils._sklearn import Interval, StrOptions

POSITIVE_INT = [Interval(numbers.Integral, 1, None, closed="left")]

TRAINING_CONSTRAINTS = {
    "batch_size": POSITIVE_INT,
    "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
    "lr": [Interval(numbers.Real, 0, None, closed="neither")],
    "momentum": [Interval(numbers.Real, 0, 1, closed="left")],
    "warm_start": ["boolean"],
    "callbacks": [list, tuple, None],
    "net_params": [dict, None],
    "device": [str, torch.device],
    "precision": [StrOptions({"auto", "float32", "bfloat16"})],
    "verbose": ["verbose"],
    "random_state": ["random_state"],
}


def flat_rows(X):
    """Flatten image arrays, and lists of images; return X and the shape of an image, else None."""
    if isinstance(X, (list, tuple)):
        try:
            X = np.asarray(X)
        except ValueError as exc:
            raise ValueError(
                "X holds samples of different shapes, such as sequences of different lengths; "
                f"estimators such as RDDC and RDTKC read these. ({exc})"
            ) from exc
    if isinstance(X, np.ndarray) and X.ndim > 2:
        return X.reshape(len(X), math.prod(X.shape[1:])), X.shape[1:]
    return X, None


class TorchEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Base of all estimators: a transformer that holds a torch module as ``module_``."""

    # Whether a sample of X is a sequence of steps, and the parameter that gives its shape.
    _sequential = False
    _sequence_shape = None

    def _check_X(self, X, *, reset):
        """Validate X and return it as a 2-D array or memory map.

        Image arrays and sequences are flattened; ``sample_shape_`` keeps their shape. float32
        arrays and memory maps are not copied, and memory maps are checked in chunks.
        """
        if self._sequential:
            return self._check_sequences(X, reset=reset)
        X, sample_shape = flat_rows(X)
        X = self._check_rows(X, reset=reset)
        if reset:
            self.sample_shape_ = sample_shape or (X.shape[1],)
        return X

    def _check_rows(self, X, *, reset, finite=True):
        if isinstance(X, np.memmap):
            validate_data(self, X, reset=reset, skip_check_array=True)
            _check_memmap(X, finite)
            return X
        return validate_data(
            self, X, reset=reset, dtype=np.float32, order="C", ensure_all_finite=finite
        )

    def _check_sequences(self, X, *, reset):
        """Validate sequences; return rows (n, time * features), NaN after the end of each.

        Of arrays (n, time, features) and lists, ``n_features_in_`` is the features per step, and
        the length is free. Of 2-D X it is the number of columns: each is a step, or what the
        parameter `sample_shape` of the encoder says.
        """
        if is_sequences(X):
            X, shape = padded_rows(X)
            if reset:
                self.n_features_in_, self.sample_shape_ = shape[1], tuple(shape)
                vars(self).pop("feature_names_in_", None)
            elif shape[1] != self.sample_shape_[1]:
                raise ValueError(
                    f"X has {shape[1]} features per step, but {type(self).__name__} is expecting "
                    f"{self.sample_shape_[1]} features per step as input."
                )
            if not isinstance(X, np.memmap) or X.dtype.kind not in "biuf":
                X = check_array(X, dtype=np.float32, order="C", ensure_all_finite="allow-nan")
            check_padding(X, shape[1])
            return X
        given = self._sequence_shape
        if reset or self.n_features_in_ == math.prod(self.sample_shape_):
            X = self._check_rows(X, reset=reset, finite=True if given is None else "allow-nan")
        else:  # fitted on sequences; rows of numbers are sequences too
            X = check_array(X, dtype=np.float32, order="C", ensure_all_finite="allow-nan")
            if self.sample_shape_[1] > 1 and X.shape[1] != math.prod(self.sample_shape_):
                raise ValueError(
                    f"X has {X.shape[1]} columns, but {type(self).__name__} is expecting sequences "
                    f"with {self.sample_shape_[1]} features per step."
                )
        if reset:
            shape = np.atleast_1d((X.shape[1], 1) if given is None else given)
            shape = tuple(map(int, shape)) if shape.dtype.kind in "iuf" else ()
            if len(shape) != 2 or min(shape) < 1 or math.prod(shape) != X.shape[1]:
                raise ValueError(
                    f"sample_shape={given!r} does not fit: (time, features) with the product "
                    f"{X.shape[1]}, the columns of X, is needed."
                )
            self.sample_shape_ = shape
        if given is not None or np.isnan(X[:, -1]).any():
            check_padding(X, self.sample_shape_[1])
        return X

    def _trainer(self, **overrides):
        """The engine with this estimator's training parameters, checked."""
        device = resolve_device(self.device)
        params = {
            "autocast": uses_bfloat16(self.precision, device),
            "batch_size": self.batch_size,
            "optimizer": self.optimizer,
            "lr": self.lr,
            "momentum": self.momentum,
            "callbacks": self.callbacks,
            "net_params": self.net_params,
            "verbose": self.verbose,
        }
        trainer = Trainer(device=device, **(params | overrides))
        trainer.check()
        return trainer

    def _fitted(self, X):
        """Validate X; return the fitted module and the rows, both where inference runs."""
        check_is_fitted(self, "module_")
        X = self._check_X(X, reset=False)
        device = inference_device(self.device)
        return self.module_.to(device), Rows(X, scale=self.scale_, device=device)

    def transform(self, X):
        """Embed X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or image array

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
            Embedding by the encoder, without noise; of a clusterer, that in which
            ``cluster_centers_`` lie.
        """
        module, rows = self._fitted(X)
        return map_blocks(module.encode, rows).numpy()

    @property
    def _n_features_out(self):
        return self.n_components_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # float64 input gives float32 output: the network computes in float32.
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __getstate__(self):
        state = dict(super().__getstate__())
        module = state.get("module_")
        if module is not None and any(p.device.type != "cpu" for p in module.parameters()):
            # A model trained on a GPU must load on a machine without one.
            state["module_"] = copy.deepcopy(module).cpu()
        return state


def _check_memmap(X, finite=True):
    """Check a memory map chunk by chunk: real, not empty, `finite` also as float32."""
    if X.dtype.kind not in "biuf":
        raise ValueError(f"X is a memory map of dtype {X.dtype}; real numbers are needed.")
    if X.ndim != 2 or X.shape[0] == 0 or X.shape[1] == 0:
        raise ValueError(
            f"X is a memory map of shape {X.shape}; at least 1 sample and 1 feature are needed."
        )
    if X.dtype.kind != "f":
        return
    for start in range(0, X.shape[0], CHUNK_ROWS):
        with np.errstate(over="ignore"):
            chunk = np.asarray(X[start : start + CHUNK_ROWS], dtype=np.float32)
        assert_all_finite(chunk, allow_nan=finite == "allow-nan", input_name="X")
