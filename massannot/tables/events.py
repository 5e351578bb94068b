"""Events: what happened when; written by scenes, later by the annotator."""

from massannot.tables._spec import FLOAT64, INT32, STRING, Column, Reference, TableSpec, list_of

SPEC = TableSpec(
    name="events",
    version=1,
    key=("clip_id", "event"),
    doc="One row per event.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column("event", INT32, "0.. within the clip, in order of time."),
        Column("kind", STRING, "contact_floor, contact_wall, contact_body, appear, disappear, ..."),
        Column("entities", list_of(INT32), "Who takes part, see entities."),
        Column("t_s", FLOAT64, "When, seconds after the video's first frame."),
    ),
    references=(Reference(("clip_id",), "clips"),),
)
