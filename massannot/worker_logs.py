"""What the workers' logs say of a clip: in which shard it was done, how long each stage took, or
the traceback. Logs may be gone, or lie on another machine: then they say nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from massannot.io.journal import ClipKey
from massannot.io.layout import Layout

BEGINS = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(,\d{3})?")
"""A line that says something of its own, and when; others belong to the one before."""


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
    when = ""
    for path in _paths(layout):
        inside = False
        for line in _lines(path):
            if begins := BEGINS.match(line):
                inside = f" clip {key} " in line and begins[0] >= when
                if inside:
                    said, when = [], begins[0]
            if inside:
                said.append(line.rstrip())
    return tuple(said)


def _paths(layout: Layout) -> list[Path]:
    return sorted(layout.logs.glob("*.log"))


def _lines(path: Path) -> Iterator[str]:
    with open(path, errors="replace") as lines:
        yield from lines
