"""
The tree of merged digits
=========================

``GraphAgglomerative`` merges clusters of near neighbours pair by pair, and keeps what it has
merged: not only down to the clusters that are asked for, but to a single one. ``children_`` and
``distances_`` have the form of scikit-learn's ``AgglomerativeClustering``, so scipy draws and cuts
them.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.cluster.hierarchy import dendrogram, fcluster, leaders
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from sklearn_deepcluster import GraphAgglomerative

X, y = load_digits(return_X_y=True)
model = GraphAgglomerative(10).fit(X)


# %%
# From scikit-learn to scipy
# --------------------------
#
# scipy asks for the number of samples below each merge, too.


def linkage_matrix(model):
    n_samples = len(model.labels_)
    counts = np.zeros(len(model.children_))
    for i, merge in enumerate(model.children_):
        counts[i] = sum(1 if child < n_samples else counts[child - n_samples] for child in merge)
    return np.column_stack([model.children_, model.distances_, counts])


Z = linkage_matrix(model)

# %%
# The last 24 merges
# ------------------
#
# Where two clusters meet, the height tells how many times the edges between them chance would make.
# Above 1, the dashed line, modularity would leave them apart; to get to ten clusters, in colours, a
# few pairs above it were joined as well. The images are the means of the 25 clusters at the bottom.

n_leaves = 25
parts = fcluster(Z, n_leaves, criterion="maxclust")
part_of = dict(zip(*leaders(Z, parts), strict=True))

fig, ax = plt.subplots(figsize=(9, 4), layout="constrained")
tree = dendrogram(
    Z,
    truncate_mode="lastp",
    p=n_leaves,
    color_threshold=Z[-(model.n_clusters_ - 1), 2],
    no_labels=True,
    ax=ax,
)
ax.set(yscale="log", ylim=(Z[-n_leaves, 2], 1.5 * Z[-1, 2]), ylabel="distance")
ax.axhline(1, color="gray", linestyle="--", linewidth=1)
for i, node in enumerate(tree["leaves"]):
    image = X[parts == part_of[node]].mean(axis=0).reshape(8, 8)
    inset = ax.inset_axes([(i + 0.05) / n_leaves, -0.12, 0.9 / n_leaves, 0.1])
    inset.imshow(image, cmap="gray_r", aspect="auto")
    inset.set_axis_off()
plt.show()

# %%
# Cutting the tree
# ----------------
#
# Cut at ten clusters it is nearly ``labels_``: after the merging, single samples have moved to the
# cluster of their neighbours. Other numbers of clusters cost nothing more.

for n_clusters in (10, 11, 20):
    labels = fcluster(Z, n_clusters, criterion="maxclust")
    print(
        f"{n_clusters} clusters: adjusted Rand index {adjusted_rand_score(y, labels):.3f} with the "
        f"digits, {adjusted_rand_score(model.labels_, labels):.3f} with labels_"
    )
