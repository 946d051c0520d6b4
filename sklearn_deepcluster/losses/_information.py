"""Mutual information of samples and clusters (Krause, Perona, Gomes, 2010; Hu et al., 2017)."""

import math


def mutual_information(log_proba):
    r"""The two entropies whose difference is the mutual information, in nats.

    .. math:: H(\bar p) = -\sum_j \bar p_j \log \bar p_j, \quad
              \overline{H(p)} = -\frac{1}{n} \sum_i \sum_j p_{ij} \log p_{ij}

    The first is large where clusters are of equal size, the second small where each sample is
    clearly in one.

    Parameters
    ----------
    log_proba : Tensor of shape (n, k)
        Log-probabilities of the clusters.

    Returns
    -------
    marginal, conditional : scalar Tensors
    """
    mean = log_proba.logsumexp(0) - math.log(len(log_proba))
    return -(mean.exp() * mean).sum(), -(log_proba.exp() * log_proba).sum(1).mean()
