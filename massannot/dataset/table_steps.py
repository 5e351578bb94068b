"""Tables that were added to a finished dataset, and the generation of a shard that has them.

A generation takes over every file of the one before as it is and has one more for each table, or
one in the place of an earlier version. It is committed and published like any other: rows that
stand are never away, and broken off, the shard has either all of the new tables or none.

What was added is noted in `_run/tables/NAME.json`, written once. The recipe does not make these
tables, so clips of such a folder are not done again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from massannot import tables
from massannot.dataset import commits
from massannot.dataset.commits import Commit, CommittedFile
from massannot.dataset.layout import Layout
from massannot.errors import UsageError
from massannot.storage import durable
from massannot.storage.json_text import our_own, parsed
from massannot.storage.parquet import write_parquet


def added_tables(layout: Layout) -> dict[str, str]:
    """Each table that was added, with the command that did it."""
    found = {}
    for path in sorted(_folder(layout).glob("*.json")):
        with our_own(path, "put it back, or choose another output folder"):
            found[path.stem] = str(parsed(path.read_bytes())["command"])
    return found


def note_added(layout: Layout, names: Sequence[str], command: str) -> None:
    """Before the first shard gets them; the command that was first stays."""
    for name in names:
        text = json.dumps({"command": command}, ensure_ascii=False, indent=1)
        durable.write_once(_folder(layout) / f"{name}.json", f"{text}\n".encode())


def _folder(layout: Layout) -> Path:
    return layout.run / "tables"


def refuse_added(layout: Layout) -> None:
    """Raises UsageError for a folder to which tables were added."""
    if names := added_tables(layout):
        raise UsageError(
            f"{layout.out}: {', '.join(names)} were added to it by --add-table, and doing clips "
            "again would leave them as they are; annotate into another folder"
        )


def commit_with(layout: Layout, commit: Commit, added: Mapping[str, pa.Table]) -> bool:
    """Commit and publish the shard's next generation: its files, and those of `added`. False:
    another command was first. Raises DamagedFile where a file is not what its commit says."""
    following = replace(commit, generation=commit.generation + 1)
    attempt = layout.new_attempt(following.edition)
    folder = layout.attempt(following.edition, attempt)
    folder.mkdir(parents=True, exist_ok=True)
    kept = [file for file in commit.files if file.table not in added]
    for file in kept:
        published = layout.published(file.table, commit.shard)
        durable.copy_over(published, folder / f"{file.table}.parquet")
    files = [*kept]
    for name, table in sorted(added.items()):
        written = write_parquet(folder / f"{name}.parquet", [table], spec=tables.spec(name))
        files.append(CommittedFile(name, written.rows, written.size_bytes, written.sha256))
    files.sort(key=lambda file: file.table)
    following = replace(following, attempt=attempt, files=tuple(files))
    if not commits.put(layout, following):
        commits.drop_attempt(layout, following.edition, attempt)
        return False
    commits.publish(layout, following)
    return True
