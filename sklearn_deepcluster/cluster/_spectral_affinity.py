"""What SpectralNet takes for near: weights of the pairs of a batch, and Siamese distances."""

import dataclasses

import torch
from sklearn.neighbors import NearestNeighbors
from torch import nn

from sklearn_deepcluster._engine import BestEpoch, generator
from sklearn_deepcluster.cluster._neighbors import nearest_neighbors
from sklearn_deepcluster.nn import AutoencoderModule, mlp

# Least local scale, relative to the median one: many equal rows have none.
_LEAST_SCALE = 1e-3
# Outputs of the Siamese network, and the distance that rows drawn at random should have in them.
_SIAMESE_COMPONENTS, _MARGIN = 10, 1.0


def batch_affinity(points, n_neighbors, scale_k):
    r"""Gaussian affinities of the rows of a batch, symmetric Tensor (m, m) with a zero diagonal.

    :math:`W = (A + A^T) / 2` with :math:`A_{ij} = \exp(-d_{ij}^2 / 2 \sigma_i^2)` for the nearest
    neighbours j of i, else 0; :math:`\sigma_i` is the distance to the `scale_k`-th of them.

    Parameters
    ----------
    points : Tensor of shape (m, e)
    n_neighbors : int or None
        At most m - 1 count; None is all.
    scale_k : int
    """
    others = len(points) - 1
    if others == 0:
        return points.new_zeros(1, 1)
    # Products would cancel: neighbours can be much nearer than rows are to the mean.
    distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    distances.fill_diagonal_(torch.inf)
    n_neighbors = min(n_neighbors or others, others)
    scale_k = min(scale_k, others)
    near, which = distances.topk(max(n_neighbors, scale_k), largest=False)
    scale = near[:, scale_k - 1 : scale_k]
    floor = (_LEAST_SCALE * scale.median()).clamp_min(torch.finfo(torch.float32).tiny)
    kept = torch.exp(-0.5 * (near[:, :n_neighbors] / scale.clamp_min(floor)).square())
    affinity = torch.zeros_like(distances).scatter_(1, which[:, :n_neighbors], kept)
    return 0.5 * (affinity + affinity.T)


class ContrastiveLoss(nn.Module):
    r"""The loss of the Siamese network, of triples of a row, a neighbour and another row.

    .. math::
        L = \frac{1}{b} \sum_i \max(d(x_i, x_i^+) - m, 0)^2 + \max(1 - d(x_i, x_i^-), 0)^2

    Parameters
    ----------
    slack : float
        The m up to which neighbours may be apart.
    """

    def __init__(self, slack=0.0):
        super().__init__()
        self.slack = slack

    def forward(self, step):
        """Return the terms of the loss for a batch: rows, then neighbours, then other rows."""
        row, neighbor, other = step.outputs[0].chunk(3)
        near, far = (_distance(row, partner) for partner in (neighbor, other))
        attraction = (near - self.slack).clamp_min(0.0).square().mean()
        return {"loss": attraction + (_MARGIN - far).clamp_min(0.0).square().mean()}


def _distance(a, b):
    """Distances of the rows of a and b; where they are equal their gradient is 0."""
    return torch.linalg.vector_norm(a - b, dim=1)


class Triples:
    """Batches of rows, a neighbour of each and another row of each: three parts of equal size.

    Parameters
    ----------
    neighbors : int64 Tensor of shape (n, q)
    rows : Rows
    batch_size : int
    generator : torch.Generator
    """

    def __init__(self, neighbors, rows, batch_size, generator):
        self.neighbors, self.rows, self.generator = neighbors, rows, generator
        self.n_batches = -(-len(rows) // batch_size)

    def __iter__(self):
        n, q = self.neighbors.shape
        order = torch.randperm(n, generator=self.generator)
        for row in order.tensor_split(self.n_batches):
            which = torch.randint(q, row.shape, generator=self.generator)
            ahead = torch.randint(1, n, row.shape, generator=self.generator)
            index = torch.cat([row, self.neighbors[row, which], (row + ahead) % n])
            yield self.rows.batch(index)


def siamese_points(task, hidden_layer_sizes, n_neighbors, rounds, patience):
    """Train a Siamese network on codes; return what it makes of them, Tensor (n, 10) on the CPU.

    Parameters
    ----------
    task : Task
        Whose rows are the codes.
    hidden_layer_sizes : sequence of int
    n_neighbors : int
        Neighbours of a row, that are to be near.
    rounds, patience : int
        Passes over the data at most, and without a new least loss.
    """
    codes = task.rows.X
    search = NearestNeighbors(n_neighbors=min(n_neighbors, len(codes) - 1)).fit(codes)
    neighbors = torch.from_numpy(nearest_neighbors(search, codes, "auto"))
    sizes = [codes.shape[1], *hidden_layer_sizes, _SIAMESE_COMPONENTS]
    network = mlp(sizes, generator(task.seed)).to(task.trainer.device)
    task = dataclasses.replace(
        task,
        module=AutoencoderModule(network, None),
        stage=f"{task.stage.partition(':')[0]}: Siamese network",
        trainer=dataclasses.replace(task.trainer, callbacks=None),  # those are for what follows
    )

    def triples(rows, batch_size, rng):
        return Triples(neighbors, rows, batch_size, rng)

    task.train(ContrastiveLoss(), rounds=rounds, batches=triples, schedule=[BestEpoch(patience)])
    return task.embed()
