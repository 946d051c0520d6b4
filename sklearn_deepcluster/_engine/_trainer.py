"""Train a module against an objective: one call, no global state."""

import contextlib
import dataclasses

import torch

from sklearn_deepcluster._engine._blocks import map_blocks
from sklearn_deepcluster._engine._callbacks import (
    adapted,
    check_callbacks,
    copied,
    plain,
    reads_batches,
)
from sklearn_deepcluster._engine._checkpoint import Trainings
from sklearn_deepcluster._engine._device import exact_cudnn, keep_freed_memory
from sklearn_deepcluster._engine._net import IndexedNet, Progress
from sklearn_deepcluster._engine._rows import Batches, Chosen
from sklearn_deepcluster._engine._seeds import generator, seeded_global_rng
from sklearn_deepcluster._engine._state import TrainingState
from sklearn_deepcluster._engine._tasks import Tasks
from sklearn_deepcluster.nn import Corruption, Stochastic

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
}
_FUSED = ("adam", "adamw", "sgd", "adagrad")
_WITH_MOMENTUM = ("sgd", "rmsprop")
# What the estimator (or this engine) sets itself, and what would have no effect.
_RESERVED = (
    "module",
    "criterion",
    "callbacks",
    "train_split",
    "device",
    "iterator_train",
    "iterator_valid",
    "dataset",
    "batch_size",
    "max_epochs",
    "verbose",
    "autocast",
    "stage",
)


