"""A clip's tables as arrays ready to draw, and one frame of its film put together.

The film's frame: the picture with what was found at left; the same picture's depth at right (only
where depth maps were stored); below, the view from above and each entity's distance over time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image, ImageDraw

from massannot.geometry import rle
from massannot.geometry.camera import inverse
from massannot.questions.profile import entity_names
from massannot.tables.cameras import known_poses
from massannot.viewers.depth_sheet import depth_of
from massannot.viewers.overlay import (
    FAINT,
    GRID,
    INK,
    PAPER,
    TRAIL_FRAMES,
    DrawnEntity,
    depth_rgb,
    draw,
    entity_rgb,
    font,
)
from massannot.viewers.top_view import TopView

GetTable = Callable[[str], pa.Table]
"""One clip's rows of a table by name."""

Things = Mapping[int, tuple[int, str]]
"""Entity to the number of the thing, which gives its colour, and to its name."""

FILM_WIDTH = 960
"""Of the whole film, the picture and its depth: large enough for labels, small enough to post."""
PANEL_HEIGHT = 220


@dataclass(frozen=True, eq=False)
class DrawnTracks:
    """Tracks of one entity: `xy` (T, N, 2) source pixels, `visible` (T, N)."""

    xy: npt.NDArray[np.float32]
    visible: npt.NDArray[np.bool_]


