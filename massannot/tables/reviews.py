"""Reviews: what people decided when they looked. One row a decision that stands: one that was taken
back is none."""

from collections.abc import Mapping
from typing import Any

from massannot.tables._spec import BOOL, FLOAT64, INT32, STRING, Column, TableSpec

KINDS = ("clip", "question")
DECISIONS = ("accept", "reject")
REASONS = ("wrong_thing", "missing_thing", "mask", "track", "depth", "motion", "event", "other")
"""Why a clip is rejected."""
QUESTION_REASONS = ("wrong_answer", "ambiguous", "not_in_video", "trivial", "other")
"""Why a question is rejected."""
FIXES = ("box", "point", "mask", "name", "remove")
Fix = Mapping[str, Any]
"""What was put right: kind, entity, and frame and box, point or mask, or name; docs/review.md."""

SPEC = TableSpec(
    name="reviews",
    version=1,
    key=("review",),
    doc="One row per decision of a person.",
    columns=(
        Column("review", STRING, "blake2b-128 of the reviewer and the decision's number."),
        Column("reviewer", STRING, "Who decided, as they call themselves."),
        Column("when", STRING, "UTC, ISO 8601, to the second."),
        Column("kind", STRING, "What was looked at.", one_of=KINDS),
        Column("clip_id", STRING, "The clip, see clips; of a question, the clip it asks about."),
        Column("question_id", STRING, "The question; null: the clip itself.", nullable=True),
        Column("decision", STRING, "accept or reject.", one_of=DECISIONS),
        Column(
            "reason",
            STRING,
            "Why it is rejected.",
            nullable=True,
            one_of=(*REASONS, *QUESTION_REASONS[:-1]),
        ),
        Column("note", STRING, "In the reviewer's words.", nullable=True),
        Column(
            "n_fixes", INT32, "Boxes, points, masks, names and removals that the reviewer gave."
        ),
        Column("fixes", STRING, "They, as a JSON list; see docs/review.md.", nullable=True),
        Column("question", STRING, "The question's text, reworded.", nullable=True),
        Column("category", STRING, "The category that the reviewer set.", nullable=True),
        Column("start_s", FLOAT64, "Start of the span that the reviewer set.", nullable=True),
        Column("end_s", FLOAT64, "End of it.", nullable=True),
        Column("event", STRING, "What happens, as a sentence of the reviewer's.", nullable=True),
        Column("rows_hash", STRING, "blake2b-128 of the rows that were shown."),
        Column(
            "sample", STRING, "The sample it was drawn into; null: chosen freely.", nullable=True
        ),
        Column("stratum", STRING, "The stratum of the sample.", nullable=True),
        Column(
            "counted",
            BOOL,
            "Whether the card's rate counts it: rows as shown, and a clip is of the sample.",
        ),
    ),
    of_runs=False,
)
