"""`annotate --onto OUT --add-table cameras,motions,events`: tables that a finished run lacks.

They are made from the rows that stand, shard by shard; see recipes/added_tables.py. No video is
read and no model loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa

from massannot import tables
from massannot.dataset import card, commits, plans
from massannot.dataset import record as run_record
from massannot.dataset.commits import Commit
from massannot.dataset.layout import Layout
from massannot.dataset.standing import StandingShard
from massannot.dataset.table_steps import added_tables, commit_with, note_added
from massannot.errors import UsageError
from massannot.jobs.console import Watcher
from massannot.jobs.outcome import DONE
from massannot.jobs.repeated import Outcome
from massannot.recipes.added_tables import MAKERS, lacking, made_tables
from massannot.storage.file_lock import locked


def add_tables(
    out: Path, names: Sequence[str], *, quiet: bool = False, verbose: bool = False
) -> Outcome:
    """Add the tables to every shard of a run's folder. Broken off, the same command goes on.

    Raises UsageError for a folder without a run, of version 0.1, in a bucket or with unfinished
    shards, for tables that stand or cannot be made, with what they lack.
    """
    layout = Layout(out)
    run_record.refuse_v0(layout)
    run_record.required(layout)
    _refuse_place(layout)
    wanted = _checked(names)
    todo = []
    for commit in commits.read_all(layout):
        _refuse_what_stands(layout, wanted, _tables_of(commit))
        todo += [] if {*wanted} <= _tables_of(commit) else [commit]
    with Watcher(quiet=quiet, verbose=verbose) as watcher, locked(layout.run / "tables.lock"):
        watcher.say(f"{', '.join(wanted)} from the rows of {len(todo)} shards of {out}")
        note_added(layout, wanted, run_record.this_start().command)
        for commit in todo:
            absent = [name for name in wanted if name not in _tables_of(commit)]
            commit_with(layout, commit, _made(StandingShard(layout, commit), absent))
    card.write_card(layout)
    rows = _rows(layout, wanted)
    lines = [*(f"{name}: {n} rows" for name, n in rows.items()), f"done: {len(todo)} shards"]
    lines.append(f"next: massannot publish {out} DEST")
    return Outcome(DONE, "\n".join(lines), {"out": str(out), "exit_code": DONE, "rows": rows})


def _refuse_place(layout: Layout) -> None:
    if layout.in_bucket:
        raise UsageError(f"--add-table: {layout.out} is in a bucket; expected a folder here")
    planned = {shard.id for shard in plans.shard_table(layout)}
    if left := len(planned - commits.shards(layout)):
        raise UsageError(
            f"--add-table: {left} of {len(planned)} shards of {layout.out} are not finished; the "
            "command that began the run ends them"
        )


def _checked(names: Sequence[str]) -> list[str]:
    wanted = [part.strip() for name in names for part in name.split(",") if part.strip()]
    unknown = [name for name in wanted if name not in MAKERS]
    if unknown or not wanted:
        raise UsageError(f"--add-table: found {unknown or 'none'}, expected {', '.join(MAKERS)}")
    return [name for name in MAKERS if name in wanted]


def _tables_of(commit: Commit) -> set[str]:
    return {file.table for file in commit.files}


def _refuse_what_stands(layout: Layout, wanted: Sequence[str], standing: set[str]) -> None:
    added = {*added_tables(layout)}
    if there := [name for name in wanted if name in standing - added]:
        raise UsageError(
            f"--add-table: {layout.out} has {', '.join(there)}; what stands is not made again"
        )
    if found := lacking(standing, wanted):
        said = "; ".join(f"{name} reads {', '.join(reads)}" for name, reads in found.items())
        raise UsageError(
            f"--add-table: {said}, which {layout.out} does not have; expected them among the "
            "tables that stand or that are added (depth_maps: of a run with --depth-maps)"
        )


def _made(standing: StandingShard, wanted: Sequence[str]) -> dict[str, pa.Table]:
    """The new tables of all clips of a shard."""
    parts: dict[str, list[pa.Table]] = {name: [tables.spec(name).empty()] for name in wanted}
    for key in standing.clip_ids:
        for name, table in made_tables(standing.rows_of(key), wanted).items():
            parts[name].append(table)
    return {n: tables.spec(n).checked(pa.concat_tables(found)) for n, found in parts.items()}


def _rows(layout: Layout, wanted: Sequence[str]) -> dict[str, int]:
    files = [asdict(f) for commit in commits.read_all(layout) for f in commit.files]
    return {n: sum(f["rows"] for f in files if f["table"] == n) for n in wanted}
