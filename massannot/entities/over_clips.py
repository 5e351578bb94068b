"""Who is who over the clips of a video: the table `identities`, from the tables of finished clips.

Clips cut from one span and shot share a frame: the last of the earlier is the first of the later.
Both have masks of it, made apart; entities whose masks overlap there are one thing, one to one:
those of one phrase by less, since detectors confuse phrases more often than masks confuse things.
A thing of the earlier clip that was out of sight there is known again in the later one by phrase
and looks, as within a clip, if nothing else could be it. Whatever returns later still, or after a
cut, or may be one of several, begins an identity: that it is one of those before is proposed, with
a score, and never taken over.

The rows follow from the clips' rows alone, whatever the order in which the clips were made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from massannot import tables
from massannot.dataset.touching import with_earlier
from massannot.entities.identity import CLEARLY
from massannot.geometry import rle
from massannot.geometry.appearance import F32, similarity
from massannot.geometry.assignment import F64, best_pairs

ReadTable = Callable[[str], pa.Table]
"""A clip's rows of a table by its name; no rows where it has none."""
Row = dict[str, Any]

LEAST_LIKENESS = 0.75
"""Of a thing that is one seen before; see IdentityOptions.same_look."""
LEAST_OVERLAP = 0.3
"""Of the two masks of a shared frame. Low, since the assignment is one-to-one; see
IdentityOptions.same_overlap."""
LEAST_OVERLAP_OF_OTHERS = 0.7
"""The same of things that the two clips give different phrases; see
IdentityOptions.duplicate_overlap."""


def identities(clips: Iterable[ReadTable]) -> pa.Table:
    """The table `identities` of finished clips, all clips of a video among them. Reads the masks of
    shared frames only, two clips at a time."""
    videos: dict[str, list[_Clip]] = defaultdict(list)
    for read in clips:
        clip = _Clip.of(read)
        videos[clip.video_id].append(clip)
    rows = [row for of_video in videos.values() for row in _rows(of_video)]
    return tables.spec("identities").from_rows(rows)


def identities_beside(clips: Iterable[ReadTable], *, standing: pa.Table) -> pa.Table:
    """The same where some entities have rows already, which stay as they are: the others, found for
    other phrases, are linked among themselves and numbered after them."""
    columns = (standing[name].to_pylist() for name in ("clip_id", "entity"))
    known = set(zip(*columns, strict=True))
    first: dict[str, int] = defaultdict(int)
    for video, number in zip(*(standing[n].to_pylist() for n in ("video_id", "identity"))):
        first[video] = max(first[video], number + 1)
    new = identities(partial(_new_rows, read, known) for read in clips).to_pylist()
    for row in new:
        row["identity"] += first[row["video_id"]]
        if row["proposed_identity"] is not None:
            row["proposed_identity"] += first[row["video_id"]]
    return pa.concat_tables([standing, tables.spec("identities").from_rows(new)])


def _new_rows(read: ReadTable, known: set[tuple[str, int]], name: str) -> pa.Table:
    """A clip's rows of a table without those of known entities."""
    table = read(name)
    if "entity" not in table.column_names:
        return table
    columns = (table[column].to_pylist() for column in ("clip_id", "entity"))
    return table.filter(pa.array([key not in known for key in zip(*columns)], pa.bool_()))


@dataclass
class _Clip:
    """What links a clip with others, and the identity of each of its entities so far."""

    read: ReadTable
    row: Row
    """Of `clips`."""
    shared_pts: int | None
    """Of its last frame, where a later clip begins with it."""
    texts: dict[int, str]
    """Entity to phrase."""
    looks: dict[int, F32]
    """Of entities that were looked at."""
    identity: dict[int, int] = field(default_factory=dict)
    links: dict[int, tuple[str, str, int, float]] = field(default_factory=dict)
    """Entity to (how, clip_id, entity, overlap or likeness)."""
    proposals: dict[int, tuple[int, float]] = field(default_factory=dict)
    """Entity to (identity, likeness)."""

    @classmethod
    def of(cls, read: ReadTable) -> _Clip:
        (row,) = read("clips").to_pylist()
        last = read("frames").slice(row["n_frames"] - 1).to_pylist()[0]
        texts = {p["phrase"]: p["text"] for p in read("phrases").to_pylist()}
        found = read("entities").select(["entity", "phrase"]).to_pylist()
        of_entity = {entity["entity"]: texts[entity["phrase"]] for entity in found}
        looks = {r["entity"]: np.array(r["look"], np.float32) for r in read("looks").to_pylist()}
        return cls(read, row, last["pts"] if last["shared"] else None, of_entity, looks)

    @property
    def clip_id(self) -> str:
        return str(self.row["clip_id"])

    @property
    def video_id(self) -> str:
        return str(self.row["video_id"])

    def take(self, entity: int, earlier: _Clip, of: int, *, how: str, score: float) -> None:
        """`entity` is entity `of` of a clip that ends where this one begins."""
        self.identity[entity] = earlier.identity[of]
        self.links[entity] = how, earlier.clip_id, of, score

    def masks(self, frame: int) -> dict[int, str]:
        """Run lengths of the entities that are seen in a frame."""
        masks = self.read("masks")
        here = masks.filter(
            pc.and_(pc.equal(masks["frame"], frame), pc.equal(masks["state"], "visible"))
        )
        columns = (here[name].to_pylist() for name in ("entity", "counts", "area"))
        return {entity: counts for entity, counts, area in zip(*columns, strict=True) if area}


