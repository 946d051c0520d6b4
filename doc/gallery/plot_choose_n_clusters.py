"""
Choosing the number of clusters and a weight without labels
===========================================================

Prediction strength asks whether a model of one half of the data predicts the clusters of the other
half. The number of clusters to take is the largest whose strength is above a threshold.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.metrics.cluster import contingency_matrix
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_deepcluster import IDEC, Autoencoder
from sklearn_deepcluster.metrics import prediction_strength_scorer, select_n_clusters

# %%
# Four digits, but the search is not told
# ---------------------------------------

X, y = load_digits(n_class=4, return_X_y=True)

autoencoder = Autoencoder(hidden_layer_sizes=(128,), n_components=5, min_steps=300)
model = IDEC(autoencoder=autoencoder, max_epochs=10, min_steps=50, random_state=0)
search = GridSearchCV(
    model,
    {"n_clusters": [2, 3, 4, 5, 6]},
    scoring=prediction_strength_scorer,
    refit=select_n_clusters,
    cv=KFold(2, shuffle=True, random_state=0),
)
search.fit(X)
print(search.best_params_)

# %%
# The strength drops where clusters begin to be split at random.

fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
results = search.cv_results_
ax.errorbar(
    results["param_n_clusters"].astype(int),
    results["mean_test_score"],
    yerr=results["std_test_score"],
    marker="o",
)
ax.axhline(0.8, color="gray", linestyle="--")
ax.set(xlabel="n_clusters", ylabel="prediction strength", ylim=(0, 1.05), xticks=range(2, 7))
plt.show()

# %%
# Where a value lies close to the threshold, the threshold decides, and the paper leaves it between
# 0.8 and 0.9.

for threshold in (0.8, 0.85, 0.9):
    i = select_n_clusters(results, threshold=threshold)
    print(f"threshold {threshold:.2f}: n_clusters={results['param_n_clusters'][i]}")

# %%
# Digits by row, clusters by column: what the chosen clusters stand for.

print(contingency_matrix(y, search.best_estimator_.labels_))

# %%
# A weight, chosen in the same way
# --------------------------------
#
# At a fixed number of clusters the largest strength is the best. The candidates differ in a
# parameter of the clustering alone, so ``memory`` lets them share one pretraining per fold.

from tempfile import TemporaryDirectory

with TemporaryDirectory() as folder:
    search = GridSearchCV(
        model.set_params(n_clusters=4, memory=folder),
        {"gamma": [0.01, 1.0, 100.0]},
        scoring=prediction_strength_scorer,
        cv=KFold(2, shuffle=True, random_state=0),
    )
    search.fit(X)
for params, strength in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    print(params, f"{strength:.3f}")
