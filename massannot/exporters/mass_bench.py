"""mass-bench: one line of JSON a question, with everything that was seen for it.

The files of MASS-Bench (arXiv 2511.18373) are unreleased: this is this project's own definition of
what the paper describes, "visual detections and grounding over sub-segments, as well as
full-sequence 3D motion tracking of entities". `questions.jsonl` holds the question, its answer and
category, and for each clip of its span: phrases, entities, detections, masks and motions by
sub-segment, point tracks in the picture and in space and positions over the whole clip, cameras,
and the motion profile as text; and over all of its clips the profile once more and `things`, each
identity with its way through the whole sequence, a frame that two clips share once.
`mass-bench.v1.json` beside it is the JSON Schema of a line.

Where people looked at questions (`massannot review`), a rejected one is left out, and an accepted
one stands as they reworded it, with their category, span and event sentence; `verified_by` says
who accepted it.

A line stands alone: a clip that answers two questions is in both their lines, each with the
entities that its own phrases (and -p) asked for. Floats are the shortest decimals that read back as
the same float32. A question that no clip answers has no clips and is there all the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, get_args

import pyarrow as pa
import pyarrow.compute as pc

from massannot import tables
from massannot.dataset.arrays import good_entities, rows_of_entities, short_rows
from massannot.dataset.question_verdicts import UNSEEN, QuestionVerdict, question_verdicts
from massannot.dataset.reading import ClipView, Dataset
from massannot.dataset.video_view import Reference, VideoView
from massannot.errors import BadQuestion, UsageError
from massannot.exporters import Exported, Options, quality_notes
from massannot.exporters._mass_bench_schema import (
    OF_CLIP,
    OF_SEGMENT,
    REFERENCES,
    SCHEMA_FILE,
    TEMPLATES,
    VERSION,
    schema_text,
)
from massannot.questions.profile import motion_profile
from massannot.questions.profile_blocks import Template
from massannot.questions.question_view import (
    names_over_clips,
    profile_tables,
    question_profile,
    reference_of,
)
from massannot.questions.reference import ReferenceChoice
from massannot.questions.shown_video import ShownVideo
from massannot.storage.json_text import parsed

FILE = "questions.jsonl"
TRACKS = ("tracks_xy", "tracks_xyz")
TABLES = ("questions", "clips", "segments", *OF_CLIP, *OF_SEGMENT, *TRACKS)
OF_WAY = ("clip_id", "frame", "t_s", "state", "scale_type")


@dataclass(frozen=True, kw_only=True)
class MassBenchOptions(Options):
    """`min_quality` also leaves motions out of the profile."""

    profile_template: Annotated[
        Template | None, "Only this motion profile, mass-v1 or mass-v2; else both."
    ] = None
    reference: Annotated[
        ReferenceChoice,
        "Frame of reference of the profile's motions: world, camera, or auto: the world where it "
        "is known.",
    ] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reference not in get_args(ReferenceChoice):
            raise UsageError(
                f"--reference {self.reference} with mass-bench: expected auto, world or camera"
            )
        if self.profile_template not in (None, *TEMPLATES):
            raise UsageError(
                f"--profile-template {self.profile_template} with mass-bench: expected "
                f"{' or '.join(TEMPLATES)}"
            )


OPTIONS = MassBenchOptions


def export(
    dataset: Dataset, folder: Path, *, options: MassBenchOptions = MassBenchOptions()
) -> Exported:
    """Write FILE and its schema. Raises UsageError for a dataset without questions."""
    questions = dataset.table_or_empty("questions")
    if not questions.num_rows:
        raise UsageError(
            f"{dataset.layout.out} holds no question, expected some; annotate a manifest "
            "with a column 'question'"
        )
    templates = TEMPLATES if options.profile_template is None else (options.profile_template,)
    clip = lru_cache(maxsize=8)(dataset.clip)
    folder.mkdir(parents=True, exist_ok=True)
    files = (folder / FILE, folder / SCHEMA_FILE)
    left_out = []
    verdicts = question_verdicts(dataset)
    with files[0].open("w", encoding="utf-8", newline="\n") as lines:
        for row in questions.to_pylist():
            verdict = verdicts.get(row["question_id"], UNSEEN)
            if not verdict.accepted:
                left_out.append(f"question {row['question_id']}: rejected by a reviewer")
                continue
            views = [clip(clip_id) for clip_id in row["clip_ids"] or ()]
            name = row["question_id"]
            if views and _is_of_another_video(row, views):
                left_out.append(
                    f"question {name}: found a video that is mirrored, reversed or cut short, "
                    "expected one as it was annotated"
                )
                continue
            found = [profile_tables(view, name) for view in views]
            of_clips = names_over_clips(dataset, views, found) if views else []
            clips = [
                _clip(view, name, options, templates, names)
                for view, names in zip(views, of_clips, strict=True)
            ]
            line = {
                "format": "mass-bench",
                "version": VERSION,
                **verdict.applied(row),
                "verified_by": list(verdict.verified_by),
                "event": verdict.edits.get("event"),
                "clips": clips,
                "things": list(_things(dataset, views, clips)) if views else [],
                "motion_profile": _profiles(dataset, views, name, options, templates),
            }
            lines.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
    files[1].write_text(schema_text(), encoding="utf-8")
    notes = (*_verified_notes(verdicts), *quality_notes(dataset, options))
    return Exported(files, tuple(left_out), notes)


def _verified_notes(verdicts: Mapping[str, QuestionVerdict]) -> tuple[str, ...]:
    """How many questions people looked at and left out; nothing where nobody looked."""
    rejected = sum(not verdict.accepted for verdict in verdicts.values())
    return (
        (f"questions looked at: {len(verdicts)}, of which {rejected} rejected and left out",)
        if verdicts
        else ()
    )


def load(folder: Path) -> dict[str, pa.Table]:
    """The tables of all lines. Raises UsageError for a folder that holds none, or newer ones."""
    path = folder / FILE
    rows: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {name: {} for name in TABLES}
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            item = parsed(line)
            kind = item.get("format"), item.get("version")
        except (ValueError, AttributeError) as error:
            raise UsageError(f"{path}, line {number}: not a JSON object: {error}") from error
        if kind != ("mass-bench", VERSION):
            raise UsageError(
                f"{path}, line {number}: found {kind[0]} version {kind[1]}, expected mass-bench "
                f"version {VERSION}"
            )
        for name, row in _rows_of(item):
            spec = tables.spec(name)
            row = {column: row.get(column) for column in spec.names}
            rows[name][tuple(row[column] for column in spec.key)] = row
    return {name: tables.spec(name).from_rows(list(item.values())) for name, item in rows.items()}


def _is_of_another_video(row: Mapping[str, Any], views: Sequence[ClipView]) -> bool:
    """Whether the question is about less than its clips show, or about them turned round."""
    shown = ShownVideo.of(row)
    last_s = views[-1].table("frames")["t_s"][-1].as_py()
    return shown.how is not None or (shown.until_s is not None and shown.until_s < last_s)


def _profiles(
    dataset: Dataset,
    views: Sequence[ClipView],
    question_id: str,
    options: MassBenchOptions,
    templates: Sequence[Template],
) -> dict[str, str] | None:
    """The profile over all clips, by template; None: without clips, or their units differ."""
    try:
        return {
            template: question_profile(
                dataset,
                views,
                question_id,
                template=template,
                reference=options.reference,
                min_quality=options.min_quality,
            )
            for template in (templates if views else ())
        } or None
    except BadQuestion:
        return None


def _things(
    dataset: Dataset, views: Sequence[ClipView], clips: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Each identity with a name in the clips: its entities, and its way over all of them."""
    names = {
        (clip["clip_id"], int(entity)): name
        for clip in clips
        for entity, name in clip["names"].items()
    }
    video = VideoView(dataset, views)
    rows = [r for r in video.entities().to_pylist() if (r["clip_id"], r["entity"]) in names]
    ways = {reference: video.tracks(reference=reference) for reference in REFERENCES}
    for identity in dict.fromkeys(row["identity"] for row in rows):
        entities = [
            {"clip_id": row["clip_id"], "entity": row["entity"]}
            for row in rows
            if row["identity"] == identity
        ]
        yield {
            "identity": identity,
            "name": names[entities[0]["clip_id"], entities[0]["entity"]],
            "entities": entities,
            "way": _way({name: ways[name] for name in REFERENCES}, entities),
        }


