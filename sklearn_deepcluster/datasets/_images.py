"""Images: digits, MNIST, Fashion-MNIST, USPS, COIL-20 and CMU-PIE."""

import numpy as np
from sklearn import datasets

from sklearn_deepcluster.datasets._base import (
    DataSet,
    array_checksum,
    check_form,
    check_subset,
    download_openml,
    local_path,
    make_bunch,
    read_checked,
    require_local,
    subset_rows,
)

_DIGIT_NAMES = tuple("0123456789")

_DIGITS = DataSet(
    name="digits",
    loader="load_digits",
    file="",
    keys=(),
    sha256=None,
    class_counts=((178, 182, 177, 183, 181, 182, 181, 179, 174, 180),),
    target_names=_DIGIT_NAMES,
    shape=(8, 8),
    dtype=np.dtype(np.float32),
    descr="""Handwritten digits that come with scikit-learn.

1,797 images of 8 x 8 pixels with grey values from 0 to 16, in 10 classes: the test part of
"Optical Recognition of Handwritten Digits" of the UCI repository (E. Alpaydin and C. Kaynak, 1998).
""",
)

_MNIST = DataSet(
    name="MNIST",
    loader="fetch_mnist",
    file="mnist.npz",
    keys=("X", "y"),
    sha256="b8614df087cefcfe2566eddd52a22b6f664448c7d99a3f41545bb9b1a9dfbec8",
    class_counts=(
        (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    ),
    target_names=_DIGIT_NAMES,
    data_id=554,
    shape=(28, 28),
    dtype=np.dtype(np.uint8),
    descr="""MNIST handwritten digits.

70,000 images of 28 x 28 pixels with grey values from 0 to 255, in 10 classes: 60,000 for training,
then 10,000 for testing, in the official order. OpenML data set 554.

Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document
recognition", Proceedings of the IEEE 86(11), 1998.
""",
)

_FASHION_MNIST = DataSet(
    name="Fashion-MNIST",
    loader="fetch_fashion_mnist",
    file="fashion_mnist.npz",
    keys=("X", "y", "split"),
    sha256=None,
    class_counts=((6000,) * 10, (1000,) * 10),
    target_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    data_id=40996,
    shape=(28, 28),
    dtype=np.dtype(np.uint8),
    descr="""Fashion-MNIST articles of clothing.

70,000 images of 28 x 28 pixels with grey values from 0 to 255, in 10 classes: 60,000 for training,
then 10,000 for testing. MIT licence, copyright Zalando SE. OpenML data set 40996.

H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine
learning algorithms", arXiv:1708.07747, 2017.
""",
)

_USPS = DataSet(
    name="USPS",
    loader="fetch_usps",
    file="usps.npz",
    keys=("X", "y", "split"),
    sha256="69ccad38d5f73c1fc54b6737091fcd26ac1a3a4f651de9547af3d559611139de",
    class_counts=(
        (1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644),
        (359, 264, 198, 166, 200, 160, 170, 147, 166, 177),
    ),
    target_names=_DIGIT_NAMES,
    data_id=41082,
    shape=(16, 16),
    dtype=np.dtype(np.float32),
    descr="""USPS handwritten digits from zip codes.

9,298 images of 16 x 16 pixels with grey values from 0 to 1, in 10 classes: 7,291 for training, then
2,007 for testing. The source has values from -1 to 1; here they are (value + 1) / 2. Not to be
confused with another release of 11,000 images. OpenML data set 41082.

J. J. Hull, "A database for handwritten text recognition research", IEEE Transactions on Pattern
Analysis and Machine Intelligence 16(5), 1994.
""",
)

_COIL20 = DataSet(
    name="COIL-20",
    loader="fetch_coil20",
    file="coil20.npz",
    keys=("X", "y"),
    sha256="485a95f369e0736fe11a0c3e2bd27622169770fd920113729f3684d0c693f822",
    class_counts=((72,) * 20,),
    target_names=tuple(f"obj{i}" for i in range(1, 21)),
    shape=(128, 128),
    dtype=np.dtype(np.uint8),
    origin="X of shape (1440, 128, 128) and type uint8; the images are distributed by the Columbia "
    "University Imaging and Vision Laboratory (CAVE) as coil-20-proc",
    descr="""COIL-20, the Columbia Object Image Library (processed).

1,440 images of 128 x 128 pixels with grey values from 0 to 255: 20 objects, each turned by 5
degrees from image to image, 72 views an object. Row 72 * object + view. For research use.

S. A. Nene, S. K. Nayar and H. Murase, "Columbia object image library (COIL-20)", technical report
CUCS-005-96, Columbia University, 1996.
""",
)

_CMU_PIE = DataSet(
    name="CMU-PIE",
    loader="fetch_cmu_pie",
    file="cmu_pie.npz",
    keys=("X", "y"),
    sha256="2945c9811fe2c3c37b510751ecf08b34aaa49ba0036ac9381b6bca933a59cdc9",
    class_counts=((42,) * 68,),
    target_names=tuple(str(i) for i in range(68)),
    shape=(32, 32),
    dtype=np.dtype(np.uint8),
    origin="X of shape (2856, 32, 32) and type uint8; the images are PIE_pose27.mat of the "
    "repository jwyang/JULE-Torch",
    descr="""CMU-PIE, faces under different light (pose 27, the frontal one).

2,856 images of 32 x 32 pixels with grey values from 0 to 255: 68 people, 42 images each, one person
after the other. They are PIE_pose27.mat of the repository jwyang/JULE-Torch (MIT licence, commit
69bdfd8); the faces themselves are for research use.

T. Sim, S. Baker and M. Bsat, "The CMU pose, illumination, and expression (PIE) database", IEEE
International Conference on Automatic Face and Gesture Recognition, 2002.
""",
)


def load_digits(*, return_X_y=False):
    """Load the handwritten digits that come with scikit-learn, as images.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        - ``data`` : ndarray of shape (1797, 8, 8), float32, values from 0 to 16. Estimators of
          this package take images as they are; for others use ``data.reshape(len(data), -1)``;
        - ``target`` : ndarray of shape (1797,), int64;
        - ``target_names`` : list of the 10 names;
        - ``sample_shape`` : (channels, height, width) = (1, 8, 8);
        - ``sha256`` : checksum of the bytes of ``data`` and ``target``;
        - ``source`` : where the data was read;
        - ``DESCR`` : description.
    (data, target) : tuple if `return_X_y` is True

    See Also
    --------
    sklearn.datasets.load_digits : The same as a table.

    Examples
    --------
    >>> from sklearn_deepcluster.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> X.shape, y.shape
    ((1797, 8, 8), (1797,))
    """
    digits = datasets.load_digits()
    X, y = digits.images.astype(np.float32), digits.target.astype(np.int64)
    checksum = array_checksum(X, y)
    return _result(_DIGITS, X, y, None, "all", checksum, "scikit-learn", return_X_y)


def fetch_mnist(*, subset="all", data_home=None, return_X_y=False):
    """Load the MNIST handwritten digits, downloading them where needed.

    Where the environment variable ``SKLEARN_DEEPCLUSTER_DATA`` names a folder that holds
    ``mnist.npz``, that file is read; otherwise the data comes from OpenML through
    :func:`sklearn.datasets.fetch_openml` and its cache.

    Parameters
    ----------
    subset : {"all", "train", "test"}, default="all"
        All 70,000 images (training, then test), the 60,000 training or the 10,000 test images.
    data_home : str, path-like or None, default=None
        Folder of scikit-learn's cache of downloads. None means its own default.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        - ``data`` : ndarray of shape (n, 28, 28), uint8, values from 0 to 255. Estimators of
          this package take images as they are; for others use ``data.reshape(len(data), -1)``;
        - ``target`` : ndarray of shape (n,), int64;
        - ``target_names`` : list of the 10 names;
        - ``sample_shape`` : (channels, height, width) = (1, 28, 28);
        - ``sha256`` : checksum of what was read: of the local file, or else of the bytes of the
          samples and labels before a subset is taken;
        - ``source`` : where the data was read, the name of the file or ``"OpenML 554"``;
        - ``DESCR`` : description.
    (data, target) : tuple if `return_X_y` is True

    Raises
    ------
    ValueError
        If `subset` is unknown, or if the local file is damaged or another one (SHA-256).
    ConnectionError
        If the data is neither local nor cached, and the download fails.
    NotADirectoryError
        If the environment variable names no folder.
    """
    return _fetch(_MNIST, subset, data_home, return_X_y)


def fetch_fashion_mnist(*, subset="all", data_home=None, return_X_y=False):
    """Load Fashion-MNIST, downloading it where needed.

    Where the environment variable ``SKLEARN_DEEPCLUSTER_DATA`` names a folder that holds
    ``fashion_mnist.npz`` (arrays ``X`` of shape (70000, 28, 28) and type uint8, ``y`` with labels
    0 to 9, and ``split``, 0 for training and 1 for testing), that file is read; otherwise the
    data comes from OpenML through :func:`sklearn.datasets.fetch_openml` and its cache. No
    checksum of the local file is known: its shapes, types and numbers of rows per class are
    checked instead.

    Parameters
    ----------
    subset : {"all", "train", "test"}, default="all"
        All 70,000 images (training, then test), the 60,000 training or the 10,000 test images.
    data_home : str, path-like or None, default=None
        Folder of scikit-learn's cache of downloads. None means its own default.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        - ``data`` : ndarray of shape (n, 28, 28), uint8, values from 0 to 255. Estimators of
          this package take images as they are; for others use ``data.reshape(len(data), -1)``;
        - ``target`` : ndarray of shape (n,), int64;
        - ``target_names`` : list of the 10 names;
        - ``sample_shape`` : (channels, height, width) = (1, 28, 28);
        - ``sha256`` : checksum of what was read: of the local file, or else of the bytes of the
          samples and labels before a subset is taken;
        - ``source`` : where the data was read, the name of the file or ``"OpenML 40996"``;
        - ``DESCR`` : description.
    (data, target) : tuple if `return_X_y` is True

    Raises
    ------
    ValueError
        If `subset` is unknown, or if the local file is damaged or has another form.
    ConnectionError
        If the data is neither local nor cached, and the download fails.
    NotADirectoryError
        If the environment variable names no folder.
    """
    return _fetch(_FASHION_MNIST, subset, data_home, return_X_y)


def fetch_usps(*, subset="all", data_home=None, return_X_y=False):
    """Load the USPS handwritten digits (9,298 images), downloading them where needed.

    Where the environment variable ``SKLEARN_DEEPCLUSTER_DATA`` names a folder that holds
    ``usps.npz``, that file is read; otherwise the data comes from OpenML through
    :func:`sklearn.datasets.fetch_openml` and its cache.

    Parameters
    ----------
    subset : {"all", "train", "test"}, default="all"
        All 9,298 images (training, then test), the 7,291 training or the 2,007 test images.
    data_home : str, path-like or None, default=None
        Folder of scikit-learn's cache of downloads. None means its own default.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        - ``data`` : ndarray of shape (n, 16, 16), float32, values from 0 to 1. Estimators of
          this package take images as they are; for others use ``data.reshape(len(data), -1)``;
        - ``target`` : ndarray of shape (n,), int64;
        - ``target_names`` : list of the 10 names;
        - ``sample_shape`` : (channels, height, width) = (1, 16, 16);
        - ``sha256`` : checksum of what was read: of the local file, or else of the bytes of the
          samples and labels before a subset is taken;
        - ``source`` : where the data was read, the name of the file or ``"OpenML 41082"``;
        - ``DESCR`` : description.
    (data, target) : tuple if `return_X_y` is True

    Raises
    ------
    ValueError
        If `subset` is unknown, or if the local file is damaged or another one (SHA-256), or if
        the rows of the downloaded copy are not in the order of training and test part and one of
        them is asked for.
    ConnectionError
        If the data is neither local nor cached, and the download fails.
    NotADirectoryError
        If the environment variable names no folder.

    Notes
    -----
    The local file has the values rounded to float16 (by at most 0.00025), so it differs from
    the download by that much.
    """
    return _fetch(_USPS, subset, data_home, return_X_y)


def fetch_coil20(*, resize=32, return_X_y=False):
    """Load COIL-20, views of 20 turned objects, from a local file.

    The environment variable ``SKLEARN_DEEPCLUSTER_DATA`` must name a folder that holds
    ``coil20.npz``; no archive that could be downloaded from is known to keep it unchanged.

    Parameters
    ----------
    resize : int or None, default=32
        Height and width of the images, a divisor of 128: each pixel is the mean of a square
        block. None gives the original 128 x 128 pixels. The usual version in papers is 32.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        - ``data`` : ndarray of shape (1440, resize, resize), float32 block means, or of shape
          (1440, 128, 128), uint8, for ``resize=None``; values from 0 to 255. Estimators of this
          package take images as they are; for others use ``data.reshape(len(data), -1)``;
        - ``target`` : ndarray of shape (1440,), int64;
        - ``target_names`` : list of the 20 names;
        - ``sample_shape`` : (channels, height, width);
        - ``sha256`` : checksum of the file;
        - ``source`` : name of the file;
        - ``DESCR`` : description.
    (data, target) : tuple if `return_X_y` is True

    Raises
    ------
    ValueError
        If `resize` is not None or a divisor of 128, or if the file is damaged or another one
        (SHA-256).
    FileNotFoundError
        If there is no local file.
    NotADirectoryError
        If the environment variable names no folder.
    """
    if resize is not None and (
        isinstance(resize, bool)
        or not isinstance(resize, int | np.integer)
        or resize < 1
        or 128 % resize
    ):
        raise ValueError(f"resize must be None or an int that divides 128, got {resize!r}.")
    path = require_local(_COIL20)
    X, y, split, sha256 = read_checked(_COIL20, path)
    if resize is not None:
        block = 128 // resize
        X = X.reshape(len(X), resize, block, resize, block).mean(axis=(2, 4), dtype=np.float32)
    return _result(_COIL20, X, y, split, "all", sha256, path.name, return_X_y)


def fetch_cmu_pie(*, return_X_y=False):
    """Load CMU-PIE, faces of 68 people under different light, from a local file.

    The environment variable ``SKLEARN_DEEPCLUSTER_DATA`` must name a folder that holds
    ``cmu_pie.npz``, with the arrays ``X`` and ``y``: the images of ``PIE_pose27.mat`` of the
    repository jwyang/JULE-Torch, for which no archive that stays unchanged is known.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        - ``data`` : ndarray of shape (2856, 32, 32), uint8, values from 0 to 255. Estimators of
          this package take images as they are; for others use ``data.reshape(len(data), -1)``;
        - ``target`` : ndarray of shape (2856,), int64, the person, 42 images each;
        - ``target_names`` : list of the 68 numbers of the people;
        - ``sample_shape`` : (channels, height, width) = (1, 32, 32);
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
    path = require_local(_CMU_PIE)
    X, y, split, sha256 = read_checked(_CMU_PIE, path)
    return _result(_CMU_PIE, X, y, split, "all", sha256, path.name, return_X_y)


def _fetch(spec, subset, data_home, return_X_y):
    check_subset(subset)
    path = local_path(spec)
    if path is not None:
        X, y, split, sha256 = read_checked(spec, path)
        source = path.name
    else:
        X, y, split = _from_openml(spec, data_home)
        sha256, source = array_checksum(X, y), f"OpenML {spec.data_id}"
    return _result(spec, X, y, split, subset, sha256, source, return_X_y)


def _from_openml(spec, data_home):
    flat, labels = download_openml(spec, data_home)
    source = f"OpenML data set {spec.data_id}"
    if np.shape(flat)[1:] != (np.prod(spec.shape),):
        raise ValueError(f"{source} has samples of shape {np.shape(flat)[1:]}.")
    if spec.dtype == np.uint8:
        X = flat.astype(np.uint8)
    else:  # USPS, with values from -1 to 1
        X = ((flat + 1) / 2).astype(np.float32)
    X = X.reshape(-1, *spec.shape)
    y = labels.astype(np.int64)
    y -= y.min()  # USPS has 1 to 10 there, for the digits 0 to 9
    check_form(spec, X, y, None, source)
    return X, y, _usual_split(spec, y)


def _usual_split(spec, y):
    """Training part first, if the classes are distributed like that; else unknown."""
    split = np.repeat([0, 1], spec.n_rows)
    train = np.bincount(y[split == 0], minlength=len(spec.target_names))
    return split if np.array_equal(train, spec.class_counts[0]) else None


def _result(spec, X, y, split, subset, sha256, source, return_X_y):
    rows = subset_rows(spec, split, subset)
    X, y = X[rows], y[rows]
    if return_X_y:
        return X, y
    return make_bunch(spec, X, y, sample_shape=(1, *X.shape[1:]), sha256=sha256, source=source)
