"""IMSAT: information maximizing self-augmented training.

Reference: Hu, Miyato, Tokui, Matsumoto, Sugiyama, "Learning Discrete Representations via
Information Maximizing Self-Augmented Training" (ICML 2017). Implemented: the mutual information of
samples and clusters, of a batch, with the factors of the authors' code, and virtual adversarial
training with a radius of its own for each sample.

Deviations: the step by which the adversarial direction is found is in mean radii where the code has
a number in the unit of its images; radii end at the `n_neighbors`-th neighbour, where the code's
end at the one after it, and of much data they are estimated from a part. Networks may be of any
kind; the paper has an MLP.
"""

import copy
import dataclasses
import numbers

from torch import nn

from sklearn_deepcluster._engine import BestEpoch, in_rounds, map_blocks
from sklearn_deepcluster.base import POSITIVE_INT, TakesWeights
from sklearn_deepcluster.cluster._base import BaseDeepClusterer
from sklearn_deepcluster.cluster._information import InformationLoss, neighbor_radii
from sklearn_deepcluster.cluster._softmax import softmax_log_proba
from sklearn_deepcluster.cluster._start import NAMES, learn_clusters, random_softmax
from sklearn_deepcluster.cluster._task import Outcome
from sklearn_deepcluster.losses import mutual_information
from sklearn_deepcluster.nn import Stochastic
from sklearn_deepcluster.representation import MLPEncoder
from sklearn_deepcluster.representation._base import n_epochs
from sklearn_deepcluster.utils._sklearn import HasMethods, Interval, StrOptions


def _copied(augmentation):
    """A module as a copy that is not trained, as several runs may be made at once."""
    if not isinstance(augmentation, nn.Module):
        return augmentation
    return copy.deepcopy(augmentation).requires_grad_(False)


def _shape_of_samples(task):
    """That of a sample for an augmentation: (channels, height, width) of an image."""
    by_network = None if task.sequential else getattr(task.module, "input_shape", None)
    shape = by_network or task.sample_shape
    return (1, *shape) if len(shape) == 2 and not task.sequential else shape


