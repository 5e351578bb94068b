"""Parts: the finished tables of one clip (or the row of one video), kept until its shard commits.

One file a clip, so that a killed worker redoes no finished clip: an uncompressed zip of Arrow IPC
files, one a table. Private to `_run/`; its size and hash stand in the journal, so that a part cut
by a power failure is noticed and its clip done again: nobody waits for the disk.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from massannot.io import durable


@dataclass(frozen=True)
class Part:
    """A part as the journal remembers it. `name` is relative to the attempt's folder."""

    name: str
    size_bytes: int
    sha256: str


def write_part(folder: Path, name: str, tables: Mapping[str, pa.Table]) -> Part:
    """Write finished tables as `folder/name`; replaces what a dead worker left there."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as packed:
        for table_name in sorted(tables):
            packed.writestr(f"{table_name}.arrow", _ipc(tables[table_name]))
    written = content.getvalue()
    with durable.private_file(folder / name) as file:
        file.write_bytes(written)
        os.replace(file, folder / name)
    return Part(name, len(written), hashlib.sha256(written).hexdigest())


def is_whole(folder: Path, part: Part) -> bool:
    """Whether the file is there with every byte it was written with."""
    path = folder / part.name
    try:
        return path.stat().st_size == part.size_bytes and durable.sha256_of(path) == part.sha256
    except FileNotFoundError:
        return False


def read_part(path: Path, table_name: str) -> pa.Table:
    """One table of a part."""
    with zipfile.ZipFile(path) as packed:
        return pa.ipc.open_stream(packed.read(f"{table_name}.arrow")).read_all()


def _ipc(table: pa.Table) -> memoryview:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())
