"""DEPICT: deep embedded regularized clustering.

Reference: Dizaji, Herandi, Deng, Cai, Huang, "Deep Clustering via Joint Convolutional Autoencoder
Embedding and Relative Entropy Minimization" (ICCV 2017). Implemented: Eq. 7 (targets), Eq. 8 (the
joint objective on the noisy path, with the reconstruction of every layer), the initial clustering
and the training of the soft-max on it, the semi-supervised form of section 4.4. Deviations:
targets are renewed from a clean pass over all rows (the code uses outputs of different age);
training stops when few labels change; the soft-max starts as the rule of the nearest mean (theirs
starts from directions alone); the convolutions are padded so that images of any size come
back; nothing is held out for validation (the code stratifies by the true labels).
"""

import numbers

import numpy as np
from torch import nn

from sklearn_deepcluster.base import TakesWeights
from sklearn_deepcluster.cluster._base import BaseDeepClusterer
from sklearn_deepcluster.cluster._labels import known_classes, known_clusters
from sklearn_deepcluster.cluster._softmax import (
    PRIOR,
    SoftmaxClusteringLoss,
    SoftmaxRefresh,
    check_prior,
    pin,
    ranked_prior,
    softmax_log_proba,
)
from sklearn_deepcluster.cluster._start import nearest_mean_softmax
from sklearn_deepcluster.cluster._task import Outcome
from sklearn_deepcluster.losses import target_distribution
from sklearn_deepcluster.representation import Autoencoder, ConvAutoencoder
from sklearn_deepcluster.representation._base import by_size, n_epochs
from sklearn_deepcluster.utils._sklearn import Interval, StrOptions

# Steps of the default network's training, and where there are very few samples.
_STEPS, _FEW_STEPS = 1500, 500


