"""Sources: the arguments that name videos, in one syntax for `annotate` and `plan`.

A file, a folder, a glob, the same at s3://, gs:// and hf://, @list.txt, a WebDataset tar, an output
folder of cosmos-curate; `{000..012}` and `{a,b}` stand for several. (Manifests: see manifest.py.)
The answer is in an order that depends on names alone. A video named twice counts once. Names keep
the form they were given in, because `uri` is written to the tables.
"""

from __future__ import annotations

import fnmatch
import glob
import io
import itertools
import os
import random
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from massannot.errors import ClipError, UsageError
from massannot.inputs import cosmos_curate, webdataset
from massannot.inputs.manifest import is_manifest
from massannot.inputs.question import Problem, Question
from massannot.inputs.text import (
    START_BYTES,
    VIDEO_ENDINGS,
    Identities,
    TextColumn,
    escaped,
    is_unicode,
    is_video_name,
    looks_binary,
    refuse_impossible_name,
)
from massannot.storage import tar_store
from massannot.storage.path import beside
from massannot.storage.store import is_remote, local_path, refuse_credentials, scheme_of, store_of

T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """Videos and manifests that sources name, before anything is opened."""

    videos: Sequence[str] = ()
    """Files that were named, in order: a tuple of few, a TextColumn of many."""
    rows: tuple[Question, ...] = ()
    """Videos that come with an id or a caption, and names with a problem."""
    manifests: tuple[str, ...] = ()
    """Files that name further videos."""


def find(sources: Sequence[str]) -> Found:
    """Every video of the sources, in order: sources as given, files of a folder or glob by name.

    Raises UsageError for a source that does not exist or gives no video.
    """
    if not sources:
        raise UsageError("no video was named; give files, folders, globs or @list.txt")
    _real_folder.cache_clear()  # links and the working folder may have changed
    names, identities = TextColumn(), Identities()
    rows: dict[str, Question] = {}
    manifests: dict[str, None] = {}
    for argument in sources:
        if not argument.startswith("@") and not is_unicode(argument):
            raise UsageError(f"{escaped(argument)}: found a name that is not UTF-8; rename it")
        for source in _spelt_out(argument):
            for item in _named_by(source):
                if isinstance(item, Question):
                    rows.setdefault(item.uri, item)
                elif is_manifest(item):
                    manifests[item] = None
                else:
                    names.add(item)
                    identities.add(_one_name(item))
    return Found(_each_once(names, identities), _with_own_ids(rows.values()), tuple(manifests))


def _each_once(names: TextColumn, identities: Identities) -> Sequence[str]:
    """Each video under the first of its names."""
    again = identities.repeated()
    if again:
        return TextColumn(name for n, name in enumerate(names) if n not in again)
    return names


def chosen(
    videos: Sequence[T], *, limit: int | None = None, sample: str = "first", seed: int = 0
) -> Sequence[T]:
    """At most `limit` of the videos, the first or a random sample, in their own order."""
    if limit is None or limit >= len(videos):
        return videos
    if sample == "first":
        return list(videos[:limit])
    return [videos[n] for n in sorted(random.Random(seed).sample(range(len(videos)), limit))]


def _named_by(source: str) -> Iterator[str | Question]:
    """The videos of one source, or of the lines of a list."""
    if source.startswith("@"):
        yield from _listed(source[1:])
    else:
        yield from _of(source)


def _of(source: str, *, listed: bool = False) -> Iterator[str | Question]:
    """The videos of one source. `listed`: as a line of a list a file that is not there is kept,
    and none in a bucket is asked for."""
    source = local_path(source)
    if tar_store.is_member(source):
        yield source
    elif is_remote(source):
        if listed and is_video_name(source) and not glob.has_magic(source):
            yield source  # asking for each of a million would take an hour; planning asks anyway
        else:
            yield from _remote(source)
    elif scheme_of(source):
        store_of(source)  # its error lists the kinds of address
    elif mode := _mode(source):
        yield from _inside(source) if stat.S_ISDIR(mode) else _file(source)
    elif glob.has_magic(source):
        yield from _matching(source)
    elif listed:
        yield source
    else:
        raise UsageError(f"{source}: no such file or folder")


