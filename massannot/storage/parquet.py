"""Parquet files of our tables: equal rows give equal bytes, and older versions are read.

The bytes are decided by the rows in key order, each row group combined into one chunk, groups of
whole clips that close after 32 MiB of Arrow data, zstd 3, a page index, dictionaries for strings
only and BYTE_STREAM_SPLIT for floats; not by the `pieces` in which the rows arrived.

Within a version a table only gains nullable columns at its end: an older file gets them as null.
A function in the table's own file, `UPGRADES = {N: function}`, leads from version N to N + 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from massannot import tables
from massannot.errors import BadTable, NewerTable
from massannot.storage import durable
from massannot.tables import Upgrades, upgrades_of
from massannot.tables._spec import TableSpec, stated


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """All that Arrow raises for a file that is no Parquet, as BadTable: it is ValueError for a
    column's name that is no UTF-8."""
    try:
        yield
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise BadTable(f"{path} cannot be read as Parquet: {error}") from error


def read_parquet(path: Path, *, name: str, **values: str | Sequence[str]) -> pa.Table:
    """The rows of one file, or those with a certain value, or one of some, in columns such as
    `clip_id`, in the present version of table `name`.

    Raises BadTable for a file that is no Parquet, NewerTable for one from a newer massannot.
    """
    rows = [
        (column, "==" if isinstance(value, str) else "in", value)
        for column, value in values.items()
    ]
    with readable(path):
        schema = pq.ParquetFile(path).schema_arrow
        table = pq.read_table(path, filters=rows or None, partitioning=None)
    table = table.replace_schema_metadata(schema.metadata)
    try:
        spec = tables.spec(name, schema=schema)
        return upgraded(table, spec=spec, upgrades=upgrades_of(name))
    except BadTable as error:
        raise type(error)(f"{path}: {error}") from error


def read_columns(
    path: Path, columns: Sequence[str], *, filters: list[tuple[str, str, Any]] | None = None
) -> pa.Table:
    """Some columns of a file as they lie, in whatever version. Raises BadTable for a file that is
    no Parquet, lacks one of them, or holds bytes for text that are no UTF-8."""
    with readable(path):
        if filters is None:  # `pq.read_table` reads ahead, and takes 30 MB more for it
            table = pq.ParquetFile(path).read(columns=list(columns)).select(list(columns))
        else:
            table = pq.read_table(path, columns=list(columns), filters=filters, partitioning=None)
        table.validate(full=True)
        return table


def version_of(path: Path) -> int:
    """The version of the table that a file holds. Raises BadTable for one that is no Parquet."""
    with readable(path):
        return stated(pq.read_schema(path)).version


def upgraded(table: pa.Table, *, spec: TableSpec, upgrades: Upgrades) -> pa.Table:
    """`table` in the version of `spec`, its cells unchecked, but that texts are UTF-8.

    Raises NewerTable, or BadTable when it is another table or no function leads here.
    """
    name, version, _ = stated(table.schema)
    if name != spec.name:
        raise BadTable(f"found table {name or '(unnamed)'}, expected table {spec.name}")
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
        table = table.select(list(spec.names)).cast(spec.schema())
        table.validate(full=True)  # Parquet's writers need not check their text
    except (ValueError, pa.ArrowException) as error:  # other types, or nulls where none may be
        raise BadTable(f"table {spec.name}: {error}") from error
    return table


ROW_GROUP_BYTES = 32 * 2**20
"""A group per clip makes small tables 5-11 times larger and 70 times slower to read; the Hub's
viewer refuses groups over 300 MB."""


@dataclass(frozen=True)
class WrittenFile:
    """The state of a file that a later reader compares with."""

    rows: int
    size_bytes: int
    sha256: str


def write_parquet(
    path: Path,
    pieces: Iterable[pa.Table],
    *,
    spec: TableSpec,
    row_group_bytes: int = ROW_GROUP_BYTES,
    in_key_order: bool = True,
) -> WrittenFile:
    """Write tables that follow one another in key order as one file, durably, whole or not at all.

    Not `in_key_order`: only each piece is, as where a file holds several shards. Holds one row
    group at a time. Raises BadTable when a piece breaks `spec` or comes too early.
    """
    schema = spec.schema()
    rows = 0
    with durable.private_file(path) as partial:
        with pq.ParquetWriter(partial, schema, **_options(schema)) as writer:
            for group in _row_groups(_in_order(pieces, spec, in_key_order), spec, row_group_bytes):
                writer.write_table(group, row_group_size=max(1, group.num_rows))
                rows += group.num_rows
        durable.sync(partial)
        os.replace(partial, path)
    durable.sync_folder(path.parent)
    return WrittenFile(rows, path.stat().st_size, durable.sha256_of(path))


