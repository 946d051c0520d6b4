"""Parameters that cannot be are refused by name, before any training."""

import numpy as np
import pytest
import torch
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator

from sklearn_deepcluster import MLPEncoder, Stiefel
from tests._instances import (
    CLUSTERERS,
    DESCRIPTIONS,
    END_TO_END,
    ESTIMATORS,
    N_SAMPLES,
    PUBLIC,
    REPRESENTATIONS,
    accepts,
    blobs,
    fitted,
    frozen,
    prefix_of,
    same_weights,
    slot_of,
    tiny,
    tiny_representation,
)
from tests.bad_input._shared import every_initialised, every_pretrained

BAD_TRAINING = {
    "batch_size": [0, -1, 2.5, "all"],
    "optimizer": ["nonsense", None, 3],
    "lr": [0, -1.0, np.nan, "small", None],
    "momentum": [-0.1, 1.0, None],
    "warm_start": ["yes", 2],
    "callbacks": [3, "print", [object()]],
    "net_params": [
        [1],
        {"nonsense": 1},
        {"optimizer__nonsense": 1},
        {"module": torch.nn.Linear(1, 1)},
        {"module__x": 1},
        {"batch_size": 3},
        {"callbacks": []},
    ],
    "device": ["nonsense", "cuda:99", 1.5, None],
    "precision": ["half", None, 16],
    "verbose": [-1, "loud"],
    "random_state": ["a", -1, 0.5],
    "max_epochs": [0, -3, 1.5, None],
    "min_steps": [-1, 1.5, None],
}


BAD_NETWORK = {
    "n_components": [0, -1, 1.5, None],
    "center": ["median", 0.0, True],
    "scale": [0, -1.0, "unit", np.nan],
    "noise": [-0.1, 1.0, None],
    "noise_kind": ["gaussian", None],
    "activation": ["nonsense", None],
    "frame": [0, -1, 1.5, "all", None],
    "hidden_size": [0, -1, 1.5, None],
    "n_layers": [0, -1, 1.5, None],
    "padding": ["full", 1, None],
    "resize": [0, -1, 2.5, "auto"],
    "patch_size": [0, 1.5, "large", 6, None],
    "jitter": [-1, 1.5, "large", 5, None],
    "embedding_activation": ["nonsense", None],
    "output_activation": ["nonsense", None],
    "hidden_weight": [-0.1, None],
    "hidden_layer_sizes": [(0,), (8, -1), (8.5,), "8", 8, None],
    "batch_norm": ["yes", None],
    "tied": ["yes", None],
    "layerwise_epochs": [-1, 1.5, None],
    "validation_fraction": [0.0, 0.6, "none"],
    "module": [3, "net", torch.nn.Linear(16, 2), lambda d: torch.nn.Linear(d, 2)],
    "sample_shape": [(3, 5), (4,), (4, 4, 2), (-4, -4), (2, 2, 2, 2), (2.5, 6.4), "44", 16.5],
    "filters": [(), (0,), (2.5,), (4, 4), 4, None],
    "kernel_sizes": [(), (0,), (-1,), (1.5,), (3, 3), 3, None],
}


