"""Clusters of a graph merge pair by pair, from any labels, in one go or in periods."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import make_blobs
from sklearn.neighbors import kneighbors_graph

from sklearn_deepcluster.cluster._merger import Merger


@pytest.fixture(scope="module")
def graph():
    """Weights of the edges to the nearest neighbours of 120 rows in four touching blobs."""
    X, _ = make_blobs(120, centers=4, cluster_std=2.0, random_state=0)
    graph = kneighbors_graph(X, n_neighbors=8, mode="distance")
    graph.data = np.exp(-np.square(graph.data) / np.square(graph.data).mean())
    return graph


def grouping(labels):
    """The clusters, whatever their numbers."""
    return {frozenset(np.flatnonzero(labels == c).tolist()) for c in np.unique(labels)}


@pytest.mark.parametrize("z", [0.0, 0.01])
@pytest.mark.parametrize("modularity", [False, True])
def test_periods_give_what_one_go_gives(graph, z, modularity):
    mergers = [Merger(graph, np.arange(120) // 2, z) for _ in range(2)]
    for merger, stops in zip(mergers, ([5], [40, 39, 12, 5]), strict=True):
        if modularity:
            merger.prefer_modularity()
        for stop in stops:
            merger.merge_until(stop)
            assert merger.n_clusters == stop == len(np.unique(merger.labels))
    assert grouping(mergers[0].labels) == grouping(mergers[1].labels)


@pytest.mark.parametrize("z", [0.0, 0.01])
def test_a_copy_goes_on_by_itself(graph, z):
    """Either may merge first, and by another rule."""
    merger, alone = (Merger(graph, np.arange(120) // 2, z) for _ in range(2))
    for m in (merger, alone):
        m.merge_until(30)
    copies = [merger.copy(), merger.copy()]
    before = merger.labels.copy()
    copies[0].prefer_modularity(0.5)
    for m in (*copies, alone):
        m.merge_until(4)
    np.testing.assert_array_equal(merger.labels, before)
    assert merger.n_clusters == 30 == len(merger.members())
    assert grouping(copies[1].labels) == grouping(alone.labels)
    assert grouping(copies[0].labels) != grouping(alone.labels)
    merger.merge_until(4)
    assert grouping(merger.labels) == grouping(alone.labels)


def test_labels_may_be_any_numbers(graph):
    labels = np.arange(120) % 30
    first, other = Merger(graph, labels), Merger(graph, 7 * labels - 50)
    np.testing.assert_array_equal(first.labels, labels)
    for merger in (first, other):
        merger.merge_until(6)
    np.testing.assert_array_equal(first.labels, other.labels)


def test_clusters_are_joined_and_never_split(graph):
    merger = Merger(graph, np.arange(120) // 3)
    before = grouping(merger.labels)
    merger.merge_until(7)
    after = grouping(merger.labels)
    assert all(any(old <= new for new in after) for old in before)


def test_members_are_the_rows_of_each_number(graph):
    merger = Merger(graph, np.arange(120))
    merger.merge_until(9)
    new = merger.merge(*list(merger.members())[:2])
    members = merger.members()
    assert len(members) == merger.n_clusters == 8 and new == max(members)
    assert sorted(np.concatenate(list(members.values()))) == list(range(120))
    for number, rows in members.items():
        assert (merger.labels[rows] == number).all()


def test_what_no_walk_connects_stays_apart():
    pairs = csr_array((np.ones(4), np.array([1, 0, 3, 2]), np.arange(5)))
    merger = Merger(pairs, np.arange(4))
    merger.merge_until(1)
    assert merger.n_clusters == 2
