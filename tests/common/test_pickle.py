"""Pickles are small and predict as before."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import torch

from sklearn_deepcluster import (
    save_model,
)
from tests._instances import (
    CLUSTERERS,
    ESTIMATORS,
    accepts,
    assert_same_fit,
    blobs,
    fitted,
    given,
    least,
)
from tests.common._shared import every_estimator, outputs


@every_estimator
def test_pickle_round_trip(name):
    X, _ = blobs()
    estimator = fitted(name)
    again = pickle.loads(pickle.dumps(estimator))
    assert_same_fit(estimator, again)
    for method, values in outputs(estimator, X).items():
        np.testing.assert_array_equal(values, getattr(again, method)(X), err_msg=method)


def widened(representation):
    """Give a representation a network that is large beside everything else in a pickle."""
    sizes = {"hidden_layer_sizes": (1000,), "filters": (64,), "hidden_size": 64}
    sizes |= {"n_components": 100, "max_epochs": 1, "min_steps": 1, "batch_size": 400}
    known = representation.get_params()
    return representation.set_params(**{k: v for k, v in sizes.items() if k in known})


@every_estimator
def test_pickle_is_small_and_holds_no_net(name):
    X = np.repeat(blobs()[0], 4, axis=0)
    estimator = least(name, **({"batch_size": 400} if accepts(name, "batch_size") else {}))
    widened(given(estimator) if name in CLUSTERERS else estimator)
    dump = pickle.dumps(estimator.fit(X))
    weights = sum(p.numel() * p.element_size() for p in estimator.module_.parameters())
    assert weights > 40_000
    arrays = (getattr(estimator, name, None) for name in ("labels_", "classifier_weights_"))
    assert len(dump) < 1.3 * weights + sum(a.nbytes for a in arrays if a is not None)
    assert X[0].tobytes() not in dump
    assert b"skorch" not in dump


def run_python(code, folder):
    """Run code in a fresh interpreter and return what it prints."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fresh_process_predicts_without_the_training_data(tmp_path):
    X = blobs()[0][:7]
    models = {name: fitted(name) for name in ESTIMATORS}
    joblib.dump((models, X), tmp_path / "models.joblib")
    for name, model in models.items():
        save_model(model, tmp_path / f"{name}.safetensors")
    code = f"""
import sys
import joblib, torch
from sklearn_deepcluster import load_model
torch.set_num_threads({torch.get_num_threads()})
models, X = joblib.load("models.joblib")
again = {{name: load_model(f"{{name}}.safetensors") for name in models}}
out = {{n: (models[n].transform(X), again[n].transform(X)) for n in models}}
out |= {{
    n + "-labels": (models[n].predict(X), again[n].predict(X))
    for n in models
    if hasattr(models[n], "predict")
}}
joblib.dump(out, "out.joblib")
assert "matplotlib" not in sys.modules  # it is imported where something is drawn
"""
    run_python(code, tmp_path)
    out = joblib.load(tmp_path / "out.joblib")
    assert len(out) == len(ESTIMATORS) + len(CLUSTERERS)
    for key, (pickled, saved) in out.items():
        name, _, labels = key.partition("-")
        here = models[name].predict(X) if labels else models[name].transform(X)
        np.testing.assert_array_equal(pickled, here, err_msg=key)
        np.testing.assert_array_equal(saved, here, err_msg=key)
