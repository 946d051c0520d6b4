"""VaDE: variational deep embedding.

Reference: Jiang, Zheng, Tan, Tang, Zhou, "Variational Deep Embedding: An Unsupervised and
Generative Approach to Clustering" (IJCAI 2017). Implemented: the evidence lower bound with one
reparametrised draw, and responsibilities of that draw, through which gradients pass.

Deviations: the mixture starts from the moments of the clusters that the embedding is given first,
its weights included; variances of rows start at a hundredth of those within clusters. Weights are a
soft-max and variances exponentials with a floor, where the authors' code has free numbers that can
become negative. Responsibilities of a fitted model are those of the mean, not of a draw. One
optimiser serves network and mixture.
"""

import math
import numbers

import numpy as np
import torch
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from sklearn_deepcluster._engine import (
    dense_rows,
    draw_seed,
    generator,
    map_blocks,
    random_stream,
)
from sklearn_deepcluster._engine._standard import BACKGROUND_SHARE, SAMPLE_VALUES
from sklearn_deepcluster.base import TakesWeights
from sklearn_deepcluster.cluster._base import BaseDeepClusterer
from sklearn_deepcluster.cluster._mixture import MixtureBound, mixture_log_proba, moments
from sklearn_deepcluster.cluster._start import variances
from sklearn_deepcluster.cluster._task import Outcome
from sklearn_deepcluster.nn import VariationalModule, ends_with_sigmoid
from sklearn_deepcluster.representation import Autoencoder
from sklearn_deepcluster.representation._base import n_epochs
from sklearn_deepcluster.utils._sklearn import Interval

# Draws that the bound of a row is a mean of, the same for all rows.
_DRAWS = 10
# Least mean variance of the embedding that the floor is relative to.
_SMALLEST = 1e-12
# Variance of the embedding of a row at the start, relative to that within clusters.
_FIRST_SHARE = 0.01


