"""Decisions of people about a run's clips and questions: a file a reviewer,
`_run/reviews/NAME.jsonl`, a line a decision; about questions that `questions ask` wrote,
`reviews/NAME.jsonl` in their folder.

A line is on the disk before anybody is told that it is saved. A torn last line, after a kill, is no
line: nobody was told of it, and the next decision cancels it. Any other line that cannot be read is
an error that names it, since a decision would be lost without a word. Lines are only added: a later
one of the same reviewer about the same thing takes the earlier one's place, `withdraw` takes it
back. A request that comes twice, since its sender never heard the answer, is one line. Numbers are
given under a lock, so that two pages of one reviewer do not share one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

from massannot.dataset.layout import Layout
from massannot.dataset.question_edits import EDITS, checked_edits
from massannot.dataset.reading import ClipView
from massannot.errors import UsageError
from massannot.storage import durable
from massannot.storage.file_lock import locked
from massannot.storage.json_text import our_own, parsed
from massannot.tables.reviews import DECISIONS, FIXES, KINDS, QUESTION_REASONS, REASONS

WITHDRAW = "withdraw"
SHOWN = ("clips", "phrases", "entities", "masks", "positions", "motions", "events")
"""Tables whose rows a reviewer sees; a decision is about them as they were."""
LONGEST_NOTE = 4000
MOST_FIXES = 10_000
LONGEST_RUNS = 100_000
"""Letters of a mask's run lengths."""
_LENGTHS: Mapping[str, Container[int]] = {
    "box": (4,),
    "point": (2,),
    "mask": (0, *range(6, 1001, 2)),
}
"""Numbers of a fix; an outline has at most 500 corners, and none where nothing is seen."""
_CANCELLED = b"\x18"
"""ASCII's "cancel" ends a line that a kill tore, so that it is told from a damaged one."""
_MEND = "expected a decision; mend or remove that line, nothing else is lost"
_LOG = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Decision:
    """One line. `fixes`: what the reviewer put right in a clip; from `question` on: in a question;
    see docs/review.md."""

    number: int
    reviewer: str
    when: str
    kind: str
    clip_id: str
    question_id: str | None
    decision: str
    reason: str | None
    note: str | None
    fixes: tuple[Mapping[str, Any], ...]
    rows_hash: str
    sample: str | None
    stratum: str | None
    request: str
    question: str | None = None
    category: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    event: str | None = None

    @property
    def review(self) -> str:
        """Its id in the table `reviews`."""
        text = f"{self.reviewer}\n{self.number}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def subject(self) -> tuple[str, str, str | None]:
        """What it is about. A question is one thing on the pages of all its clips."""
        return self.kind, "" if self.kind == "question" else self.clip_id, self.question_id


def reviews_folder(layout: Layout) -> Path:
    """A folder of asked questions is no run's."""
    return (layout.run if layout.run.is_dir() else layout.out) / "reviews"


class ReviewFile:
    """The decisions of one reviewer. Raises UsageError for a name that is no file's name."""

    def __init__(self, layout: Layout, reviewer: str) -> None:
        if not _NAME.fullmatch(reviewer):
            raise UsageError(
                f"--reviewer: found {reviewer!r}, expected letters, digits, '.', '_' and '-'"
            )
        self.reviewer = reviewer
        self.path = reviews_folder(layout) / f"{reviewer}.jsonl"

    def add(self, values: Mapping[str, Any], *, rows_hash: str, sample: str | None,
            stratum: str | None) -> Decision:  # fmt: skip
        """Write a decision and wait for the disk. `values` come from a page: request, kind,
        clip_id, decision, and question_id, reason, note, fixes, EDITS. Raises UsageError for
        others."""
        wanted = _checked(values)
        with locked(self.path.with_suffix(".lock")):
            before = self.read()
            same = next((d for d in before if d.request == wanted["request"]), None)
            if same is not None:
                return same
            made = Decision(
                number=max((d.number for d in before), default=0) + 1,
                reviewer=self.reviewer,
                when=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                rows_hash=rows_hash,
                sample=sample,
                stratum=stratum,
                **wanted,
            )
            self._append(json.dumps(asdict(made), ensure_ascii=True))
        return made

    def read(self) -> list[Decision]:
        """Every decision, in order."""
        return list(_decisions(self.path)) if self.path.is_file() else []

    def _append(self, line: str) -> None:
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, (_CANCELLED + b"\n") * bool(torn) + line.encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            durable.sync_folder(self.path.parent)


def all_decisions(layout: Layout) -> list[Decision]:
    """Those of every reviewer, by reviewer and number."""
    files = sorted(reviews_folder(layout).glob("*.jsonl"))
    return [decision for path in files for decision in _decisions(path)]


def standing(decisions: Sequence[Decision]) -> list[Decision]:
    """Of each reviewer the last decision about each thing, without what was taken back."""
    last = {(d.reviewer, d.subject): d for d in decisions}
    return [d for d in last.values() if d.decision != WITHDRAW]


def hash_of_rows(view: ClipView) -> str:
    """blake2b-128 of a clip's rows as a reviewer sees them."""
    digest = hashlib.blake2b(digest_size=16)
    for name in SHOWN:
        rows = [list(row.values()) for row in view.table(name).to_pylist()]
        digest.update(json.dumps([name, rows], separators=(",", ":")).encode())
    return digest.hexdigest()


