"""JSON Schemas of the tables, generated from the TableSpecs: `schemas/<table>.v<N>.json`.

They are for readers in other languages; a row is described as a JSON object. `make check` fails
when a generated file differs from what lies in `schemas/`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from massannot import tables
from massannot.tables._spec import CONVENTIONS, Column, TableSpec

NO_MORE: Mapping[str, str] = MappingProxyType({})


def schema_files() -> dict[str, str]:
    """File name to text of every generated schema."""
    return {file_name(spec): text_of(spec) for spec in map(tables.spec, tables.names())}


def file_name(spec: TableSpec) -> str:
    return f"{spec.name}.v{spec.version}.json"


def drift(folder: Path, *, more: Mapping[str, str] = NO_MORE) -> list[str]:
    """Differences between `folder` and the declarations, one sentence a file.
    `more`: file name to text of schemas that are generated elsewhere."""
    expected = {**schema_files(), **more}
    existing = {
        path.name for path in folder.glob("*.json") if path.name.split(".")[0] in tables.names()
    }
    wrong = [f"{name} is not declared any more" for name in sorted(existing - set(expected))]
    for name, text in expected.items():
        path = folder / name
        if not path.exists():
            wrong.append(f"{name} is missing")
        elif path.read_text(encoding="utf-8") != text:
            wrong.append(f"{name} differs from its declaration")
    return wrong


def write(folder: Path, *, more: Mapping[str, str] = NO_MORE) -> list[Path]:
    """Write every schema into `folder`; returns the paths that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, text in {**schema_files(), **more}.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def text_of(spec: TableSpec) -> str:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": spec.name,
        "description": spec.doc,
        "x-version": spec.version,
        "x-key": list(spec.key),
        "x-conventions": CONVENTIONS,
        "type": "object",
        "additionalProperties": False,
        "required": [c.name for c in spec.columns],
        "properties": {c.name: _property(c) for c in spec.columns},
        "x-references": [{"columns": list(r.columns), "table": r.table} for r in spec.references],
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def row_schema(name: str, *, without: Sequence[str] = ()) -> dict[str, Any]:
    """A row of table `name` as an object, for formats that hold such rows; without the columns'
    sentences, which stand in the table's own schema."""
    columns = [c for c in tables.spec(name).columns if c.name not in without]
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [c.name for c in columns],
        "properties": {
            c.name: {k: v for k, v in _property(c).items() if k != "description"} for c in columns
        },
    }


def _property(column: Column) -> dict[str, Any]:
    described = _type(column.type)
    if column.one_of:
        values = described.get("items", described)
        values["enum"] = [*column.one_of, *([None] if column.nullable else [])]
    if column.items is not None:
        described["x-items"] = column.items
    if column.nullable:
        described["type"] = [described["type"], "null"]
    if column.steps:
        described |= {"x-step": f"1/{column.steps}"}
    return {"description": column.doc, "x-arrow": str(column.type), **described}


def _type(arrow: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(arrow):
        return {"type": "array", "items": _type(arrow.value_type)}
    if pa.types.is_binary(arrow):
        return {"type": "string", "contentEncoding": "base64"}
    if pa.types.is_string(arrow):
        return {"type": "string"}
    if pa.types.is_boolean(arrow):
        return {"type": "boolean"}
    if pa.types.is_integer(arrow):
        return {"type": "integer"}
    return {"type": "number"}
