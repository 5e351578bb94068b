"""Commits: a shard is finished when its commit exists, and never before.

A commit names the shard's files with their rows, sizes and hashes; it is put conditionally, so of
two attempts the first wins and files of two attempts never mix. What is committed is published:
linked into `data/`, `clips` last. Whoever starts next publishes what is committed and not yet
there, and withdraws a commit whose files have been damaged in the meantime.

A shard that is done again gets a further commit, of its next generation, when that is complete; its
files then replace those that are published, one by one, and the earlier commit goes last. So rows
are never away, and a shard with two commits is one whose files are being replaced.

In a bucket the same happens, after the files were uploaded under a name that their hashes decide,
so that no attempt writes over another's; there, publishing copies.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from massannot.dataset.layout import Layout
from massannot.errors import MassannotError
from massannot.plan import shared as shared_plan
from massannot.plan.join_questions import QuestionCounts
from massannot.plan.planned_videos import edition, split_edition
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
    generation: int = 0
    """How often the shard had been done again."""

    @property
    def edition(self) -> str:
        return edition(self.shard, self.generation)


def put(layout: Layout, commit: Commit) -> bool:
    """Commit a shard's generation; False: another attempt was first, and this one is void.

    Raises DamagedFile when a staged file of a commit to a bucket is not what the commit says."""
    if layout.in_bucket:
        _upload(layout, commit)
    text = json.dumps(asdict(commit), indent=1, ensure_ascii=False)
    return durable.write_once(layout.commit(commit.edition), text.encode())


def read(layout: Layout, shard: str) -> Commit:
    """The newest commit of a shard. Raises FileNotFoundError when there is none."""
    return read_edition(layout, edition(shard, max(_generations(layout, shard), default=0)))


def read_edition(layout: Layout, name: str) -> Commit:
    """The commit of one generation, see planned_videos.edition."""
    path = layout.commit(name)
    content = path.read_bytes()
    with our_own(path, "remove the file, and the same command does this shard again"):
        values = parsed(content)
        values["failures"] = tuple(FailureCount(**item) for item in values["failures"])
        values["files"] = tuple(CommittedFile(**item) for item in values["files"])
        values["questions"] = QuestionCounts(**values.get("questions", {}))
        return _sound(Commit(**values), name)


NAME_BYTES = 240
"""Longest name of a shard or table: with its ending, one that file systems take."""


def _sound(commit: Commit, name: str) -> Commit:
    """Raises ValueError for numbers that are none, and for tables whose name leads elsewhere."""
    counts = [commit.attempt, commit.clips_done, commit.copies, commit.generation]
    counts += [count.clips for count in commit.failures]
    counts += [number for file in commit.files for number in (file.rows, file.size_bytes)]
    if any(type(number) is not int or number < 0 for number in counts):
        raise ValueError(f"found counts {counts}")
    names = [commit.shard, *(file.table for file in commit.files)]
    possible = [re.fullmatch(r"\w[\w.-]*", n) and len(n.encode()) <= NAME_BYTES for n in names]
    if commit.edition != name or not all(possible):
        raise ValueError(f"found names {[name[:80] for name in names]}")
    return commit


def read_all(layout: Layout) -> Iterator[Commit]:
    """The newest commit of every shard, by shard; of a bucket several are asked for at once."""
    names = [edition(*item) for item in sorted(newest(layout).items())]
    with ThreadPoolExecutor(READ_AT_ONCE if layout.in_bucket else 1) as pool:
        yield from pool.map(lambda name: read_edition(layout, name), names)


def shards(layout: Layout) -> set[str]:
    """Names of all committed shards: one listing."""
    return {*newest(layout)}


def newest(layout: Layout) -> dict[str, int]:
    """The newest committed generation of every shard: one listing."""
    return {shard: max(numbers) for shard, numbers in _by_shard(layout).items()}


def is_finished(layout: Layout, shard: str, generation: int) -> bool:
    """Whether a shard has a commit of this generation or a later one."""
    if layout.commit(edition(shard, generation)).exists():
        return True
    replaced = layout.published(LAST, shard).exists()  # else no listing is needed
    return replaced and max(_generations(layout, shard), default=-1) >= generation


def _by_shard(layout: Layout) -> dict[str, set[int]]:
    """The committed generations of every shard."""
    found: dict[str, set[int]] = {}
    for path in layout.commits.glob("*.json"):
        shard, generation = split_edition(path.stem)
        found.setdefault(shard, set()).add(generation)
    return found


def _generations(layout: Layout, shard: str) -> list[int]:
    """Those of one shard, in order."""
    names = [path.stem for path in layout.commits.glob(f"{shard}.*json")]
    return sorted(number for name, number in map(split_edition, names) if name == shard)


def _earlier(layout: Layout, commit: Commit) -> list[str]:
    """Commits that this one replaces and that are still there, the newest last."""
    if not commit.generation:
        return []
    numbers = _generations(layout, commit.shard)
    return [edition(commit.shard, n) for n in numbers if n < commit.generation]


def publish(layout: Layout, commit: Commit) -> None:
    """Make a committed shard visible, in the place of its earlier generation if there is one, then
    drop its staging. Can be repeated.

    Raises DamagedFile, and publishes nothing, when a staged file is not what the commit says.
    """
    folder, earlier = _staged(layout, commit), _earlier(layout, commit)
    todo = [f for f in commit.files if earlier or not _is_published(layout, commit, f, earlier)]
    for file in todo:
        problem = _difference(folder / f"{file.table}.parquet", file, hashed=not layout.in_bucket)
        if problem and not _is_published(layout, commit, file, earlier):
            raise DamagedFile(f"shard {commit.shard}: staged {file.table}.parquet {problem}")
    for file in sorted(todo, key=lambda file: file.table == LAST):
        target = layout.published(file.table, commit.shard)
        try:
            put_there = durable.link_over if earlier else durable.link_once
            put_there(folder / f"{file.table}.parquet", target)
        except FileNotFoundError:  # somebody else published the shard and dropped its staging
            if not _is_published(layout, commit, file, earlier):
                raise
    for name in earlier:
        layout.commit(name).unlink(missing_ok=True)
    for name in (*earlier, commit.edition):
        _drop_staging(layout, name)


def _is_published(
    layout: Layout, commit: Commit, file: CommittedFile, earlier: Sequence[str]
) -> bool:
    """Whether a file of the commit is in its place, where one of `earlier` commits may still be."""
    path = layout.published(file.table, commit.shard)
    return path.exists() if not earlier else _difference(path, file) is None


def recover(layout: Layout) -> tuple[str, ...]:
    """Publish what is committed and not yet there; returns shards that have to be done again.

    Raises OtherRecipe when a bucket was planned by somebody else at the same time."""
    if isinstance(layout.out, BucketPath):
        shared_plan.share(layout.plans, layout.out / "_run" / "plan")
    withdrawn = []
    committed = _by_shard(layout)
    published = {path.stem for path in (layout.data / LAST).glob("*.parquet")}
    waiting = {
        shard
        for shard, generations in committed.items()
        if shard not in published or len(generations) > 1
    }
    for name in layout.shards_in_staging() | _uploaded(layout):
        shard, generation = split_edition(name)
        if shard in committed.keys() - waiting and generation <= max(committed[shard]):
            _drop_staging(layout, name)
    for shard in sorted(waiting):
        try:
            commit = read(layout, shard)
        except FileNotFoundError:  # another start has just withdrawn it
            withdrawn.append(shard)
            continue
        try:
            publish(layout, commit)
        except DamagedFile:
            withdraw(layout, commit)
            if not _generations(layout, shard):
                withdrawn.append(shard)
    return tuple(withdrawn)


def withdraw(layout: Layout, commit: Commit) -> bool:
    """Undo a commit that cannot be published; staging is kept. Broken off, `recover` ends it.
    False: somebody else did it first, and what lies there now stays.

    Where the earlier generation is still published whole, it stays. Else the shard has no rows, and
    no commit. Under a lock: until the commit goes, last of all, nobody can make another, so that no
    file of the next one is taken away. (Of a dataset in a bucket the lock lies in the working
    folder.)"""
    with locked(layout.lock):
        if not _is_there(layout, commit):
            return False
        earlier = _earlier(layout, commit)
        if not earlier or [*_damaged(layout, read_edition(layout, earlier[-1]))]:
            layout.published(LAST, commit.shard).unlink(missing_ok=True)
            for file in commit.files:
                layout.published(file.table, commit.shard).unlink(missing_ok=True)
            for name in earlier:
                layout.commit(name).unlink(missing_ok=True)
        layout.commit(commit.edition).unlink(missing_ok=True)
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


def drop_attempt(layout: Layout, name: str, attempt: int) -> None:
    """Remove what an attempt left: its shard is published, or another attempt was first."""
    shutil.rmtree(layout.attempt(name, attempt), ignore_errors=True)
    layout.journal(name, attempt).unlink(missing_ok=True)


def damage(layout: Layout) -> Iterator[str]:
    """One sentence for each published file that is not what its commit says."""
    for commit in read_all(layout):
        yield from _damaged(layout, commit)


def _damaged(layout: Layout, commit: Commit) -> Iterator[str]:
    for file in commit.files:
        problem = _difference(layout.published(file.table, commit.shard), file)
        if problem:
            yield f"data/{file.table}/{commit.shard}.parquet {problem}"


def _staged(layout: Layout, commit: Commit) -> Path:
    """Where the commit's files lie until they are published."""
    if not layout.in_bucket:
        return layout.attempt(commit.edition, commit.attempt)
    content = json.dumps([asdict(file) for file in commit.files])
    return layout.uploads(commit.edition) / hashlib.sha256(content.encode()).hexdigest()[:32]


def _upload(layout: Layout, commit: Commit) -> None:
    local, folder = layout.attempt(commit.edition, commit.attempt), _staged(layout, commit)
    for file in commit.files:
        name = f"{file.table}.parquet"
        problem = _difference(local / name, file)
        if problem:
            raise DamagedFile(f"shard {commit.shard}: staged {name} {problem}")
        durable.copy_over(local / name, folder / name)


def _uploaded(layout: Layout) -> set[str]:
    """Generations of shards of which something waits in the bucket."""
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


def _drop_staging(layout: Layout, name: str) -> None:
    for attempt in layout.attempts(name):
        drop_attempt(layout, name, attempt)
    if layout.in_bucket:
        uploads = str(layout.uploads(name))
        for entry in store_of(uploads).list(uploads):
            store_of(uploads).delete(entry.uri)
