"""A training that diverges is an error that names stage, epoch and learning rate."""

import pytest
import torch
from skorch.callbacks import Callback

from tests._instances import (
    CLUSTERERS,
    PRETRAINED,
    REPRESENTATIONS,
    blobs,
    least,
    prefix_of,
    pretrained,
)
from tests.bad_input._shared import every_clusterer, every_estimator

TOO_LARGE = {"optimizer": "sgd", "lr": 1e30}


@pytest.mark.parametrize("name", [*REPRESENTATIONS, *PRETRAINED])
def test_diverging_pretraining_is_an_error_that_names_stage_epoch_and_lr(name):
    prefix = prefix_of(name)
    estimator = pretrained(name) if name in CLUSTERERS else least(name)
    estimator.set_params(**{f"{prefix}{k}": v for k, v in TOO_LARGE.items()})
    with pytest.raises(FloatingPointError, match=r"pretraining diverged in epoch 1: .*lr=1e\+30"):
        estimator.fit(blobs()[0])
    assert not hasattr(estimator, "labels_") and not hasattr(estimator, "module_")


@every_clusterer
def test_diverging_clustering_is_an_error_that_names_stage_epoch_and_lr(name):
    estimator = least(name, **TOO_LARGE)
    with pytest.raises(
        FloatingPointError, match=rf"{name}: clustering diverged in epoch 1: .*lr=1e\+30"
    ):
        estimator.fit(blobs()[0])
    assert not hasattr(estimator, "labels_") and not hasattr(estimator, "module_")


class Poison(Callback):
    """Makes the weights infinite after the last step, when no loss can show it any more."""

    def on_train_end(self, net, **kwargs):
        with torch.no_grad():
            next(net.module_.parameters()).fill_(torch.inf)


@every_estimator
def test_a_last_step_that_diverges_is_noticed_too(name):
    estimator = least(name, callbacks=[Poison()])
    with pytest.raises(FloatingPointError, match="diverged"):
        estimator.fit(blobs()[0])


@every_clusterer
def test_restarts_that_all_diverge_are_an_error(name):
    with pytest.raises(FloatingPointError, match="clustering diverged"):
        least(name, **TOO_LARGE, n_init=2).fit(blobs()[0])
