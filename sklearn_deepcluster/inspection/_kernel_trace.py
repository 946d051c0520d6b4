"""How far the kernels of the layers are from the ideal one, epoch by epoch."""

import numpy as np
import torch
from sklearn.utils import check_array

from sklearn_deepcluster._engine import Callback
from sklearn_deepcluster._input import flat_rows, is_sequences, padded_rows
from sklearn_deepcluster.cluster._companion import WithCompanion
from sklearn_deepcluster.inspection._common import (
    checked_labels,
    get_axes,
    integer_ticks,
    kept_epoch,
    last_step,
)
from sklearn_deepcluster.inspection._layers import (
    ideal_kernel_distance,
    kernel_width,
    layer_kernel,
    layer_outputs,
)
from sklearn_deepcluster.nn import Exposing

PREFIX = "kernel_distance_"


class KernelTrace(Callback):
    """Record, after every epoch, how far the kernel of each layer is from the ideal one.

    Give it to a clusterer as one of its ``callbacks``. The distances, see
    :func:`ideal_kernel_distance`, are then in ``history_`` as "kernel_distance_layer_1" and so on,
    and "kernel_distance_embedding". The training goes as it would without.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), image array or sequences
        A batch of rows like those that the clusterer is fitted on: some hundred, as every epoch
        takes time and memory with their square.

    y : array-like of shape (n_samples,), default=None
        Labels to judge by. None takes the clusters of each epoch, where there is a soft
        assignment: of ``DEC``, ``IDEC``, ``DCEC``, ``DEPICT``, ``DDC``, ``DTKC`` and the recurrent
        ones.

    sigma_scale : float, default=None
        Bandwidth relative to the median distance; None is that of the training, or 0.15.

    bandwidth : {"code", "mvc", "thesis"}, default=None
        Meaning of `sigma_scale`, see :func:`~sklearn_deepcluster.kernels.batch_kernel`; None is
        that of the training, or "code".

    See Also
    --------
    KernelDistanceDisplay : Draws what it recorded.
    LayerKernelDisplay : Draws the kernels of a fitted clusterer.

    References
    ----------
    .. [1] D. J. Trosten, "Deep Image Clustering with Tensor Kernels and Unsupervised Companion
       Objectives", master's thesis, UiT The Arctic University of Norway, 2019.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_deepcluster import DDC, MLPEncoder
    >>> from sklearn_deepcluster.inspection import KernelTrace
    >>> X, y = make_blobs(150, centers=3, n_features=8, random_state=0)
    >>> encoder = MLPEncoder(hidden_layer_sizes=(32,), n_components=8)
    >>> trace = KernelTrace(X[:50])
    >>> ddc = DDC(3, encoder=encoder, callbacks=[trace], max_epochs=5, min_steps=0, random_state=0)
    >>> [name for name in ddc.fit(X).history_ if "distance" in name]
    ['kernel_distance_layer_1', 'kernel_distance_embedding']
    """

    def __init__(self, X, y=None, *, sigma_scale=None, bandwidth=None):
        self.X = X
        self.y = y
        self.sigma_scale = sigma_scale
        self.bandwidth = bandwidth

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        if len(net.history) > 1:  # the epoch that begins counts
            return
        module, objective = _network(net), _objective(net)
        if not hasattr(module, "taps"):
            raise ValueError("KernelTrace: no network is trained here, so its kernels stay.")
        if self.y is None and not hasattr(objective, "assignments"):
            raise ValueError(
                "KernelTrace: this clusterer has no soft assignment while it trains: give y."
            )
        self.width_ = kernel_width(objective, self.sigma_scale, self.bandwidth)
        rows = dataset_train.rows
        X = self._flat(module, rows.n_features)
        self.x_ = rows.like(X).take(torch.arange(len(X)))
        self.labels_ = None
        if self.y is not None:
            labels = checked_labels(X, self.y)
            self.labels_ = torch.from_numpy(np.unique(labels, return_inverse=True)[1])

    def _flat(self, module, n_features):
        """X as the flat rows that the network takes."""
        X = padded_rows(self.X)[0] if is_sequences(self.X) else flat_rows(self.X)[0]
        shape = module.input_shape
        sequential = shape is not None and shape[0] == -1
        finite = "allow-nan" if sequential else True
        X = check_array(X, dtype=np.float32, ensure_all_finite=finite, input_name="X")
        if X.shape[1] % shape[1] if sequential else X.shape[1] != n_features:
            raise ValueError(
                f"KernelTrace: a row of its X has {X.shape[1]} values, but the training is on rows "
                f"of {n_features}."
            )
        return X

    def on_epoch_end(self, net, **kwargs):
        outputs = layer_outputs(_network(net), self.x_)
        labels = self.labels_
        if labels is None:
            with torch.no_grad():
                labels = _objective(net).assignments(outputs["embedding"]).argmax(1)
        labels = labels.to(self.x_.device)
        for name, output in outputs.items():
            distance = ideal_kernel_distance(layer_kernel(output, *self.width_), labels)
            net.history.record(PREFIX + name.replace(" ", "_"), distance)


