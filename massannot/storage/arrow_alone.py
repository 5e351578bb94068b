"""Arrow without pandas: where pandas is installed, the first array that Arrow makes imports it, 35
MB and half a CPU-second of a process that has no use for it.

Unusual: Arrow asks once, so from then on it takes this process's Series for any other sequence,
unless pandas had been imported before; `Table.to_pandas` works.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

import pyarrow as pa


def leave_pandas_out() -> None:
    """Let Arrow ask now, while pandas looks as if it were not installed."""
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)


class _NoPandas(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "pandas":
            raise ModuleNotFoundError("left out", name=name)
        return None
