"""
Images with a convolutional network
===================================

:class:`~sklearn_deepcluster.DCEC` is IDEC with a convolutional autoencoder. It takes arrays of
images as they are, and gives images back.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_deepcluster import DCEC, ConvAutoencoder

images = load_digits().images
print(images.shape)

# %%
# Images of 8 x 8 pixels leave room for two convolutions of stride 2.

autoencoder = ConvAutoencoder(filters=(8, 16), kernel_sizes=(3, 3), min_steps=300)
model = DCEC(10, autoencoder=autoencoder, max_epochs=15, min_steps=100, random_state=0)
model.fit(images)

# %%
# One row per cluster: first the centre, decoded, then the samples that are assigned to it with the
# highest probability.

probability = model.predict_proba(images)
centers = model.inverse_transform(model.cluster_centers_)
fig, axes = plt.subplots(10, 9, figsize=(6, 6.5), layout="constrained")
for j, row in enumerate(axes):
    best = np.argsort(-probability[:, j])[:8]
    for ax, image in zip(row, [centers[j], *images[best]], strict=True):
        ax.imshow(image, cmap="gray_r")
        ax.axis("off")
plt.show()
