"""The data of the KNet paper, as its authors' repository has them."""

import numpy as np

from sklearn_deepcluster.datasets._base import (
    SUBSETS,
    DataSet,
    check_form,
    make_bunch,
    read_local,
    require_local,
)

_ORIGIN = "the values are in the repository neu-spiral/KernelNet, folder datasets"
_ABOUT = """{title} of the KNet paper ({rows} rows, {features} features, {classes} classes).

C. Wu, Z. Khan, S. Ioannidis, J. Dy, "Deep Kernel Learning for Clustering", SIAM International
Conference on Data Mining, 2020.
"""
# Title, features, rows per class; SHA-256 of the whole, and of the authors' split if there is one.
_KNOWN = {
    "moon": (
        ("Two moons", 2, (500,) * 2),
        "7791fc187fe15063d72cccb36ffc2e4c6d6dcd0c7bba692422b39efd65e7d318",
        "050b3fd9a6d4672d7ddc0a626bbad7a273f008e87b9f9b1ce973c3fd24de5f37",
    ),
    "spiral": (
        ("Three spirals", 2, (1000,) * 3),
        "8aaa4234257067b5f50e41f13b18f9ccc332ff6f97e29c7b12bcfc4c111fee8d",
        "25e8764c6f2cd63d9189f937ee4dcffa5554adf11a8b6a2e9a1bb469c13e6ffd",
    ),
    "spiral_large": (
        ("Three spirals, many rows,", 2, (10_000,) * 3),
        "09705c33620e1afdc98dfd93a32af1668aee5b836d1d26ba71789ed70ea5e4c2",
        None,
    ),
    "cancer": (
        ("Wisconsin breast cancer", 9, (444, 239)),
        "e9ed2b8a7eeebad7983717b5ad683b5997bc6977100e3f4b3184f6c08684b846",
        "34e806a03cab0960b5e680ff420bbb3da2e71f91796e37245c0eb14a1e712360",
    ),
    "wine": (
        ("UCI wine", 13, (59, 71, 48)),
        "19bc11af0be2044eb31d0e088c3de14af3f1dacfda706833cc541b5e90ed3e2e",
        "1423e5d65f24c62fa213967cc8c6c29d8456ff8fc97b4a97c6287fcacabb26e3",
    ),
    "face": (
        (
            "CMU faces",
            27,
            (30, 31, 32, 32, 32, 30, 31, 32, 32, 31, 32, 30, 32, 31, 32, 32, 31, 28, 32, 31),
        ),
        "a22c101590cdd8842324e389916f6fdacbdf41138bb35f5463b737db4b729a28",
        "1a51913d303c7357aa08210c7331347efeaba56a490b20b067f90491437cfd8d",
    ),
    "rcv": (
        ("RCV1 documents", 5, (4336, 2372, 2437, 855)),
        "01570642d71ee821f97756d16beeda0695f8f63fb9f000c40d439768adf2f8ef",
        "3a7dc3dfbaeb84fdecc596c562665416684431de41ad5188a429cf8039a9c7e0",
    ),
}


def fetch_knet(name, *, subset="all", return_X_y=False):
    """Load one of the data sets of the KNet paper from a local file.

    The environment variable ``SKLEARN_DEEPCLUSTER_DATA`` must name a folder that holds
    ``knet_<name>.npz`` with the arrays X and y, and ``knet_<name>_subset.npz`` with X_train,
    y_train, X_test and y_test; the values are those of the authors' repository, for which no
    archive that stays unchanged is known.

    Parameters
    ----------
    name : {"moon", "spiral", "spiral_large", "cancer", "wine", "face", "rcv"}
        Which one.
    subset : {"all", "train", "test"}, default="all"
        All rows, as they are; or the rows that the paper trains with to predict the others, or
        these others, both standardised by the authors (to three decimals). The test part of
        "spiral" is another draw of 30,000 rows, which is standardised here. "spiral_large" has
        no parts.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        - ``data`` : ndarray of shape (n, n_features), float64. The paper standardises it: use
          :class:`~sklearn.preprocessing.StandardScaler`;
        - ``target`` : ndarray of shape (n,), int64, from 0;
        - ``target_names`` : list of the classes;
        - ``sample_shape`` : (n_features,);
        - ``sha256`` : checksum of the file;
        - ``source`` : name of the file;
        - ``DESCR`` : description.
    (data, target) : tuple if `return_X_y` is True

    Raises
    ------
    ValueError
        If `name` or `subset` is unknown, or if the file is damaged or another one (SHA-256).
    FileNotFoundError
        If there is no local file.
    NotADirectoryError
        If the environment variable names no folder.
    """
    if name not in _KNOWN:
        raise ValueError(f"name must be one of {', '.join(_KNOWN)}, got {name!r}.")
    whole, split = _KNOWN[name][1:]
    parts = SUBSETS if split else SUBSETS[:1]
    if subset not in parts:
        raise ValueError(f"subset must be one of {parts} for {name!r}, got {subset!r}.")
    suffix, sha256, end = ("", whole, "") if subset == "all" else ("_subset", split, f"_{subset}")
    spec = _spec(name, f"knet_{name}{suffix}.npz", (f"X{end}", f"y{end}"), sha256)
    path = require_local(spec)
    arrays, sha256 = read_local(spec, path)
    X, y = (arrays[key] for key in spec.keys)
    if subset == "all":
        check_form(spec, X, y, None, path.name)
    elif (name, subset) == ("spiral", "test"):
        X = (X - X.mean(axis=0)) / X.std(axis=0)
    if return_X_y:
        return X, y
    return make_bunch(spec, X, y, sample_shape=X.shape[1:], sha256=sha256, source=path.name)


def _spec(name, file, keys, sha256):
    title, features, counts = _KNOWN[name][0]
    rows, classes = sum(counts), len(counts)
    return DataSet(
        name=f"{title.rstrip(',')} of KNet",
        loader="fetch_knet",
        file=file,
        keys=keys,
        sha256=sha256,
        class_counts=(counts,),
        target_names=tuple(str(j) for j in range(classes)),
        descr=_ABOUT.format(title=title, rows=rows, features=features, classes=classes),
        shape=(features,),
        dtype=np.dtype(np.float64),
        origin=_ORIGIN,
    )
