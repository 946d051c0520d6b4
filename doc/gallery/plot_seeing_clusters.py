"""
Seeing and explaining clusters
==============================

Handwritten digits, clustered by the graph of their neighbours and by k-means: how large the
clusters are, what is in them, whether they are apart, and where the two agree.
"""

import matplotlib.pyplot as plt
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

from sklearn_deepcluster import GraphAgglomerative
from sklearn_deepcluster.inspection import (
    ClusterConfusionDisplay,
    ClusterSizesDisplay,
    EmbeddingDisplay,
    NeighborGraphDisplay,
    PrototypesDisplay,
    RunAgreementDisplay,
    SilhouetteDisplay,
    describe_clusters,
)

X, y = load_digits(return_X_y=True)
graph = GraphAgglomerative(10).fit(X)
kmeans = KMeans(10, n_init=20, random_state=0).fit(X)

# %%
# Where the digits lie, and how many they are
# -------------------------------------------
# Two principal components of 64 pixels show little; the numbers of the clusters are written where
# the median of their digits is.

fig, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
EmbeddingDisplay.from_predictions(X, graph.labels_, ax=axes[0])
ClusterSizesDisplay.from_estimator(graph, X, ax=axes[1])
plt.show()

# %%
# Are they apart?
# ---------------
# Silhouettes are low, as they are by distances in pixels; few edges of the graph of neighbours
# lead from one cluster to another.

fig, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
SilhouetteDisplay.from_predictions(X, graph.labels_, ax=axes[0])
NeighborGraphDisplay.from_predictions(X, graph.labels_, ax=axes[1])
plt.show()

# %%
# What is in them?
# ----------------
# Means of the images, and in a table the pixels that are darker and lighter than in the other
# clusters: row and column.

PrototypesDisplay.from_estimator(graph, X, sample_shape=(8, 8))
plt.show()

names = [f"{row},{column}" for row in range(8) for column in range(8)]
table = describe_clusters(graph, X, feature_names=names, n_features=3)
print(table[["size", "confidence", "high", "low"]].to_string())

# %%
# Against the true digits, and against k-means
# --------------------------------------------
# What agrees is on the diagonal. The classes were not used until here.

fig, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
ClusterConfusionDisplay.from_predictions(y, graph.labels_, ax=axes[0])
runs = {"graph": graph.labels_, "k-means": kmeans.labels_, "digits": y}
RunAgreementDisplay.from_predictions(runs, ax=axes[1])
plt.show()
