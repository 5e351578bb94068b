"""Region: a mask cut down to its bounding box, for comparing many masks of one picture.

Overlap of two regions costs the area they share, not the picture's. Unusual: `overlap` widens tiny
masks before it compares them. A difference of d pixels along the outline of an object s pixels wide
leaves an IoU of about 1 - 4d/s, so that for eight pixels one threshold would ask for more than any
detector or propagator can give.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

_WIDE = 16
"""Masks with a smaller square root of the area are widened to this before they are compared."""


@dataclass(frozen=True, eq=False)
class Region:
    """The pixels `inside` (h, w) bool, whose first one is column `x0`, row `y0` of the picture."""

    inside: Mask
    x0: int
    y0: int
    height: int
    """Of the picture."""
    width: int
    area: int

    @classmethod
    def of(cls, mask: Mask) -> Region | None:
        """The region of a mask (H, W); None for an empty one."""
        if mask.ndim != 2 or mask.dtype != np.bool_:
            raise ValueError(f"mask: found {mask.dtype} {mask.shape}, expected bool (H, W)")
        rows = np.flatnonzero(mask.any(axis=1))
        if rows.size == 0:
            return None
        y0, y1 = int(rows[0]), int(rows[-1]) + 1
        columns = np.flatnonzero(mask[y0:y1].any(axis=0))
        x0, x1 = int(columns[0]), int(columns[-1]) + 1
        inside = mask[y0:y1, x0:x1].copy()
        height, width = mask.shape
        return cls(inside, x0, y0, height, width, area=int(np.count_nonzero(inside)))

    @property
    def x1(self) -> int:
        """Right edge, exclusive."""
        return self.x0 + self.inside.shape[1]

    @property
    def y1(self) -> int:
        """Bottom edge, exclusive."""
        return self.y0 + self.inside.shape[0]

    def distance(self, other: Region) -> float:
        """Pixels between the middles of the two bounding boxes."""
        aside = self.x0 + self.x1 - other.x0 - other.x1
        below = 2 * (self.y0 - other.y0) + self.inside.shape[0] - other.inside.shape[0]
        return float(np.hypot(aside, below)) / 2

    @property
    def touches_border(self) -> bool:
        """Whether it ends at the picture's edge, so that more of the thing may lie outside."""
        return self.x0 == 0 or self.y0 == 0 or self.x1 == self.width or self.y1 == self.height

    def intersection(self, other: Region) -> int:
        """Pixels inside both."""
        x0, x1 = max(self.x0, other.x0), min(self.x1, other.x1)
        y0, y1 = max(self.y0, other.y0), min(self.y1, other.y1)
        if x1 <= x0 or y1 <= y0:
            return 0
        return int(np.count_nonzero(self._cut(x0, y0, x1, y1) & other._cut(x0, y0, x1, y1)))

    def iou(self, other: Region) -> float:
        """Intersection over union."""
        both = self.intersection(other)
        return both / (self.area + other.area - both)

    def overlap(self, other: Region) -> float:
        """`iou`, of both widened by the same few pixels where the smaller one is tiny."""
        radius = int(np.ceil((_WIDE - min(self.area, other.area) ** 0.5) / 2))
        if radius <= 0:
            return self.iou(other)
        return self.dilated(radius).iou(other.dilated(radius))

    def nested(self, other: Region) -> float:
        """Share of the smaller one that lies inside the other."""
        return self.intersection(other) / min(self.area, other.area)

    def dilated(self, radius: int) -> Region:
        """Widened by `radius` pixels to all sides, corners included, also beyond the picture."""
        height, width = self.inside.shape
        across = np.zeros((height, width + 2 * radius), np.bool_)
        for shift in range(2 * radius + 1):
            across[:, shift : shift + width] |= self.inside
        wide = np.zeros((height + 2 * radius, width + 2 * radius), np.bool_)
        for shift in range(2 * radius + 1):
            wide[shift : shift + height] |= across
        return Region(
            wide,
            self.x0 - radius,
            self.y0 - radius,
            self.height,
            self.width,
            area=int(np.count_nonzero(wide)),
        )

    def eroded(self, radius: int) -> Mask:
        """`inside` (h, w) without the pixels nearer than `radius` to its outline.

        The picture's edge counts as outline. May be empty.
        """
        return eroded(self.inside, radius)

    def _cut(self, x0: int, y0: int, x1: int, y1: int) -> Mask:
        return self.inside[y0 - self.y0 : y1 - self.y0, x0 - self.x0 : x1 - self.x0]


def eroded(mask: Mask, radius: int) -> Mask:
    """`mask` (h, w) without the pixels that have an outside pixel within `radius` rows and columns;
    beyond the array is outside."""
    height, width = mask.shape
    padded = np.zeros((height + 2 * radius, width + 2 * radius), np.bool_)
    padded[radius : radius + height, radius : radius + width] = mask
    across = np.ones((height + 2 * radius, width), np.bool_)
    for shift in range(2 * radius + 1):
        across &= padded[:, shift : shift + width]
    inner = np.ones((height, width), np.bool_)
    for shift in range(2 * radius + 1):
        inner &= across[shift : shift + height]
    return inner
