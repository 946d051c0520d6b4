"""The kernel matrix of an embedding, sorted by cluster."""

import numbers

import numpy as np
import torch

from sklearn_deepcluster.inspection._common import (
    checked,
    embedding_and_labels,
    get_axes,
    some_rows,
)
from sklearn_deepcluster.kernels import gaussian_kernel, median_distance


class KernelMatrixDisplay:
    """Picture of a Gaussian kernel matrix, sorted by cluster (KNet paper, figures 1, 5, 7).

    Clusters that are dense and separate are bright blocks on a dark ground.
    Use `from_estimator` or `from_predictions` to make one.

    Parameters
    ----------
    kernel : ndarray of shape (n, n)
        Sorted by label.

    labels : ndarray of shape (n,)
        Sorted.

    sigma : float
        Bandwidth.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the picture.

    figure_ : matplotlib Figure
        That of the axes.

    im_ : matplotlib AxesImage
        The matrix.

    See Also
    --------
    EmbeddingDisplay : The rows themselves.
    LayerKernelDisplay : The kernels of all layers of the network.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_deepcluster.inspection import KernelMatrixDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> display = KernelMatrixDisplay.from_predictions(X, y, sigma=1.0)
    >>> display.kernel.shape
    (150, 150)
    """

    def __init__(self, kernel, labels, sigma):
        self.kernel = kernel
        self.labels = labels
        self.sigma = sigma

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        sigma=None,
        max_samples=1000,
        random_state=0,
        ax=None,
        **kwargs,
    ):
        """Draw the kernel of the embedding of X by a fitted clusterer.

        Parameters
        ----------
        estimator : clusterer
            Fitted, with ``transform``, and ``predict`` unless `y` is given.

        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array

        y : array-like of shape (n_samples,), default=None
            Labels to sort by; None takes the clusters.

        sigma : float, default=None
            Bandwidth; None is the estimator's ``sigma_`` or else the median distance.

        max_samples : int or None, default=1000
            Rows to draw, at most, chosen at random.

        random_state : int, RandomState instance or None, default=0
            For that choice.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : KernelMatrixDisplay
        """
        Z, labels = embedding_and_labels(estimator, X, y)
        sigma = getattr(estimator, "sigma_", None) if sigma is None else sigma
        return cls.from_predictions(
            Z,
            labels,
            sigma=sigma,
            max_samples=max_samples,
            random_state=random_state,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls, Z, labels, *, sigma=None, max_samples=1000, random_state=0, ax=None, **kwargs
    ):
        """Draw the kernel of rows, of data or of an embedding, sorted by labels.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)

        labels : array-like of shape (n_samples,)

        sigma : float, default=None
            Bandwidth in units of Z; None is the median distance of the rows drawn.

        max_samples : int or None, default=1000
            Rows to draw, at most, chosen at random.

        random_state : int, RandomState instance or None, default=0
            For that choice.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : KernelMatrixDisplay

        Raises
        ------
        ValueError
            If `sigma` is not positive, or the median distance is 0.
        """
        Z, labels = checked(Z, labels)
        rows = some_rows(len(Z), max_samples, random_state)
        rows = rows[np.argsort(labels[rows], kind="stable")]
        Z = torch.from_numpy(Z[rows])
        if sigma is None:
            sigma = median_distance(Z)
        if not isinstance(sigma, numbers.Real) or not sigma > 0:
            raise ValueError(f"sigma must be a positive number, got {sigma!r}.")
        kernel = gaussian_kernel(Z, Z, sigma).numpy()
        return cls(kernel, labels[rows], float(sigma)).plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, colorbar=True, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        colorbar : bool, default=True
            Draw a colour bar beside it.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : KernelMatrixDisplay
        """
        self.ax_ = get_axes(ax)
        self.figure_ = self.ax_.figure
        self.im_ = draw_kernel(self.ax_, self.kernel, self.labels, **kwargs)
        if colorbar:
            self.figure_.colorbar(self.im_, ax=self.ax_, label="kernel")
        return self


def draw_kernel(ax, kernel, labels, **kwargs):
    """Draw a kernel matrix that is sorted by `labels`, with lines between the clusters."""
    style = {"vmin": 0.0, "vmax": 1.0, "cmap": "viridis", "interpolation": "nearest"} | kwargs
    image = ax.imshow(kernel, **style)
    # A tick in the middle of each cluster, as long as the labels do not run into one another.
    found, starts, counts = np.unique(labels, return_index=True, return_counts=True)
    middles = starts + (counts - 1) / 2
    if len(found) <= 20:
        ax.set_xticks(middles, [str(label) for label in found])
        ax.set_yticks(middles, [str(label) for label in found])
    else:
        ax.set_xticks([])
        ax.set_yticks([])
    for edge in starts[1:]:
        ax.axhline(edge - 0.5, color="white", linewidth=0.5)
        ax.axvline(edge - 0.5, color="white", linewidth=0.5)
    ax.set(xlabel="cluster", ylabel="cluster")
    return image
