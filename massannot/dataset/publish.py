"""Publishing: a finished output folder becomes a new dataset of few large files.

Which shards go into which file is decided beforehand, by the sizes in their commits, and stands in
`massannot.json`. A file appears whole or not at all and is the same whoever writes it, so the same
command continues where it was broken off; `clips` come last but one, the card last. Rows of byte
copies that stand in another shard are left out, see copies.py.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from massannot import tables
from massannot.counts import counted
from massannot.dataset import commits
from massannot.dataset import record as run_record
from massannot.dataset.acceptance import looked_at, need_accepted, refuse_less
from massannot.dataset.accepted_clips import AcceptedClips
from massannot.dataset.card import published_card
from massannot.dataset.commits import LAST, Commit
from massannot.dataset.copies import Copies
from massannot.dataset.layout import PUBLISHED_RECORD, Layout
from massannot.dataset.plans import shard_table
from massannot.dataset.reading import Dataset, spec_in
from massannot.dataset.splits import Splits, splits_of_videos, with_splits
from massannot.dataset.sql_views import flat_rows
from massannot.errors import BadTable, UsageError
from massannot.storage import durable
from massannot.storage.parquet import readable, upgraded, write_parquet
from massannot.storage.path import BucketPath
from massannot.tables import upgrades_of
from massannot.tables._spec import TableSpec

FILE_BYTES = 512 << 20
"""Files are closed at the first shard after so much: few enough to list, small enough to move."""
FILES_A_TABLE = 8000
"""Beyond that files become larger: the Hub refuses folders of 10,000 entries."""
RECORD = PUBLISHED_RECORD
REVIEWS = "reviews"
FLAT = "flat"


class Restatement(Protocol):
    """Tables that are published otherwise than they stand: intervals of another calibration."""

    @property
    def name(self) -> str | None: ...

    @property
    def sha256(self) -> str | None: ...

    @property
    def tables(self) -> tuple[str, ...]: ...

    def rows(self, name: str, read: Callable[[str], pa.Table]) -> Iterator[pa.Table]:
        """One shard's rows of table `name`; `read` gives any table of the shard."""
        ...


@dataclass(frozen=True)
class PublishedFile:
    """One file to be: these shards of this table, one after the other."""

    table: str
    number: int
    shards: tuple[str, ...]
    rows: int

    @property
    def name(self) -> str:
        return f"data/{self.table}/{self.number:05d}.parquet"


@dataclass(frozen=True)
class Published:
    dest: Path
    files: tuple[PublishedFile, ...]
    written: int
    """Files this start wrote; the others were there."""
    unasked: Mapping[str, int] = field(default_factory=dict)
    """See Copies.unasked."""
    unasked_line: str | None = None


