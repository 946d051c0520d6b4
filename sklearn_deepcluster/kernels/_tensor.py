"""Kernels of tensors by the subspaces of their unfoldings (Signoretto et al., 2011)."""

import torch

# Memory of the products of a block of pairs, in float32 entries.
_BLOCK_ENTRIES = 2**22
# Memory of the projectors of a batch, likewise; with more of them all is done by pairs.
_PROJECTOR_ENTRIES = 2**24


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


def projector_distances(factors):
    r"""Squared distances :math:`\lVert P_i - P_j \rVert_F^2` of projectors, (n, n).

    Parameters
    ----------
    factors : Tensor of shape (n, rows, columns)
        See :func:`projector_factors`.
    """
    n, rows, columns = factors.shape
    by_pairs = (n * rows) ** 2 * columns
    by_projectors = (n * rows + n**2) * columns**2
    if by_projectors < by_pairs and n * columns**2 <= _PROJECTOR_ENTRIES:
        projectors = (factors.mT @ factors).flatten(1)
        inner = projectors @ projectors.T
    else:
        inner = _PairwiseTraces.apply(factors)
    own = inner.diagonal()
    return (own.unsqueeze(1) + own - 2.0 * inner).clamp_min(0.0)


class _PairwiseTraces(torch.autograd.Function):
    r"""Traces :math:`\mathrm{tr}(P_i P_j) = \lVert Y_i Y_j^T \rVert_F^2` of all pairs.

    The symmetry saves one of three matrix products. Where the products of all pairs do not fit into
    a block of memory they are made block by block, forward and again backward.
    """

    @staticmethod
    def forward(ctx, factors):
        n, rows, columns = factors.shape
        flat = factors.reshape(n * rows, columns)
        out = factors.new_empty(n, n)
        blocks = _blocks(n, rows)
        for block in blocks:
            products = factors[block].reshape(-1, columns) @ flat.T
            out[block] = products.square().view(-1, rows, n, rows).sum((1, 3))
        ctx.save_for_backward(factors, products if len(blocks) == 1 else None)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        factors, products = ctx.saved_tensors
        n, rows, columns = factors.shape
        flat = factors.reshape(n * rows, columns)
        grad = 2.0 * (grad + grad.T)
        out = torch.empty_like(factors)
        for block in _blocks(n, rows):
            if products is None:
                part = factors[block].reshape(-1, columns) @ flat.T
            else:
                part = products.clone()  # backward may be asked for twice
            part.view(-1, rows, n, rows).mul_(grad[block, None, :, None])
            out[block] = (part @ flat).view(-1, rows, columns)
        return out


def _blocks(n, rows):
    """Slices of samples whose products with all samples fill a block of memory."""
    step = max(1, _BLOCK_ENTRIES // (rows * rows * n))
    return [slice(start, start + step) for start in range(0, n, step)]


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
        total = total + projector_distances(projector_factors(matrix))
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
