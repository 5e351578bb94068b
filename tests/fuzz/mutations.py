"""Mutations: a sound file made wrong in a way that its number decides.

Half of them know nothing of the format (bits, cuts, splices, lengths); the others take a JSON
value, a line of text or an array and put something odd in its place.
"""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Rng = random.Random


def mutate(path: Path, rng: Rng) -> str:
    """Change the file; returns what was done to it, in words."""
    own = _OF_FORMAT.get(path.suffix)
    if own is not None and rng.random() < 0.6:
        try:
            return own(path, rng)
        except Exception as error:  # a mutation before this one left no such format
            words = f"no {path.suffix} any more ({type(error).__name__}); "
            return words + _mutate_bytes(path, rng)
    return _mutate_bytes(path, rng)


def _mutate_bytes(path: Path, rng: Rng) -> str:
    content = path.read_bytes()
    change = rng.choice(_BYTES)
    path.write_bytes(change(content, rng))
    return (change.__doc__ or "").strip()


def _place(content: bytes, rng: Rng) -> int:
    """Anywhere; two times in three near the start or the end, where headers are."""
    if not content:
        return 0
    near = min(len(content), 512)
    return rng.choice(
        [
            rng.randrange(len(content)),
            rng.randrange(near),
            len(content) - 1 - rng.randrange(near),
        ]
    )


def _bits(content: bytes, rng: Rng) -> bytes:
    """some bits flipped"""
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8, 64])):
        if changed:
            changed[_place(content, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(content: bytes, rng: Rng) -> bytes:
    """cut off"""
    return content[: _place(content, rng)]


def _headless(content: bytes, rng: Rng) -> bytes:
    """without its beginning"""
    return content[_place(content, rng) :]


def _hole(content: bytes, rng: Rng) -> bytes:
    """a piece is missing"""
    start = _place(content, rng)
    return content[:start] + content[start + rng.choice([1, 4, 64, 4096]) :]


def _overwritten(content: bytes, rng: Rng) -> bytes:
    """a piece is overwritten"""
    start, size = _place(content, rng), rng.choice([1, 4, 64, 1024])
    filled = rng.choice([b"\0" * size, b"\xff" * size, rng.randbytes(size)])
    return content[:start] + filled + content[start + size :]


def _inserted(content: bytes, rng: Rng) -> bytes:
    """something is inserted"""
    start = _place(content, rng)
    return content[:start] + rng.randbytes(rng.choice([1, 3, 100])) + content[start:]


def _twice(content: bytes, rng: Rng) -> bytes:
    """a piece is there twice"""
    start = _place(content, rng)
    piece = content[start : start + rng.choice([4, 100, 10_000])]
    return content[:start] + piece + content[start:]


def _spliced(content: bytes, rng: Rng) -> bytes:
    """two halves in the wrong order"""
    at = _place(content, rng)
    return content[at:] + content[:at]


def _length(content: bytes, rng: Rng) -> bytes:
    """four or eight bytes say an odd length"""
    start, n = _place(content, rng), rng.choice([4, 4, 8])
    value = rng.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**16, len(content), len(content) * 2])
    return content[:start] + value.to_bytes(n, rng.choice(["big", "little"])) + content[start + n :]


_BYTES: tuple[Callable[[bytes, Rng], bytes], ...] = (
    _bits, _bits, _cut, _headless, _hole, _overwritten, _inserted, _twice, _spliced, _length,
    _length,
)  # fmt: skip


def odd_value(rng: Rng, like: Any) -> Any:
    """What nobody expects in place of a JSON value."""
    if isinstance(like, bool | int | float) and rng.random() < 0.4:
        return rng.choice([like + 1, -like, like * 1e6, like / 3, 10**18 + like, like + 0.5])
    return rng.choice(
        [
            None, True, "", "\ud83d", "nan", "0", 0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 0.1,
            1e300, -1e-300, float("nan"), float("inf"), [], {}, [[]], [like], {"a": like},
            "x" * 70_000, "../../../etc/passwd", "/dev/stdin", "s3://nobody/x", "a\0b", _deep(),
        ]
    )  # fmt: skip


def _deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(200):
        value = [value]
    return value


