"""Departures: a thing in full view is not there any more in the next frame, as no motion has it.

    vanish    its mask is gone but for a scrap, or has jumped onto another thing's
    teleport  its mask has jumped to a place of its own

What goes behind something or out of the picture does so by moving, its own or the other's: in one
frame no more of it goes out of sight than that motion covers, as a share of its size. And a step of
a thing that is struck, or that strikes, lies between the steps before and after it, however hard
the blow: a jump is as long as the step's distance from the straight line between the mean steps on
both sides. It has to exceed a share of the thing's size, for the middle of what is seen of a thing
moves by as much when something passes in front of it. And it has to do so in space and in the
picture: depth alone jumps where a mask takes in what is behind the thing. Less is enough in the
picture, for a jump along the ray is short there, if the thing has the same size in both places.

Unusual: neither poses nor metres are needed; a camera that moves smoothly moves all steps alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from massannot.geometry import rle
from massannot.geometry.presence import MaskPath

F64 = NDArray[np.float64]

LEAST_SIZES = 0.75
"""Of the thing's size, for a jump."""
_LEAST_ALONG_RAY = 0.3
"""The same in the picture, where the thing is as large as before."""
_SAME_SIZE = 0.5
"""Change of ln of the area in space up to which a thing is as large as before."""
LEFT_OVER = 0.5
"""Share of its usual area that something loses at once, beyond what motion explains."""
_LEFT_OVER_SD = 0.12
_LEAST_SD = 0.1
"""Of a jump, in sizes."""
_NORMAL_MEDIAN = 1.538
"""Median length of a normal vector of three numbers with standard deviation 1; of two, 1.18: in the
picture the noise counts for a quarter less."""
_SIDE = 2
"""Steps before and after."""
_BEFORE = 5
"""Frames among which the usual area is looked for, and by which motion is told."""
_LONG = 3
"""Frames that a thing that vanished is not seen for: a propagator may lose it for fewer."""
_LEAST_PX = 60
"""Area of a mask below which it is too small to be in full view."""
_STEADY = 0.25
"""Change of ln area from frame to frame up to which a mask is that of a thing in full view."""
_ARRIVED = 0.5
"""The same of a mask that has jumped: it may turn into view, a propagator's slip is undone."""
_ASIDE = 0.5
"""Share of a thing's box in another's box, up to which it stands aside of it."""
_SAME_PLACE = 0.5
"""Intersection over union of boxes from which on two masks are in one place."""
_SHARED = 0.15
"""Share of a mask inside another from which on it is not known which thing it shows."""
_SCRAP = 0.35
"""Share of its usual area up to which what is left of a mask is not the thing."""


LIKELY = 0.5
"""Score from which on an event is stated."""
SURE = 0.8
"""The same of a departure: that a mask errs is likelier than what cannot be."""


@dataclass(frozen=True)
class Departure:
    """The first frame without the thing where it has to be."""

    kind: Literal["vanish", "teleport"]
    frame: int
    score: float
    """Probability that the deciding number is beyond its threshold."""


class MaskPaths:
    """The masks of all N things of a clip, and their boxes in one array: who meets whom is asked of
    each thing in many frames, and a loop over the others would cost the square of N."""

    def __init__(self, paths: Sequence[MaskPath]):
        self.paths = paths
        self.boxes_xyxy = (
            np.stack([path.box_xyxy for path in paths]) if paths else np.empty((0, 0, 4))
        )
        """(N, T, 4) source pixels; NaN without a mask."""

    def met(self, box_xyxy: F64, frame: int, *, but: int) -> F64:
        """(N,) area of each thing's box that is in another box; 0 for the thing `but`."""
        areas = _met(box_xyxy, self.boxes_xyxy[:, frame])
        areas[but] = 0.0
        return areas


