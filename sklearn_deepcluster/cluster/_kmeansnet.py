"""k-meansNet: k-means as a layer of a network, and TELL, its successor.

References: Peng, Zhou, Zhu, "k-meansNet: When k-means Meets Differentiable Programming"
(arXiv:1808.07292, 2018); Peng, Li, Tsang, Zhu, Lv, Zhou, "XAI Beyond Classification: Interpretable
Neural Clustering" (JMLR 23, 2022) and its code. The algorithms, and how they differ from the
papers, are in ``_kmeans_layer.py`` and ``_tell.py``. Embeddings have unit norm, no sigmoid.
"""

import numbers

from sklearn_deepcluster._engine import (
    Rows,
    draw_seed,
    generator,
    map_blocks,
    ordinary_tensors,
    random_stream,
)
from sklearn_deepcluster.base import POSITIVE_INT, TakesWeights
from sklearn_deepcluster.cluster import _kmeans_layer, _tell
from sklearn_deepcluster.cluster._base import BaseDeepClusterer, fitted_head, inertia
from sklearn_deepcluster.cluster._network import PassThrough
from sklearn_deepcluster.cluster._softmax import softmax_log_proba
from sklearn_deepcluster.cluster._start import NAMES, SEEDINGS
from sklearn_deepcluster.cluster._task import rounds_of_steps
from sklearn_deepcluster.representation import Autoencoder
from sklearn_deepcluster.utils._sklearn import HasMethods, Interval, StrOptions, _fit_context


