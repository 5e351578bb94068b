"""mass-bench: one line of JSON a question, with everything that was seen for it.

The files of MASS-Bench (arXiv 2511.18373) are unreleased: this is this project's own definition of
what the paper describes, "visual detections and grounding over sub-segments, as well as
full-sequence 3D motion tracking of entities". `questions.jsonl` holds the question, its answer and
category, and for each clip of its span: phrases, entities, detections, masks and motions by
sub-segment, point tracks in the picture and in space and positions over the whole clip, cameras,
and the motion profile as text. `mass-bench.v1.json` beside it is the JSON Schema of a line.

A line stands alone: a clip that answers two questions is in both their lines, each with the
entities that its own phrases (and -p) asked for. Floats are the shortest decimals that read back as
the same float32. A question that no clip answers has no clips and is there all the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, get_args

import pyarrow as pa
import pyarrow.compute as pc

from massannot import tables
from massannot.dataset.arrays import good_entities, rows_of_entities, short_rows
from massannot.dataset.reading import ClipView, Dataset
from massannot.errors import UsageError
from massannot.exporters import Exported, Options, quality_notes
from massannot.questions.profile import Template, entity_names, motion_profile
from massannot.questions.question_view import profile_tables, reference_of
from massannot.questions.reference import ReferenceChoice
from massannot.tables._json_schema import row_schema

VERSION = 1
FILE = "questions.jsonl"
SCHEMA_FILE = f"mass-bench.v{VERSION}.json"

OF_SEGMENT = ("detections", "masks", "motions")
OF_CLIP = ("frames", "phrases", "entities", "cameras", "positions")
TRACKS = ("tracks_xy", "tracks_xyz")
TABLES = ("questions", "clips", "segments", *OF_CLIP, *OF_SEGMENT, *TRACKS)

TEMPLATES: tuple[Template, ...] = ("mass-v1", "mass-v2")


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
    with files[0].open("w", encoding="utf-8", newline="\n") as lines:
        for row in questions.to_pylist():
            clips = [
                _clip(clip(clip_id), row["question_id"], options, templates)
                for clip_id in row["clip_ids"] or ()
            ]
            line = {"format": "mass-bench", "version": VERSION, **row, "clips": clips}
            lines.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
    files[1].write_text(schema_text(), encoding="utf-8")
    return Exported(files, notes=quality_notes(dataset, options))


def load(folder: Path) -> dict[str, pa.Table]:
    """The tables of all lines. Raises UsageError for a folder that holds none, or newer ones."""
    path = folder / FILE
    rows: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {name: {} for name in TABLES}
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        item = json.loads(line)
        if (item.get("format"), item.get("version")) != ("mass-bench", VERSION):
            raise UsageError(
                f"{path}, line {number}: found {item.get('format')} version "
                f"{item.get('version')}, expected mass-bench version {VERSION}"
            )
        for name, row in _rows_of(item):
            spec = tables.spec(name)
            row = {column: row.get(column) for column in spec.names}
            rows[name][tuple(row[column] for column in spec.key)] = row
    return {name: tables.spec(name).from_rows(list(item.values())) for name, item in rows.items()}


def _clip(
    view: ClipView, question_id: str, options: MassBenchOptions, templates: Sequence[Template]
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
    names = entity_names(of_question)
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
                of_question, template=template, reference=reference, min_quality=min_quality
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


def schema_text() -> str:
    """JSON Schema of a line; generated, like those of the tables it is made of."""
    return json.dumps(_schema(), indent=2, ensure_ascii=False) + "\n"


def _schema() -> dict[str, Any]:
    segment = _object(
        row_schema("segments", without=("clip_id",)),
        {name: _list(row_schema(name, without=("clip_id",))) for name in OF_SEGMENT},
    )
    key = ("clip_id", "entity", "point")
    tracked = row_schema("tracks_xy")["properties"]
    track = _object(
        {"properties": {name: tracked[name] for name in ("entity", "point")}},
        {
            "xy": row_schema("tracks_xy", without=key),
            "xyz": {**row_schema("tracks_xyz", without=key), "type": ["object", "null"]},
        },
    )
    texts = {name: {"type": "string"} for name in TEMPLATES}
    clip = _object(
        row_schema("clips"),
        {
            **{name: _list(row_schema(name, without=("clip_id",))) for name in OF_CLIP},
            "names": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "What the motion profile calls each entity.",
            },
            "segments": _list(segment),
            "tracks": _list(track),
            "profile_reference": {
                "type": "string",
                "enum": ["camera", "world"],
                "description": "Frame of reference of the motion profile: each position's own "
                "camera, or the clip's first one.",
            },
            "motion_profile": {
                "type": "object",
                "properties": texts,
                "additionalProperties": False,
                "description": "The clip's motions as text, by template.",
            },
        },
    )
    line = _object(
        row_schema("questions"),
        {
            "format": {"const": "mass-bench"},
            "version": {"const": VERSION},
            "clips": _list(clip),
        },
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mass-bench",
        "description": "One line a question. This project's own definition: the files of MASS-Bench"
        " (arXiv 2511.18373) are unreleased. Columns mean what schemas/<table>.v<N>.json says.",
        "x-version": VERSION,
        **line,
    }


def _object(row: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    properties = {**row["properties"], **more}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


def _list(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(item)}
