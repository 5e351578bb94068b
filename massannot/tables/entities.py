"""Entities: what was found; each keeps its number from its first to its last visible frame."""

from massannot.tables._spec import (
    FLOAT32,
    INT32,
    INTERVAL_BASES,
    STRING,
    Column,
    Reference,
    TableSpec,
)

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
            "0..1: the probability that its position in a frame in which it is seen lies within "
            "5 % of its distance from the truth; a frame without a position counts as wrong.",
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
        Column(
            "measured_share",
            FLOAT32,
            "Share of the frames with a visible mask that have a measured position.",
            nullable=True,
        ),
        Column(
            "range_rel_sd",
            FLOAT32,
            "Relative standard deviation along the ray that all its positions share.",
            nullable=True,
        ),
        Column(
            "quality_basis",
            STRING,
            "Ground of quality: calibrated; internal: ranks, but is no probability; none.",
            nullable=True,
            one_of=INTERVAL_BASES,
        ),
    ),
    references=(Reference(("clip_id", "phrase"), "phrases"),),
)
