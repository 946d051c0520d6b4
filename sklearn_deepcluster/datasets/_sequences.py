"""Sequences: Character Trajectories, Spoken Arabic Digits, Japanese Vowels and OSU Leaf."""

from dataclasses import replace

import numpy as np

from sklearn_deepcluster.datasets._base import (
    DataSet,
    check_form,
    check_subset,
    make_bunch,
    read_checked,
    read_local,
    require_local,
    subset_rows,
)

# Arrays with one number of time steps per sequence, and the least it can be.
_LEAST = {"lengths": 1, "pad_before": 0, "pad_after": 0}
_UCI = "the values are those of data set {} of the UCI repository"

_CHARACTERS = DataSet(
    name="Character Trajectories",
    loader="fetch_character_trajectories",
    file="character_trajectories.npz",
    keys=("X_flat", "lengths", "y", "split", "pad_before", "pad_after"),
    sha256="9b14399a8eaf6f0e36c1c364b531a4e0940bcedd9ef10739e6ccfa72e0a91076",
    class_counts=(
        (15,) * 20,
        (156, 126, 127, 142, 171, 123, 112, 159, 110, 115)
        + (126, 116, 109, 104, 118, 116, 140, 110, 122, 156),
    ),
    target_names=tuple("abcdeghlmnopqrsuvwyz"),
    shape=(3,),
    dtype=np.dtype(np.float32),
    origin=_UCI.format(175),
    descr="""Character Trajectories, velocity and force of a pen.

2,858 letters that one person wrote with a single stroke, of 20 kinds: the velocity of the pen in x
and y and the change of its force, at 200 Hz, smoothed and normalised. 60 to 182 time steps. The
first 300 sequences, 15 per letter, are for training, the other 2,558 for testing. Data set 175 of
the UCI repository, CC BY 4.0.

B. H. Williams, M. Toussaint and A. J. Storkey, "Extracting motion primitives from natural
handwriting data", International Conference on Artificial Neural Networks, 2006.
""",
)

_ARABIC = DataSet(
    name="Spoken Arabic Digits",
    loader="fetch_spoken_arabic_digits",
    file="spoken_arabic_digits.npz",
    keys=("X_flat", "lengths", "y", "split"),
    sha256="1398d655404dfbb40d96112b377df9c8ecdc2137b35e03639dee822c818f9ff2",
    class_counts=((660,) * 10, (220,) * 10),
    target_names=tuple("0123456789"),
    shape=(13,),
    dtype=np.dtype(np.float32),
    origin=_UCI.format(195),
    descr="""Spoken Arabic Digits, cepstral coefficients of speech.

8,800 utterances of 10 digits: 88 speakers, half of them female, said each digit 10 times. 13
mel-frequency cepstral coefficients (MFCC) per frame of sound, 4 to 93 frames, not normalised. 6,600
utterances for training, then 2,200 for testing. Data set 195 of the UCI repository.

N. Hammami and M. Bedda, "Improved tree model for Arabic speech recognition", IEEE International
Conference on Computer Science and Information Technology, 2010.
""",
)

_VOWELS = DataSet(
    name="Japanese Vowels",
    loader="fetch_japanese_vowels",
    file="japanese_vowels.npz",
    keys=("X_flat", "lengths", "y", "split"),
    sha256="f513f9f5aaff7f354bd6686051b5b17a5a32ac84d12dedf4de8a2beb51ebdcec",
    class_counts=((30,) * 9, (31, 35, 88, 44, 29, 24, 40, 50, 29)),
    target_names=tuple("123456789"),
    shape=(12,),
    dtype=np.dtype(np.float32),
    origin=_UCI.format(128),
    descr="""Japanese Vowels, cepstral coefficients of speech.

640 utterances of the vowels a and e, one after the other, by 9 male speakers, who are the classes.
12 coefficients of linear prediction (cepstrum) per frame of sound, 7 to 29 frames, not normalised.
270 utterances for training, 30 per speaker, then 370 for testing. Data set 128 of the UCI
repository, CC BY 4.0; the values are those that the package aeon 1.6.0 comes with.

M. Kudo, J. Toyama and M. Shimbo, "Multidimensional curve classification using passing-through
regions", Pattern Recognition Letters 20(11-13), 1999.
""",
)

