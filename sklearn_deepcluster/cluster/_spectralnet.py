r"""SpectralNet: spectral clustering by a network.

Reference: Shaham, Stanton, Li, Nadler, Basri, Kluger, "SpectralNet: Spectral Clustering using Deep
Neural Networks" (ICLR 2018) and its two code bases. Implemented: the loss
:math:`\frac{1}{m^2} \sum_{ij} W_{ij} \lVert y_i - y_j \rVert^2` of batches, outputs that a linear
layer makes orthonormal, affinities of neighbours within the batch, of codes of an autoencoder or of
a Siamese network, k-means on the outputs.

The two batches in turn, one that renews the orthonormalising matrix and one for the gradient with
that matrix fixed, are one sequence here: a batch takes its step with the matrix of the batch
before, and then renews the matrix, by the weights after the step, for the next.

Deviations: with the matrix fixed the loss falls where all outputs shrink to a constant, and they
do, until the matrix cannot undo it. The gradient here is that along the constraint: what would
change :math:`Y^T Y` is taken off by Lagrange multipliers. The matrix is that of all rows at the
end. The Cholesky factor is in float64. Codes are standardised. k-means is fitted once.
"""

import dataclasses

import torch
from sklearn.cluster import KMeans
from torch import nn

from sklearn_deepcluster._engine import BestEpoch, LRScheduler, Rows, in_rounds, map_blocks
from sklearn_deepcluster.base import POSITIVE_INT
from sklearn_deepcluster.cluster._base import BaseDeepClusterer
from sklearn_deepcluster.cluster._neighbors import FEW_FEATURES
from sklearn_deepcluster.cluster._spectral_affinity import batch_affinity, siamese_points
from sklearn_deepcluster.cluster._start import cluster_means, kmeans_from
from sklearn_deepcluster.cluster._task import Outcome
from sklearn_deepcluster.losses import spectral_loss
from sklearn_deepcluster.nn import AutoencoderModule, SpectralModule, orthonormalizer
from sklearn_deepcluster.representation import Autoencoder, IdentityAutoencoder
from sklearn_deepcluster.representation._base import check_widths, n_epochs
from sklearn_deepcluster.utils._sklearn import StrOptions

_KMEANS_STARTS = 10
# Learning rates fall to a tenth, and not below this fraction of the first.
_LEAST_LR = 1e-4


class SpectralLoss(nn.Module):
    """The objective of SpectralNet for a network whose outputs are not orthonormal yet.

    Parameters
    ----------
    matrix : Tensor of shape (k, k)
        What makes the outputs orthonormal.
    n_neighbors : int or None
    scale_k : int
        Of the affinities.
    points : Tensor of shape (n, e') or None
        All rows as their distances are taken; None is as the network gets them.
    """

    def __init__(self, matrix, n_neighbors, scale_k, points=None):
        super().__init__()
        self.register_buffer("matrix", matrix)
        self.register_buffer("points", points)
        self.n_neighbors = n_neighbors
        self.scale_k = scale_k

    def forward(self, step):
        """Return the loss of a batch, as the only term."""
        points = step.x if self.points is None else self.points[step.index]
        affinity = batch_affinity(points, self.n_neighbors, self.scale_k)
        return {"loss": spectral_loss(step.outputs[0] @ self.matrix, affinity)}

    def after_step(self, step):
        """Renew the matrix."""
        self.matrix.copy_(orthonormalizer(step.embed(step.x)))


