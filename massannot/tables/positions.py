"""Positions: the robust centre of an entity's VISIBLE surface, not of its body."""

from massannot.tables._spec import (
    FLOAT32,
    INT32,
    LIFTED_SCALE_TYPES,
    POINT_STATES,
    STRING,
    Column,
    Reference,
    TableSpec,
)

SPEC = TableSpec(
    name="positions",
    version=1,
    key=("clip_id", "entity", "frame"),
    doc="One row per entity and frame.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column("entity", INT32, "See entities."),
        Column("frame", INT32, "0.. within the clip's annotated frames."),
        Column(
            "scale_type", STRING, "Unit: metres, or one unknown factor.", one_of=LIFTED_SCALE_TYPES
        ),
        Column("x_cam", FLOAT32, "Camera frame of this frame, right.", nullable=True),
        Column("y_cam", FLOAT32, "Camera frame, down.", nullable=True),
        Column("z_cam", FLOAT32, "Camera frame, forward.", nullable=True),
        Column("x_world", FLOAT32, "World = the clip's first camera.", nullable=True),
        Column("y_world", FLOAT32, "World.", nullable=True),
        Column("z_world", FLOAT32, "World.", nullable=True),
        Column("spread", FLOAT32, "Median distance of the points from the centre.", nullable=True),
        Column(
            "sigma",
            FLOAT32,
            "Standard error of the centre, from the points' scatter.",
            nullable=True,
        ),
        Column("n_points", INT32, "Points that were measured in this frame."),
        Column(
            "state",
            STRING,
            "measured; interpolated: hidden here; absent: coordinates are null.",
            one_of=POINT_STATES,
        ),
    ),
    references=(
        Reference(("clip_id", "frame"), "frames"),
        Reference(("clip_id", "entity"), "entities"),
    ),
)