_LEAF = DataSet(
    name="OSU Leaf",
    loader="fetch_osu_leaf",
    file="osu_leaf.npz",
    keys=("X", "y"),
    sha256="320b20e317f191338d7a80a16ca713181c47c1943ae5e3c59d96c6f881462ca0",
    class_counts=((34, 29, 33, 53, 36, 15), (32, 55, 42, 44, 46, 23)),
    target_names=tuple("123456"),
    shape=(427,),
    dtype=np.dtype(np.float32),
    origin="the values are those of OSULeaf in the UCR archive of time series",
    descr="""OSU Leaf, outlines of leaves as series.

442 series of 427 steps: the outline of a leaf, taken anti-clockwise from an image, with mean 0 and
standard deviation 1 in each series. 6 species of maple and oak (Acer circinatum, A. glabrum, A.
macrophyllum, A. negundo, Quercus garryana, Q. kelloggii), here by the numbers of the archive. 200
series for training, then 242 for testing. Series of a class are shifted in phase. Data set OSULeaf
of the UCR archive; the values are those that the package aeon 1.6.0 comes with.

A. Gandhi, "Content-based image retrieval: plant species identification", master's thesis, Oregon
State University, 2002.
""",
)


def fetch_character_trajectories(
    *, subset="all", letters=None, zero_padding=False, as_array=False, return_X_y=False
):
    """Load Character Trajectories, movements of a pen, from a local file.

    The environment variable ``SKLEARN_DEEPCLUSTER_DATA`` must name a folder that holds
    ``character_trajectories.npz``, with the arrays ``X_flat`` (the sequences one after the other),
    ``lengths``, ``y``, ``split``, ``pad_before`` and ``pad_after``; no archive is known that could
    be downloaded from and keeps the sequences in this form.

    Parameters
    ----------
    subset : {"all", "train", "test"}, default="all"
        All 2,858 sequences (training, then test), the 300 training or the 2,558 test sequences:
        the parts of the multivariate time series benchmarks.
    letters : int or None, default=None
        Keep only the first so many of the 20 letters, in the order of the alphabet; f, i, j, k, t
        and x, which take more than one stroke, are not among them. None means all.
    zero_padding : bool, default=False
        Keep the zero steps at both ends that the UCI repository has. They give the class away:
        see the notes.
    as_array : bool, default=False
        Return the sequences as one array, with NaN after the end of each. Its second axis is as
        long as the longest sequence of these letters, whichever `subset` it is from, so that the
        arrays of both parts fit.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        - ``data`` : list of n ndarrays of shape (length, 3), float32; or ndarray of shape
          (n, longest, 3), float32, if `as_array` is True;
        - ``target`` : ndarray of shape (n,), int64, from 0;
        - ``target_names`` : list of the letters;
        - ``lengths`` : ndarray of shape (n,), int64, the numbers of time steps;
        - ``sample_shape`` : (None, 3), or (longest, 3) if `as_array` is True;
        - ``sha256`` : checksum of the file;
        - ``source`` : name of the file;
        - ``DESCR`` : description.
    (data, target) : tuple if `return_X_y` is True

    Raises
    ------
    ValueError
        If `subset` is unknown, if `letters` is not None or an int from 1 to 20, or if the file is
        damaged or another one (SHA-256).
    FileNotFoundError
        If there is no local file.
    NotADirectoryError
        If the environment variable names no folder.

    Notes
    -----
    Without the zero steps, the sequences have 60 to 182 time steps, and 60 to 175 in the first 10
    letters; with them, 109 to 205 and 109 to 198. ``letters=10, zero_padding=True`` has the 1,491
    sequences of 109 to 198 steps that are stated in [1]_.

    With the zero steps, all sequences of a letter are equally long (but for w, with 204 or 205
    steps), and the 20 letters have 16 different lengths, the first 10 have 8. A method that can
    see the length therefore knows most of the classes from it. Without the zero steps, the lengths
    of the letters overlap.

    References
    ----------
    .. [1] D. J. Trosten, "Deep Image Clustering with Tensor Kernels and Unsupervised Companion
       Objectives", master's thesis, UiT The Arctic University of Norway, 2019.
    """
    spec = _CHARACTERS
    check_subset(subset)
    if letters is not None and (
        isinstance(letters, bool)
        or not isinstance(letters, int | np.integer)
        or not 1 <= letters <= len(spec.target_names)
    ):
        most = len(spec.target_names)
        raise ValueError(f"letters must be None or an int from 1 to {most}, got {letters!r}.")
    sequences, arrays, source = _read(spec)
    if zero_padding:
        pads = zip(arrays["pad_before"], arrays["pad_after"], strict=True)
        sequences = [
            np.pad(sequence, (pad, (0, 0))) for sequence, pad in zip(sequences, pads, strict=True)
        ]
    y, split = arrays["y"], arrays["split"]
    if letters is not None:
        kept = np.flatnonzero(y < letters)
        sequences, y, split = [sequences[i] for i in kept], y[kept], split[kept]
        spec = replace(spec, target_names=spec.target_names[:letters])
    return _result(spec, sequences, y, split, subset, as_array, return_X_y, source)


