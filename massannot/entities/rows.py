"""The tables of finished tracks: `entities`, `looks`, `masks`, `detections` decided, `phrases`
counted.

Entities are numbered by first frame, phrase, best score, place: the same numbers whatever order
the detector used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from massannot import tables
from massannot.clip import Clip
from massannot.entities.track import EntityTrack
from massannot.geometry.presence import HIDDEN, LEFT, LOST, SEEN, MaskPath, presence_of_all

STATE_OF = {SEEN: "visible", HIDDEN: "occluded", LEFT: "absent", LOST: "absent"}
"""What `masks` calls a presence."""


def with_entities(
    clip: Clip, tracks: Sequence[EntityTrack], *, reasons: Mapping[int, str], origin: str
) -> Clip:
    """`clip` with the five tables. `reasons`: why a row of `detections` has no entity. `origin` of
    the masks that no person drew: given or propagated."""
    numbered = sorted(tracks, key=_order)
    entity_of = {s.detection: n for n, track in enumerate(numbered) for s in track.sightings}
    entities = [_entity_row(clip.clip_id, n, track) for n, track in enumerate(numbered)]
    spec = tables.spec("entities")
    clip = clip.with_table("entities", spec.from_rows(entities) if entities else spec.empty())
    clip = clip.with_table("looks", _looks_table(clip.clip_id, numbered))
    clip = clip.with_table("masks", _masks_table(clip, numbered, origin))
    boxes = {s.detection: s.mask.box_xyxy for track in numbered for s in track.sightings}
    detections = _with_boxes_of_points(clip.table("detections"), boxes)
    clip = clip.with_table("detections", _decided(detections, entity_of, reasons))
    return clip.with_table("phrases", _counted(clip.table("phrases"), numbered))


def _order(track: EntityTrack) -> tuple[float, ...]:
    first = track.visible_frames[0]
    return (first, track.phrase, -track.score, *(track.masks[first].box_xyxy or ()))


def _entity_row(clip_id: str, number: int, track: EntityTrack) -> dict[str, Any]:
    visible = track.visible_frames
    return {
        "clip_id": clip_id,
        "entity": number,
        "phrase": track.phrase,
        "first_frame": visible[0],
        "last_frame": visible[-1],
        "score": track.score,
        "mask_score": float(np.mean([track.masks[frame].score for frame in visible])),
    }


def _looks_table(clip_id: str, tracks: Sequence[EntityTrack]) -> pa.Table:
    """Each entity's mean look; none for one whose sightings were not looked at."""
    rows = []
    for number, track in enumerate(tracks):
        looks = [sighting.look for sighting in track.sightings if sighting.look.size]
        if looks:
            mean = np.mean(looks, axis=0, dtype=np.float64)
            look = (mean / np.linalg.norm(mean)).astype(np.float32)
            rows.append({"clip_id": clip_id, "entity": number, "look": look})
    return tables.spec("looks").from_rows(rows)


def _masks_table(clip: Clip, tracks: Sequence[EntityTrack], origin: str) -> pa.Table:
    rows = [
        (number, frame, track.masks[frame])
        for number, track in enumerate(tracks)
        for frame in sorted(track.masks)
    ]
    masks = [mask for _, _, mask in rows]
    presences = presence_of_all(
        {number: _path(track, len(clip)) for number, track in enumerate(tracks)},
        height=clip.frames.source_height,
        width=clip.frames.source_width,
        area=clip.frames.area,
    )
    no_box = (np.nan,) * 4
    first_seen = [track.visible_frames[0] for track in tracks]
    boxes = np.array([mask.box_xyxy or no_box for mask in masks], np.float64).reshape(-1, 4)
    return tables.spec("masks").from_columns(
        {
            "clip_id": [clip.clip_id] * len(rows),
            "entity": [number for number, _, _ in rows],
            "frame": [frame for _, frame, _ in rows],
            "height": [clip.frames.source_height] * len(rows),
            "width": [clip.frames.source_width] * len(rows),
            "counts": [mask.counts for mask in masks],
            "area": [mask.area for mask in masks],
            **{name: boxes[:, i] for i, name in enumerate(("x0", "y0", "x1", "y1"))},
            "score": [mask.score for mask in masks],
            "state": [
                STATE_OF[presences[number][frame]] if frame >= first_seen[number] else "absent"
                for number, frame, _ in rows
            ],
            "origin": ["given" if mask.given else origin for mask in masks],
        }
    )


def _path(track: EntityTrack, n_frames: int) -> MaskPath:
    rows = (
        (frame, mask.counts, mask.box_xyxy, mask.area, mask.score)
        for frame, mask in track.masks.items()
    )
    return MaskPath.of(n_frames, rows)


def _decided(
    detections: pa.Table, entity_of: Mapping[int, int], reasons: Mapping[int, str]
) -> pa.Table:
    """Every detection with its entity, or the reason why it has none."""
    numbers = detections["detection"].to_pylist()
    given = detections["rejected"].to_pylist()
    entity = [entity_of.get(number) for number in numbers]
    rejected = [
        None if number in entity_of else (reason or reasons[number])
        for number, reason in zip(numbers, given)
    ]
    columns = {name: detections[name] for name in detections.column_names}
    return tables.spec("detections").from_columns(
        {**columns, "entity": entity, "rejected": rejected}
    )


def _with_boxes_of_points(
    detections: pa.Table, boxes: Mapping[int, tuple[int, int, int, int] | None]
) -> pa.Table:
    """`detections` with the box of its mask for each row that is a point. `boxes` by row."""
    x0, y0, x1, y1 = (detections[side].to_numpy() for side in ("x0", "y0", "x1", "y1"))
    points = np.flatnonzero((x0 == x1) & (y0 == y1))
    if not len(points):
        return detections
    rows = detections.to_pylist()
    for n in points:
        box = boxes.get(rows[n]["detection"])
        if box is not None:
            rows[n].update(zip(("x0", "y0", "x1", "y1"), box, strict=True))
    return tables.spec("detections").from_rows(rows)


def _counted(phrases: pa.Table, tracks: Sequence[EntityTrack]) -> pa.Table:
    """`phrases` with the entities of each text: two questions may ask for the same."""
    texts = phrases["text"].to_pylist()
    per_text = Counter(texts[track.phrase] for track in tracks)
    index = phrases.schema.get_field_index("n_entities")
    counts = pa.array([per_text[text] for text in texts], pa.int32())
    return phrases.set_column(index, phrases.schema.field(index), counts)
