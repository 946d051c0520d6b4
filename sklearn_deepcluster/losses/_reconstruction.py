"""Reconstruction of the input."""

from torch import nn


class ReconstructionLoss(nn.Module):
    r"""Mean squared error of the reconstruction, over features and rows.

    .. math:: L = \frac{1}{b d} \sum_{i \in B} \lVert x_i - g(f(x_i)) \rVert^2
    """

    def forward(self, outputs, x, index):
        """Return the loss of ``outputs = (z, reconstruction)`` for the clean batch x."""
        return {"loss": nn.functional.mse_loss(outputs[1], x)}