def fetch_spoken_arabic_digits(*, subset="all", as_array=False, return_X_y=False):
    """Load Spoken Arabic Digits, cepstral coefficients of speech, from a local file.

    The environment variable ``SKLEARN_DEEPCLUSTER_DATA`` must name a folder that holds
    ``spoken_arabic_digits.npz``, with the arrays ``X_flat`` (the sequences one after the other),
    ``lengths``, ``y`` and ``split``; no archive is known that could be downloaded from and keeps
    the sequences in this form.

    Parameters
    ----------
    subset : {"all", "train", "test"}, default="all"
        All 8,800 utterances (training, then test), the 6,600 training or the 2,200 test
        utterances.
    as_array : bool, default=False
        Return the sequences as one array, with NaN after the end of each. Its second axis is as
        long as the longest sequence, 93, whichever `subset` it is from, so that the arrays of
        both parts fit.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        - ``data`` : list of n ndarrays of shape (length, 13), float32, with lengths from 4 to 93;
          or ndarray of shape (n, 93, 13), float32, if `as_array` is True. The features are not
          normalised: their means are from -3.1 to 2.0, their standard deviations from 0.5 to 2.8;
        - ``target`` : ndarray of shape (n,), int64;
        - ``target_names`` : list of the 10 names;
        - ``lengths`` : ndarray of shape (n,), int64, the numbers of time steps;
        - ``sample_shape`` : (None, 13), or (93, 13) if `as_array` is True;
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
    """
    return _fetch(_ARABIC, subset, as_array, return_X_y)


def fetch_japanese_vowels(*, subset="all", as_array=False, return_X_y=False):
    """Load Japanese Vowels, cepstral coefficients of speech, from a local file.

    The environment variable ``SKLEARN_DEEPCLUSTER_DATA`` must name a folder that holds
    ``japanese_vowels.npz``, with the arrays ``X_flat`` (the sequences one after the other),
    ``lengths``, ``y`` and ``split``. The values are those of data set 128 of the UCI repository,
    which is not downloaded from: its files are text of another form.

    Parameters
    ----------
    subset : {"all", "train", "test"}, default="all"
        All 640 utterances (training, then test), the 270 training or the 370 test utterances.
    as_array : bool, default=False
        Return the sequences as one array, with NaN after the end of each. Its second axis is as
        long as the longest sequence, 29, whichever `subset` it is from, so that the arrays of
        both parts fit.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        - ``data`` : list of n ndarrays of shape (length, 12), float32, with lengths from 7 to 29;
          or ndarray of shape (n, 29, 12), float32, if `as_array` is True. The features are not
          normalised: their means are from -0.5 to 0.8, their standard deviations from 0.1 to 0.5;
        - ``target`` : ndarray of shape (n,), int64, the speaker, from 0;
        - ``target_names`` : list of the 9 numbers of the speakers;
        - ``lengths`` : ndarray of shape (n,), int64, the numbers of time steps;
        - ``sample_shape`` : (None, 12), or (29, 12) if `as_array` is True;
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
    """
    return _fetch(_VOWELS, subset, as_array, return_X_y)


