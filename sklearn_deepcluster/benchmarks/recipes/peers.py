"""What users pick without this package: UMAP, spectral clustering.

UMAP is an extra: ``pip install 'sklearn-deepcluster[peers]'``.
"""

from sklearn_deepcluster.benchmarks.recipes import Recipe

# The setting for clustering in the documentation of UMAP: more neighbours, no minimal distance.
_UMAP = {"n_neighbors": 20, "min_dist": 0.0, "n_components": 10}

RECIPES = [
    Recipe(
        "spectral",
        "Spectral clustering",
        "sklearn.cluster.SpectralClustering",
        default={"affinity": "nearest_neighbors"},
    ),
    Recipe(
        "umap-kmeans",
        "UMAP + k-means",
        "sklearn.cluster.KMeans",
        representation="umap.UMAP",
        slot=None,
        default={"n_init": 20},
        default_representation=_UMAP,
    ),
    Recipe(
        "umap-mixture",
        "UMAP + Gaussian mixture",
        "sklearn.mixture.GaussianMixture",
        representation="umap.UMAP",
        slot=None,
        default={"n_init": 10},
        default_representation=_UMAP,
    ),
]
