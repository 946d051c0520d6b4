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


class _ProjectorProducts(torch.autograd.Function):
    r"""Inner products of all pairs, summed over the modes, (n, n).

    In a mode they are :math:`\mathrm{tr}(P_i P_j) = \lVert Y_i Y_j^T \rVert_F^2`. The gradient is
    written by hand, as the symmetry saves a third of the products and most of the small operations:
    with symmetric weights :math:`s_{ij}`, those of the output, and
    :math:`V_i = C_i^{-T} \sum_j s_{ij} Y_i Y_j^T Y_j`, that of an unfolding is
    :math:`2 (V_i - V_i Y_i^T Y_i)`, and a term of the ridge.
    """

    @staticmethod
    def forward(ctx, x, bfloat16):
        ctx.low = torch.bfloat16 if bfloat16 else x.dtype
        total, saved = x.new_zeros(len(x), len(x)), []
        for matrix in unfoldings(x):
            factors, inverse = projector_factors(matrix)
            inner, products = _inner_products(factors, ctx.low)
            total += inner
            saved += [matrix, factors, inverse, products]
        ctx.save_for_backward(x, *saved)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, *saved = ctx.saved_tensors
        weights = (grad + grad.T).to(ctx.low)
        total = torch.zeros_like(x)
        for mode in range(1, x.ndim):
            matrix, factors, inverse, products = saved[4 * mode - 4 : 4 * mode]
            solved = inverse.mT @ _weighted_sum(factors, products, weights)
            outer = solved @ factors.mT
            trace = (inverse * outer.mT).sum((1, 2))
            solved.baddbmm_(outer, factors, alpha=-1.0)
            solved -= (_RIDGE / matrix.shape[1]) * trace.view(-1, 1, 1) * matrix
            _add_folded(total, solved, mode)
        return total.mul_(2.0), None


def _inner_products(factors, low):
    """Inner products tr(P_i P_j) of a mode, and what is kept for the gradient, or None.

    Multiplied in the precision `low`, by projectors or by all pairs of factors, what is cheaper.
    """
    n = len(factors)
    if _by_projectors(factors):
        projectors = (factors.mT @ factors).flatten(1).to(low)
        return (projectors @ projectors.T).to(factors.dtype), projectors
    flat = _rows_first(factors, low)
    inner = factors.new_empty(n, n)
    blocks = _blocks(n, factors.shape[1])
    for block in blocks:
        products = _cross(flat[:, block], flat)
        inner[block] = products.square().sum(0, dtype=inner.dtype).sum(1)
    # Of several blocks it is too much to keep: it is made again.
    return inner, products if len(blocks) == 1 else None


def _weighted_sum(factors, kept, weights):
    """Y_i times the sum of the projectors P_j with the weights (i, j), (n, rows, columns)."""
    n, rows, columns = factors.shape
    if _by_projectors(factors):
        return factors @ (weights @ kept).to(factors.dtype).view(n, columns, columns)
    flat = _rows_first(factors, weights.dtype)
    out = torch.empty_like(factors)
    for block in _blocks(n, rows):
        products = _cross(flat[:, block], flat) if kept is None else kept
        products = (products * weights[block].unsqueeze(1)).view(-1, rows * n)
        part = products @ flat.view(rows * n, columns)
        out[block] = part.view(rows, -1, columns).transpose(0, 1)
    return out


def _by_projectors(factors):
    """Whether products of whole projectors take less work, and not too much memory."""
    n, rows, columns = factors.shape
    work = (n * rows + n**2) * columns**2
    return work < (n * rows) ** 2 * columns and n * columns**2 <= _PROJECTOR_ENTRIES


def _rows_first(factors, dtype):
    """Factors as (rows, n, columns): sums and weights of pairs go along samples, which are many."""
    return factors.to(dtype).transpose(0, 1).contiguous()


def _cross(a, b):
    """Products Y_i Y_j^T of all pairs, (rows, a, rows, b), of factors (rows, a or b, columns)."""
    products = a.reshape(-1, a.shape[2]) @ b.reshape(-1, b.shape[2]).T
    return products.view(*a.shape[:2], *b.shape[:2])


def _blocks(n, rows):
    """Slices of samples whose products with all samples fill a block of memory."""
    step = max(1, _BLOCK_ENTRIES // (rows * rows * n))
    return [slice(start, start + step) for start in range(0, n, step)]


def _add_folded(total, matrices, mode):
    """Add matrices, as `unfoldings` makes them, to the entries (n, ...) that they came from."""
    part = total.movedim(mode, 1)
    if part.ndim > 2 and part.shape[1] != matrices.shape[1]:
        matrices = matrices.mT
    part += matrices.reshape(part.shape)


def tensor_distances(x, *, bfloat16=False):
    r"""Squared tensor distances of all pairs, (n, n).

    :math:`\lVert P_i - P_j \rVert_F^2` of the projectors onto the row spaces of the unfoldings,
    summed over the modes. A vector has one mode: there it is the distance of directions. Invariant
    to invertible changes of basis that leave the row spaces, above all to scale.

    Parameters
    ----------
    x : Tensor of shape (n, d_1, ..., d_r)
    bfloat16 : bool, default=False
        Make the products of all pairs, the bulk of the work, in bfloat16.
    """
    inner = _ProjectorProducts.apply(x, bfloat16)
    own = inner.diagonal()
    return (own.unsqueeze(1) + own - 2.0 * inner).clamp_min(0.0)


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
