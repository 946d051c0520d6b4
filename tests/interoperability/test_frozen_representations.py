"""A frozen representation is used as it is."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score

from tests._instances import (
    END_TO_END,
    IMAGE,
    ON_TOP,
    assert_same_fit,
    blobs,
    frozen,
    given,
    least,
    slot_of,
    tiny_conv_autoencoder,
    tiny_representation,
)
from tests.interoperability._shared import every_pretrained, pixels, pretrainings


@every_pretrained
def test_a_frozen_representation_is_used_and_not_changed(name, stages):
    X, _ = blobs()
    representation = tiny_representation(name, random_state=0).fit(X)
    weights = {k: v.clone() for k, v in representation.module_.state_dict().items()}
    stages.clear()
    first = frozen(name, representation).fit(X)
    second = frozen(name, representation).fit(X)
    assert pretrainings(stages) == 0 and len(stages) == 2
    assert_same_fit(first, second)
    encoders = (fit.module_.encoder.parameters() for fit in (first, representation))
    same = [torch.equal(new, old) for new, old in zip(*encoders, strict=True)]
    assert all(same) if name in ON_TOP else not any(same)
    after = representation.module_.state_dict()
    assert all(torch.equal(weights[key], after[key]) for key in weights)
    assert representation.module_.decoder is not None
    assert given(clone(first)) is given(first)


@pytest.mark.parametrize("name", ["DDC", "DEC", "DEKM", "DTKC", "IDEC"])
def test_any_representation_serves_any_clusterer(name):
    images = pixels().reshape(-1, *IMAGE)
    start = {"init": "k-means"} if name in END_TO_END else {}
    estimator = least(name, **{slot_of(name): tiny_conv_autoencoder()}, **start).fit(images)
    representation = tiny_conv_autoencoder(random_state=0).fit(images)
    flat = frozen(name, representation, **start).fit(pixels())
    assert adjusted_rand_score(estimator.labels_, flat.labels_) == 1.0
    np.testing.assert_array_equal(estimator.predict(pixels()), estimator.labels_)
