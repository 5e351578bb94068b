"""Frames: which pictures of the video were annotated. `pts` is the identity in the file;
`frame` counts within the clip, so the tables' lists are indexed by it."""

from massannot.tables._spec import BOOL, FLOAT64, INT32, INT64, STRING, Column, Reference, TableSpec

SPEC = TableSpec(
    name="frames",
    version=1,
    key=("clip_id", "frame"),
    doc="One row per annotated frame.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column("frame", INT32, "0.. within the clip's annotated frames."),
        Column("pts", INT64, "Presentation time stamp in the stream's time base."),
        Column("t_s", FLOAT64, "(pts - the stream's first pts) * time_base, seconds."),
        Column("keyframe", BOOL, "The codec could decode this frame alone."),
        Column(
            "damaged",
            BOOL,
            "The decoder complained since the last key frame: the picture may be wrong. Frames "
            "known to be wrong are left out.",
        ),
        Column(
            "shared",
            BOOL,
            "The clip's last frame, with which a later clip begins: what is counted or read over "
            "clips takes it from the later one, where that is there. Null: clips share no frame.",
            nullable=True,
        ),
    ),
    references=(Reference(("clip_id",), "clips"),),
)
