"""Interrupts get through, callbacks and parameters reach the net."""

import signal

import numpy as np
import pytest
from skorch.callbacks import Callback, EarlyStopping

from tests._instances import (
    CLUSTERERS,
    ESTIMATORS,
    KINDS,
    PRETRAINED,
    REPRESENTATIONS,
    accepts,
    blobs,
    fitted,
    least,
    least_fitted,
    prefix_of,
    pretrained,
    slot_of,
    tiny,
    tiny_autoencoder,
    tiny_conv_autoencoder,
)
from tests.bad_input._shared import every_clusterer, every_estimator


class Interrupt(Callback):
    """Ctrl-C at some event of the second epoch (or of the first, where there is but one)."""

    def __init__(self, event):
        self.event = event

    def _raise(self, event):
        if event == self.event:
            raise KeyboardInterrupt

    def on_train_begin(self, net, **kwargs):
        self._raise("on_train_begin")

    def on_epoch_begin(self, net, **kwargs):
        self._raise("on_epoch_begin")

    def on_batch_begin(self, net, **kwargs):
        self._raise("on_batch_begin")

    def on_batch_end(self, net, **kwargs):
        self._raise("on_batch_end")

    def on_grad_computed(self, net, **kwargs):
        self._raise("on_grad_computed")

    def on_epoch_end(self, net, **kwargs):
        self._raise("on_epoch_end")

    def on_train_end(self, net, **kwargs):
        self._raise("on_train_end")


EVENTS = [
    "on_train_begin",
    "on_epoch_begin",
    "on_batch_begin",
    "on_grad_computed",
    "on_batch_end",
    "on_epoch_end",
    "on_train_end",
]


def own_callbacks():
    """(name, parameter) of the callbacks of every stage of every estimator."""
    nested = [(name, f"{prefix_of(name)}callbacks") for name in PRETRAINED]
    return sorted([*((name, "callbacks") for name in ESTIMATORS), *nested])


def with_callback(name, parameter, callback):
    if "__" not in parameter:
        return tiny(name, **{parameter: [callback]})
    epochs = {parameter.replace("callbacks", "max_epochs"): 2}
    return pretrained(name, **{parameter: [callback]}, **epochs)


# The net is the shared part's: every event for one of each way there, some for every estimator.
@pytest.mark.parametrize(
    ("name", "parameter", "event"),
    [
        (name, parameter, event)
        for name, parameter in own_callbacks()
        for event in EVENTS
        if name in (*KINDS, *REPRESENTATIONS) or event in ("on_train_begin", "on_batch_end")
    ],
)
def test_an_interrupt_gets_through(name, parameter, event):
    estimator = with_callback(name, parameter, Interrupt(event))
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(blobs()[0])
    assert not hasattr(estimator, "labels_") and not hasattr(estimator, "module_")


class Signal(Callback):
    """A real Ctrl-C in the middle of the second epoch."""

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == 2 or "clustering" in net.stage:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("name", "parameter"), own_callbacks())
def test_a_real_ctrl_c_gets_through(name, parameter):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            with_callback(name, parameter, Signal()).fit(blobs()[0])
    finally:
        signal.signal(signal.SIGINT, before)


@every_clusterer
def test_an_interrupt_gets_through_restarts(name):
    with pytest.raises(KeyboardInterrupt):
        least(name, n_init=2, callbacks=[Interrupt("on_epoch_end")]).fit(blobs()[0])


@every_estimator
def test_an_estimator_fits_after_an_interrupt(name):
    X, _ = blobs()
    estimator = least(name, callbacks=[Interrupt("on_epoch_end")])
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X)
    estimator.set_params(callbacks=None).fit(X)
    np.testing.assert_array_equal(estimator.transform(X), least_fitted(name).transform(X))


def stopping():
    """Stops at once: no loss ever falls by so much."""
    return EarlyStopping(
        monitor="train_loss", patience=1, threshold=1e9, threshold_mode="abs", sink=lambda *a: None
    )


@every_estimator
def test_early_stopping_of_skorch_ends_the_training(name):
    X, _ = blobs()
    # Six epochs, or rounds: far more than early stopping allows.
    long = {"max_epochs": 6, "min_steps": 12, "max_iter": 6, "tol": 0, "warm_up_epochs": 0}
    long["epochs_per_period"] = 6
    long = {key: value for key, value in long.items() if accepts(name, key)}
    assert least(name, **long).fit(X).n_iter_ >= 6
    callback = stopping()
    estimator = least(name, callbacks=[callback], **long).fit(X)
    assert 1 <= estimator.n_iter_ <= 2
    assert np.isfinite(estimator.transform(X)).all()
    assert callback.misses_ == 0, "the caller's callback is copied"
    if name in CLUSTERERS:
        np.testing.assert_array_equal(estimator.labels_, estimator.predict(X))
    if name in PRETRAINED:
        nested = pretrained(name, **{f"{slot_of(name)}__callbacks": [stopping()]}).fit(X)
        assert len(nested.history_["pretraining_loss"]) <= 2


@every_estimator
def test_callbacks_and_net_params_reach_the_net(name):
    X, _ = blobs()
    seen = []

    class Look(Callback):
        def __deepcopy__(self, memo):
            return self

        def on_train_end(self, net, **kwargs):
            seen.append((net.optimizer_.param_groups[0]["weight_decay"], len(net.history)))

    params = {"callbacks": [Look()], "net_params": {"optimizer__weight_decay": 0.125}}
    estimator = least(name, **params).fit(X)
    # A round that only found the labels settled is in the net's history too.
    assert [decay for decay, _ in seen] == [0.125]
    assert seen[0][1] in (estimator.n_iter_, estimator.n_iter_ + 1)


@pytest.mark.parametrize("name", ["ConvAutoencoder", "Autoencoder"])
def test_the_device_is_checked_again_after_fit(name):
    """A model whose device is missing predicts on the CPU, and says so."""
    estimator = {"Autoencoder": tiny_autoencoder, "ConvAutoencoder": tiny_conv_autoencoder}[name]()
    X, _ = blobs()
    estimator.set_params(random_state=0).fit(X).set_params(device="cuda:99")
    with pytest.warns(UserWarning, match="device='cuda:99' is not available.*CPU"):
        Z = estimator.transform(X)
    np.testing.assert_array_equal(Z, fitted(name).transform(X))
