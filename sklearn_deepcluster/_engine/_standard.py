"""Where the input is centred, and by what it is divided: learned from data, in float64."""

import dataclasses
import math

import numpy as np

from sklearn_deepcluster._engine._dense import dense_rows
from sklearn_deepcluster.utils._warnings import warn_user

TOO_LARGE = "X holds values that are too large for float32 in the learned scale."

# Data are looked through in pieces of so many values, and looked at in so many.
CHUNK_VALUES = 2**20
SAMPLE_VALUES = 2**16
# A value that makes this share of all values is a background, such as that of written digits and
# the zeros of counts: what stands out from it is the data.
BACKGROUND_SHARE = 0.25
# A centre nearer to zero than this share of the scale is none.
NO_CENTER = 1e-7
# Rows that are said to make most of the variance: at most this share of the rows, among at least
# so many, more than this share of the variance.
FEW_ROWS, LEAST_ROWS, MOST_VARIANCE = 0.01, 50, 0.5


@dataclasses.dataclass(frozen=True)
class Standard:
    """The unit of the input: a network works on ``(x - center) / scale``.

    Attributes
    ----------
    center : float64 ndarray
        Of rows (d,), of images (c, 1, 1), of sequences (features,).
    scale : float
    """

    center: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(()))
    scale: float = 1.0

    @property
    def is_plain(self):
        """Whether float32 can do without the detour by float64: no centre, no extreme scale."""
        return not self.center.any() and 1e-30 < self.scale < 1e30

    def row(self, n_values):
        """The centre of a flat sample of so many values, or None where it is zero."""
        if not self.center.any():
            return None
        values, times = self.center.ravel(), n_values // self.center.size
        # A sequence has its features step by step; a channel of an image its pixels together.
        return np.repeat(values, times) if self.center.ndim > 1 else np.tile(values, times)

    def apply(self, rows):
        """Rows (n, d) of any real dtype in this unit, as float32.

        Raises
        ------
        ValueError
            If float32 has no such numbers.
        """
        center = self.row(rows.shape[1])
        out = np.empty(rows.shape, dtype=np.float32)
        step = max(1, CHUNK_VALUES // rows.shape[1])
        for start in range(0, len(rows), step):
            part = np.asarray(rows[start : start + step], dtype=np.float64)
            part = part if center is None else part - center
            with np.errstate(over="ignore"):
                out[start : start + step] = part / self.scale
            if np.isinf(out[start : start + step]).any():
                raise ValueError(TOO_LARGE)
        return out

    def undo(self, rows):
        """Rows (n, d) in the units of the data.

        float32, or float64 where centre or scale are such that float32 would lose digits.
        """
        if self.is_plain:
            return rows * np.float32(self.scale)
        center = self.row(rows.shape[1])
        center = np.zeros(1) if center is None else center
        out = np.asarray(rows, dtype=np.float64) * self.scale + center
        # float32 has 24 bits, and an end.
        lossy = np.abs(center).max() * 2.0**-23 > 1e-3 * self.scale
        extreme = not 1e-30 < self.scale < 1e30
        return out if lossy or extreme else out.astype(np.float32)


def learn_standard(X, input_shape=None, *, center="auto", scale="auto", weight=None):
    """Learn where samples are centred and by what they are divided.

    Parameters
    ----------
    X : ndarray, memmap, csr_array or IndexedRows of shape (n, d)
        Flat samples; NaN where sequences end. Sparse ones are looked through as they would be
        dense, a piece at a time.
    input_shape : tuple of int or None, default=None
        What the network makes of a row: images (c, h, w), sequences (-1, features), None nothing.
    center : {"auto", "mean"} or None
        "mean" is the mean row; of images that of each channel, of sequences that of each feature.
        "auto" is the background where there is one: a value that makes a quarter of all values,
        in all features whose range has it. None is zero.
    scale : "auto", float or None
        "auto" is the root mean square of what is left; None is 1.
    weight : ndarray of shape (n,), default=None
        How much each row counts.

    Returns
    -------
    standard : Standard

    Raises
    ------
    ValueError
        If X holds values that are not finite, or is too large even for float64.

    Warns
    -----
    UserWarning
        If a few rows make most of the variance, or different rows are the same to the network.
    """
    moments = _moments(X, input_shape, weight)
    if not np.isfinite(moments.mean).all():
        raise ValueError("Input X contains NaN, infinity or values too large for float64.")
    c = np.zeros_like(moments.mean) if center is None else moments.mean
    if center == "auto":
        background = _background(X, weight)
        if background is not None:
            has_it = (moments.low <= background) & (background <= moments.high)
            c = np.where(has_it, background, moments.mean)
    if np.abs(c).max() <= NO_CENTER * moments.norm / math.sqrt(moments.count.sum()):
        c = np.zeros_like(c)  # standardised before: what is left is rounding
    if scale == "auto":
        norm = math.hypot(moments.norm, _norm(np.sqrt(moments.count) * (moments.mean - c)))
        scale = norm / math.sqrt(moments.count.sum()) or 1.0
        if not math.isfinite(scale):
            raise ValueError("Input X has values too far apart for float64.")
    if input_shape is not None and len(input_shape) > 2:
        c = c.reshape(-1, 1, 1)
    standard = Standard(c, float(scale or 1.0))
    _warn_of_few_rows(moments)
    _warn_of_equal_rows(X, standard)
    return standard


@dataclasses.dataclass
class _Moments:
    """Of each group of values, those with one centre: count, mean, least and greatest value.

    ``norm`` is the root of the sum of all squared deviations from the means, and ``rows`` that of
    each row, there from the means of its chunk.
    """

    count: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    norm: float
    rows: list

    def join(self, other):
        n = self.count + other.count
        share = np.divide(other.count, n, out=np.zeros(len(n)), where=n > 0)
        apart = other.mean - self.mean
        between = _norm(np.sqrt(self.count * share) * apart)
        return _Moments(
            n,
            self.mean + share * apart,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            math.hypot(self.norm, other.norm, between),
            self.rows + other.rows,
        )


def _moments(X, shape, weight=None):
    """Moments of samples by one pass over X; NaN, the padding of sequences, does not count.

    Sequences have no weights.
    """
    # Axes of a chunk: rows, what has a centre of its own, what shares it.
    sequential = shape is not None and len(shape) == 2
    if sequential:
        split, axes = (-1, shape[-1]), (0, 2, 1)
    else:
        split, axes = (-1, 1) if shape is None else (shape[0], -1), (0, 1, 2)
    step = max(1, CHUNK_VALUES // X.shape[1])
    shift, total = 0.0, None
    for start in range(0, X.shape[0], step):
        part = dense_rows(X, slice(start, start + step)).astype(np.float64, copy=False)
        part = part.reshape(len(part), *split).transpose(axes)
        if total is None:
            # Sums of values far from zero would lose what tells them apart.
            shift = part[:1, :, :1].copy()
        of_part = None if weight is None else weight[start : start + step]
        part = _chunk_moments(part - shift, sequential, of_part)
        total = part if total is None else total.join(part)
    shift = shift.ravel()
    total.mean, total.low, total.high = (v + shift for v in (total.mean, total.low, total.high))
    return total


def _chunk_moments(part, padded, weight=None):
    if padded:
        part = np.ma.masked_invalid(part)
        count = np.asarray(part.count(axis=(0, 2)), dtype=np.float64)
    else:
        n_rows = part.shape[0] if weight is None else weight.sum()
        count = np.full(part.shape[1], float(n_rows * part.shape[2]))
    with np.errstate(over="ignore", invalid="ignore"):
        if weight is None:
            mean = np.asarray(np.ma.filled(part.mean(axis=(0, 2)), 0.0))
        else:
            mean = np.einsum("i,ijk->j", weight, part) / count
        apart = np.ma.filled(part - mean[:, None], 0.0).reshape(len(part), -1)
        rows = np.sqrt(np.einsum("ij,ij->i", apart, apart))
        if not (np.isfinite(rows).all() and rows.any()):  # squares that float64 does not hold
            rows = np.array([_norm(row) for row in apart])
        if weight is not None:
            rows = np.sqrt(weight) * rows
    low = np.ma.filled(part.min(axis=(0, 2)), np.inf)
    high = np.ma.filled(part.max(axis=(0, 2)), -np.inf)
    return _Moments(count, mean, np.asarray(low), np.asarray(high), _norm(rows), [rows])


def _norm(v):
    """Euclidean norm, also where the squares are too large or too small for float64."""
    largest = float(np.abs(v).max())
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * float(np.linalg.norm(v / largest))


def _background(X, weight=None):
    """The value that makes a large share of all values, or None."""
    rows = _spread_rows(X, max(1, SAMPLE_VALUES // X.shape[1]))
    values = dense_rows(X, rows).ravel()
    if values.dtype.kind == "f":
        values = values[~np.isnan(values)]
    found, which, times = np.unique(values, return_inverse=True, return_counts=True)
    if weight is not None:
        times = np.bincount(which, np.repeat(weight[rows], X.shape[1]))
    most = times.argmax()
    return float(found[most]) if times[most] >= BACKGROUND_SHARE * times.sum() else None


def _spread_rows(X, count):
    """Numbers of so many rows of X, or of all, evenly spread over it."""
    n = X.shape[0]
    return np.linspace(0, n - 1, min(n, count)).astype(int)


def _warn_of_few_rows(moments):
    rows = np.concatenate(moments.rows)
    few = max(1, int(FEW_ROWS * len(rows)))
    if len(rows) < LEAST_ROWS or moments.norm == 0:
        return
    share = float(np.square(np.partition(rows / moments.norm, -few)[-few:]).sum())
    if share > MOST_VARIANCE:
        warn_user(
            f"{few} of {len(rows)} rows of X, such as row {int(rows.argmax())}, make "
            f"{share:.0%} of its variance: the others are all but equal to the network. "
            "Scale the features (RobustScaler), or leave these rows out.",
            UserWarning,
        )


def _warn_of_equal_rows(X, standard):
    if X.dtype == np.float32 or X.dtype.itemsize <= 2:  # what float32 holds is not lost
        return
    part = dense_rows(X, _spread_rows(X, max(2, CHUNK_VALUES // X.shape[1])))
    seen = standard.apply(part)
    before, after = (len({row.tobytes() for row in x + x.dtype.type(0)}) for x in (part, seen))
    if after < before:
        warn_user(
            f"{before} different rows of X are {after} to the network, which computes in "
            "float32: some feature has values too far apart from the others. Scale the features "
            "(StandardScaler, RobustScaler).",
            UserWarning,
        )
