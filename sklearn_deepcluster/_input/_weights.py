"""Weights of samples: how much each counts."""

import dataclasses

import numpy as np
from sklearn.utils.validation import _check_sample_weight

from sklearn_deepcluster._input._kinds import unpacked


def weigh(samples, sample_weight):
    """The samples that count, with weights of mean 1; all of them where all count the same.

    Parameters
    ----------
    samples : Samples
    sample_weight : array-like of shape (n,), number or None

    Returns
    -------
    samples : Samples
        Without those of weight 0: then ``kept`` says which are left.

    Raises
    ------
    ValueError
        If the weights are not numbers, one for each sample, of which none is negative and some
        positive.
    """
    if sample_weight is None:
        return samples
    try:
        weight = _check_sample_weight(
            unpacked(sample_weight), samples.X, dtype=np.float64, ensure_non_negative=True
        )
    except (TypeError, ValueError) as exc:
        raise ValueError(f"sample_weight is not valid: {exc}") from exc
    largest = weight.max()
    weight = weight / largest  # the sum of large ones would overflow
    kept = weight.astype(np.float32) > 0
    if not kept.all():
        weight = weight[kept]
        samples = dataclasses.replace(samples, X=samples.X[kept], kept=kept)
    mean = weight.mean()
    weight = None if weight.min() == weight.max() else weight / mean
    return dataclasses.replace(samples, weight=weight, mean_weight=float(largest * mean))
