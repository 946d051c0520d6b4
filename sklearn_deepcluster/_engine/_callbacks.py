"""The user's callbacks: which can do their job in the one net, and what they need for it.

Most of skorch's serve as they are. What differs here is that the net trains without labels, that
rows are held out in some stages alone, and that the objective is trained along.
"""

import copy
import functools
import importlib

from skorch import callbacks as of_skorch
from skorch.callbacks import Callback
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sklearn_deepcluster._engine._net import Snapshot

# What callbacks write to: a copy of a file or of the run of a logger would be lost, or cannot be
# made.
_OUTLETS = ("writer", "run", "client", "wandb_run", "experiment", "sink")
_SCORING = (of_skorch.EpochScoring, of_skorch.BatchScoring)
_CHECKPOINTS = (of_skorch.Checkpoint, of_skorch.TrainEndCheckpoint)
# What a checkpoint can find in the net; None saves nothing.
_PARTS = ("f_params", "f_module", "f_optimizer", "f_criterion", "f_history", "f_history_")
_KNOWN = ("skorch.", f"{__name__.partition('.')[0]}.")
_NEEDS = {of_skorch.MlflowLogger: "mlflow", of_skorch.NeptuneLogger: "neptune"}


def duplicate(callbacks):
    """A deep copy of whatever was given; callbacks in it write to where those given would."""
    items = callbacks if isinstance(callbacks, (list, tuple)) else ()
    return copy.deepcopy(callbacks, {id(o): o for item in plain(items) for o in _outlets(item)})


def copied(callbacks):
    """Copies of callbacks, checked.

    Raises
    ------
    ValueError
        If there is something that is no skorch callback, or cannot be copied.
    """
    copies = []
    for item in callbacks or ():
        named = isinstance(item, tuple) and len(item) == 2
        name, callback = item if named else (None, item)
        try:
            if isinstance(callback, type) and issubclass(callback, Callback):
                callback = callback()
            if not isinstance(callback, Callback):
                raise ValueError(f"callbacks holds {item!r}, which is no skorch callback.")
            (callback,) = duplicate([callback])
        except TypeError as exc:  # a lock, an open file; an argument that is missing
            raise ValueError(f"callbacks holds {item!r}, which cannot be copied: {exc}") from exc
        copies.append((name, callback) if named else callback)
    return copies


def _outlets(callback):
    if isinstance(callback, _of_skorch()):
        for name, value in vars(callback).items():
            if name in _OUTLETS or (name.startswith("f_") and not isinstance(value, str)):
                yield value


@functools.cache
def _of_skorch():
    classes = (getattr(of_skorch, name) for name in of_skorch.__all__)
    return tuple(cls for cls in classes if cls is not Callback)


def plain(callbacks):
    """The callbacks without their names."""
    return [item[-1] if isinstance(item, tuple) and item else item for item in callbacks]


def check_callbacks(callbacks, held_out):
    """Refuse those that cannot do their job.

    Parameters
    ----------
    callbacks : list
        As :func:`copied` makes it.
    held_out : bool
        Whether rows are held out, of which ``valid_loss`` is recorded.

    Raises
    ------
    ValueError
        It names the callback and what to do instead.
    """
    callbacks = plain(callbacks)
    recorded = {_name_of(c) for c in callbacks if isinstance(c, _SCORING) and c.on_train}
    own = [c for c in callbacks if not type(c).__module__.startswith(_KNOWN)]
    for callback in callbacks:
        reason = _refusal(callback, held_out)
        monitor = _monitor(callback)
        known = held_out or str(monitor).removesuffix("_best") in recorded
        known = known or any(other is not callback for other in own)  # which can record anything
        if monitor in ("valid_loss", "valid_loss_best") and not known:
            instead = monitor.replace("valid", "train")
            if isinstance(callback, of_skorch.WandbLogger):
                reason = f"save_model=True asks for {monitor!r}. Give save_model=False"
            else:
                reason = f"monitor={monitor!r}. Monitor {instead!r} instead"
            reason = f"no rows are held out in this training, but {reason}"
        if reason is not None:
            raise ValueError(f"callbacks: {type(callback).__name__} cannot work here: {reason}.")


def _name_of(scoring):
    return scoring.name or getattr(scoring.scoring, "__name__", None)


def _monitor(callback):
    """The figure of an epoch that a callback waits for, or None."""
    if isinstance(callback, of_skorch.WandbLogger):
        return "valid_loss_best" if callback.save_model else None
    if isinstance(callback, of_skorch.LRScheduler):
        policy = callback._get_policy_cls()
        waits = isinstance(policy, type) and issubclass(policy, ReduceLROnPlateau)
        return callback.monitor if waits else None
    if isinstance(callback, (of_skorch.EarlyStopping, of_skorch.Checkpoint)):
        return callback.monitor
    return None


