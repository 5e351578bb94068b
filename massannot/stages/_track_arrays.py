"""Columns of a clip's tables as numpy arrays, and back: frames first, (T, N), unknown is NaN.

`background_paths` are the paths that points of the background seem to walk, though they ought to
stand still.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from massannot import tables
from massannot.clip import Clip, Frames
from massannot.errors import BadModelOutput
from massannot.geometry.active_area import Area
from massannot.geometry.background_fit import masked_median
from massannot.geometry.camera import apply, inverse
from massannot.geometry.camera_motion import CameraMotion, StaticCameraRule, camera_motion
from massannot.geometry.motion import jitter, path_length
from massannot.models.protocols import I32, PointTracker, PointTracks
from massannot.tables._matrices import symmetric_matrices
from massannot.tables._spec import FLOAT32, POINT_STATES, STRING, in_steps, list_of
from massannot.tables.cameras import cam_from_world, poses_are_known

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

BACKGROUND = -1
"""Number that stands for an entity in rows of points of the background."""


class Tables(Protocol):
    """A clip, in work or read back."""

    def table(self, name: str) -> pa.Table:
        """The clip's rows of a table."""
        ...


@dataclass(frozen=True, eq=False)
class PictureTracks:
    """Rows of tracks_xy: N points."""

    entity: I64
    point: I64
    query_frame: I64
    xy: F64
    """(T, N, 2) source pixels."""
    visible: Bool
    """(T, N)."""
    fb_error_px: F64
    """(T, N); NaN: not computed."""

    def of(self, entity: int) -> PictureTracks:
        """Only the points of one entity."""
        mine = self.entity == entity
        return PictureTracks(
            self.entity[mine],
            self.point[mine],
            self.query_frame[mine],
            self.xy[:, mine],
            self.visible[:, mine],
            self.fb_error_px[:, mine],
        )


@dataclass(frozen=True, eq=False)
class SpaceTracks:
    """Rows of tracks_xyz: N points."""

    entity: I64
    xyz: F64
    """(T, N, 3) in each frame's camera; NaN: absent."""
    measured: Bool
    """(T, N)."""

    def of(self, entity: int) -> SpaceTracks:
        """Only the points of one entity."""
        mine = self.entity == entity
        return SpaceTracks(self.entity[mine], self.xyz[:, mine], self.measured[:, mine])


def picture_tracks(clip: Clip) -> PictureTracks:
    """The table tracks_xy of a clip."""
    table, n_frames = clip.table("tracks_xy"), len(clip)
    return PictureTracks(
        entity=numbers(table, "entity").astype(np.int64),
        point=numbers(table, "point").astype(np.int64),
        query_frame=numbers(table, "query_frame").astype(np.int64),
        xy=np.stack([lists(table, axis, n_frames) for axis in "xy"], axis=-1),
        visible=lists(table, "visible", n_frames).astype(np.bool_),
        fb_error_px=lists(table, "fb_error_px", n_frames),
    )


def space_tracks(clip: Tables, *, n_frames: int) -> SpaceTracks:
    """The table tracks_xyz of a clip."""
    table = clip.table("tracks_xyz")
    return SpaceTracks(
        entity=numbers(table, "entity").astype(np.int64),
        xyz=np.stack([lists(table, axis, n_frames) for axis in "xyz"], axis=-1),
        measured=_are(table["state"], "measured").reshape(table.num_rows, n_frames).T,
    )


