"""The engine room: the only importer of skorch."""

from skorch.callbacks import Callback, GradientNormClipping

from sklearn_deepcluster._engine._device import (
    inference_device,
    resolve_device,
    uses_bfloat16,
)
from sklearn_deepcluster._engine._net import BestEpoch, Schedule, Snapshot, Step
from sklearn_deepcluster._engine._rows import (
    BLOCK_SIZE,
    CHUNK_ROWS,
    Batch,
    Rows,
    in_rounds,
    map_blocks,
)
from sklearn_deepcluster._engine._seeds import (
    draw_seed,
    generator,
    random_stream,
    seeded_global_rng,
)
from sklearn_deepcluster._engine._standard import Standard, learn_standard
from sklearn_deepcluster._engine._trainer import OPTIMIZERS, Trainer

__all__ = [
    "BLOCK_SIZE",
    "CHUNK_ROWS",
    "OPTIMIZERS",
    "Batch",
    "BestEpoch",
    "Callback",
    "GradientNormClipping",
    "Rows",
    "Schedule",
    "Snapshot",
    "Standard",
    "Step",
    "Trainer",
    "draw_seed",
    "generator",
    "in_rounds",
    "inference_device",
    "learn_standard",
    "map_blocks",
    "random_stream",
    "resolve_device",
    "seeded_global_rng",
    "uses_bfloat16",
]