def publish(
    out: Path,
    dest: Path,
    *,
    file_bytes: int = FILE_BYTES,
    files_a_table: int = FILES_A_TABLE,
    partial: bool = False,
    license: str | None = None,
    workers: int | None = None,
    each: Callable[[PublishedFile], None] = lambda file: None,
    restate: Restatement | None = None,
    flat: bool = False,
    accepted_only: bool = False,
    min_acceptance: float | None = None,
) -> Published:
    """Write what `out` has committed as a new dataset in `dest`, a folder or a bucket's.

    Holds a few row groups per worker. `each` hears of every file. `restate` makes the rows of some
    tables anew; what it is stands in the record. `flat` adds the table of that name. What people
    decided becomes the table `reviews`; `accepted_only` leaves out every clip that nobody accepted,
    or that somebody rejected. Raises UsageError when the run is not over (unless `partial`), `dest`
    holds something else, or less than `min_acceptance` of what was looked at was accepted; BadTable
    for a damaged file.
    """
    layout, target = Layout(out), Layout(dest)
    if target.out == layout.out:
        raise UsageError(f"{dest}: found the output folder itself, expected another")
    found = _finished(layout, partial=partial)
    copies = Copies(layout, tuple(commit.shard for commit in found))
    found = [copies.counted(commit) for commit in found]
    looked = looked_at(Dataset(layout))
    refuse_less(None if looked is None else looked.acceptance, min_acceptance)
    if accepted_only:
        need_accepted(() if looked is None else looked.accepted_clips, layout.out)
    accepted = None
    if accepted_only and looked is not None:
        accepted = AcceptedClips(layout, looked.accepted_clips, looked.rejected_questions)
        found = [accepted.counted(commit) for commit in found]
    files = files_of(found, file_bytes=file_bytes, files_a_table=files_a_table)
    if flat:
        files = (*(replace(f, table=FLAT) for f in files if f.table == "positions"), *files)
    if looked is not None:
        files = (PublishedFile(REVIEWS, 0, (), looked.table.num_rows), *files)
    _begin(layout, target, files, restate)
    by_shard = {commit.shard: commit for commit in found}
    splits = splits_of_videos(Dataset(layout))

    def write(file: PublishedFile) -> bool:
        if file.table == REVIEWS and looked is not None:
            return _write_rows(target, file, iter([looked.table]), tables.spec(REVIEWS))
        return _write(layout, target, file, by_shard, restate, copies, accepted, splits)

    written = 0
    last = [file for file in files if file.table == LAST]
    with ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
        for group in ([file for file in files if file.table != LAST], last):
            jobs = [pool.submit(write, file) for file in group]
            try:
                for file, job in zip(group, jobs, strict=True):
                    written += job.result()
                    each(file)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    made = Counter[str]()
    for file in files:
        made[file.table] += file.rows if file.table in (FLAT, REVIEWS) else 0
    card = published_card(
        layout, found, target, license=license, copies=copies, looked=looked,
        accepted_only=accepted_only, made=+made,
    )  # fmt: skip
    durable.write_over(target.card, card.encode())
    return Published(target.out, files, written, copies.unasked, copies.unasked_line)


def files_of(
    found: Sequence[Commit], *, file_bytes: int, files_a_table: int = FILES_A_TABLE
) -> tuple[PublishedFile, ...]:
    """Which shards go into which file, by table, in the order of the shards' names."""
    by_table: dict[str, list[tuple[str, commits.CommittedFile]]] = {}
    for commit in sorted(found, key=lambda commit: commit.shard):
        for file in commit.files:
            by_table.setdefault(file.table, []).append((commit.shard, file))
    return tuple(
        file
        for name in sorted(by_table)
        for file in _of_table(name, by_table[name], file_bytes, files_a_table)
    )


