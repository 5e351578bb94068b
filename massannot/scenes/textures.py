"""Textures of surfaces: tiled ones for the room, solid ones for bodies.

The room's textures repeat every 2 m, always show lines or steps at TILE_M = 0.5 m, and are
filtered (mip levels), so that the far floor neither sparkles nor moves on its own. Bodies carry a
pattern in three dimensions of their own frame: no seams, and it turns with them.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from massannot.scenes.shapes import Floats

Colours: TypeAlias = NDArray[np.float32]

TILE_M = 0.5
PERIOD_M = 2.0

FLOOR_STYLES = ("checker", "grout", "stone", "parquet")
WALL_STYLES = ("plain", "panel", "brick", "stripes")
SKIN_STYLES = ("marble", "checks", "stripes", "spots", "speckle")

_TEXELS = 256
_LATTICE = 16


@dataclass(frozen=True)
class Tiling:
    """A square texture that repeats every PERIOD_M, with its mip levels one after the other."""

    texels: Colours  # (M,3) all levels, rows flattened
    starts: NDArray[np.int64]  # (L,)
    sizes: NDArray[np.int64]  # (L,)

    def sample(self, u_m: Floats, v_m: Floats, footprint_m: Floats) -> Colours:
        """(N,3) colours at positions on the surface, averaged over about `footprint_m`."""
        finest = PERIOD_M / _TEXELS
        level = np.log2(np.maximum(footprint_m / finest, 1.0)).astype(np.float32)
        level = np.minimum(level, len(self.sizes) - 1.001)
        below = level.astype(np.int64)
        blend = (level - below)[:, None]
        fine = self._level(below, u_m, v_m)
        return fine + (self._level(below + 1, u_m, v_m) - fine) * blend

    def _level(self, level: NDArray[np.int64], u_m: Floats, v_m: Floats) -> Colours:
        size, start = self.sizes[level], self.starts[level]
        u = u_m * (size / PERIOD_M) - 0.5
        v = v_m * (size / PERIOD_M) - 0.5
        i, j = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
        fu = (u - i).astype(np.float32)[:, None]
        fv = (v - j).astype(np.float32)[:, None]
        last = size - 1  # sizes are powers of two: & wraps, also below zero
        row, next_row = start + (i & last) * size, start + ((i + 1) & last) * size
        j, k = j & last, (j + 1) & last
        take = self.texels.take
        near = take(row + j, 0) * (1 - fv) + take(row + k, 0) * fv
        far = take(next_row + j, 0) * (1 - fv) + take(next_row + k, 0) * fv
        return near * (1 - fu) + far * fu


@dataclass(frozen=True)
class Skin:
    """A body's solid texture: brightness around its colour as a function of the body point."""

    colour: Colours  # (3,) in 0..1
    style: str
    contrast: float
    scale_per_m: float
    lattice: Colours  # (16,16,16) in -1..1
    gloss: float

    def sample(self, points: Floats) -> Colours:
        """(N,3) albedo at points (N,3) of the body frame."""
        p = points * self.scale_per_m
        grain = self._noise(p * 2.0) * 0.6 + self._noise(p * 5.0) * 0.4
        pattern = self._pattern(p, grain)
        shade = 1 + self.contrast * (0.75 * pattern + 0.45 * grain)
        return (self.colour * shade[:, None]).astype(np.float32)

    def _pattern(self, p: Floats, grain: Floats) -> Floats:
        if self.style == "checks":
            waves = np.sin(p * 2.2 + [0.5, 0.0, 1.0])
            return np.clip(waves[:, 0] * waves[:, 1] * waves[:, 2] * 8, -1, 1)
        if self.style == "stripes":
            return np.clip(np.sin(p @ [1.7, 1.3, 2.6]) * 3, -1, 1)
        if self.style == "spots":
            return np.clip((self._noise(p * 0.8) - 0.15) * 9, -1, 1)
        if self.style == "marble":
            return np.sin(p @ [1.0, 1.4, 0.8] + 3 * grain)
        return 1.6 * self._noise(p * 3.0)

    def _noise(self, p: Floats) -> Floats:
        base = np.floor(p)
        f = p - base
        i = base.astype(np.int64) & (_LATTICE - 1)
        k = (i + 1) & (_LATTICE - 1)
        n = self.lattice.ravel()
        x0, x1 = i[:, 0] * _LATTICE**2, k[:, 0] * _LATTICE**2
        y0, y1 = i[:, 1] * _LATTICE, k[:, 1] * _LATTICE
        z0, z1 = i[:, 2], k[:, 2]
        fz, fy, fx = f[:, 2], f[:, 1], f[:, 0]
        a = n[x0 + y0 + z0] * (1 - fz) + n[x0 + y0 + z1] * fz
        b = n[x0 + y1 + z0] * (1 - fz) + n[x0 + y1 + z1] * fz
        c = n[x1 + y0 + z0] * (1 - fz) + n[x1 + y0 + z1] * fz
        d = n[x1 + y1 + z0] * (1 - fz) + n[x1 + y1 + z1] * fz
        near, far = a * (1 - fy) + b * fy, c * (1 - fy) + d * fy
        return near * (1 - fx) + far * fx


