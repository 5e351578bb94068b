"""Evidence of an answer: the rows that its program read, as rows of `question_evidence`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from massannot import tables
from massannot.questions.ask.cited_rows import ClipRows, RowRead

Row = dict[str, Any]

ADDED_LATER = ("split", "license")


def evidence_hash(question: Row, program: Row, evidence: Sequence[Row]) -> str:
    """Of all that was written about one question, so that what no second run would notice is found:
    rows as their tables hold them. What a publisher adds later, split and licence, is left out."""
    parts = [{name: question[name] for name in question if name not in ADDED_LATER}]
    parts.append({name: program[name] for name in program if name != "evidence_hash"})
    cells = [{name: x for name, x in row.items() if x is not None} for row in (*parts, *evidence)]
    text = json.dumps(cells, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def evidence_rows(
    question_id: str, rows: ClipRows, things: Sequence[int], *, frames: Iterable[int]
) -> Iterator[Row]:
    """What was read, by step, and where the things are to be seen in these frames."""
    rows.rows("frames", role="clip")
    for thing in things:
        for frame in sorted(frames):
            if rows.has("masks", (rows.clip_id, thing, frame)):
                rows.row("masks", thing, frame, role="witness")
    numbers: Counter[int] = Counter()
    boxes = {
        (key[1], key[2]): rows.row("masks", *key[1:], role="witness")
        for (table, key) in list(rows.cited)
        if table == "masks" and len(key) == 3
    }
    for read in sorted(rows.cited.values(), key=lambda read: read.step):
        row = {
            "question_id": question_id,
            "step": read.step,
            "item": numbers[read.step],
            "table": read.table,
            "row_key": json.dumps(list(read.key)),
            "role": read.role,
            "digest": rows.digest(read.table, read.key),
        }
        numbers[read.step] += 1
        yield row | _place(read, boxes)


def _place(read: RowRead, boxes: dict[tuple[int, int], Any]) -> Row:
    names = tables.spec(read.table).key
    if "frame" not in names or len(read.key) < len(names):
        return {}
    frame = read.key[names.index("frame")]
    thing = read.key[names.index("entity")] if "entity" in names else None
    mask = (
        boxes.get((thing or 0, frame))
        if thing is not None and read.table in ("masks", "positions")
        else None
    )
    if mask is None or mask["x0"] is None:
        return {"frame": frame}
    return {"frame": frame, **{side: mask[side] for side in ("x0", "y0", "x1", "y1")}}
