"""Point tracks in space: tracks_xy lifted by depth, in the camera frame of each frame."""

from massannot.tables._spec import (
    FLOAT32,
    INT32,
    LIFTED_SCALE_TYPES,
    POINT_STATES,
    STRING,
    Column,
    Reference,
    TableSpec,
    list_of,
)

SPEC = TableSpec(
    name="tracks_xyz",
    version=1,
    key=("clip_id", "entity", "point"),
    doc="One row per tracked point; lists have one item per frame.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column("entity", INT32, "See entities; -1: a point of the background."),
        Column("point", INT32, "As in tracks_xy."),
        Column(
            "scale_type",
            STRING,
            "Unit of x y z: metres, or one unknown factor.",
            one_of=LIFTED_SCALE_TYPES,
        ),
        Column(
            "x",
            list_of(FLOAT32),
            "Camera frame, right; null items: absent.",
            items="n_frames",
            steps=1024,
        ),
        Column("y", list_of(FLOAT32), "Camera frame, down.", items="n_frames", steps=1024),
        Column("z", list_of(FLOAT32), "Camera frame, forward.", items="n_frames", steps=1024),
        Column(
            "state",
            list_of(STRING),
            "measured: visible, depth read here; interpolated: hidden or on a depth edge, 1/z "
            "between measured neighbours; absent.",
            items="n_frames",
            one_of=POINT_STATES,
        ),
    ),
    references=(Reference(("clip_id", "entity", "point"), "tracks_xy"),),
)
