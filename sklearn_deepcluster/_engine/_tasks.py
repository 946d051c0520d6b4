"""What scikit-learn's callbacks are told of a fit: its tasks, one within another."""

import contextlib

from sklearn_deepcluster.utils._sklearn import has_callbacks


class Tasks:
    """The tasks of a fit that are under way, each within the one before.

    Those of an estimator without callbacks are none: whatever is begun, nothing happens.

    Parameters
    ----------
    estimator : estimator, default=None
        Whose fit it is.
    context : sklearn.callback.CallbackContext, default=None
        Of the outermost task; without it nobody is told.
    data : dict, default=None
        What callbacks can ask for: ``X``, ``y`` and ``metadata``, as they were given.

    Attributes
    ----------
    fitted : dict, callable or None
        The fitted attributes, name -> value, or what makes them, where what was learned so far
        makes a fitted estimator.
    stop : bool
        Whether a callback has asked at the end of the last task that none of its kind follows.
    stopped : bool
        Whether one ever has.
    """

    def __init__(self, estimator=None, context=None, data=None):
        self.estimator = estimator
        self.contexts = [] if context is None else [context]
        self.data = data
        self.fitted = None
        self.stop = self.stopped = False

    @classmethod
    def of(cls, estimator, data, max_subtasks, *, parallel=False):
        """Those of a fit that begins.

        Parameters
        ----------
        estimator : estimator
        data : dict
        max_subtasks : int
            Of the whole fit.
        parallel : bool, default=False
            Whether these are from :meth:`split`.
        """
        if not has_callbacks(estimator):
            return cls()
        context = estimator._init_callback_context(
            max_subtasks=max_subtasks, sequential_subtasks=not parallel
        )
        return cls(estimator, context, data)

    def split(self, name, n, max_subtasks):
        """Those of `n` tasks that may run at a time, in other processes, too; not begun yet."""
        if not self.contexts:
            return [Tasks() for _ in range(n)]
        outer = self.contexts[-1]
        made = [outer.subcontext(name, task_id=i, max_subtasks=max_subtasks) for i in range(n)]
        return [Tasks(self.estimator, context, self.data) for context in made]

    @contextlib.contextmanager
    def told(self):
        """Tell of begin and end of the innermost task; one that fails ends, too."""
        if not self.contexts:
            yield
            return
        context, given = self.contexts[-1], {"estimator": self.estimator, **self.data}
        context.call_on_fit_task_begin(reconstruction_attributes=self.fitted, **given)
        fitted = None
        try:
            yield
            fitted = self.fitted
        finally:
            self.stop = context.call_on_fit_task_end(reconstruction_attributes=fitted, **given)
            self.stopped |= self.stop

    @contextlib.contextmanager
    def task(self, name, max_subtasks=0, *, of=None):
        """A task within the innermost one; within one of this name it is that one.

        Parameters
        ----------
        name : str
        max_subtasks : int, default=0
        of : estimator, default=None
            Whose fit it is, if another's; callbacks that are for all estimators go along.
        """
        if not self.contexts or self.contexts[-1].task_name == name:
            yield
            return
        context = self.contexts[-1].subcontext(name, max_subtasks=max_subtasks)
        handed = contextlib.nullcontext() if of is None else context.propagate_callback_context(of)
        self.contexts.append(context)
        try:
            with handed, self.told():
                yield
        finally:
            self.contexts.pop()

    def stage(self, name):
        """A task within the outermost one; within another it is a part of that."""
        return contextlib.nullcontext() if len(self.contexts) > 1 else self.task(name)


def told_data(X, y=None, sample_weight=None):
    """What is given to a fit, as callbacks get it."""
    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    return {"X": X, "y": y, "metadata": metadata}
