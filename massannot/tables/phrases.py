"""Phrases: what was asked. What was found is in `entities`; a phrase without an entity is a
result, not a failure."""

from massannot.tables._spec import INT32, STRING, Column, Reference, TableSpec

SPEC = TableSpec(
    name="phrases",
    version=1,
    key=("clip_id", "phrase"),
    doc="One row per phrase asked for in a clip.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column("phrase", INT32, "0.. within the clip."),
        Column("text", STRING, "The phrase as given to the detector."),
        Column(
            "origin",
            STRING,
            "Where it came from.",
            one_of=("prompt", "entities", "caption", "question", "scene"),
        ),
        Column("question_id", STRING, "The question it was taken from.", nullable=True),
        Column(
            "char_start",
            INT32,
            "First character in the caption or question; null: not known to be named there.",
            nullable=True,
        ),
        Column("char_end", INT32, "End in the same text, exclusive.", nullable=True),
        Column("n_entities", INT32, "Entities found for its text; two phrases may have one text."),
        Column(
            "added",
            INT32,
            "n: asked by the n-th run that took over the detections of the run before, behind that "
            "run's phrases, or by the n-th step that added some to the finished dataset; null: by "
            "the first, all at once.",
            nullable=True,
        ),
    ),
    references=(Reference(("clip_id",), "clips"),),
)
