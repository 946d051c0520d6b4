"""The network that a clusterer is given, in whichever form: how it comes to its first weights."""

import copy
import dataclasses

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklearn_deepcluster._engine import Standard, generator, learn_standard, told_data
from sklearn_deepcluster.nn import AutoencoderModule
from sklearn_deepcluster.representation._base import BaseAutoencoder, BaseRepresentation
from sklearn_deepcluster.representation._cache import fit_cached
from sklearn_deepcluster.representation._encoders import BaseEncoder, user_encoder

# What the parameters that hold a network may hold frozen.
_FROZEN = {
    "autoencoder": (BaseAutoencoder, "an autoencoder"),
    "encoder": (BaseRepresentation, "a representation"),
}


@dataclasses.dataclass
class First:
    """A network as the clustering phase gets it.

    Attributes
    ----------
    module : AutoencoderModule
        Its own, to be trained.
    standard : Standard
        The unit of the rows that it works on.
    n_components : int
    reconstruction : nn.Module or None
        The loss that it was trained with.
    losses : list of float or None
        Of its training, per epoch.
    """

    module: nn.Module
    standard: Standard
    n_components: int
    reconstruction: nn.Module | None = None
    losses: list | None = None


def network_of(clusterer, form):
    """The network that a clusterer was given, or its default one for samples of this form."""
    name = clusterer._network
    given = getattr(clusterer, name)
    if given is None:
        given = clusterer._default_network(form)
    if isinstance(given, FrozenEstimator):
        return FrozenNetwork(given, name)
    if isinstance(given, BaseRepresentation):
        return TrainedNetwork(given)
    if isinstance(given, str):
        return DataThemselves()
    if isinstance(given, BaseEncoder):
        return DescribedNetwork(given)
    return UserNetwork(given, sequential=reads_sequences(clusterer)[0])


def reads_sequences(clusterer):
    """Whether samples are sequences, and (time, features) of those in flat rows, if given.

    A network of the user reads what the default one of the clusterer reads.
    """
    given = _described(clusterer)
    if given is None:
        default = clusterer._default_network(None)
        return getattr(default, "sequential", False), None
    sequential = getattr(given, "sequential", False)
    return sequential, given.sample_shape if sequential else None


def takes_sparse(clusterer):
    """Whether X may be sparse: what the network reads are rows of numbers, and not what it gives.

    A network of the user takes what the default one of the clusterer takes.
    """
    given = _described(clusterer)
    if given is None:
        if isinstance(getattr(clusterer, clusterer._network), str):  # the data themselves
            return False
        given = clusterer._default_network(None)
    return getattr(given, "_takes_sparse", False)


def _described(clusterer):
    """The representation or encoder that a clusterer was given, None where it is neither."""
    given = getattr(clusterer, clusterer._network)
    known = isinstance(given, (BaseEncoder, BaseRepresentation, FrozenEstimator))
    return given if known else None


class FrozenNetwork:
    """A fitted representation, to be used as it is; a copy is trained."""

    trained = False  # by `first`

    def __init__(self, frozen, name):
        self.frozen, self.name = frozen, name
        self.fitted = frozen.estimator

    def check(self, samples, seed):
        """Refuse what does not fit the samples, before any training."""
        kind, words = _FROZEN[self.name]
        if not isinstance(self.fitted, kind):
            raise ValueError(f"{self.name}={self.frozen!r} does not hold {words}.")
        check_is_fitted(self.fitted, "module_")
        n_values = samples.X.shape[1]
        if self.fitted.n_features_in_ != n_values:
            raise ValueError(
                f"{self.name} was fitted on {self.fitted.n_features_in_} features; "
                f"X has {n_values}."
            )

    @property
    def width(self):
        """Number of components where it is known before training, else None."""
        return self.fitted.n_components_

    @property
    def draws_globally(self):
        """Whether the module draws from torch's global generator (a user's own may)."""
        return self.fitted._draws_globally()

    @property
    def reconstruction(self):
        """The loss that the network is trained with before it clusters, or None."""
        return self.fitted._loss()

    def first(self, samples, seed, clusterer, tasks, checkpoint=None):
        """The network with its first weights, by the settings of the clusterer it is for.

        A training of its own leaves its state in the folder `checkpoint`, if that is not None.
        """
        return _first(self.fitted, copy.deepcopy(self.fitted.module_))

    def build(self, form):
        """The module for samples of this form, with any weights, and its number of components."""
        return self.fitted._build(self.fitted._form(), seed=0)


