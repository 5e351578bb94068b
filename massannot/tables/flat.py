"""Flat: what most queries want of a thing in a frame, joined into one wide table for notebooks and
spreadsheets. Made of the other tables, at `publish --flat` and as a view of `massannot sql`."""

from massannot.tables._spec import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT32,
    INTERVAL_BASES,
    LIFTED_SCALE_TYPES,
    STRING,
    Column,
    Reference,
    TableSpec,
)
from massannot.tables.positions import STATES


def _number(name: str, text: str) -> Column:
    return Column(name, FLOAT32, text, nullable=True)


SPEC = TableSpec(
    name="flat",
    version=1,
    key=("clip_id", "entity", "frame"),
    doc="One row per entity and frame: name, time, box, place, speed, extent, state, intervals.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column("entity", INT32, "See entities."),
        Column("frame", INT32, "0.. within the clip's annotated frames."),
        Column("uri", STRING, "The video."),
        Column("source_id", STRING, "The user's own id of the video or span.", nullable=True),
        Column("name", STRING, "The phrase, numbered where several things answer it: ball 2."),
        Column("phrase", STRING, "The phrase it answers."),
        Column("t_s", FLOAT64, "Seconds after the video's first frame."),
        Column("state", STRING, "Why a place is measured or not, see positions.", one_of=STATES),
        Column("occluder", STRING, "Name of what hides it; null: not known.", nullable=True),
        Column("visible", BOOL, "Part of its mask is seen; null: no mask row.", nullable=True),
        _number("x0", "Box, source pixels, left."),
        _number("y0", "Top."),
        _number("x1", "Right, exclusive."),
        _number("y1", "Bottom, exclusive."),
        Column("area", INT32, "Pixels of the mask.", nullable=True),
        Column("scale_type", STRING, "Unit of lengths.", one_of=LIFTED_SCALE_TYPES),
        *(_number(f"{axis}_cam", "See positions.") for axis in "xyz"),
        *(_number(f"{axis}_world", "See positions.") for axis in "xyz"),
        *(_number(f"{axis}_half_90", "Half of the 90 % interval along the camera's axis.")
          for axis in "xyz"),
        Column("interval_basis", STRING, "See positions.", nullable=True, one_of=INTERVAL_BASES),
        *(_number(f"size_{axis}", "Extent, see positions.") for axis in "xyz"),
        _number("distance", "From the camera."),
        _number(
            "speed",
            "Distance of the neighbouring frames' places over their time, in the world where it is "
            "known; noise makes it too large. See motions for paths without that.",
        ),
        _number("quality", "Of the entity, see entities."),
        Column("measured_share", FLOAT32, "Of the entity, see entities.", nullable=True),
    ),
    references=(
        Reference(("clip_id", "frame"), "frames"),
        Reference(("clip_id", "entity"), "entities"),
    ),
    of_runs=False,
)  # fmt: skip
