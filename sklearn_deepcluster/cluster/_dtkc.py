"""DTKC: deep tensor kernel clustering, and its recurrent variant.

Reference: Trosten, "Deep Image Clustering with Tensor Kernels and Unsupervised Companion
Objectives" (master's thesis, UiT, 2019), chapter 4. Implemented: DDC's loss with companion
objectives on the intermediate layers, by tensor kernels (DTKC), by kernels of vectors (RDTKC) or by
soft-max classifiers (DTKC-SM). Deviations: projectors by Cholesky, whose gradients are finite;
unfoldings with more rows than columns are transposed; the classifiers' divergence is a mean over
the batch.
"""

import dataclasses
import numbers

from sklearn_deepcluster._engine import uses_bfloat16
from sklearn_deepcluster.cluster._companion import (
    SoftmaxCompanion,
    TensorCompanion,
    output_widths,
)
from sklearn_deepcluster.cluster._ddc import _RECURRENT, DDC, RDDC, variant
from sklearn_deepcluster.utils._sklearn import Interval, StrOptions


class DTKC(DDC):
    """Deep tensor kernel clustering: DDC with companion objectives.

    The intermediate layers of the network are to see the same clusters as its embedding. Of maps
    of features the similarity is a tensor kernel, by the subspaces that their unfoldings span.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.

    encoder : MLPEncoder, ConvEncoder, GRUEncoder, representation, nn.Module or callable, \
            default=None
        The network. None is ``MLPEncoder()`` for flat rows and ``ConvEncoder()`` for image
        arrays. A representation such as ``ContextPredictor()`` or ``ConvAutoencoder()`` is cloned
        and trained first; a fitted one in ``sklearn.frozen.FrozenEstimator`` is used as it is, and
        not changed. A module of the user is copied, and a callable is called with the number of
        features; their forward gives a tuple, the embedding and then intermediate outputs; of a
        ``nn.Sequential`` they are those of its layers.

    companion : {"tensor", "softmax"} or None, default="tensor"
        "tensor": the clusters' overlap under a kernel of each intermediate output: a tensor kernel
        of maps, a Gaussian kernel of vectors. "softmax": a linear classifier on each is to find
        the clusters (DTKC-SM). None is DDC.

    lam : float, default=0.01
        Weight of the companion objectives.

    companion_target_grad : bool, default=True
        With "softmax": whether the clusters learn from the classifiers, and not only these from
        the clusters.

    init : {"ac-mod", "ac-pic", "ac-gdl", "k-means"}, clusterer or None, default="ac-mod"
        Where to start from. The network first learns, in 200 steps, or one pass where that is more,
        and on until it agrees with 94 % of them (2,000 steps at most), clusters of X itself, or of
        the embedding of an autoencoder, found in up to 60,000 rows (as many as 256 MB hold, but
        10,000 in any case; sequences padded with zeros): ``GraphAgglomerative`` by modularity, path
        integral or degree linkage, k-means with 20 starts, or a clusterer, which is cloned and
        given `n_clusters`, and a seed if it has none. None is random weights, as published, which
        often end in poor optima.

    sigma_scale : float, default=0.15
        Bandwidth of the kernel of a batch, relative to its median distance. The loss falls with
        it whatever the clusters are, so the loss cannot choose it.

    bandwidth : {"code", "mvc", "thesis"}, default="code"
        Which of the published meanings of "15 %": the denominator in the exponent is
        `sigma_scale` times the median squared distance in the authors' code, twice that in later
        code ("mvc"), and, in the text of the thesis, two times the square of `sigma_scale` times
        the median distance.

    max_epochs : int, default=10
        Passes over the data, at most; the thesis makes 100.

    min_steps : int, default=1000
        Of small data an epoch is several passes, so that `max_epochs` of them make this many
        optimisation steps.

    patience : int or None, default=30
        Stop after so many epochs without a new minimum of the loss, as in the thesis: more than the
        default `max_epochs`. None never stops. The weights of the best epoch are kept in any case.

    clip_norm : float or None, default=10.0
        Gradients are scaled down to this norm; None leaves them.

    batch_size : int, default=120
        Rows per step; more than there are rows means one batch, and those that do not fill a
        batch wait for another epoch. The loss compares the rows of a batch and depends on its
        size.

    optimizer : {"adam", "adamw", "sgd", "rmsprop", "adagrad", "adadelta"} or class, \
            default="adam"
        Optimiser, or a subclass of ``torch.optim.Optimizer``.

    lr : float, default=1e-3
        Learning rate, that of the authors' code; the thesis states 1e-4.

    momentum : float, default=0.9
        Momentum of "sgd" and "rmsprop"; others ignore it.

    n_init : int, default=1
        Number of whole runs with different seeds; the one with the least loss is kept, the
        thesis's "best of 20 runs". A run with an empty cluster loses to any without, and a run
        that diverges is left out.

    n_jobs : int, default=None
        Number of runs at a time, through joblib.

    memory : str, path or joblib.Memory, default=None
        Where to cache the fitted representation, so that fits which differ in clustering
        parameters alone train it once. Needs an integer `random_state`.

    warm_start : bool, default=False
        Go on from the network of the previous fit.

    callbacks : list of skorch callbacks, default=None
        Copied and given to the inner skorch net.

    net_params : dict, default=None
        More parameters of that net, such as ``{"optimizer__weight_decay": 1e-4}``.

    device : str or torch.device, default="auto"
        "auto" is a GPU where there is one.

    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of the products in training; "auto" is bfloat16 where the hardware multiplies
        it. Losses, weights and predictions are always float32.

    verbose : int, default=0
        1 shows progress bars.

    random_state : int, RandomState instance or None, default=None
        Seed of everything. The global generators are not used.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each training sample, the most probable one; equals ``predict`` of the training
        data.

    coef_ : ndarray of shape (n_clusters, n_components)
        Weights of the soft-max layer.

    intercept_ : ndarray of shape (n_clusters,)
        Its biases.

    cluster_centers_ : ndarray of shape (n_clusters, n_components)
        Mean embedding of each cluster.

    module_ : torch.nn.Module
        The encoder, with ``encode``; it works on X / ``scale_``.

    history_ : dict of lists
        Per epoch: "loss" and its terms "separation", "spread", "corners" and
        "companion"; and "pretraining_loss" per epoch of a representation.

    loss_ : float
        Loss of the epoch whose weights were kept, the least.

    n_iter_ : int
        Number of epochs.

    scale_ : float
        Divisor of the input.

    embedding_variance_ : float
        Total variance of the training embedding.

    n_components_ : int
        Dimension of the embedding.

    sample_shape_ : tuple of int
        Shape of one sample as given to ``fit``; of sequences (longest, features).

    n_features_in_ : int
        Number of features; of sequences that are not flat rows, those of a step.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X had names.

    See Also
    --------
    DDC : Without companion objectives.
    RDTKC : DTKC of sequences.

    References
    ----------
    .. [1] D. J. Trosten, "Deep Image Clustering with Tensor Kernels and Unsupervised Companion
       Objectives", master's thesis, UiT The Arctic University of Norway, 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_deepcluster import DTKC, ConvEncoder
    >>> images = load_digits(n_class=3).images
    >>> encoder = ConvEncoder(filters=(4,), kernel_sizes=(5,), n_components=8)
    >>> dtkc = DTKC(3, encoder=encoder, max_epochs=2, min_steps=10, random_state=0)
    >>> dtkc.fit_predict(images).shape
    (537,)
    """

    _parameter_constraints = {
        **DDC._parameter_constraints,
        "companion": [StrOptions({"tensor", "softmax"}), None],
        "lam": [Interval(numbers.Real, 0, None, closed="left")],
        "companion_target_grad": ["boolean"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        encoder=None,
        companion="tensor",
        lam=0.01,
        companion_target_grad=True,
        init="ac-mod",
        sigma_scale=0.15,
        bandwidth="code",
        max_epochs=10,
        min_steps=1000,
        patience=30,
        clip_norm=10.0,
        batch_size=120,
        optimizer="adam",
        lr=1e-3,
        momentum=0.9,
        n_init=1,
        n_jobs=None,
        memory=None,
        warm_start=False,
        callbacks=None,
        net_params=None,
        device="auto",
        precision="auto",
        verbose=0,
        random_state=None,
    ):
        super().__init__(
            n_clusters,
            encoder=encoder,
            init=init,
            sigma_scale=sigma_scale,
            bandwidth=bandwidth,
            max_epochs=max_epochs,
            min_steps=min_steps,
            patience=patience,
            clip_norm=clip_norm,
            batch_size=batch_size,
            optimizer=optimizer,
            lr=lr,
            momentum=momentum,
            n_init=n_init,
            n_jobs=n_jobs,
            memory=memory,
            warm_start=warm_start,
            callbacks=callbacks,
            net_params=net_params,
            device=device,
            precision=precision,
            verbose=verbose,
            random_state=random_state,
        )
        self.companion = companion
        self.lam = lam
        self.companion_target_grad = companion_target_grad

    def _check(self, given):
        super()._check(given)
        module = self.module_ if given.resumed else given.network.build(given.samples)
        if self._has_companion() and not module.taps:
            raise ValueError(
                f"companion={self.companion!r} needs intermediate outputs, and the encoder gives "
                "none: its forward must return a tuple, the embedding and then the outputs. Or set "
                "companion=None."
            )

    def _has_companion(self):
        return self.companion is not None and self.lam > 0

    def _optimize(self, task):
        if self._has_companion():
            task = dataclasses.replace(task, companion=self._companion(task))
        return super()._optimize(task)

    def _companion(self, task):
        """What learns from the intermediate outputs of the network."""
        device = task.trainer.device
        if self.companion == "tensor":
            low = uses_bfloat16(self.precision, device)
            kernel = self.sigma_scale, self.bandwidth
            return TensorCompanion(self.lam, len(task.module.taps), *kernel, bfloat16=low)
        widths = output_widths(task.module, task.rows)
        return SoftmaxCompanion(
            self.lam, widths, self.n_clusters, task.seed, self.companion_target_grad
        ).to(device)


class RDTKC(RDDC, DTKC):
    __doc__ = variant(
        DTKC,
        """Recurrent deep tensor kernel clustering, of sequences of different lengths.

    RDDC with companion objectives on the last hidden states of each recurrent layer; see ``RDDC``
    for the forms of X.""",
        """    >>> import numpy as np
    >>> from sklearn_deepcluster import RDTKC
    >>> rng = np.random.RandomState(0)
    >>> X = [s * rng.rand(t, 2) for t in range(5, 15) for s in (-1, 1)]
    >>> RDTKC(2, min_steps=100, random_state=0).fit_predict(X).shape
    (20,)
    """,
        encoder=_RECURRENT,
    )

    _parameter_constraints = {**DTKC._parameter_constraints, **RDDC._parameter_constraints}
