"""
New digits, drawn from a mixture
================================

:class:`~sklearn_deepcluster.VaDE` clusters by a model of how the data came to be: a mixture of
Gaussians in the embedding, and a decoder. So it can also draw new samples, component by component.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_deepcluster import Autoencoder, VaDE

# %%
# Pixels in [0, 1], most of them paper or ink, are taken for probabilities: the decoder ends with a
# sigmoid. (Without an autoencoder given, ``VaDE`` finds that out by itself.)

X = load_digits().data / 16
autoencoder = Autoencoder(
    hidden_layer_sizes=(256,), center=None, scale=None, output_activation="sigmoid", min_steps=1500
)
model = VaDE(10, autoencoder=autoencoder, max_epochs=150, min_steps=0, random_state=0).fit(X)
print(model.likelihood_, np.round(model.weights_, 2))

# %%
# One row per component: its centre, decoded, then draws of it.

drawn, labels = model.sample(1000, random_state=0)
centers = model.inverse_transform(model.cluster_centers_)
fig, axes = plt.subplots(10, 11, figsize=(6.5, 6), layout="constrained")
for j, row in enumerate(axes):
    for ax, image in zip(row, [centers[j], *drawn[labels == j]], strict=False):
        ax.imshow(image.reshape(8, 8), cmap="gray_r")
    for ax in row:
        ax.axis("off")
fig.suptitle("centre of each component, and ten draws")

# %%
# The lower bound of the likelihood scores samples: the least likely digits, and the most likely.

order = np.argsort(model.score_samples(X))
fig, axes = plt.subplots(2, 11, figsize=(6.5, 1.6), layout="constrained")
for row, chosen in zip(axes, (order[:11], order[-11:]), strict=True):
    for ax, image in zip(row, X[chosen], strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r")
        ax.axis("off")
plt.show()