@dataclass(frozen=True, eq=False)
class BackgroundPaths:
    """N lifted background points in the world."""

    xyz_world: F64
    """(T, N, 3); NaN: absent."""
    measured: Bool
    jitter: F64
    """(N, 3), see geometry/motion.py."""
    t_s: F64

    def over(self, first: int, end: int) -> tuple[F64, F64]:
        """Debiased path lengths (M,) in the frames first..end (exclusive) and the seconds (M,) that
        each covers, of those points that are measured at two times at least."""
        part, t_s = slice(first, end), self.t_s[first:end]
        measured = self.measured[part]
        long = measured.sum(axis=0) >= 2
        measured = measured[:, long]
        length = path_length(
            self.xyz_world[part][:, long], measured, jitter=self.jitter[long], t_s=t_s
        )
        last = len(measured) - 1 - measured[::-1].argmax(axis=0)
        return length, t_s[last] - t_s[measured.argmax(axis=0)]

    def distance_noise(self, clip: Clip) -> float | None:
        """Relative standard deviation through time of the points' distances from the camera, their
        middle place standing still; the median over points that are measured in half of the frames
        or more. None: fewer than eight of them."""
        often = self.measured.mean(axis=0) >= 0.5
        if np.count_nonzero(often) < 8:
            return None
        measured = self.measured[:, often]
        xyz = np.where(measured[..., None], self.xyz_world[:, often], np.nan)
        middle = np.broadcast_to(np.nanmedian(xyz, axis=0), xyz.shape)
        cam_from_world = camera_arrays(clip)[1][:, None]
        distance, expected = (
            np.linalg.norm(apply(cam_from_world, points), axis=-1) for points in (xyz, middle)
        )
        spread = np.nanstd(np.log(distance / expected), axis=0)
        return float(np.median(spread))


def background_paths(clip: Clip, *, camera_static: bool | None) -> BackgroundPaths | None:
    """The background of a clip in the world; None where its stillness cannot be expected: nothing
    lifted, or a camera that moves, or may move, by unknown poses."""
    assumed = words(clip.table("cameras"), "pose_origin", "assumed").any()
    if clip.table("tracks_xyz").num_rows == 0 or (assumed and camera_static is not True):
        return None
    background = space_tracks(clip, n_frames=len(clip)).of(BACKGROUND)
    world_from_cam = inverse(camera_arrays(clip)[1])
    xyz = apply(world_from_cam[:, None], background.xyz)
    noise = jitter(xyz, background.measured, t_s=clip.frames.t_s)
    return BackgroundPaths(xyz, background.measured, noise, clip.frames.t_s)


def camera_arrays(clip: Tables) -> tuple[F64, F64]:
    """Intrinsics (T, 4) fx fy cx cy in source pixels, and cam_from_world (T, 4, 4)."""
    table = clip.table("cameras")
    intrinsics = np.stack([numbers(table, name) for name in ("fx", "fy", "cx", "cy")], axis=-1)
    return intrinsics, cam_from_world(table)


def focal_px(clip: Clip) -> float:
    """In working pixels along x; the median over frames, because depth models hear one number."""
    fx = np.median(numbers(clip.table("cameras"), "fx"))
    return float(fx / clip.frames.source_from_working[0])


def pose_covariances(clip: Tables) -> F64:
    """(T, 6, 6) of the column `pose_cov`; NaN in frames without one."""
    return symmetric_matrices(clip.table("cameras")["pose_cov"], size=6)


def background_motion(clip: Clip, rule: StaticCameraRule) -> CameraMotion:
    """Whether the camera stood still, by the clip's background points. Found once for a table."""
    table = clip.table("tracks_xy")

    def found() -> tuple[pa.Table, CameraMotion]:
        background = picture_tracks(clip).of(BACKGROUND)
        motion = camera_motion(
            background.xy,
            background.visible,
            background.query_frame,
            picture_size=(clip.frames.source_width, clip.frames.source_height),
            rule=rule,
        )
        return table, motion  # the table, so that no other one takes its number

    return clip.frames.once(("background motion", rule, id(table)), found)[1]


def with_columns(table: pa.Table, **columns: Any) -> pa.Table:
    """`table` with other values in some of its columns: sequences, or arrays of pyarrow."""
    for name, values in columns.items():
        index, column = table.schema.get_field_index(name), table.schema.field(name)
        if not isinstance(values, pa.Array):
            values = pa.array(values, column.type)
        table = table.set_column(index, column, values)
    return table


