"""What a dataset of questions says of itself: its card, and the lines of its manifest."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pyarrow as pa

from massannot.dataset.card import card_text
from massannot.dataset.record import RunRecord, this_start
from massannot.questions.ask.questions_of_clip import INTERNAL_MARGIN
from massannot.questions.ask.seen_to_hold import Profile

Row = dict[str, Any]


def manifest_row(row: Row, *, video: str) -> Row:
    """A line of `questions.jsonl` from a row of `questions`; unknown is left out. `video`: its name
    from the manifest."""
    further = json.loads(row["further"])
    named = {**row, **further, "id": row["question_id"], "video": video}
    boxes = row["evidence_boxes"]
    named["evidence_boxes"] = [boxes[i : i + 5] for i in range(0, len(boxes), 5)] if boxes else None
    for name in ("question_id", "uri", "clip_id", "clip_ids", "further"):
        del named[name]
    return {name: value for name, value in named.items() if value is not None}


def card_of(
    made: dict[str, pa.Table],
    rows: dict[str, list[Row]],
    counts: dict[str, dict[str, int]],
    profile: Profile | None,
) -> str:
    """The dataset card: how many of each family were certain and asked, and on what ground."""
    record = RunRecord(
        spec={"sampling": {"fps": None}},
        recipe={"recipe": "questions ask"},
        notes=("Questions that are programs over the tables of another dataset, see source.json.",),
        starts=(this_start(),),
    )
    n_rows = {name: table.num_rows for name, table in sorted(made.items())}
    text = card_text(n_rows, record=record, license=None)
    lines = ["", "## Questions", "", "| family | certain | asked | on the clip's evidence alone |",
             "|---|---|---|---|"]  # fmt: skip
    internal = Counter(
        row["family"] for row in rows["question_programs"] if row["basis"] == "internal"
    )
    for name, n in counts.items():
        if n["askable"]:
            lines.append(f"| {name} | {n['askable']} | {n['asked']} | {internal[name]} |")
    lines += [
        "",
        (
            "The last column counts questions whose intervals are the clip's own evidence, a lower "
            f"bound: they were asked at a margin of {INTERNAL_MARGIN} and carry `basis` internal."
        ),
        "Nobody measured how often answers are right with these models."
        if profile is None
        else "Without --family, only families are asked that were seen to hold with these models: "
        f"{profile}.",
        "`massannot questions audit` computes every answer again from the rows that it cites.",
    ]
    return text + "\n".join(lines) + "\n"
