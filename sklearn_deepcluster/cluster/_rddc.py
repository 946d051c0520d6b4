"""RDDC: deep divergence-based clustering of sequences.

Reference: Trosten, Strauman, Kampffmeyer, Jenssen, "Recurrent Deep Divergence-Based Clustering"
(ICASSP 2019). Implemented: DDC on a bidirectional network of gated units.
"""

from torch import nn

from sklearn_deepcluster.cluster._ddc import DDC
from sklearn_deepcluster.representation import GRUEncoder


class RDDC(DDC):
    """Recurrent deep divergence-based clustering, of sequences of different lengths.

    DDC with a bidirectional recurrent network. X is a list of arrays (time, features), an array
    (n_samples, time, features) padded with NaN at the end, or has flat rows: sequences of numbers,
    or what ``encoder__sample_shape`` says.

    Parameters
    ----------
    encoder : GRUEncoder, nn.Module or callable
        The network; None is ``GRUEncoder()``. A module of the user is copied, and a callable is
        called with the number of features per step; their forward takes sequences
        (b, time, features) with NaN after the end of each, of which ``nn.pack`` makes a torch
        ``PackedSequence``, and gives what ``DDC`` wants.

    See Also
    --------
    DDC : The same for tables and images.
    RDTKC : Adds objectives on the intermediate layers.

    References
    ----------
    .. [1] D. J. Trosten, A. S. Strauman, M. Kampffmeyer, R. Jenssen, "Recurrent Deep
       Divergence-Based Clustering for Simultaneous Feature Learning and Clustering of Variable
       Length Time Series", ICASSP 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_deepcluster import RDDC
    >>> rng = np.random.RandomState(0)
    >>> X = [s * rng.rand(t, 2) for t in range(5, 15) for s in (-1, 1)]
    >>> RDDC(2, min_steps=30, random_state=0).fit(X).predict([np.ones((3, 2))]).shape
    (1,)
    """

    _parameter_constraints = {
        **DDC._parameter_constraints,
        "encoder": [GRUEncoder, nn.Module, callable, None],
    }

    def _default_network(self, sample_shape):
        return GRUEncoder()
