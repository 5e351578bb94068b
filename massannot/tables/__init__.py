"""The contract: one table a file, found by file name. `spec("masks")` imports `tables/masks.py`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from massannot.errors import BadTable
from massannot.tables._spec import TableSpec


@cache
def names() -> tuple[str, ...]:
    """Every table's name, in alphabetical order; imports none of them."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in found if not name.startswith("_")))


@cache
def spec(name: str) -> TableSpec:
    """The declaration of table `name`. Raises BadTable if there is none."""
    if name not in names():
        raise BadTable(f"there is no table {name!r}; tables: {', '.join(names())}")
    declared: TableSpec = importlib.import_module(f"massannot.tables.{name}").SPEC
    return declared
