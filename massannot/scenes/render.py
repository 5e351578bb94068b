"""Frame k of a scene as a picture, with exact depth and instance ids, whichever frames came before.

Colour is antialiased where surfaces or shadows meet (four more rays per such pixel); depth and ids
belong to the pixel's centre and are never blended. The sensor's noise is seeded by (seed, frame).
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from massannot.scenes.prisms import Prism
from massannot.scenes.rays import (
    CEILING,
    FLOOR,
    PARTS_PER_ID,
    WALL_Y,
    Hits,
    cast,
    in_shadow,
    pixel_centres,
)
from massannot.scenes.shapes import Floats, Ints
from massannot.scenes.world import Scene

Colours: TypeAlias = NDArray[np.float32]

_SKIRTING_M = 0.08
_SHOULDER = np.float32(185)  # of 255: from here on the film saturates gently, as cameras do
_SUBPIXELS = ((-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125))


@dataclass(frozen=True)
class Picture:
    """One frame: rgb (H,W,3) uint8; depth_m (H,W) float32 along z; ids (H,W) uint8, 0 the room."""

    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    ids: NDArray[np.uint8]


def render(scene: Scene, frame: int) -> Picture:
    """Picture of `frame`; the same bytes alone or in sequence."""
    if not 0 <= frame < scene.n_frames:
        last = scene.n_frames - 1
        raise IndexError(f"scene {scene.seed}: found frame {frame}, expected 0..{last}")
    lens = scene.camera.lens
    x, y = pixel_centres(scene)
    hits = cast(scene, frame, x, y)
    colour, shadow = _shade(scene, frame, hits)
    if scene.options.antialias:
        _smooth(scene, frame, hits, shadow, colour)
    colour *= _vignette(x, y, lens.width, lens.height)[:, None] * np.float32(255 * scene.exposure)
    bright = colour > _SHOULDER
    over = colour[bright] - _SHOULDER
    colour[bright] = _SHOULDER + over / (1 + over / (255 - _SHOULDER))
    if scene.options.noise:
        rng = np.random.default_rng([scene.seed, 2, frame])
        grain = rng.standard_normal(colour.shape, dtype=np.float32)
        colour += grain * np.float32(scene.noise_level)
    rgb = np.clip(colour + np.float32(0.5), 0, 255).astype(np.uint8)
    shape = (lens.height, lens.width)
    return Picture(
        rgb.reshape(*shape, 3),
        hits.depth_m.astype(np.float32).reshape(shape),
        hits.ids.astype(np.uint8).reshape(shape),
    )


def _smooth(scene: Scene, frame: int, hits: Hits, shadow: Ints, colour: Colours) -> None:
    """Replace the colour of pixels on an outline by the mean of four rays inside the pixel."""
    lens = scene.camera.lens
    kind = ((hits.ids * PARTS_PER_ID + hits.parts) * 16 + shadow).reshape(lens.height, lens.width)
    edge = np.zeros(kind.shape, bool)
    across, along = kind[:, 1:] != kind[:, :-1], kind[1:] != kind[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= along
    edge[:-1] |= along
    rows, columns = np.nonzero(edge)
    if not len(rows):
        return
    x = np.concatenate([columns + 0.5 + dx for dx, _ in _SUBPIXELS])
    y = np.concatenate([rows + 0.5 + dy for _, dy in _SUBPIXELS])
    fine, _ = _shade(scene, frame, cast(scene, frame, x, y))
    colour[rows * lens.width + columns] = fine.reshape(4, len(rows), 3).mean(axis=0)


def _shade(scene: Scene, frame: int, hits: Hits) -> tuple[Colours, Ints]:
    """Linear colour (N,3) around 0..1 and, per ray, a bit for each lamp that is hidden (N,)."""
    albedo, gloss = _albedo(scene, frame, hits)
    light = np.full((3, len(hits.ids)), scene.ambient, np.float32) * _corners(scene, hits)
    shine = np.zeros((3, len(hits.ids)), np.float32)
    shadow = np.zeros(len(hits.ids), np.int64)
    shiny = np.flatnonzero(gloss > 0)
    for bit, lamp in enumerate(scene.lamps):
        towards = lamp.position[:, None] - hits.points
        distance = np.sqrt((towards * towards).sum(axis=0))
        facing = np.maximum((towards * hits.normals).sum(axis=0) / distance, 0)
        dark = in_shadow(scene, frame, hits.points, lamp.position, skip=hits.ids)
        shadow[dark] |= 1 << bit
        facing[dark] = 0
        bright = (lamp.strength * 1.35 / (0.55 + 0.11 * distance * distance)) * facing
        tint = lamp.colour.astype(np.float32)[:, None]
        light += tint * bright.astype(np.float32)
        if len(shiny):
            shine[:, shiny] += tint * _highlight(hits, shiny, towards, distance, facing, gloss)
    return (albedo.T * light + shine).T.copy(), shadow


def _highlight(
    hits: Hits, rows: Ints, towards: Floats, distance: Floats, facing: Floats, gloss: Colours
) -> Colours:
    """Blinn's highlight at the glossy rays (R,)."""
    view = -hits.directions[:, rows]
    view /= np.sqrt((view * view).sum(axis=0))
    half = view + towards[:, rows] / distance[rows]
    half /= np.sqrt((half * half).sum(axis=0))
    cosine = np.maximum((half * hits.normals[:, rows]).sum(axis=0), 0)
    lit = (facing[rows] > 0) * gloss[rows]
    square = cosine * cosine
    power = square**16  # 32, cheaply
    return (lit * power).astype(np.float32)