def _of_table(
    name: str,
    parts: Sequence[tuple[str, commits.CommittedFile]],
    file_bytes: int,
    files_a_table: int,
) -> Iterator[PublishedFile]:
    total = sum(file.size_bytes for _, file in parts)
    enough = max(file_bytes, -(-total // files_a_table))
    number, shards, rows, size = 0, list[str](), 0, 0
    for shard, file in parts:
        shards.append(shard)
        rows, size = rows + file.rows, size + file.size_bytes
        if size >= enough:
            yield PublishedFile(name, number, tuple(shards), rows)
            number, shards, rows, size = number + 1, [], 0, 0
    if shards:
        yield PublishedFile(name, number, tuple(shards), rows)


def _finished(layout: Layout, *, partial: bool) -> list[Commit]:
    """All commits, everything they name published."""
    if run_record.read(layout) is None:
        raise UsageError(
            f"{layout.out}: found no run, expected the output folder of `annotate` or `run`; what "
            "`questions ask` wrote, `massannot questions publish` publishes"
        )
    commits.recover(layout)
    found = list(commits.read_all(layout))
    planned = len(shard_table(layout))
    if not found or (planned > len(found) and not partial):
        raise UsageError(
            f"{layout.out}: its run is not over: {len(found)} of "
            f"{counted(planned, 'shard is', many='shards are')} finished; give its command "
            "again to finish it" + (", or publish --partial what is there" if found else "")
        )
    return found


def _begin(
    layout: Layout, target: Layout, files: Sequence[PublishedFile], restate: Restatement | None
) -> None:
    """Put the record into a folder that is empty, or has this very one."""
    record = run_record.read(layout)
    assert record is not None
    values = {
        "spec": _public(record.spec),
        "recipe": _public(record.recipe),
        "digest": record.digest,
        "weights": [asdict(weights) for weights in record.weights],
        **({"deviations": [asdict(one) for one in record.deviations]} if record.deviations else {}),
        "versions": dict(record.starts[0].versions) if record.starts else {},
        **({} if restate is None else {"calibration": [restate.name, restate.sha256]}),
        "files": [{"name": f.name, "rows": f.rows, "shards": len(f.shards)} for f in files],
    }
    content = (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode()
    path = target.out / RECORD
    try:
        there = path.read_bytes()
    except FileNotFoundError:
        if target.out.is_dir() and (target.in_bucket or any(target.out.iterdir())):
            raise UsageError(
                f"{target.out}: found other files there, expected a new folder"
            ) from None
        durable.write_once(path, content)
        there = path.read_bytes()
    if there != content:
        raise UsageError(
            f"{target.out}: found another published dataset there, expected this one or none; "
            "choose a new folder"
        )


def _public(value: Any) -> Any:
    """A JSON value without the folders of this machine: of an absolute path the name is left."""
    if isinstance(value, Mapping):
        return {key: _public(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_public(item) for item in value]
    if isinstance(value, str) and value.startswith("/"):
        return Path(value).name
    return value


def _write(
    layout: Layout,
    target: Layout,
    file: PublishedFile,
    by_shard: dict[str, Commit],
    restate: Restatement | None,
    copies: Copies,
    accepted: AcceptedClips | None,
    splits: Splits,
) -> bool:
    """Write one file of shards; False: it is there."""
    spec = spec_in(layout, file.table)
    pieces = (
        copies.resolved(piece, spec=spec, shard=s)
        for s in file.shards
        for piece in _rows(layout, file.table, by_shard[s], restate, copies)
    )
    if file.table == "videos":
        pieces = (with_splits(piece, splits) for piece in pieces)
    if accepted is not None:
        pieces = (accepted.left(file.table, piece) for piece in pieces)
    return _write_rows(target, file, pieces, spec)


def _write_rows(
    target: Layout, file: PublishedFile, pieces: Iterator[pa.Table], spec: TableSpec
) -> bool:
    """Write one file; False: it is there."""
    path = target.out / file.name
    if path.is_file():
        return False
    if not isinstance(path, BucketPath):
        write_parquet(path, pieces, spec=spec, in_key_order=False)
        return True
    folder = Path(tempfile.mkdtemp(prefix="massannot-publish-"))
    try:
        write_parquet(folder / path.name, pieces, spec=spec, in_key_order=False)
        durable.copy_over(folder / path.name, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return True


def _rows(
    layout: Layout, table: str, commit: Commit, restate: Restatement | None, copies: Copies
) -> Iterator[pa.Table]:
    if table == FLAT:

        def of_shard(name: str) -> pa.Table:
            spec = tables.spec(name)
            pieces = _rows(layout, name, commit, restate, copies)
            resolved = (copies.resolved(piece, spec=spec, shard=commit.shard) for piece in pieces)
            return pa.concat_tables([spec.empty(), *resolved], promote_options="none")

        return iter([flat_rows(of_shard)])
    if restate is None or table not in restate.tables:
        return _pieces(layout, table, commit)

    def read(name: str) -> pa.Table:
        return pa.concat_tables(
            [tables.spec(name).empty(), *_pieces(layout, name, commit)], promote_options="none"
        )

    return restate.rows(table, read)


def _pieces(layout: Layout, table: str, commit: Commit) -> Iterator[pa.Table]:
    """One shard's rows, a row group at a time, in the present version of the table."""
    (expected,) = (file for file in commit.files if file.table == table)
    path = layout.published(table, commit.shard)
    with readable(path):
        size = path.stat().st_size
        if size != expected.size_bytes:
            raise BadTable(
                f"{path} has {size} bytes, its commit says {expected.size_bytes}; "
                f"`massannot validate {layout.out}` names every such file"
            )
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                group = file.read_row_group(number)
                group = group.replace_schema_metadata(file.schema_arrow.metadata)
                spec = tables.spec(table, schema=file.schema_arrow)
                yield upgraded(group, spec=spec, upgrades=upgrades_of(table))