BAD_CLUSTERING = {
    "n_clusters": [0, -1, 2.5, "3", None, N_SAMPLES + 1],
    "autoencoder": [KMeans(), PCA(2), "conv", PUBLIC["Autoencoder"], FrozenEstimator(PCA(2))],
    "encoder": [
        KMeans(),
        "conv",
        (16, 2),
        PUBLIC["Autoencoder"],
        MLPEncoder,
        lambda n_features: n_features,
        FrozenEstimator(PCA(2)),
        FrozenEstimator(MLPEncoder()),
    ],
    "init": [
        "nonsense",
        np.zeros((2, 2)),
        np.zeros((3, 5)),
        np.zeros(3),
        np.full((3, 2), np.nan),
        [["a", "b"]] * 3,
        3,
        None,
        PCA(2),
        KMeans,
    ],
    "n_init": [0, -1, 1.5, "auto"],
    "n_jobs": [1.5, "all"],
    "memory": [5, object()],
    "checkpoint": [5, object()],
    "alpha": [0, -1.0, None],
    "gamma": [-0.1, None, "auto"],
    "lam": [-0.1, None, "auto"],
    "prior": [[1, 1], [1, 1, 0], [1, -1, 1], [1, np.nan, 1], "flat", 3],
    "semi_supervised": ["yes", None],
    "warm_up_epochs": [-1, 1.5, None],
    "tol": [-1e-3, None],
    "update_interval": [0, -1, 1.5, "never"],
    "max_iter": [0, 1.5, None],
    "target": ["first", None],
    "anchor": ["yes", None],
    "kmeans_n_init": [0, 1.5],
    "variant": ["k-means", None],
    "normalize": ["yes", None],
    "start": ["random", None],
    "sigma": [0, -1.0, "mean", None, np.nan],
    "resolution": [0, -0.5, "low", None],
    "sigma_scale": [0, -1.0, "median", None],
    "bandwidth": ["median", None, 1.0],
    "patience": [0, -1, 1.5, "auto"],
    "clip_norm": [0, -1.0, "auto"],
    "companion": ["nonsense", True],
    "companion_target_grad": ["yes", None],
    "update": ["newton", None, Stiefel],
    "n_vectors": [0, 1.5],
    "rounding": ["nearest", None],
    "zero_diagonal": ["yes", None],
    "normalize_degree": ["yes", None],
    "max_samples": [0, -1, 1.5, "half", 2],
    "block_size": [0, 1.5],
    "n_refine": [-1, 1.5, None],
    "inner_tol": [-0.1, None],
    "drift_tol": [-0.1, "none"],
    "max_steps": [0, 1.5, None],
    "count_init": [-1, 1.5, None],
    "boost": [0.5, 0, "two", None],
    "balance": ["yes", None],
    "recon_weight": [0, -1.0, None],
    "reg_covar": [0, -1.0, None],
    "eta": [0, 1, None],
    "epochs_per_period": [0, 1.5, None],
    "margin": [0, -0.1, None],
    "n_negatives": [0, 1.5, None],
    "recluster": ["k-means", True],
    "mu": [-0.1, None],
    "adversarial": ["yes", None, False],  # without an augmentation
    "eps_scale": [0, -1.0, None],
    "n_neighbors": [0, 1.5, None],
    "xi": [0, -1.0, None],
    "n_power_iter": [0, 1.5, None],
    "augmentation": ["affine", 3],
    "affinity": ["nearest", None],
    "scale_k": [0, 1.5, None],
    "siamese_neighbors": [0, 1.5, None],
}


# What one of them takes although others do not.
GOOD = [
    ("KNet", "max_iter", 0),
    ("IdentityAutoencoder", "hidden_layer_sizes", None),
    *[(name, "init", None) for name in END_TO_END],
    *[(name, "lam", "auto") for name in ("AEC", "DCN", "DKM")],
    # A representation that is not trained.
    *[(name, "max_epochs", 0) for name in REPRESENTATIONS],
    *[(name, f"{prefix_of(name)}max_epochs", 0) for name in CLUSTERERS],
]


def bad_parameters():
    for name in ESTIMATORS:
        cases = {**BAD_TRAINING, **BAD_NETWORK, **BAD_CLUSTERING}
        prefix = prefix_of(name)
        cases |= {f"{prefix}{k}": v for k, v in {**BAD_TRAINING, **BAD_NETWORK}.items()}
        for parameter, values in cases.items():
            if accepts(name, parameter):
                for i, value in enumerate(values):
                    if any((name, parameter) == g[:2] and value is g[2] for g in GOOD):
                        continue
                    yield pytest.param(name, parameter, value, id=f"{name}-{parameter}-{i}")


@pytest.mark.parametrize(("name", "parameter", "value"), list(bad_parameters()))
def test_bad_parameters_are_refused_by_name(name, parameter, value, no_training):
    estimator = tiny(name).set_params(**{parameter: value})
    with pytest.raises(ValueError, match=parameter.rpartition("__")[2]):
        estimator.fit(blobs()[0])


