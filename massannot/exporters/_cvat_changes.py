"""What people changed in CVAT, against what the dataset says: fixes, as a page's decision has them.

Only what differs is a fix. A box counts as the same within half a pixel, a mask if it is equal; in
a frame in which both changed, the mask stands. A box that ends, or begins, earlier says that the
thing is not seen there. A mask that is gone while its box stayed is to be made from the box. A
thing without any shape left is removed. A track without an entity is a thing that was missing.

Unusual: what the file left out when it was written is no change. `NAME.frames.json` says which
things it had, and of which rows; about rows that have changed since the file says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from massannot.counts import counted
from massannot.dataset.arrays import masks_by_frame
from massannot.dataset.reading import ClipView, Dataset
from massannot.dataset.reviews_of_run import hash_of_rows
from massannot.errors import UsageError
from massannot.geometry import rle
from massannot.models.recorded.cvat_files import TIMES_ENDING, CvatThing, film_of, things_of
from massannot.models.recorded.cvat_xml import CvatTask, read_task
from massannot.models.recorded.json_entries import Box
from massannot.models.recorded.recorded_videos import file_path, plain_name
from massannot.storage.json_text import our_own
from massannot.tables.reviews import Fix

SAME_BOX_PX = 0.5
"""Coordinates that differ by no more are equal: tools round."""


@dataclass(frozen=True)
class _Film:
    """What was written, as `NAME.frames.json` says."""

    n_pictures: int
    clips: Mapping[str, Sequence[int]]
    """Of each clip the pictures that are its frames."""
    things: Mapping[str, Sequence[int]]
    """Of each clip its entities."""
    masks: bool
    rows_hashes: Mapping[str, str]

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> _Film:
        """Raises KeyError, TypeError and ValueError."""
        return cls(
            n_pictures=len(written["pts"]),
            clips={c: _whole_numbers(p) for c, p in written["clips"].items()},
            things={c: _whole_numbers(written["things"][c]) for c in written["clips"]},
            masks=bool(written["masks"]),
            rows_hashes={c: str(written["rows_hashes"][c]) for c in written["clips"]},
        )


def _whole_numbers(values: Any) -> list[int]:
    """Raises TypeError."""
    if not isinstance(values, list) or any(type(value) is not int for value in values):
        raise TypeError("expected whole numbers")
    return values


@dataclass(frozen=True)
class ChangedClip:
    clip_id: str
    rows_hash: str
    """Of the rows that were written and still stand."""
    fixes: tuple[Fix, ...]


@dataclass(frozen=True)
class CvatChanges:
    """What one file changes."""

    clips: tuple[ChangedClip, ...]
    n_clips: int
    left_out: tuple[str, ...]
    """A sentence each."""


def changes_in(path: Path, dataset: Dataset) -> CvatChanges:
    """Raises UsageError for what is no file of one of the dataset's films as CVAT exports it, and
    for a label or an entity that the dataset does not have."""
    task = read_task(path)
    film = _checked_film(task, dataset)
    known, new = _things(task, film)
    names = {plain_name(text): text for text in dataset.table("phrases")["text"].to_pylist()}
    clips, left_out = [], [f"{n} {what}: not read" for what, n in sorted(task.left_out.items())]
    for clip_id, pictures in film.clips.items():
        view = dataset.clip(clip_id)
        rows_hash = hash_of_rows(view)
        if rows_hash != film.rows_hashes[clip_id]:
            left_out.append(f"clip {clip_id}: its rows have changed since; export it again")
            continue
        entities = set(view.table("entities")["entity"].to_pylist())
        if len(pictures) > len(view) or not entities.issuperset(film.things[clip_id]):
            raise UsageError(
                f"{path}: what lies beside it has other frames or things of clip {clip_id} than "
                "the dataset; export it again"
            )
        of_clip = _ComparedClip(view, pictures, film.masks, names)
        fixes = [
            fix
            for entity in film.things[clip_id]
            for fix in of_clip.changes(entity, known.get((clip_id, str(entity))))
        ]
        fixes += of_clip.added(new)
        if fixes:
            clips.append(ChangedClip(clip_id, rows_hash, tuple(fixes)))
    left_out += _between(task, film, [*known.values(), *new])
    return CvatChanges(tuple(clips), len(film.clips), tuple(left_out))


def _checked_film(task: CvatTask, dataset: Dataset) -> _Film:
    """What lies beside the file, which has to be of the same film and of this dataset."""
    written, name = film_of(task), f"{file_path(task.film).stem}{TIMES_ENDING}"
    if not written:
        raise UsageError(
            f"{task.path}: found no {name} beside it, expected the one that `massannot export "
            "cvat` wrote for its film"
        )
    with our_own(task.path.with_name(name), "export the dataset again, put the XML beside that"):
        film = _Film.of(written)
    if task.frames != range(film.n_pictures):
        raise UsageError(
            f"{task.path}: has {counted(len(task.frames), 'picture')} from {task.frames.start} on, "
            f"expected the {film.n_pictures} of the film beside it; is it the export of the "
            "whole task, of this film?"
        )
    ids = set(dataset.clip_ids)
    for clip_id in film.clips:
        if clip_id not in ids:
            raise UsageError(
                f"{task.path}: is about clip {clip_id}, which {dataset.layout.out} does not have; "
                "expected a film of this dataset"
            )
        row = dataset.clip(clip_id).row
        if (task.width, task.height) != (row["source_width"], row["source_height"]):
            raise UsageError(
                f"{task.path}: has pictures of {task.width}x{task.height}, expected those of clip "
                f"{clip_id}, {row['source_width']}x{row['source_height']}"
            )
    return film


def _things(
    task: CvatTask, film: _Film
) -> tuple[dict[tuple[str, str], CvatThing], list[CvatThing]]:
    """Things that were written, by clip and entity, and those that were missing."""
    known, new = {}, []
    for thing in things_of(task):
        if thing.key is None:
            new.append(thing)
            continue
        (clip_id, entity), where = thing.key, thing.tracks[0].where
        if clip_id and clip_id not in film.clips:
            raise UsageError(
                f"{where}: found clip {clip_id!r}, expected one of {[*film.clips][:5]}; is it the "
                "export of another film?"
            )
        if clip_id and entity in map(str, film.things[clip_id]):
            known[clip_id, entity] = thing
        elif entity.isdecimal():
            raise UsageError(
                f"{where}: found entity {entity} of clip {clip_id!r}, expected clip and entity of "
                "one that was written; those of a new thing are empty, or `entity` is a word"
            )
        else:
            new.append(thing)
    return known, new


@dataclass(frozen=True)
class _ComparedClip:
    """A clip as it stands, and its frames' numbers in the film."""

    view: ClipView
    pictures: Sequence[int]
    with_masks: bool
    """Whether the masks were written."""
    names: Mapping[str, str]
    """The dataset's phrases by plain_name."""

    @cached_property
    def _phrase_of(self) -> Mapping[int, str]:
        """What each entity answers."""
        of_rows = self.view.table("entities").to_pylist()
        return {row["entity"]: self.view.phrases[row["phrase"]] for row in of_rows}

    @cached_property
    def _masks(self) -> Mapping[int, Sequence[Mapping[str, Any] | None]]:
        """Of each entity its rows of `masks`, one a frame."""
        return masks_by_frame(self.view, set(self._phrase_of))

    def changes(self, entity: int, thing: CvatThing | None) -> Sequence[Fix]:
        """What a file changes of a thing; None: it has nothing of it any more."""
        if thing is None:
            return [{"kind": "remove", "entity": entity}]
        rows = self._masks[entity][: len(self.pictures)]
        fixes = [
            {"entity": entity, "frame": frame, **changed}
            for frame, (row, picture) in enumerate(zip(rows, self.pictures, strict=True))
            if (changed := self._change(row, thing, picture)) is not None
        ]
        n_seen = sum(row is not None and row["area"] > 0 for row in rows)
        if n_seen and [fix.get("mask") for fix in fixes] == [[]] * n_seen:
            return [{"kind": "remove", "entity": entity}]
        name = self._new_name(entity, thing)
        return fixes if name is None else [name, *fixes]

    def added(self, things: Sequence[CvatThing]) -> list[Fix]:
        """The things that were missing in this clip. A mask of its own, which no entity names, has
        no number: it is matched with others by its place."""
        fixes: list[Fix] = []
        loose: dict[str, str] = {}
        for thing in things:
            places = list(self._places(thing))
            if not any(change["kind"] == "box" or change["mask"] for _, change in places):
                continue
            name = self._only_name({self._name(t.label, t.where): t.where for t in thing.tracks})
            entity: int | None = -1 - sum(fix["kind"] == "name" for fix in fixes)
            if thing.key is None and not thing.boxes and len(thing.masks) == 1:
                entity = None
                loose[name] = thing.tracks[0].where
            named = {"kind": "name", "entity": entity, "name": name}
            fixes += [named] if named not in fixes else []
            fixes += [{"entity": entity, "frame": frame, **change} for frame, change in places]
        if loose:
            self._only_name(loose)
        return fixes

    def _change(self, row: Mapping[str, Any] | None, thing: CvatThing, picture: int) -> Fix | None:
        """What is put right in a frame; None: nothing."""
        mask, box = thing.masks.get(picture), _shown_box(thing, picture)
        now = row if row is not None and row["area"] else None
        if mask is not None and (row is None or not _is_same_mask(mask, row["counts"])):
            return {"kind": "mask", "mask": mask}
        if box is not None and (now is None or not _is_same(box, now)):
            return _box(box)
        if now is None:
            return None
        ended = picture in thing.boxes and box is None
        if ended or (box is None and mask is None):
            return {"kind": "mask", "mask": []}
        if mask is None and self.with_masks and box is not None:
            return _box(box)
        return None

    def _places(self, thing: CvatThing) -> Iterator[tuple[int, Fix]]:
        """The frames in which a thing that was missing is shown, or said not to be."""
        for frame, picture in enumerate(self.pictures):
            box = _shown_box(thing, picture)
            if picture in thing.masks:
                yield frame, {"kind": "mask", "mask": thing.masks[picture]}
            elif box is not None:
                yield frame, _box(box)
            elif picture in thing.boxes:
                yield frame, {"kind": "mask", "mask": []}

    def _new_name(self, entity: int, thing: CvatThing) -> Fix | None:
        """Of a thing whose label was changed, in some of its tracks or in all."""
        now = self._phrase_of[entity]
        labels = {t.label: t for t in thing.tracks if plain_name(t.label) != plain_name(now)}
        if not labels:
            return None
        (label, track), *others = labels.items()
        if others:
            raise UsageError(
                f"{track.where} is a {label!r} and {others[0][1].where} a {others[0][0]!r}, but "
                f"both are entity {entity}, {now!r} before; expected one new label"
            )
        return {"kind": "name", "entity": entity, "name": self._name(label, track.where)}

    @staticmethod
    def _only_name(wheres: Mapping[str, str]) -> str:
        """The one name of a thing's tracks, by names; or of the masks that no entity names."""
        (name, where), *others = wheres.items()
        if others:
            raise UsageError(
                f"{where} is {name!r} and {others[0][1]} {others[0][0]!r}, but the same word, or "
                "none, is their `entity`; expected another word for another thing"
            )
        return name

    def _name(self, label: str, where: str) -> str:
        if plain_name(label) not in self.names:
            few = sorted(self.names.values())[:20]
            raise UsageError(
                f"{where}: found label {label!r}, expected one of {few}; a phrase that nobody has "
                "asked for yet is added by `massannot annotate --onto OUT --add-phrase`"
            )
        return self.names[plain_name(label)]


