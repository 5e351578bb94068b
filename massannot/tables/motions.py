"""Motions: an entity's displacement over a segment. A segment's last position is the next one's
first, as in MASS's motion profile."""

from massannot.tables._spec import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT32,
    LIFTED_SCALE_TYPES,
    STRING,
    Column,
    Reference,
    TableSpec,
)

SPEC = TableSpec(
    name="motions",
    version=1,
    key=("clip_id", "entity", "segment", "reference"),
    doc="One row per entity, segment and frame of reference.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column("entity", INT32, "See entities."),
        Column("segment", INT32, "See segments."),
        Column(
            "reference",
            STRING,
            "camera: each position in its own frame's camera; world: in the clip's first camera.",
            one_of=("camera", "world"),
        ),
        Column(
            "scale_type", STRING, "Unit: metres, or one unknown factor.", one_of=LIFTED_SCALE_TYPES
        ),
        Column("first_x", FLOAT32, "First position."),
        Column("first_y", FLOAT32, "First position."),
        Column("first_z", FLOAT32, "First position."),
        Column("last_x", FLOAT32, "Last position = the next segment's first, where there is one."),
        Column("last_y", FLOAT32, "Last position = the next segment's first, where there is one."),
        Column("last_z", FLOAT32, "Last position = the next segment's first, where there is one."),
        Column("motion_x", FLOAT32, "Last minus first."),
        Column("motion_y", FLOAT32, "Last minus first."),
        Column("motion_z", FLOAT32, "Last minus first."),
        Column("path", FLOAT32, "Length of the path, debiased for measurement noise."),
        Column("t0_s", FLOAT64, "Time of the first position, seconds."),
        Column("t1_s", FLOAT64, "Time of the last position, seconds."),
        Column("sigma", FLOAT32, "Standard error of the displacement's length.", nullable=True),
        Column("quality", FLOAT32, "0..1, as in entities, over this segment.", nullable=True),
        Column(
            "above_noise",
            BOOL,
            "Path longer than what the background shows in the same time; null: noise unknown.",
            nullable=True,
        ),
    ),
    references=(
        Reference(("clip_id", "entity"), "entities"),
        Reference(("clip_id", "segment"), "segments"),
    ),
)
