"""Tables and pages about clusters whose answers are known."""

import html.parser
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_deepcluster import DDC, DEC, RDDC, GraphAgglomerative, GRUEncoder, MLPEncoder
from sklearn_deepcluster.inspection import cluster_report, describe_clusters
from tests._instances import EVERY_CLUSTERER, least

TEXTS = [
    f"{a} {b} and so on"
    for a, b in [("apple", "pear"), ("apple", "plum"), ("pear", "plum"), ("apple", "pear plum")]
] + [
    f"{a} {b} and so on"
    for a, b in [("car", "bus"), ("bus", "train"), ("car", "train"), ("car", "bus train")]
]


class Planted:
    """A clusterer that says what it is told, and how sure it is."""

    def __init__(self, labels, proba=None, n_clusters=None):
        self.labels, self.proba, self.n_clusters = np.asarray(labels), proba, n_clusters
        if proba is not None:
            self.predict_proba = lambda X: self.proba

    def predict(self, X):
        return self.labels


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def planted():
    """Three clusters; feature i is high in cluster i, feature 3 is low in cluster 0."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [30, 20, 10])
    X = rng.normal(size=(60, 6))
    X[np.arange(60), labels] += 8
    X[labels == 0, 3] -= 8
    return X, labels


# -- the table -----------------------------------------------------------------------------------


def test_planted_features_sizes_and_borderline_samples_are_told(planted):
    X, labels = planted
    sure = np.full(60, 0.9)
    sure[[3, 35, 55]] = 0.4
    sure[[7, 41, 52]] = 0.99
    proba = np.column_stack([sure, 1 - sure])
    table = describe_clusters(Planted(labels, proba), X, n_representatives=1, n_features=1)
    assert table.index.tolist() == [0, 1, 2] and table.index.name == "cluster"
    assert table["size"].tolist() == [30, 20, 10]
    np.testing.assert_allclose(table["share"], [0.5, 1 / 3, 1 / 6])
    confidence = proba.max(axis=1)
    means = [confidence[labels == cluster].mean() for cluster in range(3)]
    np.testing.assert_allclose(table["confidence"], means)
    assert table["representatives"].tolist() == [[7], [41], [52]]
    assert table["borderline"].tolist() == [[3], [35], [55]]
    assert table["high"].tolist() == [["x0"], ["x1"], ["x2"]]
    assert table["low"][0] == ["x3"]


def test_differences_are_in_standard_deviations(planted):
    X, labels = planted
    X = X * np.array([1e-3, 1e-3, 1e-3, 1, 1, 1e6]) + 5
    table = describe_clusters(Planted(labels), X, n_features=1)
    assert table["high"].tolist() == [["x0"], ["x1"], ["x2"]]


def test_constant_features_tell_nothing(planted):
    X, labels = planted
    table = describe_clusters(Planted(labels), np.c_[X[:, :1], np.ones((60, 1))], n_features=2)
    assert table["high"][0] == ["x0"] and table["low"][0] == []


@pytest.mark.parametrize("sparse", [False, True])
def test_names_are_given_or_those_of_the_columns(planted, sparse):
    X, labels = planted
    names = list("abcdef")
    given = csr_array(X) if sparse else X
    table = describe_clusters(Planted(labels), given, feature_names=names, n_features=1)
    assert table["high"].tolist() == [["a"], ["b"], ["c"]]
    if not sparse:
        frame = pd.DataFrame(X, columns=names)
        of_frame = describe_clusters(Planted(labels), frame, n_features=1)
        pd.testing.assert_frame_equal(of_frame, table)


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["a", "b"], "feature_names has 2 names; X has 6 features"),
        (["a", "b", "c", "d", "e", np.nan], "feature_names hold None or NaN"),
        (["a", "b", "c", "d", "e", None], "feature_names hold None or NaN"),
    ],
)
def test_names_that_do_not_fit_are_refused(planted, names, match):
    with pytest.raises(ValueError, match=match):
        describe_clusters(Planted(planted[1]), planted[0], feature_names=names)


@pytest.mark.parametrize("name", ["n_representatives", "n_features"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, None])
def test_numbers_must_be_positive(planted, name, value):
    with pytest.raises(ValueError, match=f"{name}={value!r} must be an int of at least 1"):
        describe_clusters(Planted(planted[1]), planted[0], **{name: value})


def test_without_probabilities_confidence_is_the_margin_between_two_centres():
    X = np.array([[0.0], [1.0], [10.0], [9.0], [4.0]])
    kmeans = KMeans(2, init=np.array([[0.0], [10.0]]), n_init=1).fit(X)
    a, b = np.sort(np.abs(X - kmeans.cluster_centers_.T), axis=1).T
    table = describe_clusters(kmeans, X, n_representatives=1)
    low = kmeans.labels_ == 0
    np.testing.assert_allclose(table["confidence"][0], (1 - a / b)[low].mean())
    assert table["borderline"][0] == [4]
    pipeline = make_pipeline(StandardScaler(), KMeans(2, n_init=1, random_state=0)).fit(X)
    label = pipeline.predict(X)[4]
    assert describe_clusters(pipeline, X, n_representatives=1)["borderline"][label] == [4]
    graph = GraphAgglomerative(2, n_neighbors=2).fit(X)
    label = graph.labels_[4]
    described = describe_clusters(graph, X, n_representatives=1)
    assert described["borderline"][label] == [4]


def test_empty_clusters_one_cluster_and_hundreds(planted):
    X, labels = planted
    table = describe_clusters(Planted(labels, n_clusters=5), X)
    assert table["size"].tolist() == [30, 20, 10, 0, 0]
    assert np.isnan(table["confidence"][4]) and table["representatives"][4] == []
    assert table["high"][4] == []
    table = describe_clusters(Planted(np.zeros(60, int)), X)
    assert table["confidence"].tolist() == [1.0] and table["high"][0] == []
    table = describe_clusters(Planted(np.arange(60) * 5, n_clusters=300), X)
    assert len(table) == 300 and table["size"].sum() == 60


def test_texts_are_told_by_their_terms():
    clusterer = make_pipeline(
        TfidfVectorizer(), TruncatedSVD(2, random_state=0), KMeans(2, n_init=3, random_state=0)
    ).fit(TEXTS)
    labels = clusterer.predict(TEXTS)
    table = describe_clusters(clusterer, TEXTS, n_features=3)
    assert set(table["high"][labels[0]]) == {"apple", "pear", "plum"}
    assert set(table["high"][labels[-1]]) == {"car", "bus", "train"}
    assert set(table["low"][labels[0]]) == {"car", "bus", "train"}


def test_images_and_sequences_have_no_features():
    images = load_digits(n_class=2).images[:60]
    encoder = MLPEncoder(hidden_layer_sizes=(8,), n_components=4)
    ddc = DDC(2, encoder=encoder, max_epochs=1, min_steps=5, random_state=0).fit(images)
    table = describe_clusters(ddc, images)
    assert list(table) == ["size", "share", "confidence", "representatives", "borderline"]
    named = describe_clusters(ddc, images, feature_names=[f"p{i}" for i in range(64)])
    assert "high" in named
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(5 + i % 3, 2)) + i % 2 * 4 for i in range(30)]
    encoder = GRUEncoder(hidden_size=4, n_layers=1, n_components=4)
    rddc = RDDC(2, encoder=encoder, max_epochs=1, min_steps=5, random_state=0).fit(sequences)
    table = describe_clusters(rddc, sequences)
    assert table["size"].sum() == 30 and "high" not in table
    with pytest.raises(ValueError, match="feature_names were given, but X has no features"):
        describe_clusters(rddc, sequences, feature_names=["a", "b"])


@pytest.mark.parametrize("name", EVERY_CLUSTERER)
def test_every_clusterer_is_described(name):
    X, _ = make_blobs(60, centers=3, n_features=6, random_state=0)
    model = least(name).fit(X.astype(np.float32))
    table = describe_clusters(model, X.astype(np.float32))
    sizes = np.bincount(model.labels_, minlength=len(table))
    np.testing.assert_array_equal(table["size"], sizes)
    assert table["confidence"].dropna().between(0, 1).all()
    chosen = table["representatives"].explode().dropna().astype(int)
    np.testing.assert_array_equal(model.labels_[chosen], chosen.index)


def test_without_pandas_the_error_says_so(planted, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        describe_clusters(Planted(planted[1]), planted[0])


# -- the page ------------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """What is on a page; an error where tags are not closed in order."""

    EMPTY = {"meta", "img", "br", "link"}

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def headings(page):
    return [attrs["id"] for attrs in page.all("h2")]


@pytest.fixture(scope="module")
def dec():
    X, y = make_blobs(120, centers=3, n_features=5, random_state=0)
    model = DEC(3, max_epochs=2, min_steps=10, random_state=0)
    return model.set_params(autoencoder__min_steps=20).fit(X), X, y


def test_the_page_has_all_within_it_and_says_what_pictures_show(dec, tmp_path):
    model, X, y = dec
    text = cluster_report(model, X, y=y, title="Blobs & <more>", out=tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == text
    page = Page(text)
    assert headings(page) == [
        "sizes",
        "embedding",
        "silhouettes",
        "neighbours",
        "clusters-and-classes",
        "training",
        "clusters",
    ]
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {attrs["aria-labelledby"] for _, attrs in page.tags if "aria-labelledby" in attrs} <= set(ids)  # fmt: skip  # noqa: E501
    assert dict(page.tags[0][1]) == {"lang": "en"}
    assert all(attrs["src"].startswith("data:image/png;base64,") for attrs in page.all("img"))
    assert all(len(attrs["alt"]) > 20 for attrs in page.all("img"))
    assert not page.all("link") and not page.all("script") and "http" not in text
    assert "Blobs &amp; &lt;more&gt;" in text
    assert [a["scope"] for a in page.all("th")].count("row") == 3
    assert len(page.all("caption")) == 1
    assert len(text) < 1_000_000
    assert plt.get_fignums() == []


def test_of_images_there_are_prototypes_and_samples():
    images = load_digits(n_class=3).images[:90]
    page = Page(cluster_report(GraphAgglomerative(3).fit(images), images))
    assert headings(page)[-3:] == ["prototypes", "samples", "clusters"]
    assert "training" not in headings(page)


def test_of_texts_and_names_that_look_like_tags():
    clusterer = make_pipeline(
        TfidfVectorizer(token_pattern=r"\S+"), TruncatedSVD(2), KMeans(2, n_init=1)
    )
    texts = [text.replace("pear", "<b>pear</b>") for text in TEXTS]
    text = cluster_report(clusterer.fit(texts), texts, y=["<i>"] * 4 + ["x"] * 4)
    page = Page(text)
    assert not page.all("b") and not page.all("i")
    assert "&lt;b&gt;pear&lt;/b&gt;" in text


@pytest.mark.parametrize("n_clusters", [1, 300])
def test_one_cluster_and_hundreds_have_a_page(n_clusters):
    X, _ = make_blobs(900, centers=n_clusters, n_features=3, random_state=0)
    text = cluster_report(KMeans(n_clusters, n_init=1, random_state=0).fit(X), X)
    page = Page(text)
    assert ("silhouettes" in headings(page)) == (n_clusters > 1)
    assert ("All samples are in one cluster." in text) == (n_clusters == 1)
    assert ("The 40 largest clusters." in text) == (n_clusters == 300)
    assert [a["scope"] for a in page.all("th")].count("row") == n_clusters
    assert len(text) < 5_000_000


def test_empty_clusters_are_told(planted):
    X, labels = planted
    assert "Empty clusters: 3, 4." in cluster_report(Planted(labels, n_clusters=5), X)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"y": [0]}, "y has 1 classes for 60 samples"),
        ({"feature_names": ["a"]}, "feature_names has 1 names"),
        ({"max_samples": 0}, "max_samples"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_drawn(planted, params, match, monkeypatch):
    X, labels = planted
    monkeypatch.setattr(plt, "subplots", None)
    with pytest.raises(ValueError, match=match):
        cluster_report(Planted(labels), X, **params)
