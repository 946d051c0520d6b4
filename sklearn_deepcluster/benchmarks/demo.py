"""The main job on the 1,797 handwritten digits of scikit-learn: ``make demo``.

k-means, autoencoder + k-means, DEC, IDEC and DEKM side by side, from one pretrained autoencoder,
and DEPICT from its own, with a table and a picture at the end. As small images of few kinds are
what neighbour graphs are best at, spectral clustering and graph agglomeration are there too.
"""

import argparse
import pathlib
import sys
import time

import numpy as np
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from sklearn_deepcluster import DEC, DEKM, DEPICT, IDEC, Autoencoder, GraphAgglomerative
from sklearn_deepcluster.datasets import load_digits
from sklearn_deepcluster.metrics import unsupervised_accuracy

SEED = 0


def compare(X, y, progress):
    """Run all methods; return rows (name, labels, seconds), the fitted estimators and seconds."""
    rows = []

    def timed(name, estimator, data, extra=0.0):
        start = time.perf_counter()
        estimator.fit(data)
        rows.append((name, estimator.labels_, time.perf_counter() - start + extra))
        return estimator

    flat = X.reshape(len(X), -1)
    timed("k-means", KMeans(10, n_init=20, random_state=SEED), flat)
    spectral = SpectralClustering(10, affinity="nearest_neighbors", random_state=SEED)
    timed("spectral clustering", spectral, flat)
    timed("graph agglomeration", GraphAgglomerative(10), flat)
    start = time.perf_counter()
    ae = Autoencoder(random_state=SEED, verbose=progress).fit(X)
    pretraining = time.perf_counter() - start
    kmeans = KMeans(10, n_init=20, random_state=SEED)
    Z = ae.transform(X)
    timed("autoencoder + k-means", kmeans, Z, pretraining)
    timed("autoencoder + graph", GraphAgglomerative(10), Z, pretraining)
    frozen = FrozenEstimator(ae)
    fitted = []
    for cls in (DEC, IDEC, DEKM):
        method = cls(10, autoencoder=frozen, random_state=SEED, verbose=progress)
        fitted.append(timed(cls.__name__, method, X, pretraining))
    depict = DEPICT(10, random_state=SEED, verbose=progress)  # with a network of its own
    fitted.append(timed("DEPICT", depict, X.reshape(-1, 8, 8)))
    return rows, fitted, pretraining


def table(rows, y):
    """Format the comparison; the deep methods' seconds include the pretraining they share."""
    lines = [f"{'method':24}{'ACC':>7}{'NMI':>7}{'ARI':>7}{'seconds':>9}", "-" * 54]
    for name, labels, seconds in rows:
        scores = (
            unsupervised_accuracy(y, labels),
            normalized_mutual_info_score(y, labels),
            adjusted_rand_score(y, labels),
        )
        lines.append(f"{name:24}" + "".join(f"{s:7.3f}" for s in scores) + f"{seconds:9.1f}")
    return "\n".join(lines)


def draw(estimator, X, path, n_samples=14):
    """Draw the embedding, coloured by cluster, beside sample digits of each cluster."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from sklearn.manifold import TSNE

    Z = estimator.transform(X)
    distances = np.linalg.norm(Z - estimator.cluster_centers_[estimator.labels_], axis=1)
    plane = TSNE(init="pca", random_state=SEED).fit_transform(Z)
    colors = plt.get_cmap("tab10").colors
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 6), layout="constrained")
    for j, color in enumerate(colors):
        members = estimator.labels_ == j
        left.scatter(*plane[members].T, s=7, color=color, linewidths=0)
        left.annotate(
            str(j),
            np.median(plane[members], axis=0),
            ha="center",
            va="center",
            fontweight="bold",
            bbox={"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": color},
        )
    left.set(xticks=[], yticks=[], title=f"{type(estimator).__name__}: embedding (t-SNE of it)")
    canvas = np.zeros((10 * 9, n_samples * 9))
    for j in range(10):
        members = np.flatnonzero(estimator.labels_ == j)
        members = members[np.argsort(distances[members])]
        # From the most typical (left) to the least typical (right).
        chosen = members[np.linspace(0, len(members) - 1, n_samples).astype(int)]
        for column, index in enumerate(chosen):
            canvas[9 * j : 9 * j + 8, 9 * column : 9 * column + 8] = X[index]
    right.imshow(canvas[:-1, :-1], cmap="gray_r")
    right.set(xticks=[], title="members of each cluster, nearest to the centre first")
    right.set_yticks(9 * np.arange(10) + 3.5, range(10), fontweight="bold")
    for tick, color in zip(right.get_yticklabels(), colors, strict=True):
        tick.set_color(color)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(argv=None):
    """Run the demo."""
    parser = argparse.ArgumentParser(prog="python -m sklearn_deepcluster.benchmarks.demo")
    parser.add_argument("--out", default="demo_digits.png", help="where the picture goes")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    arguments = parser.parse_args(argv)
    X, y = load_digits(return_X_y=True)
    start = time.perf_counter()
    rows, fitted, pretraining = compare(X, y, progress=int(not arguments.quiet))
    sys.stderr.flush()
    print(f"\n{len(X)} handwritten digits, 10 clusters, seed {SEED}\n")
    print(table(rows, y))
    print(f"\nOne pretraining of {pretraining:.1f} s is shared and included in each that uses it.")
    best = max(fitted, key=lambda e: normalized_mutual_info_score(y, e.labels_))
    path = pathlib.Path(arguments.out).resolve()
    draw(best, X, path)
    print(f"Picture of {type(best).__name__}, the best deep method by NMI: {path}")
    print(f"{time.perf_counter() - start:.0f} seconds in all")


if __name__ == "__main__":
    main()
