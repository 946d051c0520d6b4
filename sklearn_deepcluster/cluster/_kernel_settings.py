"""The kernel of KNet: its bandwidth, its rows, and what of it fits in memory."""

import dataclasses
import numbers
from typing import ClassVar

import numpy as np
import torch

from sklearn_deepcluster._engine import generator
from sklearn_deepcluster.base import POSITIVE_INT
from sklearn_deepcluster.cluster._kernel_width import spectral_width
from sklearn_deepcluster.kernels import (
    KernelOperator,
    kernel_gib,
    median_distance,
    spectrum_subset,
)
from sklearn_deepcluster.kernels._gaussian import MEDIAN_ROWS
from sklearn_deepcluster.kernels._subset import REFERENCE_ROWS
from sklearn_deepcluster.utils._sklearn import Interval, StrOptions
from sklearn_deepcluster.utils._warnings import warn_user

# Greatest kernel matrix that is stored; beyond, a subset or blocks must be asked for.
MAX_KERNEL_GIB = 2.0
POSITIVE = Interval(numbers.Real, 0, None, closed="neither")


@dataclasses.dataclass(frozen=True)
class KernelSettings:
    """Parameters of ``KNet`` that are about the kernel, and what follows from them."""

    n_clusters: int
    sigma: float | str
    sigma_scale: float | str
    zero_diagonal: bool
    normalize_degree: bool
    max_samples: int | float | str | None
    block_size: int | None

    constraints: ClassVar[dict] = {
        "sigma": [StrOptions({"median"}), POSITIVE],
        "sigma_scale": [StrOptions({"auto"}), POSITIVE],
        "zero_diagonal": ["boolean"],
        "normalize_degree": ["boolean"],
        "max_samples": [
            *POSITIVE_INT,
            Interval(numbers.Real, 0, 1, closed="right"),
            StrOptions({"spectrum"}),
            None,
        ],
        "block_size": [*POSITIVE_INT, None],
    }

    @classmethod
    def of(cls, estimator):
        """Those of an estimator that has them all."""
        return cls(**{f.name: getattr(estimator, f.name) for f in dataclasses.fields(cls)})

    def n_used(self, n):
        """Rows of n to train with; at most so many where the spectrum decides."""
        if self.max_samples is None:
            return n
        if self.max_samples == "spectrum":
            return min(n, REFERENCE_ROWS)
        if isinstance(self.max_samples, numbers.Integral):
            return min(n, int(self.max_samples))
        return max(1, round(self.max_samples * n))

    def check(self, X, n_vectors, *, embedded):
        """Refuse too few rows, and too many for memory, and of an embedding X one without a unit.

        Raises
        ------
        ValueError
        """
        n = self.n_used(len(X))
        if n < self.n_clusters:
            raise ValueError(
                f"max_samples={self.max_samples!r} leaves {n} rows to train with, fewer than "
                f"n_clusters={self.n_clusters}."
            )
        if n_vectors is not None and n_vectors > n:
            raise ValueError(f"n_vectors={n_vectors} is more than the {n} rows to train with.")
        if self.block_size is None and kernel_gib(n) > MAX_KERNEL_GIB:
            raise ValueError(
                f"The kernel matrix of {n} rows takes {kernel_gib(n):.1f} GiB. Train with fewer "
                "rows (max_samples), or compute the matrix block by block (block_size), which "
                "takes far longer."
            )
        if embedded:
            rows = np.linspace(0, len(X) - 1, min(len(X), MEDIAN_ROWS)).astype(int)
            self.unit(torch.from_numpy(np.array(X[rows], dtype=np.float32)), None)

    def bandwidth(self, z, rng):
        """Bandwidth for the embedding z (n, e)."""
        sigma, scale = self.unit(z, rng), self.sigma_scale
        if scale == "auto":
            options = {"zero_diagonal": self.zero_diagonal}
            scale = spectral_width(z, sigma, self.n_clusters, rng, **options)
        return float(sigma * scale)

    def unit(self, z, rng):
        """The `sigma` of the embedding z (n, e)."""
        sigma = self.sigma
        if sigma == "median":
            # Equal rows are one cluster, whatever the bandwidth.
            sigma = 1.0 if (z == z[0]).all() else median_distance(z, rng)
            if sigma == 0.0:
                raise ValueError(
                    "sigma='median' is 0: more than half of the pairs of rows are equal. Give "
                    "sigma as a number."
                )
        return float(sigma)

    def operator(self, z, sigma):
        """The kernel of the embedding z (n, e)."""
        return KernelOperator(z, sigma, block_size=self.block_size, **self._options())

    def prepared(self, task, sigma):
        """Bandwidth, kernel, and the task with the rows to train with.

        `sigma` is that of the last fit, where this one goes on from it, else None.
        """
        rng = generator(task.seed)
        n, n_used = len(task.rows), self.n_used(len(task.rows))
        if n_used < n:  # before anything is embedded: of many rows the rest is never needed
            task = task.with_rows(torch.randperm(n, generator=rng)[:n_used].sort().values)
        z = task.embed()
        sigma = self.bandwidth(z, rng) if sigma is None else sigma
        if self.max_samples == "spectrum":
            chosen = spectrum_subset(z, sigma, rng, n_min=self.n_clusters, **self._options())
            task, z = task.with_rows(chosen), z[chosen]
        operator = self.operator(z, sigma)
        if operator.isolated.any() and n > 1:
            connected = self._connected(operator)
            task, operator = task.with_rows(connected), self.operator(z[connected], sigma)
        return sigma, operator, task

    def _options(self):
        return {"zero_diagonal": self.zero_diagonal, "normalize_degree": self.normalize_degree}

    def _connected(self, operator):
        """Rows that have neighbours; the others would be clusters of their own."""
        connected = torch.nonzero(~operator.isolated)[:, 0]
        what = f"With the bandwidth sigma_={operator.sigma:.3g}"
        if len(connected) < max(2, self.n_clusters):
            raise ValueError(
                f"sigma is too small: {what.lower()} {len(connected)} of {len(operator)} rows "
                f"have a neighbour; n_clusters={self.n_clusters}. Raise sigma or sigma_scale."
            )
        warn_user(
            f"{what} {len(operator) - len(connected)} of {len(operator)} rows have no "
            "neighbours: they take no part in the training and join the nearest cluster.",
            UserWarning,
        )
        return connected
