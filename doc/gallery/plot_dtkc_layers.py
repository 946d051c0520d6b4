"""
Divergence-based clustering, seen from inside
=============================================

:class:`~sklearn_deepcluster.DDC` makes clusters that are compact and far apart in the embedding of
a network. :class:`~sklearn_deepcluster.DTKC` tells the intermediate layers of the same clusters, by
kernels of their feature maps. The pictures of :mod:`sklearn_deepcluster.inspection` show how the
training went, what the clusters are, and where in the network they come about.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.metrics import normalized_mutual_info_score

from sklearn_deepcluster import DDC, DTKC, ConvEncoder
from sklearn_deepcluster.inspection import (
    ClusterSamplesDisplay,
    ImportanceDisplay,
    KernelDistanceDisplay,
    KernelTrace,
    LayerKernelDisplay,
    LossCurvesDisplay,
)

images, y = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8)

# %%
# Both methods, and a witness
# ---------------------------
# Two blocks of convolutions make maps of 8 x 8 and of 2 x 2 pixels from the digits, enlarged to
# 20 x 20. ``KernelTrace`` records after each epoch how far the kernel of every layer is from the
# ideal one, for 200 rows and the clusters that they have by then.

encoder = ConvEncoder(filters=(16, 32), kernel_sizes=(3, 3), resize=20, n_components=32)
params = {
    "encoder": encoder,
    "max_epochs": 15,
    "min_steps": 225,
    "callbacks": [KernelTrace(images[:200])],
    "random_state": 0,
}
models = {cls.__name__: cls(10, **params).fit(images) for cls in (DDC, DTKC)}
for name, model in models.items():
    print(f"{name:4s} NMI {normalized_mutual_info_score(y, model.labels_):.3f}")
dtkc = models["DTKC"]

# %%
# How the training went
# ---------------------
# The terms of the loss: overlap of the clusters in the embedding, spread of the rows over them,
# nearness of the assignments to the corners of the simplex, and, of DTKC alone, the overlap in the
# layers. A dot is where the weights come from, if that is not the last epoch. At the default weight
# of the companion, 0.01, both go the same way; the overlap in the layers falls by itself.

LossCurvesDisplay.from_estimator(models)
plt.show()

# %%
# What the clusters are
# ---------------------
# A row per cluster: its most probable digits, then random ones.

fig, axes = plt.subplots(1, 2, figsize=(9.5, 5), layout="compressed")
ClusterSamplesDisplay.from_estimator(dtkc, images, n_samples=8, ax=axes[0])
ClusterSamplesDisplay.from_estimator(dtkc, images, n_samples=8, selection="random", ax=axes[1])
plt.show()

# %%
# Where they come about
# ---------------------
# Kernel matrices of 200 digits, sorted by cluster, and their distances to the ideal kernel, which
# are between 0 and 1.41. The bandwidth of the training is narrow: to the first two layers every
# digit is like itself alone.

LayerKernelDisplay.from_estimator(dtkc, images)
plt.show()

# %%
# Of twice the bandwidth, the second layer shows the blocks of the clusters as well.

LayerKernelDisplay.from_estimator(dtkc, images, sigma_scale=0.3)
plt.show()

# %%
# The same distance, epoch by epoch.

fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    KernelDistanceDisplay.from_estimator(model, ax=ax)
    ax.set_title(name)
    ax.label_outer()
plt.show()

# %%
# Which pixels matter
# -------------------
# Guided backpropagation from the log odds of its cluster to the pixels of a digit (needs captum).

ImportanceDisplay.from_estimator(dtkc, images, n_samples=4)
plt.show()
