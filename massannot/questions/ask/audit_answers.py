"""`massannot questions audit`: compute every answer again from nothing but the rows it cites.

Named are: a cited row that is gone or changed, a program of another version, a program that gives
another value, an answer or options that are not what the value says, evidence or programs that were
edited.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset, open_dataset
from massannot.errors import BadQuestion, UsageError
from massannot.questions.ask import program as p
from massannot.questions.ask.ask_dataset import SOURCE
from massannot.questions.ask.cited_rows import TABLES, ClipRows, DatasetRows
from massannot.questions.ask.evidence import evidence_hash
from massannot.questions.ask.question_row import answer_text
from massannot.questions.ask.questions_of_clip import plain_value
from massannot.questions.ask.run_program import ProgramRun

Row = dict[str, Any]


@dataclass(frozen=True)
class BrokenProof:
    """One thing that is wrong with one question."""

    question_id: str
    message: str


@dataclass(frozen=True)
class Audit:
    questions: int
    findings: tuple[BrokenProof, ...]

    @property
    def n_wrong(self) -> int:
        """Questions with a finding."""
        return len({finding.question_id for finding in self.findings})


def audit(dest: Path, *, data: Path | None = None) -> Audit:
    """`data`: the dataset asked about, where it has moved. Raises UsageError where one is none."""
    asked = open_asked(dest)
    programs = asked.table("question_programs").to_pylist()
    questions = {row["question_id"]: row for row in asked.table("questions").to_pylist()}
    evidence: dict[str, list[Row]] = defaultdict(list)
    for row in asked.table("question_evidence").to_pylist():
        evidence[row["question_id"]].append(row)
    by_clip: dict[str, list[Row]] = defaultdict(list)
    findings = [
        BrokenProof(question_id, "has no program") for question_id in sorted(set(questions) - {
            row["question_id"] for row in programs
        })
    ]  # fmt: skip
    for row in programs:
        if row["question_id"] in questions:
            by_clip[questions[row["question_id"]]["clip_id"]].append(row)
        else:
            findings.append(BrokenProof(row["question_id"], "has a program, but no question"))
    for rows in rows_asked_about(dest, data=data).each(list(by_clip)):
        for row in by_clip[rows.clip_id]:
            question_id = row["question_id"]
            for message in problems_of(questions[question_id], row, evidence[question_id], rows):
                findings.append(BrokenProof(question_id, message))
    return Audit(len(programs), tuple(findings))


def open_asked(dest: Path) -> Dataset:
    """What `questions ask` wrote. Raises UsageError for another folder."""
    asked = Dataset(Layout(dest))
    if "question_programs" not in asked.names:
        raise UsageError(
            f"{dest}: found no programs, expected what `massannot questions ask OUT {dest}` writes"
        )
    return asked


def rows_asked_about(dest: Path, *, data: Path | None) -> DatasetRows:
    """Of the dataset that was asked about, with the orientations that were given. Raises
    UsageError where it is gone."""
    asked = open_asked(dest)
    given = asked.table("orientations") if "orientations" in asked.names else None
    return DatasetRows(open_dataset(data or source_of(dest)), orientations=given)


def source_of(dest: Path) -> Path:
    """The dataset that was asked about. Raises UsageError where it is not said, or gone."""
    try:
        found = Path(json.loads((dest / SOURCE).read_text())["dataset"])
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(
            f"{dest / SOURCE}: cannot be read ({error}); name the data with --data"
        ) from error
    if not found.exists():
        raise UsageError(f"{found}: found no such folder; name the data with --data")
    return found


def problems_of(
    question: Row, program_row: Row, evidence: Sequence[Row], rows: ClipRows
) -> Iterator[str]:
    """One sentence for each thing that is wrong with one question."""
    if program_row["version"] != p.VERSION:
        yield f"program version {program_row['version']}, expected {p.VERSION}"
        return
    cited: set[tuple[str, tuple[Any, ...]]] = set()
    gone = False
    for item in evidence:
        try:
            key = tuple(json.loads(item["row_key"]))
        except (ValueError, TypeError):
            yield f"evidence {item['step']}.{item['item']}: {item['row_key']!r} is no key"
            gone = True
            continue
        if item["table"] not in TABLES:
            yield f"evidence {item['step']}.{item['item']}: {item['table']!r} is no table"
            gone = True
            continue
        cited.add((item["table"], key))
        if not rows.has(item["table"], key):
            yield f"{item['table']} {list(key)}: the cited row is not there"
            gone = True
        elif rows.digest(item["table"], key) != item["digest"]:
            yield f"{item['table']} {list(key)}: a cell differs from what was cited"
    if evidence_hash(question, program_row, evidence) != program_row["evidence_hash"]:
        yield "question, program or evidence are not those that were written"
    if not gone:
        yield from _of_answer(question, program_row, frozenset(cited), rows)


def _of_answer(
    question: Row, program_row: Row, cited: frozenset[tuple[str, tuple[Any, ...]]], rows: ClipRows
) -> Iterator[str]:
    try:
        run = ProgramRun(rows.fresh(cited))
        gives = run.result(p.from_json(program_row["program"]))
    except (
        BadQuestion,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        yield f"the program gives nothing: {error}"  # rows or programs that nobody wrote so
        return
    unread = {
        key for key in cited - set(run.rows.cited) if key[0] != "masks" and key[0] != "frames"
    }
    if unread:
        table, key = min(unread, key=repr)
        yield f"{table} {list(key)}: is cited, but not read by the program"
    value = json.dumps(plain_value(gives.value))
    if value != program_row["value"]:
        yield f"value: found {program_row['value']}, the program gives {value}"
    for name, found in (("sigma", gives.sigma), ("margin", gives.margin)):
        said = program_row[name]
        known = None if found is None or found == float("inf") else found
        if (said is None) != (known is None) or (
            known is not None and abs(said - known) > 1e-6 * max(abs(known), 1e-9)
        ):
            yield f"{name}: found {said}, the program gives {known}"
    if run.basis != program_row["basis"]:
        yield f"basis: found {program_row['basis']}, the rows say {run.basis}"
    try:
        answer = answer_text(
            gives.value,
            kind=question["problem_type"],
            unit=question["unit"],
            choices=program_row["choices"],
        )
    except (ValueError, AssertionError, IndexError, TypeError):
        yield f"answer: found {question['answer']!r}, the value {value} is none of the choices"
        return
    if answer != question["answer"]:
        yield f"answer: found {question['answer']!r}, the value says {answer!r}"
    if len(program_row["choices"] or ()) != len(question["options"] or ()):
        yield "options: their number is not that of the program's choices"
