"""Which pixels a clusterer looks at, by guided backpropagation."""

import contextlib
import warnings

import numpy as np
import torch
from torch import nn

from sklearn_deepcluster._engine import exact_cudnn
from sklearn_deepcluster.inspection._common import network_and_rows
from sklearn_deepcluster.inspection._images import (
    as_images,
    draw_montage,
    image_shape,
    scaled,
    select_by,
    select_rows,
)
from sklearn_deepcluster.inspection._layers import evaluating
from sklearn_deepcluster.losses import squared_distances


class ImportanceDisplay:
    r"""Images, and beside each which of its pixels speak for its cluster.

    The importance of a pixel is the derivative of the evidence for the image's cluster by guided
    backpropagation: where a ReLU passes gradients back, only positive ones go through. It shows
    what in the image the network has found, not how much a pixel would change the result. The
    evidence is the log odds of the cluster, :math:`\ln p - \ln (1 - p)`, whose gradient does not
    vanish where p is close to 1; of clusterers without probabilities it is the squared distance to
    the centre, negated. It needs captum. Use `from_estimator` to make one.

    Parameters
    ----------
    images : list of ndarray of shape (m, height, width) or (m, height, width, 3)
        The samples of each cluster.

    importances : list of ndarray of shape (m, height, width)
        Of their pixels, summed over the channels.

    clusters : ndarray of shape (n_clusters,)
        Label of each cluster.

    counts : ndarray of shape (n_clusters,)
        How many samples it has in all.

    order : str, default=""
        In words, which samples are drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the picture.

    figure_ : matplotlib Figure
        That of the axes.

    im_ : matplotlib AxesImage
        All pairs, in one picture.

    See Also
    --------
    ClusterSamplesDisplay : More samples, alone.

    References
    ----------
    .. [1] J. T. Springenberg, A. Dosovitskiy, T. Brox, M. Riedmiller, "Striving for Simplicity: The
       All Convolutional Net", ICLR workshop, 2015.
    .. [2] D. J. Trosten, "Deep Image Clustering with Tensor Kernels and Unsupervised Companion
       Objectives", master's thesis, UiT The Arctic University of Norway, 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_deepcluster import DDC, ConvEncoder
    >>> from sklearn_deepcluster.inspection import ImportanceDisplay
    >>> images = load_digits(n_class=3).images[:60]
    >>> encoder = ConvEncoder(filters=(4,), kernel_sizes=(5,), n_components=8)
    >>> ddc = DDC(3, encoder=encoder, max_epochs=2, min_steps=10, random_state=0).fit(images)
    >>> display = ImportanceDisplay.from_estimator(ddc, images, n_samples=2)  # doctest: +SKIP
    >>> display.importances[0].shape  # doctest: +SKIP
    (2, 8, 8)
    """

    def __init__(self, images, importances, clusters, counts, order=""):
        self.images = images
        self.importances = importances
        self.clusters = clusters
        self.counts = counts
        self.order = order

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        n_samples=4,
        selection="typical",
        sample_shape=None,
        random_state=0,
        ax=None,
        **kwargs,
    ):
        """Draw samples of X and what matters in them to a fitted clusterer.

        Parameters
        ----------
        estimator : clusterer
            Fitted, with a network.

        X : array-like of shape (n_samples, n_features) or image array

        n_samples : int, default=4
            Samples per cluster, at most.

        selection : {"typical", "random"}, default="typical"
            "typical": the most probable ones by ``predict_proba``; of clusterers without it those
            nearest the centre.

        sample_shape : tuple of int, default=None
            (height, width) or (channels, height, width) of an image. None is the shape of the
            images that X holds, or that the estimator was fitted on.

        random_state : int, RandomState instance or None, default=0
            For random samples.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : ImportanceDisplay

        Raises
        ------
        ImportError
            If captum is not installed.

        ValueError
            If the shape of the images is not known.
        """
        _guided_backprop()
        model, module, rows = network_and_rows(estimator, X)
        shape = image_shape(sample_shape, X, estimator)
        images = as_images(X, shape)
        labels = estimator.predict(X)
        scores, order = select_by(selection, estimator, X, labels)
        clusters, chosen = select_rows(labels, n_samples, scores=scores, random_state=random_state)
        counts = np.array([(labels == cluster).sum() for cluster in clusters])
        importances = [
            as_images(importance(model, module, rows, some, cluster), shape)
            for cluster, some in zip(clusters, chosen, strict=True)
        ]
        importances = [part.sum(axis=3) if part.ndim == 4 else part for part in importances]
        images = [images[some] for some in chosen]
        return cls(images, importances, clusters, counts, order).plot(ax=ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : ImportanceDisplay
        """
        ends = np.cumsum([len(row) for row in self.images])[:-1]
        images = np.split(_colored(scaled(np.concatenate(self.images)), "gray_r"), ends)
        rows = []
        for row, importances in zip(images, self.importances, strict=True):
            # Each by its own greatest value: only the pattern within an image is to be compared.
            greatest = np.abs(importances).max(axis=(1, 2), keepdims=True)
            greatest[greatest == 0.0] = 1.0
            maps = _colored(0.5 + 0.5 * importances / greatest, "RdBu_r")
            rows.append([cell for pair in zip(row, maps, strict=True) for cell in pair])
        self.ax_, self.im_ = draw_montage(ax, rows, self.clusters, self.counts, **kwargs)
        self.figure_ = self.ax_.figure
        what = f"{self.order} samples" if self.order else "samples"
        colors = "red for the cluster, blue against it"
        self.ax_.set(xlabel=f"{what} and pixel importance\n{colors}")
        return self


def importance(model, module, rows, index, cluster):
    """Guided derivative of the evidence for a cluster by the features of some rows, (n, d)."""
    x = rows.take(torch.from_numpy(index))
    if x.isnan().any():
        raise ValueError("X holds sequences of different lengths, which are no images.")
    evidence = _Evidence(module, model, model._head(rows.device))
    with (
        evaluating(evidence),
        _backward_of_recurrent(evidence),
        exact_cudnn(x.device),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Setting backward hooks", UserWarning)
        found = _guided_backprop()(evidence).attribute(x.requires_grad_(), target=int(cluster))
    return found.cpu().numpy() / rows.standard.scale


@contextlib.contextmanager
def _backward_of_recurrent(module):
    """Recurrent layers in training mode, but without dropout: cuDNN has no gradients otherwise."""
    layers = [(part, part.dropout) for part in module.modules() if isinstance(part, nn.RNNBase)]
    for layer, _ in layers:
        layer.train()
        layer.dropout = 0.0
    try:
        yield
    finally:
        for layer, dropout in layers:
            layer.dropout = dropout


class _Evidence(nn.Module):
    """What rows say for each cluster: log odds, or distances to the centres, negated."""

    def __init__(self, module, model, head):
        super().__init__()
        self.module = module
        self.log_proba = getattr(model, "_log_proba", None)
        self.head = head

    def forward(self, x):
        z = self.module.encode(x)
        if self.log_proba is None:
            return -squared_distances(z, self.head["cluster_centers_"])
        return log_odds(self.log_proba(z, self.head))


def log_odds(log_p):
    """Log odds ln p - ln(1 - p) from log-probabilities (b, k), exact where p is 1."""
    k = log_p.shape[1]
    if k == 1:
        return log_p
    own = torch.eye(k, dtype=torch.bool, device=log_p.device)
    others = log_p.unsqueeze(1).expand(-1, k, k).masked_fill(own, -torch.inf)
    return log_p - others.logsumexp(2)


def _colored(values, colormap):
    """Values in [0, 1] as colours (..., 3), unless they are colours."""
    import matplotlib

    return values if values.ndim == 4 else matplotlib.colormaps[colormap](values)[..., :3]


def _guided_backprop():
    """captum's class, or say how to obtain it."""
    try:
        from captum.attr import GuidedBackprop
    except ImportError as error:
        raise ImportError(
            "Importance maps need captum: pip install 'sklearn-deepcluster[importance]'."
        ) from error
    return GuidedBackprop
