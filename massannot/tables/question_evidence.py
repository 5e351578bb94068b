"""Question evidence: the rows of the annotated dataset that a question's program read, and the
digest of each. A key of fewer columns than the table's stands for all rows that begin with it."""

from massannot.tables._spec import FLOAT32, INT32, STRING, Column, Reference, TableSpec

ROLES = ("subject", "object", "viewer", "event", "name", "clip", "witness")

SPEC = TableSpec(
    name="question_evidence",
    version=1,
    key=("question_id", "step", "item"),
    doc="One row per question, step of its program and row read.",
    columns=(
        Column("question_id", STRING, "See questions."),
        Column("step", INT32, "0.. operations of the program in the order in which they end."),
        Column("item", INT32, "0.. within the step."),
        Column("table", STRING, "Of the annotated dataset."),
        Column("row_key", STRING, "The row's key, a JSON list in the order of the table's key."),
        Column("frame", INT32, "Of the clip; null: the row is of no frame.", nullable=True),
        Column("x0", FLOAT32, "Box of the thing there, source pixels, left.", nullable=True),
        Column("y0", FLOAT32, "Top.", nullable=True),
        Column("x1", FLOAT32, "Right, exclusive.", nullable=True),
        Column("y1", FLOAT32, "Bottom, exclusive.", nullable=True),
        Column("role", STRING, "What the row is read for.", one_of=ROLES),
        Column("digest", STRING, "blake2b-64 of the rows' cells."),
    ),
    references=(Reference(("question_id",), "question_programs"),),
    of_runs=False,
)
