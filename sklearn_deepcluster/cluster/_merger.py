"""Clusters of a neighbour graph that merge pair by pair; see ``_graph.py`` for the method."""

import heapq

import numpy as np


class Merger:
    """Clusters of a graph that merge pair by pair.

    Clusters have ascending numbers; a merged one has a new number, the largest. Of each pair the
    younger cluster keeps the affinity, so that one entry of the heap per cluster is enough: its
    best older partner. An entry whose partner is gone is an upper bound, and is replaced when it
    comes up.

    Parameters
    ----------
    neighbors : ndarray of shape (n, K), int
    flow : ndarray of shape (n, K + 1)
        Rows of P: the row itself first, then its neighbours.
    labels : ndarray of shape (n,), int
        Initial clusters 0 .. c - 1.
    z : float
        Weight of a further step; 0 is the degree linkage.
    """

    def __init__(self, neighbors, flow, labels, z):
        n, k = neighbors.shape
        count = labels.max() + 1
        self.labels, self.z, self.flow = labels.copy(), z, flow
        self.hops = np.column_stack([np.arange(n), neighbors])
        self.tails, self.heads = np.repeat(np.arange(n), k), neighbors.ravel()
        self.weights = flow[:, 1:].ravel()
        self.inner_out, self.inner_in = flow[:, 0].copy(), flow[:, 0].copy()
        self.visits = np.zeros(n)
        inside = labels[self.tails] == labels[self.heads]
        self._count_inner(np.flatnonzero(inside))
        crossing = np.flatnonzero(~inside)
        self.members = _grouped(np.arange(n), labels, count)
        self.leaving = _grouped(crossing, labels[self.tails[crossing]], count)
        self.entering = _grouped(crossing, labels[self.heads[crossing]], count)
        self.alive = np.zeros(2 * count, dtype=bool)
        self.sizes = np.zeros(2 * count)
        self.alive[:count], self.sizes[:count] = True, np.bincount(labels)
        self.n_alive = count
        # Of the flow out of and into each cluster, its share.
        inflow = np.bincount(self.heads, self.weights, minlength=n) + flow[:, 0]
        self.strengths = np.bincount(labels, (1 + inflow) / (2 * n), minlength=2 * count)
        self.by_modularity = False
        self._rank_all()

    def merge_until(self, n_clusters):
        """Merge the most attracted pairs until so many clusters are left, or none attract."""
        while self.n_alive > n_clusters and self.heap:
            _, cluster, partner = heapq.heappop(self.heap)
            if not self.alive[cluster]:
                continue
            if self.alive[partner]:
                self.merge(cluster, partner)
            else:
                self._push(cluster)

    def merge(self, a, b):
        """Replace two clusters by their union; return its number."""
        new = len(self.members)
        self.alive[[a, b]], self.alive[new] = False, True
        self.sizes[new] = self.sizes[a] + self.sizes[b]
        self.strengths[new] = self.strengths[a] + self.strengths[b]
        self.n_alive -= 1
        self.members.append(np.concatenate([self.members[a], self.members[b]]))
        self.labels[self.members[new]] = new
        leaving = np.concatenate([self.leaving[a], self.leaving[b]])
        entering = np.concatenate([self.entering[a], self.entering[b]])
        outside = self.labels[self.heads[leaving]] != new
        self._count_inner(leaving[~outside])
        self.leaving.append(leaving[outside])
        self.entering.append(entering[self.labels[self.tails[entering]] != new])
        for gone in (a, b):
            self.members[gone] = self.leaving[gone] = self.entering[gone] = None
            del self.rows[gone]
        self._rank(new)
        return new

    def prefer_modularity(self):
        """From here on merge the pair that gains the most modularity."""
        self.by_modularity = True
        self._rank_all()

    def _rank_all(self):
        self.rows, self.heap = {}, []
        for cluster in np.flatnonzero(self.alive):
            self._rank(int(cluster))

    def _count_inner(self, edges):
        np.add.at(self.inner_out, self.tails[edges], self.weights[edges])
        np.add.at(self.inner_in, self.heads[edges], self.weights[edges])

    def _rank(self, cluster):
        """Store the affinities of a cluster to all older ones and push the best."""
        affinities_of = self._modularity_gains if self.by_modularity else self._walks
        partners, affinities = affinities_of(cluster)
        older = partners < cluster
        self.rows[cluster] = partners[older], affinities[older]
        self._push(cluster)

    def _push(self, cluster):
        partners, affinities = self.rows[cluster]
        kept = self.alive[partners]
        if not kept.all():
            partners, affinities = self.rows[cluster] = partners[kept], affinities[kept]
        if len(partners):
            best = np.argmax(affinities)
            heapq.heappush(self.heap, (-affinities[best], cluster, int(partners[best])))

    def _modularity_gains(self, cluster):
        """Modularity gained by joining a cluster with each that it has edges with."""
        leaving, entering = self.leaving[cluster], self.entering[cluster]
        partners, flows = _sums(
            np.concatenate([self.labels[self.heads[leaving]], self.labels[self.tails[entering]]]),
            np.concatenate([self.weights[leaving], self.weights[entering]]),
        )
        expected = 2 * self.strengths[cluster] * self.strengths[partners]
        return partners, flows / len(self.labels) - expected

    def _walks(self, cluster):
        """Affinities of a cluster to all that walks reach: (numbers, values)."""
        leaving, entering = self.leaving[cluster], self.entering[cluster]
        # A walk's first and last steps: those inside its own cluster before and after.
        out_weights = self.weights[leaving] * (1 + self.z * self.inner_in[self.tails[leaving]])
        in_weights = self.weights[entering] * (1 + self.z * self.inner_out[self.heads[entering]])
        away = self._visits_of(cluster, leaving, entering, out_weights, in_weights)
        out_weights = self.weights[leaving] * (1 + self.z * self.inner_out[self.heads[leaving]])
        in_weights = self.weights[entering] * (1 + self.z * self.inner_in[self.tails[entering]])
        back = self._visits_by_others(leaving, entering, out_weights, in_weights)
        partners, place = np.unique(np.concatenate([away[0], back[0]]), return_inverse=True)
        scale = self.sizes[cluster] ** -2.0
        values = np.bincount(
            place, np.concatenate([scale * away[1], back[1] * self.sizes[back[0]] ** -2.0])
        )
        return partners, values

    def _visits_of(self, cluster, leaving, entering, out_weights, in_weights):
        """Walks from the cluster through each other one: (numbers, sums)."""
        points, arriving = _sums(self.heads[leaving], out_weights)
        np.add.at(self.visits, self.tails[entering], in_weights)
        returning = self.visits[points]
        if self.z:
            hops = self.hops[points]
            same = self.labels[hops] == self.labels[points][:, None]
            returning = returning + self.z * (self.flow[points] * same * self.visits[hops]).sum(1)
        self.visits[self.tails[entering]] = 0
        met = returning > 0
        return _sums(self.labels[points[met]], arriving[met] * returning[met])

    def _visits_by_others(self, leaving, entering, out_weights, in_weights):
        """Walks from each other cluster through this one: (numbers, sums)."""
        count = len(self.alive)
        keys, arriving = _sums(
            self.heads[entering] * count + self.labels[self.tails[entering]], in_weights
        )
        out_keys, leaving_sums = _sums(
            self.tails[leaving] * count + self.labels[self.heads[leaving]], out_weights
        )
        returning = _look_up(keys, out_keys, leaving_sums)
        if self.z:
            points, others = np.divmod(keys, count)
            hops = self.hops[points]
            found = _look_up(hops * count + others[:, None], out_keys, leaving_sums)
            # Hops out of the cluster find nothing: keys hold only points of this one.
            returning = returning + self.z * (self.flow[points] * found).sum(1)
        met = returning > 0
        return _sums(keys[met] % count, arriving[met] * returning[met])


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
