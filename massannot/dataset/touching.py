"""Clips that touch: cut from one span and shot, they share a frame, the last of the earlier.

Whatever is counted or read over clips takes that frame once, from the later clip, where the later
clip is among those that are counted. `clips_once` and `own_views` give clips as such readers want
them: without a last frame that is another's first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from massannot import tables
from massannot.dataset.reading import ClipView, Dataset
from massannot.storage.parquet import read_columns

Row = Mapping[str, Any]

_SAME = ("video_id", "time_base_num", "time_base_den", "shot", "source_width", "source_height")


class Ends(Protocol):
    """What tells where a clip begins, and whether another begins with its last frame."""

    @property
    def row(self) -> Row:
        """Of `clips`."""

    @property
    def shared_pts(self) -> int | None:
        """Of the clip's last frame, where a later clip begins with it."""


AnyEnds = TypeVar("AnyEnds", bound=Ends)


def in_time(clips: Iterable[AnyEnds]) -> list[AnyEnds]:
    """Clips by their first frame, of two the one that ends first."""
    return sorted(
        clips, key=lambda c: (c.row["first_pts"], c.row["end_pts"], str(c.row["clip_id"]))
    )


def with_earlier(clips: Iterable[AnyEnds]) -> Iterator[tuple[AnyEnds, list[AnyEnds]]]:
    """Each clip in order of time, with the earlier ones of its video whose last frame it begins
    with, of which there are several where spans overlap."""
    ending_at: dict[tuple[str, int], list[AnyEnds]] = defaultdict(list)
    for clip in in_time(clips):
        video_id, first_pts = clip.row["video_id"], clip.row["first_pts"]
        yield clip, [each for each in ending_at[video_id, first_pts] if _goes_on_in(each, clip)]
        if clip.shared_pts is not None:
            ending_at[video_id, clip.shared_pts].append(clip)


def _goes_on_in(earlier: Ends, later: Ends) -> bool:
    """Whether two clips, of which the later begins with a frame of the earlier's, are cut from one
    shot in one way."""
    return earlier.row["clip_id"] != later.row["clip_id"] and all(
        earlier.row[name] == later.row[name] for name in _SAME
    )


def earlier_of(views: Iterable[ClipView]) -> dict[str, ClipView]:
    """A clip to the one whose last frame is its first."""
    return {view.clip_id: earlier[0] for view, earlier in with_earlier(views) if earlier}


def own_lengths(views: Sequence[ClipView]) -> list[int]:
    """How many first frames of each clip count as its own, where each frame counts once."""
    lengths = _own_lengths(views)
    return [lengths[view.clip_id] for view in views]


def own_views(views: Sequence[ClipView]) -> list[ClipView]:
    """The same clips, each frame once: see `own_view`."""
    return [own_view(view, length) for view, length in zip(views, own_lengths(views), strict=True)]


def clips_once(dataset: Dataset) -> Iterator[ClipView]:
    """Every clip of a dataset, by video and time, each frame once: see `own_view`."""
    lengths = lengths_once(dataset)
    return (own_view(view, lengths[view.clip_id]) for view in dataset.clips())


def n_frames_once(dataset: Dataset) -> int:
    """Annotated frames of all clips, those that two share counted once."""
    return sum(lengths_once(dataset).values())


def lengths_once(dataset: Dataset) -> dict[str, int]:
    """`own_lengths` of all clips, by clip_id."""
    return _own_lengths(_all_ends(dataset))


def _own_lengths(clips: Iterable[Ends]) -> dict[str, int]:
    """By clip_id."""
    lengths: dict[str, int] = {}
    for clip, earlier in with_earlier(clips):
        lengths[clip.row["clip_id"]] = clip.row["n_frames"]
        for each in earlier:
            lengths[each.row["clip_id"]] = each.row["n_frames"] - 1
    return lengths


@dataclass(frozen=True)
class _ReadEnds:
    row: Row
    shared_pts: int | None


def _all_ends(dataset: Dataset) -> list[_ReadEnds]:
    shared = _shared(dataset)
    return [
        _ReadEnds(row, shared.get(row["clip_id"])) for row in dataset.table("clips").to_pylist()
    ]


def _shared(dataset: Dataset) -> dict[str, int]:
    """clip_id to the pts of its last frame, where that is marked as shared; older files have no
    such column."""
    found: dict[str, int] = {}
    for path in dataset.files("frames"):
        if "shared" not in pq.read_schema(path).names:
            continue
        rows = read_columns(path, ["clip_id", "pts"], filters=[("shared", "==", True)])
        found |= zip(rows["clip_id"].to_pylist(), rows["pts"].to_pylist(), strict=True)
    return found


def own_view(view: ClipView, length: int) -> ClipView:
    """A clip as if it had only its first `length` frames: rows and list items of later ones are not
    there, nor points chosen in them, nor entities that nothing else shows. `motions` stay: one
    that ends in the shared frame is this clip's alone."""
    if length >= len(view):
        return view
    return ClipView(view.clip_id, lambda name, _: _first_frames(view, name, length))


def _first_frames(view: ClipView, name: str, length: int) -> pa.Table:
    table = view.table(name)
    if name == "clips":
        last = view.table("frames").slice(length - 1, 2).to_pylist()
        ends = {"n_frames": length, "t1_s": last[0]["t_s"], "end_pts": last[1]["pts"]}
        return pa.Table.from_pylist([{**view.row, **ends}], schema=table.schema)
    if "frame" in table.column_names:
        table = table.filter(pc.less(table["frame"], length))
    if "first_frame" in table.column_names:
        table = table.filter(pc.less(table["first_frame"], length))
    for column, most in (("last_frame", length - 1), ("end_frame", length)):
        if column in table.column_names:
            table = _replaced(table, column, pc.min_element_wise(table[column], most))
    if name in ("tracks_xy", "tracks_xyz"):
        chosen = pc.less(view.table("tracks_xy")["query_frame"], length)
        table = _of_points(table, view.table("tracks_xy").filter(chosen))
    if "entity" in table.column_names and name != "entities":
        table = table.filter(pc.invert(pc.is_in(table["entity"], value_set=_gone(view, length))))
    lists = [
        c.name for c in tables.spec(name, schema=table.schema).columns if c.items == _PER_FRAME
    ]
    for column in lists:
        table = _replaced(table, column, pc.list_slice(table[column], 0, length))
    return table


_PER_FRAME = "n_frames"


def _gone(view: ClipView, length: int) -> pa.Array:
    """Entities that are first seen after `length` frames."""
    entities = view.table("entities")
    late = pc.greater_equal(entities["first_frame"], length)
    return entities.filter(late)["entity"].combine_chunks()


def _of_points(table: pa.Table, points: pa.Table) -> pa.Table:
    """Rows of `table` whose entity and point are those of a row of `points`."""
    keys = [
        zip(t["entity"].to_pylist(), t["point"].to_pylist(), strict=True) for t in (table, points)
    ]
    wanted = set(keys[1])
    return table.filter(pa.array([key in wanted for key in keys[0]], pa.bool_()))


def _replaced(table: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    index = table.schema.get_field_index(name)
    field = table.schema.field(index)
    return table.set_column(index, field, values.cast(field.type))