def test_the_tables_of_bad_parameters_are_complete():
    """Every parameter of every estimator, and of every description, is tried."""
    tried = {**BAD_TRAINING, **BAD_NETWORK, **BAD_CLUSTERING}
    for name in ESTIMATORS:
        assert set(tiny(name).get_params(deep=False)) - set(tried) == set(), name
    described = {type(getattr(tiny(name), slot_of(name))).__name__ for name in CLUSTERERS}
    # Tried otherwise: as an update of KNet, and by the parameters of those that it stands for.
    assert set(DESCRIPTIONS) - {"Stiefel", "DefaultEncoder"} <= described
    for name, cls in DESCRIPTIONS.items():
        assert set(cls().get_params()) - set(tried) - set(BAD_NETWORK) == set(), name


@every_pretrained
def test_frozen_representations_must_fit_the_data(name, no_training):
    X, _ = blobs()
    slot = slot_of(name)
    with pytest.raises(ValueError, match="[Aa]utoencoder.* not fitted"):
        frozen(name, tiny_representation(name)).fit(X)
    with pytest.raises(ValueError, match=f"{slot} was fitted on 16 features; X has 9"):
        frozen(name, fitted("Autoencoder")).fit(X[:, :9])
    with pytest.raises(ValueError, match=f"{slot}=.* does not hold an? (auto|repr)"):
        frozen(name, PCA(2).fit(X)).fit(X)
    if not accepts(name, "init") or name in END_TO_END:
        return
    with pytest.raises(ValueError, match="init has centres in 5 dimensions; the embedding has 2"):
        frozen(name, fitted("Autoencoder"), init=np.zeros((3, 5))).fit(X)


@every_initialised
@pytest.mark.parametrize(
    ("init", "match"),
    [
        (DBSCAN(eps=1e-6), r"init=.*found \d+ clusters and noise; n_clusters=3"),
        (DBSCAN(eps=1e6), "init=.*found 1 clusters; n_clusters=3"),
        (AgglomerativeClustering(n_clusters=None, distance_threshold=1e6), "n_clusters"),
    ],
    ids=["noise", "one cluster", "threshold"],
)
def test_an_initial_clustering_that_does_not_fit_is_refused(name, init, match, no_clustering):
    """It can be known only once there is an embedding: after the pretraining."""
    with pytest.raises(ValueError, match=match):
        tiny(name, init=init).fit(blobs()[0])


@pytest.mark.parametrize("name", ["ConvAutoencoder", "DCEC"])
@pytest.mark.parametrize("shape", [(4, 4), (1, 4, 4), (16, 1, 1), (2, 8)])
def test_images_too_small_for_the_network_are_refused(name, shape, no_training):
    prefix = prefix_of(name)
    deep = {f"{prefix}filters": (2, 2, 2), f"{prefix}kernel_sizes": (3, 3, 3)}
    X, _ = blobs()
    with pytest.raises(ValueError, match="sample_shape=.* too small .* 8 pixels per side"):
        tiny(name, **deep).fit(X.reshape(-1, *shape))
    with pytest.raises(ValueError, match="sample_shape=.* too small"):
        tiny(name, **deep, **{f"{prefix}sample_shape": shape}).fit(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["ConvAutoencoder", "DCEC"])
def test_flat_rows_are_never_too_short_for_the_network(name):
    prefix = prefix_of(name)
    deep = {f"{prefix}filters": (2, 2, 2), f"{prefix}kernel_sizes": (3, 3, 3)}
    X = blobs()[0][:, :3]
    # In bfloat16 the gradients of maps one pixel wide once were uninitialised memory.
    estimators = [tiny(name, **deep, precision="bfloat16").fit(X) for _ in range(5)]
    assert np.isfinite(estimators[0].transform(X)).all()
    assert all(same_weights(estimators[0], other) for other in estimators)
