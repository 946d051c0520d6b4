"""Autoencoders as transformers: everything but the network."""

import copy
import dataclasses
import functools
import math
import numbers

import numpy as np
import torch
from sklearn.utils.validation import check_array, check_is_fitted
from torch import nn

from sklearn_deepcluster._engine import (
    Rows,
    Tasks,
    checkpointed,
    draw_seed,
    generator,
    inference_device,
    learn_standard,
    map_blocks,
    ordinary_tensors,
    random_stream,
    seeded_global_rng,
    told_data,
)
from sklearn_deepcluster._input import weigh
from sklearn_deepcluster.base import (
    POSITIVE_INT,
    TRAINING_CONSTRAINTS,
    TakesWeights,
    TorchEstimator,
)
from sklearn_deepcluster.losses import ReconstructionLoss
from sklearn_deepcluster.nn import Dropout, MaskingNoise, stages
from sklearn_deepcluster.representation._fingerprint import fit_told
from sklearn_deepcluster.representation._held_out import (
    HeldOutLoss,
    LeastHeldOutError,
    batches_of,
    hold_out,
    reconstruction_errors,
    watched,
)
from sklearn_deepcluster.utils._sklearn import Interval, StrOptions, _fit_context

CENTER = [StrOptions({"auto", "mean"}), None]


# Fewer samples are few, and very few: smaller networks learn as much of them, from smaller batches.
FEW, VERY_FEW = 5000, 1000
BATCH, SMALL_BATCH = 256, 128


def by_size(n_samples, many, few, very_few):
    """What there is for so many samples; None, as of models saved before it was asked, are many."""
    if n_samples is None or n_samples >= FEW:
        return many
    return few if n_samples >= VERY_FEW else very_few


