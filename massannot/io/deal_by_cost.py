"""Dealing by cost: shards that take about as long as one another, and small ones for the end.

The last tenth of the work lies in shards an eighth as large, so that no worker is long alone while
the others have nothing left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from massannot.io.plan import SHARDS_WANTED, PlannedVideo, Shard, merged, of_one_size

VIDEOS_PER_SHARD = 128
"""At most, whatever they cost: what cannot be opened costs next to nothing."""
SMALL_FROM = 0.9
"""Share of the work after which shards are small."""
SMALL = 1 / 8


def deal_by_cost(videos: Iterable[PlannedVideo], *, shard_cost: float) -> tuple[Shard, ...]:
    """Shards of at most `shard_cost`, less where there would be too few; a dearer video is alone.

    In the given order, but files of one size beside each other, as in plan.deal.
    """
    groups = of_one_size(merged(videos))
    total = sum(video.cost for group in groups for video in group)
    n_videos = sum(map(len, groups))
    most = min(VIDEOS_PER_SHARD, -(-n_videos // SHARDS_WANTED))
    shards = _filled(groups, total, min(shard_cost, total / SHARDS_WANTED), most)
    return tuple(Shard(f"{number:06d}", tuple(shard)) for number, shard in enumerate(shards))


def _filled(
    groups: Iterable[list[PlannedVideo]], total: float, shard_cost: float, most: int
) -> Iterator[list[PlannedVideo]]:
    """Shards in turn. `before`: what the work before this shard costs."""
    shard: list[PlannedVideo] = []
    cost = before = 0.0
    for group in groups:
        for n, video in enumerate(group):
            together = group if n == 0 else [video]  # copies in one shard, if they fit
            limit = shard_cost if before < SMALL_FROM * total else shard_cost * SMALL
            too_dear = cost + sum(each.cost for each in together) > limit
            if shard and (too_dear or len(shard) + len(together) > most):
                yield shard
                before += cost
                shard, cost = [], 0.0
            shard.append(video)
            cost += video.cost
    if shard:
        yield shard
