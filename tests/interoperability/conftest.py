"""What the tests of this folder watch."""

import pytest

from sklearn_deepcluster._engine import Trainer


@pytest.fixture
def stages(monkeypatch):
    """List of the stages that are trained during the test, by any thread."""
    seen = []
    train = Trainer.train

    def record(self, *args, stage, **kwargs):
        seen.append(stage)  # list.append is atomic
        return train(self, *args, stage=stage, **kwargs)

    monkeypatch.setattr(Trainer, "train", record)
    return seen
