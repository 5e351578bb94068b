"""Depth maps, on request: 16-bit, PNG-compressed, short side at most 256."""

from massannot.tables._spec import (
    BINARY,
    FLOAT64,
    INT32,
    SCALE_TYPES,
    STRING,
    Column,
    Reference,
    TableSpec,
)

SPEC = TableSpec(
    name="depth_maps",
    version=1,
    key=("clip_id", "frame"),
    doc="One row per frame.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column("frame", INT32, "0.. within the clip's annotated frames."),
        Column("height", INT32, "Rows of the map."),
        Column("width", INT32, "Columns of the map."),
        Column("png", BINARY, "16-bit grey PNG; 0: invalid."),
        Column(
            "encoding",
            STRING,
            "value = scale * stored + offset is depth, or inverse depth.",
            one_of=("depth", "inverse_depth"),
        ),
        Column("scale", FLOAT64, "Value per stored step."),
        Column("offset", FLOAT64, "Value at stored 0."),
        Column("scale_type", STRING, "Of the value.", one_of=SCALE_TYPES),
    ),
    references=(Reference(("clip_id", "frame"), "frames"),),
)
