"""Plain torch loops of the clustering phases of DEC and DEPICT, as one writes them by hand."""

import copy

import torch
from torch import nn

from sklearn_deepcluster._engine import generator
from sklearn_deepcluster.benchmarks.speed._steps import BATCH, SIZES, _layers
from sklearn_deepcluster.nn import Stochastic

_ROWS = 4096


def resident(X, device):
    """X as a tensor on the device."""
    return torch.from_numpy(X).to(device)


def plain_dec_loop(X, epochs, *, interval, autocast, n_clusters=10):
    """Train an encoder by DEC's objective, whose targets are renewed every `interval` steps.

    Parameters
    ----------
    X : Tensor of shape (n, d)
    epochs, interval : int
    autocast : bool
        Run the forward pass in bfloat16.
    n_clusters : int, default=10
    """
    network = nn.Sequential(*_layers(SIZES)).to(X.device)
    centers = nn.Parameter(torch.randn(n_clusters, SIZES[-1], device=X.device))
    optimizer = torch.optim.Adam([*network.parameters(), centers], lr=1e-4, fused=True)

    def assign(x):
        with torch.autocast(X.device.type, torch.bfloat16, enabled=autocast):
            z = network(x)
        q = 1 / (1 + (z.float().unsqueeze(1) - centers).square().sum(2))
        return q / q.sum(1, keepdim=True)

    step = 0
    for _ in range(epochs):
        for rows in torch.randperm(len(X), device=X.device).split(BATCH):
            if step % interval == 0:
                with torch.no_grad():
                    q = torch.cat([assign(part) for part in X.split(_ROWS)])
                    targets = q.square() / q.sum(0)
                    targets /= targets.sum(1, keepdim=True)
            step += 1
            optimizer.zero_grad()
            q = assign(X[rows])
            nn.functional.kl_div(q.log(), targets[rows], reduction="batchmean").backward()
            optimizer.step()


def plain_depict_loop(X, module, epochs, batch_size, *, autocast, n_clusters=10):
    """Train a denoising autoencoder with the reconstruction of all layers, and then a soft-max too.

    Parameters
    ----------
    X : Tensor of shape (n, d)
    module : AutoencoderModule
        Whose network it is: a copy is trained.
    epochs : int
        Of each of the two.
    batch_size : int
    autocast : bool
        Run the forward pass in bfloat16.
    n_clusters : int, default=10
    """
    module = copy.deepcopy(module).train()
    draws = [layer for layer in module.modules() if isinstance(layer, Stochastic)]
    rng = generator(0, X.device)
    with torch.no_grad():
        width = module.encode(X[:1]).shape[1]
    layer = nn.Linear(width, n_clusters).to(X.device)
    mse = nn.functional.mse_loss

    def forward(x):
        with torch.autocast(X.device.type, torch.bfloat16, enabled=autocast):
            return [out.float() for out in module(x)]

    def embed(x):
        with torch.autocast(X.device.type, torch.bfloat16, enabled=autocast):
            return module.encode(x).float()

    for clusters in (False, True):
        parameters = [*module.parameters(), *(layer.parameters() if clusters else ())]
        optimizer = torch.optim.Adam(parameters, lr=1e-3, fused=True)
        for _ in range(epochs):
            if clusters:
                for each in draws:
                    each.generator = None
                with torch.no_grad():
                    p = torch.cat([layer(embed(part)).softmax(1) for part in X.split(_ROWS)])
                    targets = p.square() / p.sum(0)
                    targets /= targets.sum(1, keepdim=True)
            for each in draws:
                each.generator = rng
            for rows in torch.randperm(len(X), device=X.device).split(batch_size):
                optimizer.zero_grad()
                x = X[rows]
                z, back, *hidden = forward(x)
                loss = mse(back, x)
                for clean, decoded in zip(hidden[::2], hidden[1::2], strict=True):
                    loss = loss + 0.1 * mse(decoded, clean)
                if clusters:
                    loss = loss - (targets[rows] * layer(z).log_softmax(1)).sum(1).mean()
                loss.backward()
                optimizer.step()
