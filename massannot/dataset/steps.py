"""Steps: what was asked of a finished dataset besides, after its first command.

`_run/steps/000001.json` and so on, each written once. A clip that is made later, of a video that
was missing, say, goes through all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from massannot.dataset import commits
from massannot.dataset.layout import Layout
from massannot.dataset.record import this_start
from massannot.storage import durable
from massannot.storage.json_text import our_own, parsed
from massannot.storage.parquet import read_columns


@dataclass(frozen=True)
class AddedPhrases:
    phrases: tuple[str, ...]
    command: str
    """The command that began it, without credentials."""

    def lacking(self, texts: Iterable[str]) -> tuple[str, ...]:
        """Its phrases that are not among the texts of a clip."""
        there = set(texts)
        return tuple(phrase for phrase in self.phrases if phrase not in there)


def read_steps(layout: Layout) -> tuple[AddedPhrases, ...]:
    """All of them, in order."""
    found = []
    for path in sorted((layout.run / "steps").glob("*.json")):
        with our_own(path, "put it back, or choose another output folder"):
            values = parsed(path.read_bytes())
            found.append(AddedPhrases(tuple(values["phrases"]), values["command"]))
    return tuple(found)


def add_step(layout: Layout, phrases: Sequence[str]) -> None:
    """Note a further step; the phrases that an earlier one has are not in it."""
    while True:
        steps = read_steps(layout)
        known = [phrase for step in steps for phrase in step.phrases]
        new = tuple(phrase for phrase in phrases if phrase not in known)
        if not new:
            return
        content = json.dumps(
            asdict(AddedPhrases(new, this_start().command)), ensure_ascii=False, indent=1
        )
        path = layout.run / "steps" / f"{len(steps) + 1:06d}.json"
        if durable.write_once(path, f"{content}\n".encode()):
            return


def clips_lacking(clips: pa.Table, phrases: pa.Table, steps: Sequence[AddedPhrases]) -> set[str]:
    """Clips of the table `clips` that have not been through all steps."""
    texts: dict[str, set[str]] = {clip_id: set() for clip_id in clips["clip_id"].to_pylist()}
    columns = (phrases[name].to_pylist() for name in ("clip_id", "text"))
    for clip_id, text in zip(*columns, strict=True):
        texts[clip_id].add(text)
    return {c for c, there in texts.items() if any(step.lacking(there) for step in steps)}


def shards_lacking(layout: Layout) -> Iterator[str]:
    """Finished shards with such clips. Reads two columns of each shard's phrases."""
    steps = read_steps(layout)
    for shard in sorted(commits.shards(layout)) if steps else ():
        clips, phrases = (
            read_columns(layout.published(name, shard), columns)
            for name, columns in (("clips", ["clip_id"]), ("phrases", ["clip_id", "text"]))
        )
        if clips_lacking(clips, phrases, steps):
            yield shard
