"""Reading a table's file as the present version of its table, whichever version wrote it.

Within a version a table only gains nullable columns at its end: an older file gets them as null.
From version N to N + 1 leads a function in the table's own file, `UPGRADES = {N: function}`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from massannot import tables
from massannot.errors import BadTable, NewerTable
from massannot.tables.spec import TableSpec

Upgrades = Mapping[int, Callable[[pa.Table], pa.Table]]


def read_parquet(path: Path, *, name: str, clip_id: str | None = None) -> pa.Table:
    """The rows of one file, or those of one clip, in the present version of table `name`.

    Raises BadTable for a file that is no Parquet, NewerTable for one from a newer massannot.
    """
    rows_wanted = None if clip_id is None else [("clip_id", "==", clip_id)]
    try:
        found = pq.ParquetFile(path).schema_arrow
        table = pq.read_table(path, filters=rows_wanted, partitioning=None)
    except (pa.ArrowInvalid, OSError) as error:
        raise BadTable(f"{path} cannot be read as Parquet: {error}") from error
    table = table.replace_schema_metadata(found.metadata)
    try:
        return upgraded(table, spec=tables.spec(name), upgrades=upgrades_of(name))
    except BadTable as error:
        raise type(error)(f"{path}: {error}") from error


def upgrades_of(name: str) -> Upgrades:
    """The functions that lead to the present version of table `name`."""
    found: Upgrades = getattr(importlib.import_module(f"massannot.tables.{name}"), "UPGRADES", {})
    return found


def upgraded(table: pa.Table, *, spec: TableSpec, upgrades: Upgrades) -> pa.Table:
    """`table` in the version of `spec`, its cells unchecked.

    Raises NewerTable, or BadTable when it is another table or no function leads here.
    """
    metadata = table.schema.metadata or {}
    name = metadata.get(b"massannot.table", b"").decode()
    if name != spec.name:
        raise BadTable(f"found table {name or '(unnamed)'}, expected table {spec.name}")
    version = int(metadata.get(b"massannot.version", b"0"))
    if version > spec.version:
        raise NewerTable(
            f"table {spec.name} has version {version}; this massannot reads up to "
            f"{spec.version}: install a newer massannot"
        )
    for older in range(version, spec.version):
        if older not in upgrades:
            raise BadTable(f"table {spec.name}: nothing leads from version {older} to {older + 1}")
        table = upgrades[older](table)
    for column in spec.columns:
        if column.nullable and column.name not in table.column_names:
            table = table.append_column(column.name, pa.nulls(table.num_rows, column.type))
    missing = [column for column in spec.names if column not in table.column_names]
    if missing:
        raise BadTable(f"table {spec.name}: columns {missing} are missing")
    try:
        return table.select(list(spec.names)).cast(spec.schema())
    except ValueError as error:  # other types, or nulls where none may be
        raise BadTable(f"table {spec.name}: {error}") from error
