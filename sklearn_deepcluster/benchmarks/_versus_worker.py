"""One fit of one contender in a fresh process; the other side of ``versus_clustpy``.

``python _versus_worker.py JOB.json`` runs what the job says and writes its result beside it. The
file is also run by an environment that does not have this package, so it imports nothing from it.
Both sides are warmed up by a tiny fit, timed and counted by the same lines.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

HIDDEN = (500, 500, 2000)
N_COMPONENTS = 10
KMEANS_STARTS = 20
# ClustPy's own defaults, for both sides.
LR_PRETRAINING = 1e-3
LR_CLUSTERING = 1e-4

_KEPT = []  # an operator lives as long as the library object that defined it


def make_ours(job, pretraining_epochs, clustering_epochs):
    """Return this package's estimator; its initial k-means has 20 starts by default."""
    import sklearn_deepcluster

    autoencoder = sklearn_deepcluster.Autoencoder(
        hidden_layer_sizes=HIDDEN,
        n_components=N_COMPONENTS,
        activation="leaky_relu",  # as ClustPy has it
        max_epochs=pretraining_epochs,
        min_steps=0,
        validation_fraction=None,  # ClustPy learns from all rows
        batch_size=job["batch_size"],
        lr=LR_PRETRAINING,
    )
    own = {} if job["method"] == "VaDE" else {"tol": 0}  # which stops by epochs alone
    return getattr(sklearn_deepcluster, job["method"])(
        job["n_clusters"],
        **own,
        autoencoder=autoencoder,
        max_epochs=clustering_epochs,
        min_steps=0,
        drift_tol=None,  # ClustPy goes on to the end
        batch_size=job["batch_size"],
        optimizer="adam",
        lr=LR_CLUSTERING,
        device=job.get("device", "cpu"),
        precision=job["precision"],
        random_state=job["seed"],
    )


def make_clustpy(job, pretraining_epochs, clustering_epochs):
    """Return ClustPy's estimator; its network is d-500-500-2000-10 by default."""
    _import_torchvision()
    from clustpy import deep

    # Its VaDE starts from a mixture, one fit of which takes as long as some k-means.
    starts = {"covariance_type": "diag"} if job["method"] == "VaDE" else {"n_init": KMEANS_STARTS}
    return getattr(deep, job["method"])(
        job["n_clusters"],
        batch_size=job["batch_size"],
        pretrain_epochs=pretraining_epochs,
        clustering_epochs=clustering_epochs,
        pretrain_optimizer_params={"lr": LR_PRETRAINING},
        clustering_optimizer_params={"lr": LR_CLUSTERING},
        embedding_size=N_COMPONENTS,
        initial_clustering_params=starts,
        device=job.get("device", "cpu"),
        random_state=job["seed"],
    )


def _import_torchvision():
    """Import torchvision, which ClustPy needs, also beside a CPU build of torch.

    The wheel on PyPI brings operators for the CUDA build; beside another build they are not
    registered, and the import fails for want of two. None of them is used here.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(library)
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        import torchvision  # noqa: F401


def main(job_path):
    job = json.loads(Path(job_path).read_text())
    X = np.load(job["data"])
    make = {"ours": make_ours, "clustpy": make_clustpy}[job["side"]]
    make(job, 1, 1).fit(X[: 2 * job["batch_size"]])
    steps = [0]

    def count(optimizer, args, kwargs):
        steps[0] += 1

    register_optimizer_step_post_hook(count)
    estimator = make(job, job["pretraining_epochs"], job["clustering_epochs"])
    began = time.perf_counter()
    estimator.fit(X)
    seconds = time.perf_counter() - began
    labels = {"labels": estimator.labels_}
    if hasattr(estimator, "dec_labels_"):
        # ClustPy's labels_ are those of a last k-means; these are the method's own.
        labels["method's own labels"] = estimator.dec_labels_
    result = {
        "seconds": seconds,
        "steps": steps[0],
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "labels": {name: np.asarray(value).tolist() for name, value in labels.items()},
    }
    Path(job_path).with_suffix(".out").write_text(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1])
