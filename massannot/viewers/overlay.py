"""One picture with what was found drawn into it: outlines of masks, boxes, labels, trails.

Colours: one per entity, and a ramp for depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

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
    canvas = picture.copy()
    for entity in entities:
        if entity.mask is not None:
            _outline(canvas, entity.mask, entity_rgb(entity.entity))
    unit = max(1.0, max(picture.shape[:2]) / 640)
    for entity in entities:
        _trails(canvas, entity, max(1, round(unit)))
    image = Image.fromarray(canvas)
    pen = ImageDraw.Draw(image, "RGBA")
    for entity in entities:
        _spots(pen, entity, unit)
    for entity in entities:
        _box(pen, entity, unit, image.size)
    return image


@cache
def font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _outline(
    canvas: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_], rgb: tuple[int, int, int]
) -> None:
    """Colours the mask's border and leaves the thing's own colour."""
    inner = mask.copy()
    inner[1:] &= mask[:-1]
    inner[:-1] &= mask[1:]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    canvas[mask & ~inner] = rgb


def _trails(canvas: npt.NDArray[np.uint8], entity: DrawnEntity, width: int) -> None:
    """Lines between a point's places in two frames, fading with age, fainter where it was hidden.

    All lines at once, as dots a pixel apart: pens draw one after the other, thousands a frame.
    """
    far = np.array(canvas.shape[1::-1], np.float32)
    xy, visible = np.clip(entity.trails_xy, -far, 2 * far), entity.trails_visible
    n_steps = len(xy) - 1
    if n_steps < 1 or not xy.shape[1]:
        return
    known = np.isfinite(xy[1:]).all(axis=-1) & np.isfinite(xy[:-1]).all(axis=-1)
    age = np.broadcast_to((np.arange(n_steps)[:, None] + 2) / len(xy), known.shape)
    opacity = np.where(visible[1:] & visible[:-1], 230, 60) * age**1.5
    start, step, opacity = xy[:-1][known], (xy[1:] - xy[:-1])[known], opacity[known]
    n_dots = np.ceil(np.abs(step).max(axis=1)).astype(np.intp) + 1
    line = np.repeat(np.arange(len(n_dots)), n_dots)  # oldest first: the newest dot stays
    along = (np.arange(len(line)) - np.repeat(np.cumsum(n_dots) - n_dots, n_dots)) / n_dots[line]
    dots = np.floor(start[line] + along[:, None] * step[line]).astype(np.intp)
    height, wide = canvas.shape[:2]
    shown = np.zeros((height, wide), np.uint8)
    for down in range(width):
        for right in range(width):
            x, y = dots[:, 0] + right - width // 2, dots[:, 1] + down - width // 2
            inside = (x >= 0) & (x < wide) & (y >= 0) & (y < height)
            shown[y[inside], x[inside]] = opacity[line[inside]]
    pixels, places = canvas.reshape(-1, 3), np.flatnonzero(shown)
    share = shown.ravel()[places, None].astype(np.float32) / 255
    below = pixels[places].astype(np.float32)
    pixels[places] = below + share * (np.array(entity_rgb(entity.entity)) - below)


def _spots(pen: ImageDraw.ImageDraw, entity: DrawnEntity, unit: float) -> None:
    """A dot at each point's place in the last frame, a ring where it is hidden."""
    rgb = entity_rgb(entity.entity)
    xy, visible = entity.trails_xy, entity.trails_visible
    if not len(xy):
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
