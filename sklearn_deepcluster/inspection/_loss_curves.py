"""The terms of the loss over the epochs."""

from sklearn_deepcluster.inspection._common import (
    get_panels,
    integer_ticks,
    kept_epoch,
    last_step,
)
from sklearn_deepcluster.inspection._kernel_trace import PREFIX


class LossCurvesDisplay:
    """Curves of the loss and its terms over the epochs, of one or several clusterers.

    Each term has axes of its own. A dot marks the epoch whose weights were kept, if it is not the
    last. Use `from_estimator` to make one.

    Parameters
    ----------
    histories : dict of dicts
        By the name of the clusterer: its ``history_``, a list per term.

    kept_epochs : dict, default=None
        By the name of the clusterer: the epoch, from 1, whose weights were kept, which is marked;
        None marks none.

    terms : sequence of str, default=None
        What is drawn; None is every term that some clusterer has.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        With the curves, one for each term.

    figure_ : matplotlib Figure
        That of the axes.

    lines_ : dict of lists of matplotlib Line2D
        By term: the curves, one for each clusterer that has the term.

    See Also
    --------
    KernelDistanceDisplay : What the layers make of the clusters meanwhile.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_deepcluster import DDC, DTKC, MLPEncoder
    >>> from sklearn_deepcluster.inspection import LossCurvesDisplay
    >>> X, _ = make_blobs(150, centers=3, n_features=8, random_state=0)
    >>> params = {"encoder": MLPEncoder(hidden_layer_sizes=(32,)), "max_epochs": 5, "min_steps": 50}
    >>> models = {c.__name__: c(3, **params, random_state=0).fit(X) for c in (DDC, DTKC)}
    >>> display = LossCurvesDisplay.from_estimator(models, terms=["loss", "modularity"])
    >>> list(display.lines_)
    ['loss', 'modularity']
    """

    def __init__(self, histories, kept_epochs=None, terms=None):
        self.histories = histories
        self.kept_epochs = kept_epochs
        self.terms = terms

    @classmethod
    def from_estimator(cls, estimator, *, terms=None, axes=None, **kwargs):
        """Draw the history of a fitted clusterer, or of several.

        Parameters
        ----------
        estimator : clusterer or dict of clusterers
            Fitted, with ``history_``; of several by the names that the legend gives them.

        terms : sequence of str, default=None
            Names in ``history_``; None takes all but the distances of
            :class:`KernelTrace`.

        axes : array-like of matplotlib Axes, default=None
            Where to draw, one for each term; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : LossCurvesDisplay
        """
        if not isinstance(estimator, dict):
            estimator = {type(last_step(estimator)).__name__: estimator}
        models = {name: last_step(model) for name, model in estimator.items()}
        histories = {name: model.history_ for name, model in models.items()}
        kept = {name: kept_epoch(model) for name, model in models.items()}
        return cls(histories, kept, terms).plot(axes=axes, **kwargs)

    def plot(self, axes=None, **kwargs):
        """Draw.

        Parameters
        ----------
        axes : array-like of matplotlib Axes, default=None
            Where to draw, one for each term; None makes a figure.

        **kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : LossCurvesDisplay

        Raises
        ------
        ValueError
            If no clusterer has one of the terms.
        """
        found = dict.fromkeys(term for history in self.histories.values() for term in history)
        terms = [term for term in found if not term.startswith(PREFIX)]
        if self.terms is not None:
            terms = list(self.terms)
            unknown = [term for term in terms if term not in found]
            if unknown:
                raise ValueError(f"terms {unknown} are not in history_, which has {list(found)}.")
        self.axes_ = get_panels(axes, len(terms), height=2.6)
        self.figure_ = self.axes_[0].figure
        self.lines_ = {}
        marks = []
        for ax, term in zip(self.axes_, terms, strict=True):
            self.lines_[term] = self._draw(ax, term, marks, kwargs)
        handles = self.lines_[terms[0]] if len(self.histories) > 1 else []
        if handles or marks:
            self.axes_[0].legend(handles=[*handles, *marks[:1]], fontsize="small")
            if marks:  # it stands for those of all colours
                self.axes_[0].get_legend().legend_handles[-1].set_color("gray")
        return self

    def _draw(self, ax, term, marks, kwargs):
        """Draw the curves of a term; add the marks of the kept epochs to `marks`."""
        lines, axis = [], "epoch"
        for i, (name, history) in enumerate(self.histories.items()):
            if term not in history:
                continue
            values = history[term]
            lines += ax.plot(
                range(1, len(values) + 1), values, **{"color": f"C{i}", "label": name} | kwargs
            )
            kept = (self.kept_epochs or {}).get(name)
            if term == "pretraining_loss":
                axis = "epoch of pretraining"
            elif len(values) != len(history["loss"]):
                axis = "record"  # label_change, say, is not known in every epoch
            elif kept is not None:
                marks += ax.plot(
                    kept, values[kept - 1], marker="o", color=lines[-1].get_color(),
                    linestyle="", label="weights kept",
                )  # fmt: skip
        integer_ticks(ax)
        ax.set(title=term.replace("_", " "), xlabel=axis)
        return lines
