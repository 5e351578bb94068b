"""Question programs: from what an answer follows, so that anybody can compute it again."""

from massannot.tables._spec import FLOAT64, INT32, STRING, Column, Reference, TableSpec, list_of

BASES = ("exact", "calibrated", "internal", "none")
TWINS = ("mirrored", "reversed", "paraphrased")

SPEC = TableSpec(
    name="question_programs",
    version=1,
    key=("question_id",),
    doc="One row per question that was asked by a program.",
    columns=(
        Column("question_id", STRING, "See questions."),
        Column("family", STRING, "The kind of question."),
        Column("program", STRING, "The program, a tree of operations as JSON."),
        Column("value", STRING, "What it gives, as JSON: a number, a word, a list of words."),
        Column("sigma", FLOAT64, "Standard deviation of a number.", nullable=True),
        Column(
            "margin",
            FLOAT64,
            "Distance to the nearest other answer in standard deviations; of a number to the edge "
            "of what counts as right. Null: nothing is uncertain.",
            nullable=True,
        ),
        Column("thresholds", STRING, "What separates the answers, as a JSON object."),
        Column("version", INT32, "Of the operations."),
        Column(
            "basis",
            STRING,
            "The weakest ground of the intervals used, see positions; exact: of a scene's truth; "
            "none: usual errors were taken, or the scores of events.",
            one_of=BASES,
        ),
        Column(
            "choices",
            list_of(STRING),
            "Values as JSON, one for each of the question's options.",
            nullable=True,
        ),
        Column("evidence_hash", STRING, "Of the question's rows in all tables."),
        Column("twin_of", STRING, "The question whose counterpart this is.", nullable=True),
        Column(
            "twin_kind",
            STRING,
            "What is to be done to the video: mirrored left to right, or played backwards; "
            "paraphrased: nothing, it is asked in other words.",
            nullable=True,
            one_of=TWINS,
        ),
    ),
    references=(Reference(("question_id",), "questions"),),
    of_runs=False,
)
