"""Clusters of a neighbour graph that merge pair by pair; see ``_graph.py`` for the method."""

import copy
import heapq

import numpy as np
from scipy.sparse import csr_array, diags_array


class Merger:
    """Clusters of a graph of neighbours, which merge pair by pair.

    It starts from any labels and stops at any number of clusters, to go on later. The pair that
    attracts most merges first: by the weight of walks between two clusters (degree linkage, path
    integral), or, from :meth:`prefer_modularity` on, by the modularity that is gained, or, from
    :meth:`prefer_near` on, by the edges relative to those expected. Clusters have ascending
    numbers; a merged one has a new number, the largest.

    Parameters
    ----------
    graph : csr_array of shape (n, n)
        Weights of the edges of each row to others; that of a row to itself is 1.
    labels : ndarray of shape (n,), int
        Clusters to start from, any numbers; they become 0 .. c - 1 in their order.
    z : float, default=0.0
        Weight of each further step of a walk; 0 is the degree linkage.

    Attributes
    ----------
    labels : ndarray of shape (n,), int
        Number of the cluster of each row.
    flow : csr_array of shape (n, n)
        The graph with each row to itself, and rows of sum 1.
    n_clusters : int
    merges : list of tuple of (int, int, float)
        The two clusters of each merge and their distance: how many times the edges between them
        chance would make, infinite where there are none.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neighbors import kneighbors_graph
    >>> from sklearn_deepcluster.cluster._merger import Merger
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> merger = Merger(kneighbors_graph(X, n_neighbors=2), np.arange(6))
    >>> merger.merge_until(4)  # a period; the network is trained, say
    >>> merger.merge_until(2)
    >>> np.unique(merger.labels, return_inverse=True)[1]
    array([0, 0, 0, 1, 1, 1])
    """

    # Of each pair the younger cluster keeps the affinity, so that one entry of the heap per cluster
    # is enough: its best older partner. An entry whose partner is gone is an upper bound, and is
    # replaced when it comes up.

    def __init__(self, graph, labels, z=0.0):
        labels = np.unique(labels, return_inverse=True)[1]
        n = graph.shape[0]
        count = int(labels.max()) + 1
        graph = csr_array(graph)
        kept = 1.0 / (1.0 + graph.sum(axis=1))  # the share of a row that stays where it is
        edges = (diags_array(kept) @ graph).tocoo()
        self.flow = (diags_array(kept) + edges).tocsr()
        self.labels, self._z = labels.copy(), z
        self._tails, self._heads = edges.row.astype(np.int64), edges.col.astype(np.int64)
        self._weights = edges.data
        self._inner_out, self._inner_in = kept.copy(), kept.copy()
        self._visits = np.zeros(n)
        inside = labels[self._tails] == labels[self._heads]
        self._count_inner(np.flatnonzero(inside))
        crossing = np.flatnonzero(~inside)
        self._members = _grouped(np.arange(n), labels, count)
        self._leaving = _grouped(crossing, labels[self._tails[crossing]], count)
        self._entering = _grouped(crossing, labels[self._heads[crossing]], count)
        self._alive = np.zeros(2 * count, dtype=bool)
        self._sizes = np.zeros(2 * count)
        self._alive[:count], self._sizes[:count] = True, np.bincount(labels)
        self.n_clusters = count
        # Of the flow out of and into each cluster, its share.
        inflow = np.bincount(self._heads, self._weights, minlength=n) + kept
        self._strengths = np.bincount(labels, (1 + inflow) / (2 * n), minlength=2 * count)
        self.merges = []
        self._affinity, self._resolution = "_walks", None
        self._rows = self._heap = None

    def members(self):
        """Number of each cluster, ascending -> its rows, ndarray of int."""
        alive = np.flatnonzero(self._alive[: len(self._members)])
        return {int(number): self._members[number] for number in alive}

    def copy(self):
        """A merger that goes on from here by itself."""
        other = copy.copy(self)
        for name in ("labels", "_inner_out", "_inner_in", "_visits", "_alive", "_sizes"):
            setattr(other, name, getattr(self, name).copy())
        for name in ("_members", "_leaving", "_entering", "_strengths", "merges"):
            setattr(other, name, getattr(self, name).copy())
        other._rows = other._heap = None  # found again by the first merge
        return other

    def merge_until(self, n_clusters, *, gaining=False):
        """Merge the most attracted pairs until so many clusters are left, or none attract.

        With `gaining` as long as the affinity, a gain of modularity say, is positive.
        """
        if self.n_clusters > n_clusters:
            self._rank_all()
        while self.n_clusters > n_clusters and self._heap:
            loss, cluster, partner = heapq.heappop(self._heap)
            if not self._alive[cluster]:
                continue
            if not self._alive[partner]:
                self._push(cluster)
            elif gaining and loss >= 0:
                heapq.heappush(self._heap, (loss, cluster, partner))
                return
            else:
                self.merge(cluster, partner)

    def merge(self, a, b):
        """Replace two clusters by their union; return its number."""
        self._rank_all()
        new = len(self._members)
        self._alive[[a, b]], self._alive[new] = False, True
        self._sizes[new] = self._sizes[a] + self._sizes[b]
        self._strengths[new] = self._strengths[a] + self._strengths[b]
        self.n_clusters -= 1
        self._members.append(np.concatenate([self._members[a], self._members[b]]))
        self.labels[self._members[new]] = new
        leaving = np.concatenate([self._leaving[a], self._leaving[b]])
        entering = np.concatenate([self._entering[a], self._entering[b]])
        outside = self.labels[self._heads[leaving]] != new
        between = leaving[~outside]
        self._count_inner(between)
        flow = self._weights[between].sum() / len(self.labels)
        expected = 2 * self._strengths[a] * self._strengths[b]
        self.merges.append((int(a), int(b), float(expected / flow) if flow else np.inf))
        self._leaving.append(leaving[outside])
        self._entering.append(entering[self.labels[self._tails[entering]] != new])
        for gone in (a, b):
            self._members[gone] = self._leaving[gone] = self._entering[gone] = None
            del self._rows[gone]
        self._rank(new)
        return new

    def prefer_modularity(self, resolution=1.0):
        """From here on merge the pair that gains the most modularity of this resolution."""
        self._prefer("_modularity_gains", resolution)

    def prefer_near(self):
        """From here on merge the pair of the least distance, as `merges` have it."""
        self._prefer("_nearness", None)

    def _prefer(self, affinity, resolution):
        if (affinity, resolution) != (self._affinity, self._resolution):
            self._affinity, self._resolution, self._heap = affinity, resolution, None

    def _rank_all(self):
        """Rank every cluster, once: not before something merges by it."""
        if self._heap is not None:
            return
        self._rows, self._heap = {}, []
        for cluster in np.flatnonzero(self._alive):
            self._rank(int(cluster))

    def _count_inner(self, edges):
        np.add.at(self._inner_out, self._tails[edges], self._weights[edges])
        np.add.at(self._inner_in, self._heads[edges], self._weights[edges])

    def _rank(self, cluster):
        """Store the affinities of a cluster to all older ones and push the best."""
        partners, affinities = getattr(self, self._affinity)(cluster)
        older = partners < cluster
        self._rows[cluster] = partners[older], affinities[older]
        self._push(cluster)

    def _push(self, cluster):
        partners, affinities = self._rows[cluster]
        kept = self._alive[partners]
        if not kept.all():
            partners, affinities = self._rows[cluster] = partners[kept], affinities[kept]
        if len(partners):
            best = np.argmax(affinities)
            heapq.heappush(self._heap, (-affinities[best], cluster, int(partners[best])))

    def _modularity_gains(self, cluster):
        """Modularity gained by joining a cluster with each that it has edges with."""
        partners, flows, expected = self._edges_of(cluster)
        return partners, flows - self._resolution * expected

    def _nearness(self, cluster):
        """How many times the edges that chance would make a cluster has with each other one."""
        partners, flows, expected = self._edges_of(cluster)
        return partners, flows / expected

    def _edges_of(self, cluster):
        """Edges of a cluster with others, and those expected: (numbers, shares, shares)."""
        leaving, entering = self._leaving[cluster], self._entering[cluster]
        partners, flows = _sums(
            np.concatenate([self.labels[self._heads[leaving]], self.labels[self._tails[entering]]]),
            np.concatenate([self._weights[leaving], self._weights[entering]]),
        )
        expected = 2 * self._strengths[cluster] * self._strengths[partners]
        return partners, flows / len(self.labels), expected

    def _walks(self, cluster):
        """Affinities of a cluster to all that walks reach: (numbers, values)."""
        leaving, entering = self._leaving[cluster], self._entering[cluster]
        # A walk's first and last steps: those inside its own cluster before and after.
        out_weights = self._weights[leaving] * (1 + self._z * self._inner_in[self._tails[leaving]])
        in_weights = self._weights[entering] * (
            1 + self._z * self._inner_out[self._heads[entering]]
        )
        away = self._visits_of(cluster, leaving, entering, out_weights, in_weights)
        out_weights = self._weights[leaving] * (1 + self._z * self._inner_out[self._heads[leaving]])
        in_weights = self._weights[entering] * (1 + self._z * self._inner_in[self._tails[entering]])
        back = self._visits_by_others(leaving, entering, out_weights, in_weights)
        partners, place = np.unique(np.concatenate([away[0], back[0]]), return_inverse=True)
        scale = self._sizes[cluster] ** -2.0
        values = np.bincount(
            place, np.concatenate([scale * away[1], back[1] * self._sizes[back[0]] ** -2.0])
        )
        return partners, values

    def _visits_of(self, cluster, leaving, entering, out_weights, in_weights):
        """Walks from the cluster through each other one: (numbers, sums)."""
        points, arriving = _sums(self._heads[leaving], out_weights)
        np.add.at(self._visits, self._tails[entering], in_weights)
        returning = self._visits[points]
        if self._z:
            origin, hops, weights = self._hops(points)
            same = self.labels[hops] == self.labels[points][origin]
            stays = np.bincount(origin, weights * same * self._visits[hops])
            returning = returning + self._z * stays
        self._visits[self._tails[entering]] = 0
        met = returning > 0
        return _sums(self.labels[points[met]], arriving[met] * returning[met])

    def _visits_by_others(self, leaving, entering, out_weights, in_weights):
        """Walks from each other cluster through this one: (numbers, sums)."""
        count = len(self._alive)
        keys, arriving = _sums(
            self._heads[entering] * count + self.labels[self._tails[entering]], in_weights
        )
        out_keys, leaving_sums = _sums(
            self._tails[leaving] * count + self.labels[self._heads[leaving]], out_weights
        )
        returning = _look_up(keys, out_keys, leaving_sums)
        if self._z:
            points, others = np.divmod(keys, count)
            origin, hops, weights = self._hops(points)
            found = _look_up(hops * count + others[origin], out_keys, leaving_sums)
            # Hops out of the cluster find nothing: keys hold only points of this one.
            returning = returning + self._z * np.bincount(origin, weights * found)
        met = returning > 0
        return _sums(keys[met] % count, arriving[met] * returning[met])

    def _hops(self, points):
        """Steps from some rows, itself included: (place of the row, where to, weight)."""
        first, last = self.flow.indptr[points], self.flow.indptr[points + 1]
        origin = np.repeat(np.arange(len(points)), last - first)
        before = np.cumsum(last - first) - (last - first)
        steps = np.arange(len(origin)) + (first - before)[origin]
        return origin, self.flow.indices[steps].astype(np.int64), self.flow.data[steps]


def _grouped(values, groups, count):
    """Split `values` by group number into a list of `count` arrays."""
    order = np.argsort(groups, kind="stable")
    ends = np.cumsum(np.bincount(groups, minlength=count))[:-1]
    return np.split(values[order], ends)


def _sums(keys, values):
    """Sum `values` over equal keys: (ascending keys, sums)."""
    unique, place = np.unique(keys, return_inverse=True)
    return unique, np.bincount(place, values, minlength=len(unique))


def _look_up(keys, known, values):
    """Values of the keys among the ascending `known` ones; 0 for others."""
    if not len(known):
        return np.zeros(keys.shape)
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[place] == keys, values[place], 0)
