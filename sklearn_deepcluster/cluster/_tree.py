"""The tree of a merger, as scikit-learn's and scipy's hierarchies have it."""

import math
from collections import deque

import numpy as np

# What no edge joins is this many times as far as the rest, and as clusters that chance would join.
_APART = 2.0


def tree_of(merger, leaves, rows):
    """Merges of rows to one cluster: those to the first clusters, at distance 0, then the merger's.

    The distances ascend, so that scipy cuts the tree where the merger was: one that is not less
    than that of a later merge is lowered to the next smaller number. The last merges, that of the
    nearest first, have theirs.

    Parameters
    ----------
    merger : Merger
        With one cluster left.
    leaves : ndarray of shape (n,), int
        Clusters that it started from, 0 .. c - 1.
    rows : ndarray of shape (n,), int
        Numbers of the rows.

    Returns
    -------
    children : int64 ndarray of shape (n - 1, 2)
        What each merge joins: a row if less than n, else the merge with n less; the first is less.
    distances : ndarray of shape (n - 1,)
    """
    n, count = len(rows), int(leaves.max()) + 1
    groups = [deque() for _ in range(count)]
    for row, leaf in zip(rows.tolist(), leaves.tolist(), strict=True):
        groups[leaf].append(row)
    joined = []
    for group in groups:
        while len(group) > 1:  # the oldest first: of many equal rows the tree is not deep
            joined.append((group.popleft(), group.popleft()))
            group.append(n + len(joined) - 1)
    top = np.array([group[0] for group in groups])
    pairs = np.array([merge[:2] for merge in merger.merges], dtype=np.int64).reshape(-1, 2)
    known = pairs < count
    pairs[known] = top[pairs[known]]
    pairs[~known] += 2 * (n - count)
    children = np.sort(np.vstack([np.array(joined, dtype=np.int64).reshape(-1, 2), pairs]), axis=1)
    found = np.array([merge[2] for merge in merger.merges])
    near = np.isfinite(found)
    found[~near] = _APART * max([1.0, *found[near][-1:]])
    distances, following = np.zeros(n - 1), math.inf
    for i, distance in zip(range(n - 2, len(joined) - 1, -1), found[::-1].tolist(), strict=True):
        distances[i] = following = min(distance, math.nextafter(following, 0.0))
    return children, distances
