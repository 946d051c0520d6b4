"""A subset of the rows whose kernel has the spectrum of the whole (KNet, out-of-sample)."""

import torch

from sklearn_deepcluster.kernels._gaussian import KernelOperator

# The whole is judged by at most so many rows.
REFERENCE_ROWS = 2000
_MASS = 0.95
_TOLERANCE = 0.005
_DRAWS = 20
_STEP = 0.05


def spectrum(z, sigma, **params):
    """Leading eigenvalues of L, 95 % of the positive mass, as shares of it; falling, float64.

    Parameters
    ----------
    z : Tensor of shape (n, e)
    sigma : float
    **params : dict
        Of `KernelOperator`.
    """
    values = torch.linalg.eigvalsh(KernelOperator(z, sigma, **params).toarray()).flip(0)
    shares = values.clamp_min(0.0) / values.clamp_min(0.0).sum()
    return shares[: int((shares.cumsum(0) < _MASS).sum()) + 1]


def spectrum_subset(z, sigma, generator, *, n_min=1, **params):
    """Draw rows whose kernel has the leading spectrum of the whole.

    As in the authors' procedure: of 20 draws the one whose spectrum is nearest (in the largest
    difference), from 5 % of the rows on, in steps of 5 %, until it is within 0.005. Of more than
    2,000 rows the whole is itself judged by so many.

    Parameters
    ----------
    z : Tensor of shape (n, e)
    sigma : float
    generator : torch.Generator
    n_min : int, default=1
        Least number of rows.
    **params : dict
        Of `KernelOperator`.

    Returns
    -------
    rows : int64 Tensor, sorted
    """
    order = torch.randperm(len(z), generator=generator)
    reference = z[order[:REFERENCE_ROWS]]
    n = len(reference)
    whole = spectrum(reference, sigma, **params)
    size = max(n_min, round(_STEP * n))
    while size < n:
        best = (float("inf"), None)
        for _ in range(_DRAWS):
            rows = torch.randperm(n, generator=generator)[:size]
            part = spectrum(reference[rows], sigma, **params)
            k = min(len(part), len(whole))
            best = min(best, (float((part[:k] - whole[:k]).abs().max()), rows), key=lambda b: b[0])
        if best[0] < _TOLERANCE:
            return order[best[1]].sort().values
        size += max(1, round(_STEP * n))
    return order[:n].sort().values
