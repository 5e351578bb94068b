"""`plan.json`: what a plan was made for, so that nothing else is run with it.

Written last: a plan's folder without it is not finished.
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
VERSION = 1


@dataclass(frozen=True)
class PlanRecord:
    """Everything that decides the plan and, with the files it names, the rows that come of it."""

    sources: tuple[str, ...]
    chosen: Mapping[str, Any]
    """Which of the videos found: limit, sample, seed, root."""
    shard_cost: float
    prompts: tuple[str, ...]
    sampling: Mapping[str, Any]
    """Fields of io.video.Sampling."""
    choice: Mapping[str, Any]
    """Fields of recipe.Choice, branches and tags of hubs pinned to commits."""
    digests: Mapping[str, Any]
    """Of recipe, code, weights and answers: see massannot/recipes/digests.py."""
    counts: Mapping[str, Any]
    """Videos, spans, shards, expected clips and frames, cost, and videos that cannot be opened."""
    files: Mapping[str, str]
    """SHA-256 of the plan's tables."""
    version: int = VERSION

    def plain(self) -> dict[str, Any]:
        """As JSON gives it back."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self), ensure_ascii=False))
        return values


def read(folder: Path) -> PlanRecord | None:
    """None: there is no finished plan. Raises UsageError for a newer one."""
    try:
        values = json.loads((folder / NAME).read_bytes())
    except FileNotFoundError:
        return None
    if values["version"] > VERSION:
        raise UsageError(
            f"{folder / NAME}: found version {values['version']}, expected at most {VERSION}; "
            "install a newer massannot"
        )
    values["sources"], values["prompts"] = tuple(values["sources"]), tuple(values["prompts"])
    return PlanRecord(**values)


def write(folder: Path, record: PlanRecord) -> None:
    text = json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n"
    durable.write_over(folder / NAME, text.encode())
