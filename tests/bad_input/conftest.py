"""Fixtures that forbid training."""

import pytest

from sklearn_deepcluster._engine._net import IndexedNet
from tests._instances import fitted


@pytest.fixture
def no_training(monkeypatch):
    """Fail the test as soon as the first epoch of any stage begins."""
    fitted("Autoencoder")  # some tests freeze it: it is trained before training is forbidden

    def epoch(net, *args, **kwargs):
        pytest.fail(f"{net.stage} has started")

    monkeypatch.setattr(IndexedNet, "run_single_epoch", epoch)


@pytest.fixture
def no_clustering(monkeypatch):
    """Fail the test as soon as an epoch of the clustering phase begins."""
    original = IndexedNet.run_single_epoch

    def epoch(net, *args, **kwargs):
        if "clustering" in net.stage:
            pytest.fail(f"{net.stage} has started")
        return original(net, *args, **kwargs)

    monkeypatch.setattr(IndexedNet, "run_single_epoch", epoch)
