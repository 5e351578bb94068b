"""The clips that people are to look at: drawn at random within strata, the same for a seed.

A clip's stratum is that of its worst entity, since that decides whether the clip is accepted: its
phrase, its quality in three steps, or both; so strata do not overlap and each clip of the dataset
is in one. Each stratum gets its share of the sample and at least MIN_OF_STRATUM clips, where it has
them; the rate is weighted back, see dataset/acceptance.py.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from massannot.dataset.acceptance import sample_path
from massannot.dataset.layout import Layout
from massannot.errors import UsageError
from massannot.storage import durable
from massannot.viewers.clip_index import ClipIndex

BY = ("phrase", "quality")
MIN_OF_STRATUM = 2
MOST_STRATA = 40
"""Beyond that the rarest phrases are one stratum: a few clips each would tell nothing."""


@dataclass(frozen=True)
class ReviewSample:
    """Clips in the order in which they are looked at, with their strata."""

    id: str
    clips: Mapping[str, str]
    strata: Mapping[str, int]
    """Clips of the whole dataset in each."""


def draw_sample(
    index: ClipIndex,
    layout: Layout,
    *,
    n: int,
    by: Sequence[str],
    seed: int,
    among: Collection[str] | None = None,
) -> ReviewSample:
    """Draw, and put it beside the decisions. `among`: these clips are the whole. Raises UsageError
    for an unknown stratum."""
    unknown = [name for name in by if name not in BY]
    if unknown or n < 1:
        raise UsageError(f"--stratify: found {unknown or n}, expected some of {', '.join(BY)}")
    stratum = _strata(index, by)
    members: defaultdict[str, list[int]] = defaultdict(list)
    ids = index.clips["clip_id"].to_pylist()
    for row, name in enumerate(stratum):
        if among is None or ids[row] in among:
            members[name].append(row)
    rng = random.Random(seed)
    drawn = [
        (ids[row], name)
        for name, take in _allocate({k: len(v) for k, v in members.items()}, n).items()
        for row in rng.sample(members[name], take)
    ]
    rng.shuffle(drawn)
    sizes = {name: len(rows) for name, rows in sorted(members.items())}
    content = {"n": n, "by": list(by), "seed": seed, "strata": sizes, "clips": dict(drawn)}
    text = json.dumps(content, indent=1)
    sample = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    durable.write_once(sample_path(layout, sample), text.encode())
    return ReviewSample(sample, dict(drawn), sizes)


def _strata(index: ClipIndex, by: Sequence[str]) -> list[str]:
    """Each clip's stratum by name."""
    parts = []
    if "phrase" in by:
        texts = index.worst_phrase
        often = Counter(texts).most_common(MOST_STRATA // (3 if "quality" in by else 1))
        known = {text for text, _ in often}
        parts.append([text if text in known else "other phrases" for text in texts])
    if "quality" in by:
        parts.append([_quality_step(q) for q in index.quality.tolist()])
    if not parts:
        return ["all clips"] * len(index)
    return [", ".join(names) for names in zip(*parts, strict=True)]


def _quality_step(quality: float) -> str:
    if np.isnan(quality):
        return "quality unknown"
    step = min(int(quality * 3), 2)
    return ("quality below 1/3", "quality 1/3 to 2/3", "quality above 2/3")[step]


def _allocate(sizes: Mapping[str, int], n: int) -> dict[str, int]:
    """Clips to draw of each stratum, n together where there are so many."""
    total = sum(sizes.values())
    n = min(n, total)
    take = {k: min(size, max(MIN_OF_STRATUM, round(n * size / total))) for k, size in sizes.items()}
    by_share = sorted(sizes, key=lambda k: (-sizes[k], k))
    while sum(take.values()) != n:
        step = 1 if sum(take.values()) < n else -1
        fits = [k for k in by_share if (take[k] < sizes[k] if step > 0 else take[k] > 1)]
        if not fits:
            break  # more strata than clips to look at
        surplus = {k: take[k] - n * sizes[k] / total for k in fits}
        take[min(fits, key=lambda k: (step * surplus[k], k))] += step
    return take
