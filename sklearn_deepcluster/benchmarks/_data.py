"""The data sets of the benchmarks, in one form: float32 images in [0, 1], rows, sequences."""

import dataclasses
import functools
import itertools

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from sklearn_deepcluster import datasets
from sklearn_deepcluster.benchmarks._records import checksum


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    Attributes
    ----------
    load : callable
        Returns (X, y).
    n_clusters : int
    white : float or None
        The value of a white pixel, which becomes 1; None if the samples are no images.
    n_seeds : int
        Runs of a recipe unless something else is asked for.
    load_test : callable or None
        Returns (X, y) of rows that are held out from fitting and judged apart.
    sequences : bool
        The samples are sequences: X is an array (n, time, features), padded with NaN where their
        lengths differ.
    sparse : bool
        The samples are rows of a sparse matrix.
    """

    load: object
    n_clusters: int
    white: float | None
    n_seeds: int = 3
    load_test: object = None
    sequences: bool = False
    sparse: bool = False

    @property
    def images(self):
        return self.white is not None


@dataclasses.dataclass(frozen=True)
class Data:
    """One data set, loaded; ``X_test`` and ``y_test`` are None where nothing is held out."""

    X: np.ndarray | csr_array
    y: np.ndarray
    X_test: np.ndarray | None
    y_test: np.ndarray | None
    checksum: str

    def scaled(self, part, factor, form):
        """Return ``X`` or ``X_test`` times `factor`, as they are or as flat "rows".

        In flat rows sequences are padded with zeros.
        """
        X = getattr(self, part)
        X = X if factor == 1 else X * np.float32(factor)
        return np.nan_to_num(X.reshape(len(X), -1)) if form == "rows" and not issparse(X) else X


def load(name):
    """Load the data set `name` of ``SOURCES``.

    The pixels of images are brought to [0, 1]; the checksum is that of what the loader gave.

    Returns
    -------
    data : Data
    """
    source = SOURCES[name]
    parts = source.load()
    if source.load_test is not None:
        parts += source.load_test()
    digest = checksum(*itertools.chain.from_iterable(map(_arrays, parts)))
    X, y, X_test, y_test = (*parts, None, None)[:4]
    X_test = None if X_test is None else _unit_range(X_test, source.white)
    return Data(_unit_range(X, source.white), y, X_test, y_test, digest)


def thinned(y, ratio=10.0, seed=0):
    """Choose rows so that the class sizes fall geometrically.

    With k classes, class c keeps the fraction ``ratio ** (-c / (k - 1))`` of its rows, from all
    of class 0 to one in `ratio` of the last; which rows is drawn with a fixed seed.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Classes.
    ratio : float, default=10
    seed : int, default=0

    Returns
    -------
    rows : ndarray of int
        Indices in ascending order.
    """
    rng = np.random.default_rng(seed)
    classes = np.unique(y)
    kept = []
    for c, value in enumerate(classes):
        members = np.flatnonzero(y == value)
        size = round(len(members) * ratio ** (-c / (len(classes) - 1)))
        kept.append(rng.choice(members, size, replace=False))
    return np.sort(np.concatenate(kept))


def _arrays(part):
    """What a part of the data is made of."""
    return (part.data, part.indices, part.indptr) if issparse(part) else (part,)


def _unit_range(X, white):
    if issparse(X):
        return X.astype(np.float32)
    X = np.asarray(X, dtype=np.float32)
    return X if white in (None, 1) else X / np.float32(white)


def _reader(name, **options):
    return functools.partial(getattr(datasets, name), return_X_y=True, **options)


def _mnist_first_10000():
    """The images that, with the digits, defaults are chosen on."""
    X, y = datasets.fetch_mnist(subset="train", return_X_y=True)
    return X[:10_000], y[:10_000]


def _news20_6000():
    """As many posts as methods with an n x n matrix can take, drawn at random."""
    X, y = datasets.fetch_news20_wordllama(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(X))[:6000]
    return X[rows], y[rows]


def _newsgroups_sparse():
    """The posts by ten times as many words as dense rows have, most of which a post has not."""
    posts, y = datasets.fetch_newsgroups(as_text=True, return_X_y=True)
    vectorizer = TfidfVectorizer(max_features=20_000, stop_words="english", dtype=np.float32)
    return csr_array(vectorizer.fit_transform(posts)), y


def _newsgroups_lsa():
    """The posts by latent semantic analysis, as the README's pipeline has it."""
    posts, y = datasets.fetch_newsgroups(as_text=True, return_X_y=True)
    analysis = make_pipeline(
        TfidfVectorizer(
            sublinear_tf=True,
            stop_words="english",
            min_df=5,
            max_df=0.1,
            token_pattern="[a-zA-Z]{3,}",
        ),
        TruncatedSVD(50, random_state=0),
        Normalizer(),
    )
    return analysis.fit_transform(posts), y


