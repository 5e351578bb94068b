"""What the workers' logs say of a clip: in which shard it was done, how long each stage took, or
the traceback. Logs may be gone, or lie on another machine: then they say nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from massannot.io.journal import ClipKey
from massannot.io.layout import Layout

BEGINS = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
"""A line that says something of its own; others belong to the one before."""


def shards_with(layout: Layout, beginning: str) -> set[str]:
    """Shards in which a clip was done whose id begins so."""
    done = re.compile(rf" done as {re.escape(beginning)}[0-9a-f]* in shard (\w+),")
    return {
        found[1]
        for path in _paths(layout)
        for line in _lines(path)
        if (found := done.search(line)) is not None
    }


def said_of(layout: Layout, key: ClipKey) -> tuple[str, ...]:
    """The last that a worker wrote of the clip, with what belongs to it."""
    said: list[str] = []
    for path in _paths(layout):
        inside = False
        for line in _lines(path):
            if BEGINS.match(line):
                inside = f" clip {key} " in line
                said = [] if inside else said
            if inside:
                said.append(line.rstrip())
    return tuple(said)


def _paths(layout: Layout) -> list[Path]:
    """The one last written to comes last."""
    return sorted(layout.logs.glob("*.log"), key=lambda path: path.stat().st_mtime)


def _lines(path: Path) -> Iterator[str]:
    with open(path, errors="replace") as lines:
        yield from lines
