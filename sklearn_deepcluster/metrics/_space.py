"""Look inside pipelines: the step that clusters, and what it is given."""

from sklearn.pipeline import Pipeline


def final_step(estimator, X=None):
    """Return the step of `estimator` that clusters, and `X` as that step receives it.

    A search stands for its best estimator. Without `X` nothing is transformed.
    """
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, Pipeline):
            if X is not None and len(estimator) > 1:
                X = estimator[:-1].transform(X)
            estimator = estimator[-1]
        else:
            return estimator, X
