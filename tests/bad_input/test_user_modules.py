"""Modules of the user that do not fit are refused."""

import numpy as np
import pytest
import torch

from sklearn_deepcluster._engine import Trainer
from tests._instances import (
    GlobalDraws,
    Normalised,
    blobs,
    frozen,
    prefix_of,
    tiny,
    tiny_autoencoder,
)


class Pair(torch.nn.Module):
    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder


@pytest.mark.parametrize(
    ("module", "match"),
    [
        (Pair(torch.nn.Linear(9, 2), torch.nn.Linear(2, 16)), "module does not take samples"),
        (Pair(torch.nn.Linear(16, 2), torch.nn.Linear(3, 16)), "module does not take samples"),
        (Pair(torch.nn.Linear(16, 2), torch.nn.Linear(2, 9)), "module reconstructs 9 values"),
        (Pair(torch.nn.Linear(16, 2), None), "module has no 'decoder'"),
    ],
    ids=["encoder", "decoder", "width", "no decoder"],
)
@pytest.mark.parametrize("name", ["Autoencoder", "DEC", "DEKM", "IDEC"])
def test_modules_that_do_not_fit_are_refused(name, module, match, no_training):
    prefix = prefix_of(name)
    with pytest.raises(ValueError, match=match):
        tiny(name, **{f"{prefix}module": module}).fit(blobs()[0])


@pytest.mark.parametrize("module", [Normalised, Normalised(16)], ids=["factory", "module"])
@pytest.mark.parametrize("name", ["Autoencoder", "DEC", "DEKM", "IDEC"])
def test_batches_of_one_row_are_refused_for_batch_normalisation(name, module, no_training):
    X, _ = blobs()
    prefix = prefix_of(name)
    with pytest.raises(ValueError, match="batch_size=1 .*batch normali"):
        tiny(name, **{f"{prefix}module": module, f"{prefix}batch_size": 1}).fit(X)
    if prefix:
        with pytest.raises(ValueError, match="batch_size=1 .*batch normali"):
            tiny(name, batch_size=1, autoencoder__module=module).fit(X)
        with pytest.raises(ValueError, match="batch_size=1 .*batch normali"):
            frozen(name, fitted_normalised(), batch_size=1).fit(X)


def fitted_normalised():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "train", lambda self, *args, **kwargs: [{"train_loss": 1.0}])
        return tiny_autoencoder(module=Normalised, random_state=0).fit(blobs()[0])


@pytest.mark.parametrize("name", ["Autoencoder", "DEC", "DEKM", "IDEC"])
@pytest.mark.parametrize(("n_samples", "batch_size"), [(65, 64), (129, 64), (4, 3), (7, 3), (6, 2)])
def test_no_batch_of_one_row_is_left_over(name, n_samples, batch_size):
    X = blobs()[0][:n_samples]
    prefix = prefix_of(name)
    params = {f"{prefix}module": Normalised, f"{prefix}batch_size": batch_size}
    assert np.isfinite(tiny(name, **params).fit(X).transform(X)).all()


@pytest.mark.parametrize("name", ["Autoencoder", "DEC", "DEKM", "IDEC"])
@pytest.mark.parametrize(("n_samples", "batch_size"), [(5, 2), (1, 64)])
def test_a_batch_of_one_row_that_cannot_be_avoided_is_refused(
    name, n_samples, batch_size, no_training
):
    prefix = prefix_of(name)
    params = {f"{prefix}module": Normalised, f"{prefix}batch_size": batch_size}
    if prefix:
        params["n_clusters"] = 1
    with pytest.raises(ValueError, match=f"batch_size={batch_size} .*batch normali"):
        tiny(name, **params).fit(blobs()[0][:n_samples])


@pytest.mark.parametrize("name", ["Autoencoder", "DEC", "DEKM", "IDEC"])
def test_batch_size_one_trains_other_modules(name):
    X = blobs()[0][:20]
    prefix = prefix_of(name)
    params = {f"{prefix}module": GlobalDraws, f"{prefix}batch_size": 1, "batch_size": 1}
    assert np.isfinite(tiny(name, **params).fit(X).transform(X)).all()
