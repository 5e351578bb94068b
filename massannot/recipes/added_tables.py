"""Tables that a finished clip lacks, made from those that stand: no picture, no model.

Depth is what was stored in `depth_maps`, which is smaller and has 16 bits. Cameras are the assumed
pinhole that stands still, since nothing stored tells another. How sure a new row is comes from the
clip itself (`internal`), and what the clip's own row says, its scale and its noise floor, stays as
it is. A table is made with the stages' own options, whatever the recipe said.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from massannot import tables
from massannot.clip import ACTIVE, Clip, DepthMaps, Frames, Video
from massannot.dataset.arrays import stored_values
from massannot.geometry.active_area import Area
from massannot.models.camera_pinhole import PinholeCamera
from massannot.stages._stage import Stage
from massannot.stages.estimate_cameras import EstimateCameras
from massannot.stages.find_events import FindEvents
from massannot.stages.lift_tracks import LiftTracks
from massannot.stages.locate_entities import LocateEntities
from massannot.stages.measure_motions import MeasureMotions
from massannot.stages.split_segments import SplitSegments
from massannot.stages.state_intervals import StateIntervals

MAKERS: Mapping[str, Stage] = {
    "segments": SplitSegments(),
    "cameras": EstimateCameras(PinholeCamera()),
    "tracks_xyz": LiftTracks(),
    "positions": LocateEntities(),
    "motions": MeasureMotions(),
    "events": FindEvents(),
}
"""In the order in which one reads another."""
_STATED = ("positions", "motions")
_OF_STATED = {*StateIntervals.reads} - {*_STATED}


def lacking(standing: Collection[str], wanted: Sequence[str]) -> dict[str, list[str]]:
    """Of each table that cannot be made, what it reads and nobody has."""
    there, found = {*standing}, {}
    for name in (name for name in MAKERS if name in wanted):
        reads = ["depth_maps" if read == "depth" else read for read in MAKERS[name].reads]
        if missing := [read for read in reads if read not in there]:
            found[name] = missing
        there.add(name)
    return found


def made_tables(standing: Mapping[str, pa.Table], wanted: Sequence[str]) -> dict[str, pa.Table]:
    """The wanted tables of one clip, whose finished tables are `standing`; see `lacking`."""
    clip = _clip_of(standing)
    for name in (name for name in MAKERS if name in wanted):
        clip = MAKERS[name].process(clip)
        if name == "motions" or (name == "positions" and "motions" not in wanted):
            clip = _stated(clip, wanted)
    return {name: clip.table(name) for name in wanted}


def _stated(clip: Clip, wanted: Sequence[str]) -> Clip:
    """With intervals in those of positions and motions that are wanted."""
    with_both = clip
    for name in (*_OF_STATED, *_STATED):
        if name not in clip.tables and name not in ("frames", "depth"):
            with_both = with_both.with_table(name, tables.spec(name).empty())
    stated = StateIntervals().process(with_both)
    for name in _STATED:
        if name in wanted and name in clip.tables:
            clip = clip.with_table(name, stated.table(name))
    return clip


def _clip_of(standing: Mapping[str, pa.Table]) -> Clip:
    """A clip in work of rows that stand. Its pictures are black, and nobody looks at them."""
    (row,) = standing["clips"].to_pylist()
    times = standing["frames"]
    shape = len(times), row["working_height"], row["working_width"], 3
    time_base = Fraction(row["time_base_num"], row["time_base_den"])
    edges = [row[name] for name in ACTIVE]
    frames = Frames(
        pixels_THWC=np.broadcast_to(np.uint8(0), shape),
        video_id=row["video_id"],
        source_id=row["source_id"] or "",
        pts=times["pts"].to_numpy(),
        t_s=times["t_s"].to_numpy(),
        time_base=time_base,
        source_width=row["source_width"],
        source_height=row["source_height"],
        active_xyxy=None if None in edges else Area(*edges),
        uri=row["uri"],
    )
    clip = Clip(
        clip_id=row["clip_id"],
        clip_index=row["clip_index"],
        video=_video(row, time_base),
        first_pts=row["first_pts"],
        end_pts=row["end_pts"],
        sampling=row["sampling"],
        phrases=(),
        frames=frames,
        tables=MappingProxyType(dict(standing)),
        shot=row["shot"],
        micro_batch=row["micro_batch"],
    )
    maps = standing.get("depth_maps")
    if maps is None or maps.num_rows != len(times):
        return clip
    return replace(clip, depth=_depth(maps.to_pylist()))


def _depth(rows: Sequence[Mapping[str, Any]]) -> DepthMaps:
    values = np.stack([stored_values(row) for row in rows]).astype(np.float32)
    return DepthMaps(values, rows[0]["scale_type"])


def _video(row: Mapping[str, Any], time_base: Fraction) -> Video:
    """As far as the clip's row knows it."""
    return Video(
        uri=row["uri"],
        video_id=row["video_id"],
        source_id=row["source_id"],
        size_bytes=0,
        container="",
        codec="",
        pixel_format=None,
        width=row["source_width"],
        height=row["source_height"],
        rotation=0,
        sample_aspect=Fraction(1),
        color_space="",
        color_range="",
        time_base=time_base,
        first_pts=row["first_pts"],
        duration_s=None,
        n_frames=None,
        variable_rate=None,
        damaged=row["damaged"],
    )
