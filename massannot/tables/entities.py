"""Entities: what was found; each keeps its number from its first to its last visible frame."""

from massannot.tables._spec import FLOAT32, INT32, STRING, Column, Reference, TableSpec

SPEC = TableSpec(
    name="entities",
    version=1,
    key=("clip_id", "entity"),
    doc="One row per thing found in a clip.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column("entity", INT32, "0.. within the clip, never used twice."),
        Column("phrase", INT32, "The phrase it answers, see phrases."),
        Column("first_frame", INT32, "First frame with a visible mask."),
        Column("last_frame", INT32, "Last frame with a visible mask, inclusive."),
        Column("score", FLOAT32, "Best detection score."),
        Column(
            "quality",
            FLOAT32,
            "0..1: how far to trust the tracks; from its parts below.",
            nullable=True,
        ),
        Column(
            "fb_error_px",
            FLOAT32,
            "Median forward-backward error of its points, source pixels.",
            nullable=True,
        ),
        Column(
            "in_mask_share",
            FLOAT32,
            "Share of visible points that lie inside the mask.",
            nullable=True,
        ),
        Column(
            "depth_valid_share",
            FLOAT32,
            "Share of visible points whose depth was measured.",
            nullable=True,
        ),
        Column(
            "points_alive_share",
            FLOAT32,
            "Share of (point, visible-mask frame) pairs in which the point is visible.",
            nullable=True,
        ),
        Column("mask_score", FLOAT32, "Mean mask score over visible frames.", nullable=True),
    ),
    references=(Reference(("clip_id", "phrase"), "phrases"),),
)
