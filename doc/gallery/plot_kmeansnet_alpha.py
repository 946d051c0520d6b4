"""
How much alpha matters in k-meansNet
====================================

k-meansNet assigns by the soft-max of :math:`-\\alpha \\lVert x - \\Omega_j \\rVert^2`. Its
authors chose alpha by labels. ``alpha="auto"`` is a rule instead: half the reciprocal variance
within the initial clusters, the soft-max that fits round Gaussians of that width.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import normalized_mutual_info_score

from sklearn_deepcluster import Autoencoder, KMeansNet

X, y = load_digits(return_X_y=True)
autoencoder = Autoencoder(
    hidden_layer_sizes=(256, 128), embedding_activation="unit_norm", min_steps=800, random_state=0
).fit(X)
start = KMeans(10, n_init=20, random_state=0).fit_predict(autoencoder.transform(X))
frozen = FrozenEstimator(autoencoder)


def nmi(**params):
    model = KMeansNet(10, autoencoder=frozen, random_state=0, **params).fit(X)
    return normalized_mutual_info_score(y, model.labels_), model


# %%
# One embedding, many alphas: the layer alone, its soft assignment and what becomes of it.

alphas = np.logspace(-2, 2, 9)
found = [nmi(variant="decoupled", alpha=alpha) for alpha in alphas]
by_rule, decoupled = nmi(variant="decoupled")
tell, _ = nmi()
confidence = [model.predict_proba(X).max(axis=1).mean() for _, model in found]

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.semilogx(alphas, [value for value, _ in found], marker="o", label="decoupled")
left.plot(decoupled.alpha_, by_rule, "*", markersize=14, label='alpha="auto"')
left.axhline(
    normalized_mutual_info_score(y, start), color="gray", linestyle="--", label="k-means, its start"
)
left.axhline(tell, color="C2", label="TELL")
left.set(xlabel="alpha", ylabel="NMI with the digits")
left.legend(fontsize="small")
right.semilogx(alphas, confidence, marker="o")
right.axvline(decoupled.alpha_, color="C1", label='alpha="auto"')
right.set(xlabel="alpha", ylabel="mean largest probability", ylim=(0, 1.02))
right.legend(fontsize="small")
plt.show()

# %%
# TELL has no alpha in its training: centres and embedding keep to the unit sphere, and a row
# belongs to the nearest centre. There alpha is the softness of ``predict_proba`` alone.
