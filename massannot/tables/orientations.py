"""Orientations: where the front of a thing points, from a file of somebody else's estimates."""

from massannot.tables._spec import FLOAT64, INT32, STRING, Column, TableSpec

SPEC = TableSpec(
    name="orientations",
    version=1,
    key=("clip_id", "entity", "frame"),
    doc="One row per frame of a thing whose front is known. A thing without a front has none.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column("entity", INT32, "The thing, see entities."),
        Column("frame", INT32, "Of the clip."),
        Column(
            "azimuth_deg",
            FLOAT64,
            "Direction of its front in the camera of that frame, seen from above: 0 away from the "
            "camera, 90 to the right, -90 to the left.",
        ),
        Column("sd_deg", FLOAT64, "Standard deviation of a frame's angle."),
    ),
    of_runs=False,
)
