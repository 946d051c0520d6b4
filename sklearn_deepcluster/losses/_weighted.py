"""Rows that count more or less in a loss."""

from torch import nn


def weighted(values, weight=None):
    """Values of rows, each times the weight of its row; as they are without weights.

    Parameters
    ----------
    values : Tensor of shape (b, ...)
    weight : Tensor of shape (b,), default=None
    """
    if weight is None:
        return values
    return values * weight.to(values.device).view(-1, *(1,) * (values.ndim - 1))


def squared_error(a, b, weight=None):
    """Mean of the squared differences of a and b (b, ...), with weights of the rows if given."""
    if weight is None:
        return nn.functional.mse_loss(a, b)
    return weighted(nn.functional.mse_loss(a, b, reduction="none"), weight).mean()
