"""Point tracks in the picture: what the tracker said, before any depth."""

from massannot.tables._spec import (
    BOOL,
    FLOAT32,
    INT32,
    STRING,
    Column,
    Reference,
    TableSpec,
    list_of,
)

SPEC = TableSpec(
    name="tracks_xy",
    version=1,
    key=("clip_id", "entity", "point"),
    doc="One row per tracked point; lists have one item per frame.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column("entity", INT32, "See entities; -1: a point of the background."),
        Column("point", INT32, "0.. within the entity."),
        Column("query_frame", INT32, "The frame in which the point was chosen."),
        Column("x", list_of(FLOAT32), "Source pixels.", items="n_frames", steps=256),
        Column("y", list_of(FLOAT32), "Source pixels.", items="n_frames", steps=256),
        Column("visible", list_of(BOOL), "The tracker's decision.", items="n_frames"),
        Column(
            "visibility",
            list_of(FLOAT32),
            "Probability of being visible, 0..1.",
            items="n_frames",
            steps=256,
        ),
        Column(
            "confidence",
            list_of(FLOAT32),
            "Probability of being near the truth, 0..1.",
            items="n_frames",
            steps=256,
        ),
        Column(
            "fb_error_px",
            list_of(FLOAT32),
            "Distance after tracking there and back; null items: not computed.",
            items="n_frames",
            steps=64,
        ),
        Column(
            "xy_sd_px",
            FLOAT32,
            "Standard deviation of x and of y where the point is visible, source pixels, as far as "
            "the track itself shows it, a lower bound: noise from frame to frame and the median of "
            "fb_error_px; null: neither can be told.",
            nullable=True,
        ),
    ),
    references=(Reference(("clip_id",), "clips"),),
)
