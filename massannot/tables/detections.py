"""Detections: every box the detector gave, also those that became no entity, with the reason."""

from massannot.tables._spec import FLOAT32, INT32, STRING, Column, Reference, TableSpec

REASONS = (
    "duplicate", "unconfirmed", "over_phrase_limit", "over_entity_limit", "empty_mask", "removed",
)  # fmt: skip
ORIGINS = ("given", "found")

SPEC = TableSpec(
    name="detections",
    version=1,
    key=("clip_id", "detection"),
    doc="One row per detected box.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column(
            "detection",
            INT32,
            "0.. within the clip, by frame, phrase, score; those added later come last.",
        ),
        Column("frame", INT32, "0.. within the clip's annotated frames."),
        Column("phrase", INT32, "The phrase it answers, see phrases."),
        Column("entity", INT32, "The entity it belongs to; null: rejected.", nullable=True),
        Column("x0", FLOAT32, "Left edge, source pixels."),
        Column("y0", FLOAT32, "Top edge."),
        Column("x1", FLOAT32, "Right edge, exclusive."),
        Column("y1", FLOAT32, "Bottom edge, exclusive."),
        Column("score", FLOAT32, "The detector's score, 0..1."),
        Column(
            "rejected",
            STRING,
            "Why it has no entity; removed: by a person; null: it has one.",
            nullable=True,
            one_of=REASONS,
        ),
        Column(
            "origin",
            STRING,
            "given: by a person or a file (of a point: the box of its mask); found: by a model; "
            "null: written before 0.3.",
            nullable=True,
            one_of=ORIGINS,
        ),
        Column(
            "track",
            INT32,
            "The thing's number in the file that gave the box, 0.. within a video; null: no file "
            "follows it.",
            nullable=True,
        ),
    ),
    references=(
        Reference(("clip_id", "frame"), "frames"),
        Reference(("clip_id", "phrase"), "phrases"),
        Reference(("clip_id", "entity"), "entities"),
    ),
)
