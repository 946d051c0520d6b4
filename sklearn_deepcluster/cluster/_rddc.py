"""RDDC: deep divergence-based clustering of sequences.

Reference: Trosten, Strauman, Kampffmeyer, Jenssen, "Recurrent Deep Divergence-Based Clustering"
(ICASSP 2019). Implemented: DDC on a bidirectional network of gated units. Deviations, unless
``init`` is None: those of DDC, and training ends once the labels are at rest.
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

    init : {"ac-mod", "ac-pic", "ac-gdl", "k-means"}, clusterer or None
        Where to start from: clusters that the network learns first, for four passes and until it
        agrees with 94 % of them (2,000 steps at most). By name they are found in one of several
        descriptions of the sequences: values padded with zeros; values stretched to one length;
        mean and deviation of each feature; the spectrum, which no shift in time changes; or all
        but mean and deviation together. It is the one whose clusters of one half of the rows are
        found again in the other (see Notes). A clusterer is given the padded values, as in
        ``init=GraphAgglomerative()``. None is random weights, as published.

    See Also
    --------
    DDC : The same for tables and images.
    RDTKC : Adds objectives on the intermediate layers.

    Notes
    -----
    Descriptions are compared by the adjusted Rand index of clusters of one half of up to 1,000 rows
    and those of the other half that they are nearest to, less what chance gives: that of Gaussian
    rows with the same covariance. Where no description reaches half of what is possible, the
    spectrum is taken, unless another reaches twice as much. With fewer than eight sequences per
    cluster padded values are taken.

    Unless `init` is None, training ends with the first epoch that changes at most .5 % of the
    labels.

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
    >>> X = [s * rng.rand(t, 2) for t in range(3, 8) for s in (-1, 1)]
    >>> RDDC(2, min_steps=30, random_state=0).fit(X).predict([np.ones((3, 2))]).shape
    (1,)
    """

    _parameter_constraints = {
        **DDC._parameter_constraints,
        "encoder": [GRUEncoder, nn.Module, callable, None],
    }

    def _default_network(self, form):
        return GRUEncoder()
