"""Exporters by name: one format a file in `exporters/`, imported only when it is named.

Each file has `TABLES`, the tables it holds; `export(dataset, folder, *, min_quality, ...)`, which
writes them; and `load(folder)`, which gives them back, equal, as Arrow tables by name.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

import pyarrow as pa

from massannot.errors import UsageError


@dataclass(frozen=True)
class Exported:
    """What was written, and what was not."""

    files: tuple[Path, ...]
    left_out: tuple[str, ...] = ()
    """A sentence for each clip or question that could not be written."""
    notes: tuple[str, ...] = ()
    """What the reader of the files must be told."""


class Exporter(Protocol):
    """A file in `exporters/`."""

    TABLES: tuple[str, ...]
    export: Callable[..., Exported]
    load: Callable[[Path], Mapping[str, pa.Table]]


@cache
def names() -> tuple[str, ...]:
    """Every format, as a command spells it; imports none."""
    return tuple(sorted(path.stem.replace("_", "-") for path in _FOLDER.glob("[!_]*.py")))


def exporter(name: str) -> Exporter:
    """The format's file. Raises UsageError naming the formats there are."""
    if name not in names():
        raise UsageError(f"no format {name!r}; formats: {', '.join(names())}")
    module: Any = importlib.import_module(f"massannot.exporters.{name.replace('-', '_')}")
    return cast(Exporter, module)


def summary(name: str) -> str:
    """The first line of the format's docstring, read without importing it."""
    text = (_FOLDER / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]


_FOLDER = Path(__file__).parent
