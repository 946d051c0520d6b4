"""k-means as a layer of free weights on fixed features, the first of the papers of k-meansNet.

Deviations: the loss has no factor 1 / alpha and no mean of the biases, which change no assignment
and would let it sink for ever; training ends when a cluster loses its last row, as otherwise most
are lost.
"""

import dataclasses

import torch
from torch import nn

from sklearn_deepcluster._engine import Callback, Rows, Snapshot
from sklearn_deepcluster.cluster._start import within_variance
from sklearn_deepcluster.cluster._task import Outcome


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

    def head(self):
        """The layer as what maps the embedding to clusters."""
        return {"coef_": self.weight.detach(), "intercept_": self.bias.detach()}

    def encode(self, x):
        """The logits (b, k) of features x (b, e)."""
        return nn.functional.linear(x, self.weight, self.bias)

    def forward(self, x):
        """Return the logits (b, k) of features x (b, e), and the biases."""
        return self.encode(x), self.bias


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

    def forward(self, step):
        """Return the terms of the loss for a batch; "entropy" is that of the assignment."""
        logits, bias = step.outputs
        log_proba = logits.log_softmax(1)
        proba = log_proba.exp()
        norms = self.alpha * step.x.square().sum(1, keepdim=True)
        loss = step.mean((proba * (norms - logits)).sum(1)) + bias.mean()
        return {"loss": loss, "entropy": -step.mean((proba * log_proba).sum(1)).detach()}


class LayerSchedule(Callback):
    """After each round: stop if the loss settles or a cluster is lost, which is taken back."""

    def __init__(self, layer, features, tol):
        self.layer = layer
        self.features = features
        self.tol = tol
        self.labels_ = self._labels()
        self.kept_ = Snapshot(layer)

    @torch.no_grad()
    def _labels(self):
        return self.layer(self.features)[0].argmax(1)

    def on_epoch_end(self, net, **kwargs):
        labels, before = self._labels(), self.labels_
        net.history.record("label_change", float((labels != before).float().mean()))
        if len(labels.unique()) < len(before.unique()):
            self.kept_.restore()
            net.kept_epoch = len(net.history) - 1
            net.stop_training = True
            return
        self.labels_ = labels
        self.kept_.keep()
        if len(net.history) > 1:
            last, now = (row["train_loss"] for row in net.history[-2:])
            net.stop_training |= abs(now - last) < self.tol * abs(now)


def train_layer(task, alpha, tol, **rounds):
    """Train the layer alone, on the embedding as it is.

    Parameters
    ----------
    task : Task
    alpha : float or "auto"
    tol : float
    **rounds : dict
        See ``task.train``.
    """
    trainer = dataclasses.replace(task.trainer, autocast=False, global_rng=False)
    task = dataclasses.replace(task, trainer=trainer)
    z = task.embed()
    if task.resumed:
        layer = KMeansLayer(task.head["coef_"], task.head["intercept_"])
    else:
        labels, centers = task.start.clusters(z)
        alpha = softness(z, labels, centers, task.weight) if alpha == "auto" else alpha
        layer = KMeansLayer.at(centers, alpha)
    layer.to(trainer.device)
    schedule = LayerSchedule(layer, z.to(trainer.device), tol)
    embedded = Rows(z.numpy(), device=trainer.device, weight=task.weight)
    task = dataclasses.replace(task, module=layer, rows=embedded, data=task.rows)
    history = task.train(
        KMeansLayerLoss(alpha), schedule=[schedule], assign=lambda z: z.argmax(1), **rounds
    )
    return Outcome(layer.head(), history, {"alpha_": float(alpha)})


def layer_pass(head, alpha, trainer, rows, **options):
    """The head after one pass of the layer over embedded rows."""
    layer = KMeansLayer(head["coef_"], head["intercept_"]).to(trainer.device)
    trainer.train(layer, KMeansLayerLoss(alpha), rows, epochs=1, **options)
    return layer.head()


def softness(z, labels, centers, weight=None):
    """The alpha of round Gaussians as wide as the clusters, one over twice their variance."""
    return 0.5 / within_variance(z, labels, centers, weight)
