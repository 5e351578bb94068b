"""Depth from files as a DepthEstimator.

`path` is a file, or a folder with one entry a video, named by its source id:
* npz with `depth` (T, h, w), and optionally `pts`, `t_s` or `fps`, and `kind`; or npy (T, h, w);
* a folder of 16-bit PNG, or of npy (h, w), one a frame, in the order of their numbers;
or one of our own datasets with the table `depth_maps`. Zero, negative and non-finite values of
metric and relative depth are unknown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from massannot.clip import DepthKind, DepthMaps, Frames
from massannot.errors import ModelFailed, UsageError
from massannot.models.protocols import F32, ModelCard
from massannot.models.recorded.matching import (
    NO_ROW,
    RecordedDataset,
    file_for,
    first_of,
    load_arrays,
    rows_for,
)


@dataclass
class RecordedDepth:
    """Depth in `path`, see above."""

    path: str
    kind: DepthKind = "metric"
    """Of the values, where the file does not say."""
    png_scale: float = 0.001
    """Value of one step of a PNG: millimetres, as depth cameras write them."""
    fps: float | None = None
    """Frames a second of the files, where they do not say."""
    _dataset: RecordedDataset | None = field(default=None, init=False, repr=False, compare=False)

    def setup(self, *, device: str) -> None:
        """Raises UsageError when there is nothing at `path`."""
        self._dataset = RecordedDataset.at(self.path, table="depth_maps")

    def destroy(self) -> None:
        self._dataset = None

    def card(self) -> ModelCard:
        return ModelCard("recorded_depth", weights=self.path)

    def estimate_depth(self, frames: Frames, *, focal_px: float | None = None) -> DepthMaps:
        """See protocols.DepthEstimator; frames without a record are unknown everywhere.

        Raises ModelFailed when the file does not fit the clip.
        """
        record = self._of_dataset(frames) if self._dataset else self._of_files(frames)
        rows = rows_for(
            frames,
            n_rows=len(record.maps),
            where=str(record.where),
            pts=record.pts,
            t_s=record.t_s,
            fps=record.fps or self.fps,
            numbers=record.numbers,
        )
        shape = record.maps[int(rows.max())].shape
        values = np.full((len(frames), *shape), np.nan, np.float32)
        for frame, row in enumerate(rows):
            if row != NO_ROW:
                if record.maps[row].shape != shape:
                    raise ModelFailed(
                        f"{record.where}: maps of {record.maps[row].shape} and {shape} in one clip"
                    )
                values[frame] = record.maps[row]
        values[~np.isfinite(values)] = np.nan
        if record.kind != "affine":
            values[values <= 0] = np.nan
        return DepthMaps(values, record.kind)

    def _of_files(self, frames: Frames) -> _Record:
        where = file_for(self.path, frames, endings=(".npz", ".npy"))
        if where.is_dir():
            return self._of_folder(where)
        arrays = load_arrays(where)
        maps = first_of(arrays, "depth", "depths", "")
        if maps is None or maps.ndim != 3:
            shapes = {name: array.shape for name, array in arrays.items()}
            raise UsageError(f"{where}: found {shapes}, expected depth (T, h, w)")
        kind = str(arrays["kind"]) if "kind" in arrays else self.kind
        if kind not in get_args(DepthKind):
            raise UsageError(f"{where}: kind {kind!r}, expected one of {get_args(DepthKind)}")
        fps = first_of(arrays, "fps")
        return _Record(
            where=where,
            maps=maps,
            kind=kind,  # type: ignore[arg-type]
            pts=first_of(arrays, "pts"),
            t_s=first_of(arrays, "t_s"),
            fps=None if fps is None else float(fps),
        )

    def _of_folder(self, where: Path) -> _Record:
        files = sorted((f for f in where.iterdir() if f.suffix in {".png", ".npy"}), key=_number)
        if not files:
            raise ModelFailed(f"{where}: expected 16-bit PNG or npy files, one a frame")
        maps = [self._map(file) for file in files]
        return _Record(where, maps, self.kind, numbers=[_number(file)[0] for file in files])

    def _map(self, file: Path) -> NDArray[Any]:
        """(h, w) of one file. Raises UsageError for another shape, or a picture of 8 bits."""
        values = load_arrays(file)[""] if file.suffix == ".npy" else _png(file) * self.png_scale
        if values.ndim != 2:
            raise UsageError(f"{file}: found {values.shape}, expected (h, w)")
        return values

    def _of_dataset(self, frames: Frames) -> _Record:
        assert self._dataset is not None
        clip_ids = self._dataset.clips_of(frames).clip_ids
        pts = {
            (row["clip_id"], row["frame"]): row["pts"]
            for row in self._dataset.rows("frames", clip_ids)
        }
        rows = self._dataset.rows("depth_maps", clip_ids)
        if not rows:
            raise ModelFailed(f"{self.path}: no depth of video {frames.source_id!r}")
        maps = []
        for row in rows:
            steps = _png(BytesIO(row["png"]))
            maps.append(np.where(steps > 0, row["offset"] + row["scale"] * steps, np.nan))
        return _Record(
            where=Path(self.path),
            maps=maps,
            kind=rows[0]["scale_type"],
            pts=[pts[row["clip_id"], row["frame"]] for row in rows],
        )


@dataclass(frozen=True, eq=False)
class _Record:
    """Maps (h, w), row by row, and which frames they are."""

    where: Path
    maps: Sequence[NDArray[Any]] | NDArray[Any]
    kind: DepthKind
    pts: Any = None
    t_s: Any = None
    fps: float | None = None
    numbers: Sequence[int] | None = None


def _number(file: Path) -> tuple[int, str]:
    digits = re.findall(r"\d+", file.stem)
    return (int(digits[-1]) if digits else 0, file.name)


def _png(file: Path | BytesIO) -> F32:
    """(h, w) steps of a 16-bit PNG. Raises UsageError for 8 bits: those are pictures of depth."""
    from PIL import Image

    with Image.open(file) as picture:
        if not picture.mode.startswith("I"):
            raise UsageError(
                f"{file}: a PNG of mode {picture.mode}, expected 16-bit grey; an 8-bit picture of "
                "depth has lost its values"
            )
        return np.asarray(picture, np.float32)
