"""DDC: deep divergence-based clustering.

References: Kampffmeyer, Løkse, Bianchi, Livi, Salberg, Jenssen, "Deep divergence-based approach to
clustering" (Neural Networks 2019); Trosten, master's thesis (UiT, 2019), chapters 3 and 5.
Implemented: the three terms of the loss with the factors of the authors' code (see
``losses.ddc_terms``), batches, clipping and stopping of the thesis. Deviations: learning rate 1e-3,
that of the code; the best epoch is restored always, not only when the training stops early.
"""

import numbers

import numpy as np
import torch

from sklearn_deepcluster._engine import (
    BestEpoch,
    GradientNormClipping,
    Step,
    generator,
    in_rounds,
    map_blocks,
)
from sklearn_deepcluster.base import POSITIVE_INT, TakesWeights
from sklearn_deepcluster.cluster._base import BaseDeepClusterer
from sklearn_deepcluster.cluster._divergence import DivergenceLoss, StopAtRest
from sklearn_deepcluster.cluster._softmax import (
    PRIOR,
    check_prior,
    ranked_prior,
    softmax_log_proba,
)
from sklearn_deepcluster.cluster._start import NAMES, learn_clusters, random_softmax
from sklearn_deepcluster.cluster._task import Outcome
from sklearn_deepcluster.representation import DefaultEncoder
from sklearn_deepcluster.utils._sklearn import HasMethods, Interval, StrOptions


