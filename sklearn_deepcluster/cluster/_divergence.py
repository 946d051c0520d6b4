"""The objective of DDC and its relatives, and when the training of sequences is at rest."""

import torch

from sklearn_deepcluster._engine import Callback
from sklearn_deepcluster.cluster._softmax import SoftmaxLayer
from sklearn_deepcluster.kernels import batch_kernel, squared_distance_matrix
from sklearn_deepcluster.losses import ddc_terms

# From a given start the clusters of sequences settle in an epoch or two, and a step of a recurrent
# network costs that of many others: an epoch that changes no more than this share is the last one.
AT_REST = 0.005


class DivergenceLoss(SoftmaxLayer):
    r"""The objective of DDC: overlap of clusters, spread of assignments, closeness to corners.

    Parameters
    ----------
    weight : Tensor of shape (k, e)
    bias : Tensor of shape (k,)
        Start of the soft-max layer; both are learned.
    sigma_scale, bandwidth : see :func:`~sklearn_deepcluster.kernels.batch_kernel`
    prior : Tensor of shape (k,) or None
    """

    def __init__(self, weight, bias, sigma_scale, bandwidth, prior=None):
        super().__init__(weight, bias)
        self.sigma_scale = sigma_scale
        self.bandwidth = bandwidth
        self.register_buffer("prior", prior)

    def forward(self, step):
        """Return the terms of the loss for a batch."""
        z, weight = step.outputs[0], step.own_weight
        distances = squared_distance_matrix(z, z)
        kernel = batch_kernel(distances, self.sigma_scale, self.bandwidth, weight)
        terms = step.scaled(ddc_terms(self.assignments(z), kernel, self.prior, weight))
        return {"loss": sum(terms.values()), **terms}


class StopAtRest(Callback):
    """Stop after an epoch in which hardly any label changed."""

    def __init__(self, task, objective):
        self.task = task
        self.objective = objective

    def on_train_begin(self, net, **kwargs):
        self.labels_ = self._labels()

    def on_epoch_end(self, net, **kwargs):
        labels = self._labels()
        net.stop_training |= float((labels != self.labels_).float().mean()) <= AT_REST
        self.labels_ = labels

    def _labels(self):
        with torch.no_grad():
            z = self.task.embed(self.objective.weight.device)
            return self.objective.log_proba(z).argmax(1)
