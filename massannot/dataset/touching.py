"""Clips that touch: cut from one span and shot, they share a frame, the last of the earlier.

Whatever is counted or read over clips takes that frame once, from the later clip, where the later
clip is among those that are counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.parquet as pq

from massannot.dataset.reading import ClipView, Dataset

Row = Mapping[str, Any]

_SAME = ("video_id", "time_base_num", "time_base_den", "shot", "source_width", "source_height")


def goes_on_in(earlier: Row, later: Row, *, shared_pts: int | None) -> bool:
    """Whether clip `later` begins with the last frame of `earlier`, at `shared_pts`; None: it
    shares none. Rows of `clips`."""
    return (
        shared_pts is not None
        and later["clip_id"] != earlier["clip_id"]
        and later["first_pts"] == shared_pts
        and all(earlier[name] == later[name] for name in _SAME)
    )


def shared_pts(view: ClipView) -> int | None:
    """Of the clip's last frame, where a later clip begins with it."""
    last = view.table("frames").slice(len(view) - 1).to_pylist()[0]
    return last["pts"] if last["shared"] else None


def in_time(views: Sequence[ClipView]) -> list[ClipView]:
    """The clips of one video, by their first frame, of two the one that ends first."""
    return sorted(views, key=lambda v: (v.row["first_pts"], v.row["end_pts"], v.clip_id))


def earlier_of(views: Sequence[ClipView]) -> dict[str, ClipView]:
    """A clip to the one whose last frame is its first, of clips of one video."""
    ending_at: dict[int, list[ClipView]] = defaultdict(list)
    found: dict[str, ClipView] = {}
    for view in in_time(views):
        for earlier in ending_at[view.row["first_pts"]]:
            if goes_on_in(earlier.row, view.row, shared_pts=view.row["first_pts"]):
                found.setdefault(view.clip_id, earlier)
        pts = shared_pts(view)
        if pts is not None:
            ending_at[pts].append(view)
    return found


def own_lengths(views: Sequence[ClipView]) -> list[int]:
    """How many first frames of each clip count as its own, where each frame counts once."""
    touching = Counter(view.clip_id for view in earlier_of(views).values())
    return [len(view) - (view.clip_id in touching) for view in views]


def n_frames_once(dataset: Dataset) -> int:
    """Annotated frames of all clips, those that two share counted once."""
    rows = dataset.table("clips").to_pylist()
    by_id = {row["clip_id"]: row for row in rows}
    begins: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in rows:
        begins[row["video_id"], row["first_pts"]].append(row)
    n_shared = 0
    for clip_id, pts in _shared(dataset):
        earlier = by_id[clip_id]
        later = begins[earlier["video_id"], pts]
        n_shared += any(goes_on_in(earlier, row, shared_pts=pts) for row in later)
    return sum(row["n_frames"] for row in rows) - n_shared


def _shared(dataset: Dataset) -> list[tuple[str, int]]:
    """(clip_id, pts) of the frames that are marked as shared; older files have no such column."""
    found: list[tuple[str, int]] = []
    for path in dataset.files("frames"):
        if "shared" not in pq.read_schema(path).names:
            continue
        rows = pq.read_table(
            path,
            columns=["clip_id", "pts"],
            filters=[("shared", "==", True)],
            partitioning=None,
        )
        found += zip(rows["clip_id"].to_pylist(), rows["pts"].to_pylist(), strict=True)
    return found
