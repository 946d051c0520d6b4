"""The kernel matrices of the layers of a network, sorted by cluster."""

import numpy as np
import torch

from sklearn_deepcluster.inspection._common import (
    checked_labels,
    get_panels,
    network_and_rows,
    some_rows,
)
from sklearn_deepcluster.inspection._kernel_matrix import draw_kernel
from sklearn_deepcluster.inspection._layers import (
    ideal_kernel_distance,
    kernel_width,
    layer_kernel,
    layer_outputs,
)


class LayerKernelDisplay:
    """Pictures of the kernel matrix at every layer of a network, sorted by cluster.

    Of feature maps it is the tensor kernel, of vectors the Gaussian one, both as DTKC's companion
    objectives have them. The titles tell how far each is from the ideal kernel, which is 1 within
    clusters and 0 between them. Use `from_estimator` or `from_predictions` to make one.

    Parameters
    ----------
    kernels : dict of ndarrays of shape (n, n)
        Kernel matrix of each layer, sorted by label.

    labels : ndarray of shape (n,)
        Sorted.

    Attributes
    ----------
    distances : dict of floats
        Distance of each kernel to the ideal one.

    axes_ : ndarray of matplotlib Axes
        With the pictures.

    figure_ : matplotlib Figure
        That of the axes.

    ims_ : list of matplotlib AxesImage
        The matrices.

    See Also
    --------
    KernelMatrixDisplay : The kernel of the embedding alone.
    KernelDistanceDisplay : The distances over the epochs of training.
    ideal_kernel_distance : The distance.

    References
    ----------
    .. [1] D. J. Trosten, "Deep Image Clustering with Tensor Kernels and Unsupervised Companion
       Objectives", master's thesis, UiT The Arctic University of Norway, 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_deepcluster import DTKC, ConvEncoder
    >>> from sklearn_deepcluster.inspection import LayerKernelDisplay
    >>> images = load_digits(n_class=3).images[:60]
    >>> encoder = ConvEncoder(filters=(4,), kernel_sizes=(5,), n_components=8)
    >>> dtkc = DTKC(3, encoder=encoder, max_epochs=2, min_steps=10, random_state=0).fit(images)
    >>> display = LayerKernelDisplay.from_estimator(dtkc, images, max_samples=60)
    >>> list(display.distances)
    ['layer 1', 'embedding']
    """

    def __init__(self, kernels, labels):
        self.kernels = kernels
        self.labels = labels
        self.distances = {
            name: ideal_kernel_distance(kernel, labels) for name, kernel in kernels.items()
        }

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        sigma_scale=None,
        bandwidth=None,
        max_samples=200,
        random_state=0,
        axes=None,
        **kwargs,
    ):
        """Draw the kernels of the layers of a fitted clusterer's network.

        Parameters
        ----------
        estimator : clusterer
            Fitted, with a network, or a pipeline that ends in one.

        X : {array-like, sparse matrix} of shape (n_samples, n_features), image array or sequences

        y : array-like of shape (n_samples,), default=None
            Labels to sort and to judge by; None takes the clusters.

        sigma_scale : float, default=None
            Bandwidth relative to the median distance; None is the estimator's, or 0.15.

        bandwidth : {"code", "mvc", "thesis"}, default=None
            Meaning of `sigma_scale`, see :func:`~sklearn_deepcluster.kernels.batch_kernel`; None
            is the estimator's, or "code".

        max_samples : int or None, default=200
            Rows to draw, at most, chosen at random.

        random_state : int, RandomState instance or None, default=0
            For that choice.

        axes : array-like of matplotlib Axes, default=None
            Where to draw, one for each intermediate output and one for the embedding; None makes a
            figure.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : LayerKernelDisplay
        """
        model, module, rows = network_and_rows(estimator, X)
        sigma_scale, bandwidth = kernel_width(model, sigma_scale, bandwidth)
        labels = checked_labels(rows.X, estimator.predict(X) if y is None else y)
        chosen = some_rows(len(rows), max_samples, random_state)
        outputs = layer_outputs(module, rows.take(torch.from_numpy(chosen)))
        return cls.from_predictions(
            outputs,
            labels[chosen],
            sigma_scale=sigma_scale,
            bandwidth=bandwidth,
            axes=axes,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls, outputs, labels, *, sigma_scale=0.15, bandwidth="code", axes=None, **kwargs
    ):
        """Draw the kernels of given outputs of layers.

        Parameters
        ----------
        outputs : dict of arrays or Tensors of shape (n_samples, ...)
            Output of each layer, by its name.

        labels : array-like of shape (n_samples,)
            Labels to sort and to judge by.

        sigma_scale : float, default=0.15
            Bandwidth relative to the median distance.

        bandwidth : {"code", "mvc", "thesis"}, default="code"
            Meaning of `sigma_scale`, see :func:`~sklearn_deepcluster.kernels.batch_kernel`.

        axes : array-like of matplotlib Axes, default=None
            Where to draw, one for each output; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : LayerKernelDisplay
        """
        sigma_scale, bandwidth = kernel_width(None, sigma_scale, bandwidth)
        outputs = {name: torch.as_tensor(output).float() for name, output in outputs.items()}
        for output in outputs.values():
            labels = checked_labels(output, labels)
        order = np.argsort(labels, kind="stable")
        kernels = {
            name: layer_kernel(output[order], sigma_scale, bandwidth).cpu().numpy()
            for name, output in outputs.items()
        }
        return cls(kernels, labels[order]).plot(axes=axes, **kwargs)

    def plot(self, axes=None, *, colorbar=True, **kwargs):
        """Draw.

        Parameters
        ----------
        axes : array-like of matplotlib Axes, default=None
            Where to draw, one for each layer; None makes a figure.

        colorbar : bool, default=True
            Draw a colour bar beside the last of them.

        **kwargs : dict
            Passed to matplotlib's ``imshow``.

        Returns
        -------
        display : LayerKernelDisplay
        """
        self.axes_ = get_panels(axes, len(self.kernels), layout="compressed")
        self.figure_ = self.axes_[0].figure
        self.ims_ = []
        for ax, (name, kernel) in zip(self.axes_, self.kernels.items(), strict=True):
            self.ims_.append(draw_kernel(ax, kernel, self.labels, **kwargs))
            ax.set(title=f"{name}\n{self.distances[name]:.2f} from ideal")
            if ax is not self.axes_[0]:
                ax.set(ylabel="")
        if colorbar:
            self.figure_.colorbar(self.ims_[-1], ax=list(self.axes_), label="kernel")
        return self
