"""Reconstruction of the input, of hidden layers, and by the embedding itself."""

from torch import nn

from sklearn_deepcluster.losses._weighted import squared_error


class ReconstructionLoss(nn.Module):
    r"""Mean squared error of the reconstruction, over features and rows.

    .. math:: L = \frac{1}{b d} \sum_{i \in B} \lVert x_i - g(f(x_i)) \rVert^2
              + w \sum_l \frac{1}{b d_l} \sum_{i \in B} \lVert z_i^l - \hat z_i^l \rVert^2

    The second sum is over the hidden layers, where the module gives them (Dizaji et al., 2017,
    Eq. 8). Their targets are not detached: they are learned along. Where the step has weights, the
    errors of a row are multiplied by its weight.

    Parameters
    ----------
    hidden_weight : float, default=0.0
        The weight w.
    """

    def __init__(self, hidden_weight=0.0):
        super().__init__()
        self.hidden_weight = hidden_weight

    def forward(self, step):
        """Return the terms of the loss for the clean batch ``step.x``.

        The outputs are (z, reconstruction), then the clean value and the reconstruction of each
        hidden layer.
        """
        loss = squared_error(step.outputs[1], step.x, step.weight)
        hidden = step.outputs[2:]
        if not hidden:
            return {"loss": loss}
        pairs = zip(hidden[::2], hidden[1::2], strict=True)
        error = sum(squared_error(back, clean, step.weight) for clean, back in pairs)
        return {"loss": loss + self.hidden_weight * error, "hidden": error.detach()}


class IdentityLoss(nn.Module):
    r"""Error of embedding and reconstruction as copies of the input (Wu et al., KNet, Eq. 5.12).

    .. math:: L = \frac{1}{b d} \sum_{i \in B} \lVert x_i - f(x_i) \rVert^2
              + \lVert x_i - g(f(x_i)) \rVert^2
    """

    def forward(self, step):
        """Return the terms of the loss for the batch."""
        embedding = squared_error(step.outputs[0], step.x, step.weight)
        loss = embedding + squared_error(step.outputs[1], step.x, step.weight)
        return {"loss": loss, "embedding": embedding.detach()}
