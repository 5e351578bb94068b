"""Rerun's recordings (.rrd) as what was logged: path, component, moment, value.

Read by rerun-sdk, chunk by chunk, in a process of its own; only components that somebody wants are
kept, as Arrow scalars. Of the timelines that all rows have one tells which frames they are: `pts`
where there is one, else a duration, else a sequence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from massannot.errors import NothingToRun, UsageError
from massannot.models.recorded.rrd_process import chunks_of

ENDING = ".rrd"
CLIP_PATH = "/clip"
"""Where `massannot export rerun` says of which clip a recording is."""
CLIP = "massannot.clips:"
_OWN_CLOCKS = ("log_tick", "log_time")
Moment = int | float


@dataclass(eq=False)
class Recording:
    """One recording of a file: values are lists, one item an instance."""

    where: str
    timeline: str = ""
    """That all rows have; empty: nothing was logged with a time."""
    is_duration: bool = False
    """Whether moments are seconds."""
    logged: dict[str, dict[str, dict[Moment, Any]]] = field(default_factory=dict)
    """Path, component, moment."""
    static: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Path, component: what holds at all times."""

    def value(self, path: str, component: str, at: Moment) -> list[Any] | None:
        """The instances; None: nobody logged it then, or for all times."""
        found = self.logged.get(path, {}).get(component, {}).get(at)
        found = self.static.get(path, {}).get(component) if found is None else found
        return None if found is None else found.as_py()

    def first(self, component: str) -> list[Any] | None:
        """The first value of any path that has some."""
        for by_component in self.static.values():
            if component in by_component and len(by_component[component].values):
                return by_component[component].as_py()
        for by_time in (each.get(component, {}) for each in self.logged.values()):
            for found in by_time.values():
                if len(found.values):
                    return found.as_py()
        return None

    def moments(self, components: Collection[str]) -> list[Moment]:
        """When any of these was logged."""
        parts = (found.get(name, {}) for found in self.logged.values() for name in components)
        return sorted({moment for part in parts for moment in part})

    @property
    def clip(self) -> Mapping[str, Any]:
        """Our row of `clips`; nothing in others' recordings."""
        return {
            name.removeprefix(CLIP): (found.as_py() or [None])[0]
            for name, found in self.static.get(CLIP_PATH, {}).items()
            if name.startswith(CLIP)
        }

    @property
    def video_names(self) -> tuple[str, ...]:
        clip = self.clip
        names = [clip.get(key) for key in ("source_id", "video_id", "uri")]
        return tuple(dict.fromkeys(name for name in names if name))

    def size(self) -> tuple[int, int]:
        """Width and height of the pictures. Raises UsageError where nothing says it."""
        pinhole = self.first("Pinhole:resolution")
        picture = self.first("SegmentationImage:format")
        if self.clip.get("source_width"):
            size = self.clip["source_width"], self.clip["source_height"]
        elif pinhole:
            size = pinhole[0]
        elif picture:
            size = picture[0]["width"], picture[0]["height"]
        else:
            raise UsageError(
                f"{self.where}: nothing says how large its pictures are; log a Pinhole with a "
                "resolution"
            )
        width, height = (round(side) if side < 2**20 else 0 for side in size)
        if min(width, height) < 1:
            raise UsageError(f"{self.where}: pictures of {size}, expected width and height")
        return width, height

    def row_times(self, moments: Sequence[Moment]) -> dict[str, Any]:
        """`pts`, `t_s` or `numbers` of rows at these moments, as RowTimes names them."""
        if self.is_duration:
            return {"t_s": list(moments)}
        return {"pts" if self.timeline == "pts" else "numbers": list(moments)}


def rrd_paths(path: str) -> list[Path]:
    """The recordings at `path`: a file, or those of a folder; none where it is something else."""
    place = Path(path)
    if place.suffix.lower() == ENDING and place.is_file():
        return [place]
    return sorted(place.glob(f"*{ENDING}")) if place.is_dir() else []


def need_rerun() -> Any:
    """rerun-sdk. Raises NothingToRun where it is not installed."""
    try:
        import rerun
        import rerun.chunk
    except ImportError as error:
        raise NothingToRun(
            "found no rerun-sdk, which reads and writes .rrd: pip install 'massannot[rerun]'"
        ) from error
    return rerun


def recordings(paths: Sequence[Path], components: Collection[str]) -> Iterator[Recording]:
    """What of `components`, and of the clip and the pictures' size, the files say. Raises
    UsageError for a file that cannot be read, or whose rows share no timeline."""
    need_rerun()
    wanted = {*components, "Pinhole:resolution", "SegmentationImage:format"}
    for path, stores in chunks_of(paths):
        if not stores:
            raise UsageError(f"{path}: holds no recording")
        for batches in stores:
            yield _recording(str(path), batches, wanted)


def _recording(where: str, batches: Sequence[pa.RecordBatch], wanted: Collection[str]) -> Recording:
    found = Recording(where)
    timed = []
    for batch in batches:
        path = (batch.schema.metadata or {}).get(b"rerun:entity_path", b"/").decode()
        values = [
            (name, batch.column(index))
            for index, name in _fields(batch, b"data", b"rerun:component")
            if name in wanted or name.startswith(CLIP)
        ]
        clocks = {
            name: batch.column(index)
            for index, name in _fields(batch, b"index", b"rerun:index_name")
            if name not in _OWN_CLOCKS
        }
        of_all = {name for _, name in _fields(batch, b"index", b"rerun:index_name")}
        if values and of_all:
            timed.append((path, values, clocks))
        elif values and batch.num_rows:
            last = {name: column[batch.num_rows - 1] for name, column in values}
            found.static.setdefault(path, {}).update(last)
    if timed:
        found.timeline, found.is_duration = _timeline([clocks for *_, clocks in timed], where)
    for path, values, clocks in timed:
        moments = _moments(clocks[found.timeline], found.is_duration)
        for name, column in values:
            by_moment = found.logged.setdefault(path, {}).setdefault(name, {})
            for moment, scalar in zip(moments, column):
                if scalar.is_valid:
                    by_moment[moment] = scalar
    return found


def _fields(batch: pa.RecordBatch, kind: bytes, key: bytes) -> Iterator[tuple[int, str]]:
    for index, each in enumerate(batch.schema):
        told = each.metadata or {}
        if told.get(b"rerun:kind") == kind:
            yield index, told.get(key, each.name.encode()).decode()


def _timeline(clocks: Sequence[Mapping[str, pa.Array]], where: str) -> tuple[str, bool]:
    shared = sorted(set.intersection(*(set(each) for each in clocks)))
    durations = [name for name in shared if pa.types.is_duration(clocks[0][name].type)]
    sequences = [name for name in shared if pa.types.is_integer(clocks[0][name].type)]
    for name, is_duration in (
        *((name, False) for name in sequences if name == "pts"),
        *((name, True) for name in durations),
        *((name, False) for name in sequences),
    ):
        return name, is_duration
    every = sorted({name for each in clocks for name in each})
    raise UsageError(
        f"{where}: no timeline of all its labels tells which frames they are, found "
        f"{', '.join(every) or 'none'}; log with `pts`, a duration or a sequence of frames"
    )


def _moments(column: pa.Array, is_duration: bool) -> list[Moment]:
    whole: list[int] = column.cast(pa.int64()).to_pylist()
    return [value / 1e9 for value in whole] if is_duration else list(whole)