def departures(
    paths: MaskPaths, index: int, xyz: F64, *, size: float, least_score: float = LIKELY
) -> Iterator[Departure]:
    """Of the thing `index`, whose surface is at `xyz` (T, 3) in each frame's camera, NaN: not
    known; `size` in the unit of these. Only those with `least_score` and more."""
    path = paths.paths[index]
    if not path.area.any():
        return
    jumped = np.minimum(_jumped(xyz / size, LEAST_SIZES), _jumped_in_picture(path, xyz[:, 2]))
    likely = (jumped[1:] >= least_score) | _may_vanish(path.area)[2:]
    for frame in (2 + np.flatnonzero(likely)).tolist():
        if not _is_steady(path, frame - 1) or _is_shared(paths, index, frame - 1):
            continue
        vanished = _vanishes(paths, index, frame) if _is_aside(paths, index, frame - 1) else 0.0
        score = float(np.nan_to_num(jumped[frame - 1]))  # without a place there is no jump
        if 0 < vanished >= max(least_score, score):
            yield Departure("vanish", frame, vanished)
        elif score >= least_score and _is_elsewhere(path, frame):
            yield Departure(
                "vanish" if _is_on_another(paths, index, frame) else "teleport", frame, score
            )


def _is_steady(path: MaskPath, frame: int, most: float = _STEADY) -> bool:
    """Whether as much of the thing is seen as in the frame before, but for a change of ln area; of
    a frame after the last one that is not known."""
    if frame == len(path):
        return False
    one, two = path.area[frame - 1 : frame + 1]
    return min(one, two) >= _LEAST_PX and abs(math.log(two / one)) <= most


def _is_shared(paths: MaskPaths, index: int, frame: int) -> bool:
    """Whether a good part of the mask is another thing's too."""
    path = paths.paths[index]
    near = np.flatnonzero(paths.met(paths.boxes_xyxy[index, frame], frame, but=index)).tolist()
    return any(
        rle.intersection_area(path.counts[frame] or "", paths.paths[n].counts[frame] or "")
        >= _SHARED * path.area[frame]
        for n in near
    )


def _is_aside(paths: MaskPaths, index: int, frame: int) -> bool:
    """Whether no other thing is so near in the picture that it might cover this one."""
    box = paths.boxes_xyxy[index, frame]
    return bool((paths.met(box, frame, but=index) <= _ASIDE * _area(box, box)).all())


def _is_elsewhere(path: MaskPath, frame: int) -> bool:
    """Whether the mask is in another place than before, and stays as it is there."""
    before, here = path.box_xyxy[frame - 1], path.box_xyxy[frame]
    apart = _iou(before, here, _area(before, here)) < _SAME_PLACE
    return apart and _is_steady(path, frame + 1, _ARRIVED)


def _is_on_another(paths: MaskPaths, index: int, frame: int) -> bool:
    """Whether the mask is where another thing's is."""
    here = paths.boxes_xyxy[index, frame]
    met = paths.met(here, frame, but=index)
    others = ((paths.boxes_xyxy[n, frame], met[n]) for n in np.flatnonzero(met))
    return any(_iou(here, box, both) >= _SAME_PLACE for box, both in others)


def _may_vanish(area: F64) -> NDArray[np.bool_]:
    """(T,) frames from which on hardly anything is left of the areas before: of the others
    `_vanishes` says 0."""
    before = sliding_window_view(np.r_[np.zeros(_BEFORE), area[:-1]], _BEFORE).max(axis=1)
    after = sliding_window_view(np.r_[area, np.zeros(_LONG - 1)], _LONG).max(axis=1)
    return np.asarray(after <= _SCRAP * before)


def _vanishes(paths: MaskPaths, index: int, frame: int) -> float:
    path = paths.paths[index]
    recent = path.area[max(0, frame - _BEFORE) : frame]
    usual = float(np.median(recent[recent > 0]))
    left = float(path.area[frame : frame + _LONG].max()) / usual
    if left > _SCRAP:
        return 0.0
    share = min(float(path.area[frame - 1] / usual), 1.0)
    box = path.box_xyxy[frame - 1]
    own = _step(path, frame)
    near = np.flatnonzero(paths.met(box + 0.5 * _sides(box), frame - 1, but=index)).tolist()
    others = (own - one for n in near for one in _steps_of_cover(paths.paths[n], frame))
    step = max(float(np.abs(v).max()) for v in (own, *others))
    left_over = share - step / float(_sides(box)[2:].min())
    return 0.5 * (1 + math.erf((left_over - LEFT_OVER) / _LEFT_OVER_SD / math.sqrt(2)))