def _rows(clips: Sequence[_Clip]) -> Iterator[Row]:
    """The rows of one video."""
    n_identities = 0
    known = _Known()
    for clip, befores in with_earlier(clips):
        for before in befores:
            _link(before, clip)
        known.recognize(clip, befores)
        for entity in sorted(clip.texts):
            if entity not in clip.identity:
                clip.identity[entity] = n_identities
                n_identities += 1
        known.add(clip)
        for entity, identity in sorted(clip.identity.items()):
            proposed, likeness = clip.proposals.get(entity, (None, None))
            how, from_clip, from_entity, score = clip.links.get(entity, ("first", None, None, None))
            yield {
                "video_id": clip.video_id,
                "clip_id": clip.clip_id,
                "entity": entity,
                "identity": identity,
                "linked_from_clip_id": from_clip,
                "linked_from_entity": from_entity,
                "how": how,
                "score": score,
                "proposed_identity": proposed,
                "proposed_score": likeness,
            }


class _Known:
    """The identities of a video so far, with their looks; those that were proposed to be one are
    one here, so that two things of a clip are not proposed to be one thing."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}
        self._looks: dict[int, list[F32]] = defaultdict(list)
        self._root: dict[int, int] = {}

    def recognize(self, clip: _Clip, befores: Sequence[_Clip]) -> None:
        """For entities of `clip` that no mask links: identities of their phrase that are not in it,
        one to one, by the greatest likeness to any entity of theirs. One that a clip of `befores`
        has and that stands alone is taken over, another is proposed."""
        new = [e for e in sorted(clip.looks) if e not in clip.identity]
        here = {self._root[identity] for identity in clip.identity.values()}
        old = [identity for identity in sorted(self._looks) if identity not in here]
        if not new or not old:
            return
        likeness = np.array(
            [
                [
                    max(similarity(look, clip.looks[entity]) for look in self._looks[identity])
                    if self._texts[identity] == clip.texts[entity]
                    else np.nan
                    for identity in old
                ]
                for entity in new
            ]
        )
        for row, column in zip(*best_pairs(likeness, least=LEAST_LIKENESS), strict=True):
            entity, root, score = new[row], old[column], float(likeness[row, column])
            last = self._in(befores, root)
            if last is not None and _stands_alone(likeness, row, column):
                clip.take(entity, *last, how="look", score=score)
            else:
                clip.proposals[entity] = root, score

    def _in(self, clips: Sequence[_Clip], root: int) -> tuple[_Clip, int] | None:
        """The clip and the entity that are a thing; None: it is in none of them."""
        for clip in clips:
            for entity, identity in sorted(clip.identity.items()):
                if self._root[identity] == root:
                    return clip, entity
        return None

    def add(self, clip: _Clip) -> None:
        """Remember the clip's entities, all of which have an identity."""
        for entity, identity in sorted(clip.identity.items()):
            proposed = clip.proposals.get(entity)
            root = self._root.setdefault(identity, identity if proposed is None else proposed[0])
            self._texts.setdefault(root, clip.texts[entity])
            if entity in clip.looks:
                self._looks[root].append(clip.looks[entity])


def _stands_alone(likeness: F64, row: int, column: int) -> bool:
    """Whether everything else in a row and a column is less alike by CLEARLY. NaN: no likeness."""
    others = np.append(np.delete(likeness[row], column), np.delete(likeness[:, column], row))
    return not (others > likeness[row, column] - CLEARLY).any()


def _link(earlier: _Clip, later: _Clip) -> None:
    """Give entities of `later` the identities of those of `earlier` that they are."""
    before, after = earlier.masks(earlier.row["n_frames"] - 1), later.masks(0)
    taken = set(later.identity.values())
    old = [e for e in sorted(before) if earlier.identity[e] not in taken]
    new = [e for e in sorted(after) if e not in later.identity]
    if not old or not new:
        return

    def overlap_of(a: int, b: int) -> float:
        overlap = rle.iou(before[a], after[b])
        same_phrase = earlier.texts[a] == later.texts[b]
        return overlap if same_phrase or overlap >= LEAST_OVERLAP_OF_OTHERS else np.nan

    overlap = np.array([[overlap_of(a, b) for b in new] for a in old])
    for row, column in zip(*best_pairs(overlap, least=LEAST_OVERLAP), strict=True):
        score = float(overlap[row, column])
        later.take(new[column], earlier, old[row], how="shared_frame", score=score)
