"""Kernels of tensors by the subspaces of their unfoldings (Signoretto et al., 2011)."""

import torch

# What is added to the squares of rows, relative to 1 plus their mean.
_RIDGE = 1e-6
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
    inverse : Tensor of shape (n, rows, rows)
        :math:`C^{-1}` of :math:`C C^T = X X^T + \epsilon I`, with :math:`Y = C^{-1} X`. Its
        condition is at most the root of that of the ridge, and products with it take a fraction of
        the time of triangular solves.
    """
    gram = matrix @ matrix.mT
    diagonal = gram.diagonal(dim1=-2, dim2=-1)
    diagonal += _RIDGE * (1.0 + diagonal.mean(-1, keepdim=True))
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device).expand_as(gram)
    inverse = torch.linalg.solve_triangular(torch.linalg.cholesky(gram), eye, upper=False)
    return inverse @ matrix, inverse


def projector_distances(matrix, *, bfloat16=False):
    r"""Squared distances :math:`\lVert P_i - P_j \rVert_F^2` of projectors onto row spaces, (n, n).

    Parameters
    ----------
    matrix : Tensor of shape (n, rows, columns)
    bfloat16 : bool, default=False
        Make the products of all pairs, the bulk of the work, in bfloat16.
    """
    inner = _ProjectorProducts.apply(matrix, bfloat16)
    own = inner.diagonal()
    return (own.unsqueeze(1) + own - 2.0 * inner).clamp_min(0.0)


class _ProjectorProducts(torch.autograd.Function):
    r"""Inner products :math:`\mathrm{tr}(P_i P_j) = \lVert Y_i Y_j^T \rVert_F^2` of all pairs.

    The gradient is written by hand, as the symmetry saves a third of the products and most of the
    small operations: with symmetric weights :math:`s_{ij}`, those of the output, and
    :math:`V_i = C_i^{-T} \sum_j s_{ij} Y_i Y_j^T Y_j`, the gradient is
    :math:`2 (V_i - V_i Y_i^T Y_i)`, and a term of the ridge.
    """

    @staticmethod
    def forward(ctx, matrix, bfloat16):
        n, rows, columns = matrix.shape
        factors, inverse = projector_factors(matrix)
        ctx.low = torch.bfloat16 if bfloat16 else matrix.dtype
        by_pairs = (n * rows) ** 2 * columns
        by_projectors = (n * rows + n**2) * columns**2
        ctx.whole = by_projectors < by_pairs and n * columns**2 <= _PROJECTOR_ENTRIES
        products = None
        if ctx.whole:
            products = (factors.mT @ factors).flatten(1).to(ctx.low)
            out = (products @ products.T).to(matrix.dtype)
        else:
            low = factors.to(ctx.low)
            out = matrix.new_empty(n, n)
            blocks = _blocks(n, rows)
            for block in blocks:
                products = _cross(low[block], low)
                out[block] = products.square().sum((1, 3), dtype=matrix.dtype)
            if len(blocks) > 1:
                products = None  # too much to keep: made again
        ctx.save_for_backward(matrix, factors, inverse, products)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        matrix, factors, inverse, products = ctx.saved_tensors
        n, rows, columns = matrix.shape
        weights = (grad + grad.T).to(ctx.low)
        if ctx.whole:
            summed = (weights @ products).to(matrix.dtype).view(n, columns, columns)
            inner = factors @ summed
        else:
            low = factors.to(ctx.low)
            flat = low.reshape(n * rows, columns)
            inner = torch.empty_like(factors)
            for block in _blocks(n, rows):
                part = _cross(low[block], low) if products is None else products
                part = (part * weights[block, None, :, None]).reshape(-1, n * rows)
                inner[block] = (part @ flat).view(-1, rows, columns)
        solved = inverse.mT @ inner
        outer = solved @ factors.mT
        trace = (inverse * outer.mT).sum((1, 2))
        solved -= outer @ factors
        solved -= (_RIDGE / rows) * trace.view(-1, 1, 1) * matrix
        return 2.0 * solved, None


def _cross(a, b):
    """Products Y_i Y_j^T of all pairs, (a, rows, n, rows)."""
    rows, columns = a.shape[1:]
    products = a.reshape(-1, columns) @ b.reshape(-1, columns).T
    return products.view(len(a), rows, len(b), rows)


def _blocks(n, rows):
    """Slices of samples whose products with all samples fill a block of memory."""
    step = max(1, _BLOCK_ENTRIES // (rows * rows * n))
    return [slice(start, start + step) for start in range(0, n, step)]


def tensor_distances(x, *, bfloat16=False):
    """Squared tensor distances of all pairs, the sum over the modes, (n, n).

    A vector has one mode: there it is the distance of directions. Invariant to invertible changes
    of basis that leave the row spaces, above all to scale.

    Parameters
    ----------
    x : Tensor of shape (n, d_1, ..., d_r)
    bfloat16 : bool, default=False
        See :func:`projector_distances`.
    """
    return sum(projector_distances(matrix, bfloat16=bfloat16) for matrix in unfoldings(x))


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
