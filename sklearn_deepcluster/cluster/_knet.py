"""KNet: deep kernel learning for clustering.

Reference: Wu, Khan, Ioannidis, Dy, "Deep Kernel Learning for Clustering" (SDM 2020) and its code.
Implemented: algorithm 1 with both updates of U (Eq. 5.14-5.16, the sign of 5.15 corrected), the
start of Eq. 5.12 and an exact one, the hard refinement of the code, training on a subset.

How the alternation differs from theirs is told in ``_kernel_alternation.py``. The kernel has a
zero diagonal, as in the code; batches are bigger, and lam does not depend on their size."""

import numbers

import numpy as np

from sklearn_deepcluster._engine import Snapshot, in_rounds
from sklearn_deepcluster.base import POSITIVE_INT
from sklearn_deepcluster.cluster._base import BaseDeepClusterer
from sklearn_deepcluster.cluster._kernel_alternation import HSICLoss, HSICSchedule, hold_start
from sklearn_deepcluster.cluster._kernel_settings import KernelSettings
from sklearn_deepcluster.cluster._start import kmeans_from
from sklearn_deepcluster.cluster._task import Outcome
from sklearn_deepcluster.cluster._updates import Stiefel
from sklearn_deepcluster.representation import IdentityAutoencoder
from sklearn_deepcluster.utils._sklearn import Interval, StrOptions