def world_known(clip: Tables) -> bool:
    """Whether things have places in the world, see tables/cameras.py."""
    static = clip.table("clips")["camera_static"].to_pylist()
    return poses_are_known(clip.table("cameras"), camera_static=static[0] if static else None)


def rows_by_entity(table: pa.Table) -> Mapping[int, pa.Table]:
    """Each entity's rows of one clip's table, which is in the order of its key; none: an empty
    table."""
    entity = numbers(table, "entity").astype(np.int64)
    found, first = np.unique(entity, return_index=True)
    counts = np.diff([*first, len(entity)])
    rows = {
        number: table.slice(start, count)
        for number, start, count in zip(found.tolist(), first.tolist(), counts.tolist())
    }
    return defaultdict(lambda: table.slice(0, 0), rows)


def numbers(table: pa.Table, name: str) -> F64:
    """One number a row, as float64; null is NaN."""
    return _numpy(table[name].combine_chunks())


def words(table: pa.Table, name: str, word: str) -> Bool:
    """Whether each row says `word`."""
    return _are(table[name], word)


def lists(table: pa.Table, name: str, n_frames: int) -> F64:
    """(T, N) of a column with one list a row, one item a frame; null items are NaN."""
    items = _numpy(table[name].combine_chunks().flatten())
    return np.ascontiguousarray(items.reshape(table.num_rows, n_frames).T)


def float_lists(values: F64) -> pa.Array:
    """A list column from (T, N); NaN becomes null."""
    n_frames, n_rows = values.shape
    items = np.ascontiguousarray(values.T, np.float32).ravel()
    flat = pa.array(items, FLOAT32, from_pandas=True)
    return pa.ListArray.from_arrays(_offsets(n_rows, n_frames), flat)


def point_states(measured: Bool, interpolated: Bool) -> pa.Array:
    """One of POINT_STATES for each item of two arrays of one shape, flattened."""
    index = np.where(measured, 0, np.where(interpolated, 1, 2)).astype(np.int8).ravel()
    return pa.DictionaryArray.from_arrays(index, pa.array(POINT_STATES)).cast(STRING)


def state_lists(measured: Bool, interpolated: Bool) -> pa.Array:
    """A list column of POINT_STATES from two arrays (T, N)."""
    n_frames, n_rows = measured.shape
    flat = point_states(measured.T, interpolated.T)
    return pa.ListArray.from_arrays(_offsets(n_rows, n_frames), flat)


def _offsets(n_rows: int, n_items: int) -> pa.Array:
    return pa.array(np.arange(n_rows + 1, dtype=np.int32) * n_items)


def _are(column: pa.ChunkedArray, word: str) -> Bool:
    flat = pc.list_flatten(column) if pa.types.is_list(column.type) else column
    same: Any = pc.fill_null(pc.equal(flat, word), False)
    return np.asarray(same.to_numpy(), np.bool_)


def _numpy(array: pa.Array) -> F64:
    return np.asarray(array.to_numpy(zero_copy_only=False), np.float64)


def tracks_xy_table(
    clip: Clip, tracker: PointTracker, *, queries_txy: F64, entities: I32, points: I32
) -> pa.Table:
    """The table `tracks_xy` of points that `tracker` follows.

    `queries_txy` (N, 3): frame, x, y in source pixels; `entities`, `points` (N,): their keys.
    Raises BadModelOutput.
    """
    frames = clip.frames
    working = queries_txy / np.r_[1.0, frames.source_from_working]
    tracks = tracker.track(frames, queries_txy=working)
    _check_tracks(tracks, shape=(len(clip), len(points)), model=tracker.card().name)
    if frames.has_bars:
        tracks = replace(tracks, visible=tracks.visible & _is_inside(frames, tracks.xy))
    factor = frames.source_from_working.astype(np.float32)
    sd_px = _noise_px(tracks, t_s=frames.t_s) * np.sqrt(factor.prod())
    spec = tables.spec("tracks_xy")

    def column(name: str, values: NDArray[np.float32]) -> pa.Array:
        return _lists(values if tracks.given else in_steps(spec.column(name), values))

    return spec.from_columns(
        {
            "clip_id": [clip.clip_id] * len(points),
            "entity": entities,
            "point": points,
            "query_frame": queries_txy[:, 0].astype(np.int32),
            "x": column("x", tracks.xy[..., 0] * factor[0]),
            "y": column("y", tracks.xy[..., 1] * factor[1]),
            "visible": _lists(tracks.visible),
            "visibility": column("visibility", tracks.visibility),
            "confidence": column("confidence", tracks.confidence),
            "fb_error_px": column("fb_error_px", tracks.fb_error_px * np.sqrt(factor.prod())),
            "xy_sd_px": pa.array(sd_px.astype(np.float32), from_pandas=True),
        }
    )


