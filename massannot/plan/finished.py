"""`plan.json`: how large a plan is, and the digests of its tables.

Written last: a plan's folder without it is not finished. Beside it `spec.json` says what was
planned; see dataset/record.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from massannot.errors import UsageError
from massannot.storage import durable

NAME = "plan.json"
VERSION = 2


@dataclass(frozen=True)
class FinishedPlan:
    """The last thing written into a plan's folder."""

    counts: Mapping[str, Any]
    """Videos, spans, shards, expected clips and frames, cost, and videos that cannot be opened."""
    files: Mapping[str, str]
    """SHA-256 of the plan's tables and of its spec.json."""
    version: int = VERSION


def read(folder: Path) -> FinishedPlan | None:
    """None: there is no finished plan. Raises UsageError for one of another version."""
    try:
        values = json.loads((folder / NAME).read_bytes())
    except FileNotFoundError:
        return None
    if values["version"] != VERSION:
        remedy = "install a newer massannot" if values["version"] > VERSION else "plan anew"
        raise UsageError(
            f"{folder / NAME}: found version {values['version']}, expected {VERSION}; {remedy}"
        )
    return FinishedPlan(**values)


def write(folder: Path, plan: FinishedPlan) -> None:
    text = json.dumps(asdict(plan), indent=1, ensure_ascii=False) + "\n"
    durable.write_over(folder / NAME, text.encode())
