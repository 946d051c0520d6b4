"""Recipes: per method and data set the configuration and the published numbers.

Every module of this package has a list ``RECIPES``; a new method brings one more module. A
recipe has the configuration ``"default"`` (the estimator's defaults, untouched) on every data
set, and ``"paper"`` (that of the paper or of its code) where there is one. Nothing in a recipe
was chosen by labels.

Images come with pixels in [0, 1]; ``factor`` is what a source multiplies them by.
"""

import dataclasses
import importlib
import pkgutil

from sklearn.utils import get_tags

import sklearn_deepcluster
from sklearn_deepcluster.benchmarks._data import SOURCES


@dataclasses.dataclass(frozen=True)
class Published:
    """A published result.

    Attributes
    ----------
    source : str
    acc : float or None
    nmi : float or None
    average : {"arithmetic", "geometric"}
        Normaliser of the NMI.
    held_out : bool
        It is of samples that were not fitted.
    """

    source: str
    acc: float | None
    nmi: float | None = None
    average: str = "arithmetic"
    held_out: bool = False


@dataclasses.dataclass(frozen=True)
class Config:
    """Parameters that differ from the defaults.

    Attributes
    ----------
    representation, clusterer : dict
    factor : float
        Multiplies the input.
    source : str
        Where the configuration is from, and how it deviates.
    """

    representation: dict = dataclasses.field(default_factory=dict)
    clusterer: dict = dataclasses.field(default_factory=dict)
    factor: float = 1.0
    source: str = "defaults of the estimator"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a method is run.

    Attributes
    ----------
    method : str
        Name on the command line.
    title : str
        Name in tables.
    estimator : str
        A public name of the package, or the dotted path of a class elsewhere.
    representation : str or None
        Class of the representation, likewise; a convolutional one gives way to
        ``"Autoencoder"`` where the data are no images. None clusters the raw input.
    slot : str or None
        Parameter of the estimator that takes the representation; None puts the two in a
        pipeline.
    default, default_representation : dict
        What a baseline from elsewhere, or a variant of a method, is given in every
        configuration.
    for_shape : dict
        Data set -> parameters that the shape of its clusters asks for, in every configuration.
    paper : dict
        Data set -> `Config`.
    published : dict
        Data set -> list of `Published`; differences are taken from the first.
    images_only : bool
        The method makes no sense without images.
    form : {"rows", "images", "sequences"}
        What the method takes: flat rows, images where the data are images, or sequences, which it
        makes no sense without. A convolutional representation takes images in any case.
    n_labels : int or None
        Labels that ``fit`` is given, drawn by the seed, equally many per class; None is none.
    """

    method: str
    title: str
    estimator: str
    representation: str | None = None
    slot: str | None = "autoencoder"
    default: dict = dataclasses.field(default_factory=dict)
    default_representation: dict = dataclasses.field(default_factory=dict)
    for_shape: dict = dataclasses.field(default_factory=dict)
    paper: dict = dataclasses.field(default_factory=dict)
    published: dict = dataclasses.field(default_factory=dict)
    images_only: bool = False
    form: str = "rows"
    n_labels: int | None = None

    @property
    def datasets(self):
        """Names of the data sets that the method can be run on."""
        return [name for name, source in SOURCES.items() if self._makes_sense(source)]

    def _makes_sense(self, source):
        if self.form == "sequences":
            return source.sequences
        if source.sparse and not self._takes_sparse():
            return False
        return source.images or not self.images_only

    def _takes_sparse(self):
        """Whether all that get the data do; not known of a library that is not installed."""
        given = {}
        if self.representation is not None:
            given[self.representation.replace("ConvAutoencoder", "Autoencoder")] = {}
        if not given or self.slot is not None:
            given[self.estimator] = self.default
        try:
            made = [class_of(name)().set_params(**params) for name, params in given.items()]
        except ModuleNotFoundError:
            return False
        return all(get_tags(one).input_tags.sparse for one in made)

    def config(self, name, dataset):
        """Return the configuration `name`, "default" or "paper", for a data set.

        Raises
        ------
        ValueError
            If there is none; it says what there is.
        """
        if name == "default":
            return Config(self.default_representation, self._for_all(dataset))
        if name != "paper" or dataset not in self.paper:
            known = ", ".join(self.paper) or "no data set"
            raise ValueError(
                f"{self.method} has no configuration {name!r} for {dataset}; there is 'default' "
                f"for all and 'paper' for {known}."
            )
        config = self.paper[dataset]
        return dataclasses.replace(
            config,
            representation={
                **self.default_representation,
                **_as_published(self.representation_name(dataset), "validation_fraction"),
                **config.representation,
            },
            clusterer={
                **self._for_all(dataset),
                **_as_published(self.estimator, "drift_tol"),
                **config.clusterer,
            },
        )

    def _for_all(self, dataset):
        return {**self.default, **self.for_shape.get(dataset, {})}

    def form_on(self, dataset):
        """What the method takes of a data set: "rows", "images" or "sequences"."""
        if not SOURCES[dataset].images and self.form == "images":
            return "rows"
        return "images" if self.representation_name(dataset) == "ConvAutoencoder" else self.form

    def representation_name(self, dataset):
        """Name of the representation's class on a data set; None for the raw input."""
        if self.representation == "ConvAutoencoder" and not SOURCES[dataset].images:
            return "Autoencoder"
        return self.representation


def class_of(name):
    """Class by its name, in this package where it has no module before it."""
    module, _, name = name.rpartition(".")
    return getattr(importlib.import_module(module or sklearn_deepcluster.__name__), name)


def _as_published(estimator, guard):
    """Parameters that switch off a guard of ours, which no paper has."""
    kind = getattr(sklearn_deepcluster, estimator or "", None)
    return {guard: None} if kind is not None and guard in kind().get_params(deep=False) else {}


def all_recipes():
    """Return the recipes of all methods as a dict, method -> `Recipe`, baselines first."""
    recipes = []
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        if not info.name.startswith("_"):
            module = importlib.import_module(f"{__name__}.{info.name}")
            recipes += module.RECIPES
    recipes.sort(key=lambda recipe: "." not in recipe.estimator)
    return {recipe.method: recipe for recipe in recipes}