def n_epochs(n_samples, batch_size, max_epochs, min_steps):
    """Epochs that make `max_epochs` passes and at least `min_steps` optimisation steps."""
    per_epoch = -(-n_samples // min(batch_size or n_samples, n_samples))
    return max(max_epochs, -(-min_steps // per_epoch))


def check_widths(name, widths, *, least=1):
    """Return `widths`, a parameter called `name`, as a list of positive integers."""
    checked = list(widths)
    if len(checked) < least or any(not isinstance(w, numbers.Integral) or w < 1 for w in checked):
        raise ValueError(f"{name}={widths!r} must hold positive integers, {least} at least.")
    return checked


def image_shape(given, n_features, sample_shape):
    """(channels, height, width) of an image by the parameter `sample_shape`, or else by X.

    Raises
    ------
    ValueError
        If the parameter does not fit.
    """
    shape = tuple(int(side) for side in np.atleast_1d(sample_shape if given is None else given))
    if math.prod(shape) != n_features or len(shape) > 3 or min(shape) < 1:
        raise ValueError(
            f"sample_shape={shape} does not fit: it has {math.prod(shape)} values, a sample of X "
            f"has {n_features}; two or three positive sizes are needed."
        )
    return (1,) * (3 - len(shape)) + shape


class _LayerPair(nn.Module):
    """One encoder layer and its decoder layer, on the codes of the layers before.

    Returns (code, reconstruction, clean input), all of this layer.

    Parameters
    ----------
    before : callable
        Maps rows to the input of this layer.
    encoder, decoder, dropout : nn.Module
    """

    def __init__(self, before, encoder, decoder, dropout):
        super().__init__()
        self._before = [before]  # not registered: its weights are not trained here
        self.encoder, self.decoder, self.dropout = encoder, decoder, dropout

    def forward(self, x):
        clean = self._before[0](x).detach()
        code = self.encoder(self.dropout(clean))
        return code, self.decoder(self.dropout(code)), clean


class _LayerLoss(ReconstructionLoss):
    """Reconstruction of the layer's own input instead of the batch."""

    def forward(self, step):
        code, reconstruction, clean = step.outputs
        return super().forward(dataclasses.replace(step, outputs=(code, reconstruction), x=clean))


class BaseRepresentation(TorchEstimator):
    """Base of the representations that a clusterer can start from; a subclass builds and trains.

    Parameters
    ----------
    center : {"auto", "mean"} or None
        What is subtracted from X, so that an offset does not matter. "mean" is the mean row, or,
        where a convolutional network reads images, the mean of each channel. "auto" is the mean,
        too, but where X has a background, that is what becomes zero: a value that makes a quarter
        of all values, such as the paper of written digits or the zeros of counts. None switches
        it off.

    scale : "auto", float or None
        X is then divided by it. "auto" is the root mean square of all training values, so the
        unit of X does not matter; None switches it off.

    max_epochs : int
        Passes over the data. 0, with ``min_steps=0``, leaves the weights as they were drawn.

    min_steps : int
        Small data take more passes, until this many optimisation steps were made.

    warm_start : bool
        Go on from the previous fit (with a fresh optimiser, on data of the same width).

    random_state : int, RandomState instance or None
        Seed of weights, order and noise. The global generators are not used.
    """

    _parameter_constraints = {
        **TRAINING_CONSTRAINTS,
        "center": CENTER,
        "scale": [StrOptions({"auto"}), Interval(numbers.Real, 0, None, closed="neither"), None],
        "max_epochs": [Interval(numbers.Integral, 0, None, closed="left")],
        "min_steps": [Interval(numbers.Integral, 0, None, closed="left")],
    }

    # How many tasks a fit has at most, of which scikit-learn's callbacks are told.
    _n_stages = 1

    def fit(self, X, y=None):
        """Train the network on X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array
            Training data; (n_samples, height, width) and
            (n_samples, channels, height, width) are flattened.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a parameter is not valid; before any training.
        TypeError
            If X is sparse and the network is convolutional.
        FloatingPointError
            If the training diverges.
        """
        return self._fit(X, y)

    @_fit_context(prefer_skip_nested_validation=True)
    @ordinary_tensors
    def _fit(self, X, y=None, sample_weight=None):
        resume = self.warm_start and hasattr(self, "module_")
        samples = weigh(self._read(X, reset=not resume), sample_weight)
        tasks = Tasks.of(self, told_data(X, y, sample_weight), self._n_stages)
        with tasks.told():
            tasks.fitted = self._fit_samples(samples, tasks, resume)
        self._become(tasks.fitted)
        return self

    def _fit_samples(self, samples, tasks, resume=False):
        """Train on samples; return the fitted state, name -> value."""
        fitted = self.module_ if resume else None
        told = functools.partial(fit_told, self, samples, fitted=fitted)
        with checkpointed(getattr(self, "checkpoint", None), told) as trainings:
            return self._train_on(samples, tasks, resume, trainings)

    def _train_on(self, samples, tasks, resume, trainings):
        stream = random_stream(self.random_state)
        trainer = self._trainer(
            batch_size=self._rows_per_step(len(samples)),
            global_rng=self._draws_globally(),
            held_out=self._holds_out(samples),
            tasks=tasks,
            trainings=trainings,
        )
        seed = draw_seed(stream)
        if resume:
            state = self._fitted_state()
            # A copy, so that a training that fails leaves the fitted one as it is.
            module, standard = copy.deepcopy(self.module_), self._standard()
        else:
            module, n_components = self._build(samples, seed)
            standard = learn_standard(
                samples.X,
                module.input_shape,
                center=self.center,
                scale=self.scale,
                weight=samples.weight,
            )
            state = {
                **samples.fitted,
                "center_": standard.center,
                "scale_": standard.scale,
                "n_components_": n_components,
            }
        rows = samples.rows(standard, trainer.device)
        # Built on the CPU whatever the device, so that a seed means the same start everywhere.
        module.to(trainer.device)
        # What callbacks get is a copy, as the training goes on with the module.
        tasks.fitted = lambda: {**state, "module_": copy.deepcopy(module).eval()}
        split = self._split(len(rows), seed + 1)
        history = [] if resume else self._pretrain(module, rows, trainer, draw_seed(stream), split)
        epochs, learned = self._fit_module(module, rows, trainer, draw_seed(stream), split, resume)
        losses = [epoch["train_loss"] for epoch in history + epochs]
        kept = {"loss": losses}
        kept_epoch = epochs[-1].get("kept_epoch", len(epochs)) if epochs else 0
        kept_epoch += len(history)
        errors = [epoch["validation_loss"] for epoch in epochs if "validation_loss" in epoch]
        if errors:
            kept["validation_loss"] = errors
        return {
            **state,
            "module_": module,
            "history_": kept,
            "loss_": losses[kept_epoch - 1] if losses else math.nan,
            "n_iter_": len(losses),
            "kept_epoch_": kept_epoch,
            **learned,
        }

    def _build(self, form, seed):
        """Build the module for samples of this form; return it and its number of components."""
        return self._make_module(form, generator(seed)), self.n_components

    def _rebuild_module(self):
        """Build the module anew for saved weights."""
        return self._build(self._form(), seed=0)[0]

    def _rows_per_step(self, n_samples):
        """The batch size for so many samples."""
        return self.batch_size

    def _draws_globally(self):
        return False

    def _split(self, n_samples, seed):
        """Hook: rows to learn from and rows held out, or None, None; see `hold_out`."""
        return None, None

    def _holds_out(self, samples):
        """Whether some samples are not learned from."""
        return self._split(len(samples), seed=0)[1] is not None

    def _pretrain(self, module, rows, trainer, seed, split):
        """Hook: what comes before the training of the whole; returns its history."""
        return []

    def _loss(self):
        """The loss that a clusterer keeps beside its own, or None."""
        return None


class BaseAutoencoder(TakesWeights, BaseRepresentation):
    """Base of the autoencoders; a subclass builds the module.

    Parameters
    ----------
    n_components : int
        Dimension of the embedding.

    batch_size : int or "auto"
        Rows per step; more than there are rows means one batch. "auto" is 256, and 128 where there
        are fewer than 5,000 samples.

    activation : {"relu", "leaky_relu", "elu", "gelu", "tanh", "sigmoid", "identity"}
        Activation of the hidden layers.

    embedding_activation : str
        Activation of the embedding, from the same list, or "unit_norm": scaled to norm 1.

    output_activation : str
        Activation of the reconstruction, from the same list. "sigmoid" is for data in
        [0, 1] and needs ``center=None, scale=None``.

    noise : float
        Fraction of entries that are corrupted during training, in [0, 1).

    noise_kind : {"masking", "dropout"}
        "masking" sets input entries to zero; "dropout" drops entries before every layer of the
        encoder and rescales the others.

    validation_fraction : float or None
        Share of the samples, at most half of them and 2,000, that are not learned from: the weights
        that reconstruct them best are kept, and training stops when they get no better in a quarter
        of the epochs. A network reconstructs small data ever better long after it has stopped to
        learn what their clusters share. None learns from all samples, for all epochs; so does a
        share of fewer than 10.

    layerwise_epochs : int
        Epochs of greedy layer-wise denoising training per layer (dropout of `noise`, or 0.2
        where that is 0, on each layer's input and code) before the whole network is trained.

    Attributes
    ----------
    module_ : torch.nn.Module
        The network, with ``encode`` and ``decode``; it works on (X - ``center_``) / ``scale_``.
    """

    _parameter_constraints = {
        **BaseRepresentation._parameter_constraints,
        "n_components": POSITIVE_INT,
        "batch_size": [*POSITIVE_INT, StrOptions({"auto"})],
        "noise": [Interval(numbers.Real, 0, 1, closed="left")],
        "noise_kind": [StrOptions({"masking", "dropout"})],
        "hidden_weight": [Interval(numbers.Real, 0, None, closed="left")],
        "layerwise_epochs": [Interval(numbers.Integral, 0, None, closed="left")],
        "validation_fraction": [Interval(numbers.Real, 0, 0.5, closed="right"), None],
    }

    @property
    def _n_stages(self):
        return 2 if self.layerwise_epochs else 1

    def _corruption(self):
        """The layer that corrupts the input, or None."""
        masks = self.noise > 0 and self.noise_kind == "masking"
        return MaskingNoise(self.noise) if masks else None

    def _dropout(self):
        """What makes the dropout before each layer of the encoder, or None."""
        drops = self.noise > 0 and self.noise_kind == "dropout"
        return functools.partial(Dropout, self.noise) if drops else None

    def _rows_per_step(self, n_samples):
        if self.batch_size != "auto":
            return self.batch_size
        return by_size(n_samples, BATCH, SMALL_BATCH, SMALL_BATCH)

    def _loss(self):
        return ReconstructionLoss(self.hidden_weight)

    def _split(self, n_samples, seed):
        return hold_out(n_samples, self.validation_fraction, seed)

    def _pretrain(self, module, rows, trainer, seed, split):
        """Greedy layer-wise denoising training (Xie et al., 2016, Eq. 4-6); returns its history."""
        if not self.layerwise_epochs or self._draws_globally():
            return []
        encoder, decoder = stages(module.encoder), stages(module.decoder)[::-1]
        history = []
        with trainer.tasks.task("layers", len(encoder)):
            for depth, (inner, outer) in enumerate(zip(encoder, decoder, strict=True)):
                below = nn.Sequential(*encoder[:depth])
                pair = _LayerPair(
                    lambda x, below=below: below(module.shaped(x)),
                    inner,
                    outer,
                    Dropout(self.noise or 0.2),
                )
                history += trainer.train(
                    pair,
                    _LayerLoss(),
                    rows,
                    seed=seed + depth,
                    stage=f"{type(self).__name__}: layer {depth + 1}",
                    epochs=n_epochs(len(rows), trainer.batch_size, self.layerwise_epochs, 0),
                    batches=batches_of(split[0]),
                    noise=True,
                    **watched(rows, split[1], HeldOutLoss),
                )
        return history

    def _fit_module(self, module, rows, trainer, seed, split, resume):
        """Train the whole; return its history and further fitted attributes."""
        learned, held = split
        n_learned = len(rows) if learned is None else len(learned)
        epochs = n_epochs(n_learned, trainer.batch_size, self.max_epochs, self.min_steps)
        least = functools.partial(LeastHeldOutError, epochs=epochs)
        history = trainer.train(
            module,
            self._loss(),
            rows,
            seed=seed,
            stage=f"{type(self).__name__}: pretraining",
            epochs=epochs,
            batches=batches_of(learned),
            noise=True,
            **watched(rows, held, least),
        )
        return history, {}

    def inverse_transform(self, Z):
        """Decode embeddings.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float32
            In the units of the training data; image arrays come back as images. float64 where the
            centre is so large that float32 would lose digits.
        """
        check_is_fitted(self, "module_")
        return decode(self, Z)

    def score(self, X, y=None):
        r"""Negative mean squared error of the reconstruction, relative to the learned scale.

        :math:`-\frac{1}{n d} \sum_i \lVert x_i - \hat x_i \rVert^2 / s^2` with the scale s of
        the training data (``scale_``); 0 is best, and about -1 is what a constant zero would get.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array

        y : Ignored

        Returns
        -------
        score : float
        """
        module, rows = self._fitted(X)
        return -float(reconstruction_errors(module, rows).double().mean())


def decode(estimator, Z):
    """Decode Z by the decoder of a fitted estimator and undo the scale."""
    Z = check_array(Z, dtype=np.float32, input_name="Z", order="C")
    if Z.shape[1] != estimator.n_components_:
        raise ValueError(
            f"Z has {Z.shape[1]} columns, but the embedding has {estimator.n_components_}."
        )
    device = inference_device(estimator.device)
    module = estimator._module_on(device)
    rows = Rows(Z, device=device)
    X = map_blocks(module.decode, rows, module=module, asked="x").numpy()
    X = estimator._standard().undo(X)
    return X.reshape(len(X), *estimator.sample_shape_)


def _tensor_of(part, output):
    if not torch.is_tensor(output):
        raise ValueError(f"its {part} gives a {type(output).__name__}, not a tensor.")
    return output


def user_module(module, n_features, sample_shape, seed):
    """Make an encoder-decoder pair from a user's module or factory, and check it.

    Parameters
    ----------
    module : nn.Module or callable
        With attributes ``encoder`` and ``decoder``; a module is copied, weights included, a
        callable is called with `n_features` under the seed.
    n_features : int
    sample_shape : tuple of int
        What the encoder takes per sample: (d,), or (1, h, w) and (c, h, w) for images.
    seed : int

    Returns
    -------
    encoder, decoder : nn.Module
    n_components : int
    """
    with seeded_global_rng(seed):
        if isinstance(module, torch.nn.Module):
            module = copy.deepcopy(module)
        else:
            module = copy.deepcopy(module(n_features))  # which may be the user's own
    for part in ("encoder", "decoder"):
        if not isinstance(getattr(module, part, None), torch.nn.Module):
            raise ValueError(f"module has no {part!r} that is a torch.nn.Module.")
    module.cpu().float().eval()  # all are built there, whatever the device
    probe = torch.zeros(2, *sample_shape, dtype=torch.float32)
    try:
        with torch.no_grad():
            z = _tensor_of("encoder", module.encoder(probe)).flatten(1)
            back = _tensor_of("decoder", module.decoder(z)).flatten(1)
    except (RuntimeError, ValueError) as exc:
        raise ValueError(f"module does not take samples of shape {sample_shape}: {exc}") from exc
    if back.shape[1] != n_features:
        raise ValueError(
            f"module reconstructs {back.shape[1]} values a sample; X has {n_features} features."
        )
    return module.encoder, module.decoder, z.shape[1]
