"""Questions: everything the manifest said, whether or not its video could be annotated."""

from massannot.tables._spec import FLOAT64, INT32, STRING, Column, TableSpec, list_of

SPEC = TableSpec(
    name="questions",
    version=1,
    key=("question_id",),
    doc="One row per question.",
    columns=(
        Column("question_id", STRING, "The manifest's id, or blake2b-128 of the row."),
        Column("uri", STRING, "The video."),
        Column("clip_id", STRING, "The clip that answers it; null: it failed.", nullable=True),
        Column("start_s", FLOAT64, "Start of the span asked about, seconds.", nullable=True),
        Column("end_s", FLOAT64, "End of the span.", nullable=True),
        Column("question", STRING, "The question.", nullable=True),
        Column("answer", STRING, "The answer.", nullable=True),
        Column("category", STRING, "The manifest's category.", nullable=True),
        Column("caption", STRING, "The caption.", nullable=True),
        Column("entities", list_of(STRING), "Phrases named by the manifest.", nullable=True),
        Column("split", STRING, "train, val, test, ...", nullable=True),
        Column("license", STRING, "Licence of the video.", nullable=True),
        Column(
            "further",
            STRING,
            "Every other column of the manifest, as a JSON object.",
            nullable=True,
        ),
        Column(
            "clip_ids",
            list_of(STRING),
            "Every clip of the span, in order of time, where it was cut; clip_id is the first.",
            nullable=True,
        ),
        Column(
            "problem_type",
            STRING,
            "multiple_choice, number, yes_no, clock, interval, text, or what Video-R1 calls it.",
            nullable=True,
        ),
        Column("options", list_of(STRING), "What there is to choose from.", nullable=True),
        Column(
            "unit", STRING, "That the question asks for, and a bare number is in.", nullable=True
        ),
        Column("tolerance", FLOAT64, "Share of the true value allowed as error.", nullable=True),
        Column("tolerance_abs", FLOAT64, "Error allowed, in `unit`.", nullable=True),
        Column("accuracy", STRING, "The reward that judges the answer.", nullable=True),
        Column(
            "evidence_times_s",
            list_of(FLOAT64),
            "When what answers the question is to be seen.",
            nullable=True,
        ),
        Column(
            "evidence_boxes",
            list_of(FLOAT64),
            "t_s, x0, y0, x1, y1 in pixels, one box after the other.",
            nullable=True,
        ),
        Column(
            "entity_spans",
            list_of(INT32),
            "First character in the question and end of each of `entities`, one after the other; "
            "null items: not named there.",
            nullable=True,
        ),
    ),
)