def _way(
    ways: Mapping[Reference, pa.Table], entities: Sequence[Mapping[str, Any]]
) -> dict[str, list[Any]]:
    """Lists with an item a frame, of the rows of some entities."""
    wanted = {(each["clip_id"], each["entity"]) for each in entities}
    some = ways["camera"]
    pairs = zip(some["clip_id"].to_pylist(), some["entity"].to_pylist(), strict=True)
    mine = pa.array([pair in wanted for pair in pairs], pa.bool_())
    lists = {name: some[name].filter(mine).to_pylist() for name in OF_WAY}
    for reference, table in ways.items():
        for axis in "xyz":
            short = pa.table({"it": table[axis].filter(mine).cast(pa.float32())})
            lists[f"{axis}_{reference}"] = [row["it"] for row in short_rows(short)]
    return lists


def _clip(
    view: ClipView,
    question_id: str,
    options: MassBenchOptions,
    templates: Sequence[Template],
    names: Mapping[int, str],
) -> dict[str, Any]:
    """One clip as data of one question."""
    min_quality = options.min_quality
    reference = reference_of([view], options.reference)
    of_question = profile_tables(view, question_id, min_quality=min_quality)
    numbers = set(of_question["phrases"]["phrase"].to_pylist())
    entities = good_entities(view, min_quality=min_quality)
    entities &= set(of_question["entities"]["entity"].to_pylist())
    of_entities = ("entities", "masks", *TRACKS)
    of_clip = {name: rows_of_entities(view, name, entities) for name in of_entities}
    of_clip |= {name: of_question[name] for name in ("phrases", "motions", "positions")}
    of_clip |= {name: view.table(name) for name in ("frames", "cameras")}
    of_clip["detections"] = _of_detections(view.table("detections"), numbers, entities)
    return {
        **_without_clip(view.table("clips"))[0],
        "clip_id": view.clip_id,
        **{name: _without_clip(of_clip[name]) for name in OF_CLIP},
        "names": {str(entity): names[entity] for entity in sorted(entities)},
        "segments": _segments(view, of_clip),
        "tracks": _tracks(of_clip["tracks_xy"], of_clip["tracks_xyz"]),
        "profile_reference": reference,
        "motion_profile": {
            template: motion_profile(
                of_question,
                template=template,
                reference=reference,
                min_quality=min_quality,
                names=names,
            )
            for template in templates
        },
    }


