"""Kernels of tensors by the subspaces of their unfoldings (Signoretto et al., 2011)."""

import torch

# Memory of the products of a block of pairs, in float32 entries.
_BLOCK_ENTRIES = 2**22


def unfoldings(x):
    """Unfold each tensor of a batch along each of its modes.

    Parameters
    ----------
    x : Tensor of shape (n, d_1, ..., d_r)

    Returns
    -------
    matrices : list of r Tensors of shape (n, rows, columns)
        Mode m as rows; transposed where there are more rows than columns, whose span would be the
        whole space for every sample and tell nothing.
    """
    matrices = []
    for mode in range(1, x.ndim):
        matrix = x.movedim(mode, 1).flatten(2) if x.ndim > 2 else x.unsqueeze(1)
        matrices.append(matrix.mT if matrix.shape[1] > matrix.shape[2] else matrix)
    return matrices


def projector_factors(matrix):
    r"""Factors Y of the projectors :math:`P = Y^T Y` onto the row spaces of a batch.

    :math:`P = X^T (X X^T + \epsilon I)^{-1} X` with :math:`\epsilon = 10^{-6} (1 + s)`, s the
    mean square norm of a row, so that rows of zeros, or equal ones, do no harm: by Cholesky,
    without eigenvectors, whose gradients are infinite where eigenvalues are equal.

    Parameters
    ----------
    matrix : Tensor of shape (n, rows, columns)

    Returns
    -------
    factors : Tensor of shape (n, rows, columns)
    """
    gram = matrix @ matrix.mT
    rows = gram.shape[-1]
    scale = gram.diagonal(dim1=-2, dim2=-1).mean(-1)
    eps = 1e-6 + 1e-6 * scale
    eye = torch.eye(rows, dtype=gram.dtype, device=gram.device)
    chol = torch.linalg.cholesky(gram + eps[:, None, None] * eye)
    return torch.linalg.solve_triangular(chol, matrix, upper=False)


def projector_distances(a, b):
    r"""Squared distances :math:`\lVert P_i - P_j \rVert_F^2` of projectors, (n, m).

    Parameters
    ----------
    a : Tensor of shape (n, rows, columns)
        Factors, see :func:`projector_factors`.
    b : Tensor of shape (m, rows, columns)
    """
    cross = _squared_inner_products(a, b)
    own_a, own_b = ((f @ f.mT).square().sum((-2, -1)) for f in (a, b))
    return (own_a.unsqueeze(1) + own_b - 2.0 * cross).clamp_min(0.0)


def _squared_inner_products(a, b):
    """Tr(P_i P_j) = ||Y_i Y_j^T||_F^2 of all pairs, some rows at a time."""
    n, rows, columns = a.shape
    m = len(b)
    step = max(1, _BLOCK_ENTRIES // (rows * rows * m))
    right = b.reshape(m * rows, columns).T
    parts = [
        (part.reshape(-1, columns) @ right).square().reshape(len(part), rows, m, rows).sum((1, 3))
        for part in a.split(step)
    ]
    return torch.cat(parts)


def tensor_distances(x):
    """Squared tensor distances of all pairs, the sum over the modes, (n, n).

    A vector has one mode: there it is the distance of directions. Invariant to invertible changes
    of basis that leave the row spaces, above all to scale.

    Parameters
    ----------
    x : Tensor of shape (n, d_1, ..., d_r)
    """
    total = 0.0
    for matrix in unfoldings(x):
        factors = projector_factors(matrix)
        total = total + projector_distances(factors, factors)
    return total


def naive_tensor_distances(x):
    """Squared distances summed over the modes without subspaces: r times those of the entries.

    Each unfolding holds the same entries, so this is the Gaussian kernel of the flattened tensors
    at another width; for comparison.

    Parameters
    ----------
    x : Tensor of shape (n, d_1, ..., d_r)
    """
    flat = x.flatten(1)
    return (x.ndim - 1) * (flat.unsqueeze(1) - flat).square().sum(-1)
