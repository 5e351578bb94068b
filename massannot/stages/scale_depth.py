"""The clip's scale from things of known size: depth, and poses estimated with it, in true units.

The size of a thing is the larger side of the box around its outline, at the distance of its body's
centre (geometry/visible_surface.py), in frames where the whole outline is seen. That is the
diameter of a ball from everywhere; of other things it is true where they turn the named side to
the camera. The factor is the median over frames and things of known size over measured size.

Unusual: the clip is handed on as it is where no such thing is seen whole, and where depth has no
scale to correct (affine). The size itself is taken as exact.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from massannot.clip import Clip, DepthMaps
from massannot.geometry.background_fit import SIGMA_FROM_MAD
from massannot.geometry.visible_surface import outline_margin
from massannot.stages._stage import Stage
from massannot.stages._surfaces import masked_surfaces
from massannot.stages._track_arrays import pose_covariances, with_columns, words
from massannot.tables._matrices import upper_triangles
from massannot.tables.cameras import cam_from_world

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class ScaleDepth(Stage):
    """Multiplies depth by one factor a clip."""

    sizes: Mapping[str, float] = field(default_factory=dict)
    """A phrase to the length in metres of the things that it names."""
    least_outline: float = 0.75
    """The same as in locate_entities."""

    reads: ClassVar[tuple[str, ...]] = (
        "frames",
        "depth",
        "phrases",
        "entities",
        "masks",
        "cameras",
    )
    writes: ClassVar[tuple[str, ...]] = ("depth", "cameras")

    def process(self, clip: Clip) -> Clip:
        """`clip` with depth in metres; the same clip where nothing says its scale."""
        known = self._known_sizes(clip)
        if clip.depth is None or clip.depth.kind == "affine" or not known:
            return clip
        found = masked_surfaces(
            clip, clip.depth.values, least_outline=self.least_outline, entities=known
        )
        measured = found.body_size[:, :2].max(axis=1)
        of_entity = np.array([known[int(entity)] for entity in found.entity])
        seen = np.isfinite(measured)
        if not seen.any():
            return clip
        logs = np.log(of_entity[seen] / measured[seen])
        middle = float(np.median(logs))
        spread = SIGMA_FROM_MAD * float(np.median(np.abs(logs - middle)))
        margin = outline_margin((clip.frames.source_width, clip.frames.source_height))
        outline = margin / float(np.median(found.side_px[seen]))
        return _scaled(clip, clip.depth, float(np.exp(middle)), float(np.hypot(spread, outline)))

    def _known_sizes(self, clip: Clip) -> dict[int, float]:
        """Entities of the phrases, and their size in metres."""
        phrases, entities = clip.table("phrases"), clip.table("entities")
        of_phrase = {
            row["phrase"]: self.sizes[row["text"]]
            for row in phrases.select(["phrase", "text"]).to_pylist()
            if row["text"] in self.sizes
        }
        return {
            row["entity"]: of_phrase[row["phrase"]]
            for row in entities.select(["entity", "phrase"]).to_pylist()
            if row["phrase"] in of_phrase
        }


def _scaled(clip: Clip, depth: DepthMaps, factor: float, rel_sd: float) -> Clip:
    """Everything that has depth's unit, times `factor`. Poses that were given have their own."""
    ones = np.ones(len(depth), np.float32)
    scale = (ones if depth.scale is None else depth.scale) * np.float32(factor)
    shift = None if depth.shift is None else depth.shift * np.float32(factor)
    cameras = clip.table("cameras")
    shifts = np.zeros(len(clip)) if shift is None else np.nan_to_num(shift)
    cameras = with_columns(cameras, depth_scale=scale, depth_shift=shifts)
    if words(cameras, "pose_origin", "estimated").all():
        poses = cam_from_world(cameras)
        poses[:, :3, 3] *= factor
        cov = pose_covariances(clip)
        cov[:, 3:, :] *= factor
        cov[:, :, 3:] *= factor
        flat = list(poses.reshape(len(clip), 16))
        cameras = with_columns(cameras, cam_from_world=flat, pose_cov=upper_triangles(cov))
    values = depth.values * np.float32(factor)
    scaled = dataclasses.replace(
        depth,
        values=values,
        kind="metric",
        scale=scale,
        shift=shift,
        size_scale=factor,
        size_scale_rel_sd=rel_sd,
    )
    return clip.with_depth(scaled).with_table("cameras", cameras)
