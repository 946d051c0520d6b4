"""The engine room: the only importer of skorch."""

from skorch.callbacks import Callback, GradientNormClipping, LRScheduler

from sklearn_deepcluster._engine._blocks import map_blocks, mean_loss
from sklearn_deepcluster._engine._callbacks import duplicate
from sklearn_deepcluster._engine._checkpoint import checkpointed
from sklearn_deepcluster._engine._dense import dense_rows
from sklearn_deepcluster._engine._device import (
    exact_cudnn,
    inference_device,
    ordinary_tensors,
    resolve_device,
    uses_bfloat16,
)
from sklearn_deepcluster._engine._net import BestEpoch, Schedule, Snapshot, Step
from sklearn_deepcluster._engine._rows import (
    CHUNK_ROWS,
    Batch,
    Batches,
    Chosen,
    Rows,
    in_rounds,
)
from sklearn_deepcluster._engine._seeds import (
    draw_seed,
    generator,
    random_stream,
    seeded_global_rng,
)
from sklearn_deepcluster._engine._standard import TOO_LARGE, Standard, learn_standard
from sklearn_deepcluster._engine._tasks import Tasks, told_data
from sklearn_deepcluster._engine._trainer import OPTIMIZERS, Trainer

__all__ = [
    "Batches",
    "CHUNK_ROWS",
    "OPTIMIZERS",
    "Batch",
    "BestEpoch",
    "Callback",
    "Chosen",
    "GradientNormClipping",
    "LRScheduler",
    "Rows",
    "Schedule",
    "Snapshot",
    "TOO_LARGE",
    "Standard",
    "Step",
    "Tasks",
    "Trainer",
    "checkpointed",
    "dense_rows",
    "draw_seed",
    "duplicate",
    "exact_cudnn",
    "generator",
    "in_rounds",
    "inference_device",
    "learn_standard",
    "map_blocks",
    "mean_loss",
    "ordinary_tensors",
    "random_stream",
    "resolve_device",
    "seeded_global_rng",
    "told_data",
    "uses_bfloat16",
]
