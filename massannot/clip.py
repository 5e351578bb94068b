"""Clip: the one value that flows. A Clip goes into a stage, a Clip with more tables comes out.

Nothing is changed in place: `with_table` and `with_depth` return a new Clip that shares the rest.
Its rasters (decoded pictures and depth) lie in shared memory and are handed on by reference: pixels
never enter Arrow, Parquet, pickle or Ray. A decoder process writes the pictures once; every reader
holds a view. Torch is unknown here: `once` lets a model keep its upload for the clip's life.
"""

from __future__ import annotations

import dataclasses
import mmap
import os
import tempfile
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from massannot import tables
from massannot.geometry.active_area import Area

T = TypeVar("T")

ACTIVE = ("active_x0", "active_y0", "active_x1", "active_y1")
"""Columns of `clips`."""

DepthKind = Literal["metric", "relative", "affine"]


class SharedPixels:
    """uint8 (T, H, W, 3) RGB in anonymous shared memory.

    The memory has no name: it is handed to another process as a file descriptor and is gone when
    the last holder lets go or dies, however it dies. It does not count against /dev/shm, which
    containers keep at 64 MB. Every view of `array`, however it was made, keeps the mapping.
    """

    def __init__(self, memory: mmap.mmap, shape: tuple[int, int, int, int]) -> None:
        self._memory: mmap.mmap | None = memory
        self.shape = shape
        # Through a memoryview, which views hold: mmap then refuses to close. np.ndarray(buffer=...)
        # would not tell mmap, and a view that outlives the mapping ends the process.
        levels = np.frombuffer(memoryview(memory), np.uint8)
        self.array: npt.NDArray[np.uint8] = levels[: np.prod(shape)].reshape(shape)

    @classmethod
    def attach(cls, descriptor: int, shape: tuple[int, int, int, int]) -> SharedPixels:
        """The pictures that another process wrote into `descriptor`, which is closed here."""
        try:
            return cls(mmap.mmap(descriptor, _n_bytes(shape)), shape)
        finally:
            os.close(descriptor)

    @property
    def nbytes(self) -> int:
        return _n_bytes(self.shape)

    def close(self) -> mmap.mmap | None:
        """Give the memory back at once. Where a view of it lives, return the mapping instead: it
        goes with the last view."""
        memory, self._memory = self._memory, None
        self.array = np.empty((0, 0, 0, 3), np.uint8)
        if memory is not None:
            try:
                memory.close()
            except BufferError:
                return memory
        return None


def anonymous_memory() -> int:
    """A descriptor of memory that grows when written to and has no name in any file system."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("massannot-pixels", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _n_bytes(shape: tuple[int, int, int, int]) -> int:
    return max(1, int(np.prod(shape, dtype=np.int64)))


@dataclass(frozen=True, eq=False)
class Frames:
    """The annotated pictures of one clip, at working size, and where they come from.

    `pixels_THWC` is uint8 RGB, display-rotated. Working coordinates have their origin at the
    top-left corner like source coordinates, so `source_xy = working_xy * source_from_working`.
    """

    pixels_THWC: npt.NDArray[np.uint8]
    video_id: str
    """Identity of the file's bytes: how an oracle or a recorded model finds its answers."""
    source_id: str
    """The user's own id, or the file's name without its ending."""
    pts: npt.NDArray[np.int64]
    """(T,) presentation times in units of `time_base`."""
    t_s: npt.NDArray[np.float64]
    """(T,) seconds after the stream's first frame."""
    time_base: Fraction
    source_width: int
    source_height: int
    sample_aspect: Fraction = Fraction(1)
    """Width of a source pixel over its height."""
    active_xyxy: Area | None = None
    """The part of the source picture between black bars; None: all of it."""
    uri: str = ""
    """Where the file lies, as the user named it; empty: nobody said."""
    numbers: npt.NDArray[np.int64] | None = None
    """(T,) 0.. of each among all pictures that the video shows; None: nobody counted."""
    video_s: float | None = None
    """Seconds that the video lasts, as its header says; None: it does not."""
    _kept: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        shape = self.pixels_THWC.shape
        if len(shape) != 4 or shape[3] != 3 or self.pixels_THWC.dtype != np.uint8:
            raise ValueError(
                f"frames of {self.source_id}: found {self.pixels_THWC.dtype} {shape}, "
                "expected uint8 (T, H, W, 3)"
            )
        if len(self.pts) != shape[0] or len(self.t_s) != shape[0]:
            raise ValueError(
                f"frames of {self.source_id}: {shape[0]} pictures, {len(self.pts)} pts, "
                f"{len(self.t_s)} t_s; expected the same number"
            )

    def __len__(self) -> int:
        return int(self.pixels_THWC.shape[0])

    @property
    def height(self) -> int:
        return int(self.pixels_THWC.shape[1])

    @property
    def width(self) -> int:
        return int(self.pixels_THWC.shape[2])

    @property
    def are_all(self) -> bool | None:
        """Whether these are all pictures of the video from the first to the last of them; None:
        nobody counted."""
        if self.numbers is None:
            return None
        return bool(self.numbers[-1] - self.numbers[0] == len(self) - 1)

    @property
    def source_from_working(self) -> npt.NDArray[np.float64]:
        """(2,) factors for x and y from working to source pixels."""
        return np.array([self.source_width / self.width, self.source_height / self.height])

    def pixels(self, first: int, end: int) -> npt.NDArray[np.uint8]:
        """A view of frames first..end (exclusive): (end - first, H, W, 3)."""
        return self.pixels_THWC[first:end]

    @property
    def area(self) -> Area:
        """`active_xyxy`, of all of the picture where that says nothing."""
        return self.active_xyxy or Area(0, 0, self.source_width, self.source_height)

    @property
    def has_bars(self) -> bool:
        return self.area != (0, 0, self.source_width, self.source_height)

    @property
    def working_area(self) -> Area:
        """The part of the working picture between black bars."""
        return self.area.resized(1 / self.source_from_working)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """`make()`, computed at most once for these frames: an upload, an embedding."""
        if key not in self._kept:
            self._kept[key] = make()
        value: T = self._kept[key]
        return value

    def forget(self) -> None:
        """Drop everything `once` kept; the worker calls this when the clip is done."""
        self._kept.clear()


