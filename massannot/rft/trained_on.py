"""What a run was trained on, so that `rft eval` can say where it judges by the same.

`trained_on.json` lies beside run.json: the videos (of scenes, their seeds) and a digest of each
question with its options.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FILE = "trained_on.json"

Row = Mapping[str, Any]


def digest_of(rows: Sequence[Row]) -> str:
    """blake2b-128 of all questions, in whatever order they stand."""
    return _blake2b("\n".join(sorted(map(_question, rows))), 16)


def remember(run: Path, rows: Sequence[Row]) -> None:
    """Write FILE into the run's folder."""
    found = {"videos": _videos(rows), "questions": sorted(set(map(_question, rows)))}
    (run / FILE).write_text(json.dumps(found, indent=0) + "\n")


def seen_before(run: Path, rows: Sequence[Row]) -> str | None:
    """A sentence where questions to judge by, or others about their videos, were trained on; None
    where none was, or where the run does not say."""
    if not (run / FILE).exists():
        return None
    there = json.loads((run / FILE).read_text())
    questions, videos = set(there["questions"]), set(there["videos"])
    n_questions = sum(_question(row) in questions for row in rows)
    n_of_videos = sum(row["group"] in videos for row in rows)
    if not n_of_videos:
        return None
    return (
        f"{run}: was trained on {n_questions} of these {len(rows)} questions, and on the videos of "
        f"{n_of_videos}: their scores say what it remembers"
    )


def _videos(rows: Sequence[Row]) -> list[str]:
    return sorted({row["group"] for row in rows})


def _question(row: Row) -> str:
    asked = row["prompt"][0]["content"][-1]["text"]
    return _blake2b(f"{row['group']}\n{asked}", 8)


def _blake2b(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()
