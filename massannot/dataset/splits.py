"""Train, val or test: the file of an export that a question goes to, and the side of a published
video.

A video is on one side with all its questions, or a model would be judged by videos that it was
trained on. A manifest's test rows are never trained on, by either way of splitting.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from massannot.counts import counted
from massannot.dataset.reading import Dataset
from massannot.errors import BadQuestion

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
PUBLISHED_VAL = 0.1
SplitBy = Literal["video_id", "split"]

Row = Mapping[str, Any]

# By the first word: "validation_unseen" is val. What has "test" in it anywhere is test.
_NAMES: Mapping[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
    **dict.fromkeys(("held", "heldout", "hold", "holdout"), "test"),
}


@dataclass(frozen=True)
class Splits:
    """The side of each video of a dataset's questions."""

    by: SplitBy
    val: float
    manifest: Mapping[str, Split]
    """The manifest's side of each video that has one: the side that is least trained on, where its
    questions disagree."""

    @classmethod
    def of(
        cls, rows: Sequence[Row], *, video_of: Mapping[str, str], by: SplitBy, val: float
    ) -> Splits:
        """`rows` of `questions`; `video_of`: video id by clip id and by address; `val`: share of
        the videos held out, where video_id decides."""
        sides: dict[str, Split] = {}
        for row in rows:
            side = _side(row)
            keys = (row["uri"], *(row["clip_ids"] or ()))
            for video_id in {video_of[key] for key in keys if key in video_of}:
                if side is not None:
                    sides[video_id] = max(sides.get(video_id, side), side, key=SPLITS.index)
        return cls(by, val, sides)

    def split(self, row: Row, video_id: str) -> Split:
        """Raises BadQuestion for a name that is none of the three, where the manifest decides."""
        if self.by == "split":
            if row["split"] and _side(row) is None:
                raise BadQuestion(
                    f"question {row['question_id']}: found split {row['split']!r}, expected one of "
                    f"{', '.join(_NAMES)}, or none, which is train; or --split-by video_id"
                )
            return self.manifest.get(video_id, "train")
        if self.manifest.get(video_id) == "test":
            return "test"
        return self._by_hash(video_id)

    def published(self, video_id: str) -> Split:
        """What the manifest says of the video, else what its bytes say."""
        return self.manifest.get(video_id) or self._by_hash(video_id)

    def _by_hash(self, video_id: str) -> Split:
        digest = hashlib.blake2b(video_id.encode(), digest_size=8).digest()
        return "val" if int.from_bytes(digest) < self.val * 2**64 else "train"

    def notes(self, pairs: Sequence[tuple[Row, Split]]) -> tuple[str, ...]:
        """Sentences on differences from the manifest's split. `pairs`: each row and its side."""
        test = [row for row, side in pairs if side == "test"]
        moved = [row for row in test if _side(row) != "test"]
        lost = [row for row, side in pairs if side == "train" and _side(row) == "val"]
        notes = []
        are = counted(len(pairs), "question is", many="questions are")
        if test:
            others = f", {len(moved)} of them by what another question says" if moved else ""
            notes.append(
                f"{len(test)} of {are} in the file test and not trained on: the manifest calls "
                f"their videos test{others}"
            )
        if lost:
            notes.append(
                f"{len(lost)} of {are} trained on that the manifest calls val; --split-by split "
                "holds them out"
            )
        return tuple(notes)


def splits_of_videos(dataset: Dataset) -> Splits:
    """By the identity of the videos, PUBLISHED_VAL of them held out: copies are on one side. Of
    clips and questions only what decides is read."""
    rows = dataset.columns("questions", ("uri", "clip_ids", "split"))
    rows = rows.filter(pc.is_valid(rows["split"]))
    video_of: dict[str, str] = {}
    if rows.num_rows:
        for key, name in (("clip_id", "clips"), ("uri", "clips"), ("uri", "videos")):
            found = dataset.columns(name, (key, "video_id")).drop_null()
            video_of |= zip(found[key].to_pylist(), found["video_id"].to_pylist(), strict=True)
    return Splits.of(rows.to_pylist(), video_of=video_of, by="video_id", val=PUBLISHED_VAL)


def with_splits(videos: pa.Table, splits: Splits) -> pa.Table:
    """Rows of `videos` with their `split`; null: the video was never read."""
    sides = [None if v is None else splits.published(v) for v in videos["video_id"].to_pylist()]
    index = videos.schema.get_field_index("split")
    return videos.set_column(index, videos.schema.field(index), pa.array(sides, pa.string()))


def _side(row: Row) -> Split | None:
    """The side in the row itself; None: no side that is known."""
    name = (row["split"] or "").casefold()
    if "test" in name:  # testA, testmini, unseen_test
        return "test"
    first = re.search(r"[a-z]+", name)
    return _NAMES.get(first[0]) if first else None
