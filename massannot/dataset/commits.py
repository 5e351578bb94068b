"""Commits: a shard is finished when its commit exists, and never before.

A commit names the shard's files with their rows, sizes and hashes; it is put conditionally, so of
two attempts the first wins and files of two attempts never mix. What is committed is published:
linked into `data/`, `clips` last. Whoever starts next publishes what is committed and not yet
there, and withdraws a commit whose files have been damaged in the meantime.

In a bucket the same happens, after the files were uploaded under a name that their hashes decide,
so that no attempt writes over another's; there, publishing copies.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from massannot.dataset.layout import Layout
from massannot.errors import MassannotError
from massannot.plan import shared as shared_plan
from massannot.plan.join_questions import QuestionCounts
from massannot.storage import durable
from massannot.storage.file_lock import locked
from massannot.storage.json_text import our_own, parsed
from massannot.storage.path import BucketPath
from massannot.storage.store import store_of

LAST = "clips"
"""Published last: a clip seen here is complete in every other table."""


READ_AT_ONCE = 32


class DamagedFile(MassannotError):
    """A file differs from what its commit says."""


@dataclass(frozen=True)
class CommittedFile:
    table: str
    rows: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class FailureCount:
    reason: str
    status: str
    clips: int


@dataclass(frozen=True)
class Commit:
    """One finished shard: which attempt, which files, and how its clips ended."""

    shard: str
    attempt: int
    clips_done: int
    failures: tuple[FailureCount, ...]
    files: tuple[CommittedFile, ...]
    questions: QuestionCounts = field(default_factory=QuestionCounts)
    copies: int = 0
    """Videos that are byte copies of others and have no clips of their own."""


def put(layout: Layout, commit: Commit) -> bool:
    """Commit a shard; False: another attempt was first, and this one is void.

    Raises DamagedFile when a staged file of a commit to a bucket is not what the commit says."""
    if layout.in_bucket:
        _upload(layout, commit)
    text = json.dumps(asdict(commit), indent=1, ensure_ascii=False)
    return durable.write_once(layout.commit(commit.shard), text.encode())


def read(layout: Layout, shard: str) -> Commit:
    """The commit of a shard. Raises FileNotFoundError when there is none."""
    path = layout.commit(shard)
    content = path.read_bytes()
    with our_own(path, "remove the file, and the same command does this shard again"):
        values = parsed(content)
        values["failures"] = tuple(FailureCount(**item) for item in values["failures"])
        values["files"] = tuple(CommittedFile(**item) for item in values["files"])
        values["questions"] = QuestionCounts(**values.get("questions", {}))
        return _sound(Commit(**values), shard)


def _sound(commit: Commit, shard: str) -> Commit:
    """Raises ValueError for numbers that are none, and for tables whose name leads elsewhere."""
    counts = [commit.attempt, commit.clips_done, commit.copies]
    counts += [count.clips for count in commit.failures]
    counts += [number for file in commit.files for number in (file.rows, file.size_bytes)]
    if any(type(number) is not int or number < 0 for number in counts):
        raise ValueError(f"found counts {counts}")
    names = [commit.shard, *(file.table for file in commit.files)]
    if commit.shard != shard or not all(re.fullmatch(r"\w[\w.-]*", name) for name in names):
        raise ValueError(f"found names {names}")
    return commit


def read_all(layout: Layout) -> Iterator[Commit]:
    """All commits, by shard; of a bucket several are asked for at once."""
    with ThreadPoolExecutor(READ_AT_ONCE if layout.in_bucket else 1) as pool:
        yield from pool.map(lambda shard: read(layout, shard), sorted(shards(layout)))


def shards(layout: Layout) -> set[str]:
    """Names of all committed shards: one listing."""
    return {path.stem for path in layout.commits.glob("*.json")}


def publish(layout: Layout, commit: Commit) -> None:
    """Make a committed shard visible, then drop its staging. Can be repeated.

    Raises DamagedFile, and publishes nothing, when a staged file is not what the commit says.
    """
    folder = _staged(layout, commit)
    todo = [f for f in commit.files if not layout.published(f.table, commit.shard).exists()]
    for file in todo:
        problem = _difference(folder / f"{file.table}.parquet", file, hashed=not layout.in_bucket)
        if problem and not layout.published(file.table, commit.shard).exists():
            raise DamagedFile(f"shard {commit.shard}: staged {file.table}.parquet {problem}")
    for file in sorted(todo, key=lambda file: file.table == LAST):
        target = layout.published(file.table, commit.shard)
        try:
            durable.link_once(folder / f"{file.table}.parquet", target)
        except FileNotFoundError:  # somebody else published the shard and dropped its staging
            if not target.exists():
                raise
    _drop_staging(layout, commit.shard)


def recover(layout: Layout) -> tuple[str, ...]:
    """Publish what is committed and not yet there; returns shards that have to be done again.

    Raises OtherRecipe when a bucket was planned by somebody else at the same time."""
    if isinstance(layout.out, BucketPath):
        shared_plan.share(layout.plans, layout.out / "_run" / "plan")
    withdrawn = []
    committed = shards(layout)
    published = {path.stem for path in (layout.data / LAST).glob("*.parquet")}
    for shard in (layout.shards_in_staging() | _uploaded(layout)) & committed & published:
        _drop_staging(layout, shard)
    for shard in sorted(committed - published):
        try:
            commit = read(layout, shard)
        except FileNotFoundError:  # another start has just withdrawn it
            withdrawn.append(shard)
            continue
        try:
            publish(layout, commit)
        except DamagedFile:
            withdraw(layout, commit)
            if not layout.commit(shard).exists():
                withdrawn.append(shard)
    return tuple(withdrawn)


def withdraw(layout: Layout, commit: Commit) -> bool:
    """Undo a commit that cannot be published, or is to be made again; staging is kept. Broken off,
    `recover` ends it. False: somebody else did it first, and what lies there now stays.

    Under a lock: until the commit goes, last of all, nobody can make another, so that no file of
    the next one is taken away. (Of a dataset in a bucket the lock lies in the working folder.)"""
    with locked(layout.lock):
        if not _is_there(layout, commit):
            return False
        layout.published(LAST, commit.shard).unlink(missing_ok=True)
        for file in commit.files:
            layout.published(file.table, commit.shard).unlink(missing_ok=True)
        layout.commit(commit.shard).unlink(missing_ok=True)
    return True


def is_there(layout: Layout, commit: Commit) -> bool:
    """Whether the shard's commit is still this one, as soon as nobody is taking one back."""
    with locked(layout.lock):
        return _is_there(layout, commit)


