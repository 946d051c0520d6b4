"""What every estimator around a torch module shares: input, device, embedding, state."""

import copy
import numbers
import os
import threading

import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sklearn_deepcluster._engine import (
    OPTIMIZERS,
    Rows,
    Standard,
    Trainer,
    duplicate,
    inference_device,
    map_blocks,
    resolve_device,
    uses_bfloat16,
)
from sklearn_deepcluster._input import Form, read
from sklearn_deepcluster.utils._docs import complete_docstring
from sklearn_deepcluster.utils._pickles import VersionedPickle
from sklearn_deepcluster.utils._sklearn import CallbackSupportMixin, Interval, StrOptions

_MOVING = threading.Lock()

POSITIVE_INT = [Interval(numbers.Integral, 1, None, closed="left")]

TRAINING_CONSTRAINTS = {
    "batch_size": POSITIVE_INT,
    "checkpoint": [str, os.PathLike, None],
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


class TorchEstimator(
    VersionedPickle,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Base of all estimators: a transformer that holds a torch module as ``module_``.

    Its docstring, and those of the bases of each kind, describe what their estimators share; see
    ``utils/_docs.py``.

    Parameters
    ----------
    batch_size : int
        Rows per step; more than there are rows means one batch.

    optimizer : {"adam", "adamw", "sgd", "rmsprop", "adagrad", "adadelta"} or class
        Optimiser, or a subclass of ``torch.optim.Optimizer``.

    lr : float
        Learning rate.

    momentum : float
        Momentum of "sgd" and "rmsprop"; others ignore it.

    checkpoint : str or path
        A folder in which every epoch leaves its state: the same call goes on from there if it was
        killed, and ends with the bits of one that was not. Needs an integer `random_state`. A fit
        of other data or parameters is refused, see the guide's page on work that survives.

    callbacks : list of skorch callbacks
        Copied and given to the inner skorch net; the guide's page on callbacks tells of each.

    net_params : dict
        More parameters of that net, such as ``{"optimizer__weight_decay": 1e-4}``.

    device : str or torch.device
        "auto" is a GPU where there is one ("cuda", "xpu" or "mps"), else "cpu".

    precision : {"auto", "float32", "bfloat16"}
        Precision of the products in training; "auto" is bfloat16 where the hardware multiplies
        it. Losses, weights and predictions are always float32.

    verbose : int
        1 shows progress bars.

    Attributes
    ----------
    module_ : torch.nn.Module
        The network, with ``encode``; it works on (X - ``center_``) / ``scale_``.

    loss_ : float
        Loss of the last epoch, or of the one that was kept.

    n_iter_ : int
        Number of epochs.

    kept_epoch_ : int
        The epoch (or round), from 1, whose weights are those of the model: the last, unless the
        best was kept or drift was taken back. 0 is the start.

    center_ : ndarray of float64
        What is subtracted from the input: a row (n_features,), of images for a convolutional
        network (channels, 1, 1), of sequences (features,).

    scale_ : float
        Divisor of the input.

    n_components_ : int
        Dimension of the embedding.

    sample_shape_ : tuple of int
        Shape of one sample as given to ``fit``.

    n_features_in_ : int
        Number of features.

    n_samples_fit_ : int
        Number of samples that the network was first trained on, without those of weight 0.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X had names.
    """

    # Whether X may be sparse: networks that read rows of numbers get them in dense batches.
    _takes_sparse = True

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        complete_docstring(cls)

    def _read(self, X, *, reset):
        """Check X and return it as :class:`Samples`; the estimator stays as it is."""
        return read(self, X, reset=reset)

    def _form(self):
        """The form of the samples that the estimator is fitted on."""
        return Form(
            sample_shape=self.sample_shape_,
            n_features_in=self.n_features_in_,
            n_samples=getattr(self, "n_samples_fit_", None),
        )

    def _standard(self):
        """The unit of the input that the network was trained on."""
        return Standard(self.center_, self.scale_)

    def _fitted_state(self):
        """All that was learned from data, name -> value."""
        return {name: value for name, value in vars(self).items() if is_fitted_name(name)}

    def _become(self, fitted):
        """Take this fitted state, name -> value, instead of any other, all at once."""
        kept = {name: value for name, value in vars(self).items() if not is_fitted_name(name)}
        self.__dict__ = kept | fitted

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
        samples = self._read(X, reset=False)
        device = inference_device(self.device)
        return self._module_on(device), Rows(samples.X, standard=self._standard(), device=device)

    def _module_on(self, device):
        """The fitted module on a device; where it has to move, all threads see it move at once."""
        module = self.module_
        at = next((p.device for p in module.parameters()), device)
        if at.type == device.type and (device.index is None or at.index == device.index):
            return module
        with _MOVING:
            self.module_ = module = copy.deepcopy(module).to(device)
        return module

    def transform(self, X):
        """Embed X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
            Embedding by the encoder, without noise; of a clusterer, that in which
            ``cluster_centers_`` lie.
        """
        module, rows = self._fitted(X)
        return map_blocks(module.encode, rows, module=module, asked="z").numpy()

    @property
    def _n_features_out(self):
        return self.n_components_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # float64 input gives float32 output: the network computes in float32.
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.sparse = self._takes_sparse
        return tags

    def __sklearn_clone__(self):
        # The log or file that a callback writes to is the same for all clones: of most there is no
        # copy.
        bare = object.__new__(type(self))
        vars(bare).update(vars(self), callbacks=None)
        new = BaseEstimator.__sklearn_clone__(bare)
        new.callbacks = duplicate(self.callbacks)
        return new

    def __getstate__(self):
        state = dict(super().__getstate__())
        module = state.get("module_")
        if module is not None and any(p.device.type != "cpu" for p in module.parameters()):
            # A model trained on a GPU must load on a machine without one.
            state["module_"] = copy.deepcopy(module).cpu()
        return state

    def __setstate__(self, state):
        if "module_" in state and "center_" not in state:  # of a version without
            state = {**state, "center_": Standard().center}
        super().__setstate__(state)


class TakesWeights:
    """Mixin of the estimators whose training can weight the rows: ``fit`` takes the weights.

    An estimator without it does not: nothing is given that would have no effect. Its training
    averages over rows by ``step.mean``, and over all rows with ``task.weight``.
    """

    def fit(self, X, y=None, sample_weight=None):
        """Fit to X, where some samples may count more than others.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array
            Training data; (n_samples, height, width) and
            (n_samples, channels, height, width) are flattened.

        y : Ignored
            Present for API consistency.

        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts, 0 or more: one of weight 2 counts as two of weight 1; one
            of weight 0 is not learned from, but gets a label. They are divided by their mean, so
            that equal ones are the same as None.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, a weight or a parameter is not valid; before any training.
        TypeError
            If X is sparse and the network is not fully connected.
        FloatingPointError
            If the training (of a clusterer: that of every run) diverges.
        """
        return self._fit(X, y, sample_weight)


complete_docstring(TorchEstimator)


def is_fitted_name(name):
    """Whether an attribute of this name is learned from data."""
    return name.endswith("_") and not name.startswith("_")
