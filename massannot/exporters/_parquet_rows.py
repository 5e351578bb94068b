"""Rows with pictures as Parquet that `datasets` opens with its pictures decoded.

A picture is written as `datasets` stores an image, {bytes, path}, and the file says of its columns
what `datasets` would; without that it would hand out bytes. Row groups stay small enough to be
loaded one by one, as its streaming does.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from massannot.errors import UsageError

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
ROWS_PER_GROUP = 100

Columns = Mapping[str, pa.DataType]


def write_rows(
    path: Path, rows: Iterable[Mapping[str, Any]], pictures: Path, *, columns: Columns
) -> None:
    """`images` of a row are names of files below `pictures`; their bytes go into the file."""
    features = {name: _feature(type_) for name, type_ in columns.items()}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    schema = pa.schema(list(columns.items()), metadata=metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        group: list[Mapping[str, Any]] = []
        for row in rows:
            group.append(_with_bytes(row, pictures))
            if len(group) == ROWS_PER_GROUP:
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
                group = []
        if group:
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


def _with_bytes(row: Mapping[str, Any], pictures: Path) -> Mapping[str, Any]:
    if "images" not in row:
        return row
    images = [{"bytes": (pictures / n).read_bytes(), "path": n} for n in row["images"]]
    return {**row, "images": images}


@contextmanager
def temporary_pictures(folder: Path) -> Iterator[Path]:
    """Where pictures lie until they are in the file: on the disk of `folder`, since they may be
    many; an export that is refused leaves no folder behind."""
    there = folder if folder.is_dir() else folder.parent  # it may be another disk's, or ours alone
    there.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pictures-", dir=there) as pictures:
        yield Path(pictures)


def load_rows(path: Path, *, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Some columns of every row. Raises UsageError for a file without them."""
    try:
        rows: list[dict[str, Any]] = pq.read_table(path, columns=list(columns)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path}: not as `massannot export` writes it: {error}") from error
    return rows


def _feature(type_: pa.DataType) -> Any:
    """A column's type as `datasets` writes it down."""
    if type_ == IMAGE:
        return {"_type": "Image"}
    if pa.types.is_list(type_):
        return {"feature": _feature(type_.value_type), "_type": "List"}
    if pa.types.is_struct(type_):
        return {field.name: _feature(field.type) for field in type_}
    return {"dtype": _DTYPES.get(str(type_), str(type_)), "_type": "Value"}


_DTYPES = {"double": "float64"}
