"""ClipView: one finished clip as numpy arrays, frames first: (T, N, 3), unknown is NaN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from massannot.geometry import rle

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
Bool = npt.NDArray[np.bool_]
Strings = npt.NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class Tracks:
    """N tracked points over T frames, by entity and point."""

    entity: I32
    """(N,) the entity; -1: a point of the background."""
    point: I32
    """(N,) 0.. within the entity."""
    query_frame: I32
    """(N,) the frame in which the point was chosen."""
    xy: F32
    """(T, N, 2) source pixels, origin at the picture's top-left corner."""
    visible: Bool
    """(T, N) the tracker's decision."""
    xyz: F32
    """(T, N, 3) camera frame of each frame (x right, y down, z forward); NaN: absent."""
    state: Strings
    """(T, N) measured, interpolated or absent; absent everywhere for a point never lifted."""
    scale_type: str | None
    """Unit of xyz: metric (metres) or relative (one unknown factor); None: nothing was lifted."""


@dataclass(frozen=True, eq=False)
class Positions:
    """Centres of E entities over T frames; NaN: absent."""

    entity: I32
    """(E,)."""
    xyz_cam: F32
    """(T, E, 3) in the camera of each frame."""
    xyz_world: F32
    """(T, E, 3) in the clip's first camera."""
    state: Strings
    """(T, E) measured, interpolated or absent."""
    scale_type: str | None


class ClipView:
    """A clip of a dataset. Each table is read when it is first asked for."""

    def __init__(self, clip_id: str, rows_of: Callable[[str, str], pa.Table]):
        self.clip_id = clip_id
        self._rows_of = rows_of
        self._read: dict[str, pa.Table] = {}

    def __repr__(self) -> str:
        return f"ClipView({self.clip_id!r})"

    def __len__(self) -> int:
        return int(self.row["n_frames"])

    def table(self, name: str) -> pa.Table:
        """This clip's rows of a table, in key order; no rows where the table is not there."""
        if name not in self._read:
            self._read[name] = self._rows_of(name, self.clip_id)
        return self._read[name]

    @cached_property
    def row(self) -> dict[str, Any]:
        """This clip's row of `clips`."""
        row: dict[str, Any] = self.table("clips").to_pylist()[0]
        return row

    @property
    def phrases(self) -> tuple[str, ...]:
        """What was asked for, by phrase number."""
        return tuple(self.table("phrases")["text"].to_pylist())

    def tracks(self) -> Tracks:
        """All point tracks of the clip."""
        in_picture, in_space = self.table("tracks_xy"), self.table("tracks_xyz")
        entity, point = _column(in_picture, "entity"), _column(in_picture, "point")
        n_frames, n_points = len(self), len(entity)
        xyz = np.full((n_frames, n_points, 3), np.nan, np.float32)
        state = np.full((n_frames, n_points), "absent", dtype="<U12")
        place = {key: n for n, key in enumerate(zip(entity.tolist(), point.tolist(), strict=True))}
        lifted = zip(in_space["entity"].to_pylist(), in_space["point"].to_pylist(), strict=True)
        rows = [place[key] for key in lifted]
        if rows:
            xyz[:, rows] = np.stack([_lists(in_space, a, n_frames) for a in "xyz"], axis=-1)
            state[:, rows] = _lists(in_space, "state", n_frames)
        return Tracks(
            entity=entity,
            point=point,
            query_frame=_column(in_picture, "query_frame"),
            xy=np.stack([_lists(in_picture, a, n_frames) for a in "xy"], axis=-1),
            visible=_lists(in_picture, "visible", n_frames),
            xyz=xyz,
            state=state,
            scale_type=in_space["scale_type"][0].as_py() if rows else None,
        )

    def masks(self, entity: int) -> Bool:
        """(T, H, W) in source pixels; empty where there is no row. Large: see `mask`."""
        height, width = self.row["source_height"], self.row["source_width"]
        masks = np.zeros((len(self), height, width), np.bool_)
        for frame, counts in self._counts_of(entity).items():
            masks[frame] = rle.decode(counts, height=height, width=width)
        return masks

    def mask(self, entity: int, *, frame: int) -> Bool:
        """(H, W) of one entity in one frame; empty where there is no row."""
        height, width = self.row["source_height"], self.row["source_width"]
        counts = self._counts_of(entity).get(frame)
        if counts is None:
            return np.zeros((height, width), np.bool_)
        return rle.decode(counts, height=height, width=width)

    def positions(self) -> Positions:
        """Where each entity is, frame by frame."""
        found = self.table("positions")
        entities, column = np.unique(_column(found, "entity"), return_inverse=True)
        frame = _column(found, "frame")
        shape = (len(self), len(entities))
        xyz_cam, xyz_world = (np.full((*shape, 3), np.nan, np.float32) for _ in range(2))
        state = np.full(shape, "absent", dtype="<U12")
        for axis, name in enumerate("xyz"):
            xyz_cam[frame, column, axis] = _column(found, f"{name}_cam")
            xyz_world[frame, column, axis] = _column(found, f"{name}_world")
        state[frame, column] = _column(found, "state")
        scale_type = found["scale_type"][0].as_py() if found.num_rows else None
        return Positions(entities.astype(np.int32), xyz_cam, xyz_world, state, scale_type)

    def _counts_of(self, entity: int) -> dict[int, str]:
        """Frame to run lengths of one entity."""
        masks = self.table("masks")
        mine = masks.filter(_column(masks, "entity") == entity)
        return dict(zip(mine["frame"].to_pylist(), mine["counts"].to_pylist(), strict=True))


def _column(table: pa.Table, name: str) -> npt.NDArray[Any]:
    """One value a row; null floats become NaN."""
    return _numpy(table[name].combine_chunks())


def _lists(table: pa.Table, name: str, n_frames: int) -> npt.NDArray[Any]:
    """(T, N) of a per-frame list column; null floats become NaN."""
    lists = table[name].combine_chunks()
    return _numpy(lists.flatten()).reshape(len(lists), n_frames).T


def _numpy(array: pa.Array) -> npt.NDArray[Any]:
    if pa.types.is_string(array.type):
        return np.array(array.to_pylist(), dtype="<U12")
    return np.asarray(array.to_numpy(zero_copy_only=False))