def _network(net):
    """The network that is trained, without what exposes its layers to a companion."""
    return net.module_.module if isinstance(net.module_, Exposing) else net.module_


def _objective(net):
    """The objective of the clusterer, without its companion."""
    criterion = net.criterion_
    return criterion.objective if isinstance(criterion, WithCompanion) else criterion


class KernelDistanceDisplay:
    """Curves of the distances that :class:`KernelTrace` recorded, over the epochs.

    Use `from_estimator` to make one.

    Parameters
    ----------
    distances : dict of lists of float
        Per epoch, by the name of the layer.

    kept_epoch : int or None, default=None
        The epoch, from 1, whose weights were kept; None marks none.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the picture.

    figure_ : matplotlib Figure
        That of the axes.

    lines_ : list of matplotlib Line2D
        The curve of each layer.

    See Also
    --------
    LossCurvesDisplay : The terms of the loss.

    References
    ----------
    .. [1] D. J. Trosten, "Deep Image Clustering with Tensor Kernels and Unsupervised Companion
       Objectives", master's thesis, UiT The Arctic University of Norway, 2019.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_deepcluster import DDC, MLPEncoder
    >>> from sklearn_deepcluster.inspection import KernelDistanceDisplay, KernelTrace
    >>> X, y = make_blobs(150, centers=3, n_features=8, random_state=0)
    >>> encoder = MLPEncoder(hidden_layer_sizes=(32,), n_components=8)
    >>> trace = KernelTrace(X[:50], y[:50])
    >>> ddc = DDC(3, encoder=encoder, callbacks=[trace], max_epochs=5, min_steps=0, random_state=0)
    >>> display = KernelDistanceDisplay.from_estimator(ddc.fit(X))
    >>> list(display.distances)
    ['layer 1', 'embedding']
    """

    def __init__(self, distances, kept_epoch=None):
        self.distances = distances
        self.kept_epoch = kept_epoch

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **kwargs):
        """Draw what a fitted clusterer has recorded.

        Parameters
        ----------
        estimator : clusterer
            Fitted with a :class:`KernelTrace` among its ``callbacks``.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : KernelDistanceDisplay

        Raises
        ------
        ValueError
            If nothing was recorded.
        """
        model = last_step(estimator)
        distances = {
            name.removeprefix(PREFIX).replace("_", " "): values
            for name, values in model.history_.items()
            if name.startswith(PREFIX)
        }
        if not distances:
            raise ValueError(
                "history_ holds no kernel distances: fit with callbacks=[KernelTrace(X)]."
            )
        return cls(distances, kept_epoch(model)).plot(ax=ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : KernelDistanceDisplay
        """
        self.ax_ = get_axes(ax)
        self.figure_ = self.ax_.figure
        self.lines_ = [
            self.ax_.plot(range(1, len(values) + 1), values, **{"label": name} | kwargs)[0]
            for name, values in self.distances.items()
        ]
        if self.kept_epoch is not None:
            style = {"color": "gray", "linestyle": "--", "linewidth": 1.0, "zorder": 0}
            self.ax_.axvline(self.kept_epoch, label="weights kept", **style)
        self.ax_.set(xlabel="epoch", ylabel="distance to the ideal kernel")
        integer_ticks(self.ax_)
        self.ax_.legend(fontsize="small")
        return self
