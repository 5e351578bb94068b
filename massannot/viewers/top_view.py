"""The 3D paths seen from above: x to the right, depth z upwards, one square grid cell a unit; in
the world with the path of the camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from massannot.viewers.overlay import FAINT, GRID, INK, PAPER, entity_rgb, font


@dataclass(frozen=True, eq=False)
class TopView:
    """A fixed view over a whole clip; `draw(frame)` shows the paths up to that frame.

    `paths` maps an entity to (T, 3) positions in the world, or in each frame's camera where the
    world is unknown, NaN where absent; `measured` to (T,) whether each was measured (solid) or
    interpolated (faint). `title` says which. `camera` (T, 4, 4) is world_from_cam; None: the camera
    stays at the origin, as it does in its own frame.
    """

    paths: Mapping[int, npt.NDArray[np.float32]]
    measured: Mapping[int, npt.NDArray[np.bool_]]
    unit: str
    size: tuple[int, int]
    title: str = "from above (camera below)"
    camera: npt.NDArray[np.float64] | None = None

    def draw(self, frame: int) -> Image.Image:
        image = Image.new("RGB", self.size, PAPER)
        pen = ImageDraw.Draw(image, "RGBA")
        scale, x_left, z_low = self._fit()
        self._grid(pen, scale, x_left, z_low)
        for entity, path in self.paths.items():
            self._path(pen, entity, path[: frame + 1], scale, x_left, z_low)
        poses = np.eye(4)[None] if self.camera is None else self.camera[: frame + 1]
        self._draw_camera(pen, poses, scale, x_left, z_low)
        return image

    def _fit(self) -> tuple[float, float, float]:
        """Pixels a unit, and the world x and z of the lower left corner."""
        known = [path[np.isfinite(path).all(axis=1)] for path in self.paths.values()]
        if self.camera is not None:
            known.append(self.camera[:, :3, 3].astype(np.float32))
        points = np.concatenate(known) if any(len(k) for k in known) else np.zeros((1, 3))
        low, high = points.min(axis=0), points.max(axis=0)
        width, height = self.size[0] - 24, self.size[1] - 40
        span_x, span_z = max(high[0] - low[0], 0.5) * 1.15, max(high[2] - low[2], 0.5) * 1.1
        scale = min(width / span_x, height / span_z)
        middle_x, middle_z = (low[0] + high[0]) / 2, (low[2] + high[2]) / 2
        return scale, middle_x - self.size[0] / 2 / scale, middle_z - height / 2 / scale

    def _place(
        self, xz: npt.NDArray[np.floating], scale: float, x_left: float, z_low: float
    ) -> npt.NDArray[np.floating]:
        return np.stack(
            [(xz[:, 0] - x_left) * scale, self.size[1] - (xz[:, 1] - z_low) * scale], axis=1
        )

    def _grid(self, pen: ImageDraw.ImageDraw, scale: float, x_left: float, z_low: float) -> None:
        width, height = self.size
        step = _round_step(60 / scale)
        for k in range(int(np.floor(x_left / step)), int((x_left + width / scale) / step) + 1):
            x = (k * step - x_left) * scale
            pen.line([(x, 0), (x, height)], fill=GRID)
        for k in range(int(np.floor(z_low / step)), int((z_low + height / scale) / step) + 1):
            y = height - (k * step - z_low) * scale
            pen.line([(0, y), (width, y)], fill=GRID)
        text = f"{self.title}, grid {step:g} {self.unit}"
        pen.text((8, 6), text, font=font(12), fill=FAINT)

    def _draw_camera(
        self,
        pen: ImageDraw.ImageDraw,
        world_from_cam: npt.NDArray[np.float64],
        scale: float,
        x_left: float,
        z_low: float,
    ) -> None:
        """Its way up to the last of the poses (T, 4, 4), and where it stands and looks in that."""
        places = self._place(world_from_cam[:, [0, 2], 3], scale, x_left, z_low)
        if len(places) > 1:
            pen.line([tuple(place) for place in places], fill=INK, width=2)
        x, z = world_from_cam[-1, [0, 2], 2]
        ahead = np.array([x, -z]) / max(float(np.hypot(x, z)), 1e-6)
        aside = np.array([-ahead[1], ahead[0]])
        lens = places[-1]
        corners = [lens + 14 * ahead + 9 * aside, lens + 14 * ahead - 9 * aside]
        pen.polygon([tuple(lens), *map(tuple, corners)], outline=INK)

    def _path(
        self,
        pen: ImageDraw.ImageDraw,
        entity: int,
        path: npt.NDArray[np.float32],
        scale: float,
        x_left: float,
        z_low: float,
    ) -> None:
        rgb = entity_rgb(entity)
        points_xy = self._place(path[:, [0, 2]], scale, x_left, z_low)
        for k in range(1, len(path)):
            if np.isfinite(points_xy[k - 1 : k + 1]).all():
                solid = self.measured[entity][k] and self.measured[entity][k - 1]
                pen.line(
                    [tuple(points_xy[k - 1]), tuple(points_xy[k])],
                    fill=(*rgb, 255 if solid else 90),
                    width=2,
                )
        if len(path) and np.isfinite(points_xy[-1]).all():
            x, y = points_xy[-1]
            pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=(*rgb, 255), outline=INK)


def _round_step(wanted: float) -> float:
    """1, 2 or 5 times a power of ten, at least `wanted`."""
    power = 10.0 ** np.floor(np.log10(max(wanted, 1e-6)))
    return float(next(power * k for k in (1, 2, 5, 10) if power * k >= wanted))
