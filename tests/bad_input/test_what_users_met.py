"""Situations that ended in raw errors or untrue ones."""

import warnings

import numpy as np
import pytest
import torch
from sklearn import config_context
from torch import nn

from sklearn_deepcluster import DDC, DEC, Autoencoder, KNet, MLPEncoder
from sklearn_deepcluster._engine import Callback, _net
from tests._instances import (
    CLUSTERERS,
    END_TO_END,
    ESTIMATORS,
    IMAGE,
    KINDS,
    REPRESENTATIONS,
    SEQUENTIAL,
    assert_same_fit,
    blobs,
    fitted,
    least,
    least_fitted,
    tiny_autoencoder,
)

every_estimator = pytest.mark.parametrize("name", ESTIMATORS)
every_clusterer = pytest.mark.parametrize("name", CLUSTERERS)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (name, kind)
        for name in ESTIMATORS
        for kind in ("bfloat16", "parameter", "images")
        if kind != "images" or name not in SEQUENTIAL
        if kind == "bfloat16" or name in (*KINDS, *REPRESENTATIONS)
    ],
)
def test_tensors_are_read(name, kind):
    tensor = torch.from_numpy(blobs()[0].copy()).bfloat16()
    X = tensor.float().numpy()
    if kind == "parameter":
        tensor = nn.Parameter(tensor.float())
    if kind == "images":
        tensor, X = tensor.reshape(-1, *IMAGE), X.reshape(-1, *IMAGE)
    assert_same_fit(least(name).fit(tensor), least(name).fit(X))


@pytest.mark.gpu
def test_tensors_on_a_gpu_are_read():
    X = blobs()[0]
    tensor = torch.from_numpy(X.copy()).cuda()
    assert_same_fit(least("DEC").fit(tensor), least("DEC").fit(X))


@every_estimator
def test_a_fit_under_inference_mode_is_a_fit(name):
    X, _ = blobs()
    with torch.inference_mode():
        model = least(name).fit(torch.from_numpy(X.copy()))
        inside = model.transform(X)
    assert_same_fit(model, least_fitted(name))
    np.testing.assert_array_equal(model.transform(X), inside)
    model.set_params(warm_start=True).fit(X)


@every_estimator
def test_nan_that_scikit_learn_was_told_not_to_look_for_is_named(name, no_training):
    X = blobs()[0].copy()
    X[3, 2] = np.nan
    with config_context(assume_finite=True), pytest.raises(ValueError, match="NaN"):
        least(name).fit(X)


@every_clusterer
def test_nan_is_named_after_fit(name):
    X = blobs()[0].copy()
    X[3, 2] = np.nan
    with config_context(assume_finite=True), pytest.raises(ValueError, match="NaN"):
        fitted(name).predict(X)


@pytest.mark.parametrize("params", [{}, {"sigma": 1.0}])
@pytest.mark.parametrize("others", [0, 1])
def test_knet_on_equal_rows(params, others):
    X = np.zeros((40, 6))
    X[:others] = 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            knet = KNet(2, random_state=0, max_steps=20, **params).fit(X)
        except ValueError as exc:
            assert "sigma='median' is 0" in str(exc)
            return
    assert len(np.unique(knet.labels_)) <= 1 + others


class GivesATuple(nn.Module):
    def __init__(self, n_features):
        super().__init__()
        self.encoder = nn.LSTM(n_features, 3, batch_first=True)
        self.decoder = nn.Linear(3, n_features)


def test_a_network_that_gives_a_tuple_is_refused(no_training):
    X, _ = blobs()
    with pytest.raises(ValueError, match="its encoder gives a tuple, not a tensor"):
        Autoencoder(module=GivesATuple).fit(X)
    with pytest.raises(ValueError, match="its encoder gives a tuple, not a tensor"):
        DEC(3, autoencoder=Autoencoder(module=GivesATuple(16))).fit(X)
    with pytest.raises(ValueError, match="encoder must give the embedding of a batch"):
        DDC(3, encoder=nn.LSTM(16, 3)).fit(X)


@every_estimator
@pytest.mark.parametrize("params", [{"optimizer__foreach": True}, {"optimizer__fused": False}])
def test_how_the_optimiser_steps_can_be_chosen(name, params):
    least(name, net_params=params).fit(blobs()[0])


def test_what_the_optimiser_refuses_names_the_parameter(no_training):
    params = {"optimizer__foreach": True, "optimizer__fused": True}
    with pytest.raises(ValueError, match="net_params=.*was refused.*fused.*foreach"):
        tiny_autoencoder(net_params=params).fit(blobs()[0])


@pytest.mark.parametrize("name", ["DDC", "DTKC"])
def test_parameters_of_the_default_network_are_set_before_and_after_fit(name):
    X, _ = blobs()
    estimator = least(name, encoder=None).set_params(encoder__n_components=5)
    assert estimator.fit(X).n_components_ == 5
    explicit = least(name, encoder=MLPEncoder(n_components=5)).fit(X)
    np.testing.assert_array_equal(estimator.transform(X), explicit.transform(X))
    estimator.set_params(encoder__n_components=6)
    assert estimator.fit(X).n_components_ == 6
    with pytest.raises(ValueError, match="Invalid parameter 'filters'"):
        least(name, encoder=None).set_params(encoder__filters=(3,))


class Fails(Callback):
    def on_batch_end(self, net, **kwargs):
        raise RuntimeError("it fails")


@every_estimator
def test_progress_bars_are_closed_after_an_error(name, monkeypatch, capsys):
    bars = []
    begin = _net.Progress.on_train_begin

    def recorded(self, net, **kwargs):
        begin(self, net, **kwargs)
        bars.append(self.bar_)

    monkeypatch.setattr(_net.Progress, "on_train_begin", recorded)
    model = least(name, verbose=1, callbacks=[Fails()])
    with pytest.raises(RuntimeError, match="it fails"):
        model.fit(blobs()[0])
    assert bars and all(bar.disable for bar in bars)  # tqdm's sign of a closed one


def test_unlabelled_rows_of_a_picture_are_told_from_labels():
    from sklearn_deepcluster.inspection import EmbeddingDisplay

    X, y = blobs()
    for missing in (None, np.nan):
        partial = np.where(np.arange(len(y)) < 9, y.astype(object), missing)
        with pytest.raises(ValueError, match="None or NaN; give -1"):
            EmbeddingDisplay.from_predictions(X[:, :2], partial)


@pytest.mark.parametrize("name", END_TO_END)
def test_an_end_to_end_method_warns_at_the_line_of_the_user(name):
    X = np.zeros((40, 16))
    with pytest.warns(UserWarning) as caught:
        least(name).fit(X)
    assert {w.filename for w in caught if "clusters are empty" in str(w.message)} == {__file__}