class TrainedNetwork(FrozenNetwork):
    """A representation that is trained before it clusters."""

    trained = True

    def __init__(self, representation):
        self.fitted = representation

    def build(self, form):
        return self.fitted._build(form, seed=0)

    def check(self, samples, seed):
        self.fitted._validate_params()

    @property
    def width(self):
        # Of a user's module it is known once it is built.
        of_user = getattr(self.fitted, "module", None) is not None
        return None if of_user else self.fitted.n_components

    def first(self, samples, seed, clusterer, tasks, checkpoint=None):
        representation = clone(self.fitted)
        seeded = clusterer.random_state is not None or representation.random_state is not None
        inherited = {
            "device": clusterer.device,
            "precision": clusterer.precision,
            "random_state": seed,
            "checkpoint": checkpoint,
        }
        own = representation.get_params(deep=False)
        for name, value in inherited.items():
            if own.get(name, "given") in (None, "auto"):  # one of a user may lack some
                representation.set_params(**{name: value})
        verbose = max(clusterer.verbose, representation.verbose)
        memory = clusterer.memory if seeded else None
        data = tasks.data or told_data(samples.X)
        with tasks.task("pretraining", of=representation):
            fitted = fit_cached(representation, samples, memory, verbose, data)
        return _first(fitted, fitted.module_)


def _first(fitted, module):
    losses = list(fitted.history_["loss"])
    return First(module, fitted._standard(), fitted.n_components_, fitted._loss(), losses)


class UserNetwork:
    """A module of the user, or what makes one; it is not trained before it clusters."""

    reconstruction = None
    trained = False
    draws_globally = True
    losses = None
    center = "auto"

    def __init__(self, given, sequential):
        self.given, self.sequential = given, sequential
        self.built = None

    def check(self, samples, seed):
        # What does not fit the shape of X is found where the network is built; it is kept for the
        # first run, which has this seed. None builds none: the fit goes on with what there is.
        if seed is not None:
            self.built = seed, self._build(samples, seed)

    @property
    def width(self):
        return None if self.built is None else self.built[1][1]

    def first(self, samples, seed, clusterer, tasks, checkpoint=None):
        kept = self.built
        if kept is not None and kept[0] == seed:
            made, self.built = kept[1], None
        else:
            made = self._build(samples, seed)
        standard = learn_standard(
            samples.X, made[0].input_shape, center=self.center, weight=samples.weight
        )
        return First(made[0], standard, made[1], losses=self.losses)

    def build(self, form):
        return self.built[1] if self.built else self._build(form, seed=0)

    def _build(self, form, seed):
        shape = form.sample_shape
        return user_encoder(self.given, form.n_features_in, shape, seed, self.sequential)


class DescribedNetwork(UserNetwork):
    """An encoder by its description."""

    draws_globally = False

    def __init__(self, description):
        super().__init__(description, description.sequential)
        self.center = description.center

    def check(self, samples, seed):
        self.given._validate_params()
        super().check(samples, seed)

    def _build(self, form, seed):
        return clone(self.given).build(form.n_features_in, form.sample_shape, generator(seed))


class PassThrough(nn.Identity):
    """The encoder of ``"passthrough"``, told from an identity in a network of the user."""


class DataThemselves(UserNetwork):
    """The network ``"passthrough"``: none, the embedding is the data at one scale."""

    draws_globally = False
    losses = (0.0,)
    center = None

    def __init__(self):
        super().__init__(None, sequential=False)

    def _build(self, form, seed):
        return AutoencoderModule(PassThrough(), nn.Identity()), form.n_features_in
