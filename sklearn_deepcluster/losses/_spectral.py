"""The loss of spectral clustering, with the gradient along its constraint."""


def spectral_loss(y, affinity):
    r"""Loss :math:`\frac{1}{m^2} \sum_{ij} W_{ij} \lVert y_i - y_j \rVert^2`, and its gradient.

    Parameters
    ----------
    y : Tensor of shape (m, k)
        Of orthonormal columns: :math:`Y^T Y = m I`, or nearly so.
    affinity : Tensor of shape (m, m)
        Symmetric.

    Returns
    -------
    loss : Tensor
        Its gradient is that along the constraint:
        :math:`\frac{4}{m^2} (L Y - Y \Lambda)` with the Laplacian :math:`L = D - W` and the
        multipliers :math:`\Lambda = Y^T L Y / m`.
    """
    m = len(y)
    products = y.T @ (affinity.sum(1, keepdim=True) * y - affinity @ y)
    products = (2.0 / m**2) * products
    constraint = (products.detach() * (y.T @ y / m)).sum()
    return products.trace() - (constraint - constraint.detach())
