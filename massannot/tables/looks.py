"""Looks: how each entity looks, by which things are proposed to be one over cuts and absences."""

from massannot.tables._spec import FLOAT32, INT32, STRING, Column, Reference, TableSpec, list_of

SPEC = TableSpec(
    name="looks",
    version=1,
    key=("clip_id", "entity"),
    doc="One row per entity of which a detection was looked at.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column("entity", INT32, "See entities."),
        Column(
            "look",
            list_of(FLOAT32),
            "Square roots of histograms of colour, light and texture, the mean over its "
            "detections, of length 1: the product of two is their Bhattacharyya coefficient.",
        ),
    ),
    references=(Reference(("clip_id", "entity"), "entities"),),
)
