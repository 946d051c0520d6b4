"""k-means as a layer: its objectives and schedules, decoupled and on the unit sphere."""

import copy

import torch
from torch import nn

from sklearn_deepcluster._engine import Callback
from sklearn_deepcluster.cluster._init import within_variance
from sklearn_deepcluster.cluster._task import watch_labels

# Length of a step of the centres, in units of their norm.
CENTER_STEP = 0.1


class KMeansLayer(nn.Module):
    r"""k-means as a linear layer: :math:`z_{ij} = W_j^T x_i + b_j`.

    With :math:`W_j = 2 \alpha \Omega_j` and :math:`b_j = -\alpha \lVert \Omega_j \rVert^2` the
    logits are :math:`\alpha \lVert x_i \rVert^2 - \alpha \lVert x_i - \Omega_j \rVert^2`: where it
    starts. W and b are then trained as they are.

    Parameters
    ----------
    weight : Tensor of shape (k, e)
    bias : Tensor of shape (k,)
    """

    def __init__(self, weight, bias):
        super().__init__()
        self.weight = nn.Parameter(weight.clone())
        self.bias = nn.Parameter(bias.clone())

    @classmethod
    def at(cls, centers, alpha):
        """The layer of k-means with these centres (k, e)."""
        return cls(2.0 * alpha * centers, -alpha * centers.square().sum(1))

    def forward(self, x):
        """Return the logits (b, k) of features x (b, e), and the biases."""
        return nn.functional.linear(x, self.weight, self.bias), self.bias


class KMeansLayerLoss(nn.Module):
    r"""The objective of k-meansNet, times :math:`\alpha` and without the mean of the biases.

    .. math::
        L = \frac{1}{b} \sum_{i \in B} \sum_j I_{ij} (\alpha \lVert x_i \rVert^2 - z_{ij})
            + \frac{1}{k} \sum_j b_j , \qquad I_{ij} = \mathrm{softmax}_j(z_{ij})

    Parameters
    ----------
    alpha : float
    """

    def __init__(self, alpha):
        super().__init__()
        self.alpha = alpha

    def forward(self, outputs, x, index):
        """Return the terms of the loss for a batch; "entropy" is that of the assignment."""
        logits, bias = outputs
        log_proba = logits.log_softmax(1)
        proba = log_proba.exp()
        norms = self.alpha * x.square().sum(1, keepdim=True)
        loss = (proba * (norms - logits)).sum(1).mean() + bias.mean()
        return {"loss": loss, "entropy": -(proba * log_proba).sum(1).mean().detach()}


class LayerSchedule(Callback):
    """After each round: stop if the loss settles or a cluster is lost, which is taken back."""

    def __init__(self, layer, features, tol):
        self.layer = layer
        self.features = features
        self.tol = tol
        self.labels_ = self._labels()
        self.kept_ = self._state()

    @torch.no_grad()
    def _labels(self):
        return self.layer(self.features)[0].argmax(1)

    def _state(self):
        return copy.deepcopy(self.layer.state_dict())

    def on_epoch_end(self, net, **kwargs):
        labels, before = self._labels(), self.labels_
        net.history.record("label_change", float((labels != before).float().mean()))
        if len(labels.unique()) < len(before.unique()):
            self.layer.load_state_dict(self.kept_)
            net.stop_training = True
            return
        self.labels_, self.kept_ = labels, self._state()
        if len(net.history) > 1:
            last, now = (row["train_loss"] for row in net.history[-2:])
            net.stop_training |= abs(now - last) < self.tol * abs(now)


def unit_centers(centers):
    return nn.functional.normalize(centers, dim=1)


def move_centers(centers, z, step=CENTER_STEP):
    """Turn unit centres (k, e) towards the mean direction of their rows among z (b, e), in place.

    A centre without a row stays.
    """
    members = nn.functional.one_hot((z @ centers.T).argmax(1), len(centers)).to(z.dtype)
    centers.copy_(unit_centers(centers + step * unit_centers(members.T @ z)))


class UnitKMeansLoss(nn.Module):
    r"""The objective of TELL.

    .. math::
        L = \frac{1}{b d} \sum_{i \in B} \lVert x_i - g(z_i) \rVert^2
            + \frac{\gamma}{2 b} \sum_{i \in B} \min_j \lVert z_i - \Omega_j \rVert^2

    with features and centres of norm 1. In rounds that move the centres the second term is left
    out, and the centres make a step towards their rows with every batch.

    Parameters
    ----------
    centers : Tensor of shape (k, e)
    reconstruction : nn.Module
        Loss of the representation, the first term.
    gamma : float
    """

    def __init__(self, centers, reconstruction, gamma):
        super().__init__()
        self.register_buffer("centers", unit_centers(centers))
        self.reconstruction = reconstruction
        self.gamma = gamma
        self.moves_centers = False

    def forward(self, outputs, x, index):
        """Return the terms of the loss for a batch."""
        z = outputs[0]
        # Half the squared distance of two rows of norm 1.
        distance = 1.0 - (z @ self.centers.T).max(1).values.mean()
        terms = self.reconstruction(outputs, x, index)
        error = terms.pop("loss")
        terms |= {"distance": distance.detach(), "reconstruction": error.detach()}
        if not self.moves_centers:
            return {"loss": error + self.gamma * distance, **terms}
        with torch.no_grad():
            move_centers(self.centers, z.detach())
        return {"loss": error, **terms}


class Alternation(Callback):
    """Rounds of centres and rounds of the network in turn; stop if few labels changed in both."""

    def __init__(self, task, objective, tol):
        self.task = task
        self.objective = objective
        self.tol = tol
        self.labels_ = None

    def on_epoch_begin(self, net, **kwargs):
        self.objective.moves_centers = len(net.history) % 2 == 1  # the round that begins counts
        if not self.objective.moves_centers:
            return
        z = self.task.embed()
        labels = (z @ self.objective.centers.to(z.device).T).argmax(1)
        watch_labels(net, self.labels_, labels, self.tol)
        self.labels_ = labels


def softness(z, labels, centers):
    """The alpha of round Gaussians as wide as the clusters, one over twice their variance."""
    return 0.5 / within_variance(z, labels, centers)
