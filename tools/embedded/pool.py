"""Rendered pictures in memory, for drawing batches; grows while the renderer still writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tools.embedded.render_data import MOST_BODIES, Shots

SMALLEST_AREA_PX = 12
"""A body that shows less than this is neither asked for nor counted."""


class Pool:
    """Scenes of both kinds: `scenes[i]` is (Shots, row). Bodies are found by their ids."""

    def __init__(
        self, folder: Path, *, kinds: tuple[str, ...] = ("stills", "clips"), depth: bool = True
    ) -> None:
        """`depth` False: depth maps, a third of the memory, are not kept."""
        self._folder = folder
        self._depth = depth
        self._kinds = kinds
        self._seen: set[str] = set()
        self.scenes: list[tuple[Shots, int]] = []
        self.frames: list[tuple[int, int]] = []
        """(scene, frame) of every picture."""

    def look(self) -> Pool:
        """Read what has been written since the last look."""
        for path in sorted(self._folder.glob("*.npz")):
            if path.name in self._seen or not path.name.startswith(self._kinds):
                continue
            self._seen.add(path.name)
            self.add_file(path)
        return self

    def add_file(self, path: Path) -> None:
        shots = Shots.load(path)
        if not self._depth:
            shots = replace(shots, depth_m=shots.depth_m[:0])
        self.add(shots)

    def __str__(self) -> str:
        return f"{len(self.frames)} pictures of {len(self.scenes)} scenes"

    def add(self, shots: Shots) -> None:
        for row in range(len(shots.rgb)):
            self.frames += [(len(self.scenes), f) for f in range(shots.rgb.shape[1])]
            self.scenes.append((shots, row))


def boxes_and_areas(ids_HW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half-open visible boxes (MOST_BODIES, 4) float32 and areas (MOST_BODIES,) in pixels."""
    boxes = np.zeros((MOST_BODIES, 4), np.float32)
    areas = np.bincount(ids_HW.ravel(), minlength=MOST_BODIES + 1)[1 : MOST_BODIES + 1]
    for body in np.flatnonzero(areas):
        mask = ids_HW == body + 1
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        boxes[body] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes, areas
