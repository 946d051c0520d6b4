"""Sequences of unequal length: Character Trajectories and Spoken Arabic Digits."""

from dataclasses import replace

import numpy as np

from sklearn_deepcluster.datasets._base import (
    DATA_VARIABLE,
    DataSet,
    check_form,
    check_subset,
    local_path,
    make_bunch,
    read_local,
    subset_rows,
)

# Arrays with one number of time steps per sequence, and the least it can be.
_LEAST = {"lengths": 1, "pad_before": 0, "pad_after": 0}

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
    descr="""Spoken Arabic Digits, cepstral coefficients of speech.

8,800 utterances of 10 digits: 88 speakers, half of them female, said each digit 10 times. 13
mel-frequency cepstral coefficients (MFCC) per frame of sound, 4 to 93 frames, not normalised. 6,600
utterances for training, then 2,200 for testing. Data set 195 of the UCI repository.

N. Hammami and M. Bedda, "Improved tree model for Arabic speech recognition", IEEE International
Conference on Computer Science and Information Technology, 2010.
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
    sequences, arrays, source = _read(spec, 175)
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
    check_subset(subset)
    sequences, arrays, source = _read(_ARABIC, 195)
    y, split = arrays["y"], arrays["split"]
    return _result(_ARABIC, sequences, y, split, subset, as_array, return_X_y, source)


def _read(spec, uci):
    """The sequences as a list, all arrays of the file, and its checksum and name as a dict.

    `uci` is the number of the data set in the UCI repository, for the message without a file.
    """
    path = local_path(spec)
    if path is None:
        raise FileNotFoundError(
            f"{spec.name} is read from a local file only: set the environment variable "
            f"{DATA_VARIABLE} to a folder that holds {spec.file}, with the arrays "
            f"{', '.join(spec.keys)} (the values are those of data set {uci} of the UCI "
            f"repository)."
        )
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
