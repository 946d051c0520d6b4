"""A network on fixed codes whose outputs are orthonormal over the data."""

import torch

from sklearn_deepcluster.nn._autoencoder import AutoencoderModule, mlp

# Added to the diagonal of the Gram matrix, relative to its mean: outputs that say the same, or
# none of which changes, then have a Cholesky factor.
RIDGE = 1e-6


def orthonormalizer(outputs):
    r"""The matrix (k, k) that makes the columns of `outputs` (m, k) orthonormal over the rows.

    :math:`\sqrt m R^{-1}` with :math:`R^T R = \tilde Y^T \tilde Y`, computed in float64, so that
    :math:`Y = \tilde Y \sqrt m R^{-1}` has :math:`Y^T Y / m = I`.

    Parameters
    ----------
    outputs : Tensor of shape (m, k)

    Returns
    -------
    matrix : Tensor of shape (k, k)
        Upper triangular, of the dtype of `outputs`; NaN where they are not finite.
    """
    # Others than these may have no float64.
    y = (outputs if outputs.device.type in ("cpu", "cuda") else outputs.cpu()).double()
    gram = y.T @ y / len(y)
    floor = RIDGE * gram.diagonal().mean().clamp_min(torch.finfo(torch.float32).tiny)
    identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    factor, _ = torch.linalg.cholesky_ex(gram + floor * identity, upper=True)
    return torch.linalg.solve_triangular(factor, identity, upper=True).to(outputs)


class SpectralModule(AutoencoderModule):
    """A representation that stays as it is, and the spectral network on its codes.

    Parameters
    ----------
    module : AutoencoderModule
        Whose encoder gives the codes.
    n_codes : int
        Their dimension.
    hidden_layer_sizes : sequence of int
    n_outputs : int
    generator : torch.Generator
        For the weights.

    Attributes
    ----------
    spectral : nn.Sequential
        From standardised codes to outputs in [-1, 1].
    center, scale : Tensor
        What is subtracted from codes, and their divisor.
    orthonormal : Tensor of shape (n_outputs, n_outputs)
        What the outputs are multiplied by.
    """

    def __init__(self, module, n_codes, hidden_layer_sizes, n_outputs, generator):
        super().__init__(module.encoder, None, input_shape=module.input_shape)
        self.unit_norm = module.unit_norm
        sizes = [n_codes, *hidden_layer_sizes, n_outputs]
        self.spectral = mlp(sizes, generator, output_activation="tanh")
        self.register_buffer("center", torch.zeros(n_codes, dtype=torch.float32))
        self.register_buffer("scale", torch.ones((), dtype=torch.float32))
        self.register_buffer("orthonormal", torch.eye(n_outputs, dtype=torch.float32))

    def codes(self, x):
        """Standardised codes (b, e) of rows x (b, d)."""
        return (super().encode(x) - self.center) / self.scale

    def standardize(self, codes):
        """Let codes like these (n, e), which were not standardised, have mean 0 and square 1."""
        center = codes.mean(0, dtype=torch.float64)
        scale = (codes - center).square().mean().sqrt()
        self.center.copy_(center)
        self.scale.copy_(torch.where(scale > 0, scale, 1.0))

    def encode(self, x):
        """Map rows (b, d) to embeddings (b, n_outputs)."""
        return self.spectral(self.codes(x)) @ self.orthonormal
