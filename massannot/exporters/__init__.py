"""Exporters: one format a file of this folder, or a file of the user's own; loaded when named.

A format's file has `export(dataset, folder, *, options)`, which writes the files, and where the
format has options of its own `OPTIONS`, a subclass of `Options`, whose fields become the flags of
`massannot export FORMAT`. Its docstring is the format's help, and the first line its summary. Ours
also have `TABLES`, the tables that a format holds, and `load(folder)`, which gives these tables
back equal, as Arrow tables by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol, cast

import pyarrow as pa

from massannot.counts import counted
from massannot.dataset.reading import Dataset
from massannot.errors import UsageError
from massannot.plugins import Registry


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options that every format has: each field a flag, the text of its annotation the help."""

    min_quality: Annotated[
        float | None, "Leave out entities of lower or unknown quality, 0..1."
    ] = None

    def __post_init__(self) -> None:
        if self.min_quality is not None and not 0 <= self.min_quality <= 1:
            raise UsageError(f"--min-quality: found {self.min_quality}, expected 0 to 1")


@dataclass(frozen=True)
class Exported:
    """The files of an export, and its messages."""

    files: tuple[Path, ...]
    left_out: tuple[str, ...] = ()
    """A sentence for each clip or question that could not be written."""
    notes: tuple[str, ...] = ()
    """Sentences that a reader of the files needs."""


def quality_notes(dataset: Dataset, options: Options) -> tuple[str, ...]:
    """Sentences on entities that `min_quality` leaves out, and on qualities that only rank."""
    least = options.min_quality
    if least is None:
        return ()
    rows = dataset.table_or_empty("entities").select(["quality", "quality_basis"]).to_pylist()
    unknown = sum(row["quality"] is None for row in rows)
    low = sum(row["quality"] is not None and row["quality"] < least for row in rows)
    ranks = sum(row["quality"] is not None and row["quality_basis"] != "calibrated" for row in rows)
    notes = []
    if unknown or low:
        notes.append(
            f"--min-quality {least:g}: {low + unknown} of {counted(len(rows), 'entity')} left out, "
            f"{low} of lower and {unknown} of unknown quality"
        )
    if ranks:
        notes.append(
            f"--min-quality {least:g}: the quality of {ranks} of {counted(len(rows), 'entity')} "
            "is not calibrated: it ranks, but is no probability"
        )
    return tuple(notes)


class Exporter(Protocol):
    """A format's file."""

    TABLES: tuple[str, ...]
    OPTIONS: type[Options]
    export: Callable[..., Exported]
    load: Callable[[Path], Mapping[str, pa.Table]]


_FORMATS = Registry("format", Path(__file__).parent, __name__, separator="-")

names = _FORMATS.names
"""Every format of ours, as a command spells it; imports none."""
docstring = _FORMATS.docstring
summary = _FORMATS.summary


def exporter(name: str) -> Exporter:
    """The file of a format of ours, of a path or of a dotted name. Raises UsageError with the names
    there are, and for a file without `export`."""
    _FORMATS.attribute(name, "export")
    return cast(Exporter, _FORMATS.module(name))


def options_of(name: str) -> type[Options]:
    """The format's options; `Options` where it has none of its own."""
    options: type[Options] = getattr(exporter(name), "OPTIONS", Options)
    return options