class KNet(BaseDeepClusterer):
    """Deep kernel learning for clustering.

    An encoder that starts as the identity is trained until the Gaussian kernel of the embedding
    has the clusters of its own leading eigenvectors as dense, separate blocks: it maximises the
    dependence (HSIC) between kernel and spectral embedding U. Clusters of any shape become round,
    so k-means on the embedding finds them, also for new samples.

    Parameters
    ----------
    autoencoder : IdentityAutoencoder, Autoencoder, ConvAutoencoder or FrozenEstimator
        The representation to start from; None is ``IdentityAutoencoder(start=start)``, which starts
        from the data. From another one the kernel is learned on top of its embedding. It is cloned
        and trained; a fitted one in ``sklearn.frozen.FrozenEstimator`` is used as it is, and not
        changed. Its ``random_state=None``, ``device="auto"`` and ``precision="auto"`` take the
        values given here.

    start : {"identity", "pretrain"}
        How the default `autoencoder` becomes the identity: exactly, without training, or by
        training (Eq. 5.12), as in the paper.

    sigma : float or "median"
        Bandwidth of the kernel, in units of the embedding: those of X where X is standardised.
        "median" is the median distance between two rows of the embedding at the start.

    sigma_scale : float or "auto"
        Multiplies `sigma`. 1 is for clusters that are clouds; 0.1 for thin, winding ones such as
        spirals, which a wide kernel does not see. "auto" is the one of some values from 0.03 to 2
        whose kernel separates `n_clusters` best, by its eigenvalues, and 1 where none separates
        them; ``sigma_`` tells which.

    lam : float
        Weight of the squared error of the reconstruction, summed over all rows, relative to the
        HSIC (which is at most about `n_clusters` at the start). It keeps the data recoverable from
        the embedding, which then cannot collapse. The hard phase is always without, as in the
        authors' code: to study lam, set ``n_refine=0``.

    update : {"eig", "stiefel"} or Stiefel
        How U follows the embedding: eigenvectors (KNet_EIG), or ascent on the Stiefel manifold
        from the last U (KNet_SMA); ``Stiefel(max_iter=...)`` says for how many iterations.

    n_vectors : int
        Columns of U; None is `n_clusters`, or one less where the kernel separates the clusters
        from the start (see `inner_tol`): as it is centred, c - 1 columns then tell all, and to
        follow the next one would split a cluster. Where clusters overlap, it helps.

    rounding : {"kernel", "rows"}
        How labels are read from U in the hard phase. "kernel" is k-means on U times the roots of
        its eigenvalues, which maximises the HSIC over clusterings (kernel k-means); "rows", as in
        the authors' code, is k-means on U with rows of norm 1.

    zero_diagonal : bool
        Leave out the kernel of each row with itself, as the authors' code does; otherwise a remote
        row makes a cluster of its own.

    normalize_degree : bool
        Divide the kernel by the degrees of its rows; False is an option of the authors' code.

    max_samples : int, float, "spectrum" or None
        Rows to train with, drawn at random; the others are assigned by ``predict``. A float is a
        fraction. "spectrum" draws the smallest subset whose kernel has the leading eigenvalues of
        all, within .005, in steps of 5 %, at most 2,000. None trains with all.

    block_size : int
        Compute this many rows of the kernel matrix at a time, again for every product, in
        O(n_samples * block_size) memory. None stores the matrix.

    max_iter : int
        Soft rounds at most: the encoder is trained for the U of the last embedding until it gains
        no more, then U follows. More than one is the paper's alternation, which drifts: the HSIC
        can be raised by splitting clusters. 0 starts with the hard phase.

    n_refine : int
        Hard rounds at most: `update_interval` steps for the clusters that are read from U, then U
        and labels follow. 0 leaves this phase out; it is in the authors' code alone.

    drift_tol : float or None
        Where the clusters at the end have lost more than this fraction of the modularity of those
        of the spectral embedding of the start, the encoder is trained again, from the start, for
        the latter. The graph is that of the 10 nearest neighbours at the start. None leaves the
        clusters as they are, as in the paper and its code; so does ``n_refine=0``.

    update_interval : int
        Optimisation steps between two looks at the convergence.

    inner_tol : float
        A soft round ends when the HSIC has gained a smaller fraction in `update_interval` steps:
        later the encoder would learn the errors of U by heart. Where the kernel separates the
        clusters from the start (its leading ``n_clusters - 1`` eigenvalues, at most 1, have a mean
        above 0.9) there are none, and a soft round has all of `max_steps`.

    max_steps : int
        Optimisation steps per soft round, at most (see `inner_tol`).

    tol : float
        The soft phase ends when U has moved less (distance of the projectors, in [0, 1]), the hard
        phase when a smaller fraction of the labels has changed.

    batch_size : int
        Rows per step; more than there are rows means one batch. The paper has 5.

    warm_start : bool
        Go on from the network, the bandwidth and the centres of the previous fit, in the hard
        phase.

    precision
        ...
        It is coarse beside a narrow kernel and no faster in narrow layers.

    Attributes
    ----------
    initial_labels_ : ndarray of shape (n_samples,)
        The clusters of the spectral embedding of the start; -1 with ``drift_tol=None`` or
        ``n_refine=0``, and with `warm_start`.

    cluster_centers_ : ndarray of shape (n_clusters, n_components)
        Centres in the embedding, by k-means.

    sigma_ : float
        Bandwidth of the kernel, `sigma_scale` included.

    lam_ : float
        The `lam` that was fitted with.

    module_ : torch.nn.Module
        The encoder, with ``encode`` (and ``decode`` with `lam`); it works on
        (X - ``center_``) / ``scale_``.

    history_ : dict of lists
        Per `update_interval` steps: "loss", "hsic" (with U as it was), with `lam`
        "reconstruction"; where U has followed "projector_distance" and "spectral_hsic" (the sum of
        its eigenvalues), in the hard phase "label_change"; where the clusters had drifted (see
        `drift_tol`), "start_change", the fraction of labels that differ from the start; and
        "pretraining_loss" of the representation.

    loss_ : float
        Loss of the last `update_interval` steps.

    n_iter_ : int
        Number of `update_interval` steps.

    See Also
    --------
    IdentityAutoencoder : The network it starts from.
    sklearn.cluster.SpectralClustering : Without an embedding for new samples.

    References
    ----------
    .. [1] C. Wu, Z. Khan, S. Ioannidis, J. Dy, "Deep Kernel Learning for Clustering", SDM 2020.
    .. [2] Z. Wen, W. Yin, "A Feasible Method for Optimization with Orthogonality Constraints",
       Mathematical Programming 142, 2013.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from sklearn.metrics import adjusted_rand_score
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_deepcluster import KNet
    >>> X, y = make_moons(200, noise=0.05, random_state=0)
    >>> knet = KNet(2, sigma_scale=0.1, max_steps=300, random_state=0)
    >>> adjusted_rand_score(y, make_pipeline(StandardScaler(), knet).fit_predict(X))
    1.0
    """

    _parameter_constraints = {
        **BaseDeepClusterer._parameter_constraints,
        **KernelSettings.constraints,
        "start": [StrOptions({"identity", "pretrain"})],
        "lam": [Interval(numbers.Real, 0, None, closed="left")],
        "update": [StrOptions({"eig", "stiefel"}), Stiefel],
        "n_vectors": [*POSITIVE_INT, None],
        "rounding": [StrOptions({"kernel", "rows"})],
        "max_iter": [Interval(numbers.Integral, 0, None, closed="left")],
        "n_refine": [Interval(numbers.Integral, 0, None, closed="left")],
        "drift_tol": [Interval(numbers.Real, 0, None, closed="left"), None],
        "update_interval": POSITIVE_INT,
        "inner_tol": [Interval(numbers.Real, 0, None, closed="left")],
        "max_steps": POSITIVE_INT,
    }
    # Its kernel is that of all rows at once, its start the data themselves.
    _takes_sparse = False
    _n_stages = 3  # where it drifts from the start that is learned anew

    def __init__(
        self,
        n_clusters=8,
        *,
        autoencoder=None,
        start="identity",
        sigma="median",
        sigma_scale=1.0,
        lam=0.0,
        update="eig",
        n_vectors=None,
        rounding="kernel",
        zero_diagonal=True,
        normalize_degree=True,
        max_samples=None,
        block_size=None,
        max_iter=1,
        n_refine=9,
        drift_tol=0.01,
        update_interval=50,
        inner_tol=0.15,
        max_steps=2000,
        tol=1e-2,
        batch_size=64,
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
        precision="float32",
        verbose=0,
        random_state=None,
    ):
        self.n_clusters = n_clusters
        self.autoencoder = autoencoder
        self.start = start
        self.sigma = sigma
        self.sigma_scale = sigma_scale
        self.lam = lam
        self.update = update
        self.n_vectors = n_vectors
        self.rounding = rounding
        self.zero_diagonal = zero_diagonal
        self.normalize_degree = normalize_degree
        self.max_samples = max_samples
        self.block_size = block_size
        self.max_iter = max_iter
        self.n_refine = n_refine
        self.drift_tol = drift_tol
        self.update_interval = update_interval
        self.inner_tol = inner_tol
        self.max_steps = max_steps
        self.tol = tol
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
        # Without the weight the decoder would stay behind the encoder.
        return self.lam > 0

    def _adapt(self, module, settings, rng):
        if settings["lam"] == 0:
            module.decoder = None
        return module

    def _default_network(self, form):
        return IdentityAutoencoder(start=self.start)

    def _check(self, given):
        if isinstance(self.update, Stiefel):
            self.update._validate_params()
        if self.start != "identity" and self.autoencoder is not None:
            raise ValueError(
                f"start={self.start!r} belongs to the default autoencoder, but another one is "
                "given. Set autoencoder__start instead."
            )
        if given.resumed and self.lam > 0 and self.lam_ == 0:
            raise ValueError(
                f"warm_start cannot go on with lam={self.lam}: a model fitted with lam=0 has no "
                "decoder."
            )
        if self.max_iter == self.n_refine == 0:
            raise ValueError("max_iter=0 and n_refine=0 leave nothing to train.")
        # Of the identity the embedding will be the data: what is wrong with it can be told now.
        known = isinstance(given.network.fitted, IdentityAutoencoder) and not given.resumed
        KernelSettings.of(self).check(given.samples.X, self.n_vectors, embedded=known)

    def _optimize(self, task):
        kernel = KernelSettings.of(self)
        with task.start.tasks.stage("start"):
            sigma, operator, task = kernel.prepared(task, self.sigma_ if task.resumed else None)
            objective = HSICLoss(sigma)
            schedule = HSICSchedule(task, objective, kernel, self)
            last = None
            if task.resumed:
                last = self._assign(task.embed(task.trainer.device), task.head).cpu().numpy()
            targets = schedule.begin(operator, last if self.n_refine else None)
        first = Snapshot(task.module)
        # One more than can be trained: the schedule looks at the last and stops.
        most = self.max_iter * -(-self.max_steps // self.update_interval) + self.n_refine + 1
        history = task.train(
            objective,
            rounds=most,
            batches=in_rounds(self.update_interval, reshuffle=True),
            targets=targets,
            schedule=[schedule],
        )
        # The initial clustering is that of U; the last one of the embedding is k-means.
        z = task.embed()
        if last is None:
            labels, centers = task.start.find(z)
            if schedule.start and schedule.start.drift(labels.numpy()) > self.drift_tol:
                first.restore()
                steps = {"max_steps": self.max_steps, "update_interval": self.update_interval}
                held = schedule.start.labels
                centers, more = hold_start(task, objective, held, operator, centers, **steps)
                history += more
        else:
            centers = kmeans_from(last, z, task.head)
        initial = schedule.start.labels if schedule.start else np.full(len(task.rows), -1)
        attributes = {"sigma_": sigma, "lam_": float(self.lam), "initial_labels_": initial}
        return Outcome({"cluster_centers_": centers.to(task.trainer.device)}, history, attributes)
