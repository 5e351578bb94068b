"""Where two JSON values differ: of a run's record and of what a later start wants."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ABSENT = "(none)"


def differences(stored: Any, wanted: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    """(name, stored value, wanted value) of each leaf of two JSON values that differs."""
    if isinstance(stored, Mapping) and isinstance(wanted, Mapping):
        for key in dict.fromkeys((*stored, *wanted)):
            inner = f"{name}.{key}" if name else str(key)
            yield from differences(stored.get(key, ABSENT), wanted.get(key, ABSENT), inner)
    elif isinstance(stored, list) and isinstance(wanted, list) and _all_maps(stored + wanted):
        yield from differences(_by_name_or_number(stored), _by_name_or_number(wanted), name)
    elif stored != wanted:
        yield name, _shown(stored), _shown(wanted)


def shown_differences(stored: Any, wanted: Any) -> str:
    """The same as lines for people; empty where nothing differs."""
    rows = list(differences(stored, wanted))
    if not rows:
        return ""
    header = ("what", "stored", "wanted")
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(3)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]
    return "".join(f"  {line}\n" for line in lines)


def _all_maps(items: Sequence[Any]) -> bool:
    return bool(items) and all(isinstance(item, Mapping) for item in items)


def _by_name_or_number(items: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Items by what they are called, or by their number where that is not theirs alone."""
    names = [str(item.get("stage") or item.get("name") or "") for item in items]
    return {
        name if name and names.count(name) == 1 else f"{name}[{number}]": item
        for number, (name, item) in enumerate(zip(names, items, strict=True))
    }


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