class KMeansNet(TakesWeights, BaseDeepClusterer):
    """k-means as a layer of a network: k-meansNet, and TELL, its successor.

    The weights of a linear layer are the centres, its output is the assignment. TELL keeps
    embedding and centres on the unit sphere and trains both in turn: the centres move towards
    their rows, then the autoencoder is trained to reconstruct and to bring each row nearer to its
    centre. The original trains the layer alone, with free weights and biases, on fixed features.

    Parameters
    ----------
    autoencoder : Autoencoder, ConvAutoencoder, FrozenEstimator or "passthrough"
        The representation to start from; None is ``Autoencoder(embedding_activation="unit_norm")``.
        It is cloned and trained; a fitted one in ``sklearn.frozen.FrozenEstimator`` is used as it
        is, and not changed. Its ``random_state=None``, ``device="auto"`` and ``precision="auto"``
        take the values given here. "passthrough" clusters dense data themselves, by "decoupled".

    init : {"k-means", "k-means++", "random", "ac-gdl", "ac-pic", "ac-mod"}, array-like or \
            clusterer, default="k-means"
        Initial clustering of the embedding: k-means with 20 starts, rows drawn by k-means++ (the
        paper's choice) or at random, ``GraphAgglomerative`` by degree linkage, path integral or
        modularity, centres of shape (n_clusters, n_components), or a clusterer, which is cloned
        and given `n_clusters`, and a seed if it has none. Equal centres are refused, as nothing
        would ever separate them. "tell" scales centres to norm 1, and also refuses those of equal
        direction and one at 0, which has none; "decoupled" takes them as they are.

    variant : {"tell", "decoupled"}
        "tell" is the successor [2]_. "decoupled" is k-meansNet [1]_ with features that stay as
        they are. Its objective has no minimum: it sinks as the weights grow, large clusters gain
        on small ones, and cluster after cluster is lost. Training ends before the first one is,
        which does not prevent the damage: in the records of the user guide the result is never
        better than the initial clustering, and on MNIST far worse (ACC .852 before, .693 after).

    alpha : float or "auto"
        Softness of the assignment, the soft-max of ``-alpha`` times the squared distances. "auto"
        is half the reciprocal variance per dimension within the clusters: the final ones of
        "tell", where it matters to ``predict_proba`` alone, the initial ones of "decoupled".

    gamma : float
        Weight of half the squared distances to the centres (mean over rows) relative to the
        reconstruction error (mean over rows and features, in units of the scale); "tell" only.

    normalize : bool
        Scale embeddings to norm 1. "tell" needs it. An embedding of one component would become 1
        or -1, which is refused for more than two clusters.

    update_interval : int or "auto"
        Steps of a round, after which "tell" changes between centres and network and
        "decoupled" looks whether to stop. "auto" is half an epoch, but at least 30 and at most 140
        steps, and for "tell" at most half of all. With a number not below all steps "tell" never
        trains the network for the clusters. TELL has whole epochs.

    tol : float
        "tell" stops when a smaller fraction of the labels changed in two rounds, "decoupled" when
        the loss changed by a smaller fraction in one; 0 never stops.

    optimizer
        ...
        The papers' is "adadelta" with ``lr=1.0``.

    warm_start : bool
        Go on from the network and the layer of the previous fit. `variant`, `normalize` and whether
        `autoencoder` is "passthrough" must be what they were.

    precision
        ...
        So are ``partial_fit`` and the clustering phase of "decoupled".

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each training sample; equals ``predict`` of the training data. After
        ``partial_fit`` those of its rows.

    coef_ : ndarray of shape (n_clusters, n_components)
        Weights of the layer; of "tell" they are 2 ``alpha_`` times the centres.

    intercept_ : ndarray of shape (n_clusters,)
        Biases of the layer; 0 for "tell".

    cluster_centers_ : ndarray of shape (n_clusters, n_components)
        Centres in the embedding: those of "tell", of norm 1, and the means of the clusters for
        "decoupled", where ``coef_ / (2 * alpha_)`` wanders off.

    alpha_ : float
        The softness that was used.

    variant_ : str
        `variant` as it was fitted.

    normalize_ : bool
        `normalize` as it was fitted.

    module_ : torch.nn.Module
        The network, with ``encode`` and, for "tell", ``decode``; it works on
        (X - ``center_``) / ``scale_``.

    history_ : dict of lists
        Per round: "loss" and "label_change" (of "tell" every second one, from the third on);
        "reconstruction" and "distance" for "tell", where the loss of the rounds that move the
        centres, the first and every second one, is the reconstruction error alone, and "hidden"
        where hidden layers are reconstructed; "entropy" of the assignment for "decoupled", where a
        round that was taken back counts too. And "pretraining_loss" per epoch of the network.

    loss_ : float
        Loss of the last round. That of "decoupled" is ``alpha_`` times the printed one, less the
        mean of the biases.

    n_iter_ : int
        Number of rounds of `update_interval` steps.

    See Also
    --------
    IDEC : Keeps a decoder too, and sharpens a soft assignment.
    sklearn.cluster.MiniBatchKMeans : Learns centres in steps, without a network.

    References
    ----------
    .. [1] X. Peng, J. T. Zhou, H. Zhu, "k-meansNet: When k-means Meets Differentiable
       Programming", arXiv:1808.07292, 2018.
    .. [2] X. Peng, Y. Li, I. W. Tsang, H. Zhu, J. Lv, J. T. Zhou, "XAI Beyond Classification:
       Interpretable Neural Clustering", JMLR 23, 2022.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_deepcluster import Autoencoder, KMeansNet
    >>> X, _ = make_blobs(150, centers=3, n_features=8, random_state=0)
    >>> ae = Autoencoder(hidden_layer_sizes=(32,), n_components=3, min_steps=300)
    >>> net = KMeansNet(3, autoencoder=ae, min_steps=60, random_state=0).fit(X[:100])
    >>> net.partial_fit(X[100:]).predict(X).shape
    (150,)
    """

    _parameter_constraints = {
        **BaseDeepClusterer._parameter_constraints,
        "autoencoder": [
            *BaseDeepClusterer._parameter_constraints["autoencoder"],
            StrOptions({"passthrough"}),
        ],
        "init": [StrOptions({*NAMES, *SEEDINGS}), "array-like", HasMethods("fit_predict")],
        "variant": [StrOptions({"tell", "decoupled"})],
        "alpha": [Interval(numbers.Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "gamma": [Interval(numbers.Real, 0, None, closed="left")],
        "normalize": ["boolean"],
        "update_interval": [*POSITIVE_INT, StrOptions({"auto"})],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        autoencoder=None,
        init="k-means",
        variant="tell",
        alpha="auto",
        gamma=1.0,
        normalize=True,
        max_epochs=50,
        min_steps=1000,
        update_interval="auto",
        tol=1e-3,
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
        self.variant = variant
        self.alpha = alpha
        self.gamma = gamma
        self.normalize = normalize
        self.max_epochs = max_epochs
        self.min_steps = min_steps
        self.update_interval = update_interval
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

    @property
    def _keeps_decoder(self):
        return self.variant == "tell"

    def _default_network(self, form):
        return Autoencoder(embedding_activation="unit_norm")

    def _adapt(self, module, settings, rng):
        module.unit_norm = settings["normalize"]
        if settings["variant"] == "decoupled":
            module.decoder = None
        return module

    def _check(self, given):
        if given.resumed:
            self._check_unchanged("warm_start")
        if self.variant == "tell":
            if isinstance(self.autoencoder, str):
                raise ValueError(
                    "variant='tell' trains an autoencoder: autoencoder='passthrough' has none. "
                    "Use variant='decoupled'."
                )
            if not self.normalize:
                raise ValueError("variant='tell' needs normalize=True.")
        if self.normalize and self.n_clusters > 2 and given.network.width == 1:
            raise ValueError(
                f"normalize=True makes 1 or -1 of one component, not n_clusters={self.n_clusters}: "
                "use more components, or variant='decoupled' with normalize=False."
            )
        if not isinstance(self.init, str) and not hasattr(self.init, "fit_predict"):
            _tell.check_given_centers(self.init, directions=self.variant == "tell")

    def _check_unchanged(self, action):
        """Refuse parameters that tell of another model than the one that was fitted."""
        raw = isinstance(self.module_.encoder, PassThrough)
        kind = "autoencoder='passthrough'" if raw else "an autoencoder"
        for name, same, fitted in (
            ("variant", self.variant == self.variant_, f"variant={self.variant_!r}"),
            ("normalize", self.normalize == self.normalize_, f"normalize={self.normalize_}"),
            ("autoencoder", isinstance(self.autoencoder, str) == raw, kind),
        ):
            if not same:
                raise ValueError(
                    f"{action} cannot go on with another {name}={getattr(self, name)!r}: the "
                    f"model was fitted with {fitted}."
                )

    def _optimize(self, task):
        tells = self.variant == "tell"
        # The first round of TELL does not train the network for the clusters.
        rounds = rounds_of_steps(self, len(task.rows), least=2 if tells else 1)
        if tells:
            outcome = _tell.train_on_sphere(task, self.alpha, self.gamma, self.tol, **rounds)
        else:
            alpha = self.alpha_ if task.resumed else self.alpha
            outcome = _kmeans_layer.train_layer(task, alpha, self.tol, **rounds)
        outcome.attributes |= {"variant_": self.variant, "normalize_": bool(self.normalize)}
        return outcome

    def _log_proba(self, z, head):
        return softmax_log_proba(z, head["coef_"], head["intercept_"])

    @_fit_context(prefer_skip_nested_validation=False)
    @ordinary_tensors
    def partial_fit(self, X, y=None):
        """Let the layer learn from more data, in one pass over them; the first call is ``fit``.

        Embedding, alpha and scale stay as ``fit`` has learned them, and so do ``history_``,
        ``loss_`` and ``n_iter_``. Of "tell" the centres make a step with every batch, a
        tenth of the way to where its rows are, so the last data count most; "decoupled" makes a
        step of a fresh optimiser with every batch, and its ``cluster_centers_`` stay. Here
        nothing keeps "decoupled" from losing clusters, and many calls can lose some.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or image array
            New data.

        y : Ignored

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X or a parameter is not valid, or if `variant`, `normalize` or whether
            `autoencoder` is "passthrough" are not what was fitted.
        FloatingPointError
            If the training diverges.
        """
        if not hasattr(self, "module_"):
            return self.fit(X, y)
        self._validate_params()
        self._check_unchanged("partial_fit")
        trainer = self._trainer(autocast=False)
        module, rows = self._fitted(X)
        z = map_blocks(module.encode, rows, module=module, asked="z")
        head = self._head(trainer.device)
        seed = draw_seed(random_stream(self.random_state))
        embedded = Rows(z.numpy(), device=trainer.device)
        if self.variant_ == "tell":
            centers = _tell.pass_over(head["coef_"], embedded, self.batch_size, generator(seed))
            head = _tell.unit_head(centers, self.alpha_)
        else:
            stage = f"{type(self).__name__}: partial_fit"
            head = _kmeans_layer.layer_pass(
                head, self.alpha_, trainer, embedded, seed=seed, stage=stage
            )
        here = {name: value.to(rows.device) for name, value in head.items()}
        labels, z = self._assign_rows(module, here, rows)
        state = self._fitted_state() | fitted_head(head)
        of_these = {"labels_": labels, "inertia_": inertia(z, state["cluster_centers_"])}
        self._become(state | of_these)
        return self
