"""Grounds: where a dataset's intervals and qualities come from, and how wide the intervals are.

A calibrated interval held the truth as often as it says, on clips whose truth was known; an
internal one is a lower bound and has no probability; of the rest nothing is known. The summary, the
pages and the card say which, in the sentences of this file. Of a large dataset some files of each
table are read, evenly spaced over it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from massannot.counts import counted
from massannot.dataset import record as run_record
from massannot.dataset.layout import PUBLISHED_RECORD, Layout
from massannot.dataset.reading import Dataset
from massannot.errors import BadTable
from massannot.storage.json_text import our_own, parsed
from massannot.storage.parquet import readable
from massannot.tables._spec import INTERVAL_BASES
from massannot.tables.motions import in_one_reference

MOST_FILES = 64
"""Files of a table that are read: enough for a median, and quick in a dataset of any size."""
MEANINGS = {
    "calibrated": "calibrated",
    "internal": "internal: a lower bound, no probability",
    "none": "none",
}
QUALITIES = {
    "calibrated": "calibrated: a probability",
    "internal": "internal: a rank, no probability",
    "none": "unknown",
}
UNSEEN = ("hidden", "left", "lost")
_HALVES = ("x_half_90", "y_half_90", "z_half_90")


@dataclass(frozen=True)
class Grounds:
    """Counts of grounds, and medians of the 90 % intervals that are known."""

    calibration: str | None = None
    sha256: str | None = None
    """Of the calibration's file."""
    clips: Mapping[str, int] = field(default_factory=dict)
    """Clips with positions, by the best ground among these."""
    qualities: Mapping[str, int] = field(default_factory=dict)
    """Entities by the ground of their quality."""
    half_90: tuple[float, float, float] | None = None
    """Median half width of a position along x, y, z of the camera, in the scale's unit."""
    length_half_90: float | None = None
    """The same of the length of a motion, in the world where it is known."""
    unseen: Mapping[str, int] = field(default_factory=dict)
    """Entities that have the state in a frame or more, by state; `placed nowhere`: in all."""
    n_entities: int = 0
    """Entities with rows in `positions`."""
    no_world: int = 0
    """Clips with positions, none of them in the world."""
    metric: bool = False
    """All lengths are metres."""
    read: tuple[int, int] = (0, 0)
    """Files of `positions`: how many were read, of how many."""

    @property
    def lines(self) -> tuple[str, ...]:
        """A sentence each on intervals, quality, entities that are not seen, and the world."""
        if not self.clips and not self.qualities:
            return ()
        lines = [f"intervals: {self._intervals()}", f"quality: {self._qualities()}"]
        if self.n_entities:
            lines.append(f"not seen in some frames: {self._unseen()}")
        if self.no_world:
            lines.append(
                f"world: not known for {counted(self.no_world, 'clip')}, whose camera moved, or "
                "may have, and whose poses are assumed"
            )
        if self.read[0] < self.read[1]:
            lines.append(f"(of {self.read[0]} of {counted(self.read[1], 'file')}, evenly spaced)")
        return tuple(lines)

    def _intervals(self) -> str:
        if not self.clips:
            return "none, nothing has a position"
        parts = []
        for ground in INTERVAL_BASES:
            if ground in self.clips:
                by = f" by {self.calibration or 'an unnamed calibration'}"
                name = MEANINGS[ground] + by * (ground == "calibrated")
                parts.append(f"{name} ({counted(self.clips[ground], 'clip')})")
        text = "; ".join(parts)
        unit = "m" if self.metric else "units"
        if self.half_90 is not None:
            x, y, z = (f"{half:.3g}" for half in self.half_90)
            text += f"; 90 % of a position, median: ±{x} ±{y} ±{z} {unit} (x y z)"
        if self.length_half_90 is not None:
            text += f", of a motion's length: ±{self.length_half_90:.3g} {unit}"
        return text

    def _qualities(self) -> str:
        parts = [
            f"{QUALITIES[ground]} ({self.qualities[ground]} of {sum(self.qualities.values())})"
            for ground in INTERVAL_BASES
            if ground in self.qualities
        ]
        return "; ".join(parts) or "unknown, there is no entity"

    def _unseen(self) -> str:
        nowhere = self.unseen.get("placed nowhere", 0)
        words = {"hidden": "hidden", "left": "out of the picture", "lost": "lost"}
        parts = [f"{self.unseen.get(state, 0)} {words[state]}" for state in UNSEEN]
        text = f"of {counted(self.n_entities, 'entity')} {', '.join(parts)}"
        return text + f"; {nowhere} without a position in any frame" * (nowhere > 0)


NOTHING_STATED = Grounds()
"""Of a dataset without positions and entities."""


def grounds_of(dataset: Dataset) -> Grounds:
    """The grounds of a dataset, finished, published or still growing."""
    name, sha256 = _calibration(dataset.layout)
    positions = list(_read(dataset, "positions", _POSITIONS))
    motions = list(_read(dataset, "motions", _MOTIONS))
    entities = list(_read(dataset, "entities", ("quality", "quality_basis")))
    seen = _States()
    for table in positions:
        seen.add(table)
    scales = {s for table in positions for s in table["scale_type"].unique().to_pylist()}
    n_files = len(dataset.files("positions"))
    return Grounds(
        calibration=name,
        sha256=sha256,
        clips=seen.by_ground(),
        qualities=dict(sum(map(_qualities_in, entities), Counter[str]())),
        half_90=_medians(positions),
        length_half_90=_median_length(motions),
        unseen=dict(seen.unseen()),
        n_entities=len(seen.entities),
        no_world=len(seen.placed - seen.in_world),
        metric=scales == {"metric"},
        read=(min(n_files, MOST_FILES), n_files),
    )