class DDC(TakesWeights, BaseDeepClusterer):
    """Deep divergence-based clustering.

    A network with a soft-max layer is trained, end to end and without a decoder, to make clusters
    that are compact and far apart in its embedding: their Cauchy-Schwarz divergence is large.

    Parameters
    ----------
    encoder : MLPEncoder, ConvEncoder, GRUEncoder, representation, nn.Module or callable
        The network. None is ``MLPEncoder()`` for flat rows and ``ConvEncoder()`` for image
        arrays. A representation such as ``ContextPredictor()`` or ``ConvAutoencoder()`` is cloned
        and trained first; a fitted one in ``sklearn.frozen.FrozenEstimator`` is used as it is, and
        not changed. A module of the user is copied, and a callable is called with the number of
        features; their forward gives the embedding, or a tuple of it and of intermediate outputs.

    init : {"ac-mod", "ac-pic", "ac-gdl", "k-means"}, clusterer or None
        Where to start from. The network first learns, in 200 steps, or one pass where that is more,
        and on until it agrees with 94 % of them (2,000 steps at most), clusters of X itself, or of
        the embedding of an autoencoder, found in as many rows as 256 MB hold, or 10,000 (in 60,000
        at most without faiss; of sequences see ``RDDC``): ``GraphAgglomerative`` by modularity,
        path integral or degree linkage, k-means with 20 starts, or a clusterer, which is cloned and
        given `n_clusters`, and a seed if it has none. None is random weights, as published, which
        often end in poor optima.

    sigma_scale : float
        Bandwidth of the kernel of a batch, relative to its median distance. The loss falls with
        it whatever the clusters are, so the loss cannot choose it.

    bandwidth : {"code", "mvc", "thesis"}
        Which of the published meanings of "15 %": the denominator in the exponent is
        `sigma_scale` times the median squared distance in the authors' code, twice that in later
        code ("mvc"), and, in the text of the thesis, two times the square of `sigma_scale` times
        the median distance.

    prior : array-like of shape (n_clusters,) or "start"
        Expected shares of the clusters, for the second term, in any order: the largest belongs to
        the largest initial cluster, and so on; with ``init=None`` in that of the clusters. "start"
        takes the shares of the initial clusters. None is equal shares, as published, and draws
        clusters of unequal size towards equal ones.

    max_epochs : int
        Passes over the data, at most; the thesis makes 100.

    min_steps : int
        Of small data an epoch is several passes, so that `max_epochs` of them make this many
        optimisation steps.

    patience : int or None
        Stop after so many epochs without a new minimum of the loss, as in the thesis: more than the
        default `max_epochs`. None never stops. The weights of the best epoch are kept in any case.

    clip_norm : float or None
        Gradients are scaled down to this norm; None leaves them.

    batch_size : int
        Rows per step; more than there are rows means one batch, and those that do not fill a
        batch wait for another epoch. The loss compares the rows of a batch and depends on its
        size.

    lr : float
        Learning rate, that of the authors' code; the thesis states 1e-4.

    n_init : int
        Number of whole runs with different seeds; the one with the least loss is kept, the
        thesis's "best of 20 runs". A run with an empty cluster loses to any without, and a run
        that diverges is left out.

    warm_start : bool
        Go on from the network of the previous fit.

    callbacks : list of skorch callbacks
        Copied and given to the inner skorch net.

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

    prior_ : ndarray of shape (n_clusters,)
        Expected share of each cluster.

    history_ : dict of lists
        Per epoch: "loss" and its terms "separation", "spread" and "corners"; and
        "pretraining_loss" per epoch of a representation.

    loss_ : float
        The least loss of an epoch, whose weights are kept; where drift was taken back, that of
        `kept_epoch_`.

    sample_shape_ : tuple of int
        Shape of one sample as given to ``fit``; of sequences (longest, features).

    n_features_in_ : int
        Number of features; of sequences that are not flat rows, those of a step.

    See Also
    --------
    DTKC : Adds objectives on the intermediate layers.
    RDDC : DDC of sequences.

    References
    ----------
    .. [1] M. Kampffmeyer, S. Løkse, F. M. Bianchi, L. Livi, A.-B. Salberg, R. Jenssen, "Deep
       divergence-based approach to clustering", Neural Networks 113, 2019.
    .. [2] D. J. Trosten, "Deep Image Clustering with Tensor Kernels and Unsupervised Companion
       Objectives", master's thesis, UiT The Arctic University of Norway, 2019.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_deepcluster import DDC, MLPEncoder
    >>> X, _ = make_blobs(150, centers=3, n_features=8, random_state=0)
    >>> encoder = MLPEncoder(hidden_layer_sizes=(32,), n_components=8)
    >>> ddc = DDC(3, encoder=encoder, min_steps=200, random_state=0).fit(X)
    >>> ddc.predict_proba(X).shape, ddc.transform(X).shape
    ((150, 3), (150, 8))
    """

    _parameter_constraints = {
        **BaseDeepClusterer._parameter_constraints,
        "init": [StrOptions(set(NAMES)), HasMethods("fit_predict"), None],
        "sigma_scale": [Interval(numbers.Real, 0, None, closed="neither")],
        "bandwidth": [StrOptions({"code", "mvc", "thesis"})],
        "prior": PRIOR,
        "patience": [*POSITIVE_INT, None],
        "clip_norm": [Interval(numbers.Real, 0, None, closed="neither"), None],
    }
    _network = "encoder"

    def __init__(
        self,
        n_clusters=8,
        *,
        encoder=None,
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
        self.n_clusters = n_clusters
        self.encoder = encoder
        self.init = init
        self.sigma_scale = sigma_scale
        self.bandwidth = bandwidth
        self.prior = prior
        self.max_epochs = max_epochs
        self.min_steps = min_steps
        self.patience = patience
        self.clip_norm = clip_norm
        self.drift_tol = drift_tol
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.n_init = n_init
        self.n_jobs = n_jobs
        self.memory = memory
        self.checkpoint = checkpoint
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.precision = precision
        self.verbose = verbose
        self.random_state = random_state

    def _default_network(self, form):
        return DefaultEncoder()

    def _check(self, given):
        check_prior(self.prior, self.n_clusters)
        if isinstance(self.prior, str) and self.init is None and not given.resumed:
            raise ValueError("prior='start' expects the clusters of the start: init=None has none.")
        if len(given.samples) == 1:
            raise ValueError("n_samples=1: the loss compares rows, so 2 at least are needed.")
        if self.batch_size < self.n_clusters:
            raise ValueError(
                f"batch_size={self.batch_size} should be >= n_clusters={self.n_clusters}: every "
                "batch must have room for all clusters."
            )

    def _optimize(self, task):
        if task.resumed:
            layer = task.head["coef_"], task.head["intercept_"]
        else:
            layer = random_softmax(task) if self.init is None else learn_clusters(task)
        prior = self._prior(task)
        objective = DivergenceLoss(*layer, self.sigma_scale, self.bandwidth, prior)
        objective.to(task.trainer.device)
        per_epoch = max(1, len(task.rows) // self.batch_size)
        per_epoch = max(per_epoch, -(-self.min_steps // self.max_epochs))
        schedule = [BestEpoch(self.patience)]
        if task.sequential and self.init is not None:
            schedule.append(StopAtRest(task, objective))
        if self.clip_norm is not None:
            schedule.append(GradientNormClipping(self.clip_norm))
        history = task.train(
            objective,
            rounds=self.max_epochs,
            batches=in_rounds(per_epoch, reshuffle=True),
            schedule=schedule,
            # From random weights there is nothing yet that could be lost.
            assign=None if self.init is None else lambda z: objective.log_proba(z).argmax(1),
        )
        expected = np.full(self.n_clusters, 1 / self.n_clusters) if prior is None else prior
        return Outcome(objective.head(), history, {"prior_": np.asarray(expected, np.float32)})

    def _prior(self, task):
        """Expected shares of the clusters, Tensor (k,) on the CPU; None is equal ones."""
        if self.prior is not None and task.resumed:
            labels = self._assign(task.embed(task.trainer.device), task.head).cpu()
        elif self.prior is None or self.init is None:
            return check_prior(self.prior, self.n_clusters)
        else:
            labels = task.start.labels
        seen = labels >= 0
        weight = None if task.weight is None else task.weight[seen]
        return ranked_prior(self.prior, labels[seen], self.n_clusters, weight)

    def _score_runs(self, runs):
        return [-run.fitted["loss_"] for run in runs]

    def _log_proba(self, z, head):
        return softmax_log_proba(z, head["coef_"], head["intercept_"])

    def score(self, X, y=None):
        r"""Negative loss, the mean over batches in a fixed random order.

        :math:`-(L_1 + L_2 + L_3)` (see ``losses.ddc_terms``) in batches of `batch_size` rows, or
        of all where there are fewer; rows that do not fill a batch are left out. It is better for
        a smaller `sigma_scale` whatever the clusters mean, and depends on `batch_size` and
        `n_clusters`: it cannot choose them; give searches a ``scoring``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), image array or sequences

        y : Ignored

        Returns
        -------
        score : float
        """
        module, rows = self._fitted(X)
        z = map_blocks(module.encode, rows, module=module, asked="z")
        z = z[torch.randperm(len(z), generator=generator(0))]  # classes may come one by one
        head = self._head("cpu")
        layer = head["coef_"], head["intercept_"]
        prior = None if self.prior is None else torch.from_numpy(self.prior_)
        objective = DivergenceLoss(*layer, self.sigma_scale, self.bandwidth, prior)
        n_batches = max(1, len(z) // self.batch_size)
        with torch.no_grad():
            losses = [
                objective(Step((part,)))["loss"]
                for part in z[: n_batches * self.batch_size].tensor_split(n_batches)
            ]
        return -float(torch.stack(losses).double().mean())
