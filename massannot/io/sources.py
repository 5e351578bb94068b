"""Sources: what a user types to say which videos. A file, a folder, a glob, or @list.txt.

The answer is a list of files in an order that depends on names alone. A video named twice counts
once. Names keep the form they were given in, because `uri` is written to the tables.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from massannot.errors import UsageError

VIDEO_ENDINGS = frozenset(
    {
        ".3gp",
        ".avi",
        ".flv",
        ".gif",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".ogv",
        ".ts",
        ".webm",
        ".wmv",
        ".y4m",
    }
)
"""What counts as a video inside a folder. A file that is named outright may end in anything."""


def find_videos(sources: Sequence[str], *, limit: int | None = None) -> tuple[str, ...]:
    """Every video of the sources, in order: sources as given, files of a folder or glob by name.

    Raises UsageError for a source that is not there or gives no video.
    """
    if not sources:
        raise UsageError("no video was named; give files, folders, globs or @list.txt")
    first_name: dict[str, str] = {}
    for source in sources:
        for uri in _videos_of(source):
            first_name.setdefault(os.path.realpath(uri), uri)
    return tuple(first_name.values())[:limit]


def _videos_of(source: str) -> Iterator[str]:
    if source.startswith("@"):
        yield from _listed(Path(source[1:]))
    elif os.path.isdir(source):
        yield from _inside(source)
    elif os.path.exists(source):
        yield source
    elif glob.has_magic(source):
        yield from _matching(source)
    elif "://" in source:
        raise UsageError(f"{source}: only local files can be read; download it, or mount it")
    else:
        raise UsageError(f"{source}: no such file or folder")


def _inside(folder: str) -> Iterator[str]:
    """Videos of a folder and the folders in it, by path; hidden ones are left out."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [os.path.join(parent, name) for name in files if _is_video_name(name)]
    if not found:
        raise UsageError(
            f"{folder}: no video in this folder; looked for {', '.join(sorted(VIDEO_ENDINGS))}"
        )
    yield from sorted(found)


def _matching(pattern: str) -> Iterator[str]:
    found = [path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)]
    if not found:
        raise UsageError(f"{pattern}: matches no file; quote it if it should match itself")
    yield from sorted(found)


def _listed(path: Path) -> Iterator[str]:
    """Each line's videos; empty lines and lines that start with # are left out. A relative name is
    relative to the list. A file that is not there is kept: one bad line of many is a failed video,
    not a wrong command."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"@{path}: cannot be read as a list of videos: {error}") from error
    wanted = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not wanted:
        raise UsageError(f"@{path}: names no video; expected one a line")
    for number, name in enumerate(wanted, start=1):
        if name.startswith("@"):
            raise UsageError(f"@{path}, entry {number}: a list cannot name another list: {name}")
        source = name if "://" in name else str(path.parent / name)
        if not (os.path.exists(source) or glob.has_magic(source) or "://" in source):
            yield source
            continue
        try:
            yield from _videos_of(source)
        except UsageError as error:
            raise UsageError(f"@{path}, entry {number}: {error}") from error


def _is_video_name(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in VIDEO_ENDINGS