_POSITIONS = ("clip_id", "entity", "scale_type", "state", "x_cam", "x_world", *_HALVES,
              "interval_basis")  # fmt: skip
_MOTIONS = ("clip_id", "reference", "length_low_90", "length_high_90")


class _States:
    """The clips and entities of `positions`, file by file; a published file may end within none."""

    def __init__(self) -> None:
        self.grounds: dict[str, set[str]] = {}
        self.placed: set[str] = set()
        self.in_world: set[str] = set()
        self.entities: set[tuple[str, int]] = set()
        self._of_state: dict[str, set[tuple[str, int]]] = {}

    def add(self, table: pa.Table) -> None:
        self.entities |= _keys(table)
        for state in UNSEEN:
            words = ["lost", "absent"] if state == "lost" else [state]  # absent: of version 1
            rows = table.filter(pc.is_in(table["state"], value_set=pa.array(words)))
            self._of_state.setdefault(state, set()).update(_keys(rows))
        placed = table.filter(table["x_cam"].is_valid())
        self._of_state.setdefault("placed", set()).update(_keys(placed))
        self.placed |= _clips(placed)
        self.in_world |= _clips(placed.filter(placed["x_world"].is_valid()))
        basis: Any = pc.fill_null(placed["interval_basis"], "none")
        for ground in INTERVAL_BASES:
            self.grounds.setdefault(ground, set()).update(
                _clips(placed.filter(pc.equal(basis, ground)))
            )

    def by_ground(self) -> dict[str, int]:
        counts, known = {}, set[str]()
        for ground in INTERVAL_BASES:  # the best first
            new = self.grounds.get(ground, set()) - known
            known |= new
            if new:
                counts[ground] = len(new)
        return counts

    def unseen(self) -> Iterator[tuple[str, int]]:
        for state in UNSEEN:
            yield state, len(self._of_state.get(state, set()))
        yield "placed nowhere", len(self.entities - self._of_state.get("placed", set()))


def _calibration(layout: Layout) -> tuple[str | None, str | None]:
    """Name and hash of the calibration in the record of a run or of a published dataset."""
    record = run_record.read(layout)
    if record is not None:
        return _chosen(record.recipe)
    path = layout.out / PUBLISHED_RECORD
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None, None
    with our_own(path, "publish again, or fetch the dataset again"):
        published = parsed(content)
        if published.get("calibration"):  # stated again on publishing
            name, sha256 = published["calibration"]
            return name, sha256
        return _chosen(published.get("recipe", {}))


def _chosen(recipe: Mapping[str, Any]) -> tuple[str | None, str | None]:
    for stage in recipe.get("stages", ()):
        if isinstance(stage, Mapping) and stage.get("stage") == "state_intervals":
            chosen = stage.get("calibration") or {}
            return chosen.get("name"), chosen.get("sha256")
    return None, None


def _read(dataset: Dataset, name: str, columns: tuple[str, ...]) -> Iterator[pa.Table]:
    """These columns of some files; null where a file of an earlier version lacks one."""
    files = dataset.files(name)
    some = np.unique(np.linspace(0, len(files) - 1, min(len(files), MOST_FILES)).round())
    for index in some.astype(int):
        try:
            with readable(files[index]), pq.ParquetFile(files[index]) as file:
                present = [c for c in columns if c in file.schema_arrow.names]
                table = file.read(columns=present)
                table.validate(full=True)
        except BadTable:  # damaged or withdrawn: `validate` names it
            continue
        for column in {*columns} - {*present}:
            text = column in ("interval_basis", "quality_basis")
            kind = pa.string() if text else pa.float32()
            table = table.append_column(column, pa.nulls(table.num_rows, kind))
        yield table


def _qualities_in(entities: pa.Table) -> Counter[str]:
    """A quality without a stated ground is one of an earlier version, which only ranked."""
    counts: Counter[str] = Counter()
    columns = (entities[name].to_pylist() for name in ("quality", "quality_basis"))
    for quality, basis in zip(*columns, strict=True):
        counts["none" if quality is None else basis or "internal"] += 1
    return counts


def _medians(positions: list[pa.Table]) -> tuple[float, float, float] | None:
    x, y, z = (
        _median([table[name].drop_null().to_numpy() for table in positions]) for name in _HALVES
    )
    return None if x is None or y is None or z is None else (x, y, z)


def _median_length(motions: list[pa.Table]) -> float | None:
    halves = []
    for table in motions:
        once = in_one_reference(table)
        low, high = (
            once[name].to_numpy().astype(np.float64) for name in ("length_low_90", "length_high_90")
        )
        halves.append((high - low)[np.isfinite(high - low)] / 2)
    return _median(halves)


def _median(parts: list[Any]) -> float | None:
    values = np.concatenate(parts) if parts else np.zeros(0)
    return float(np.median(values)) if values.size else None


def _keys(table: pa.Table) -> set[tuple[str, int]]:
    once = table.group_by(["clip_id", "entity"], use_threads=False).aggregate([])
    return set(zip(once["clip_id"].to_pylist(), once["entity"].to_pylist(), strict=True))


def _clips(table: pa.Table) -> set[str]:
    return set(table["clip_id"].unique().to_pylist())