def draw_skin(rng: np.random.Generator, colour: tuple[int, int, int]) -> Skin:
    """A skin of a named colour: brighter, darker and a little off, but still that colour."""
    base = np.asarray(colour) / 255 * rng.uniform(0.85, 1.1) + rng.normal(0, 0.02, 3)
    pale = min(colour) > 200  # a white body with dark stripes would be a grey one
    return Skin(
        colour=np.clip(base, 0.02, 1).astype(np.float32),
        style=str(rng.choice(SKIN_STYLES)),
        contrast=float(rng.uniform(0.18, 0.42)) * (0.55 if pale else 1.0),
        scale_per_m=float(rng.uniform(6, 14)),
        lattice=rng.uniform(-1, 1, (_LATTICE,) * 3).astype(np.float32),
        gloss=float(rng.uniform(0.0, 0.55)),
    )


def draw_floor(rng: np.random.Generator) -> Tiling:
    """A floor of TILE_M tiles."""
    style = str(rng.choice(FLOOR_STYLES))
    row, column = np.meshgrid(np.arange(_TEXELS), np.arange(_TEXELS), indexing="ij")
    per_tile = int(_TEXELS * TILE_M / PERIOD_M)
    tile_i, tile_j = row // per_tile, column // per_tile
    image = np.ones((_TEXELS, _TEXELS, 3)) * _wall_colour(rng, 0.3, 0.75)
    grain = _noise_image(rng, (8, 16, 32, 64))
    image *= (1 + rng.uniform(0.15, 0.45) * grain)[..., None]
    image *= 1 + rng.normal(0, 0.05, (4, 4))[tile_i, tile_j][..., None]
    if style == "checker":
        other = rng.uniform(0.45, 0.8)
        image *= np.where((tile_i + tile_j) % 2 == 0, 1.0, other)[..., None]
    if style == "parquet":
        board = np.where((tile_i + tile_j) % 2 == 0, row, column) * 4 // per_tile
        image *= rng.uniform(0.8, 1.15, 16)[board][..., None]
    if style == "stone":
        image *= (1 + 0.35 * _noise_image(rng, (32, 64, 128)))[..., None]
    image[_lines(row, per_tile) | _lines(column, per_tile)] *= rng.uniform(0.35, 0.65)
    return _with_levels(image)


def draw_wall(rng: np.random.Generator) -> Tiling:
    """A wall whose pattern, where it has one, repeats every TILE_M or a whole part of it."""
    style = str(rng.choice(WALL_STYLES))
    row, column = np.meshgrid(np.arange(_TEXELS), np.arange(_TEXELS), indexing="ij")
    per_tile = int(_TEXELS * TILE_M / PERIOD_M)
    image = np.ones((_TEXELS, _TEXELS, 3)) * _wall_colour(rng, 0.45, 0.85)
    image *= (1 + rng.uniform(0.08, 0.3) * _noise_image(rng, (4, 8, 16, 64)))[..., None]
    if style == "panel":
        image[_lines(row, per_tile) | _lines(column, 2 * per_tile)] *= 0.7
    if style == "stripes":
        image *= np.where((row // (per_tile // 2)) % 2 == 0, 1.0, rng.uniform(0.7, 0.9))[..., None]
    if style == "brick":
        course = column // (per_tile // 4)
        shifted = row + (course % 2) * (per_tile // 4)
        tint = rng.normal(1, 0.08, (16, 8))
        image *= tint[course % 16, (shifted // (per_tile // 2)) % 8][..., None]
        image[_lines(column, per_tile // 4) | _lines(shifted, per_tile // 2)] *= 0.75
    return _with_levels(image)


def _lines(index: NDArray[np.int64], every: int) -> NDArray[np.bool_]:
    phase = index % every
    return (phase < 1) | (phase >= every - 1)


def _wall_colour(rng: np.random.Generator, low: float, high: float) -> Floats:
    """Muted: the named colours belong to the bodies."""
    grey = rng.uniform(low, high)
    return np.clip(grey + rng.uniform(-0.09, 0.09, 3), 0.05, 0.95)


def _noise_image(rng: np.random.Generator, octaves: tuple[int, ...]) -> Floats:
    """(256,256) smooth periodic noise in about -1..1."""
    total = np.zeros((_TEXELS, _TEXELS))
    for cells in octaves:
        grid = rng.uniform(-1, 1, (cells, cells))
        where = np.arange(_TEXELS) * cells / _TEXELS
        i = where.astype(np.int64)
        f = where - i
        f = f * f * (3 - 2 * f)
        rows = grid[i] * (1 - f)[:, None] + grid[(i + 1) % cells] * f[:, None]
        total += (rows[:, i] * (1 - f) + rows[:, (i + 1) % cells] * f) * (octaves[0] / cells) ** 0.4
    return total / np.abs(total).max()


def _with_levels(image: Floats) -> Tiling:
    levels = [np.clip(image, 0, 1)]
    while len(levels[-1]) > 4:
        a = levels[-1]
        levels.append(0.25 * (a[::2, ::2] + a[1::2, ::2] + a[::2, 1::2] + a[1::2, 1::2]))
    sizes = np.array([len(level) for level in levels])
    starts = np.concatenate([[0], np.cumsum(sizes**2)[:-1]])
    texels = np.concatenate([level.reshape(-1, 3) for level in levels]).astype(np.float32)
    return Tiling(texels, starts, sizes)