def fetch_osu_leaf(*, subset="all", return_X_y=False):
    """Load OSU Leaf, outlines of leaves as series of equal length, from a local file.

    The environment variable ``SKLEARN_DEEPCLUSTER_DATA`` must name a folder that holds
    ``osu_leaf.npz``, with the arrays ``X`` and ``y``. The values are those of OSULeaf in the UCR
    archive, for which no download that stays unchanged is known.

    Parameters
    ----------
    subset : {"all", "train", "test"}, default="all"
        All 442 series (training, then test), the 200 training or the 242 test series.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        - ``data`` : ndarray of shape (n, 427, 1), float32: sequences of one feature, as `RDDC` and
          `RDTKC` take them; for others use ``data.reshape(len(data), -1)``. Each has mean 0 and
          standard deviation 1;
        - ``target`` : ndarray of shape (n,), int64, the species, from 0;
        - ``target_names`` : list of the 6 numbers of the species in the archive;
        - ``lengths`` : ndarray of shape (n,), int64, the numbers of time steps, all 427;
        - ``sample_shape`` : (427, 1);
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
    """
    check_subset(subset)
    path = require_local(_LEAF)
    X, y, split, sha256 = read_checked(_LEAF, path)
    rows = subset_rows(_LEAF, split, subset)
    X, y = X[rows, :, np.newaxis], y[rows]
    if return_X_y:
        return X, y
    lengths = np.full(len(X), X.shape[1], dtype=np.int64)
    shape = X.shape[1:]
    source = {"sha256": sha256, "source": path.name}
    return make_bunch(_LEAF, X, y, lengths=lengths, sample_shape=shape, **source)


def _fetch(spec, subset, as_array, return_X_y):
    check_subset(subset)
    sequences, arrays, source = _read(spec)
    y, split = arrays["y"], arrays["split"]
    return _result(spec, sequences, y, split, subset, as_array, return_X_y, source)


def _read(spec):
    """The sequences as a list, all arrays of the file, and its checksum and name as a dict."""
    path = require_local(spec)
    arrays, sha256 = read_local(spec, path)
    _check(spec, arrays, path)
    ends = np.cumsum(arrays["lengths"])
    return np.split(arrays["X_flat"], ends[:-1]), arrays, {"sha256": sha256, "source": path.name}


def _check(spec, arrays, path):
    for key in spec.keys:
        steps = arrays[key]
        if key in _LEAST and (
            steps.shape != (sum(spec.n_rows),)
            or steps.dtype.kind not in "iu"
            or steps.min() < _LEAST[key]
        ):
            raise ValueError(
                f"{path} does not hold {spec.name} in the form that is expected: {key} is not an "
                f"array of {sum(spec.n_rows)} ints of at least {_LEAST[key]}."
            )
    X, lengths = arrays["X_flat"], arrays["lengths"]
    if X.shape[:1] != (lengths.sum(),):
        raise ValueError(
            f"{path} does not hold {spec.name} in the form that is expected: X_flat has shape "
            f"{X.shape}, but the lengths add up to {lengths.sum()}."
        )
    # The sum of each sequence stands for it: the sequences themselves have no common shape.
    sums = np.add.reduceat(X, np.cumsum(lengths) - lengths)
    check_form(spec, sums, arrays["y"], arrays["split"], path)


def _result(spec, sequences, y, split, subset, as_array, return_X_y, source):
    longest = max(map(len, sequences))  # of both parts
    rows = np.arange(len(y))[subset_rows(spec, split, subset)]
    X, y = [sequences[i] for i in rows], y[rows].astype(np.int64)
    lengths = np.array([len(sequence) for sequence in X], dtype=np.int64)
    if as_array:
        X = _padded(X, longest, spec)
    if return_X_y:
        return X, y
    shape = (longest if as_array else None, *spec.shape)
    return make_bunch(spec, X, y, lengths=lengths, sample_shape=shape, **source)


def _padded(sequences, longest, spec):
    X = np.full((len(sequences), longest, *spec.shape), np.nan, dtype=spec.dtype)
    for row, sequence in zip(X, sequences, strict=True):
        row[: len(sequence)] = sequence
    return X