class SpectralNet(BaseDeepClusterer):
    """Spectral clustering by a network, which embeds new samples too.

    A network maps codes to the leading eigenvectors of the graph of their neighbours, batch by
    batch: neighbours come near to one another, while all outputs stay orthonormal over the data.
    Clusters of any shape become points, and k-means finds them. The codes, of an autoencoder or
    the data themselves, stay as they are.

    Parameters
    ----------
    autoencoder : Autoencoder, ConvAutoencoder or FrozenEstimator
        The representation that gives the codes; None is ``Autoencoder()``, and for at most 15
        features ``IdentityAutoencoder()``, the data themselves. It is cloned and trained; a fitted
        one in ``sklearn.frozen.FrozenEstimator`` is used as it is. Its ``random_state=None``,
        ``device="auto"`` and ``precision="auto"`` take the values given here.

    hidden_layer_sizes : tuple of int
        Widths of the hidden layers of the spectral network (ReLU; the output is a tanh), and of the
        Siamese one.

    affinity : {"knn", "siamese", "full"}
        Which rows of a batch are near. "knn" are the nearest neighbours by the distances of codes,
        "siamese" those by the distances of what a Siamese network makes of them, which is trained
        first, to bring neighbours in all the data together and rows at random apart. "full" are all
        pairs, by the distances of codes; it is for few dimensions.

    n_neighbors : int
        Neighbours within the batch, at most all other rows; "full" ignores it. Few of them keep
        clusters apart that wind along one another, more make up for gaps within clusters.

    scale_k : int
        The affinity is a Gaussian of the distance, for each row as wide as the distance to its
        `scale_k`-th neighbour within the batch.

    siamese_neighbors : int
        Nearest neighbours in all the data that the Siamese network brings together.

    max_epochs : int
        Passes over the data, at most, of each of the two networks.

    min_steps : int
        Of small data more passes are made, until there are this many steps.

    patience : int or None
        Passes without a new least loss after which the learning rate falls to a tenth, and twice
        as many after which training ends; of small data more, a tenth of `min_steps`. None goes on.

    batch_size : int
        Rows per step; those that do not fill a batch wait for another epoch. The graph is that of
        a batch: the neighbours in it must be of the same cluster.

    lr : float
        Learning rate.

    n_init : int
        Number of whole runs with different seeds; the one with the least loss is kept. A run with
        an empty cluster loses to any without.

    warm_start : bool
        Go on from the network and centres of the previous fit. A Siamese network is trained anew.

    callbacks : list of skorch callbacks
        Copied and given to the inner skorch net of the spectral network.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_components)
        Centres in the embedding, by k-means.

    module_ : torch.nn.Module
        Encoder, spectral network and orthonormalising layer, with ``encode``; it works on
        (X - ``center_``) / ``scale_``.

    hidden_layer_sizes_ : tuple of int
        Those of the fitted network.

    n_clusters_, n_components_ : int
        Number of clusters, and of outputs of the network, which is the same.

    history_ : dict of lists
        Per epoch: "loss"; and "pretraining_loss" per epoch of the representation.

    loss_ : float
        That of `kept_epoch_`; where all was learned about 2 / `batch_size` times the sum of the
        `n_clusters` least eigenvalues of the Laplacian of a batch.

    See Also
    --------
    KNet : A kernel that is learned, instead of the graph of neighbours.
    sklearn.cluster.SpectralClustering : Without an embedding for new samples.

    References
    ----------
    .. [1] U. Shaham, K. Stanton, H. Li, B. Nadler, R. Basri, Y. Kluger, "SpectralNet: Spectral
       Clustering using Deep Neural Networks", International Conference on Learning
       Representations, 2018.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from sklearn.metrics import adjusted_rand_score
    >>> from sklearn_deepcluster import SpectralNet
    >>> X, y = make_moons(300, noise=0.05, random_state=0)
    >>> net = SpectralNet(2, hidden_layer_sizes=(128, 128), lr=3e-3, min_steps=300, random_state=0)
    >>> adjusted_rand_score(y, net.fit_predict(X))
    1.0
    """

    _parameter_constraints = {
        **BaseDeepClusterer._parameter_constraints,
        "hidden_layer_sizes": ["array-like"],
        "affinity": [StrOptions({"siamese", "knn", "full"})],
        "n_neighbors": POSITIVE_INT,
        "scale_k": POSITIVE_INT,
        "siamese_neighbors": POSITIVE_INT,
        "patience": [*POSITIVE_INT, None],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        autoencoder=None,
        hidden_layer_sizes=(1024, 1024, 512),
        affinity="knn",
        n_neighbors=10,
        scale_k=10,
        siamese_neighbors=2,
        max_epochs=30,
        min_steps=500,
        patience=10,
        batch_size=1024,
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.affinity = affinity
        self.n_neighbors = n_neighbors
        self.scale_k = scale_k
        self.siamese_neighbors = siamese_neighbors
        self.max_epochs = max_epochs
        self.min_steps = min_steps
        self.patience = patience
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
        # A code of ten numbers would say no more.
        few = form is not None and form.n_features_in <= FEW_FEATURES
        return IdentityAutoencoder() if few else Autoencoder()

    def _check(self, given):
        widths = check_widths("hidden_layer_sizes", self.hidden_layer_sizes)
        if given.resumed and tuple(widths) != self.hidden_layer_sizes_:
            raise ValueError(
                f"warm_start cannot go on with hidden_layer_sizes={self.hidden_layer_sizes!r}: the "
                f"model was fitted with {self.hidden_layer_sizes_}."
            )
        if self.batch_size < self.n_clusters:
            raise ValueError(
                f"batch_size={self.batch_size} should be >= n_clusters={self.n_clusters}, the "
                "number of outputs that are orthonormal over a batch."
            )

    def _adapt(self, module, settings, rng):
        widths = check_widths("hidden_layer_sizes", settings["hidden_layer_sizes"])
        return SpectralModule(module, settings["n_components"], widths, settings["n_clusters"], rng)

    def _optimize(self, task):
        module, last = task.module, self._last_labels(task)
        task = self._on_codes(task)
        objective = self._objective(task).to(task.trainer.device)
        history = task.train(
            objective,
            rounds=self._passes(task, self.max_epochs, self.min_steps),
            batches=in_rounds(max(1, len(task.rows) // self.batch_size), reshuffle=True),
            schedule=self._schedule(task),
        )
        # In the precision of predictions, of which it is to be orthonormal.
        outputs = map_blocks(task.module.encode, task.rows)
        module.orthonormal.copy_(orthonormalizer(outputs))
        y = outputs @ module.orthonormal.cpu()
        if not torch.isfinite(y).all() or (outputs.abs() == 1.0).all():
            raise FloatingPointError(
                f"{task.stage} diverged: the outputs are not finite, or all are 1 or -1. "
                f"The likely cause is a step size that is too large (lr={self.lr})."
            )
        centers = self._centers(y, task.seed) if last is None else kmeans_from(last, y, task.head)
        attributes = {
            "hidden_layer_sizes_": tuple(int(width) for width in self.hidden_layer_sizes),
            "n_clusters_": self.n_clusters,
            "n_components_": self.n_clusters,
        }
        return Outcome({"cluster_centers_": centers.to(task.trainer.device)}, history, attributes)

    def _on_codes(self, task):
        """The task of training the spectral network alone, on standardised codes."""
        module = task.module.eval()
        codes = map_blocks(module.codes, task.rows)
        if not task.resumed:
            module.standardize(codes)
            codes = map_blocks(module.codes, task.rows)
        rows = Rows(codes.numpy(), device=task.trainer.device)
        return dataclasses.replace(task, module=AutoencoderModule(module.spectral, None), rows=rows)

    def _objective(self, task):
        """The objective, with distances and the matrix that it starts with."""
        points = None
        if self.affinity == "siamese" and len(task.rows) > 1:
            points = siamese_points(
                task,
                self.hidden_layer_sizes,
                self.siamese_neighbors,
                self._passes(task, self.max_epochs, self.min_steps),
                self._patience(task),
            )
        n_neighbors = None if self.affinity == "full" else self.n_neighbors
        return SpectralLoss(orthonormalizer(task.embed()), n_neighbors, self.scale_k, points)

    def _schedule(self, task):
        """Callbacks: the learning rate falls on a plateau, the best epoch is kept."""
        patience = self._patience(task)
        if patience is None:
            return [BestEpoch()]
        falling = {"patience": patience, "min_lr": _LEAST_LR * self.lr}
        plateau = LRScheduler("ReduceLROnPlateau", "train_loss", event_name=None, **falling)
        return [plateau, BestEpoch(2 * patience)]

    def _patience(self, task):
        if self.patience is not None:
            return self._passes(task, self.patience, self.min_steps // 10)

    def _passes(self, task, max_epochs, min_steps):
        return n_epochs(len(task.rows), self.batch_size, max_epochs, min_steps)

    def _last_labels(self, task):
        """Labels of the last fit, where this one goes on from it."""
        if task.resumed:
            return self._assign_rows(task.module, task.head, task.rows, quick=False)[0]

    def _centers(self, y, seed):
        """Centres (k, k) of k-means on the embedding y of all rows."""
        y = y.numpy()
        kmeans = KMeans(self.n_clusters, n_init=_KMEANS_STARTS, random_state=seed).fit(y)
        return cluster_means(y, kmeans.labels_, kmeans.cluster_centers_)

    def _score_runs(self, runs):
        return [-run.fitted["loss_"] for run in runs]
