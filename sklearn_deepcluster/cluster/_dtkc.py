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
from sklearn_deepcluster.cluster._ddc import DDC
from sklearn_deepcluster.cluster._rddc import RDDC
from sklearn_deepcluster.utils._sklearn import Interval, StrOptions


class DTKC(DDC):
    """Deep tensor kernel clustering: DDC with companion objectives.

    The intermediate layers of the network are to see the same clusters as its embedding. Of maps
    of features the similarity is a tensor kernel, by the subspaces that their unfoldings span.

    Parameters
    ----------
    encoder : MLPEncoder, ConvEncoder, GRUEncoder, representation, nn.Module or callable
        The network. None is ``MLPEncoder()`` for flat rows and ``ConvEncoder()`` for image
        arrays. A representation such as ``ContextPredictor()`` or ``ConvAutoencoder()`` is cloned
        and trained first; a fitted one in ``sklearn.frozen.FrozenEstimator`` is used as it is, and
        not changed. A module of the user is copied, and a callable is called with the number of
        features; their forward gives a tuple, the embedding and then intermediate outputs; of a
        ``nn.Sequential`` they are those of its layers.

    companion : {"tensor", "softmax"} or None
        "tensor": the clusters' overlap under a kernel of each intermediate output: a tensor kernel
        of maps, a Gaussian kernel of vectors. "softmax": a linear classifier on each is to find
        the clusters (DTKC-SM). None is DDC.

    lam : float
        Weight of the companion objectives.

    companion_target_grad : bool
        With "softmax": whether the clusters learn from the classifiers, and not only these from
        the clusters.

    Attributes
    ----------
    history_ : dict of lists
        Per epoch: "loss" and its terms "separation", "spread", "corners" and
        "companion"; and "pretraining_loss" per epoch of a representation.

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
    >>> images = load_digits(n_class=3).images[:60]
    >>> encoder = ConvEncoder(filters=(4,), kernel_sizes=(5,), n_components=8)
    >>> dtkc = DTKC(3, encoder=encoder, max_epochs=2, min_steps=10, random_state=0)
    >>> dtkc.fit_predict(images).shape
    (60,)
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
        prior=None,
        max_epochs=10,
        min_steps=1000,
        patience=30,
        clip_norm=10.0,
        drift_tol=0.01,
        batch_size=120,
        optimizer="adam",
        lr=1e-3,
        momentum=0.9,
        n_init=1,
        n_jobs=None,
        memory=None,
        checkpoint=None,
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
            prior=prior,
            max_epochs=max_epochs,
            min_steps=min_steps,
            patience=patience,
            clip_norm=clip_norm,
            drift_tol=drift_tol,
            batch_size=batch_size,
            optimizer=optimizer,
            lr=lr,
            momentum=momentum,
            n_init=n_init,
            n_jobs=n_jobs,
            memory=memory,
            checkpoint=checkpoint,
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
        module = self.module_ if given.resumed else given.network.build(given.samples)[0]
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
    """Recurrent deep tensor kernel clustering, of sequences of different lengths.

    RDDC with companion objectives on the last hidden states of each recurrent layer; see ``RDDC``
    for the forms of X.

    See Also
    --------
    RDDC : Without companion objectives.
    DTKC : The same for tables and images.

    References
    ----------
    .. [1] D. J. Trosten, "Deep Image Clustering with Tensor Kernels and Unsupervised Companion
       Objectives", master's thesis, UiT The Arctic University of Norway, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_deepcluster import RDTKC
    >>> rng = np.random.RandomState(0)
    >>> X = [s * rng.rand(t, 2) for t in range(3, 8) for s in (-1, 1)]
    >>> RDTKC(2, min_steps=30, random_state=0).fit_predict(X).shape
    (10,)
    """

    _parameter_constraints = {**DTKC._parameter_constraints, **RDDC._parameter_constraints}