class IMSAT(TakesWeights, BaseDeepClusterer):
    """Information maximizing self-augmented training.

    A network with a soft-max layer is trained so that clusters tell as much as they can of the
    samples, and small changes of a sample, those that would change its cluster the most, do not
    change it.

    Parameters
    ----------
    encoder : MLPEncoder, ConvEncoder, GRUEncoder, representation, nn.Module or callable
        The network; None is ``MLPEncoder(hidden_layer_sizes=(1200,), n_components=1200)``, which
        with the soft-max layer is that of the paper. For what else it may be see ``DDC``.

    init : {"ac-mod", "ac-pic", "ac-gdl", "k-means"}, clusterer or None
        Where to start from; see ``DDC``. None is random weights, as published.

    lam : float
        Weight of the mutual information against the effect of the perturbations.

    mu : float
        Weight of the entropy of the mean assignment within it: the larger it is, the more equal
        are the clusters in size.

    adversarial : bool
        Whether rows are perturbed in the direction in which their assignment changes the most.

    eps_scale : float
        Length of that perturbation, relative to the distance to the `n_neighbors`-th neighbour.

    n_neighbors : int
        Which neighbour that is, equal rows counted once; the last where there are fewer.

    xi : float
        Length of the step by which the direction is found, relative to the mean of these lengths.

    n_power_iter : int
        Steps by which it is found.

    augmentation : callable
        Makes other samples of a batch of samples, Tensors of one shape, in the unit that the
        network gets them in: (b, channels, height, width) of images, (b, d) of flat rows,
        (b, time, features) of sequences. ``sklearn_deepcluster.nn.AffineJitter`` and other modules
        derived from ``sklearn_deepcluster.nn.Stochastic`` draw from the stream of the training;
        others may draw from torch's global generator, which is seeded for the time; what draws from
        elsewhere is not repeated. Sequences are padded with NaN, which must stay where it is. A
        module is copied, and not trained. With it and
        ``adversarial=False`` it is the paper's IMSAT (RPT).

    max_epochs : int
        Passes over the data, at most.

    min_steps : int
        Of small data more passes are made, until there are this many steps.

    drift_tol : float or None
        See ``DEC``; from random weights (``init=None``) nothing is watched.

    batch_size : int
        Rows per step; those that do not fill a batch wait for another epoch. The entropy of the
        mean assignment is that of a batch.

    lr : float
        Learning rate.

    n_init : int
        Number of whole runs with different seeds; the one with the least loss is kept.

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

    history_ : dict of lists
        Per epoch: "loss" and its terms "augmented", "marginal" and "conditional", the divergence by
        the perturbations and the two entropies in nats; and "pretraining_loss" per epoch of a
        representation.

    loss_ : float
        That of `kept_epoch_`.

    sample_shape_ : tuple of int
        Shape of one sample as given to ``fit``; of sequences (longest, features).

    n_features_in_ : int
        Number of features; of sequences that are not flat rows, those of a step.

    See Also
    --------
    DDC : Clusters that are far apart, instead of such that tell much.

    References
    ----------
    .. [1] W. Hu, T. Miyato, S. Tokui, E. Matsumoto, M. Sugiyama, "Learning Discrete
       Representations via Information Maximizing Self-Augmented Training", International
       Conference on Machine Learning, 2017.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_deepcluster import IMSAT, MLPEncoder
    >>> X, _ = make_blobs(150, centers=3, n_features=8, random_state=0)
    >>> encoder = MLPEncoder(hidden_layer_sizes=(32,), n_components=8)
    >>> imsat = IMSAT(3, encoder=encoder, min_steps=200, random_state=0).fit(X)
    >>> imsat.predict_proba(X).shape, imsat.transform(X).shape
    ((150, 3), (150, 8))
    """

    _parameter_constraints = {
        **BaseDeepClusterer._parameter_constraints,
        "init": [StrOptions(set(NAMES)), HasMethods("fit_predict"), None],
        "lam": [Interval(numbers.Real, 0, None, closed="left")],
        "mu": [Interval(numbers.Real, 0, None, closed="left")],
        "adversarial": ["boolean"],
        "eps_scale": [Interval(numbers.Real, 0, None, closed="neither")],
        "n_neighbors": POSITIVE_INT,
        "xi": [Interval(numbers.Real, 0, None, closed="neither")],
        "n_power_iter": POSITIVE_INT,
        "augmentation": [callable, None],
    }
    _network = "encoder"

    def __init__(
        self,
        n_clusters=8,
        *,
        encoder=None,
        init=None,
        lam=0.1,
        mu=4.0,
        adversarial=True,
        eps_scale=0.25,
        n_neighbors=10,
        xi=4.0,
        n_power_iter=1,
        augmentation=None,
        max_epochs=50,
        min_steps=2000,
        drift_tol=0.01,
        batch_size=250,
        optimizer="adam",
        lr=2e-3,
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
        self.lam = lam
        self.mu = mu
        self.adversarial = adversarial
        self.eps_scale = eps_scale
        self.n_neighbors = n_neighbors
        self.xi = xi
        self.n_power_iter = n_power_iter
        self.augmentation = augmentation
        self.max_epochs = max_epochs
        self.min_steps = min_steps
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
        return MLPEncoder(hidden_layer_sizes=(1200,), n_components=1200)

    def _check(self, given):
        if len(given.samples) == 1:
            raise ValueError("n_samples=1: clusters tell rows apart, so 2 at least are needed.")
        if self.batch_size < self.n_clusters:
            raise ValueError(
                f"batch_size={self.batch_size} should be >= n_clusters={self.n_clusters}: every "
                "batch must have room for all clusters."
            )
        if isinstance(self.augmentation, type):
            raise ValueError(
                f"augmentation={self.augmentation!r} is a class; give an instance of it."
            )
        if not self.adversarial and self.augmentation is None:
            raise ValueError("adversarial=False expects an augmentation in its place.")

    def _optimize(self, task):
        if task.resumed:
            layer = task.head["coef_"], task.head["intercept_"]
        else:
            layer = random_softmax(task) if self.init is None else learn_clusters(task)
        radii = None
        if self.adversarial:
            radii = self.eps_scale * neighbor_radii(task.rows, self.n_neighbors, task.seed)
        if self.augmentation is not None and not isinstance(self.augmentation, Stochastic):
            trainer = dataclasses.replace(task.trainer, global_rng=True)
            task = dataclasses.replace(task, trainer=trainer)
        objective = InformationLoss(
            *layer,
            self.lam,
            self.mu,
            radii=radii,
            xi=self.xi,
            n_power_iter=self.n_power_iter,
            augmentation=_copied(self.augmentation),
            shape=_shape_of_samples(task),
        )
        objective.to(task.trainer.device)
        n, size = len(task.rows), min(self.batch_size, len(task.rows))
        rounds = n_epochs(n, size, self.max_epochs, self.min_steps)
        history = task.train(
            objective,
            rounds=rounds,
            batches=in_rounds(max(1, n // size), reshuffle=True),
            schedule=[BestEpoch()],
            # From random weights there is nothing yet that could be lost.
            assign=None if self.init is None else lambda z: objective.log_proba(z).argmax(1),
        )
        return Outcome(objective.head(), history)

    def _score_runs(self, runs):
        return [-run.fitted["loss_"] for run in runs]

    def _log_proba(self, z, head):
        return softmax_log_proba(z, head["coef_"], head["intercept_"])

    def score(self, X, y=None):
        r"""Mutual information of samples and clusters in nats, :math:`H(\bar p) - \overline{H(p)}`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), image array or sequences

        y : Ignored

        Returns
        -------
        score : float
            At most log(n_clusters).
        """
        module, rows = self._fitted(X)
        z = self._finite(map_blocks(module.encode, rows, module=module, asked="z"))
        head = self._head("cpu")
        log_proba = self._log_proba(z, head).double()
        marginal, conditional = mutual_information(log_proba)
        return float(marginal - conditional)
