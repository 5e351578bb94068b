"""Masks: where an entity is, frame by frame, as COCO run lengths over the source picture.

Overlaps are kept: each entity has its own mask. No row: the propagator was not asked there, or the
file that gave the masks says nothing about that frame.
"""

from massannot.tables._spec import FLOAT32, INT32, STRING, Column, Reference, TableSpec

STATES = ("visible", "occluded", "absent")
ORIGINS = ("given", "propagated")

SPEC = TableSpec(
    name="masks",
    version=1,
    key=("clip_id", "entity", "frame"),
    doc="One row per entity and frame.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column("entity", INT32, "See entities."),
        Column("frame", INT32, "0.. within the clip's annotated frames."),
        Column("height", INT32, "Height of the mask = of the source picture."),
        Column("width", INT32, "Width of the mask = of the source picture."),
        Column("counts", STRING, "COCO's compressed run lengths, column-major."),
        Column("area", INT32, "Pixels inside."),
        Column(
            "x0", FLOAT32, "Left edge of the mask's box, source pixels; null: empty.", nullable=True
        ),
        Column("y0", FLOAT32, "Top edge.", nullable=True),
        Column("x1", FLOAT32, "Right edge, exclusive.", nullable=True),
        Column("y1", FLOAT32, "Bottom edge, exclusive.", nullable=True),
        Column(
            "score", FLOAT32, "The propagator's belief that the entity is in the picture, 0..1."
        ),
        Column(
            "state",
            STRING,
            "visible; occluded: known to the propagator but hidden; absent.",
            one_of=STATES,
        ),
        Column(
            "origin",
            STRING,
            "given: by a person or a file, for this frame; propagated: by a model, also where the "
            "box was given; null: written before 0.3.",
            nullable=True,
            one_of=ORIGINS,
        ),
    ),
    references=(
        Reference(("clip_id", "frame"), "frames"),
        Reference(("clip_id", "entity"), "entities"),
    ),
)
