"""A representation is trained once for all candidates that share it."""

from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from tests._instances import (
    IMAGE,
    PRETRAINED,
    assert_same_fit,
    blobs,
    least,
    prefix_of,
    pretrained,
    same_weights,
)
from tests.interoperability._shared import every_pretrained, memmap, pretrainings


def parameter_grid(name):
    """Four values of some parameter of the clustering phase."""
    gammas = {"gamma": [0.01, 0.1, 1.0, 10.0]}
    return gammas if "gamma" in least(name).get_params() else {"lr": [1e-4, 3e-4, 1e-3, 3e-3]}


@pytest.mark.parametrize(
    ("name", "n_jobs"), [(name, 1) for name in PRETRAINED] + [("DEC", 2), ("DTKC", 2), ("KNet", 2)]
)
def test_memory_trains_one_representation_per_data_set(name, n_jobs, tmp_path, stages):
    """Four candidates, three folds and the final fit: four representations, not thirteen."""
    X, y = blobs()
    search = GridSearchCV(
        pretrained(name, memory=str(tmp_path)),
        parameter_grid(name),
        scoring="adjusted_rand_score",
        cv=3,
        n_jobs=n_jobs,
        error_score="raise",
    )
    with joblib.parallel_config("threading"):
        search.fit(X, y)
    assert pretrainings(stages) == 4
    assert len(stages) == 4 + 13
    assert_same_fit(
        search.best_estimator_, clone(search.best_estimator_).set_params(memory=None).fit(X)
    )


@every_pretrained
def test_memory_is_not_reused_without_a_seed(name, tmp_path, stages):
    X, _ = blobs()
    fits = [pretrained(name, memory=str(tmp_path), random_state=None).fit(X) for _ in range(2)]
    assert pretrainings(stages) == 2
    assert not same_weights(*fits)


@pytest.mark.parametrize("name", ["DEC", "DTKC", "KNet"])  # what is the key is not the method's
@pytest.mark.parametrize(
    "change",
    [
        {"random_state": 1},
        {"nested lr": 1e-4},
        {"nested n_components": 3},
        {"precision": "bfloat16"},
        {"X": 1.0},
        {"shape": (2, 8)},
    ],
    ids=str,
)
def test_memory_notices_what_matters(name, change, tmp_path, stages):
    X, _ = blobs()
    params = {"memory": str(tmp_path), "precision": "float32"}
    pretrained(name, **params).fit(X.reshape(-1, *IMAGE))
    change = {key.replace("nested ", prefix_of(name)): value for key, value in change.items()}
    shape, shift = change.pop("shape", IMAGE), change.pop("X", 0.0)
    other = pretrained(name, **params | change).fit((X + np.float32(shift)).reshape(-1, *shape))
    assert pretrainings(stages) == 2
    plain = clone(other).set_params(memory=None)
    assert_same_fit(other, plain.fit((X + np.float32(shift)).reshape(-1, *shape)))


@every_pretrained
@pytest.mark.parametrize("kind", ["str", "path", "Memory"])
def test_memory_takes_what_a_pipeline_takes(name, kind, tmp_path, stages):
    X, _ = blobs()
    kinds = {"str": str, "path": Path, "Memory": lambda path: joblib.Memory(path, verbose=0)}
    params = {"memory": kinds[kind](tmp_path)}
    first = pretrained(name, **params).fit(X)
    second = pretrained(name, **params, lr=3e-2).fit(memmap(X, tmp_path))
    assert pretrainings(stages) == 1
    assert first.history_["pretraining_loss"] == second.history_["pretraining_loss"]
    assert not same_weights(first, second)
    assert_same_fit(first, pretrained(name).fit(X))
