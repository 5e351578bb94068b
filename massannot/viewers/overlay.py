"""One picture with what was found drawn into it: masks, boxes, labels, trails.

Colours: one per entity, and a ramp for depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

# Twelve hues that stay apart for colour-blind readers at the start of the list.
ENTITY_RGB: tuple[tuple[int, int, int], ...] = (
    (0, 158, 255),
    (255, 149, 0),
    (0, 200, 120),
    (240, 80, 160),
    (250, 220, 50),
    (150, 100, 255),
    (90, 220, 240),
    (230, 70, 60),
    (150, 200, 40),
    (200, 130, 90),
    (120, 140, 255),
    (255, 170, 190),
)
PAPER = (18, 20, 24)
INK = (228, 230, 235)
FAINT = (110, 116, 126)
GRID = (48, 52, 60)

# Dark blue (far) over teal to pale yellow (near), interpolated between these stops.
_RAMP = np.array(
    [[24, 20, 60], [38, 60, 130], [30, 120, 150], [70, 180, 130], [180, 222, 90], [253, 245, 190]],
    np.float32,
)


def entity_rgb(entity: int) -> tuple[int, int, int]:
    return ENTITY_RGB[entity % len(ENTITY_RGB)]


def depth_rgb(depth: npt.NDArray[np.float32], *, near: float, far: float) -> npt.NDArray[np.uint8]:
    """(h, w) depth as (h, w, 3) colours, linear in 1/depth; unknown (NaN) is dark grey."""
    known = np.isfinite(depth) & (depth > 0)
    inverse = 1 / np.where(known, depth, 1)
    low, high = 1 / max(far, 1e-6), 1 / max(near, 1e-6)
    position = np.clip((inverse - low) / max(high - low, 1e-9), 0, 1) * (len(_RAMP) - 1)
    left = np.minimum(position.astype(np.int32), len(_RAMP) - 2)
    mixed = _RAMP[left] + (position - left)[..., None] * (_RAMP[left + 1] - _RAMP[left])
    mixed[~known] = GRID
    return mixed.astype(np.uint8)


MASK_OPACITY = 0.22
TRAIL_FRAMES = 24
"""Frames a trail reaches back: about as long as the eye follows."""


@dataclass(frozen=True, eq=False)
class DrawnEntity:
    """One entity in one frame, in the pixels of the drawn picture."""

    entity: int
    label: str
    mask: npt.NDArray[np.bool_] | None
    """(H, W) of the drawn picture, None: absent."""
    box_xyxy: tuple[float, float, float, float] | None
    trails_xy: npt.NDArray[np.float32]
    """(K, N, 2): the last K frames of N points, newest last."""
    trails_visible: npt.NDArray[np.bool_]
    """(K, N)."""
    rgb: tuple[int, int, int] | None = None
    """Of its box; None: the entity's colour."""


def draw(picture: npt.NDArray[np.uint8], entities: Sequence[DrawnEntity]) -> Image.Image:
    """`picture` (H, W, 3) with every entity drawn into it."""
    canvas = picture.astype(np.float32)
    for entity in entities:
        if entity.mask is not None:
            _tint(canvas, entity.mask, entity_rgb(entity.entity))
    image = Image.fromarray(canvas.astype(np.uint8))
    pen = ImageDraw.Draw(image, "RGBA")
    unit = max(1.0, max(picture.shape[:2]) / 640)
    for entity in entities:
        _trails(pen, entity, unit)
    for entity in entities:
        _box(pen, entity, unit, image.size)
    return image


def font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _tint(
    canvas: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], rgb: tuple[int, int, int]
) -> None:
    """Mixes the colour into the mask, fully on its outline."""
    colour = np.array(rgb, np.float32)
    inner = mask.copy()
    inner[1:] &= mask[:-1]
    inner[:-1] &= mask[1:]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    canvas[inner] += MASK_OPACITY * (colour - canvas[inner])
    canvas[mask & ~inner] = colour


def _trails(pen: ImageDraw.ImageDraw, entity: DrawnEntity, unit: float) -> None:
    rgb = entity_rgb(entity.entity)
    xy, visible = entity.trails_xy, entity.trails_visible
    count = len(xy)
    for k in range(1, count):
        age = (k + 1) / count
        for point in range(xy.shape[1]):
            seen = visible[k, point] and visible[k - 1, point]
            alpha = int((230 if seen else 60) * age**1.5)
            if np.isfinite(xy[k - 1 : k + 1, point]).all():
                ends = [tuple(xy[k - 1, point]), tuple(xy[k, point])]
                pen.line(ends, fill=(*rgb, alpha), width=max(1, round(unit)))
    if not count:
        return
    radius = 1.6 * unit
    for point in range(xy.shape[1]):
        x, y = xy[-1, point]
        if np.isfinite(x) and np.isfinite(y):
            spot = (x - radius, y - radius, x + radius, y + radius)
            if visible[-1, point]:
                pen.ellipse(spot, fill=(*rgb, 255), outline=(0, 0, 0, 160))
            else:
                pen.ellipse(spot, outline=(*rgb, 110))


def _box(pen: ImageDraw.ImageDraw, entity: DrawnEntity, unit: float, size: tuple[int, int]) -> None:
    if entity.box_xyxy is None:
        return
    rgb = entity.rgb or entity_rgb(entity.entity)
    x0, y0, x1, y1 = entity.box_xyxy
    pen.rectangle((x0, y0, x1 - 1, y1 - 1), outline=(*rgb, 255), width=max(1, round(1.5 * unit)))
    letters = font(12 * unit)
    width = pen.textlength(entity.label, font=letters)
    height = 15 * unit
    left = min(max(0.0, x0), max(0.0, size[0] - width - 6 * unit))
    top = y0 - height if y0 >= height else min(y1, size[1] - height)
    pen.rectangle((left, top, left + width + 6 * unit, top + height), fill=(*rgb, 215))
    dark = sum(rgb) > 380
    ink = (10, 10, 12, 255) if dark else (*INK, 255)
    pen.text((left + 3 * unit, top), entity.label, font=letters, fill=ink)