def _is_there(layout: Layout, commit: Commit) -> bool:
    try:
        return read(layout, commit.shard) == commit
    except FileNotFoundError:
        return False


def drop_attempt(layout: Layout, shard: str, attempt: int) -> None:
    """Remove what an attempt left: its shard is published, or another attempt was first."""
    shutil.rmtree(layout.attempt(shard, attempt), ignore_errors=True)
    layout.journal(shard, attempt).unlink(missing_ok=True)


def damage(layout: Layout) -> Iterator[str]:
    """One sentence for each published file that is not what its commit says."""
    for shard in sorted(shards(layout)):
        for file in read(layout, shard).files:
            problem = _difference(layout.published(file.table, shard), file)
            if problem:
                yield f"data/{file.table}/{shard}.parquet {problem}"


def _staged(layout: Layout, commit: Commit) -> Path:
    """Where the commit's files lie until they are published."""
    if not layout.in_bucket:
        return layout.attempt(commit.shard, commit.attempt)
    content = json.dumps([asdict(file) for file in commit.files])
    return layout.uploads(commit.shard) / hashlib.sha256(content.encode()).hexdigest()[:32]


def _upload(layout: Layout, commit: Commit) -> None:
    local, folder = layout.attempt(commit.shard, commit.attempt), _staged(layout, commit)
    for file in commit.files:
        name = f"{file.table}.parquet"
        problem = _difference(local / name, file)
        if problem:
            raise DamagedFile(f"shard {commit.shard}: staged {name} {problem}")
        durable.copy_over(local / name, folder / name)


def _uploaded(layout: Layout) -> set[str]:
    """Shards of which something waits in the bucket."""
    if not layout.in_bucket:
        return set()
    folder = layout.uploads("")
    entries = store_of(str(folder)).list(str(folder))
    return {entry.uri.removeprefix(f"{folder}/").partition("/")[0] for entry in entries}


def _difference(path: Path, expected: CommittedFile, *, hashed: bool = True) -> str | None:
    """What is wrong with a file. Not `hashed`: only its size is looked at, which is enough for one
    that was uploaded under the name of its hash."""
    try:
        size = path.stat().st_size
        if size != expected.size_bytes:
            return f"has {size} bytes, its commit says {expected.size_bytes}"
        if hashed and durable.sha256_of(path) != expected.sha256:
            return "has other bytes than its commit says"
    except FileNotFoundError:  # perhaps only just: others publish, and drop staging, too
        return "is missing"
    return None


def _drop_staging(layout: Layout, shard: str) -> None:
    for attempt in layout.attempts(shard):
        drop_attempt(layout, shard, attempt)
    if layout.in_bucket:
        uploads = str(layout.uploads(shard))
        for entry in store_of(uploads).list(uploads):
            store_of(uploads).delete(entry.uri)
