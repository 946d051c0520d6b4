"""Sparse X gives what dense X gives, or is refused; it is never made dense as a whole."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from sklearn.utils import get_tags

from sklearn_deepcluster import DDC, MLPEncoder
from sklearn_deepcluster._engine import _standard
from sklearn_deepcluster.cluster import _agglomeration, _base, _drift, _start
from sklearn_deepcluster.cluster._task import Task
from sklearn_deepcluster.inspection import ClusterSamplesDisplay, LayerKernelDisplay
from sklearn_deepcluster.metrics import prediction_strength, silhouette_scorer
from tests._instances import (
    DENSE_ONLY,
    ESTIMATORS,
    EVERY,
    EVERY_CLUSTERER,
    IMAGE,
    N_CLUSTERS,
    assert_same_fit,
    blobs,
    frozen,
    least,
    least_representation,
    tiny,
)


def counts(n_samples=300):
    """Three kinds of rows that are mostly zeros, float32, of which one column has none."""
    random = np.random.default_rng(0)
    rates = np.full((N_CLUSTERS, 16), 0.1)
    for kind in range(N_CLUSTERS):
        rates[kind, 5 * kind : 5 * kind + 5] = 4.0
    X = random.poisson(rates[np.arange(n_samples) % N_CLUSTERS]) / np.pi
    X[:, 15] = 1 + random.random(n_samples)
    return X.astype(np.float32)


def answers(estimator, X):
    names = ("predict", "transform", "predict_proba", "score_samples", "score")
    return {name: getattr(estimator, name)(X) for name in names if hasattr(estimator, name)}


@pytest.mark.parametrize("name", EVERY)
def test_sparse_data_give_what_dense_data_give_or_are_refused(name):
    X, sparse = counts(), scipy.sparse.csc_matrix(counts())
    takes = get_tags(least(name)).input_tags.sparse
    assert takes == (name not in DENSE_ONLY)
    if not takes:
        with pytest.raises(TypeError, match="[Ss]parse"):
            least(name).fit(sparse)
        return
    fitted, other = least(name).fit(X), least(name).fit(sparse)
    if name in ESTIMATORS:
        assert_same_fit(fitted, other)
    if name in EVERY_CLUSTERER:
        np.testing.assert_array_equal(fitted.labels_, other.labels_)
    expected = answers(fitted, X)
    # Each answers in both, whatever it was fitted on.
    for model, rows in ((other, sparse), (other, X), (fitted, scipy.sparse.coo_array(X))):
        for question, answer in answers(model, rows).items():
            np.testing.assert_array_equal(answer, expected[question], err_msg=question)


@pytest.mark.filterwarnings("ignore:. of 3 clusters are empty")
@pytest.mark.parametrize(
    ("name", "params", "takes"),
    [
        ("DDC", {"encoder": None}, True),
        ("DTKC", {"encoder": MLPEncoder(hidden_layer_sizes=(16,), n_components=16)}, True),
        ("DEC", {"autoencoder": least("ConvAutoencoder", sample_shape=IMAGE)}, False),
        ("DDC", {"encoder": least("ContextPredictor", sample_shape=IMAGE)}, False),
        ("RDDC", {"encoder": None}, False),
    ],
)
def test_the_network_that_is_given_decides(name, params, takes):
    X = scipy.sparse.csr_array(counts())
    clusterer = least(name, **params)
    assert get_tags(clusterer).input_tags.sparse == takes
    if takes:
        assert_same_fit(clusterer.fit(X), least(name, **params).fit(X.toarray()))
        return
    with pytest.raises(TypeError, match="[Ss]parse"):
        clusterer.fit(X)


def test_a_frozen_representation_and_a_fit_that_goes_on_take_sparse_data():
    X = counts()
    sparse = scipy.sparse.csr_array(X)
    representation = least_representation("DEC", random_state=0).fit(sparse)
    assert_same_fit(
        frozen("DEC", representation, warm_start=True).fit(sparse).fit(sparse),
        frozen("DEC", representation, warm_start=True).fit(X).fit(X),
    )


@pytest.fixture
def made_dense(monkeypatch):
    """How many sparse rows were made dense each time, or were handed out as dense ones."""
    seen = []

    def watch(cls, name, count):
        original = getattr(cls, name)

        def record(self, *args, **kwargs):
            found = original(self, *args, **kwargs)
            seen.append(count(found))
            return found

        monkeypatch.setattr(cls, name, record)

    watch(scipy.sparse.csr_array, "toarray", len)
    watch(Task, "raw_rows", len)
    return seen


# With a start from the data, by a network that learns from them, by one that starts at random.
@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("DEC", {"init": "auto"}),
        ("DDC", {"init": "ac-mod"}),
        ("JULE", {}),
        ("GraphAgglomerative", {"metric": "euclidean"}),
    ],
)
@pytest.mark.filterwarnings("ignore:The graph of neighbours falls into", "ignore:. of 3 clusters")
def test_sparse_data_are_never_dense_as_a_whole(name, params, made_dense, monkeypatch):
    monkeypatch.setattr(_start, "KMEANS_STARTS", 2)  # of which the more modular one is taken
    monkeypatch.setattr(_base, "RAW_BYTES", 2**10)
    monkeypatch.setattr(_start, "RAW_BYTES", 2**10)
    monkeypatch.setattr(_standard, "CHUNK_VALUES", 2**12)
    monkeypatch.setattr(_standard, "SAMPLE_VALUES", 2**12)
    monkeypatch.setattr(_agglomeration, "BLOCK_VALUES", 2**12)
    monkeypatch.setattr(_drift, "_WATCHED_ROWS", 200)
    X = scipy.sparse.csr_array(counts(600))
    model = least(name, **params).fit(X)
    model.predict(X)
    assert made_dense and max(made_dense) <= 256  # a block


@pytest.mark.parametrize("init", ["ac-mod", "auto", "k-means", least("GraphAgglomerative")])
@pytest.mark.filterwarnings("ignore:. of 3 clusters")
def test_a_start_sees_the_rows_in_their_sparse_form(init, monkeypatch):
    """Where they are too many to be made dense, and finds the clusters that it finds in these."""
    monkeypatch.setattr(_start, "KMEANS_STARTS", 2)
    X = counts()
    expected = least("DDC", init=init).fit(X).initial_labels_
    monkeypatch.setattr(_start, "RAW_BYTES", 2**10)
    found = least("DDC", init=init).fit(scipy.sparse.csr_array(X)).initial_labels_
    np.testing.assert_array_equal(found, expected)


def test_what_is_kept_of_sparse_data_is_small():
    X = scipy.sparse.random_array((300, 5000), density=0.01, format="csr", rng=0)
    size = len(pickle.dumps(X.astype(np.float32)))
    assert len(pickle.dumps(tiny("GraphAgglomerative").fit(X))) < 3 * size


def test_metrics_and_pictures_of_layers_take_sparse_data():
    X = counts()
    sparse = scipy.sparse.csr_matrix(X)
    ddc = DDC(3, encoder=MLPEncoder(hidden_layer_sizes=(8,), n_components=4), init=None)
    ddc.set_params(max_epochs=1, min_steps=2, random_state=0).fit(X)
    assert silhouette_scorer(ddc, sparse) == silhouette_scorer(ddc, X)
    shown = [LayerKernelDisplay.from_estimator(ddc, rows) for rows in (sparse, X)]
    for a, b in zip(shown[0].kernels, shown[1].kernels, strict=True):
        np.testing.assert_array_equal(a, b)
    strengths = [
        prediction_strength(tiny("GraphAgglomerative"), rows, random_state=0).mean
        for rows in (sparse, X)
    ]
    assert strengths[0] == strengths[1]


def test_pictures_of_samples_say_that_they_need_dense_data():
    X = scipy.sparse.csr_matrix(blobs()[0])
    with pytest.raises(TypeError, match=r"[Ss]parse.*\.toarray\(\)"):
        ClusterSamplesDisplay.from_estimator(least("DEC").fit(X), X, sample_shape=IMAGE)
    with pytest.raises(TypeError, match="[Ss]parse"):
        silhouette_scorer(tiny("GraphAgglomerative").fit(X), X)
