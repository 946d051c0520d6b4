"""Gaussian kernel, its bandwidth, and its normalised matrix as an operator."""

import numpy as np
import torch

# Rows that are looked at for a bandwidth: the median of 2 million distances.
MEDIAN_ROWS = 2000
# Rows of a kernel matrix that are computed at a time.
BLOCK_ROWS = 1024
# A row whose degree is less than this share of the median degree, less than one near neighbour in
# a million, is isolated.
ISOLATED = 1e-6


def squared_distance_matrix(a, b):
    """Squared Euclidean distances (n, m) between rows of a (n, e) and of b (m, e), by products.

    Both are centred first, which keeps the cancellation small; what is left is of the order of the
    precision times the squared radius of the data.
    """
    center = b.mean(0).detach()
    a, b = a - center, b - center
    squares = a.square().sum(1, keepdim=True) + b.square().sum(1)
    return (squares - 2.0 * (a @ b.T)).clamp_min(0.0)


def gaussian_kernel(a, b, sigma):
    r"""Gaussian kernel :math:`\exp(-\lVert a_i - b_j \rVert^2 / 2 \sigma^2)`, Tensor (n, m).

    Parameters
    ----------
    a : Tensor of shape (n, e)
    b : Tensor of shape (m, e)
    sigma : float
        Bandwidth, in units of a and b.
    """
    return torch.exp(squared_distance_matrix(a, b) * (-0.5 / sigma**2))


def median_distance(z, generator=None):
    """Median Euclidean distance between two rows of z (n, e), as a float.

    Of more than 2,000 rows as many are drawn with `generator`. It is 0 where most rows are equal.
    """
    if len(z) > MEDIAN_ROWS:
        z = z[torch.randperm(len(z), generator=generator)[:MEDIAN_ROWS]]
    return float(np.median(torch.pdist(z.double()).numpy()))


def kernel_gib(n):
    """Size of a float32 matrix (n, n) in GiB."""
    return 4 * n**2 / 2**30


class KernelOperator:
    r"""Centred, degree-normalised kernel matrix :math:`L = H D^{-1/2} K D^{-1/2} H`, by products.

    K is the Gaussian kernel of the rows, :math:`D = \mathrm{diag}(K 1)` their degrees and
    :math:`H = I - 1 1^T / n` centres (Wu et al., KNet). Products with L need O(n^2) time; memory
    is one float32 matrix (n, n), or O(n block_size).

    Parameters
    ----------
    z : Tensor of shape (n, e)
        Embedded rows, on the CPU; taken as float32.

    sigma : float
        Bandwidth of the kernel.

    zero_diagonal : bool, default=True
        Without the kernel of each row with itself. It says nothing about its neighbours, and
        would make every isolated row a cluster of its own.

    normalize_degree : bool, default=True
        False leaves out the degrees: D = I.

    block_size : int, default=None
        Compute this many rows of K at a time, again for every product; None stores K.

    Attributes
    ----------
    degrees : float64 Tensor of shape (n,)
    scaling : float64 Tensor of shape (n,)
        Diagonal of D^(-1/2); 0 for isolated rows.
    isolated : bool Tensor of shape (n,)
        Rows without neighbours: their degree is less than 1e-6 of the median one, or all but 0.
    """

    def __init__(self, z, sigma, *, zero_diagonal=True, normalize_degree=True, block_size=None):
        self.z = z.float()
        self.sigma = sigma
        self.zero_diagonal = zero_diagonal
        self.normalize_degree = normalize_degree
        self.block_size = block_size or BLOCK_ROWS
        self._kernel = None
        if block_size is None:
            self._kernel = torch.empty(len(z), len(z), dtype=torch.float32)
        # In float64, as eigenvalues near 1 differ by less than the rounding of float32.
        self.degrees = torch.empty(len(z), dtype=torch.float64)
        for rows, block in self._blocks():
            self.degrees[rows] = block.sum(1, dtype=torch.float64)
            if self._kernel is not None:
                self._kernel[rows] = block
        floor = max(ISOLATED * float(self.degrees.median()), np.finfo(np.float32).tiny)
        self.isolated = self.degrees <= floor
        self.scaling = torch.ones_like(self.degrees)
        if normalize_degree:
            self.scaling = self.degrees.clamp_min(floor).rsqrt()
        self.scaling[self.isolated] = 0.0

    def __len__(self):
        return len(self.z)

    @property
    def stored(self):
        """Whether K is in memory."""
        return self._kernel is not None

    def _blocks(self):
        for start in range(0, len(self.z), self.block_size):
            rows = slice(start, min(start + self.block_size, len(self.z)))
            block = gaussian_kernel(self.z[rows], self.z, self.sigma)
            if self.zero_diagonal:
                block[range(len(block)), range(rows.start, rows.stop)] = 0.0
            yield rows, block

    def kernel_product(self, v):
        """Product K v of a float32 Tensor (n, c), without centring and degrees; float64."""
        if self._kernel is not None:
            return (self._kernel @ v).double()
        out = torch.empty(v.shape, dtype=torch.float64)
        for rows, block in self._blocks():
            out[rows] = (block @ v).double()
        return out

    def __matmul__(self, v):
        """Product L v, float64 Tensor (n, c)."""
        v = self.scaling.unsqueeze(1) * (v - v.mean(0))
        # Products in float32: of entries in [0, 1] they are exact to six digits or so.
        v = self.scaling.unsqueeze(1) * self.kernel_product(v.float())
        return v - v.mean(0)

    def toarray(self):
        """The whole matrix, float64 Tensor (n, n)."""
        kernel = self._kernel
        if kernel is None:
            kernel = torch.cat([block for _, block in self._blocks()])
        kernel = kernel.double()
        kernel *= self.scaling.unsqueeze(1) * self.scaling
        kernel -= kernel.mean(0)
        return kernel - kernel.mean(1, keepdim=True)


def batch_kernel(distances, sigma_scale=0.15, bandwidth="code", weight=None):
    r"""Gaussian kernel of a batch at a bandwidth that follows its median distance.

    :math:`K_{ij} = \exp(-d_{ij}^2 / s)` with s a share of the median over all n^2 pairs, those
    of each row with itself included. No gradient goes through s.

    Parameters
    ----------
    distances : Tensor of shape (n, n)
        Squared distances, of whatever kind.

    sigma_scale : float, default=0.15
        The share :math:`\rho`.

    bandwidth : {"code", "mvc", "thesis"}, default="code"
        What it is a share of. "code": :math:`s = \rho\, \mathrm{median}(d^2)`, as in the code of
        the tensor kernel thesis; "mvc": twice that, as in later code; "thesis": :math:`s = 2
        \sigma^2` with :math:`\sigma = \rho\, \mathrm{median}(d)`, as in its text.

    weight : Tensor of shape (n,), default=None
        How much each row counts in the median: a row of weight 2 as two equal rows.

    Returns
    -------
    kernel : Tensor of shape (n, n)
    """
    flat = distances.detach().flatten()
    median = flat.median() if weight is None else _weighted_median(flat, weight)
    factor = {"code": sigma_scale, "mvc": 2 * sigma_scale, "thesis": 2 * sigma_scale**2}[bandwidth]
    return torch.exp(-distances / (factor * median).clamp_min(1e-9))


def _weighted_median(distances, weight):
    """The least of the distances (n * n,) of all pairs that half of the weight does not exceed."""
    distances, order = distances.sort()
    share = torch.outer(weight, weight).flatten()[order].double().cumsum(0)
    # What is half but for rounding is half.
    return distances[torch.searchsorted(share, share[-1] * (0.5 - 1e-6))]