def write_plain(path: Path, table: pa.Table) -> None:
    """Write rows that are no table of ours, whole or not at all, over an existing file. Raises
    OSError that names a place where no file can be."""
    content = pa.BufferOutputStream()
    pq.write_table(table, content, compression="zstd")
    durable.write_over(path, content.getvalue().to_pybytes())


def _options(schema: pa.Schema) -> dict[str, Any]:
    strings, floats = [], []
    for field in schema:
        name, kind = field.name, field.type
        if pa.types.is_list(kind):
            name, kind = f"{name}.list.element", kind.value_type
        if pa.types.is_string(kind):
            strings.append(name)
        elif pa.types.is_floating(kind):
            floats.append(name)
    return {
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": strings or False,
        "column_encoding": dict.fromkeys(floats, "BYTE_STREAM_SPLIT") or None,
        "write_page_index": True,
        "version": "2.6",
    }


def _in_order(
    pieces: Iterable[pa.Table], spec: TableSpec, in_key_order: bool
) -> Iterator[pa.Table]:
    """The pieces, checked, with the specification's own metadata, none empty."""
    last: tuple[Any, ...] | None = None
    for piece in pieces:
        table = spec.checked(piece)
        if table.num_rows == 0:
            continue
        first = _key(table, 0, spec)
        if in_key_order and last is not None and first <= last:
            raise BadTable(
                f"table {spec.name}: a piece starts with key {first} after {last}; "
                f"pieces must follow one another by {spec.key}"
            )
        last = _key(table, table.num_rows - 1, spec)
        yield table


def _key(table: pa.Table, row: int, spec: TableSpec) -> tuple[Any, ...]:
    return tuple(table[name][row].as_py() for name in spec.key)


def _row_groups(
    pieces: Iterable[pa.Table], spec: TableSpec, row_group_bytes: int
) -> Iterator[pa.Table]:
    """Whole clips (rows that share the key's first column), cut after `row_group_bytes`."""
    pending: list[pa.Table] = []
    pending_bytes, last_clip = 0, None
    for piece in pieces:
        clip = piece[spec.key[0]]
        bytes_before = _bytes_before(piece)
        taken = 0
        for row in _clip_starts(clip):
            size = pending_bytes + int(bytes_before[row] - bytes_before[taken])
            continues = row == 0 and clip[0].as_py() == last_clip
            if size >= row_group_bytes and not continues:
                yield pa.concat_tables([*pending, piece.slice(taken, row - taken)]).combine_chunks()
                pending, pending_bytes, taken = [], 0, row
        pending.append(piece.slice(taken))
        pending_bytes += int(bytes_before[-1] - bytes_before[taken])
        last_clip = clip[-1].as_py()
    if pending:
        yield pa.concat_tables(pending).combine_chunks()


def _clip_starts(clip: pa.ChunkedArray) -> list[int]:
    """Rows whose value differs from the row before, the first row included."""
    values = clip.combine_chunks().dictionary_encode()
    if isinstance(values, pa.ChunkedArray):
        values = values.unify_dictionaries().combine_chunks()
    codes = values.indices.to_numpy(zero_copy_only=False)
    return [0, *(np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist()]


def _bytes_before(table: pa.Table) -> npt.NDArray[np.int64]:
    """(rows + 1,) Arrow bytes of all values before each row, validity left out: a function of the
    values alone, so that row groups do not depend on how the table was made."""
    total = np.zeros(table.num_rows + 1, np.int64)
    for column in table.columns:
        start = 0
        for chunk in column.chunks:
            inside = _array_bytes_before(chunk)
            total[start + 1 : start + len(chunk) + 1] += inside[1:]
            total[start + len(chunk) + 1 :] += inside[-1]
            start += len(chunk)
    return total


def _array_bytes_before(array: pa.Array) -> npt.NDArray[np.int64]:
    rows = np.arange(len(array) + 1, dtype=np.int64)
    kind = array.type
    if pa.types.is_boolean(kind):
        return rows  # as bytes: eighths would make a list's size depend on where it starts
    if pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_list(kind):
        offsets = _offsets(array)
        if pa.types.is_list(kind):
            inside = _array_bytes_before(array.values)
            return inside[offsets] - inside[offsets[0]] + 4 * rows
        return offsets - offsets[0] + 4 * rows
    return rows * (kind.bit_width // 8)


def _offsets(array: pa.Array) -> npt.NDArray[np.int64]:
    buffer = array.buffers()[1]
    if len(array) == 0 or buffer is None:
        return np.zeros(len(array) + 1, np.int64)
    offsets = np.frombuffer(buffer, np.int32, count=len(array) + 1, offset=4 * array.offset)
    return offsets.astype(np.int64)