@dataclasses.dataclass
class Trainer:
    """How to train: device, precision, optimiser, batches and what the user asked for.

    Attributes
    ----------
    device : torch.device
    autocast : bool
        Forward passes in bfloat16.
    batch_size : int or None
        None, or more than there are rows, means one batch.
    optimizer : str or subclass of torch.optim.Optimizer
    lr, momentum : float
    callbacks : list of skorch callbacks or None
    net_params : dict or None
    verbose : int
    global_rng : bool
        The module draws from torch's global generator (a user's own may).
    held_out : bool
        Rows are held out, of which callbacks can ask.
    tasks : Tasks
        Of the fit, of which a training is one and each epoch one within.
    trainings : Trainings or None
        Where there is a checkpoint, those of the fit.
    """

    device: torch.device
    autocast: bool
    batch_size: int | None
    optimizer: object
    lr: float
    momentum: float
    callbacks: list | None = None
    net_params: dict | None = None
    verbose: int = 0
    global_rng: bool = False
    held_out: bool = False
    tasks: Tasks = dataclasses.field(default_factory=Tasks)
    trainings: Trainings | None = None

    def train(
        self,
        module,
        objective,
        rows,
        *,
        seed,
        stage,
        epochs,
        batches=Batches,
        noise=False,
        targets=None,
        schedule=(),
        held=None,
    ):
        """Train `module` in place; return the net's history as a list of dicts, one per epoch.

        Parameters
        ----------
        module : nn.Module
            Called with a batch; returns a tuple of tensors (or None).
        objective : nn.Module
            See :class:`IndexedNet`.
        rows : Rows
        seed : int
            For the order of the rows and all that layers draw.
        stage : str
            Named by progress and errors.
        epochs : int
        batches : callable
            Makes the batches: called with rows, batch size and generator, it returns an object that
            is iterated over once per epoch and gives :class:`Batch` es. Every row once an epoch by
            default; or :func:`in_rounds`, or a method's own, such as pairs of neighbours, or
            several kinds in turn.
        noise : bool
            Switch on the corruption layers of `module`.
        targets : object
            What the objective is given until a schedule says otherwise.
        schedule : sequence of skorch callbacks
            The method's own; they run before the user's.
        held : Chosen or None
            The rows held out.

        Raises
        ------
        FloatingPointError
            If the loss leaves the finite numbers.
        """
        batches = batches(rows, self.batch_size, generator(seed))
        self.check_batch_norm(module, getattr(batches, "smallest", self.batch_size))
        keep_freed_memory()
        callbacks = copied(self.callbacks)
        given = [*schedule, *adapted(callbacks, batches)]
        net = self._net(module, objective, stage, epochs, given)
        net.targets = targets
        net.tasks = self.tasks
        net.observed = bool(callbacks)
        net.reads_batches = any(map(reads_batches, plain(callbacks)))
        net.learned, net.held = Chosen(rows, getattr(batches, "chosen", None)), held
        trained = [(p, p.requires_grad) for part in (module, objective) for p in part.parameters()]
        net.weight = None if rows.weight is None else rows.weight.to(self.device)
        drawing = [
            layer
            for part in (module, objective)
            for layer in part.modules()
            if isinstance(layer, Stochastic) and (noise or not isinstance(layer, Corruption))
        ]
        draws = (
            seeded_global_rng(seed, self.device) if self.global_rng else contextlib.nullcontext()
        )
        with (
            self.tasks.task(stage.partition(": ")[2], epochs),
            draws,
            exact_cudnn(self.device),
        ):
            self._initialize(net)
            # One stream for all layers: each of its own would repeat the others' masks.
            stream = generator(seed + 1, self.device)
            for layer in drawing:
                layer.generator = stream
            files = None if self.trainings is None else self.trainings.next(stage)
            state = TrainingState(net, batches, stream, self.global_rng)
            try:
                found = None if files is None else files.last()
                if not state.taken(found, finished=True):
                    self._run(net, batches, epochs, state, files, found)
                if not all(torch.isfinite(p).all() for p in module.parameters()):
                    raise net.diverged("the weights are not finite")
            finally:
                for _, callback in net.callbacks_:
                    if isinstance(callback, Progress):  # also after an error
                        callback.close()
                for layer in drawing:
                    layer.generator = None
                for parameter, before in trained:  # a callback may have frozen some
                    parameter.requires_grad_(before)
                module.eval()
                module.zero_grad()  # gradients take as much memory as the weights
        return net.history.to_list()

    def _run(self, net, batches, epochs, state, files, found):
        """The epochs of a training, from the first or from where it was found."""
        net.notify("on_train_begin", X=net.learned, y=None)
        state.taken(found)
        if files is not None:
            net.keep = lambda: files.write(state, len(net.history))
        net.fit_loop(batches, epochs=epochs)
        net.notify("on_train_end", X=net.learned, y=None)
        if net.kept_epoch is not None:
            net.history.record("kept_epoch", net.kept_epoch)
        if files is not None and not self.tasks.stopped:  # by what may decide otherwise next time
            files.write(state, len(net.history) + 1, finished=True)

    def check(self):
        """Refuse callbacks and parameters that the net would not take, before any training."""
        callbacks = copied(self.callbacks)
        check_callbacks(callbacks, self.held_out)
        stand_in = torch.nn.utils.skip_init(torch.nn.Linear, 1, 1)  # draws nothing
        net = self._net(stand_in, torch.nn.Identity(), "check", 0, callbacks)
        list(net._uniquely_named_callbacks())
        net.callbacks = []  # initialising one may write something
        self._initialize(net)

    def embed(self, function, rows, device="cpu"):
        """Apply `function` to all rows in the precision of the training; float32 (n, e)."""
        return map_blocks(function, rows, autocast=self.autocast, device=device)

    def _net(self, module, objective, stage, epochs, callbacks):
        # "module__x" would make skorch build another module than the one that is trained.
        reserved = sorted(k for k in self.net_params or () if k.partition("__")[0] in _RESERVED)
        if reserved:
            raise ValueError(f"net_params may not set {', '.join(reserved)}: the estimator does.")
        if self.verbose:
            callbacks = [*callbacks, Progress(stage, epochs)]
        params = {"lr": self.lr, **self._optimizer_params(), **(self.net_params or {})}
        return IndexedNet(
            module,
            objective,
            callbacks=callbacks,
            train_split=None,
            batch_size=self.batch_size or -1,
            max_epochs=epochs,
            device=self.device,
            autocast=self.autocast,
            stage=stage,
            verbose=self.verbose,
            **params,
        )

    def _optimizer_params(self):
        if not isinstance(self.optimizer, str):
            return {"optimizer": self.optimizer}
        params = {"optimizer": OPTIMIZERS[self.optimizer]}
        other = {"optimizer__foreach", "optimizer__differentiable"} & set(self.net_params or ())
        if self.optimizer in _FUSED and self.device.type in ("cpu", "cuda") and not other:
            params["optimizer__fused"] = True
        if self.optimizer in _WITH_MOMENTUM:
            params["optimizer__momentum"] = self.momentum
        return params

    def _initialize(self, net):
        try:
            net.initialize()
        except (TypeError, ValueError, RuntimeError) as exc:
            name = "net_params" if self.net_params else "optimizer"
            raise ValueError(f"{name}={getattr(self, name)!r} was refused: {exc}") from exc

    def check_batch_norm(self, module, smallest):
        """Refuse batches of which the `smallest` has one row where the module cannot take it."""
        norm = torch.nn.modules.batchnorm._BatchNorm
        if smallest == 1 and any(isinstance(m, norm) for m in module.modules()):
            raise ValueError(
                f"batch_size={self.batch_size} cannot train a module with batch normalisation: "
                "some batch has one row."
            )
