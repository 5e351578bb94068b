"""Files of rows for trainers: Parquet with pictures, JSON lines, and one JSON list.

In Parquet a picture is stored as `datasets` stores an image, {bytes, path}, and the metadata gives
its features; without them `datasets` would return bytes. Row groups are small enough to be loaded
one by one, as its streaming does. In JSON `datasets` infers the types from the first 10 MB of a
file and fails where a later row has more in it than null or an empty list; so rows that are the
first to hold something come first, and the others keep their order.
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
from massannot.storage.json_text import parsed

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
    """A temporary folder for pictures until they are in the file, on the disk of `folder`, since
    they may be many; an export that is refused leaves no folder behind."""
    parent = folder if folder.is_dir() else folder.parent  # it may be another disk's, or ours alone
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pictures-", dir=parent) as pictures:
        yield Path(pictures)


def load_rows(path: Path, *, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Some columns of every row. Raises UsageError for a file without them."""
    try:
        rows: list[dict[str, Any]] = pq.read_table(path, columns=list(columns)).to_pylist()
    except (ValueError, pa.ArrowException, OSError) as error:  # ValueError: bytes that are no text
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


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]], pictures: Path) -> None:
    """A row a line. Rows name their pictures by path; the folder `pictures` is not touched."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{_text(row)}\n" for row in _typed_first(rows))


def write_list(path: Path, rows: Iterable[Mapping[str, Any]], pictures: Path) -> None:
    """One list, also with a row a line, so that two exports can be compared line by line."""
    ordered = _typed_first(rows)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("[")
        file.writelines(f"{',' if n else ''}\n{_text(row)}" for n, row in enumerate(ordered))
        file.write("\n]\n")


def load_lines(path: Path) -> list[dict[str, Any]]:
    """Raises UsageError for a file that is not JSON."""
    text = path.read_text(encoding="utf-8")
    return [_parsed(line, path) for line in text.split("\n") if line.strip()]


def load_list(path: Path) -> list[dict[str, Any]]:
    """Raises UsageError for a file that is not a list in JSON."""
    rows: Any = _parsed(path.read_text(encoding="utf-8"), path)
    if not isinstance(rows, list):
        raise UsageError(f"{path}: found {type(rows).__name__}, expected a list")
    return rows


def _typed_first(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    known: set[str] = set()
    first: list[Mapping[str, Any]] = []
    others: list[Mapping[str, Any]] = []
    for row in rows:
        present = {name for name, value in row.items() if value is not None and value != []}
        (others if present <= known else first).append(row)
        known |= present
    return first + others


def _text(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False)


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = parsed(text)
    except ValueError as error:
        raise UsageError(f"{path}: not JSON: {error}") from error
    return value