class VaDE(TakesWeights, BaseDeepClusterer):
    """Variational deep embedding: a mixture of Gaussians that generates the data.

    A row is drawn from a component of the mixture, in the embedding, and decoded. An autoencoder is
    trained, and then encoder, decoder and mixture maximise a lower bound of the likelihood of the
    data. The model scores rows (``score_samples``) and draws new ones (``sample``).

    Parameters
    ----------
    autoencoder : Autoencoder, ConvAutoencoder or FrozenEstimator
        The representation to start from; None is ``Autoencoder()``, or, where all values of X are
        in [0, 1] and a quarter of them 0 or 1, as those of ink on paper,
        ``Autoencoder(center=None, scale=None, output_activation="sigmoid")``. Where the decoder
        ends with a sigmoid X is taken for probabilities and its error is the cross-entropy, or else
        the squared error in units of the scale. It is cloned and trained; a fitted one in
        ``sklearn.frozen.FrozenEstimator`` is used as it is, and not changed. Its
        ``random_state=None``, ``device="auto"`` and ``precision="auto"`` take the values given
        here.

    recon_weight : float
        Weight of the reconstruction (a sum over features) relative to the divergence of embedding
        and mixture. Of squared errors it is 1 / (2 * noise variance), in units of the scale.

    n_init : int
        Number of whole runs, pretraining included, with different seeds; the one with the least
        loss is kept. A run with an empty cluster loses to any without.

    reg_covar : float
        Added to the variances of the mixture, relative to the mean variance of the embedding.

    Attributes
    ----------
    weights_ : ndarray of shape (n_clusters,)
        Of the components; they sum to 1.

    covariances_ : ndarray of shape (n_clusters, n_components)
        Variances of the components; their means are ``cluster_centers_``.

    likelihood_ : {"bernoulli", "gaussian"}
        What the reconstruction error is of: cross-entropies or squares.

    recon_weight_ : float
        The weight of the reconstruction that the model was fitted with.

    module_ : torch.nn.Module
        The autoencoder, with ``encode`` (to the mean), ``posterior`` (mean and log-variance) and
        ``decode``; it works on (X - ``center_``) / ``scale_``.

    history_ : dict of lists
        Per epoch: "loss", the negative bound, "reconstruction", "divergence"; and
        "pretraining_loss" per epoch of the representation.

    See Also
    --------
    sklearn.mixture.GaussianMixture : The same without a network.

    References
    ----------
    .. [1] Z. Jiang, Y. Zheng, H. Tan, B. Tang, H. Zhou, "Variational Deep Embedding: An
       Unsupervised and Generative Approach to Clustering", IJCAI 2017.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_deepcluster import Autoencoder, VaDE
    >>> X, _ = make_blobs(150, centers=3, n_features=8, random_state=0)
    >>> ae = Autoencoder(hidden_layer_sizes=(32,), n_components=3, min_steps=300)
    >>> vade = VaDE(3, autoencoder=ae, min_steps=60, random_state=0).fit(X)
    >>> drawn, labels = vade.sample(5)
    >>> drawn.shape, labels.shape, vade.score_samples(X).shape
    ((5, 8), (5,), (150,))
    """

    _parameter_constraints = {
        **BaseDeepClusterer._parameter_constraints,
        "recon_weight": [Interval(numbers.Real, 0, None, closed="neither")],
        "reg_covar": [Interval(numbers.Real, 0, None, closed="neither")],
    }
    _keeps_decoder = True

    def __init__(
        self,
        n_clusters=8,
        *,
        autoencoder=None,
        init="k-means",
        recon_weight=1.0,
        reg_covar=1e-4,
        max_epochs=50,
        min_steps=1000,
        drift_tol=0.01,
        batch_size=256,
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
        self.recon_weight = recon_weight
        self.reg_covar = reg_covar
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
        X = getattr(form, "X", None)
        if X is None:
            probabilities = getattr(self, "likelihood_", None) == "bernoulli"
        else:
            probabilities = _are_probabilities(X)
        if probabilities:
            return Autoencoder(center=None, scale=None, output_activation="sigmoid")
        return Autoencoder()

    def _check(self, given):
        network = given.network
        if given.resumed:
            if self.module_.bernoulli:
                self._check_probabilities(given.samples.X)
            return
        if not ends_with_sigmoid(network.build(given.samples)[0].decoder):
            return
        fitted = network.fitted
        plain = (
            fitted.scale_ == 1 and not fitted.center_.any()
            if hasattr(fitted, "module_")
            else fitted.center is None and fitted.scale in (None, 1)
        )
        if not plain:
            raise ValueError(
                f"autoencoder={fitted!r} gives probabilities (its output is a sigmoid), so X is "
                "learned as it is: it needs center=None and scale=None."
            )
        self._check_probabilities(given.samples.X)

    def _check_probabilities(self, X):
        if not _in_unit_interval(X):
            raise ValueError(
                "autoencoder gives probabilities (its output is a sigmoid); X has values beyond "
                "[0, 1]."
            )

    def _adapt(self, module, settings, rng):
        return VariationalModule(module, settings["n_components"])

    def _optimize(self, task):
        z, module = task.embed(), task.module
        floor = self.reg_covar * max(float(variances(z, task.weight).mean()), _SMALLEST)
        if task.resumed:
            head = task.head
            weights, centers = head["weights_"], head["cluster_centers_"]
            covariances = head["covariances_"]
        else:
            labels, centers = task.start.clusters(z)
            weights, covariances = moments(z, labels, centers, floor, task.weight)
            module.start_variance(_FIRST_SHARE * covariances.mean())
        bound = MixtureBound(
            weights,
            centers,
            covariances,
            bernoulli=module.bernoulli,
            recon_weight=self.recon_weight,
            floor=floor,
        ).to(task.trainer.device)
        history = task.train(
            bound,
            rounds=n_epochs(len(task.rows), self.batch_size, self.max_epochs, self.min_steps),
            assign=lambda z: bound.log_proba(z).argmax(1),
        )
        with torch.no_grad():
            head = {
                "cluster_centers_": bound.centers.detach(),
                "weights_": torch.softmax(bound.logits, 0),
                "covariances_": bound.covariances,
            }
        likelihood = "bernoulli" if module.bernoulli else "gaussian"
        learned = {"likelihood_": likelihood, "recon_weight_": float(self.recon_weight)}
        return Outcome(head, history, learned)

    def _log_proba(self, z, head):
        logits = head["weights_"].log()
        return mixture_log_proba(z, logits, head["cluster_centers_"], head["covariances_"])

    def _score_runs(self, runs):
        return [-run.fitted["loss_"] for run in runs]

    def score_samples(self, X):
        """Lower bound of the logarithm of the density of each sample.

        A mean over ten draws of the embedding, the same for all samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array

        Returns
        -------
        bound : ndarray of shape (n_samples,)
            In nats; of X in units of ``scale_``, and of probabilities as they are.
        """
        module, rows = self._fitted(X)
        if module.bernoulli:
            self._check_probabilities(rows.X)
        bound = self._bound(rows.device)
        rng = generator(0)
        draws = torch.randn(_DRAWS, self.n_components_, generator=rng).to(rows.device)

        def negative(block):
            mean, log_variance = module.posterior(block)
            width, total = (0.5 * log_variance).exp(), 0.0
            for draw in draws:
                z = mean + draw * width
                outputs = mean, module.decode_logits(z), log_variance, z
                error, divergence = bound.row_terms(block, outputs)
                total = total + self.recon_weight_ * error + divergence
            return total / len(draws)

        def all_parts(block):
            mean, log_variance = module.posterior(block)
            parts = mean, log_variance, module.decode_logits(mean), negative(block).unsqueeze(1)
            return torch.cat(parts, dim=1)

        found = map_blocks(negative, rows, module=module, asked="bound", compare=all_parts)
        found = -self._finite(found).numpy().astype(np.float64)
        if self.likelihood_ == "gaussian":
            found -= 0.5 * rows.n_features * math.log(math.pi / self.recon_weight_)
        return found

    def _bound(self, device):
        head = self._head(device)
        return MixtureBound(
            head["weights_"],
            head["cluster_centers_"],
            head["covariances_"],
            bernoulli=self.likelihood_ == "bernoulli",
            recon_weight=self.recon_weight_,
            floor=0.0,
        ).to(device)

    def score(self, X, y=None):
        """Mean of ``score_samples``: the lower bound of the log-likelihood per sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array

        y : Ignored

        Returns
        -------
        score : float
        """
        return float(self.score_samples(X).mean())

    def sample(self, n_samples=1, random_state=None):
        """Draw new samples: a component, an embedding of it, and what the decoder makes of that.

        Parameters
        ----------
        n_samples : int, default=1

        random_state : int, RandomState instance or None, default=None
            None is that of the estimator.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float32
            Without the noise of single values; image arrays come back as images.

        labels : ndarray of shape (n_samples,), int64
            The component of each.
        """
        check_is_fitted(self, "module_")
        check_scalar(n_samples, "n_samples", numbers.Integral, min_val=1)
        stream = random_stream(self.random_state if random_state is None else random_state)
        random = np.random.default_rng(draw_seed(stream))
        weights = self.weights_.astype(np.float64)
        labels = random.choice(len(weights), size=n_samples, p=weights / weights.sum())
        noise = random.standard_normal((n_samples, self.n_components_))
        Z = self.cluster_centers_[labels] + noise * np.sqrt(self.covariances_[labels])
        return self.inverse_transform(Z), labels


def _in_unit_interval(X):
    return bool(X.min() >= 0 and X.max() <= 1)


def _are_probabilities(X):
    """Whether values are in [0, 1], and enough of them at its ends to be told from proportions."""
    if not _in_unit_interval(X):
        return False
    rows = dense_rows(X, slice(None, None, -(-math.prod(X.shape) // SAMPLE_VALUES)))
    return bool(((rows == 0) | (rows == 1)).mean() >= BACKGROUND_SHARE)
