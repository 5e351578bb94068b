"""Depth from files as a DepthEstimator.

`path` is a file, or a folder with one entry a video, named by its source id:
* npz with `depth` (T, h, w), and optionally `pts`, `t_s` or `fps`, `kind`, and `scale`, the value
  of one step of whole numbers; or npy (T, h, w);
* a folder of 16-bit PNG, or of npy (h, w), one a frame, in the order of their numbers;
or one of our own datasets with the table `depth_maps`. Zero, negative and non-finite values of
metric and relative depth are unknown. A frame that the file does not name is unknown everywhere.

Refused: whole numbers without a scale, metres that no scene has, maps of another shape than the
pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from massannot.clip import DepthKind, DepthMaps, Frames
from massannot.errors import ModelFailed, UsageError
from massannot.models.protocols import F32, ModelCard
from massannot.models.recorded.array_files import TIMES, ArrayFile, a_clip_fails, check_names
from massannot.models.recorded.matching import (
    RecordedDataset,
    check_shape,
)
from massannot.models.recorded.metres import too_far
from massannot.models.recorded.picture_names import numbers_in, order_of
from massannot.models.recorded.row_times import NO_ROW, RowTimes, rows_for
from massannot.models.recorded.video_names import VideoName, file_for, named_file

KNOWN = ("depth", "depths", "kind", "scale", *TIMES)

_ENDINGS = (".npz", ".npy")


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
    first_number: int | None = None
    """Number of the video's first frame in names of pictures; None: 0 or 1, as they begin."""
    _dataset: RecordedDataset | None = field(default=None, init=False, repr=False, compare=False)

    def setup(self, *, device: str) -> None:
        """Raises UsageError when there is nothing at `path`."""
        self._dataset = RecordedDataset.at(self.path, table="depth_maps")
        check_names(self.path, known=KNOWN)

    def destroy(self) -> None:
        self._dataset = None

    def card(self) -> ModelCard:
        return ModelCard("recorded_depth", weights=self.path)

    @property
    def names_videos(self) -> bool:
        """Whether `path` says of which video it speaks: a single file has no name."""
        return Path(self.path).is_dir()

    def answer_for(self, video: VideoName) -> str | None:
        """See GoesByName."""
        found = None if self._dataset else named_file(self.path, video, endings=_ENDINGS)
        return None if found is None else str(found)

    def estimate_depth(self, frames: Frames, *, focal_px: float | None = None) -> DepthMaps:
        """See protocols.DepthEstimator; frames without a record are unknown everywhere.

        Raises ModelFailed when the file does not fit the clip.
        """
        with a_clip_fails(self.path):
            return self._estimate(frames)

    def _estimate(self, frames: Frames) -> DepthMaps:
        record = self._of_dataset(frames) if self._dataset else self._of_files(frames)
        rows = rows_for(frames, record.times, where=str(record.where))
        shape = record.maps[int(rows.max())].shape
        check_shape((shape[1], shape[0]), frames, where=str(record.where), patches=True)
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
        if record.kind == "metric":
            _check_metres(values, where=str(record.where))
        return DepthMaps(values, record.kind)

    def _of_files(self, frames: Frames) -> _Record:
        where = file_for(self.path, VideoName.of(frames), endings=_ENDINGS)
        if where.is_dir():
            return self._of_folder(where)
        file = ArrayFile.read(where, known=KNOWN)
        maps = file.first("depth", "depths", "")
        if maps is None or maps.ndim != 3:
            hint = "; take depth[:, 0] or depth[0]" if maps is not None and maps.ndim == 4 else ""
            raise UsageError(f"{where}: found {file.shapes}, expected depth (T, h, w){hint}")
        kind = file.word("kind", expected=get_args(DepthKind), default=self.kind)
        maps = _scaled(maps, file.number("scale"), where=str(where))
        times = file.times(len(maps), fps=self.fps)
        return _Record(where, maps, cast(DepthKind, kind), times)

    def _of_folder(self, where: Path) -> _Record:
        files = sorted(f for f in where.iterdir() if not f.name.startswith("."))
        kinds = {f.suffix for f in files}
        if kinds not in ({".png"}, {".npy"}):
            found = ", ".join(f.name for f in files if f.suffix not in {".png", ".npy"})
            raise ModelFailed(
                f"{where}: expected 16-bit PNG or npy files, one a frame, of one kind and nothing "
                f"else; found {found or ' and '.join(sorted(kinds)) or 'nothing'}"
            )
        numbers = numbers_in([file.name for file in files])
        if numbers is None:
            raise ModelFailed(
                f"{where}: the names from {files[0].name} to {files[-1].name} have no frame "
                "numbers, expected a number a frame, such as 00001.png"
            )
        order = order_of(numbers, len(files))
        maps = [self._map(files[place]) for place in order]
        ordered = [numbers[place] for place in order]
        first = self.first_number
        times = RowTimes(
            len(maps),
            fps=self.fps,
            numbers=ordered,
            numbers_are_frames=first is not None,
            first_number=first,
        )
        return _Record(where, maps, self.kind, times)

    def _map(self, file: Path) -> NDArray[Any]:
        """(h, w) of one file. Raises UsageError for another shape, or a picture of 8 bits."""
        if file.suffix == ".png":
            values = _png(file) * self.png_scale
        else:
            values = _scaled(ArrayFile.read(file, known=()).arrays[""], None, where=str(file))
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
        times = [pts[row["clip_id"], row["frame"]] for row in rows]
        return _Record(
            where=Path(self.path),
            maps=maps,
            kind=rows[0]["scale_type"],
            times=RowTimes(len(rows), pts=times, shared=True),
        )


@dataclass(frozen=True, eq=False)
class _Record:
    """Maps (h, w), row by row, and which frames they are."""

    where: Path
    maps: Sequence[NDArray[Any]] | NDArray[Any]
    kind: DepthKind
    times: RowTimes


def _scaled(maps: NDArray[Any], scale: float | None, *, where: str) -> NDArray[Any]:
    """Raises UsageError for what are no numbers, and for whole ones whose unit is not said."""
    if maps.dtype.kind not in "fiu":
        raise UsageError(f"{where}: depth is {maps.dtype}, expected floats")
    if scale is not None:
        if not scale > 0:
            raise UsageError(f"{where}: scale {scale}, expected a positive number")
        return (maps * np.float64(scale)).astype(np.float32)
    if maps.dtype.kind in "iu":
        raise UsageError(
            f"{where}: depth is {maps.dtype}, whole numbers whose unit nobody knows; expected "
            "floats. For millimetres write depth / 1000, or in the npz scale=0.001"
        )
    return maps


def _check_metres(values: F32, *, where: str) -> None:
    """Raises ModelFailed for metres that are millimetres: no scene is so far away."""
    known = values[np.isfinite(values)]
    if found := too_far(known, all_whole=bool(np.all(known % 1 == 0))):
        raise ModelFailed(
            f"{where}: the median of metric depth is {found}; are these millimetres? Write depth / "
            "1000, or in the npz scale=0.001; for depth without a unit kind='relative'"
        )


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