def _of_detections(table: pa.Table, phrases: set[int], entities: set[int]) -> pa.Table:
    """Boxes of the phrases: those of the entities, and the rejected ones with their reason."""
    of_phrases = pa.array(sorted(phrases), table["phrase"].type)
    detections = table.filter(pc.is_in(table["phrase"], value_set=of_phrases))
    wanted = pa.array(sorted(entities), detections["entity"].type)
    of_entities = pc.is_in(detections["entity"], value_set=wanted)
    return detections.filter(pc.or_(of_entities, pc.is_null(detections["entity"])))


def _segments(view: ClipView, of_clip: Mapping[str, pa.Table]) -> list[dict[str, Any]]:
    """Each sub-segment with what was seen in its frames. Raises UsageError when there are none."""
    segments = _without_clip(view.table("segments"))
    if not segments:
        raise UsageError(f"clip {view.clip_id} has no segments, expected sub-segments of a clip")
    for segment in segments:
        for name in OF_SEGMENT:
            segment[name] = _without_clip(of_clip[name].filter(_inside(of_clip[name], segment)))
    return segments


def _inside(table: pa.Table, segment: Mapping[str, Any]) -> pa.ChunkedArray:
    if "segment" in table.column_names:
        return pc.equal(table["segment"], segment["segment"])
    after = pc.greater_equal(table["frame"], segment["first_frame"])
    return pc.and_(after, pc.less(table["frame"], segment["end_frame"]))


def _tracks(in_picture: pa.Table, in_space: pa.Table) -> list[dict[str, Any]]:
    """Each point's path in the picture and, where it was lifted, in space."""
    lifted = {(row["entity"], row["point"]): row for row in _without_clip(in_space)}
    return [
        {
            "entity": row.pop("entity"),
            "point": row.pop("point"),
            "xy": row,
            "xyz": _without(lifted.get(key), "entity", "point"),
        }
        for row in _without_clip(in_picture)
        for key in [(row["entity"], row["point"])]
    ]


def _without(row: Mapping[str, Any] | None, *names: str) -> dict[str, Any] | None:
    return None if row is None else {name: row[name] for name in row if name not in names}


def _without_clip(table: pa.Table) -> list[dict[str, Any]]:
    return short_rows(table.drop_columns(["clip_id"]))


def _rows_of(line: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(table, row) of everything in a line; what is no column is left to the caller to drop."""
    rows: list[tuple[str, dict[str, Any]]] = [("questions", dict(line))]
    for clip in line["clips"]:
        own = {"clip_id": clip["clip_id"]}
        rows.append(("clips", clip))
        rows += [(name, row | own) for name in OF_CLIP for row in clip[name]]
        for segment in clip["segments"]:
            rows.append(("segments", segment | own))
            rows += [(name, row | own) for name in OF_SEGMENT for row in segment[name]]
        for track in clip["tracks"]:
            key = own | {"entity": track["entity"], "point": track["point"]}
            rows.append(("tracks_xy", track["xy"] | key))
            if track["xyz"] is not None:
                rows.append(("tracks_xyz", track["xyz"] | key))
    return rows