def _mode(path: str) -> int:
    """What a path leads to, asked once; 0: nothing."""
    try:
        return os.stat(path).st_mode
    except (OSError, ValueError):  # ValueError: a name that no file system takes
        return 0


def _file(path: str) -> Iterator[str | Question]:
    if path.endswith(".tar"):
        yield from _in_tar(path)
    else:
        yield path


def _in_tar(tar: str) -> Iterator[Question]:
    rows = list(webdataset.samples(tar))
    if not rows:
        raise UsageError(f"{tar}: no video in this tar; looked for {_endings()}")
    yield from rows


def _inside(folder: str) -> Iterator[str | Question]:
    """Videos of a folder and the folders in it, by path; hidden ones are left out. A folder
    without videos may hold WebDataset tars."""
    if cosmos_curate.is_cosmos_curate(folder):
        yield from cosmos_curate.clips(folder.rstrip("/"))
        return
    yield from _videos_or_tars(folder, _below(folder))


def _below(folder: str) -> Iterator[str]:
    """Its files, in no order; a folder may hold a million, of which `os.walk` would make a list."""
    folders = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not _is_folder(entry):
                    yield entry.path
                elif not entry.name.startswith(".") and not entry.is_symlink():
                    folders.append(entry.path)
    except PermissionError:
        return  # lost+found, and other people's folders
    for inner in folders:
        yield from _below(inner)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _videos_or_tars(folder: str, files: Iterable[str]) -> Iterator[str | Question]:
    """The videos by path, else the samples of the tars."""
    videos, tars = _Paths(), []
    for file in files:
        if is_video_name(file):
            videos.add(file)
        elif file.endswith(".tar"):
            tars.append(file)
    if videos:
        yield from videos.drained_in_order()
        return
    if not tars:
        raise UsageError(f"{folder}: no video in this folder; looked for {_endings()}")
    for tar in sorted(tars):
        yield from _in_tar(tar)


def _matching(pattern: str) -> Iterator[str | Question]:
    paths = _Paths()
    for path in glob.iglob(pattern, recursive=True):
        if os.path.isfile(path):
            paths.add(path)
    if not paths:
        raise UsageError(f"{pattern}: matches no file; quote it if it should match itself")
    for item in paths.drained_in_order():
        yield from _file(item) if isinstance(item, str) else [item]


class _Paths:
    """Files of a folder or glob. One bad name of many is a row with a problem, not an error."""

    def __init__(self) -> None:
        self._good = TextColumn()
        self._bad: list[str] = []

    def add(self, path: str) -> None:
        if is_unicode(path):
            self._good.add(path)
        else:
            self._bad.append(path)

    def __len__(self) -> int:
        return len(self._good) + len(self._bad)

    def drained_in_order(self) -> Iterator[str | Question]:
        """By name, the bad ones last; empty afterwards."""
        yield from self._good.drained_in_order()
        for path in sorted(self._bad):
            try:
                refuse_impossible_name(path)
            except ClipError as error:
                yield _unusable(escaped(path), error)


def _unusable(where: str, error: ClipError) -> Question:
    """A row for a name that no file, or no table, can have. `where` stands for its address."""
    return Question(where, where, problem=Problem(error.reason, str(error)))


def _remote(source: str) -> Iterator[str | Question]:
    """A file, else everything below a folder, else what a pattern matches."""
    store = store_of(source)
    try:
        if not source.endswith("/"):
            yield from _file(store.head(source).uri)
            return
    except FileNotFoundError:
        pass
    folder = source.rstrip("/")
    if glob.has_magic(source):
        folder = source[: re.search(r"[*?\[]", source).start()].rpartition("/")[0]  # type: ignore[union-attr]  # it has
        wanted = re.compile(_as_regex(source))
        matching = TextColumn(file for file in _shown(source, folder) if wanted.fullmatch(file))
        if not matching:
            raise UsageError(f"{source}: matches no file")
        for file in matching:
            yield from _file(file)
    elif cosmos_curate.is_cosmos_curate(folder):
        yield from cosmos_curate.clips(folder)
    else:
        files = _shown(source, folder)
        first = next(files, None)
        if first is None:
            raise UsageError(f"{source}: no such file or folder")
        yield from _videos_or_tars(source, itertools.chain([first], files))


