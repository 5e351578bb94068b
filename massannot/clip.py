"""Clip: the one value that flows. A Clip goes into a stage, a Clip with more tables comes out.

Nothing is changed in place: `with_table` and `with_depth` return a new Clip that shares the rest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Literal

import pyarrow as pa

from massannot import tables
from massannot.pixels import DepthMaps, Frames

PhraseOrigin = Literal["prompt", "entities", "caption", "question", "scene"]


@dataclass(frozen=True)
class Phrase:
    """Something to look for, and where the wish came from."""

    text: str
    origin: PhraseOrigin = "prompt"
    question_id: str | None = None
    char_start: int | None = None
    char_end: int | None = None


@dataclass(frozen=True)
class Video:
    """What is known of a file once it has been opened: a row of `videos`."""

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


@dataclass(frozen=True, eq=False)
class Clip:
    """A span of one video, annotated at chosen times: an id, small tables, two rasters.

    `tables` holds finished Arrow tables by name; each obeys its TableSpec. `frames` and `depth` are
    references to pixels (see pixels.py).
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
    micro_batch: int = 0
    """How often the micro-batch was halved after out-of-memory."""

    def __len__(self) -> int:
        return len(self.frames)

    def read_columns(self) -> dict[str, str | int | float | bool | None]:
        """The columns of `clips` that are known once the clip is read, whatever is found in it."""
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
