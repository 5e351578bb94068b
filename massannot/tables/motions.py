"""Motions: an entity's displacement over a segment. A segment's last position is the next one's
first, as in MASS's motion profile."""

import pyarrow as pa
import pyarrow.compute as pc

from massannot.tables._spec import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT32,
    INTERVAL_BASES,
    INTERVAL_LEVELS,
    LIFTED_SCALE_TYPES,
    STRING,
    Column,
    Reference,
    TableSpec,
    half_widths,
    list_of,
)


def _bounds(name: str, text: str) -> tuple[Column, ...]:
    return tuple(
        Column(f"{name}_{bound}_{level}", FLOAT32, f"{level} % interval of {text}.", nullable=True)
        for level in INTERVAL_LEVELS
        for bound in ("low", "high")
    )


def _from_1(table: pa.Table) -> pa.Table:
    """Version 1 had a standard error that knew only jitter."""
    return table.drop_columns(["sigma"])


UPGRADES = {1: _from_1}

SPEC = TableSpec(
    name="motions",
    version=2,
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
        Column("quality", FLOAT32, "0..1, as in entities, over this segment.", nullable=True),
        Column(
            "above_noise",
            BOOL,
            "Path longer than what the background shows in the same time; null: noise unknown.",
            nullable=True,
        ),
        Column("length", FLOAT32, "Length of motion: the distance of its ends.", nullable=True),
        Column("speed", FLOAT32, "path / (t1_s - t0_s); null: no time passes.", nullable=True),
        Column(
            "cov",
            list_of(FLOAT32),
            "Covariance of motion along the reference's axes: xx xy xz yy yz zz. What both ends "
            "share cancels.",
            nullable=True,
            items=6,
        ),
        *half_widths(("motion_x", "motion_y", "motion_z")),
        *_bounds("length", "the length"),
        *_bounds("path", "the path"),
        *_bounds("speed", "the speed"),
        Column(
            "interval_basis",
            STRING,
            "Ground of cov and the intervals, as in positions.",
            nullable=True,
            one_of=INTERVAL_BASES,
        ),
    ),
    references=(
        Reference(("clip_id", "entity"), "entities"),
        Reference(("clip_id", "segment"), "segments"),
    ),
)


def in_one_reference(motions: pa.Table) -> pa.Table:
    """Each motion once: in the world of clips that have rows there, else in the camera."""
    is_world = pc.equal(motions["reference"], "world")
    posed = motions["clip_id"].filter(is_world).unique()
    return motions.filter(pc.equal(is_world, pc.is_in(motions["clip_id"], value_set=posed)))
