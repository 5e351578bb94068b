"""Dealing: shards that take about as long as one another, and small ones for the end.

The last tenth of the work lies in shards an eighth as large, so that no worker is long alone while
the others have nothing left.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from massannot.plan.planned_videos import PlannedVideos, Shard

VIDEOS_PER_SHARD = 128
"""At most, whatever they cost: a file that cannot be opened costs next to nothing."""
SHARDS_WANTED = 16
"""Small plans have smaller shards, until there are so many: enough for a machine full of GPUs."""
SMALL_FROM = 0.9
"""Share of the work after which shards are small."""
SMALL = 1 / 8
SHARDS_AT_ONCE = 32
VALUES_AT_ONCE = 2**16


def deal(videos: PlannedVideos, *, shard_cost: float, first_number: int = 0) -> Iterator[Shard]:
    """Shards of at most `shard_cost`, less where there would be too few; a dearer video is alone.

    Videos keep their order, but files of one size lie beside each other: they may be copies, which
    the worker that has both notices. Each video is there once.
    """
    order, groups = copies_together(videos.sizes)
    pa.default_memory_pool().release_unused()
    costs = videos.costs
    total = float(costs.sum())
    most = min(VIDEOS_PER_SHARD, -(-len(videos) // SHARDS_WANTED))
    cuts = _cuts(
        _values(costs, order), _values(groups), total, min(shard_cost, total / SHARDS_WANTED), most
    )
    start, number = 0, first_number
    while ends := list(itertools.islice(cuts, SHARDS_AT_ONCE)):
        some = videos.at(order[start : ends[-1]])  # one by one, they would take twice as long
        for first, end in itertools.pairwise((start, *ends)):
            yield Shard(f"{number:06d}", tuple(some[first - start : end - start]))
            number += 1
        start = ends[-1]


def copies_together(
    sizes: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """(N,) the videos' indices, those of one size beside each other: they may be copies; and (G,)
    where in this order each such group ends. Size 0 stands for unknown."""
    n = len(sizes)
    in_order = np.sort(sizes)
    several = np.unique(in_order[1:][(in_order[1:] == in_order[:-1]) & (in_order[1:] > 0)])
    del in_order  # of a million videos, 8 MB, as each array of 64 bits here
    first = np.arange(n, dtype=np.int32)  # of its size; most have a size of their own
    is_shared = np.zeros(n, bool)
    for start in range(0, n, VALUES_AT_ONCE):
        block = slice(start, start + VALUES_AT_ONCE)
        is_shared[block] = np.isin(sizes[block], several)
    shared = np.flatnonzero(is_shared).astype(np.int32)
    by_size = shared[np.argsort(sizes[shared], kind="stable")]
    begins = np.ones(len(by_size), bool)
    begins[1:] = sizes[by_size[1:]] != sizes[by_size[:-1]]
    first[by_size] = by_size[np.maximum.accumulate(np.where(begins, np.arange(len(by_size)), 0))]
    keys = first.astype(np.int64)
    keys *= n
    keys += np.arange(n, dtype=np.int32)
    keys.sort()
    order = np.empty(n, np.int32)
    np.remainder(keys, n, out=order, casting="unsafe")
    keys //= n
    is_end = np.ones(n, bool)
    is_end[:-1] = keys[1:] != keys[:-1]
    del keys
    return order, (np.flatnonzero(is_end) + 1).astype(np.int32)


def _cuts(
    costs: Iterator[float],
    group_ends: Iterator[int],
    total: float,
    shard_cost: float,
    most: int,
) -> Iterator[int]:
    """Where each shard ends. `before`: what the work before this shard costs."""
    shard_start, index, cost, before = 0, 0, 0.0, 0.0
    for group_end in group_ends:
        of_group = list(itertools.islice(costs, group_end - index))
        for place, one in enumerate(of_group):
            # copies in one shard, if they fit
            together, n = (sum(of_group), len(of_group)) if place == 0 else (one, 1)
            limit = shard_cost if before < SMALL_FROM * total else shard_cost * SMALL
            too_dear, too_many = cost + together > limit, index - shard_start + n > most
            if index > shard_start and (too_dear or too_many):
                yield index
                before += cost
                shard_start, cost = index, 0.0
            cost += one
            index += 1
    if index:
        yield index


def _values(numbers: npt.NDArray[Any], order: npt.NDArray[np.int32] | None = None) -> Iterator[Any]:
    """They, in this order, as Python's numbers: a list of a million is large."""
    for start in range(0, len(numbers), VALUES_AT_ONCE):
        block = slice(start, start + VALUES_AT_ONCE)
        yield from (numbers[block] if order is None else numbers[order[block]]).tolist()