def _refusal(callback, held_out):
    """Why a callback of skorch cannot do its job whatever it monitors, or None."""
    if isinstance(callback, of_skorch.InputShapeSetter):
        return "the network has the width of X already"
    if isinstance(callback, of_skorch.LoadInitState):
        return "the method decides where it starts. Go on from a fit by warm_start=True"
    if isinstance(callback, _CHECKPOINTS):
        return _refused_files(callback)
    if isinstance(callback, _SCORING):
        if not callable(callback.scoring) or _asks_for_labels(callback.scoring):
            return (
                f"scoring={callback.scoring!r} asks for labels or for a fitted estimator. Give a "
                "function scoring(net, X, y); y is None"
            )
        if not callback.on_train and isinstance(callback, of_skorch.BatchScoring):
            return "rows held out are not looked at in batches. Give on_train=True"
        if not callback.on_train and not held_out:
            return "no rows are held out in this training. Give on_train=True"
    if isinstance(callback, of_skorch.PassthroughScoring) and not callback.on_train:
        return "rows held out are not looked at in batches. Give on_train=True"
    for logger, library in _NEEDS.items():
        held = vars(callback).get("run"), vars(callback).get("client")
        if isinstance(callback, logger) and (library == "neptune" or None in held):
            try:
                importlib.import_module(library)
            except ImportError as exc:
                return str(exc)
    return None


def _refused_files(callback):
    given = {name: f for name, f in vars(callback).items() if name.startswith("f_") and f}
    if "f_pickle" in given:
        return "f_pickle: the inner net is of no use alone. Pickle the fitted estimator"
    unknown = sorted(given.keys() - set(_PARTS))
    if unknown:
        return f"{', '.join(unknown)}: the inner net has no such part"
    if getattr(callback, "load_best", False) and callback.event_name is None:
        return "load_best=True needs an event_name"
    return None


def _asks_for_labels(scoring):
    return str(getattr(scoring, "__module__", "")).startswith(
        ("sklearn.metrics", "sklearn_deepcluster.metrics")
    )


def reads_batches(callback):
    """Whether a callback looks at the loss of single batches, for which the net has to wait."""
    if isinstance(callback, of_skorch.LRScheduler):
        return callback.step_every == "batch"
    if isinstance(callback, (of_skorch.TensorBoard, of_skorch.EpochScoring)):
        return False
    if isinstance(callback, of_skorch.PassthroughScoring):
        return True
    looks = type(callback).on_batch_end is not Callback.on_batch_end
    return looks and getattr(callback, "log_on_batch_end", True)


def adapted(callbacks, batches):
    """What the net is given for these callbacks, as :func:`copied` makes them: more of them.

    Parameters
    ----------
    callbacks : list
        Changed where the net is not what skorch's is.
    batches : iterable
        Of an epoch; it may not know how many there are.
    """
    given = [("time of the epoch", of_skorch.EpochTimer())] if callbacks else []
    for item, callback in zip(callbacks, plain(callbacks), strict=True):
        given.append(item)
        if isinstance(callback, of_skorch.EpochScoring):
            # What the batches gave is as noisy as the training, and as large as the data.
            callback.use_caching = False
        if isinstance(callback, of_skorch.ProgressBar) and callback.batches_per_epoch == "auto":
            callback.batches_per_epoch = len(batches) if hasattr(batches, "__len__") else "count"
        if isinstance(callback, of_skorch.ParamMapper):
            given.append(Matched(callback))
        if isinstance(callback, of_skorch.PrintLog) and callback.sink is print:
            callback.sink = functools.partial(print, flush=True)  # whatever `verbose` is
        if getattr(callback, "load_best", False) is True and _monitor(callback) is not None:
            callback.load_best = False
            given.append(GoBack(callback))
    if any(isinstance(callback, of_skorch.PrintLog) for callback in plain(callbacks)):
        given.append(Headers())
    return given


class GoBack(Callback):
    """At the end go back to the epoch that a callback of skorch found best (``load_best``).

    By itself that would forget the objective, whose centres belong to the network, or the records
    of the epochs after.

    Parameters
    ----------
    finder : EarlyStopping or Checkpoint
        It comes before this one.
    """

    def __init__(self, finder):
        self.finder = finder

    def on_train_begin(self, net, **kwargs):
        self.snapshot_ = None

    def on_epoch_end(self, net, **kwargs):
        epoch = net.history[-1]
        if isinstance(self.finder, of_skorch.EarlyStopping):
            found = self.finder.best_epoch_ == epoch["epoch"]
        else:
            found = epoch[self.finder.event_name]
        if found:
            self.snapshot_, self.epoch_ = Snapshot(net.module_, net.criterion_), epoch["epoch"]

    def on_train_end(self, net, **kwargs):
        if self.snapshot_ is not None:
            self.snapshot_.restore()
            net.kept_epoch = self.epoch_
            self.finder._sink(f"Restoring the best epoch, {self.epoch_}.", net.verbose)


class Matched(Callback):
    """Refuse patterns of a ParamMapper, such as a Freezer, that match no parameter of the net."""

    def __init__(self, mapper):
        self.mapper = mapper

    def on_train_begin(self, net, **kwargs):
        names = [name for name, _ in net.get_all_learnable_params()]
        for pattern in self.mapper.patterns:
            if not list(self.mapper.filter_parameters([pattern], [(n, None) for n in names])):
                raise ValueError(
                    f"callbacks: {type(self.mapper).__name__}({pattern!r}) matches no parameter "
                    f"of {net.stage}; there are {', '.join(names)}."
                )


class Headers(Callback):
    """Let PrintLog print a new header where a row has other columns than the one before."""

    def on_epoch_end(self, net, **kwargs):
        logs = [c for _, c in net.callbacks_ if isinstance(c, of_skorch.PrintLog)]
        for log in logs:
            # Looked at in some epochs alone; valid_loss is the same in all.
            log.keys_ignored_.add("validation_loss")
            columns = [log._sorted_keys(row) for row in net.history[-2:]]
            log.first_iteration_ |= columns[0] != columns[-1]
