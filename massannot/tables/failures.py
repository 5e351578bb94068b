"""Failures: what could not be annotated and why, without host details. Not part of the
equal-bytes promise."""

from massannot.tables._spec import INT32, STRING, Column, TableSpec

SPEC = TableSpec(
    name="failures",
    version=1,
    key=("uri", "clip_index", "stage"),
    doc="One row per failed clip or video.",
    columns=(
        Column("uri", STRING, "The video."),
        Column("clip_index", INT32, "0.. within the video; -1: the whole video."),
        Column(
            "stage",
            STRING,
            "What was being done: read, or a stage's name; or the question that cannot be asked.",
        ),
        Column("class", STRING, "A short, stable word for counting."),
        Column(
            "message",
            STRING,
            "What was found, what was expected; no paths of the host, no traceback.",
        ),
        Column(
            "status",
            STRING,
            "failed: raised; quarantined: killed its process.",
            one_of=("failed", "quarantined"),
        ),
    ),
)