def _moments(reader):
    """Sequences as mean and standard deviation of each feature, what one would try first."""
    X, y = _reader(reader, as_array=True)()
    return np.hstack([np.nanmean(X, axis=1), np.nanstd(X, axis=1)]), y


def _mnist_test_thinned():
    X, y = datasets.fetch_mnist(subset="test", return_X_y=True)
    rows = thinned(y)
    return X[rows], y[rows]


def _knet(name, subset="all"):
    """Data of the KNet paper, standardised: by themselves, or as the authors did their subsets."""
    X, y = datasets.fetch_knet(name, subset=subset, return_X_y=True)
    return (StandardScaler().fit_transform(X) if subset == "all" else X), y


def _knet_all(name):
    """The authors' subset and the other rows: what the paper judges a model of the subset by."""
    parts = [_knet(name, subset) for subset in ("train", "test")]
    X, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    return X, y


_KNET = {"moon": 2, "spiral": 3, "cancer": 2, "wine": 3, "face": 20, "rcv": 4}

SOURCES = {
    "digits": Source(_reader("load_digits"), 10, white=16, n_seeds=5),
    "mnist-10000": Source(_mnist_first_10000, 10, white=255),
    "usps": Source(_reader("fetch_usps"), 10, white=1),
    "usps-split": Source(
        _reader("fetch_usps", subset="train"),
        10,
        white=1,
        load_test=_reader("fetch_usps", subset="test"),
    ),
    "mnist": Source(_reader("fetch_mnist"), 10, white=255, n_seeds=1),
    "mnist-split": Source(
        _reader("fetch_mnist", subset="train"),
        10,
        white=255,
        n_seeds=1,
        load_test=_reader("fetch_mnist", subset="test"),
    ),
    "mnist-test": Source(_reader("fetch_mnist", subset="test"), 10, white=255),
    "mnist-test-thinned": Source(_mnist_test_thinned, 10, white=255),
    "coil20": Source(_reader("fetch_coil20"), 20, white=255),
    "cmu-pie": Source(_reader("fetch_cmu_pie"), 68, white=255),
    "character-trajectories": Source(
        _reader("fetch_character_trajectories", letters=10, zero_padding=True, as_array=True),
        10,
        white=None,
        n_seeds=5,
        sequences=True,
    ),
    "character-trajectories-cut": Source(
        _reader("fetch_character_trajectories", letters=10, as_array=True),
        10,
        white=None,
        n_seeds=5,
        sequences=True,
    ),
    "spoken-arabic-digits": Source(
        _reader("fetch_spoken_arabic_digits", as_array=True),
        10,
        white=None,
        n_seeds=5,
        sequences=True,
    ),
    "japanese-vowels": Source(
        _reader("fetch_japanese_vowels", as_array=True), 9, white=None, n_seeds=5, sequences=True
    ),
    "japanese-vowels-moments": Source(
        functools.partial(_moments, "fetch_japanese_vowels"), 9, white=None
    ),
    "osu-leaf": Source(_reader("fetch_osu_leaf"), 6, white=None, n_seeds=5, sequences=True),
    "newsgroups": Source(_reader("fetch_newsgroups"), 20, white=None),
    "newsgroups-sparse": Source(_newsgroups_sparse, 20, white=None, n_seeds=1, sparse=True),
    "newsgroups-lsa": Source(_newsgroups_lsa, 20, white=None),
    "news20-wordllama": Source(_reader("fetch_news20_wordllama"), 20, white=None),
    "news20-wordllama-6000": Source(_news20_6000, 20, white=None),
    "cifar10-efficientnet": Source(_reader("fetch_cifar10_efficientnet"), 10, white=None),
    "pbmc68k-reduced": Source(_reader("fetch_pbmc68k_reduced"), 10, white=None),
    **{
        f"knet-{name}": Source(functools.partial(_knet, name), k, white=None, n_seeds=10)
        for name, k in {**_KNET, "spiral_large": 3}.items()
    },
    **{
        f"knet-{name}-split": Source(
            functools.partial(_knet, name, "train"),
            k,
            white=None,
            n_seeds=10,
            load_test=functools.partial(_knet_all, name),
        )
        for name, k in _KNET.items()
    },
}
