"""Shallow clusterers of the papers' tables, on the raw input and on an autoencoder's embedding."""

from sklearn_deepcluster.benchmarks.recipes import Published, Recipe

_KMEANSNET = "k-meansNet paper"
_DEPICT = "DEPICT paper"
_STARTS = {"n_init": 20}

RECIPES = [
    Recipe("fcm", "Fuzzy c-means", "FuzzyCMeans"),
    Recipe(
        "ae-fcm",
        "Autoencoder + fuzzy c-means",
        "FuzzyCMeans",
        representation="Autoencoder",
        slot=None,
        published={"mnist": [Published(_KMEANSNET, 0.2156)]},
    ),
    Recipe(
        "lsc-k",
        "Landmark spectral clustering (LSC-K)",
        "LandmarkSpectralClustering",
        # There it is called SC-LS.
        published={"mnist": [Published(_DEPICT, 0.714, 0.706, "geometric")]},
    ),
    Recipe(
        "lsc-r",
        "Landmark spectral clustering (LSC-R)",
        "LandmarkSpectralClustering",
        default={"landmarks": "random"},
    ),
    Recipe(
        "ae-lsc-k",
        "Autoencoder + landmark spectral clustering",
        "LandmarkSpectralClustering",
        representation="Autoencoder",
        slot=None,
        published={"mnist": [Published(_KMEANSNET, 0.721, 0.699)]},
    ),
    Recipe(
        "average-link",
        "Average linkage",
        "sklearn.cluster.AgglomerativeClustering",
        default={"linkage": "average"},
    ),
    Recipe(
        "nmf-kmeans",
        "NMF + k-means",
        "sklearn.cluster.KMeans",
        representation="sklearn.decomposition.NMF",
        slot=None,
        default=_STARTS,
        default_representation={"n_components": 10, "max_iter": 1000},
        images_only=True,  # pixels are not negative
    ),
    Recipe(
        "pca-kmeans",
        "PCA + k-means",
        "sklearn.cluster.KMeans",
        representation="sklearn.decomposition.PCA",
        slot=None,
        default=_STARTS,
        default_representation={"n_components": 0.9},
    ),
]