class ClipDrawing:
    """Draws frame after frame of one clip from its tables; pictures come from outside. A thing has
    the colour of its number."""

    def __init__(
        self, table: GetTable, *, film_width: int = FILM_WIDTH, things: Things | None = None
    ) -> None:
        clip = table("clips").to_pylist()[0]
        self.clip_id: str = clip["clip_id"]
        self.n_frames: int = clip["n_frames"]
        self.source_size: tuple[int, int] = (clip["source_width"], clip["source_height"])
        self.t_s = table("frames")["t_s"].to_numpy()
        self.unit = "m" if clip["scale_type"] == "metric" else "units"
        if things is None:
            names = entity_names({name: table(name) for name in ("phrases", "entities")})
            things = {entity: (entity, name) for entity, name in names.items()}
        self.labels = dict(things.values())
        number = {entity: thing for entity, (thing, _) in things.items()}
        self._masks = {
            (number[row["entity"]], row["frame"]): row
            for row in table("masks").to_pylist()
            if row["area"] > 0
        }
        tracks = _tracks(table("tracks_xy"), self.n_frames)
        self._tracks = {number[entity]: of for entity, of in tracks.items() if entity in number}
        self._depth = {row["frame"]: row for row in table("depth_maps").to_pylist()}
        positions = table("positions")
        paths, measured = _paths(positions, self.n_frames, "world", number)
        self._paths_in_camera, self._measured = _paths(positions, self.n_frames, "cam", number)
        view, camera = TopView.title, _world_from_cam(table("cameras"), clip["camera_static"])
        if camera is not None:
            view = "from above, with the way of the camera"
        if not any(np.isfinite(path).any() for path in paths.values()):
            paths, measured, camera = self._paths_in_camera, self._measured, None
            if clip["camera_static"] is not True and paths:
                view = "from above, seen from the camera as it moves; world unknown"
        self.main_size = self._main_size(film_width * 2 // 3 if self._depth else film_width)
        width = self.main_size[0] + (self.main_size[0] // 2 if self._depth else 0)
        size = (width // 2, PANEL_HEIGHT)
        self._top = TopView(paths, measured, self.unit, size, view, camera)
        self._plot_size = (width - width // 2, PANEL_HEIGHT)
        self._depth_range = self._near_far()
        self.size = (width + width % 2, self.main_size[1] + PANEL_HEIGHT)

    def _main_size(self, long_side: int) -> tuple[int, int]:
        width, height = self.source_size
        scale = long_side / max(width, height)
        return (max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2))

    def overlay(self, frame: int, picture: npt.NDArray[np.uint8]) -> Image.Image:
        """The picture (any size) at film size with boxes, masks, labels and trails."""
        enlarged = Image.fromarray(picture).resize(self.main_size, Image.Resampling.BICUBIC)
        return draw(np.asarray(enlarged), [self._entity(e, frame) for e in sorted(self.labels)])

    def frame(self, frame: int, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """One frame of the film: (height, width, 3) of `size`."""
        canvas = Image.new("RGB", self.size, PAPER)
        canvas.paste(self.overlay(frame, picture), (0, 0))
        if self._depth:
            canvas.paste(self._depth_panel(frame, picture), (self.main_size[0], 0))
        canvas.paste(self._top.draw(frame), (0, self.main_size[1]))
        canvas.paste(self._distance_plot(frame), (self._top.size[0], self.main_size[1]))
        pen = ImageDraw.Draw(canvas)
        stamp = f"frame {frame}   {self.t_s[frame]:.2f} s"
        pen.text((9, 7), stamp, font=font(15), fill=PAPER)
        pen.text((8, 6), stamp, font=font(15), fill=INK)
        return np.asarray(canvas)

    def _entity(self, entity: int, frame: int) -> DrawnEntity:
        scale = np.array(self.main_size) / np.array(self.source_size)
        row = self._masks.get((entity, frame))
        mask = box = None
        if row is not None:
            small = rle.decode(row["counts"], height=row["height"], width=row["width"])
            mask = np.asarray(
                Image.fromarray(small).resize(self.main_size, Image.Resampling.NEAREST)
            )
            corners = np.array([row["x0"], row["y0"], row["x1"], row["y1"]]) * np.tile(scale, 2)
            box = (corners[0], corners[1], corners[2], corners[3])
        tracks = self._tracks.get(entity)
        if tracks is None:
            trails = np.zeros((0, 0, 2), np.float32)
            visible = np.zeros((0, 0), bool)
        else:
            first = max(0, frame + 1 - TRAIL_FRAMES)
            trails = tracks.xy[first : frame + 1] * scale.astype(np.float32)
            visible = tracks.visible[first : frame + 1]
        return DrawnEntity(entity, self.labels[entity], mask, box, trails, visible)

    def _near_far(self) -> tuple[float, float]:
        values = [self.depth(frame) for frame in sorted(self._depth)[:: max(1, self.n_frames // 8)]]
        known = [v[np.isfinite(v)] for v in values if np.isfinite(v).any()]
        if not known:
            return 0.5, 10.0
        near, far = np.percentile(np.concatenate(known), [2, 98])
        return float(near), float(max(far, near * 1.01))

    def depth(self, frame: int) -> npt.NDArray[np.float32]:
        """(h, w) depth of a stored frame, NaN where invalid; inverse depth is inverted."""
        return depth_of(self._depth[frame])

    def _depth_panel(self, frame: int, picture: npt.NDArray[np.uint8]) -> Image.Image:
        width, height = self.main_size[0] // 2, self.main_size[1] // 2
        panel = Image.new("RGB", (width, self.main_size[1]), PAPER)
        plain = Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC)
        panel.paste(plain, (0, 0))
        if frame in self._depth:
            near, far = self._depth_range
            colours = Image.fromarray(depth_rgb(self.depth(frame), near=near, far=far))
            panel.paste(colours.resize((width, height), Image.Resampling.BILINEAR), (0, height))
            pen = ImageDraw.Draw(panel)
            text = f"depth {near:.1f} (light) to {far:.1f} {self.unit}"
            pen.text((8, height + 6), text, font=font(13), fill=INK)
        return panel

    def _distance_plot(self, frame: int) -> Image.Image:
        """Distance along the view of every entity over time, up to this frame."""
        width, height = self._plot_size
        image = Image.new("RGB", self._plot_size, PAPER)
        pen = ImageDraw.Draw(image, "RGBA")
        pen.line([(0, 0), (0, height)], fill=GRID)
        pen.text((10, 6), f"distance from the camera, {self.unit}", font=font(12), fill=FAINT)
        known = [path[:, 2][np.isfinite(path[:, 2])] for path in self._paths_in_camera.values()]
        if not any(len(k) for k in known):
            return image
        low, high = np.concatenate(known).min(), np.concatenate(known).max()
        low, high = low - 0.1 * (high - low) - 1e-3, high + 0.1 * (high - low) + 1e-3
        left, right, top, bottom = 44, width - 12, 28, height - 12
        for share in (0.0, 0.5, 1.0):
            y = bottom - share * (bottom - top)
            pen.line([(left, y), (right, y)], fill=GRID)
            value = low + share * (high - low)
            pen.text((8, y - 7), f"{value:.2f}", font=font(11), fill=FAINT)
        x_of = np.linspace(left, right, max(self.n_frames, 2))
        for entity, path in self._paths_in_camera.items():
            y_of = bottom - (path[:, 2] - low) / (high - low) * (bottom - top)
            for k in range(1, frame + 1):
                if np.isfinite(y_of[k - 1 : k + 1]).all():
                    alpha = 255 if self._measured[entity][k] else 90
                    ends = [(x_of[k - 1], y_of[k - 1]), (x_of[k], y_of[k])]
                    pen.line(ends, fill=(*entity_rgb(entity), alpha), width=2)
        pen.line([(x_of[frame], top), (x_of[frame], bottom)], fill=FAINT)
        return image


def _world_from_cam(cameras: pa.Table, static: bool | None) -> npt.NDArray[np.float64] | None:
    """(T, 4, 4) of a camera that moves by known poses; None: it stands still, or they are not."""
    poses = known_poses(cameras, camera_static=static)
    return None if poses is None or (poses == poses[0]).all() else inverse(poses)


def _tracks(tracks: pa.Table, n_frames: int) -> dict[int, DrawnTracks]:
    if not tracks.num_rows:
        return {}
    entity = tracks["entity"].to_numpy()
    x, y, visible = (
        pc.list_flatten(tracks[name])
        .to_numpy(zero_copy_only=False)
        .reshape(tracks.num_rows, n_frames)
        for name in ("x", "y", "visible")
    )
    return {
        int(e): DrawnTracks(
            np.stack([x[entity == e], y[entity == e]], axis=-1)
            .transpose(1, 0, 2)
            .astype(np.float32),
            visible[entity == e].T.astype(bool),
        )
        for e in np.unique(entity)
    }


def _paths(
    positions: pa.Table, n_frames: int, reference: str, number: Mapping[int, int]
) -> tuple[dict[int, npt.NDArray[np.float32]], dict[int, npt.NDArray[np.bool_]]]:
    """By `number` of the entity: (T, 3) positions in the reference, NaN where unknown, and (T,)
    measured or not."""
    paths: dict[int, npt.NDArray[np.float32]] = {}
    measured: dict[int, npt.NDArray[np.bool_]] = {}
    for row in positions.to_pylist():
        entity = number[row["entity"]]
        path = paths.setdefault(entity, np.full((n_frames, 3), np.nan, np.float32))
        seen = measured.setdefault(entity, np.zeros(n_frames, bool))
        place = [row[f"{axis}_{reference}"] for axis in "xyz"]
        if place[0] is not None:
            path[row["frame"]] = place
            seen[row["frame"]] = row["state"] == "measured"
    return paths, measured
