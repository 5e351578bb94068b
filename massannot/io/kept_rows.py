"""Rows of a clip for other formats: of entities that are good enough, with numbers written short.

A float32 written as JSON or text is its shortest decimal that reads back as the same float32, so
that what is exported loads back equal and does not look like 0.10000000149011612.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from massannot.errors import UsageError
from massannot.io.clip_view import ClipView


def good_entities(view: ClipView, *, min_quality: float | None) -> set[int]:
    """Entities of at least this quality; with a limit, unknown quality is not enough. Raises
    UsageError for a limit that is no quality."""
    if min_quality is not None and not 0 <= min_quality <= 1:
        raise UsageError(f"--min-quality: found {min_quality}, expected 0 to 1")
    return {
        row["entity"]
        for row in view.table("entities").select(["entity", "quality"]).to_pylist()
        if min_quality is None or (row["quality"] is not None and row["quality"] >= min_quality)
    }


def rows_of_entities(view: ClipView, table: str, entities: set[int]) -> pa.Table:
    """The clip's rows of `table` that belong to `entities`; points of the background do not."""
    found = view.table(table)
    wanted = pa.array(sorted(entities), found["entity"].type)
    return found.filter(pc.is_in(found["entity"], value_set=wanted))


def short_rows(table: pa.Table) -> list[dict[str, Any]]:
    """One mapping a row, float32 as the shortest decimals."""
    columns = [_short(table[name].combine_chunks()) for name in table.column_names]
    rows: list[dict[str, Any]] = pa.table(columns, names=table.column_names).to_pylist()
    return rows


def _short(array: pa.Array) -> pa.Array:
    if pa.types.is_float32(array.type):
        return array.cast(pa.string()).cast(pa.float64())
    if pa.types.is_list(array.type) and pa.types.is_float32(array.type.value_type):
        mask = array.is_null() if array.null_count else None
        return pa.ListArray.from_arrays(array.offsets, _short(array.values), mask=mask)
    return array
