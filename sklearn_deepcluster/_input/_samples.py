"""What reading X gives: rows of numbers and what is known of them."""

import dataclasses

import numpy as np
import torch
from scipy.sparse import csr_array

from sklearn_deepcluster._engine import Rows
from sklearn_deepcluster._input._indexed import IndexedRows


@dataclasses.dataclass(frozen=True, kw_only=True)
class Form:
    """What a network has to know of samples to be built.

    Attributes
    ----------
    sample_shape : tuple of int
        Shape of one sample as it was given; (time, features) of sequences.
    n_features_in : int
        What scikit-learn calls so: the values of a sample, or of a step of a sequence.
    n_samples : int or None
        How many there are to learn from, as far as that is known.
    """

    sample_shape: tuple
    n_features_in: int
    n_samples: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Samples(Form):
    """Samples that were checked, one per row.

    Attributes
    ----------
    X : ndarray of shape (n, d), contiguous, memmap, csr_array or IndexedRows; of any real dtype
        Images and sequences are flattened, and sequences padded with NaN to one length. Sparse rows
        have sorted indices, each once, and no stored zeros.
    feature_names : ndarray of str or None
    weight : float64 ndarray of shape (n,) or None
        How much each counts, with mean 1; None where all count the same.
    mean_weight : float
        By which the weights of those that count were divided.
    kept : bool ndarray of shape (n_given,) or None
        Which of the samples as given these are, where some do not count; see :func:`weigh`.
    """

    X: np.ndarray | csr_array | IndexedRows
    feature_names: np.ndarray | None = None
    weight: np.ndarray | None = None
    mean_weight: float = 1.0
    kept: np.ndarray | None = None

    def __post_init__(self):
        object.__setattr__(self, "n_samples", len(self))

    def __len__(self):
        return self.X.shape[0]

    @property
    def n_given(self):
        """Number of samples as given."""
        return len(self) if self.kept is None else len(self.kept)

    def rows(self, standard, device):
        """The samples as rows in the unit of a network."""
        weight = None if self.weight is None else torch.from_numpy(self.weight).float()
        return Rows(self.X, standard=standard, device=device, weight=weight)

    @property
    def fitted(self):
        """Attributes of an estimator that is fitted on these samples."""
        names = {} if self.feature_names is None else {"feature_names_in_": self.feature_names}
        return {
            "n_features_in_": self.n_features_in,
            "n_samples_fit_": len(self),
            "sample_shape_": self.sample_shape,
            **names,
        }
