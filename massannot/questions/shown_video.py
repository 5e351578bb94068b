"""ShownVideo: what is done to a question's video before it is shown to whoever answers.

`questions ask` writes it into the manifest's columns: `video_is` mirrored, or reversed about the
time `turned_s` (a frame at t is shown at `turned_s` - t), `shown_until_s` where the rest must not
be seen, and `boxes`, by colour [t_s, x0, y0, x1, y1] in the pixels and times of what is shown. They
stand in `further` of the table `questions`, so that annotating the manifest keeps them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from massannot.errors import BadQuestion

RGB = NDArray[np.uint8]
Box = Sequence[float]
"""t_s, x0, y0, x1, y1."""

BOX_RGB = {
    "red": (255, 0, 0),
    "blue": (30, 90, 255),
    "green": (0, 200, 0),
    "yellow": (255, 230, 0),
    "purple": (170, 0, 255),
    "orange": (255, 140, 0),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
}
_NEAR_STEPS = 1.5
"""A box holds so many of its own steps in time away from it, and no longer."""
_OUTLINE_SHARE = 1 / 120
"""Of the picture's width."""
_AFTER_S = 1e-3

ShotT = TypeVar("ShotT", bound=Any)


@dataclass(frozen=True)
class ShownVideo:
    """Changes to a video; none by default."""

    how: Literal["mirrored", "reversed"] | None = None
    turned_s: float = 0.0
    """Sum of a frame's time in the video and when it is shown, where it is reversed."""
    until_s: float | None = None
    """Last moment that is shown, in the time of what is shown."""
    boxes: Mapping[str, Sequence[Box]] | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> ShownVideo:
        """Of a row of `questions`; columns of other people's manifests that say something else by
        these names change nothing."""
        found = json.loads(row.get("further") or "{}")
        how, until_s, boxes = (found.get(name) for name in ("video_is", "shown_until_s", "boxes"))
        turned_s = found.get("turned_s")
        is_boxes = isinstance(boxes, dict) and all(
            colour in BOX_RGB and isinstance(some, list) and all(len(box) == 5 for box in some)
            for colour, some in boxes.items()
        )
        return cls(
            how=how if how == "mirrored" or (how == "reversed" and turned_s is not None) else None,
            turned_s=float(turned_s or 0.0),
            until_s=float(until_s) if isinstance(until_s, int | float) else None,
            boxes=boxes if is_boxes else None,
        )

    @property
    def name(self) -> str:
        """Ending for the name of a film's file; empty: the video as it is."""
        return _short([self.how, self.turned_s, self.until_s, self.boxes], self == AS_IT_IS)

    @cached_property
    def picture_name(self) -> str:
        """Ending for the name of a picture's file; empty: the frame as it is."""
        mirrored = self.how == "mirrored"
        return _short([mirrored, self.boxes], not mirrored and not self.boxes)

    def shots(self, shots: Sequence[ShotT]) -> tuple[ShotT, ...]:
        """Dataclasses with `t_s`, as they are shown. Raises BadQuestion where nothing is."""
        kept = tuple(shots)
        if self.how == "reversed":
            kept = tuple(replace(shot, t_s=self.turned_s - shot.t_s) for shot in reversed(kept))
        if self.until_s is not None:
            kept = tuple(shot for shot in kept if shot.t_s <= self.until_s + _AFTER_S)
        if not kept:
            raise BadQuestion(f"found no frame until {self.until_s:g} s, expected some to show")
        return kept

    def picture(self, rgb: RGB, *, t_s: float, source_width: int) -> RGB:
        """(H, W, 3), which is shown at t_s: turned round, and with its boxes drawn."""
        if self.how == "mirrored":
            rgb = rgb[:, ::-1]
        boxes = dict(self._boxes_at(t_s))
        if not boxes:
            return rgb
        image = Image.fromarray(np.ascontiguousarray(rgb))
        pen, scale = ImageDraw.Draw(image), rgb.shape[1] / source_width
        width = max(2, round(rgb.shape[1] * _OUTLINE_SHARE))
        for colour, box in boxes.items():
            x0, y0, x1, y1 = (side * scale for side in box)
            pen.rectangle((x0, y0, x1 - 1, y1 - 1), outline=BOX_RGB[colour], width=width)
        return np.asarray(image)

    def _boxes_at(self, t_s: float) -> Iterator[tuple[str, NDArray[np.float64]]]:
        for colour, some in (self.boxes or {}).items():
            rows = np.array(some, float).reshape(-1, 5)
            if not len(rows):
                continue
            times = rows[:, 0]
            step = float(np.median(np.diff(times))) if len(times) > 1 else _AFTER_S
            if np.abs(times - t_s).min() <= _NEAR_STEPS * step:
                yield colour, np.array([np.interp(t_s, times, rows[:, i]) for i in range(1, 5)])


AS_IT_IS = ShownVideo()


def boxes_shown(boxes: Sequence[Box], how: str | None, *, width: int, turned_s: float) -> list[Any]:
    """Boxes of the video as they are where it is mirrored or reversed, by time."""
    if how == "mirrored":
        return [[t, width - x1, y0, width - x0, y1] for t, x0, y0, x1, y1 in boxes]
    if how == "reversed":
        return [[turned_s - t, *box] for t, *box in reversed(boxes)]
    return [list(box) for box in boxes]


def _short(what: Any, is_plain: bool) -> str:
    if is_plain:
        return ""
    return "-" + hashlib.blake2b(json.dumps(what).encode(), digest_size=4).hexdigest()
