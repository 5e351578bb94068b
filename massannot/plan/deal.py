"""Dealing: shards that take about as long as one another, and small ones for the end.

The last tenth of the work lies in shards an eighth as large, so that no worker is long alone while
the others have nothing left.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from massannot.plan.planned_videos import PlannedVideos, Shard

VIDEOS_PER_SHARD = 128
"""At most, whatever they cost: a file that cannot be opened costs next to nothing."""
SHARDS_WANTED = 16
"""Small plans have smaller shards, until there are so many: enough for a machine full of GPUs."""
SMALL_FROM = 0.9
"""Share of the work after which shards are small."""
SMALL = 1 / 8


def deal(videos: PlannedVideos, *, shard_cost: float, first_number: int = 0) -> Iterator[Shard]:
    """Shards of at most `shard_cost`, less where there would be too few; a dearer video is alone.

    Videos keep their order, but files of one size lie beside each other: they may be copies, which
    the worker that has both notices. Each video is there once.
    """
    order, groups = copies_together(videos.sizes)
    costs = videos.costs[order]
    total = float(costs.sum())
    most = min(VIDEOS_PER_SHARD, -(-len(videos) // SHARDS_WANTED))
    cuts = _cuts(costs, groups, total, min(shard_cost, total / SHARDS_WANTED), most)
    start = 0
    for number, end in enumerate(cuts, start=first_number):
        yield Shard(f"{number:06d}", tuple(videos.at(order[start:end])))
        start = end


def copies_together(
    sizes: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """(N,) the videos' indices, those of one size beside each other: they may be copies; and (G,)
    where in this order each such group ends. Size 0 stands for unknown."""
    n = len(sizes)
    in_order = np.sort(sizes)
    several = np.unique(in_order[1:][(in_order[1:] == in_order[:-1]) & (in_order[1:] > 0)])
    del in_order
    first = np.arange(n, dtype=np.int32)  # of its size; most have a size of their own
    shared = np.flatnonzero(np.isin(sizes, several)).astype(np.int32)
    by_size = shared[np.argsort(sizes[shared], kind="stable")]
    begins = np.ones(len(by_size), bool)
    begins[1:] = sizes[by_size[1:]] != sizes[by_size[:-1]]
    first[by_size] = by_size[np.maximum.accumulate(np.where(begins, np.arange(len(by_size)), 0))]
    order = np.argsort(first, kind="stable").astype(np.int32)
    ends = (np.flatnonzero(np.diff(first[order], append=-1)) + 1).astype(np.int32)
    return order, ends


def _cuts(
    costs: npt.NDArray[np.float64],
    group_ends: npt.NDArray[np.int32],
    total: float,
    shard_cost: float,
    most: int,
) -> Iterator[int]:
    """Where each shard ends. `before`: what the work before this shard costs."""
    shard_start, group_start, cost, before = 0, 0, 0.0, 0.0
    for group_end in map(int, group_ends):  # a list of a million would be large
        of_group = costs[group_start:group_end].tolist()
        for n, one in enumerate(of_group):
            index = group_start + n
            together = of_group if n == 0 else [one]  # copies in one shard, if they fit
            limit = shard_cost if before < SMALL_FROM * total else shard_cost * SMALL
            too_dear = cost + sum(together) > limit
            too_many = index - shard_start + len(together) > most
            if index > shard_start and (too_dear or too_many):
                yield index
                before += cost
                shard_start, cost = index, 0.0
            cost += one
        group_start = group_end
    if len(costs):
        yield len(costs)