def _places(value: Any, found: list[tuple[Any, Any]]) -> None:
    """Every (container, key) below a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        found.append((value, key))
        if isinstance(inner, dict | list):
            _places(inner, found)


def changed_json(content: Any, rng: Rng) -> Any:
    """The same with one to three values replaced, taken out or doubled."""
    for _ in range(rng.choice([1, 1, 2, 3])):
        places: list[tuple[Any, Any]] = []
        if isinstance(content, dict | list):
            _places(content, places)
        if not places or rng.random() < 0.02:
            content = odd_value(rng, content)
            continue
        where, key = rng.choice(places)
        what = rng.random()
        if what < 0.6:
            where[key] = odd_value(rng, where[key])
        elif what < 0.75:
            del where[key]
        elif what < 0.9 and isinstance(where, dict):
            where[rng.choice(["", "x", f"{key}s", str(key).upper()])] = where.pop(key)
        else:
            other, other_key = rng.choice(places)
            where[key] = json.loads(json.dumps(other[other_key]))  # a value from elsewhere
    return content


def _json(path: Path, rng: Rng) -> str:
    content = changed_json(json.loads(path.read_text()), rng)
    if rng.random() < 0.02:
        path.write_text("[" * 100_000 + "]" * 100_000)
        return "lists a hundred thousand deep"
    path.write_text(json.dumps(content), errors="surrogatepass")
    return "values of the JSON changed"


def _lines(path: Path, rng: Rng) -> str:
    lines = path.read_text().splitlines()
    n = rng.randrange(len(lines))
    what = rng.randrange(8)
    if what < 3 and lines[n].startswith("{"):
        lines[n] = json.dumps(changed_json(json.loads(lines[n]), rng))
    elif what < 3:
        cells = lines[n].split(",")
        cells[rng.randrange(len(cells))] = str(odd_value(rng, "1")).replace("\ud83d", "\ufffd")
        lines[n] = ",".join(cells)
    elif what == 3:
        lines.insert(n, lines[rng.randrange(len(lines))])
    elif what == 4:
        del lines[n]
    elif what == 5:
        rng.shuffle(lines)
    elif what == 6:
        lines[n] = lines[n] + rng.choice([",", '"', ";", "\t", "\0", "}" * 50, "'" * 3])
    text = rng.choice(["\n", "\r\n", "\n", "\r"]).join(lines)
    if what == 7:
        path.write_text(text, encoding=rng.choice(["utf-16", "utf-32", "utf-8-sig", "cp037"]))
        return "text in another encoding"
    path.write_text(text)
    return "lines of the text changed"


def _npz(path: Path, rng: Rng) -> str:
    with np.load(path) as loaded:
        arrays = dict(loaded)
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    what = rng.randrange(10)
    if what == 0:
        arrays[rng.choice(["x", "", "../x", name.upper()])] = arrays.pop(name)
    elif what == 1:
        arrays[name] = array.astype(
            rng.choice(["f2", "i1", "u2", "i8", "c8", "S3", "U5", "O", "?"])
        )
    elif what == 2:
        arrays[name] = array[..., None] if rng.random() < 0.5 else array[None]
    elif what == 3:
        arrays[name] = array[: rng.randrange(len(array) + 1)] if array.ndim else array[None][:0]
    elif what == 4:
        arrays[name] = np.swapaxes(array, 0, -1) if array.ndim else array
    elif what == 5:
        arrays[name] = np.asarray(odd_value(rng, 1.0), dtype=None if rng.random() < 0.5 else object)
    elif what == 6 and array.dtype.kind == "f" and array.size:
        flat = array.reshape(-1).copy()
        odd = rng.choice([np.nan, np.inf, -np.inf, 1e30, -1.0, 0.0])
        flat[rng.randrange(flat.size) :] = odd
        arrays[name] = flat.reshape(array.shape)
    elif what == 7:
        arrays[name] = (
            array * rng.choice([0, -1, 1000, 1e-3]) if array.dtype.kind in "fiu" else array
        )
    elif what == 8:
        del arrays[name]
    else:
        return _npz_header(path, name, rng)
    np.savez(path, **arrays)
    return "an array changed"


def _npz_header(path: Path, name: str, rng: Rng) -> str:
    header = rng.choice(
        [
            "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000, 1000), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 4), }",
            "{'descr': '|O', 'fortran_order': False, 'shape': (4,), }",
            "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (4,), }",
            "{'descr': '<f8', 'shape': (4,), }",
            "(" * 300,
            "__import__('os').getpid()",
        ]
    )
    text = header.encode().ljust(502) + b"\n"
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as packed:
        packed.writestr(
            f"{name}.npy",
            b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + b"\0" * 64,
        )
    path.write_bytes(whole.getvalue())
    return "an array whose header lies"


def _parquet(path: Path, rng: Rng) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    n = rng.randrange(table.num_columns)
    name, column = table.column_names[n], table.column(n)
    what = rng.randrange(6)
    if what == 0:
        table = table.drop_columns([name])
    elif what == 1:
        odd = [odd_value(rng, 1.0) for _ in range(table.num_rows)]
        texts = pa.array([str(value).encode("utf-8", "replace").decode() for value in odd])
        table = table.set_column(n, name, texts)
    elif what == 2:
        table = table.set_column(n, name, pa.nulls(table.num_rows, column.type))
    elif what == 3:
        rows = [rng.randrange(max(1, table.num_rows)) for _ in range(table.num_rows)]
        table = table.take(rows)
    elif what == 4:
        table = table.rename_columns([*table.column_names[:n], "x", *table.column_names[n + 1 :]])
    else:
        metadata = {**(table.schema.metadata or {})}
        key = rng.choice([b"massannot.version", b"massannot.table", b"massannot.key"])
        metadata[key] = rng.choice([b"", b"-1", b"99999999999", b"x", b"\xff"])
        table = table.replace_schema_metadata(metadata)
    pq.write_table(table, path)
    return "a column of the table changed"


def _safetensors(path: Path, rng: Rng) -> str:
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(changed_json(json.loads(content[8 : 8 + size]), rng)).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + size :])
    return "values of the header changed"


_OF_FORMAT: dict[str, Callable[[Path, Rng], str]] = {
    ".json": _json,
    ".jsonl": _lines,
    ".csv": _lines,
    ".txt": _lines,
    ".npz": _npz,
    ".parquet": _parquet,
    ".safetensors": _safetensors,
}