class DEPICT(TakesWeights, BaseDeepClusterer):
    """Deep clustering by relative entropy minimisation, with a joint denoising autoencoder.

    An autoencoder learns to reconstruct its input and its hidden layers from corrupted rows. Its
    embedding is clustered, a soft-max layer learns these clusters, and both are trained further:
    towards balanced, sharpened targets, on corrupted rows, with the reconstruction as regulariser.

    Parameters
    ----------
    autoencoder : Autoencoder, ConvAutoencoder or FrozenEstimator
        The representation to start from; None is the network of the paper,
        ``ConvAutoencoder(n_components=32, filters=(50, 50), kernel_sizes=(4, 5),
        activation="leaky_relu", embedding_activation="tanh", noise=0.1, noise_kind="dropout",
        hidden_weight=0.1, max_epochs=10, min_steps=1500, batch_size=128)``, but for its 32
        components, of which the paper has n_clusters; of flat rows an ``Autoencoder`` with all but
        `filters` and `kernel_sizes`. Of fewer than 1,000 samples ``min_steps`` is 500. (Set as
        ``autoencoder__...`` before X is known, the parameters are those of images and of 1,500
        steps.) It is cloned and trained; a fitted one in ``sklearn.frozen.FrozenEstimator`` is
        used as it is, and not changed. Its ``random_state=None``, ``device="auto"`` and
        ``precision="auto"`` take the values given here. Its noise and its ``hidden_weight`` also
        hold in the clustering phase; ``hidden_weight=0`` is the paper's RdA, 0.1 its MdA.

    init : {"auto", "ac-mod", "ac-gdl", "ac-pic", "k-means"}, array-like or clusterer
        Initial clustering of the embedding: ``GraphAgglomerative`` by modularity, degree linkage or
        path integral, k-means with 20 starts, centres of shape (n_clusters, n_components), or a
        clusterer, which is cloned and given `n_clusters`, and a seed if it has none. "auto" is by
        modularity, of the embedding of images and of flat rows themselves; of the other of the two
        where the modularity of those clusters, summed over the graphs of both, is larger by a
        fortieth, and their normalised cut is not larger. Where X has more than 32 MB as float32 it
        is that of the embedding.

    lam : float
        Weight of the reconstruction error (in units of the scale) relative to the cross-entropy. 0,
        with ``layerwise_epochs`` of the autoencoder, is the paper's SdA.

    target : {"square", "sqrt"}
        Targets: "square" sharpens as DEC does, which the authors' code computes; "sqrt" only
        balances, Eq. 7 as printed.

    prior : array-like of shape (n_clusters,) or "start"
        Expected shares of the clusters in any order: the largest belongs to the largest initial
        cluster, and so on. "start" takes the shares of the initial clusters. None is uniform, as
        published, and draws clusters of unequal size towards equal ones.

    semi_supervised : bool
        Use the labels that ``fit(X, y)`` is given: rows with y = -1 are unlabelled, the others
        keep to the cluster that was matched to their class. Off, y is ignored: a grid search that
        hands y on for scoring then leaks nothing.

    warm_up_epochs : int
        Passes in which the soft-max learns the initial clusters, before those of `max_epochs`; more
        of them for small data, until a tenth of `min_steps` was made.

    tol : float
        Stop when a smaller fraction of the labels changed in an epoch; 0 never stops. Stop, too,
        and go back to the epoch of the smallest change, when more than twice that fraction and
        more than ten times `tol` change: such drift has lost clusters of small data sets.

    warm_start : bool
        Go on from the network and the soft-max of the previous fit.

    Attributes
    ----------
    coef_ : ndarray of shape (n_clusters, n_components)
        Weights of the soft-max layer.

    intercept_ : ndarray of shape (n_clusters,)
        Its biases.

    cluster_centers_ : ndarray of shape (n_clusters, n_components)
        Mean embedding of each cluster.

    module_ : torch.nn.Module
        The autoencoder, with ``encode`` and ``decode``; it works on (X - ``center_``) / ``scale_``.

    history_ : dict of lists
        Per epoch, warm-up included: "loss", "cross_entropy", "reconstruction", "hidden" where
        hidden layers are reconstructed, "label_change" (from the second refresh on); and
        "pretraining_loss" per epoch of the representation.

    loss_ : float
        Loss of the last epoch, or of the one that was kept.

    n_iter_ : int
        Number of epochs, warm-up and those that were taken back included.

    See Also
    --------
    GraphAgglomerative : Its default start, a clusterer of its own.
    IDEC : Student's t instead of a soft-max.

    References
    ----------
    .. [1] K. G. Dizaji, A. Herandi, C. Deng, W. Cai, H. Huang, "Deep Clustering via Joint
       Convolutional Autoencoder Embedding and Relative Entropy Minimization", ICCV 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_deepcluster import DEPICT
    >>> images = load_digits(n_class=3).images[:150]
    >>> depict = DEPICT(3, random_state=0).set_params(autoencoder__min_steps=30)
    >>> labels = depict.set_params(max_epochs=3, min_steps=0).fit_predict(images)
    >>> labels.shape, depict.predict_proba(images).shape
    ((150,), (150, 3))
    """

    _parameter_constraints = {
        **BaseDeepClusterer._parameter_constraints,
        "lam": [Interval(numbers.Real, 0, None, closed="left")],
        "target": [StrOptions({"square", "sqrt"})],
        "prior": PRIOR,
        "semi_supervised": ["boolean"],
        "warm_up_epochs": [Interval(numbers.Integral, 0, None, closed="left")],
    }
    _keeps_decoder = True

    def __init__(
        self,
        n_clusters=8,
        *,
        autoencoder=None,
        init="auto",
        lam=1.0,
        target="square",
        prior="start",
        semi_supervised=False,
        warm_up_epochs=5,
        max_epochs=10,
        min_steps=1000,
        tol=1e-3,
        drift_tol=0.01,
        batch_size=128,
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
        self.autoencoder = autoencoder
        self.init = init
        self.lam = lam
        self.target = target
        self.prior = prior
        self.semi_supervised = semi_supervised
        self.warm_up_epochs = warm_up_epochs
        self.max_epochs = max_epochs
        self.min_steps = min_steps
        self.tol = tol
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

    def fit(self, X, y=None, sample_weight=None):
        """Learn the embedding and cluster X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array
            Training data; (n_samples, height, width) and
            (n_samples, channels, height, width) are flattened.

        y : array-like of shape (n_samples,), default=None
            Used with ``semi_supervised=True`` alone: labels of any sortable type, -1 where there
            is none.

        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts; see ``DEC.fit``.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, a weight, a parameter or, where it is used, y is not valid; before any training.
        FloatingPointError
            If the training of every run diverges.
        """
        return super().fit(X, y, sample_weight)

    def fit_predict(self, X, y=None, sample_weight=None):
        """Fit to X (and y, where ``semi_supervised``); return ``labels_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array

        y : array-like of shape (n_samples,), default=None
            See ``fit``.

        sample_weight : array-like of shape (n_samples,), default=None
            See ``fit``.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
        """
        return self.fit(X, y, sample_weight).labels_

    def _default_network(self, form):
        n_samples = None if form is None else form.n_samples
        shared = {
            "n_components": 32,
            "activation": "leaky_relu",
            "embedding_activation": "tanh",
            "noise": 0.1,
            "noise_kind": "dropout",
            "hidden_weight": 0.1,
            "max_epochs": 10,
            "min_steps": by_size(n_samples, _STEPS, _STEPS, _FEW_STEPS),
            "batch_size": 128,
        }
        if form is not None and len(form.sample_shape) == 1:
            return Autoencoder(**shared)
        return ConvAutoencoder(filters=(50, 50), kernel_sizes=(4, 5), **shared)

    def _check(self, given):
        check_prior(self.prior, self.n_clusters)
        if not self.semi_supervised or given.y is None:
            return None
        samples = given.samples
        y = known_classes(given.y, samples.n_given, self.n_clusters)
        return y if samples.kept is None else y[samples.kept]

    def _optimize(self, task):
        device, n_samples = task.trainer.device, len(task.rows)
        z = task.embed()
        if task.resumed:
            labels = self._assign(z.to(device), task.head).cpu()
            layer = task.head["coef_"], task.head["intercept_"]
        else:
            labels, centers = task.start.clusters(z)
            layer = nearest_mean_softmax(z, labels, centers, task.weight)
        y = np.full(n_samples, -1) if task.y is None else task.y
        known = known_clusters(y, labels.numpy(), self.n_clusters, task.start.weight)
        known = [part.to(device) for part in known]
        objective = SoftmaxClusteringLoss(*layer, task.reconstruction, self.lam).to(device)
        warm_up, targets = 0, None
        if not task.resumed and self.warm_up_epochs:
            floor = self.min_steps // 10
            warm_up = n_epochs(n_samples, self.batch_size, self.warm_up_epochs, floor)
            hard = nn.functional.one_hot(labels, self.n_clusters).float().to(device)
            targets = pin(hard, known)
        prior = ranked_prior(self.prior, labels, self.n_clusters, task.weight)
        prior = None if prior is None else prior.to(device)
        refresh = SoftmaxRefresh(
            task,
            objective,
            lambda p: target_distribution(p, self.target, prior, task.weight),
            self.tol,
            known,
            warm_up,
        )
        epochs = n_epochs(n_samples, self.batch_size, self.max_epochs, self.min_steps)
        history = task.train(
            objective,
            rounds=warm_up + epochs,
            targets=targets,
            schedule=[refresh],
            assign=lambda z: objective.log_proba(z).argmax(1),
            warm_up=warm_up,
            noise=True,
        )
        return Outcome(objective.head(), history)

    def _log_proba(self, z, head):
        return softmax_log_proba(z, head["coef_"], head["intercept_"])