def _albedo(scene: Scene, frame: int, hits: Hits) -> tuple[Colours, Colours]:
    """(N,3) colour of the surface itself and (N,) gloss."""
    albedo = np.empty((len(hits.ids), 3), np.float32)
    gloss = np.zeros(len(hits.ids), np.float32)
    room = hits.ids == 0
    slant = np.abs((hits.directions * hits.normals).sum(axis=0))
    size = np.sqrt((hits.directions * hits.directions).sum(axis=0))
    footprint = hits.depth_m / scene.camera.lens.focal_px * np.sqrt(size / np.maximum(slant, 0.05))
    px, py, pz = hits.points
    rows = np.flatnonzero(room & (hits.parts == FLOOR))
    albedo[rows] = scene.room.floor.sample(px[rows], py[rows], footprint[rows])
    rows = np.flatnonzero(room & (hits.parts == CEILING))
    albedo[rows] = scene.room.ceiling
    for tiling, first in zip(scene.room.walls, (WALL_Y - 2, WALL_Y), strict=True):
        rows = np.flatnonzero(room & (hits.parts >= first) & (hits.parts < first + 2))
        along = px[rows] if first == WALL_Y else py[rows]
        albedo[rows] = tiling.sample(along, pz[rows], footprint[rows])
        skirting = np.clip((_SKIRTING_M - pz[rows]) / np.maximum(footprint[rows], 1e-6) + 0.5, 0, 1)
        albedo[rows] *= (1 - 0.55 * skirting).astype(np.float32)[:, None]
    for i, entity in enumerate(scene.entities):
        rows = np.flatnonzero(hits.ids == i + 1)
        if len(rows):
            pose = scene.motion.rotation[frame, i]
            local = (hits.points[:, rows].T - scene.motion.position[frame, i]) @ pose
            albedo[rows] = entity.skin.sample(local)
            if isinstance(entity.body.shape, Prism):
                shade = entity.body.shape.paint(local).astype(np.float32)
                albedo[rows] = np.minimum(albedo[rows] * shade[:, None], 1)
            gloss[rows] = entity.skin.gloss
    return albedo, gloss


def _corners(scene: Scene, hits: Hits) -> Colours:
    """(N,) less ambient light towards the corners of the room and, on bodies, from below."""
    half_x, half_y = scene.room.half_m
    px, py, pz = hits.points
    gap_x, gap_y = half_x - np.abs(px), half_y - np.abs(py)
    # The two smaller of the three distances to the planes tell how deep in a corner a point is.
    inner = gap_x + gap_y + pz - np.maximum(np.maximum(gap_x, gap_y), pz)
    open_sky = 1 - 0.35 * np.exp(-1.8 * inner)
    upward = 0.8 + 0.2 * hits.normals[2]
    return np.where(hits.ids == 0, open_sky, upward).astype(np.float32)


def _vignette(x: Floats, y: Floats, width: int, height: int) -> Colours:
    u, v = 2 * x / width - 1, 2 * y / height - 1
    return (1 - 0.09 * (u * u + v * v)).astype(np.float32)