def _step(path: MaskPath, frame: int) -> F64:
    """(2,) pixels a frame of the box's centre before a frame; 0 where it is not seen twice."""
    steps = np.diff(path.centre[max(0, frame - _BEFORE) : frame], axis=0)
    steps = steps[np.isfinite(steps[:, 0])]
    return np.median(steps, axis=0) if len(steps) else np.zeros(2)


def _steps_of_cover(path: MaskPath, frame: int) -> Iterator[F64]:
    """(2,) pixels: the usual step of what may cover another thing, and the one into this frame."""
    yield _step(path, frame)
    last = path.centre[frame] - path.centre[frame - 1]
    if np.isfinite(last[0]):
        yield last


def _sides(box: F64) -> F64:
    """(4,) -width, -height, width, height: to widen a box by."""
    sides = box[2:] - box[:2]
    return np.r_[-sides, sides]


def _met(box: F64, boxes: F64) -> F64:
    """(N,) area in a box and in each of (N, 4) boxes; 0 for NaN."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    return np.where((sides > 0).all(axis=1), sides.prod(axis=1), 0.0)


def _area(box: F64, other: F64) -> float:
    """In both boxes."""
    return float(_met(box, other[None])[0])


def _iou(box: F64, other: F64, both: float) -> float:
    """Of boxes that share an area `both`."""
    return both / (_area(box, box) + _area(other, other) - both) if both else 0.0


def _jumped_in_picture(path: MaskPath, z: F64) -> F64:
    """(T - 1,) the probability that a step jumps by enough in the picture; NaN: not known."""
    places = path.centre / _size_px(path)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.abs(np.diff(np.log(path.area * z**2)))
    along_ray = np.where(change <= _SAME_SIZE, _jumped(places, _LEAST_ALONG_RAY), 0.0)
    return np.maximum(_jumped(places, LEAST_SIZES), along_ray)


def _jumped(places: F64, least: float) -> F64:
    """(T - 1,) the probability that a step jumps by `least` and more, of places (T, 2 or 3) in
    sizes of the thing; NaN: not known."""
    off = _off_lines(places)
    known = off[np.isfinite(off)]
    sd = max(_LEAST_SD, float(np.median(known)) / _NORMAL_MEDIAN) if len(known) else _LEAST_SD
    z = (off - least) / sd / math.sqrt(2)
    return np.array([0.5 * (1 + math.erf(one)) for one in z])


def _size_px(path: MaskPath) -> float:
    """The usual side of the thing's box, pixels."""
    sides = path.box_xyxy[:, 2:] - path.box_xyxy[:, :2]
    return float(np.nanmedian(np.sqrt(sides.prod(axis=1))))


def _off_lines(places: F64) -> F64:
    """(T - 1,) distance of each step of a path from the line between the means of those around it;
    NaN: a side is not known."""
    steps = np.diff(places, axis=0)
    unknown = np.full((_SIDE, places.shape[1]), np.nan)
    around = sliding_window_view(np.concatenate([unknown, steps, unknown]), len(steps), axis=0)
    one = _mean(around[:_SIDE])
    along = _mean(around[_SIDE + 1 :]) - one
    own = steps.T - one
    size = np.maximum((along * along).sum(axis=0), 1e-12)
    share = np.clip((own * along).sum(axis=0) / size, 0.0, 1.0)
    return np.asarray(np.linalg.norm(own - share * along, axis=0))


def _mean(steps: F64) -> F64:
    """(D, T) of the known ones of (N, D, T) steps; NaN: none."""
    known = np.isfinite(steps[:, :1])
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, steps, 0.0).sum(axis=0) / known.sum(axis=0))