def _shown(source: str, folder: str) -> Iterator[str]:
    """Files below a folder, without those that are hidden and not named so."""
    hidden = re.compile(r"/\.")
    uris = (entry.uri for entry in store_of(folder).list(folder))
    return (uri for uri in uris if "/." in source or not hidden.search(uri, len(folder)))


def _as_regex(pattern: str) -> str:
    """As a shell reads it: * and ? stop at a slash, ** does not."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    meaning = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        meaning.get(part) or (fnmatch.translate(part)[4:-3] if n % 2 else re.escape(part))
        for n, part in enumerate(parts)
    )


def _listed(name: str) -> Iterator[str | Question]:
    """Each line's videos; empty lines and lines that start with # are left out. A relative name is
    relative to the list. One bad line of many is a failed video, not a wrong command: a file that
    is not there is kept, and a name that no file can have becomes a row with a problem."""
    number = 0
    for number, line in enumerate(_lines(name), start=1):
        if line.startswith("@"):
            raise UsageError(f"@{name}, entry {number}: a list cannot name another list: {line}")
        for source in _spelt_out(beside(name, line)):
            try:
                refuse_credentials(source)
                refuse_impossible_name(source)
                yield from _of(source, listed=True)
            except UsageError as error:
                raise UsageError(f"@{name}, entry {number}: {error}") from error
            except ClipError as error:
                where = f"@{escaped(name.rpartition('/')[2])}, entry {number}"
                yield _unusable(where, error)
    if not number:
        raise UsageError(f"@{name}: names no video; expected one a line")


def _lines(name: str) -> Iterator[str]:
    """The entries of a list, one after the other: it may be long."""
    try:
        with store_of(name).open(name) as file:
            if looks_binary(file.read(START_BYTES)):
                raise UsageError(
                    f"@{name}: cannot be read as a list of videos: found a binary file or UTF-16, "
                    "expected one name a line, in UTF-8"
                )
            file.seek(0)
            for line in io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape"):
                if line.strip() and not line.startswith("#"):
                    yield line.strip()
    except OSError as error:
        raise UsageError(f"@{name}: cannot be read as a list of videos: {error}") from error


def _spelt_out(source: str) -> Iterator[str]:
    """`{000..012}` and `{a,b}` become several sources; a file of that very name stays one."""
    braces = "{" in source and re.search(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}", source)
    if not braces or os.path.exists(source.removeprefix("@")):
        yield source
        return
    first, last, words = braces.groups()
    if words is None:
        width = max(len(first), len(last)) if first.startswith("0") or last.startswith("0") else 0
        numbers = range(int(first), int(last) + 1)
        if not numbers:
            raise UsageError(f"{source}: found {braces[0]}, expected the smaller number first")
        values = [str(number).zfill(width) for number in numbers]
    else:
        values = words.split(",")
    for value in values:
        yield from _spelt_out(source[: braces.start()] + value + source[braces.end() :])


def _one_name(uri: str) -> str:
    """The same as os.path.realpath, which asks for every folder on the way each time."""
    if is_remote(uri):
        return uri
    if os.path.islink(uri):
        return os.path.realpath(uri)
    cut = uri.rfind(os.sep) + 1
    if uri[cut:] in ("", ".", ".."):
        return os.path.realpath(uri)
    return _real_folder(uri[:cut]) + uri[cut:]


@lru_cache(maxsize=4096)
def _real_folder(folder: str) -> str:
    """Of a folder's name or none, with a slash at the end."""
    return os.path.join(os.path.realpath(folder), "")


def _with_own_ids(rows: Iterable[Question]) -> tuple[Question, ...]:
    """Ids name one row: of tars that use a name again, the tar's own name comes before it."""
    taken: set[str] = set()
    renamed = []
    for row in rows:
        question_id = row.question_id
        if question_id in taken:
            question_id = f"{Path(row.uri.partition('#')[0]).name}/{question_id}"
        if question_id in taken:
            question_id = row.uri
        taken.add(question_id)
        renamed.append(replace(row, question_id=question_id))
    return tuple(renamed)


def _endings() -> str:
    return ", ".join(sorted(VIDEO_ENDINGS))
