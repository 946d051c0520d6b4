"""
The embedding that IDEC learns
==============================

k-means sees the handwritten digits as points in 64 dimensions. :class:`~sklearn_deepcluster.IDEC`
learns an embedding in which they fall into clusters, and keeps a decoder with which the centres of
the clusters can be drawn as digits.
"""

import matplotlib.pyplot as plt
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import normalized_mutual_info_score

from sklearn_deepcluster import IDEC, Autoencoder

X, y = load_digits(return_X_y=True)

# %%
# An autoencoder, further trained by IDEC
# ---------------------------------------
# The labels ``y`` are used only to judge the result.

autoencoder = Autoencoder(hidden_layer_sizes=(256, 256), n_components=10, min_steps=800)
idec = IDEC(n_clusters=10, autoencoder=autoencoder, max_epochs=60, random_state=0).fit(X)
kmeans = KMeans(n_clusters=10, n_init=20, random_state=0).fit(X)

for name, model in [("k-means", kmeans), ("IDEC", idec)]:
    print(f"{name:8s} NMI {normalized_mutual_info_score(y, model.labels_):.3f}")

# %%
# Before and after
# ----------------
# Both pictures show two principal components, of the pixels and of the embedding.

fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, title, points in [(axes[0], "pixels", X), (axes[1], "embedding", idec.transform(X))]:
    ax.scatter(*PCA(2).fit_transform(points).T, c=idec.labels_, cmap="tab10", s=6)
    ax.set(title=title, xticks=[], yticks=[])
plt.show()

# %%
# How the training went
# ---------------------
# ``history_`` holds one list per quantity. The divergence between assignment and target does not
# fall much, since the target is computed anew, and sharper, again and again; ``label_change`` says
# how many samples still change their cluster, and ends the training.

fig, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for term, values in idec.history_.items():
    ax = axes[0 if term == "pretraining_loss" else 1]
    ax.plot(range(1, len(values) + 1), values, label=term)
for ax, title in zip(axes, ["pretraining", "clustering"], strict=True):
    ax.set(title=title, xlabel="epoch", yscale="log")
    ax.legend()
plt.show()

# %%
# Prototypes
# ----------
# The decoder maps the centres back to images.

prototypes = idec.inverse_transform(idec.cluster_centers_).reshape(-1, 8, 8)
fig, axes = plt.subplots(1, 10, figsize=(9, 1.2), layout="constrained")
for ax, image in zip(axes, prototypes, strict=True):
    ax.imshow(image, cmap="gray_r")
    ax.axis("off")
plt.show()
