"""The quality of each entity and each of its motions, judged from the video itself.

The parts stand beside the number they give (geometry/quality.py), in `entities` over the whole
clip; `motions` get the same number over their own frames. Where nothing was lifted, the parts that
need no depth still give a quality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from massannot.clip import Clip
from massannot.geometry import rle
from massannot.geometry.motion import jitter
from massannot.geometry.quality import QualityParts, quality
from massannot.stages._stage import Stage
from massannot.stages._track_arrays import (
    PictureTracks,
    numbers,
    picture_tracks,
    rows_by_entity,
    space_tracks,
    with_columns,
    words,
)

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class ScoreQuality(Stage):
    """Fills `quality` and its parts in `entities` and `motions`."""

    reads: ClassVar[tuple[str, ...]] = (
        "frames",
        "segments",
        "entities",
        "masks",
        "tracks_xy",
        "tracks_xyz",
        "positions",
        "motions",
    )
    writes: ClassVar[tuple[str, ...]] = ("entities", "motions")
    fills: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "entities": (
            "quality",
            "fb_error_px",
            "in_mask_share",
            "depth_valid_share",
            "points_alive_share",
            "mask_score",
        ),
        "motions": ("quality",),
    }

    def process(self, clip: Clip) -> Clip:
        """`clip` with both tables filled."""
        entities, motions = clip.table("entities"), clip.table("motions")
        evidence = evidence_of_all(clip)
        whole = [item.parts(0, len(clip)) for item in evidence.values()]
        diagonal = float(np.hypot(clip.frames.source_width, clip.frames.source_height))
        columns: dict[str, Sequence[float | None]] = {
            "quality": [quality(parts) for parts in whole],
            "fb_error_px": [
                None if parts.fb_error is None else parts.fb_error * diagonal for parts in whole
            ],
            "in_mask_share": [parts.in_mask_share for parts in whole],
            "depth_valid_share": [parts.depth_valid_share for parts in whole],
            "points_alive_share": [parts.points_alive_share for parts in whole],
            "mask_score": [parts.mask_score for parts in whole],
        }
        spans = {
            row["segment"]: (row["first_frame"], row["end_frame"])
            for row in clip.table("segments").to_pylist()
        }
        keys = zip(motions["entity"].to_pylist(), motions["segment"].to_pylist(), strict=True)
        of_motions = [quality(evidence[entity].parts(*spans[segment])) for entity, segment in keys]
        for name, values in columns.items():
            entities = with_columns(entities, **{name: values})
        clip = clip.with_table("entities", entities)
        return clip.with_table("motions", with_columns(motions, quality=of_motions))


@dataclass(frozen=True, eq=False)
class Evidence:
    """The evidence of the tables about one entity, frame by frame; N points."""

    fb_error: F64
    """(T, N) as a share of the picture's diagonal; NaN: not computed."""
    visible: Bool
    """(T, N) points that the tracker sees."""
    inside: Bool
    """(T, N) points that lie inside the mask."""
    measured: Bool | None
    """(T, N) points whose depth was measured; None: nothing was lifted."""
    mask_visible: Bool
    """(T,)."""
    mask_score: F64
    """(T,) NaN: no mask."""
    located: Bool | None
    """(T,) a position was measured; None: nothing was lifted."""
    jitter: float | None
    """Of the position over the whole clip, as a share of its distance from the camera."""

    def parts(self, first: int, end: int) -> QualityParts:
        """Over the frames first..end (exclusive)."""
        part = slice(first, end)
        visible, seen = self.visible[part], self.mask_visible[part]
        errors = self.fb_error[part][visible]
        measured = None if self.measured is None else self.measured[part]
        return QualityParts(
            fb_error=_median(errors[np.isfinite(errors)]),
            in_mask_share=_share(self.inside[part][visible]),
            depth_valid_share=None if measured is None else _share(measured[visible]),
            points_alive_share=_share(visible[seen]),
            mask_score=_mean(self.mask_score[part][seen]),
            jitter=self.jitter,
            measured_share=None
            if self.located is None
            else (_share(self.located[part][seen]) or 0.0),
        )


def evidence_of_all(clip: Clip) -> dict[int, Evidence]:
    """The evidence about each entity; every table is read once."""
    tracks = picture_tracks(clip)
    lifted = space_tracks(clip, n_frames=len(clip)) if clip.table("tracks_xyz").num_rows else None
    masks, positions = (rows_by_entity(clip.table(name)) for name in ("masks", "positions"))
    found = {}
    for entity in numbers(clip.table("entities"), "entity").astype(np.int64).tolist():
        mine = positions[entity] if clip.table("positions").num_rows else None
        measured = None if lifted is None else lifted.of(entity).measured
        found[entity] = _evidence_of(clip, tracks.of(entity), measured, masks[entity], mine)
    return found


def _evidence_of(
    clip: Clip,
    tracks: PictureTracks,
    measured: Bool | None,
    masks: pa.Table,
    positions: pa.Table | None,
) -> Evidence:
    """About one entity, from its points and rows."""
    frame = numbers(masks, "frame").astype(np.int64)
    mask_visible, mask_score = np.zeros(len(clip), np.bool_), np.full(len(clip), np.nan)
    mask_visible[frame] = words(masks, "state", "visible")
    mask_score[frame] = numbers(masks, "score")
    return Evidence(
        fb_error=tracks.fb_error_px
        / float(np.hypot(clip.frames.source_width, clip.frames.source_height)),
        visible=tracks.visible,
        inside=_inside(tracks.xy, masks, frame),
        measured=measured,
        mask_visible=mask_visible,
        mask_score=mask_score,
        located=None if positions is None else words(positions, "state", "measured"),
        jitter=None if positions is None else _relative_jitter(clip, positions),
    )


def _inside(xy: F64, masks: pa.Table, frame: NDArray[np.int64]) -> Bool:
    """(T, N) whether points xy (T, N, 2) lie inside the mask of their frame."""
    inside = np.zeros(xy.shape[:2], np.bool_)
    columns = (masks[name].to_pylist() for name in ("counts", "height", "width", "area"))
    for number, (counts, height, width, area) in zip(frame, zip(*columns, strict=True)):
        if area:
            inside[number] = rle.contains(counts, xy[number], height=height, width=width)
    return inside


def _relative_jitter(clip: Clip, positions: pa.Table) -> float | None:
    """Noise of the position from frame to frame over its distance; None: not told."""
    measured = words(positions, "state", "measured")
    if not measured.any():
        return None
    xyz = np.stack([numbers(positions, f"{axis}_cam") for axis in "xyz"], axis=-1)
    noise = jitter(xyz[:, None], measured[:, None], t_s=clip.frames.t_s)[0]
    distance = float(np.median(np.linalg.norm(xyz[measured], axis=-1)))
    relative = float(np.linalg.norm(noise)) / distance
    return relative if np.isfinite(relative) else None


def _share(flags: Bool) -> float | None:
    return float(flags.mean()) if flags.size else None


def _mean(values: F64) -> float | None:
    return float(values.mean()) if values.size else None


def _median(values: F64) -> float | None:
    return float(np.median(values)) if values.size else None
