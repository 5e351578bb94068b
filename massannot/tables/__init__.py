"""The contract: one table a file, found by its file's name. `spec("masks")` imports
`tables/masks.py`.

A stage of the user's own may write a table of its own: it declares the table in the same file, with
`MINE = tables.register(TableSpec(...))`. Every process that loads the stage, workers included, then
knows the table. A reader that never loads it needs no declaration: our Parquet files carry name,
version, key and the sentence of each column in their metadata (`spec(name, schema=...)`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from massannot.errors import BadTable
from massannot.plugins import Registry
from massannot.tables._spec import TableSpec

Upgrades = Mapping[int, Callable[[pa.Table], pa.Table]]
"""Version N: the function from N to N + 1."""

_OURS = Registry("table", Path(__file__).parent, __name__)
_REGISTERED: dict[str, tuple[TableSpec, Upgrades]] = {}

names = cache(_OURS.names)
"""Every table of ours, in alphabetical order; imports none of them."""


def spec(name: str, *, schema: pa.Schema | None = None) -> TableSpec:
    """The declaration of table `name`: ours, or a registered one, else the one in the metadata of
    `schema`, of a file or a table in memory. Raises BadTable where there is none."""
    if name in names():
        ours: TableSpec = _module_of(name).SPEC
        return ours
    if name in _REGISTERED:
        return _REGISTERED[name][0]
    if schema is not None and (schema.metadata or {}).get(b"massannot.table") == name.encode():
        return TableSpec.from_schema(schema)
    more = f" and, registered, {', '.join(sorted(_REGISTERED))}" if _REGISTERED else ""
    raise BadTable(f"there is no table {name!r}; tables: {', '.join(names())}{more}")


def register(declared: TableSpec, *, upgrades: Upgrades | None = None) -> TableSpec:
    """Declare a table of one's own, of clips; returns it.

    Raises BadTable for a name of ours, a name that is declared otherwise already, and a key that
    does not begin with clip_id.
    """
    name = declared.name
    if name in names():
        raise BadTable(f"table {name}: found a table of massannot's own, expected another name")
    if not name.isidentifier():
        raise BadTable(f"table {name!r}: found no name of a folder, expected letters, digits and _")
    if not declared.of_clips:
        raise BadTable(f"table {name}: found key {declared.key}, expected clip_id as its first")
    for column in declared.key:
        declared.column(column)
    existing, _ = _REGISTERED.get(name, (declared, {}))
    if existing != declared:
        raise BadTable(f"table {name}: found two declarations that differ, expected one")
    _REGISTERED[name] = (declared, upgrades or {})
    return declared


def upgrades_of(name: str) -> Upgrades:
    """The functions that lead to the present version of table `name`."""
    if name in names():
        upgrades: Upgrades = getattr(_module_of(name), "UPGRADES", {})
        return upgrades
    return _REGISTERED[name][1] if name in _REGISTERED else {}


@cache
def _module_of(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}")
