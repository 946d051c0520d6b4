"""What the pictures share."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array, check_consistent_length, check_random_state

from sklearn_deepcluster.base import TorchEstimator

# Okabe and Ito's colours, which are told apart with any kind of colour vision, with a dark red for
# their yellow, which is hardly seen on white. A marker for every round of them.
PALETTE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
    "#000000",
    "#882255",
)
MARKERS = "os^DvPX*"
# More names than these along an axis cannot be read.
_MOST_NAMES = 40


def cluster_styles(n):
    """Colour and marker of n clusters: 64 are different, and beyond 8 the marker tells, too."""
    rounds = len(PALETTE)
    return [(PALETTE[i % rounds], MARKERS[i // rounds % len(MARKERS)]) for i in range(n)]


def name_ticks(axis, places, names, **style):
    """Write `names` at `places` of an axis, every second, third, ... one where they are many."""
    every = -(-len(names) // _MOST_NAMES)
    axis.set_ticks(list(places)[::every], [str(name) for name in names][::every], **style)


def get_axes(ax, **kwargs):
    """Return the axes, new ones for None, or say how to obtain matplotlib.

    Parameters
    ----------
    ax : matplotlib Axes or None
    **kwargs : dict
        Passed to matplotlib's ``subplots`` for new ones.
    """
    plt = _pyplot()
    return plt.subplots(**{"layout": "constrained"} | kwargs)[1] if ax is None else ax


def get_panels(axes, n, *, height=3.0, width=3.0, n_columns=4, layout="constrained"):
    """Return an array of n axes, new ones for None, of this height and width in inches."""
    plt = _pyplot()
    if axes is None:
        n_rows = -(-n // n_columns)
        n_columns = -(-n // n_rows)
        size = (width * n_columns, height * n_rows)
        _, axes = plt.subplots(n_rows, n_columns, figsize=size, layout=layout, squeeze=False)
        for spare in axes.flat[n:]:
            spare.remove()
        return axes.flat[:n]
    axes = np.ravel(np.asarray(axes, dtype=object))
    if len(axes) != n:
        raise ValueError(f"axes holds {len(axes)} axes; {n} are needed.")
    return axes


def _pyplot():
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Pictures need matplotlib: pip install 'sklearn-deepcluster[plot]'."
        ) from error
    return plt


def embedding_and_labels(estimator, X, y):
    """Embedding of X by a fitted clusterer, and its labels unless others are given."""
    labels = estimator.predict(X) if y is None else y
    return estimator.transform(X), labels


def checked(Z, labels):
    """Rows as float32 (n, e) and labels as an array (n,)."""
    Z = check_array(Z, dtype=np.float32, input_name="Z")
    return Z, checked_labels(Z, labels)


def checked_labels(rows, labels):
    """Labels as an array (n,), one for each of n rows."""
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"labels must be 1-D, got an array of shape {labels.shape}.")
    if any(label is None or label != label for label in labels.tolist()):
        raise ValueError("labels hold None or NaN; give -1, or any label, where there is none.")
    check_consistent_length(rows, labels)
    return labels


def some_rows(n, max_samples, random_state):
    """Sorted indices of at most `max_samples` of n rows, drawn at random."""
    if max_samples is None or n <= max_samples:
        return np.arange(n)
    if max_samples < 1:
        raise ValueError(f"max_samples must be at least 1, got {max_samples}.")
    return np.sort(check_random_state(random_state).permutation(n)[:max_samples])


def last_step(estimator):
    """The clusterer itself, or the last step of a pipeline."""
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def network_and_rows(estimator, X):
    """The last step of a fitted estimator, its network, and the rows of X that this is given."""
    model = last_step(estimator)
    if not isinstance(model, TorchEstimator):
        raise ValueError(f"{type(model).__name__} has no network.")
    return model, *model._fitted(X if model is estimator else estimator[:-1].transform(X))


def kept_epoch(estimator):
    """Number, from 1, of the epoch whose weights were kept; None if it is the last or the start."""
    losses = estimator.history_["loss"]
    kept = getattr(estimator, "kept_epoch_", len(losses))
    return kept if 0 < kept < len(losses) else None


def integer_ticks(ax):
    """Let the horizontal axis have ticks at whole numbers alone."""
    ax.xaxis.get_major_locator().set_params(integer=True)
