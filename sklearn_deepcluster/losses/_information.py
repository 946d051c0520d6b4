"""Mutual information of samples and clusters (Krause, Perona, Gomes, 2010; Hu et al., 2017)."""

import math

from sklearn_deepcluster.losses._weighted import weighted


def mutual_information(log_proba, weight=None):
    r"""The two entropies whose difference is the mutual information, in nats.

    .. math:: H(\bar p) = -\sum_j \bar p_j \log \bar p_j, \quad
              \overline{H(p)} = -\frac{1}{n} \sum_i \sum_j p_{ij} \log p_{ij}

    The first is large where clusters are of equal size, the second small where each sample is
    clearly in one.

    Parameters
    ----------
    log_proba : Tensor of shape (n, k)
        Log-probabilities of the clusters.
    weight : Tensor of shape (n,), default=None
        How much each sample counts, with mean 1.

    Returns
    -------
    marginal, conditional : scalar Tensors
    """
    counted = log_proba if weight is None else log_proba + weight.log().unsqueeze(1)
    mean = counted.logsumexp(0) - math.log(len(log_proba))
    conditional = weighted((log_proba.exp() * log_proba).sum(1), weight).mean()
    return -(mean.exp() * mean).sum(), -conditional
