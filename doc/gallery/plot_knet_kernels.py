"""
KNet: a kernel that learns its clusters
=======================================

Two winding clusters, and wine, which has round ones: the data, its Gaussian kernel sorted by
cluster, and both again in the embedding that KNet has learned.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine, make_moons
from sklearn.metrics import normalized_mutual_info_score
from sklearn.preprocessing import scale

from sklearn_deepcluster import KNet
from sklearn_deepcluster.inspection import EmbeddingDisplay, KernelMatrixDisplay


def before_and_after(X, model):
    model.fit(X)
    fig, axes = plt.subplots(2, 2, figsize=(9, 7.5), layout="constrained")
    # Before: the data themselves, at the scale in which the network sees them.
    start = X / model.scale_
    EmbeddingDisplay.from_predictions(start, model.labels_, ax=axes[0, 0])
    KernelMatrixDisplay.from_predictions(start, model.labels_, sigma=model.sigma_, ax=axes[0, 1])
    EmbeddingDisplay.from_estimator(model, X, ax=axes[1, 0])
    KernelMatrixDisplay.from_estimator(model, X, ax=axes[1, 1])
    for row, name in zip(axes, ("data", "embedding"), strict=True):
        row[0].set_title(name)
        row[1].set_title(f"kernel of the {name}")
    plt.show()
    return model.labels_


# %%
# Moons. The bandwidth is a tenth of the median distance, as the clusters are thin: in the data,
# each row is near to a few neighbours along its arc. In the embedding each moon is one small cloud.

X, y = make_moons(600, noise=0.05, random_state=0)
labels = before_and_after(scale(X), KNet(2, sigma_scale=0.1, random_state=0))
print(f"NMI {normalized_mutual_info_score(y, labels):.3f}")

# %%
# Wine, with the median distance itself. Principal components of 13 features are drawn.

X, y = load_wine(return_X_y=True)
labels = before_and_after(scale(X), KNet(3, random_state=0))
print(f"NMI {normalized_mutual_info_score(y, labels):.3f}")