def _box(box: Box) -> Fix:
    return {"kind": "box", "box": [round(side, 2) for side in box]}


def _shown_box(thing: CvatThing, picture: int) -> Box | None:
    shape = thing.boxes.get(picture)
    return None if shape is None or shape.outside else shape.box


def _is_same(box: Box, row: Mapping[str, Any]) -> bool:
    stands = [row[name] for name in ("x0", "y0", "x1", "y1")]
    return bool(np.abs(np.subtract(box, stands)).max() <= SAME_BOX_PX)


def _is_same_mask(counts: str, other: str) -> bool:
    """Pixel by pixel, however their runs are written."""
    n_pixels = rle.area(counts)
    return counts == other or (rle.area(other) == n_pixels == rle.intersection_area(counts, other))


def _between(task: CvatTask, film: _Film, things: Sequence[CvatThing]) -> Iterator[str]:
    """A sentence about boxes that were moved in pictures which are no frames of a clip."""
    frames = np.array(sorted({p for pictures in film.clips.values() for p in pictures}))
    moved = set()
    for thing in things:
        boxes = {p: box for p in thing.boxes if (box := _shown_box(thing, p)) is not None}
        for picture in {s.frame for t in thing.tracks for s in t.shapes} & boxes.keys():
            after = int(np.searchsorted(frames, picture))
            if not 0 < after < len(frames) or frames[after] == picture:
                continue
            ends = [int(frames[after - 1]), int(frames[after])]
            if all(end in boxes for end in ends):
                line = [np.interp(picture, ends, side) for side in zip(*map(boxes.get, ends))]
                if np.abs(np.subtract(boxes[picture], line)).max() > SAME_BOX_PX:
                    moved.add(picture)
    if moved:
        yield (
            f"boxes in pictures {sorted(moved)[:10]} of {task.film}, which were not annotated, say "
            "nothing; move those of the pictures before and after, which have key frames"
        )
