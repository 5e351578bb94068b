"""Reopening a committed shard, so that some of its failed clips are tried again.

Its finished clips become parts again and its other failures lines of a journal: from there the
shard is an interrupted one, and what comes of it has the bytes of a run in which those clips never
failed. Until it is committed anew its rows are not in the dataset.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from massannot.errors import BadTable
from massannot.io import commits
from massannot.io.commits import Commit, DamagedFile
from massannot.io.journal import WHOLE_VIDEO, ClipKey, Failed, Finished, Journal, VideoRead
from massannot.io.layout import Layout
from massannot.io.merge_parts import OF_SHARD
from massannot.io.parts import Part, write_part
from massannot.io.plan import Shard
from massannot.io.read_parquet import read_parquet


def can_be_retried(commit: Commit, statuses: Collection[str]) -> bool:
    """Whether a clip of the shard ended so."""
    return any(failure.status in statuses for failure in commit.failures)


def reopen(layout: Layout, shard: Shard, statuses: Collection[str]) -> None:
    """Make `shard` an unfinished one that lacks only its clips of these statuses; nothing happens
    where it has none, or no commit."""
    try:
        commit = commits.read(layout, shard.id)
    except FileNotFoundError:
        return
    if not can_be_retried(commit, statuses):
        return
    try:
        commits.publish(layout, commit)
        again = _Reopened(layout, shard, commit)
    except (BadTable, DamagedFile, FileNotFoundError):
        if commits.is_there(layout, commit):
            raise
        return  # another retry has reopened it just now
    try:
        again.write(statuses)
    except FileNotFoundError:
        if again.folder.is_dir():
            raise
    if again.folder.is_dir():  # else somebody else did all this first
        commits.withdraw(layout, commit)


class _Reopened:
    """One attempt, filled from what the shard has published."""

    def __init__(self, layout: Layout, shard: Shard, commit: Commit) -> None:
        self._shard = shard
        self._tables = {
            file.table: read_parquet(layout.published(file.table, shard.id), name=file.table)
            for file in commit.files
        }
        attempt = layout.new_attempt(shard.id)
        self.folder = layout.attempt(shard.id, attempt)
        self._journal = layout.journal(shard.id, attempt)

    def write(self, statuses: Collection[str]) -> None:
        failures = self._tables["failures"].to_pylist()
        with Journal(self._journal) as journal:
            for number, video in enumerate(self._shard.videos):
                settled = self._finished(journal, number, video.uri)
                of_video = [f for f in failures if f["uri"] == video.uri and _of_a_clip(f)]
                for row in of_video:
                    settled += row["clip_index"] != WHOLE_VIDEO
                    if row["status"] not in statuses:
                        key = ClipKey(video.uri, row["clip_index"])
                        what = (row["stage"], row["class"], row["message"], row["status"])
                        journal.write(Failed(key, *what))
                if not any(
                    row["clip_index"] == WHOLE_VIDEO and row["status"] in statuses
                    for row in of_video
                ):
                    whole = any(row["clip_index"] == WHOLE_VIDEO for row in of_video)
                    part = None if whole else self._end(number, video.uri)
                    journal.write(VideoRead(video.uri, settled, part))

    def _finished(self, journal: Journal, number: int, uri: str) -> int:
        """Parts of the video's finished clips; how many there are."""
        clips = _where(self._tables["clips"], uri=uri).select(["clip_id", "clip_index"])
        for clip in clips.to_pylist():
            clip_id, index = clip["clip_id"], clip["clip_index"]
            tables = {
                name: _where(table, clip_id=clip_id)
                for name, table in self._tables.items()
                if name not in OF_SHARD
            }
            tables["videos"] = _where(self._tables["videos"], uri=uri)
            asked = self._questions_of(clip_id)
            if asked.num_rows:
                tables["questions"] = asked
            part = write_part(self.folder, f"{number:04d}-{index:06d}.zip", tables)
            journal.write(Finished(ClipKey(uri, index), clip_id, part))
        return clips.num_rows

    def _questions_of(self, clip_id: str) -> pa.Table:
        questions = self._tables["questions"]
        asked = [clip_id in (ids or ()) for ids in questions["clip_ids"].to_pylist()]
        return questions.filter(pa.array(asked, pa.bool_()))

    def _end(self, number: int, uri: str) -> Part | None:
        row = _where(self._tables["videos"], uri=uri)
        return write_part(self.folder, f"{number:04d}-end.zip", {"videos": row})


def _of_a_clip(row: Mapping[str, str]) -> bool:
    return not row["stage"].startswith("question ")


def _where(table: pa.Table, **wanted: str) -> pa.Table:
    ((column, value),) = wanted.items()
    return table.filter(pc.equal(table[column], value))
