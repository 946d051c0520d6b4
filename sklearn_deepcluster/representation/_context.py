"""Self-supervised pretraining of a convolutional network by the relative position of patches.

References: Doersch, Gupta, Efros, "Unsupervised Visual Representation Learning by Context
Prediction" (ICCV 2015); Trosten, master's thesis (UiT, 2019), whose "-SS" models start from it.
Implemented: the thesis's patches, task and shared network. What it leaves open: where the patches
lie (a grid at a random place), the widths of the classifier (100), new pairs in every epoch.
Deviations: patches, which are too small for convolutions without padding, are padded; the first
linear layer, which belongs to the size of a patch, is not transferred.
"""

import math
import numbers

import numpy as np
import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from sklearn_deepcluster._engine import generator, map_blocks
from sklearn_deepcluster.base import TakesWeights
from sklearn_deepcluster.nn import (
    ContextTask,
    PatchGrid,
    PositionClassifier,
    PositionLoss,
    choose_patches,
)
from sklearn_deepcluster.representation._base import BaseRepresentation, n_epochs
from sklearn_deepcluster.representation._encoders import ConvEncoder
from sklearn_deepcluster.utils._sklearn import Interval, StrOptions


class ContextPredictor(TakesWeights, BaseRepresentation):
    """Convolutional network, pretrained to tell the relative position of patches.

    Of each image two patches are drawn: one from the middle cell of a grid of 3 x 3 cells, which
    lies anywhere in the image, and one from a neighbouring cell. The convolutions are trained,
    with a classifier that is kept for ``score`` alone, to tell which of the 8 neighbours it was.
    The network is that of ``ConvEncoder``, to be trained further: its last layer, which makes the
    embedding, has random weights. ``DDC`` and ``DTKC`` with it as `encoder` are the "-SS" variants
    of the thesis.

    Parameters
    ----------
    n_components : int
        Dimension of the embedding: a linear layer, a ReLU, and batch normalisation.

    sample_shape : tuple of int
        (height, width) or (channels, height, width) of an image, where rows of X are flat. None
        is the shape of the images that X holds; a flat row is then an image one pixel high.

    filters : tuple of int
        Channels of each block of two convolutions, batch normalisation and pooling.

    kernel_sizes : tuple of int
        Sides of the kernels of each block.

    padding : {"auto", "same", "valid"}
        Of whole images, for the embedding, see ``ConvEncoder``. Patches are always padded.

    resize : int
        Height and width that whole images are resized to for the embedding; None leaves them.
        Patches are cut from images of the size that they have.

    activation : str
        "relu", "leaky_relu", "elu", "gelu", "tanh", "sigmoid" or "identity".

    patch_size : "auto" or int
        Height and width of the patches. A cell of the grid has `patch_size` + `jitter` pixels, so
        three times that must fit into the image. "auto" makes cells of two sevenths of the
        smaller side, 28 pixels at most, of which a seventh, rounded down, is for the jitter: 7
        pixels of 28, 5 of 16 and 24 of 128, as in the thesis.

    jitter : "auto" or int
        Each patch is shifted in its cell by 0 to so many pixels, down and to the right, so that
        its border tells little. "auto" is a sixth of the patch, rounded down, as far as it fits:
        1 pixel of 28, 0 of 16 and 4 of 128, as in the thesis.

    max_epochs : int
        Passes over the data. Every pass draws new patches, one pair of each image.

    batch_size : int
        Images per step; more than there are means one batch. No batch may have a single one.

    callbacks : list of skorch callbacks
        Copied and given to the inner skorch net. Its history has "train_loss" and "accuracy", the
        share of the positions that were found.

    net_params : dict
        More parameters of the inner skorch net, such as ``{"optimizer__weight_decay": 1e-4}``.

    verbose : int
        1 shows a progress bar.

    random_state : int, RandomState instance or None
        Seed of weights, order and patches. The global generators are not used.

    Attributes
    ----------
    classifier_weights_ : ndarray of shape (n_weights,)
        Weights of the classifier of positions, in a row.

    patch_size_ : int
        Height and width of the patches.

    jitter_ : int
        Largest shift of a patch in its cell.

    history_ : dict of lists
        "loss" per epoch (cross-entropy of the positions, in nats).

    See Also
    --------
    ConvEncoder : The same network without pretraining.
    ConvAutoencoder : Pretrains a network by reconstruction.

    Notes
    -----
    Images that are less than 3 pixels high, flat rows among them, have neighbours to the left and
    to the right only, and patches as high as they are; narrow ones likewise. Where both sides are
    below 3 pixels, columns of zeros on the right make up for it.

    References
    ----------
    .. [1] C. Doersch, A. Gupta, A. A. Efros, "Unsupervised Visual Representation Learning by
       Context Prediction", ICCV 2015.
    .. [2] D. J. Trosten, "Deep Image Clustering with Tensor Kernels and Unsupervised Companion
       Objectives", master's thesis, UiT The Arctic University of Norway, 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_deepcluster import DTKC, ContextPredictor
    >>> images = load_digits(n_class=3).images[:60]
    >>> context = ContextPredictor(
    ...     filters=(4, 8), kernel_sizes=(5, 3), n_components=8, min_steps=30, random_state=0
    ... )
    >>> context.fit_transform(images).shape, context.patch_size_
    ((60, 8), 2)
    >>> dtkc = DTKC(3, encoder=context, max_epochs=2, min_steps=10, random_state=0)
    >>> dtkc.fit_predict(images).shape
    (60,)
    """

    _parameter_constraints = {
        **BaseRepresentation._parameter_constraints,
        **ConvEncoder._parameter_constraints,
        "patch_size": [StrOptions({"auto"}), Interval(numbers.Integral, 1, None, closed="left")],
        "jitter": [StrOptions({"auto"}), Interval(numbers.Integral, 0, None, closed="left")],
    }
    _takes_sparse = False

    def __init__(
        self,
        *,
        n_components=100,
        sample_shape=None,
        filters=(32, 32),
        kernel_sizes=(5, 3),
        padding="auto",
        resize=None,
        activation="relu",
        patch_size="auto",
        jitter="auto",
        center="auto",
        scale="auto",
        max_epochs=20,
        min_steps=2000,
        batch_size=256,
        optimizer="adam",
        lr=1e-3,
        momentum=0.9,
        checkpoint=None,
        warm_start=False,
        callbacks=None,
        net_params=None,
        device="auto",
        precision="auto",
        verbose=0,
        random_state=None,
    ):
        self.n_components = n_components
        self.sample_shape = sample_shape
        self.filters = filters
        self.kernel_sizes = kernel_sizes
        self.padding = padding
        self.resize = resize
        self.activation = activation
        self.patch_size = patch_size
        self.jitter = jitter
        self.center = center
        self.scale = scale
        self.max_epochs = max_epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.checkpoint = checkpoint
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.precision = precision
        self.verbose = verbose
        self.random_state = random_state

    def _make_module(self, form, rng):
        encoder = ConvEncoder(
            **{name: getattr(self, name) for name in ConvEncoder._parameter_constraints}
        )
        return encoder.build(form.n_features_in, form.sample_shape, rng)[0]

    def _fit_module(self, module, rows, trainer, seed, split, resume):
        if len(rows) == 1:
            raise ValueError("n_samples=1: batch normalisation needs 2 images at least.")
        patch, jitter = choose_patches(module.input_shape[1:], self.patch_size, self.jitter)
        weights = None
        if resume:
            if patch != self.patch_size_:
                raise ValueError("warm_start cannot go on with another patch_size.")
            weights = self.classifier_weights_
        # Apart from the seeds that the trainer uses.
        start, pairs = generator(seed + 2), generator(seed + 3, trainer.device)
        task = _task(module, patch, jitter, start, weights, pairs).to(trainer.device)

        def learned():
            vector = parameters_to_vector(task.classifier.parameters())
            return {
                "classifier_weights_": vector.detach().cpu().numpy(),
                "patch_size_": patch,
                "jitter_": jitter,
            }

        of_module = trainer.tasks.fitted
        trainer.tasks.fitted = lambda: {**of_module(), **learned()}
        history = trainer.train(
            task,
            PositionLoss(),
            rows,
            seed=seed,
            stage=f"{type(self).__name__}: pretraining",
            epochs=n_epochs(len(rows), self.batch_size, self.max_epochs, self.min_steps),
        )
        module.eval()  # the trainer saw its blocks alone
        return history, learned()

    def score(self, X, y=None):
        r"""Negative cross-entropy of the positions, in nats, over all neighbours of the middle.

        :math:`-\frac{1}{n k} \sum_i \sum_{j=1}^k -\ln p(j \mid x_i^0, x_i^j)` with the patch
        :math:`x_i^0` in the middle cell and :math:`x_i^j` in its j-th neighbour, of k = 8 (2 of
        images with one side below 3 pixels). Nothing is drawn: the grid lies in the middle of the
        image and every patch in the middle of its cell, half a pixel up or left of it where need
        be. 0 is best, and guessing gets :math:`-\ln k`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or image array

        y : Ignored

        Returns
        -------
        score : float
        """
        module, rows = self._fitted(X)
        parts = self.patch_size_, self.jitter_, generator(0), self.classifier_weights_
        task = _task(module, *parts).to(rows.device).eval()
        return -float(map_blocks(task.surprise, rows).double().mean())


def _task(module, patch, jitter, start, weights=None, pairs=None):
    """The task with a classifier drawn from `start`, or of these weights."""
    grid = PatchGrid(module.input_shape[1:], patch, jitter)
    blocks = module.encoder.blocks
    sides = [math.ceil(side / 2 ** len(blocks)) for side in grid.size]
    n_in = blocks[-1][0].out_channels * math.prod(sides)
    classifier = PositionClassifier(n_in, len(grid.moves), start)
    if weights is not None:
        vector_to_parameters(torch.from_numpy(np.array(weights)), classifier.parameters())
    return ContextTask(module, grid, classifier, pairs)
