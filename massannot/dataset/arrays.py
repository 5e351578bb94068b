"""A clip's lifted point tracks and cameras as arrays without holes, for formats that know no null.

Where a point is absent, its last known place is repeated (before the first, the first), and `state`
says so: readers that honour visibility never look there, and the others get no NaN.

Rows of a clip for other formats: of entities that are good enough, with numbers written short.

A float32 written as JSON or text is its shortest decimal that reads back as the same float32, so
that what is exported loads back equal and does not look like 0.10000000149011612.

A row of `depth_maps` as numbers again.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from massannot import tables
from massannot.dataset.reading import ClipView
from massannot.errors import UsageError
from massannot.tables._spec import POINT_STATES
from massannot.tables.cameras import cam_from_world, poses_are_known


def good_entities(view: ClipView, *, min_quality: float | None) -> set[int]:
    """Entities of at least this quality; with a limit, unknown quality is not enough. Raises
    UsageError for a limit that is no quality."""
    if min_quality is not None and not 0 <= min_quality <= 1:
        raise UsageError(f"--min-quality: found {min_quality}, expected 0 to 1")
    return {
        row["entity"]
        for row in view.table("entities").select(["entity", "quality"]).to_pylist()
        if min_quality is None or (row["quality"] is not None and row["quality"] >= min_quality)
    }


def rows_of_entities(view: ClipView, table: str, entities: set[int]) -> pa.Table:
    """The clip's rows of `table` that belong to `entities`; points of the background do not."""
    found = view.table(table)
    wanted = pa.array(sorted(entities), found["entity"].type)
    return found.filter(pc.is_in(found["entity"], value_set=wanted))


def masks_by_frame(view: ClipView, entities: set[int]) -> dict[int, list[dict[str, Any] | None]]:
    """Of each entity its rows of `masks`, see short_rows, one a frame; None where there is none."""
    rows: dict[int, list[dict[str, Any] | None]] = {e: [None] * len(view) for e in sorted(entities)}
    for row in short_rows(rows_of_entities(view, "masks", entities)):
        rows[row["entity"]][row["frame"]] = row
    return rows


def short_rows(table: pa.Table) -> list[dict[str, Any]]:
    """One mapping a row, float32 as the shortest decimals."""
    columns = [_short(table[name].combine_chunks()) for name in table.column_names]
    rows: list[dict[str, Any]] = pa.table(columns, names=table.column_names).to_pylist()
    return rows


def _short(array: pa.Array) -> pa.Array:
    if pa.types.is_float32(array.type):
        return array.cast(pa.string()).cast(pa.float64())
    if pa.types.is_list(array.type) and pa.types.is_float32(array.type.value_type):
        mask = array.is_null() if array.null_count else None
        return pa.ListArray.from_arrays(array.offsets, _short(array.values), mask=mask)
    return array


def stored_values(row: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """(h, w) depth, or inverse depth where the row's `encoding` says so; NaN where invalid."""
    stored = np.asarray(Image.open(io.BytesIO(row["png"])), np.float64)
    return np.where(stored == 0, np.nan, row["scale"] * stored + row["offset"])


WORLD_UNKNOWN = "the world is not known, as the camera moved, or may have"
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LiftedTracks:
    """N lifted points of entities over T frames."""

    entity: npt.NDArray[np.int32]
    point: npt.NDArray[np.int32]
    query_frame: npt.NDArray[np.int32]
    xy: F32
    """(T, N, 2) source pixels, corner origin."""
    visible: npt.NDArray[np.bool_]
    """(T, N) seen by the tracker, and its place in space is known."""
    xyz: F32
    """(T, N, 3) camera frame of each frame; finite everywhere."""
    state: npt.NDArray[np.uint8]
    """(T, N) index into POINT_STATES: measured, interpolated, absent."""
    scale_type: str
    intrinsics: F64
    """(T, 4) fx fy cx cy, source pixels, corner origin."""
    cam_from_world: F64
    """(T, 4, 4)."""
    world_known: bool
    """Poses are given or estimated, or the camera stood still; else `cam_from_world` is assumed."""

    @property
    def xyz_world(self) -> F64:
        """(T, N, 3) in the clip's first camera."""
        rotation, shift = self.cam_from_world[:, :3, :3], self.cam_from_world[:, :3, 3]
        return (self.xyz.astype(np.float64) - shift[:, None]) @ rotation


def lifted_tracks(view: ClipView, *, entities: set[int]) -> LiftedTracks | None:
    """The lifted points of `entities`; None: there are none, or no cameras."""
    tracks, cameras = view.tracks(), view.table("cameras")
    known = np.asarray(np.isfinite(tracks.xyz).all(axis=-1))
    wanted = np.isin(tracks.entity, sorted(entities)) & known.any(axis=0)
    if not wanted.any() or tracks.scale_type is None or cameras.num_rows != len(view):
        return None
    known, xyz = known[:, wanted], tracks.xyz[:, wanted]
    states = tracks.state[:, wanted]
    code = np.select([states == name for name in POINT_STATES], range(3), 2).astype(np.uint8)
    return LiftedTracks(
        entity=tracks.entity[wanted],
        point=tracks.point[wanted],
        query_frame=tracks.query_frame[wanted],
        xy=tracks.xy[:, wanted],
        visible=tracks.visible[:, wanted] & known,
        xyz=_held(xyz, known),
        state=code,
        scale_type=tracks.scale_type,
        intrinsics=np.stack([cameras[n].to_numpy() for n in ("fx", "fy", "cx", "cy")], axis=1),
        cam_from_world=cam_from_world(cameras),
        world_known=poses_are_known(cameras, camera_static=view.row["camera_static"]),
    )


def tracks_table(
    *,
    clip_id: str,
    entity: npt.NDArray[np.int32],
    point: npt.NDArray[np.int32],
    xyz: F32,
    state: npt.NDArray[np.uint8],
    scale_type: str,
) -> pa.Table:
    """The rows of `tracks_xyz` that such arrays came from: absent places are null again."""
    n_points = len(entity)
    absent = state == POINT_STATES.index("absent")
    names = np.array(POINT_STATES, object)[state]
    return tables.spec("tracks_xyz").from_columns(
        {
            "clip_id": [clip_id] * n_points,
            "entity": entity,
            "point": point,
            "scale_type": [scale_type] * n_points,
            **{
                axis: [_nullable(xyz[:, n, i], absent[:, n]) for n in range(n_points)]
                for i, axis in enumerate("xyz")
            },
            "state": [names[:, n].tolist() for n in range(n_points)],
        }
    )


def _nullable(values: F32, absent: npt.NDArray[np.bool_]) -> list[float | None]:
    return [None if gone else v for v, gone in zip(values.tolist(), absent.tolist(), strict=True)]


def _held(xyz: F32, known: npt.NDArray[np.bool_]) -> F32:
    """(T, N, 3) with unknown places taken from the last known frame, or else from the first."""
    n_frames = len(xyz)
    frame = np.where(known, np.arange(n_frames)[:, None], -1)
    last = np.maximum.accumulate(frame, axis=0)
    source = np.where(last < 0, known.argmax(axis=0), last)
    return np.take_along_axis(xyz, source[..., None], axis=0)