@dataclass(frozen=True, eq=False)
class DepthMaps:
    """Depth of every frame at the model's own output size, covering the whole picture.

    A map pixel (i, j) has its centre at ((j + 0.5) / w, (i + 0.5) / h) of the picture. `kind` says
    what `values` are: metric: z in metres; relative: z up to one factor for the whole clip; affine:
    INVERSE depth with an unknown factor and offset per frame, from which nothing is lifted.
    Invalid pixels are NaN.
    """

    values: npt.NDArray[np.float32]
    """(T, h, w)."""
    kind: DepthKind
    scale: npt.NDArray[np.float32] | None = None
    """(T,) factor already applied to each frame's z, None: none was fitted."""
    shift: npt.NDArray[np.float32] | None = None
    """(T,) offset added after the factor."""
    max_depth: float | None = None
    """The farthest that the model can answer, before factor and offset; None: not known."""
    size_scale: float | None = None
    """The part of the factor that came from things of known size; None: none."""
    size_scale_rel_sd: float | None = None
    """Its relative standard deviation."""

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.values.dtype != np.float32:
            raise ValueError(
                f"depth maps: found {self.values.dtype} {self.values.shape}, expected float32 "
                "(T, h, w)"
            )

    def __len__(self) -> int:
        return int(self.values.shape[0])


PhraseOrigin = Literal["prompt", "entities", "caption", "question", "scene"]


@dataclass(frozen=True)
class Phrase:
    """A noun phrase to look for, and the text that it came from."""

    text: str
    origin: PhraseOrigin = "prompt"
    question_id: str | None = None
    char_start: int | None = None
    char_end: int | None = None


@dataclass(frozen=True)
class Video:
    """The properties of an opened file: a row of `videos`."""

    uri: str
    video_id: str
    source_id: str | None
    size_bytes: int
    container: str
    codec: str
    pixel_format: str | None
    width: int
    height: int
    rotation: int
    sample_aspect: Fraction
    color_space: str
    color_range: str
    time_base: Fraction
    first_pts: int
    duration_s: float | None
    n_frames: int | None
    variable_rate: bool | None
    damaged: bool
    license: str | None = None
    source_kind: str | None = None
    generator: str | None = None


@dataclass(frozen=True, eq=False)
class Clip:
    """A span of one video, annotated at chosen times: an id, small tables, two rasters.

    `tables` holds finished Arrow tables by name; each obeys its TableSpec. `frames` and `depth` are
    references to shared memory.
    """

    clip_id: str
    clip_index: int
    video: Video
    first_pts: int
    end_pts: int
    sampling: str
    phrases: tuple[Phrase, ...]
    frames: Frames
    depth: DepthMaps | None = None
    tables: Mapping[str, pa.Table] = field(default_factory=lambda: MappingProxyType({}))
    shot: int | None = None
    """0.. within the video; None: shots were not looked for."""
    micro_batch: int = 0
    """How often the micro-batch was halved after out-of-memory."""

    def __len__(self) -> int:
        return len(self.frames)

    def read_columns(self) -> dict[str, str | int | float | bool | None]:
        """The columns of `clips` that are known as soon as the clip is read."""
        frames, video = self.frames, self.video
        return {
            "clip_id": self.clip_id,
            "video_id": video.video_id,
            "uri": video.uri,
            "source_id": video.source_id,
            "clip_index": self.clip_index,
            "first_pts": self.first_pts,
            "end_pts": self.end_pts,
            "time_base_num": video.time_base.numerator,
            "time_base_den": video.time_base.denominator,
            "t0_s": float(frames.t_s[0]),
            "t1_s": float(frames.t_s[-1]),
            "sampling": self.sampling,
            "n_frames": len(frames),
            "source_width": frames.source_width,
            "source_height": frames.source_height,
            "working_width": frames.width,
            "working_height": frames.height,
            "micro_batch": self.micro_batch,
            "damaged": video.damaged,
            "shot": self.shot,
            **dict(zip(ACTIVE, frames.area, strict=True)),
        }

    @property
    def rasters(self) -> frozenset[str]:
        """Names of the rasters present, as stages declare them in `reads`."""
        return frozenset({"frames"} | ({"depth"} if self.depth is not None else set()))

    def table(self, name: str) -> pa.Table:
        """The finished table `name`. Raises KeyError naming those that exist."""
        if name not in self.tables:
            raise KeyError(
                f"clip {self.clip_id} has no table {name!r} yet; has {list(self.tables)}"
            )
        return self.tables[name]

    def with_table(self, name: str, table: pa.Table) -> Clip:
        """A clip with one table more (or replaced). The table is checked and sorted."""
        checked = tables.spec(name).checked(table)
        return dataclasses.replace(self, tables=MappingProxyType({**self.tables, name: checked}))

    def with_depth(self, depth: DepthMaps) -> Clip:
        """A clip with depth. Raises ValueError unless there is one map per frame."""
        if len(depth) != len(self):
            raise ValueError(f"clip {self.clip_id}: {len(depth)} depth maps for {len(self)} frames")
        return dataclasses.replace(self, depth=depth)
