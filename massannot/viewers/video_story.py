"""A clip's place in its video, as JSON values for its page: the clips beside it, and in which of
them each of its things is seen. A proposal stands apart from what is linked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from massannot.dataset.reading import ClipView, Dataset

MOST_CLIPS = 60
"""Of a video that a page names, those nearest in time."""
Json = dict[str, Any]


def video_story(
    dataset: Dataset, clip_id: str, *, link: Callable[[str], str | None]
) -> Json | None:
    """The clips of the clip's video in order of time, and its things by entity. `link`: the address
    of another clip's page; None: it has none. None for a video of one clip."""
    clip = dataset.clip(clip_id)
    clips = sorted(
        dataset.of_video("clips", clip).to_pylist(),
        key=lambda row: (row["t0_s"], row["t1_s"], row["clip_id"]),
    )
    if len(clips) < 2:
        return None
    at = next(k for k, row in enumerate(clips) if row["clip_id"] == clip_id)
    first = max(0, min(at - MOST_CLIPS // 2, len(clips) - MOST_CLIPS))
    shown = clips[first : first + MOST_CLIPS]
    place = {row["clip_id"]: k for k, row in enumerate(shown)}
    return {
        "n_clips": len(clips),
        "clips": [
            {
                "text": f"{row['t0_s']:.1f}–{row['t1_s']:.1f} s",
                "shot": row["shot"],
                "link": None if row["clip_id"] == clip_id else link(row["clip_id"]),
                "here": row["clip_id"] == clip_id,
            }
            for row in shown
        ],
        "things": _things(dataset, clip, place),
    }


def _things(dataset: Dataset, clip: ClipView, place: Mapping[str, int]) -> dict[str, Json]:
    """Entity of the clip to its number in the video, the other clips in which it is seen, by
    what it is known from the clip before and how well, and a proposal."""
    rows = dataset.of_video("identities", clip).to_pylist()
    seen: defaultdict[int, set[int]] = defaultdict(set)
    for row in rows:
        if row["clip_id"] in place:
            seen[row["identity"]].add(place[row["clip_id"]])
    return {
        str(row["entity"]): {
            "identity": row["identity"],
            "clips": sorted(seen[row["identity"]] - {place[clip.clip_id]}),
            "how": row["how"],
            "score": None if row["score"] is None else round(row["score"], 2),
            "proposed": row["proposed_identity"],
            "proposed_score": (
                None if row["proposed_score"] is None else round(row["proposed_score"], 2)
            ),
        }
        for row in rows
        if row["clip_id"] == clip.clip_id
    }