def free_of_bars(frames: Frames, *, margin: int) -> Bool:
    """(H, W) working pixels between black bars, and `margin` of them away from each bar; all where
    there are none."""
    height, width = frames.height, frames.width
    x0, y0, x1, y1 = frames.working_area
    cut = Area(
        x0 + margin * (x0 > 0),
        y0 + margin * (y0 > 0),
        x1 - margin * (x1 < width),
        y1 - margin * (y1 < height),
    )
    return cut.inside(height=height, width=width)


def _is_inside(frames: Frames, xy: NDArray[np.float32]) -> Bool:
    """(T, N) whether points (T, N, 2) in working pixels lie between black bars."""
    x0, y0, x1, y1 = frames.working_area
    return np.asarray(((xy >= [x0, y0]) & (xy < [x1, y1])).all(axis=-1))


def _noise_px(tracks: PointTracks, *, t_s: F64) -> F64:
    """(N,) root of the sum of squares of what is known of: the noise from frame to frame, and the
    median there-and-back error, both where a point is visible, working pixels; NaN: neither.

    On rendered scenes the rank correlation of this with the true error is 0.78 (0.61 and 0.75 of
    its parts), and the error is twice as large in the median.
    """
    noise = jitter(tracks.xy.astype(np.float64), tracks.visible, t_s=t_s)
    known = tracks.visible & np.isfinite(tracks.fb_error_px)
    there_and_back = masked_median(tracks.fb_error_px.astype(np.float64), known, axis=0)
    parts = np.stack([np.sqrt((noise**2).mean(axis=1)), there_and_back])
    total = np.sqrt(np.nansum(parts**2, axis=0))
    total[np.isnan(parts).all(axis=0)] = np.nan
    return total


def _lists(values: NDArray[np.float32] | Bool) -> pa.Array:
    """(T, N) as N lists of T; NaN becomes a null item."""
    flat = np.ascontiguousarray(values.T).ravel()
    offsets = np.arange(values.shape[1] + 1, dtype=np.int32) * values.shape[0]
    items = pa.array(flat, from_pandas=True)
    return pa.ListArray.from_arrays(pa.array(offsets), items, type=list_of(items.type))


def _check_tracks(tracks: PointTracks, *, shape: tuple[int, int], model: str) -> None:
    """Refuse what PointTracker does not promise."""
    per_point = (tracks.visible, tracks.visibility, tracks.confidence, tracks.fb_error_px)
    shapes = [tracks.xy.shape, *(values.shape for values in per_point)]
    if shapes != [(*shape, 2), *[shape] * 4]:
        raise BadModelOutput(f"tracker {model}: found {shapes}, expected (T, N, ..) = {shape}")
    if not np.isfinite(tracks.xy).all():
        raise BadModelOutput(f"tracker {model}: a coordinate is NaN or infinite")
    for values in (tracks.visibility, tracks.confidence):
        if not np.all((values >= 0) & (values <= 1)):
            raise BadModelOutput(
                f"tracker {model}: probabilities {values.min()}..{values.max()}, expected 0..1"
            )
