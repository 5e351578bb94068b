"""Courses: where each entity of a clip is measured to be, in a camera that stands still."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from massannot.geometry import rle
from massannot.geometry.background_fit import masked_median
from massannot.geometry.camera import apply, inverse
from massannot.stages._track_arrays import Tables, camera_arrays, numbers, words

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Course:
    """The places of one entity, in a camera that stands still."""

    xyz: F64
    """(T, 3); NaN: not measured."""
    of_body: bool
    """Of the body's centre, not of the visible surface's."""
    world_from_fixed: F64
    """(4, 4)."""
    frame_rel_sd: float
    """Relative standard deviation along the ray that each frame has for itself; 0: not known."""
    shared_rel_sd: float
    """That which all frames share; 0: not known."""
    calibrated: bool
    """Whether the two come from clips whose truth is known; else they are lower bounds."""
    loose: F64
    """(T, 2) errors of x/z and y/z beside those of a whole outline: the border cuts it there."""

    @property
    def is_cut(self) -> bool:
        """Whether the border cuts some of the outlines."""
        return bool(self.loose.any())

    def uncut(self) -> Course:
        """The places of whole outlines."""
        xyz = np.where(self.loose.any(axis=1, keepdims=True), np.nan, self.xyz)
        return replace(self, xyz=xyz, loose=np.zeros_like(self.loose))

    def at_one_depth(self) -> Course:
        """The same rays, all of them as far as the place usually is. Unusual: what is thrown up, a
        model that reads depth off the ground takes for farther away; its rays are right."""
        z = self.xyz[:, 2]
        return replace(self, xyz=self.xyz / z[:, None] * _median(z))


_SIZE_ERROR = 0.05
"""Relative error of a distance that an outline's size says."""
_EXACT = 0.01
"""Relative error of single depths up to which they are used one by one."""
_USUAL = 0.9
"""Share of the usual area from which on an outline is whole."""
_AROUND = 2
"""Frames before and after, for the area that a mask ought to have."""
_OFF_NEAR, _OFF_USUAL = 0.3, 0.8
"""Of ln area, off the frames around and off the path's: beyond, the mask is not the thing's."""
_HIDDEN_USUAL, _HIDDEN_MOST = 0.15, 0.3
"""Errors, as shares, of half an extent of which a part is outside of the picture: the usual one of
other frames, or, if there is none, the most that is seen."""
_LEAST_BODY_FRAMES = 5
"""With fewer frames in which the body's centre is known, the visible surface's is taken."""


