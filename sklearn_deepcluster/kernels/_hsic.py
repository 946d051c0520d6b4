"""Hilbert-Schmidt independence criterion of an embedding and a spectral one (KNet)."""

import numpy as np
import scipy.linalg
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

# Up to this many rows all of the matrix is decomposed: no slower than a few vectors by Lanczos.
DENSE_ROWS = 1000
# Up to this many the matrix is factored where eigenvalues are too near for Lanczos.
FACTORED_ROWS = 4000
# Relative tolerance of Lanczos: products are exact to float32 alone.
_TOL = 1e-5


def hsic(operator, u):
    r"""HSIC of the rows' kernel and of :math:`U U^T`: :math:`\mathrm{tr}(U^T L U)`, a float.

    Without the factor :math:`(n - 1)^{-2}`, as published values are. With orthonormal U it is at
    most the sum of the c greatest eigenvalues of L, each at most 1.

    Parameters
    ----------
    operator : KernelOperator
        Or anything with products ``L @ u``.
    u : float64 Tensor of shape (n, c)
    """
    return float((u * (operator @ u)).sum())


def hsic_factor(u, scaling):
    r"""Factor :math:`V = D^{-1/2} H U` of the weights of the HSIC.

    :math:`\mathrm{HSIC} = \sum_{ij} \Gamma_{ij} K_{ij}` with :math:`\Gamma = V V^T`, which is
    never formed as a whole.

    Parameters
    ----------
    u : float64 Tensor of shape (n, c)
    scaling : float64 Tensor of shape (n,)
        Diagonal of D^(-1/2).

    Returns
    -------
    v : float64 Tensor of shape (n, c)
    """
    return scaling.unsqueeze(1) * (u - u.mean(0))


def cluster_indicator(labels, n_clusters):
    """Orthonormal indicator of clusters: column j is 1 / sqrt(n_j) on its rows; float64 (n, k)."""
    one_hot = torch.nn.functional.one_hot(labels, n_clusters).double()
    return one_hot / one_hot.sum(0).clamp_min(1.0).sqrt()


def projector_distance(u0, u1):
    r"""Distance of two subspaces, in [0, 1].

    .. math:: \sqrt{1 - \lVert U_0^T U_1 \rVert_F^2 / c}
        = \lVert U_0 U_0^T - U_1 U_1^T \rVert_F / \sqrt{2 c}

    Parameters
    ----------
    u0, u1 : float64 Tensors of shape (n, c)
        With orthonormal columns.
    """
    overlap = float((u0.T @ u1).square().sum()) / u0.shape[1]
    return max(0.0, 1.0 - overlap) ** 0.5


def leading_eigenvectors(operator, k, start=None):
    """Eigenvectors of the k greatest eigenvalues of a symmetric operator.

    Up to 1,000 rows the matrix is decomposed, beyond by Lanczos (ARPACK) from products alone. Where
    eigenvalues are too near for that, as those of narrow kernels are, a stored matrix of at most
    4,000 rows is factored; of more rows such eigenvectors are mixtures.

    Parameters
    ----------
    operator : KernelOperator
    k : int
        At most n.
    start : Tensor of shape (n, c), default=None
        Vectors near the solution, such as those of the last round.

    Returns
    -------
    u : float64 Tensor of shape (n, k)
        Orthonormal columns, by falling eigenvalue; the entry of greatest size is positive.
    eigenvalues : float64 Tensor of shape (k,)
    """
    n = len(operator)
    if n <= max(DENSE_ROWS, k + 1):
        values, vectors = _dense(operator, k)
    else:
        values, vectors = _lanczos(operator, k, start)
    order = np.argsort(-values, kind="stable")[:k]
    values, vectors = values[order], vectors[:, order]
    top = vectors[np.abs(vectors).argmax(axis=0), np.arange(k)]
    vectors = vectors * np.where(top < 0, -1.0, 1.0)
    return torch.from_numpy(np.ascontiguousarray(vectors)), torch.from_numpy(values.copy())


def _lanczos(operator, k, start):
    n = len(operator)
    # ARPACK would draw its first vector from a generator of its own.
    first = np.random.RandomState(0).standard_normal(n)
    if start is not None:
        first = start.sum(1).numpy() + 1e-3 * first / np.sqrt(n)

    def product(v):
        return (operator @ torch.from_numpy(np.ascontiguousarray(v.reshape(n, -1)))).numpy()

    linear = LinearOperator((n, n), matvec=product, matmat=product, dtype=np.float64)
    # One more than asked for tells how near the next one is.
    options = {"k": k + 1, "which": "LA", "v0": first}
    factored = n <= FACTORED_ROWS and operator.stored and operator.normalize_degree
    try:
        # Where a matrix can be factored, that is quicker than many restarts.
        values, vectors = eigsh(
            linear, tol=_TOL, ncv=max(2 * k + 3, 20), maxiter=20 if factored else None, **options
        )
        order = np.argsort(-values, kind="stable")
        values, vectors = values[order], vectors[:, order]
        # Vectors are exact to the tolerance over the gap; the last may be left out by the caller.
        near = np.diff(-values[max(0, k - 2) :]).min() < 100 * _TOL * abs(values[0])
    except ArpackNoConvergence as error:
        near, values, vectors = True, error.eigenvalues, error.eigenvectors
    if near and factored:
        return _by_factoring(operator, values, options)
    if len(values) < k:
        return eigsh(linear, tol=1e-3, ncv=max(6 * k, 80), **options)
    return values, vectors


def _by_factoring(operator, found, options):
    """Eigenpairs by Lanczos on the inverse of (shift I - L), which tells near ones apart."""
    n = len(operator)
    # Just above the greatest of the values that were found; with degrees none is above 1.
    top = found.max() if len(found) else 1.0
    try:
        shift = top * (1.0 + 10 * _TOL)
        factor = _factor(operator, shift)
    except np.linalg.LinAlgError:  # a greater one had been overlooked
        shift = 1.0 + 10 * _TOL
        factor = _factor(operator, shift)
    inverse = LinearOperator(
        (n, n),
        matvec=lambda v: scipy.linalg.cho_solve(factor, v, check_finite=False),
        dtype=np.float64,
    )
    try:
        values, vectors = eigsh(
            inverse, tol=1e-8, ncv=max(3 * options["k"], 40), maxiter=20, **options
        )
    except ArpackNoConvergence:  # more equal eigenvalues than vectors
        return _dense(operator, options["k"])
    return shift - 1.0 / values, vectors


def _factor(operator, shift):
    matrix = operator.toarray().numpy()
    matrix *= -1.0
    matrix[np.diag_indices_from(matrix)] += shift
    return scipy.linalg.cho_factor(matrix, overwrite_a=True, check_finite=False)


def _dense(operator, k):
    n = len(operator)
    matrix = operator.toarray().numpy()
    values, vectors = scipy.linalg.eigh(matrix, subset_by_index=[n - k, n - 1])
    if vectors.shape[1] < k:  # LAPACK's evr loses some of an eigenvalue of many vectors
        values, vectors = scipy.linalg.eigh(matrix, driver="evd")
        values, vectors = values[n - k :], vectors[:, n - k :]
    return values, vectors
