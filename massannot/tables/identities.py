"""Identities: which entities of a video's clips are one thing. Made when a shard is finished, from
its committed rows alone; clip tables never depend on another clip."""

from massannot.tables._spec import FLOAT32, INT32, STRING, Column, Reference, TableSpec

HOW = ("first", "shared_frame", "look")

SPEC = TableSpec(
    name="identities",
    version=1,
    key=("video_id", "clip_id", "entity"),
    doc="One row per entity.",
    columns=(
        Column("video_id", STRING, "The video, see videos."),
        Column("clip_id", STRING, "The clip, see clips."),
        Column("entity", INT32, "See entities."),
        Column(
            "identity",
            INT32,
            "0.. within the video, in order of time: entities with one number are one thing.",
        ),
        Column(
            "linked_from_clip_id",
            STRING,
            "The earlier clip that ends with this clip's first frame, in which the same thing was "
            "found; null: this entity begins the identity.",
            nullable=True,
        ),
        Column("linked_from_entity", INT32, "The entity of that clip.", nullable=True),
        Column(
            "how",
            STRING,
            "first: nothing links it to an earlier entity; shared_frame: its mask in the frame "
            "that two clips share, and that of an entity of the earlier clip; look: it was out of "
            "sight there, and only that entity has its phrase and looks like it.",
            one_of=HOW,
        ),
        Column(
            "score",
            FLOAT32,
            "Intersection over union of those two masks, or likeness of the looks; null: no link.",
            nullable=True,
        ),
        Column(
            "proposed_identity",
            INT32,
            "An identity of the same phrase, not in this clip, that looks most like it: perhaps "
            "the same thing after a cut or an absence. Never taken over by itself; null: none.",
            nullable=True,
        ),
        Column(
            "proposed_score",
            FLOAT32,
            "Likeness of the two, 0..1: Bhattacharyya coefficient of colour, light and texture.",
            nullable=True,
        ),
    ),
    references=(
        Reference(("video_id",), "videos"),
        Reference(("clip_id", "entity"), "entities"),
        Reference(("linked_from_clip_id", "linked_from_entity"), "entities", ("clip_id", "entity")),
    ),
)