_KINDS: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "str": (str,),
    "str | None": (str, type(None)),
    "float | None": (int, float, type(None)),
}
"""What a field may hold, by its annotation."""


def _decisions(path: Path) -> Iterator[Decision]:
    """The lines of a file. Raises UsageError naming one that is whole and no decision."""
    names = {field.name for field in fields(Decision)}
    *lines, torn = path.read_bytes().split(b"\n")
    if torn:
        _LOG.warning("%s: left out line %d, torn by a kill", path, len(lines) + 1)
    for number, line in enumerate(lines, start=1):
        if not line or line.endswith(_CANCELLED):
            continue
        where = f"{path}, line {number}"
        try:
            values = parsed(line)
        except ValueError as error:
            raise UsageError(f"{where}: found no JSON ({error}); {_MEND}") from error
        missing = names - values.keys() - set(EDITS) if isinstance(values, dict) else names
        if missing:
            raise UsageError(f"{where}: found no {', '.join(sorted(missing))}; {_MEND}")
        known = {name: values.get(name) for name in names}
        for field in fields(Decision):
            kinds, found = _KINDS.get(str(field.type)), known[field.name]
            if kinds and (not isinstance(found, kinds) or isinstance(found, bool)):
                raise UsageError(
                    f"{where}: {field.name} is {type(found).__name__}, expected {field.type}; "
                    f"{_MEND}"
                )
        with our_own(Path(where), "mend or remove that line"):
            yield Decision(**(known | {"fixes": tuple(known["fixes"])}))


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a page decides. Raises UsageError naming the first wrong one."""
    kind, decision = values.get("kind", "clip"), values.get("decision")
    reason, fixes = values.get("reason") or None, values.get("fixes") or []
    note, request = values.get("note") or None, values.get("request")
    for name, value, known in (
        ("kind", kind, KINDS),
        ("decision", decision, (*DECISIONS, WITHDRAW)),
        ("reason", reason, (None, *(QUESTION_REASONS if kind == "question" else REASONS))),
    ):
        if value not in known:
            raise UsageError(f"{name}: found {value!r}, expected one of {known}")
    if decision == "reject" and reason is None:
        raise UsageError("reason: found none, expected one for what is rejected")
    if decision != "reject" and fixes:
        raise UsageError(f"fixes: found {len(fixes)} beside {decision}, expected reject")
    edits = checked_edits(values)
    changed = [name for name, value in edits.items() if value is not None]
    if changed and (kind, decision) != ("question", "accept"):
        raise UsageError(
            f"{changed[0]}: found beside {decision} of a {kind}, expected accept of a question"
        )
    question_id = values.get("question_id") if kind == "question" else None
    if kind == "question" and (fixes or not isinstance(question_id, str)):
        raise UsageError("question: expected its question_id, and no fixes, which are a clip's")
    if not isinstance(request, str) or not 8 <= len(request) <= 80:
        raise UsageError("request: expected 8 to 80 letters that are this decision's own")
    if note is not None and (not isinstance(note, str) or len(note) > LONGEST_NOTE):
        raise UsageError(f"note: expected a text of at most {LONGEST_NOTE} letters")
    if not isinstance(fixes, list) or len(fixes) > MOST_FIXES:
        raise UsageError(f"fixes: expected a list of at most {MOST_FIXES}")
    return {
        "request": request,
        "kind": kind,
        "clip_id": str(values.get("clip_id")),
        "question_id": question_id,
        "decision": decision,
        "reason": reason if decision == "reject" else None,
        "note": note,
        "fixes": tuple(_fix(fix) for fix in fixes),
        **edits,
    }


def _fix(fix: Any) -> dict[str, Any]:
    """A box, a point, a mask, a name or a removal, with nothing else in it."""
    try:
        kind = fix["kind"]
        entity = None if fix.get("entity") is None else int(fix["entity"])
        if kind == "remove":
            if entity is None or entity < 0:
                raise ValueError("a removal of what is missing")
            return {"kind": kind, "entity": entity}
        if kind == "name":
            text = str(fix["name"]).strip()
            if not 0 < len(text) <= 200:
                raise ValueError("name")
            return {"kind": kind, "entity": entity, "name": text}
        place = {"kind": kind, "entity": entity, "frame": int(fix["frame"])}
        if kind == "mask" and isinstance(fix[kind], str):
            if not (fix[kind].isascii() and fix[kind].isprintable()):
                raise ValueError("run lengths of other letters than COCO's")
            if not 0 < len(fix[kind]) <= LONGEST_RUNS:
                raise ValueError(f"run lengths of {len(fix[kind])} letters")
            return {**place, kind: fix[kind]}
        numbers = [round(float(v), 2) for v in fix[kind]]
        if kind not in FIXES or len(numbers) not in _LENGTHS[kind]:
            raise ValueError(f"{len(numbers)} numbers of a {kind}")
        if not all(map(isfinite, numbers)):
            raise ValueError(f"a {kind} that is not finite")
        if kind == "box" and not (numbers[0] < numbers[2] and numbers[1] < numbers[3]):
            raise ValueError("an empty box")
        return {**place, kind: numbers}
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"fix {str(fix)[:200]}: expected a box [x0, y0, x1, y1], a point [x, y] or a mask, an "
            f"outline [x0, y0, x1, y1, x2, y2, ..] or run lengths, with its frame, a name or a "
            f"removal ({error})"
        ) from error
