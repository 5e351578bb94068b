"""Reopening a finished shard, so that some of its clips are done again for its next generation.

Its other clips become parts again and its other failures lines of a journal: from there the
generation is an interrupted shard, and what comes of it has the bytes of a run in which those clips
never failed, or, of a clip that a person corrected, of that run with this clip's new rows. The rows
that stand are published until it is committed.

Broken off, the same retry goes on where it was; another one adds its clips to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from massannot.dataset import commits
from massannot.dataset.commits import Commit, DamagedFile
from massannot.dataset.corrections import corrections_of
from massannot.dataset.journal import (
    WHOLE_VIDEO,
    Again,
    ClipKey,
    Failed,
    Finished,
    Journal,
    Part,
    Past,
    Together,
    VideoRead,
    read_past,
    write_part,
)
from massannot.dataset.layout import Layout
from massannot.dataset.reviews_of_run import all_decisions
from massannot.dataset.standing import StandingShard, of_value
from massannot.dataset.steps import clips_lacking, read_steps
from massannot.errors import BadTable
from massannot.plan.planned_videos import Shard

CORRECTED = "corrected"
"""The status of a clip in which a person put something right."""
ADDED = "added"
"""The status of a clip that has not been through all steps, see steps.py."""


def can_be_retried(commit: Commit, statuses: Collection[str]) -> bool:
    """Whether a clip of the shard ended so."""
    return any(failure.status in statuses for failure in commit.failures)


def reopen(layout: Layout, shard: Shard, statuses: Collection[str]) -> StandingShard | None:
    """Begin the shard's generation, or go on with it: it lacks only its clips of these statuses.
    Returns the rows that stand; None: somebody else has just finished that generation, or it has
    nothing to do."""
    commit = commits.read(layout, shard.id)
    if commit.generation >= shard.generation:
        return None
    try:
        commits.publish(layout, commit)
        standing = StandingShard(layout, commit)
        again = list(_again(layout, standing, statuses))
        past = read_past(layout, shard.edition)
        if not again and not past.again:
            return None
        _Reopened(layout, shard, standing, past).write(again)
    except (BadTable, DamagedFile, FileNotFoundError):
        if commits.is_there(layout, commit):
            raise
        return None  # another retry has replaced it just now
    return standing


def _again(layout: Layout, standing: StandingShard, statuses: Collection[str]) -> Iterator[Again]:
    """The clips of these statuses."""
    for row in standing.table("failures").to_pylist():
        if _of_a_clip(row) and row["status"] in statuses:
            yield Again(ClipKey(row["uri"], row["clip_index"]), row["status"])
    if CORRECTED in statuses:
        ids = {clip_id: key for key, clip_id in standing.clip_ids.items()}
        decisions = [d for d in all_decisions(layout) if d.clip_id in ids]
        for correction in corrections_of(decisions, standing.view).usable:
            yield Again(ids[correction.clip_id], correction.why, correction.fixes)
    if ADDED in statuses:
        steps = read_steps(layout)
        left = clips_lacking(standing.table("clips"), standing.table("phrases"), steps)
        for key, clip_id in standing.clip_ids.items():
            if clip_id in left:
                yield Again(key, f"{ADDED}: step {len(steps)}")


class _Reopened:
    """One attempt at the generation, filled from what stands."""

    def __init__(self, layout: Layout, shard: Shard, standing: StandingShard, past: Past) -> None:
        self._shard, self._standing, self._past = shard, standing, past
        attempt = layout.new_attempt(shard.edition)
        self._folder = layout.attempt(shard.edition, attempt)
        self._path = layout.journal(shard.edition, attempt)

    def write(self, again: Collection[Again]) -> None:
        past = self._past
        failures = [r for r in self._standing.table("failures").to_pylist() if _of_a_clip(r)]
        with Journal(self._path) as journal:
            if not past.copies:
                for uri, copies in self._copies().items():
                    journal.write(Together(uri, tuple(copies)))
            for event in again:
                if past.again.get(event.clip) != event:
                    journal.write(event)
                    past.redo(event)
            for number, video in enumerate(self._shard.videos):
                settled = self._finished(journal, number, video.uri)
                of_video = [f for f in failures if f["uri"] == video.uri]
                for row in of_video:
                    settled += row["clip_index"] != WHOLE_VIDEO
                    key = ClipKey(video.uri, row["clip_index"])
                    if key not in past.again and not past.is_settled(key):
                        what = (row["stage"], row["class"], row["message"], row["status"])
                        journal.write(Failed(key, *what))
                if video.uri in past.videos or ClipKey(video.uri, WHOLE_VIDEO) in past.again:
                    continue
                whole = any(row["clip_index"] == WHOLE_VIDEO for row in of_video)
                part = None if whole else self._end(number, video.uri)
                journal.write(VideoRead(video.uri, settled, part))

    def _copies(self) -> dict[str, list[str]]:
        """Byte copies by the video that was read instead."""
        copies: dict[str, list[str]] = {}
        videos = self._standing.table("videos")
        for uri, first in zip(*(videos[n].to_pylist() for n in ("uri", "same_as")), strict=True):
            if first is not None:
                copies.setdefault(first, []).append(uri)
        return copies

    def _finished(self, journal: Journal, number: int, uri: str) -> int:
        """Parts of the video's clips that are not done again; how many clips there are."""
        of_video = {k: c for k, c in self._standing.clip_ids.items() if k.uri == uri}
        for key, clip_id in of_video.items():
            if key in self._past.again or self._past.is_settled(key):
                continue
            name = f"{number:04d}-{key.clip_index:06d}.zip"
            part = write_part(self._folder, name, self._standing.rows_of(key))
            journal.write(Finished(key, clip_id, part))
        return len(of_video)

    def _end(self, number: int, uri: str) -> Part | None:
        row = of_value(self._standing.table("videos"), uri=uri)
        return write_part(self._folder, f"{number:04d}-end.zip", {"videos": row})


def _of_a_clip(row: Mapping[str, Any]) -> bool:
    """Whether a row of `failures` is one; a question that could not be asked is none."""
    return not row["stage"].startswith("question ")
