"""Segments: sub-spans of a clip; MASS describes motion per 32-frame segment."""

from massannot.tables._spec import INT32, STRING, Column, Reference, TableSpec

SPEC = TableSpec(
    name="segments",
    version=1,
    key=("clip_id", "segment"),
    doc="Half-open ranges of frames.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column("segment", INT32, "0.. within the clip."),
        Column("first_frame", INT32, "First frame."),
        Column("end_frame", INT32, "End, exclusive."),
        Column("kind", STRING, "Why it was cut here.", one_of=("fixed", "shot", "event")),
    ),
    references=(Reference(("clip_id",), "clips"),),
)
