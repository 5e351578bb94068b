"""`annotate --onto OUT --add-table cameras,motions,events`: tables that a finished run lacks.

They are made from the rows that stand, shard by shard; see recipes/added_tables.py. No video is
read and no model loaded. A table of which version 0.1 wrote an earlier version lacks columns that
others read, so it counts as lacking, and the new one takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from massannot import tables
from massannot.counts import counted
from massannot.dataset import card, commits, plans, record_v0
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
from massannot.storage.parquet import version_of


def add_tables(
    out: Path, names: Sequence[str], *, quiet: bool = False, verbose: bool = False
) -> Outcome:
    """Add the tables to every shard of a run's folder. Broken off, the same command goes on; those
    that stand already are left as they are.

    Raises UsageError for a folder without a run or with unfinished shards, where all tables stand,
    and for tables that cannot be made, with what they lack.
    """
    layout = Layout(out)
    run_record.required(layout)
    wanted = _checked(names)
    with (
        Watcher(quiet=quiet, verbose=verbose) as watcher,
        locked(layout.local / "_run" / "tables.lock"),
    ):
        commits.recover(layout)
        _refuse_unfinished(layout)
        found = [(commit, _standing(layout, commit)) for commit in commits.read_all(layout)]
        wanted, kept = _to_make(layout, wanted, [standing for _, standing in found])
        todo = [commit for commit, standing in found if not {*wanted} <= standing.present]
        watcher.say(f"{', '.join(wanted)} from the rows of {counted(len(todo), 'shard')} of {out}")
        note_added(layout, wanted, run_record.this_start().command)
        for commit in todo:
            _complete(layout, commit, wanted)
    card.write_card(layout)
    rows = _rows(layout, wanted)
    lines = [f"{name}: {counted(n, 'row')}" for name, n in rows.items()]
    lines += [f"done: {counted(len(todo), 'shard')}"]
    lines += [f"as they were: {', '.join(kept)}"] if kept else []
    lines.append(f"next: massannot publish {out} DEST")
    return Outcome(DONE, "\n".join(lines), {"out": str(out), "exit_code": DONE, "rows": rows})


class _Standing(NamedTuple):
    """Tables of a shard."""

    present: frozenset[str]
    """In the version that this massannot writes."""
    earlier: frozenset[str]


def _standing(layout: Layout, commit: Commit) -> _Standing:
    """Only version 0.1 wrote tables that can be added in an earlier version."""
    names = {file.table for file in commit.files}
    earlier = {
        name
        for name in (names & {*MAKERS} if record_v0.is_there(layout) else ())
        if version_of(layout.published(name, commit.shard)) < tables.spec(name).version
    }
    return _Standing(frozenset(names - earlier), frozenset(earlier))


def _to_make(
    layout: Layout, wanted: Sequence[str], shards: Sequence[_Standing]
) -> tuple[list[str], list[str]]:
    """The tables to make, and those that stand. Raises UsageError where there is none to make or
    one cannot be made."""
    begun = added_tables(layout)
    everywhere = frozenset[str]().union(*(standing.present for standing in shards))
    kept = [name for name in wanted if name in everywhere and name not in begun]
    made = [name for name in wanted if name not in kept]
    if not made:
        raise UsageError(
            f"--add-table: {layout.out} has {', '.join(kept)}; what stands is not made again"
        )
    for standing in shards:
        _refuse_lacking(layout, made, standing)
    return made, kept


def _refuse_lacking(layout: Layout, made: Sequence[str], standing: _Standing) -> None:
    if found := lacking(standing.present, made):
        said = "; ".join(f"{name} reads {', '.join(reads)}" for name, reads in found.items())
        raise UsageError(
            f"--add-table: {said}, which {layout.out} does not have in the present version; "
            "expected them among the tables that stand or that are added (depth_maps: of a run "
            "with --depth-maps)"
        )
    left = [name for name in standing.earlier if name not in made]
    if found := {n: r for n in left if (r := [x for x in MAKERS[n].reads if x in made])}:
        said = "; ".join(f"{name} reads {', '.join(reads)}" for name, reads in found.items())
        raise UsageError(f"--add-table: {said}; expected both, so that they stay of one piece")


def _complete(layout: Layout, commit: Commit, wanted: Sequence[str]) -> None:
    """Give a shard the tables that it lacks."""
    while absent := [n for n in wanted if n not in _standing(layout, commit).present]:
        if commit_with(layout, commit, _made(StandingShard(layout, commit), absent)):
            return
        commit = commits.read(layout, commit.shard)  # another machine was first
        commits.publish(layout, commit)


def _refuse_unfinished(layout: Layout) -> None:
    planned = {shard.id for shard in plans.shard_table(layout)}
    if left := len(planned - commits.shards(layout)):
        raise UsageError(
            f"--add-table: {layout.out}: {left} of "
            f"{counted(len(planned), 'shard is', many='shards are')} not finished; the command "
            "that began the run ends them"
        )


def _checked(names: Sequence[str]) -> list[str]:
    wanted = [part.strip() for name in names for part in name.split(",") if part.strip()]
    unknown = [name for name in wanted if name not in MAKERS]
    if unknown or not wanted:
        raise UsageError(f"--add-table: found {unknown or 'none'}, expected {', '.join(MAKERS)}")
    return [name for name in MAKERS if name in wanted]


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
