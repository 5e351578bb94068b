"""The page of the tables, from schemas/: every table, column and type, and what null means there.

    python tools/document_tables.py > docs/tables.md

The documentation's build writes it anew each time, so it cannot be older than the schemas.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).parent.parent / "schemas"
UNKNOWN = "unknown, or not given"
"""What null means where a column says nothing else."""


def page(schemas: Path = SCHEMAS) -> str:
    """Markdown. Raises ValueError when there is no schema."""
    tables = [json.loads(path.read_text()) for path in sorted(schemas.glob("*.json"))]
    if not tables:
        raise ValueError(f"{schemas}: no schema; expected <table>.v<N>.json")
    own = [table for table in tables if "x-key" in table]
    further = [table for table in tables if "x-key" not in table]
    lines = ["# Tables", "", *_about(own)]
    for table in own + further:
        lines += _section(table)
    return "\n".join(lines) + "\n"


def _about(tables: list[dict[str, Any]]) -> list[str]:
    conventions = {table["x-conventions"] for table in tables}
    said = [f"* {part.strip()}" for part in "; ".join(conventions).split("; ")]
    about = (
        "A table is a folder of Parquet files, `OUT/data/<table>/*.parquet`. Rows are sorted by "
        "the key. NaN and infinity never occur; null is unknown unless the column says otherwise. "
        "A list has an item a frame where it says so. Numbers in metres end in `_m`; elsewhere "
        "`scale_type` of the same row says whether lengths are metres (`metric`) or not."
    )
    return [
        about,
        "",
        "| table | rows |",
        "|---|---|",
        *(
            f"| [{each['title']}](#{each['title']}) | {_cell(each['description'])} |"
            for each in tables
        ),
        "",
        "Conventions, stored in every file:",
        "",
        *said,
        "",
    ]


def _section(table: dict[str, Any]) -> list[str]:
    lines = [f"## {table['title']}", "", table["description"]]
    if "x-key" in table:
        key = ", ".join(f"`{name}`" for name in table["x-key"])
        lines[-1] += f" Version {table['x-version']}; key: {key}."
    lines += ["", "| column | type | null | meaning |", "|---|---|---|---|"]
    lines += [_row(name, column) for name, column in table["properties"].items()]
    for reference in table.get("x-references", ()):
        columns = ", ".join(f"`{name}`" for name in reference["columns"])
        lines += ["", f"{columns}: a row of [{reference['table']}](#{reference['table']})."]
    return [*lines, ""]


def _row(name: str, column: dict[str, Any]) -> str:
    meaning, null = _split(column.get("description", ""))
    if not _may_be_null(column):
        null = ""
    elif not null:
        null = UNKNOWN
    if column.get("enum"):
        values = ", ".join(f"`{value}`" for value in column["enum"] if value is not None)
        meaning += f" One of {values}."
    if "x-items" in column:
        meaning += f" Items: {column['x-items']}."
    kind = column.get("x-arrow") or column.get("type", "object")
    return f"| `{name}` | {_cell(_plain(kind))} | {_cell(null)} | {_cell(meaning.strip())} |"


def _split(description: str) -> tuple[str, str]:
    """What a column means, and what its null means: the clause "null: ..."."""
    found = re.search(r"\s*\(?\bnull(?: items?)?(?:: | when )([^.;)]+)[.;)]*", description)
    if found is None:
        return description, ""
    rest = (description[: found.start()].rstrip(" ;,") + description[found.end() :]).strip()
    return (rest + "." if rest and rest[-1] not in ".:" else rest), found[1].strip()


def _may_be_null(column: dict[str, Any]) -> bool:
    items = column.get("items", {})
    return any("null" in _types(each) or None in each.get("enum", ()) for each in (column, items))


def _types(column: dict[str, Any]) -> list[str]:
    kinds = column.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _plain(kind: object) -> str:
    text = kind if isinstance(kind, str) else " or ".join(map(str, kind))  # type: ignore[call-overload]
    return re.sub(r"list<item: (\w+)>", r"list of \1", text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    sys.stdout.write(page())
