"""Scores of clusterings, with and without labels, and labels with noise."""

from sklearn_deepcluster.metrics._accuracy import (
    unsupervised_accuracy,
    unsupervised_accuracy_scorer,
)
from sklearn_deepcluster.metrics._embedding import (
    calinski_harabasz_scorer,
    davies_bouldin_scorer,
    silhouette_scorer,
)
from sklearn_deepcluster.metrics._noise import labels_with_noise
from sklearn_deepcluster.metrics._prediction_strength import (
    prediction_strength,
    prediction_strength_scorer,
    select_n_clusters,
)
from sklearn_deepcluster.metrics._runs import best_of_runs

__all__ = [
    "best_of_runs",
    "calinski_harabasz_scorer",
    "davies_bouldin_scorer",
    "labels_with_noise",
    "prediction_strength",
    "prediction_strength_scorer",
    "select_n_clusters",
    "silhouette_scorer",
    "unsupervised_accuracy",
    "unsupervised_accuracy_scorer",
]
