"""JSON Schema of a line of a mass-bench export, generated from the tables it is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from massannot.dataset.video_view import Reference
from massannot.questions.profile_blocks import Template
from massannot.tables._json_schema import row_schema

VERSION = 1
SCHEMA_FILE = f"mass-bench.v{VERSION}.json"

OF_SEGMENT = ("detections", "masks", "motions")
OF_CLIP = ("frames", "phrases", "entities", "cameras", "positions")

TEMPLATES: tuple[Template, ...] = ("mass-v1", "mass-v2")
REFERENCES: tuple[Reference, ...] = ("camera", "world")


def schema_text() -> str:
    """The schema as it is written beside the lines."""
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
            "motion_profile": _texts("The clip's motions as text, by template."),
        },
    )
    whole = _texts(
        "The motions of all clips as one text, by template; null: no clip, or units that differ."
    )
    line = _object(
        row_schema("questions"),
        {
            "format": {"const": "mass-bench"},
            "version": {"const": VERSION},
            "verified_by": {
                **_list({"type": "string"}),
                "description": "Who looked at the question and accepted it; empty: nobody looked.",
            },
            "event": {
                "type": ["string", "null"],
                "description": "What happens, as a sentence of a reviewer's.",
            },
            "clips": _list(clip),
            "things": _list(_thing_schema()),
            "motion_profile": {**whole, "type": ["object", "null"]},
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


def _texts(description: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in TEMPLATES},
        "additionalProperties": False,
        "description": description,
    }


def _thing_schema() -> dict[str, Any]:
    number, text = {"type": ["number", "null"]}, {"type": "string"}
    place = {f"{axis}_{name}": _list(number) for name in REFERENCES for axis in "xyz"}
    way = {"clip_id": _list(text), "frame": _list({"type": "integer"})}
    way |= {"t_s": _list({"type": "number"}), "state": _list(text), "scale_type": _list(text)}
    entity = {"clip_id": text, "entity": {"type": "integer"}}
    described = _object({"properties": {}}, {**way, **place})
    described["description"] = (
        "Its positions over all clips, an item a frame, shared frames once. camera: in the camera "
        "of that frame; world: in the first camera of the first of the clips that touch, and in "
        "that clip's unit; null where it is not known."
    )
    return _object(
        {"properties": {}},
        {
            "identity": {"type": "integer", "description": "See identities."},
            "name": {**text, "description": "What the motion profile calls it."},
            "entities": _list(_object({"properties": {}}, entity)),
            "way": described,
        },
    )


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