@dataclass(frozen=True, eq=False)
class Courses:
    """The measured places of E entities in T frames; NaN: none."""

    entity: NDArray[np.int64]
    """(E,)."""
    surface: F64
    """(E, T, 3) in each frame's camera."""
    body: F64
    """(E, T, 3) likewise; NaN also where something nearer may cover a part of the outline."""
    whole: F64
    """(E, T, 3) the surface where the body is: at whole outlines, if these are asked for."""
    loose: F64
    """(E, T, 2) errors of x/z and y/z of a body whose outline the border cuts; 0: it does not."""
    area: F64
    """(E, T) of the masks, source px."""
    focal_px: F64
    """(T,) of the source picture."""
    cam_from_world: F64
    frame_rel_sd: F64
    """(E,) median relative standard deviation along the ray of single frames; 0: not known."""
    shared_rel_sd: F64
    """(E,) that which all frames share; 0: not known."""
    size: F64
    """(E,) of the outline, in the unit of the places; NaN: not known."""
    calibrated: bool

    @classmethod
    def of(cls, clip: Tables, *, most_covered: float = 0.0) -> Courses:
        """`most_covered`: share of the outline's edge at which something nearer may lie; 0: the box
        of nothing nearer may meet its box. Above 0, outlines whose area is not the usual one count
        as well, as of things that tumble: the centre of what is seen stands for the body's.
        """
        entities, positions = clip.table("entities"), clip.table("positions")
        entity = numbers(entities, "entity").astype(np.int64)
        measured = positions.filter(pa.array(words(positions, "state", "measured")))
        shape = (len(entity), clip.table("frames").num_rows)
        surface = _dense(measured, ("x_cam", "y_cam", "z_cam"), entity, shape)
        body = _dense(measured, ("body_x", "body_y", "body_z"), entity, shape)
        masks = _dense(clip.table("masks"), ("x0", "y0", "x1", "y1", "area"), entity, shape)
        boxes, area = masks[..., :4], masks[..., 4]
        own = _dense(measured, ("range_rel_sd",), entity, shape)[..., 0]
        own_sd = np.nan_to_num(_median(own))
        covers, whole = _may_cover(boxes, surface[..., 2]), surface
        loose = np.zeros((*shape, 2))
        if most_covered:
            covers = _covers_more(clip, entity, boxes, covers, most_covered)
            covers &= ~_is_usual(area, np.asarray(covers.any(axis=1)))[:, None]
            uncut = _dense(measured, ("cut_share",), entity, shape)[..., 0] == 0
            centres = _centres(boxes, surface, camera_arrays(clip)[0], single_exact(own_sd))
            centres, loose = _completed(clip, boxes, surface[..., 2], centres)
            body = _with_usual_body(body, surface, centres, uncut | loose.any(axis=2))
            whole = np.where((uncut & ~covers.any(axis=1))[..., None], surface, np.nan)
            other = is_other(area)
            body[other] = whole[other] = np.nan
        body[covers.any(axis=1)] = np.nan
        shared = [numbers(table, "range_rel_sd") for table in (entities, clip.table("clips"))]
        sd = np.sqrt(np.nan_to_num(shared[0]) ** 2 + np.nan_to_num(shared[1]) ** 2)
        calibrated = bool(words(measured, "interval_basis", "calibrated").all())
        intrinsics, cam_from_world = camera_arrays(clip)
        side = np.sqrt((boxes[..., 2:] - boxes[..., :2]).prod(axis=-1))
        size = _median(side * surface[..., 2] / intrinsics[:, 0])
        return cls(
            entity,
            surface,
            body,
            whole,
            loose,
            area,
            intrinsics[:, 0],
            cam_from_world,
            own_sd,
            sd,
            size,
            calibrated,
        )

    @cached_property
    def _world_from_cam(self) -> F64:
        return inverse(self.cam_from_world)

    def path(self, entity: int) -> Course:
        """Of one entity. Unusual: the camera that stands still is that of the middle frame with a
        place, so that depth errs along the rays of a moving one too."""
        index, of_body, in_camera = self._places(entity)
        return self._course(index, of_body, in_camera, float(self.frame_rel_sd[index]))

    def path_of_size(self, entity: int) -> Course | None:
        """The same, each place as far from its frame's camera as the outline's area says, where the
        usual one is as far as the usual place: what rolls away gets smaller, what rises does not.
        Where the border cuts the outline it is as far as in the nearest frame where it does not;
        None: there is none."""
        index, of_body, in_camera = self._places(entity)
        z, area = in_camera[:, 2], self.area[index]
        (whole,) = np.nonzero((z > 0) & (area > 0) & ~self.loose[index].any(axis=1))
        if not len(whole):
            return None
        angle = np.sqrt(area[whole]) / self.focal_px[whole]
        depth = np.median(z[whole] * angle) / angle
        nearest = np.abs(np.arange(len(z))[:, None] - whole).argmin(axis=1)
        return self._course(index, of_body, in_camera * (depth[nearest] / z)[:, None], _SIZE_ERROR)

    def _places(self, entity: int) -> tuple[int, bool, F64]:
        """The entity's index, and its places (T, 3) in frames' cameras: of the body or not."""
        (index,) = np.flatnonzero(self.entity == entity)
        of_body = bool(np.isfinite(self.body[index, :, 0]).sum() >= _LEAST_BODY_FRAMES)
        return int(index), of_body, self.body[index] if of_body else self.whole[index]

    def _course(self, index: int, of_body: bool, in_camera: F64, frame_rel_sd: float) -> Course:
        frames = np.flatnonzero(np.isfinite(in_camera[:, 0]))
        middle = self.cam_from_world[frames[len(frames) // 2] if len(frames) else 0]
        xyz = apply(middle, apply(self._world_from_cam, in_camera))
        errors = frame_rel_sd, float(self.shared_rel_sd[index])
        return Course(xyz, of_body, inverse(middle), *errors, self.calibrated, self.loose[index])


def _median(values: F64) -> F64:
    """(...,) along the last axis, of what is finite; NaN where nothing is."""
    return masked_median(values, np.isfinite(values), axis=-1)


def _dense(
    rows: pa.Table, names: tuple[str, ...], entity: NDArray[np.int64], shape: tuple[int, int]
) -> F64:
    """(E, T, len(names)) of rows with an entity and a frame; NaN without a row."""
    values = np.full((*shape, len(names)), np.nan)
    index = np.searchsorted(entity, numbers(rows, "entity").astype(np.int64))
    frame = numbers(rows, "frame").astype(np.int64)
    values[index, frame] = np.stack([numbers(rows, name) for name in names], axis=-1)
    return values


def _may_cover(boxes: F64, z: F64) -> NDArray[np.bool_]:
    """(E, E, T) whether the box of the second, nearer entity meets that of the first."""
    low, high = boxes[:, None, :, :2], boxes[:, None, :, 2:]
    meet = ((low < high.swapaxes(0, 1)) & (low.swapaxes(0, 1) < high)).all(axis=-1)
    return np.asarray(meet & (z[None] < z[:, None]))  # false for NaN


def single_exact(frame_rel_sd: F64) -> NDArray[np.bool_]:
    """(E,) whether single depths with these errors are as good as exact."""
    return np.asarray((frame_rel_sd > 0) & (frame_rel_sd <= _EXACT))


def _centres(boxes: F64, surface: F64, intrinsics: F64, exact: NDArray[np.bool_]) -> F64:
    """(E, T, 2) rays, x/z and y/z, of what is seen: of the box's centre where masks are exact, else
    of the surface's, which a few stray pixels do not move. `intrinsics` (T, 4): source px."""
    of_box = ((boxes[..., :2] + boxes[..., 2:]) / 2 - intrinsics[:, 2:]) / intrinsics[:, :2]
    return np.where(exact[:, None, None], of_box, surface[..., :2] / surface[..., 2:])


def _completed(clip: Tables, boxes: F64, z: F64, centres: F64) -> tuple[F64, F64]:
    """`centres` (E, T, 2), those of outlines that the picture's border cuts completed to the usual
    extent from the side that is seen; and their errors, 0 where nothing is cut. What the left or
    the right border cuts rises and falls as exactly as ever."""
    row = clip.table("clips").to_pylist()[0]
    low = boxes[..., :2] <= 0
    high = boxes[..., 2:] >= np.array([row["source_width"], row["source_height"]])
    lens = camera_arrays(clip)[0]
    first, last = ((side - lens[:, 2:]) / lens[:, :2] for side in np.split(boxes, 2, axis=-1))
    extent = (last - first) * z[..., None]
    usual = _median(np.where(low | high, np.nan, extent).swapaxes(1, 2))
    known = np.isfinite(usual)
    half = np.where(known, usual, np.fmax.reduce(extent, axis=1))[:, None] / z[..., None] / 2
    error = half * np.where(known, _HIDDEN_USUAL, _HIDDEN_MOST)[:, None]
    completed = np.where(low, last - half, first + half)
    return (
        np.where(low ^ high, completed, centres),
        np.where(low & high, half, np.where(low | high, error, 0.0)),
    )


def _with_usual_body(body: F64, surface: F64, centres: F64, told: NDArray[np.bool_]) -> F64:
    """`body` (E, T, 3), where it is unknown and `told` (E, T): as far behind the surface, and aside
    of the ray `centres` (E, T, 2), as it usually is."""
    aside = body[..., :2] / body[..., 2:] - centres
    behind = body[..., 2] - surface[..., 2]
    filled = body.copy()
    for e in range(len(body)):
        known = np.isfinite(behind[e])
        missing = told[e] & ~known & np.isfinite(surface[e, :, 2])
        usual_aside = np.median(aside[e, known], axis=0) if known.any() else np.zeros(2)
        z = surface[e, missing, 2] + (np.median(behind[e, known]) if known.any() else 0.0)
        ray = centres[e, missing] + usual_aside
        filled[e, missing] = np.column_stack([ray * z[:, None], z])
    return filled


def _covers_more(
    clip: Tables, entity: NDArray[np.int64], boxes: F64, covers: NDArray[np.bool_], most: float
) -> NDArray[np.bool_]:
    """Those of `covers` (E, E, T) where the nearer mask lies along more of the other's edge."""
    masks = clip.table("masks")
    keys = zip(masks["entity"].to_pylist(), masks["frame"].to_pylist(), strict=True)
    counts = dict(zip(keys, masks["counts"].to_pylist(), strict=True))
    row = clip.table("clips").to_pylist()[0]
    width, height = row["source_width"], row["source_height"]
    more = np.zeros_like(covers)
    for one, frame in np.argwhere(covers.any(axis=1)):
        x0, y0, x1, y1 = boxes[one, frame].astype(np.int64).tolist()
        part = max(x0 - 2, 0), max(y0 - 2, 0), min(x1 + 3, width), min(y1 + 3, height)

        near = np.flatnonzero(covers[one, :, frame])
        mine, *others = (
            rle.decode_box(counts[int(e), int(frame)], part, height=height, width=width).T
            for e in entity[[one, *near]]
        )
        edge = _edge(mine)
        more[one, near, frame] = [_share_beside(edge, other) > most for other in others]
    return more


def _is_usual(area: F64, covered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(E, T) whether a mask has at least _USUAL of the area that it usually has uncovered: what is
    beside it, and taken for nearer, covers nothing."""
    alone = _median(np.where(covered, np.nan, area))
    return np.asarray(area >= _USUAL * alone[:, None])  # false for NaN


def is_other(area: F64) -> NDArray[np.bool_]:
    """(E, T) whether a mask's area is not that of the frames around it, nor of the path: a
    propagator holds on to a part of the thing, or took in another."""
    with np.errstate(divide="ignore"):
        size = np.where(area > 0, np.log(area), np.nan)
    sides = np.full((len(size), _AROUND), np.nan)
    around = sliding_window_view(np.hstack([sides, size, sides]), 2 * _AROUND + 1, axis=1)
    near, usual = _median(around), _median(size)[:, None]
    return np.asarray((np.abs(size - near) > _OFF_NEAR) | (np.abs(size - usual) > _OFF_USUAL))


def _edge(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(2, N) indices of the pixels of a mask of any two axes one of whose four neighbours is not of
    it; beyond the array nothing is."""
    inside = mask.copy()
    inside[1:] &= mask[:-1]
    inside[:-1] &= mask[1:]
    inside[:, 1:] &= mask[:, :-1]
    inside[:, :-1] &= mask[:, 1:]
    inside[[0, -1]] = inside[:, [0, -1]] = False
    return np.stack((mask & ~inside).nonzero())


def _share_beside(edge: NDArray[np.int64], other: NDArray[np.bool_]) -> float:
    """Share of pixels (2, N) that lie beside, or under, another mask of the same axes."""
    x, y = edge
    last_x, last_y = other.shape[0] - 1, other.shape[1] - 1
    beside = other[x, y]
    beside |= other[np.maximum(x - 1, 0), y] | other[np.minimum(x + 1, last_x), y]
    beside |= other[x, np.maximum(y - 1, 0)] | other[x, np.minimum(y + 1, last_y)]
    return np.count_nonzero(beside) / max(x.size, 1)
