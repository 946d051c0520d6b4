"""Text: the 20 Newsgroups posts, as tf-idf of 2,000 words or as they are."""

import numpy as np
from sklearn.datasets import fetch_20newsgroups
from sklearn.feature_extraction.text import TfidfVectorizer

from sklearn_deepcluster.datasets._base import (
    DataSet,
    array_checksum,
    check_form,
    check_subset,
    explain_offline,
    local_path,
    make_bunch,
    read_local,
    subset_rows,
)

N_WORDS = 2_000
_NORMS = ("unit", "sqrt")

_NEWSGROUPS = DataSet(
    name="20 Newsgroups",
    loader="fetch_newsgroups",
    file="news20_bydate_raw.npz",
    keys=("text", "offsets", "y", "split"),
    sha256="d9903de6cb3cb8ccbb7f45663f6c6a19c0b6c6c773a9323eb3a662a0c1633302",
    class_counts=(
        (480, 584, 591, 590, 578, 593, 585, 594, 598, 597)
        + (600, 595, 591, 594, 593, 599, 546, 564, 465, 377),
        (319, 389, 394, 392, 385, 395, 390, 396, 398, 397)
        + (399, 396, 393, 396, 394, 398, 364, 376, 310, 251),
    ),
    target_names=(
        "alt.atheism",
        "comp.graphics",
        "comp.os.ms-windows.misc",
        "comp.sys.ibm.pc.hardware",
        "comp.sys.mac.hardware",
        "comp.windows.x",
        "misc.forsale",
        "rec.autos",
        "rec.motorcycles",
        "rec.sport.baseball",
        "rec.sport.hockey",
        "sci.crypt",
        "sci.electronics",
        "sci.med",
        "sci.space",
        "soc.religion.christian",
        "talk.politics.guns",
        "talk.politics.mideast",
        "talk.politics.misc",
        "talk.religion.misc",
    ),
    shape=(N_WORDS,),
    dtype=np.dtype(np.float32),
    descr="""20 Newsgroups, posts as tf-idf of 2,000 words.

18,846 posts to 20 newsgroups, whole with headers, footers and quotes: 11,314 for training, then
7,532 of later dates for testing (the "bydate" version). The features are the tf-idf values of the
2,000 most frequent words over all posts, with no stop words removed.

K. Lang, "NewsWeeder: learning to filter netnews", International Conference on Machine Learning,
1995.
""",
)


def fetch_newsgroups(*, subset="all", norm="unit", as_text=False, data_home=None, return_X_y=False):
    """Load the 20 Newsgroups posts as tf-idf of 2,000 words, downloading them where needed.

    Where the environment variable ``SKLEARN_DEEPCLUSTER_DATA`` names a folder that holds
    ``news20_bydate_raw.npz``, the posts are read from there; otherwise they come from
    :func:`sklearn.datasets.fetch_20newsgroups` and its cache.

    Parameters
    ----------
    subset : {"all", "train", "test"}, default="all"
        All 18,846 posts (training, then test), the 11,314 training or the 7,532 test posts. The
        words and their weights come from all posts in any case, without using labels.
    norm : {"unit", "sqrt"}, default="unit"
        Length of a row: "unit" for Euclidean norm 1, "sqrt" for the square root of 2,000, so that
        the mean square is 1, as in the papers on DEC and DEKM.
    as_text : bool, default=False
        Give the posts as they are, for a pipeline that begins with words of its own;
        `norm` then says nothing.
    data_home : str, path-like or None, default=None
        Folder of scikit-learn's cache of downloads. None means its own default.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        - ``data`` : ndarray of shape (n, 2000), float32. It is dense: 144 MiB for all posts; of
          text, a list of n str, without ``feature_names`` and ``sample_shape``;
        - ``target`` : ndarray of shape (n,), int64;
        - ``target_names`` : list of the 20 names;
        - ``feature_names`` : list of the 2,000 words;
        - ``sample_shape`` : (2000,);
        - ``sha256`` : checksum of what was read: of the local file, or else of the bytes of the
          posts (UTF-8) and labels before a subset is taken;
        - ``source`` : where the data was read, the name of the file or ``"scikit-learn"``;
        - ``DESCR`` : description.
    (data, target) : tuple if `return_X_y` is True

    Raises
    ------
    ValueError
        If `subset` or `norm` is unknown, or if the local file is damaged or another one
        (SHA-256).
    ConnectionError
        If the data is neither local nor cached, and the download fails.
    NotADirectoryError
        If the environment variable names no folder.

    See Also
    --------
    sklearn.datasets.fetch_20newsgroups : The posts as text.
    sklearn.feature_extraction.text.TfidfVectorizer : Makes the features.
    """
    check_subset(subset)
    if norm not in _NORMS:
        raise ValueError(f"norm must be one of {_NORMS}, got {norm!r}.")
    path = local_path(_NEWSGROUPS)
    if path is not None:
        posts, y, split, sha256 = _from_file(path)
        source = path.name
    else:
        posts, y, split, sha256 = _from_sklearn(data_home)
        source = "scikit-learn"
    if as_text:
        rows = subset_rows(_NEWSGROUPS, split, subset)
        posts, y = [posts[row] for row in np.arange(len(posts))[rows]], y[rows]
        if return_X_y:
            return posts, y
        return make_bunch(_NEWSGROUPS, posts, y, sha256=sha256, source=source)
    vectorizer = TfidfVectorizer(max_features=N_WORDS, dtype=np.float32)
    sparse = vectorizer.fit_transform(posts)
    check_form(_NEWSGROUPS, sparse, y, split, source)
    rows = subset_rows(_NEWSGROUPS, split, subset)
    X, y = sparse[rows].toarray(), y[rows]
    if norm == "sqrt":
        X *= np.float32(np.sqrt(N_WORDS))
    if return_X_y:
        return X, y
    return make_bunch(
        _NEWSGROUPS,
        X,
        y,
        feature_names=vectorizer.get_feature_names_out().tolist(),
        sample_shape=(N_WORDS,),
        sha256=sha256,
        source=source,
    )


def _from_file(path):
    arrays, sha256 = read_local(_NEWSGROUPS, path)
    text, offsets = arrays["text"].tobytes().decode("latin1"), arrays["offsets"].tolist()
    posts = [text[a:b] for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    return posts, arrays["y"].astype(np.int64), arrays["split"], sha256


def _from_sklearn(data_home):
    with explain_offline(_NEWSGROUPS, data_home):
        parts = [
            fetch_20newsgroups(subset=part, data_home=data_home, shuffle=False)
            for part in ("train", "test")
        ]
    posts = [post for part in parts for post in part.data]
    y = np.concatenate([part.target for part in parts]).astype(np.int64)
    split = np.repeat([0, 1], [len(part.data) for part in parts])
    text = np.frombuffer("".join(posts).encode("utf-8", "surrogateescape"), dtype=np.uint8)
    return posts, y, split, array_checksum(text, y)
