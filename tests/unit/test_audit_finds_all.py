"""Three hundred changes to what was asked and to what was asked about: each is found, and no other
question is blamed."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from massannot import tables
from massannot.dataset.reading import open_dataset
from massannot.questions.ask import program as p
from massannot.questions.ask.ask_dataset import Asking, ask
from massannot.questions.ask.audit_answers import problems_of
from massannot.questions.ask.cited_rows import ClipRows, DatasetRows
from massannot.questions.ask.evidence import ADDED_LATER
from tests.asked_tables import write_asked_about

Row = dict[str, Any]
N_CHANGES = 300


class Asked:
    """Questions, programs and evidence in memory, and the rows of the clips they are about."""

    def __init__(self, data: Path, dest: Path):
        asked = open_dataset(dest)
        self.questions = {r["question_id"]: r for r in asked.table("questions").to_pylist()}
        programs = asked.table("question_programs").to_pylist()
        self.programs = {row["question_id"]: row for row in programs}
        self.evidence: dict[str, list[Row]] = defaultdict(list)
        for row in asked.table("question_evidence").to_pylist():
            self.evidence[row["question_id"]].append(row)
        clips = sorted({row["clip_id"] for row in self.questions.values()})
        self.rows = DatasetRows(open_dataset(data)).of(clips)

    def blamed(self, rows: ClipRows) -> set[str]:
        """Of the questions about the clip of `rows`."""
        mine = [q for q, row in self.questions.items() if row["clip_id"] == rows.clip_id]
        return {
            q for q in mine
            if list(problems_of(self.questions[q], self.programs[q], self.evidence[q], rows))
        }  # fmt: skip


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    folder = tmp_path_factory.mktemp("audit")
    data = write_asked_about(folder / "data", n_clips=8)
    families = ("travelled_distance", "speed_comparison", "dsr_distance", "event_order",
                "event_time", "event_happens")  # fmt: skip
    ask(
        data,
        folder / "asked",
        Asking(families=families, per_clip=4, min_margin=0.5, even=False),
    )
    return Asked(data, folder / "asked")


def test_every_change_is_found_and_nothing_else(asked: Asked) -> None:
    assert not any(asked.blamed(rows) for rows in asked.rows.values())
    chance = random.Random(15)
    changes = (_cell, _row, _program, _question, _evidence)
    for number in range(N_CHANGES):
        question_id = chance.choice(sorted(asked.questions))
        what, rows, expected = changes[number % len(changes)](asked, question_id, chance)
        try:
            assert asked.blamed(rows) == expected, f"{number}: {what}"
        finally:
            _undo()


_UNDO: list[Any] = []


def _undo() -> None:
    while _UNDO:
        _UNDO.pop()()


def _set(row: Row, name: str, value: Any) -> None:
    before = row[name]
    _UNDO.append(lambda: row.__setitem__(name, before))
    row[name] = value


def _of_tables(asked: Asked, question_id: str, chance: random.Random) -> tuple[Any, ...]:
    """A row that the question cites: its table, key, index in the clip, and who else cites it."""
    clip = asked.rows[asked.questions[question_id]["clip_id"]]
    item = chance.choice(asked.evidence[question_id])
    name, key = item["table"], tuple(json.loads(item["row_key"]))
    columns = tables.spec(name).key
    found = clip.tables[name].to_pylist() if name in clip.tables else []
    there = [i for i, row in enumerate(found) if tuple(row[c] for c in columns)[: len(key)] == key]
    if not there:
        return _of_tables(asked, question_id, chance)
    index = chance.choice(there)
    whole = tuple(found[index][c] for c in columns)
    blamed = {
        q for q, items in asked.evidence.items()
        if asked.questions[q]["clip_id"] == clip.clip_id
        and any(i["table"] == name and whole[: len(k := json.loads(i["row_key"]))] == tuple(k)
                for i in items)
    }  # fmt: skip
    return clip, name, index, found, blamed


def _with(clip: ClipRows, name: str, found: list[Row]) -> ClipRows:
    table = pa.Table.from_pylist(found, schema=clip.tables[name].schema)
    return ClipRows({**clip.tables, name: table}, clip.clip_id)


def _cell(asked: Asked, question_id: str, chance: random.Random) -> tuple[str, ClipRows, set[str]]:
    clip, name, index, found, blamed = _of_tables(asked, question_id, chance)
    cells = [c for c in found[index] if c not in tables.spec(name).key
             and _other(found[index][c]) is not None]  # fmt: skip
    column = chance.choice(cells)
    changed = {**found[index], column: _other(found[index][column])}
    found[index] = changed
    return f"{name}.{column}", _with(clip, name, found), blamed


def _row(asked: Asked, question_id: str, chance: random.Random) -> tuple[str, ClipRows, set[str]]:
    clip, name, index, found, blamed = _of_tables(asked, question_id, chance)
    del found[index]
    return f"{name} without a row", _with(clip, name, found), blamed


def _program(
    asked: Asked, question_id: str, chance: random.Random
) -> tuple[str, ClipRows, set[str]]:
    program = asked.programs[question_id]
    name, value = chance.choice(
        [
            ("program", p.as_json(p.Count(("stop",), 0))),
            ("program", "{}"),
            ("version", program["version"] + 1),
            ("value", "99.0"),
            ("margin", 123.0),
            ("sigma", 123.0),
            ("basis", "none" if program["basis"] == "internal" else "internal"),
            ("evidence_hash", "0" * 32),
        ]
    )
    _set(program, name, value)
    return f"program's {name}", asked.rows[asked.questions[question_id]["clip_id"]], {question_id}


def _question(
    asked: Asked, question_id: str, chance: random.Random
) -> tuple[str, ClipRows, set[str]]:
    question = asked.questions[question_id]
    fixed = ("question_id", "clip_id", *ADDED_LATER)
    of = [c for c in question if c not in fixed and _other(question[c])]
    name = chance.choice(of)
    _set(question, name, _other(question[name]))
    return f"question's {name}", asked.rows[question["clip_id"]], {question_id}


def _evidence(
    asked: Asked, question_id: str, chance: random.Random
) -> tuple[str, ClipRows, set[str]]:
    item = chance.choice(asked.evidence[question_id])
    name = chance.choice([c for c in item if c != "question_id" and _other(item[c]) is not None])
    _set(item, name, _other(item[name]))
    return f"evidence's {name}", asked.rows[asked.questions[question_id]["clip_id"]], {question_id}


def _other(value: Any) -> Any:
    """Another value of its kind; None: it has none."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value} "
    if isinstance(value, list) and value:
        other = _other(value[-1])
        return None if other is None else [*value[:-1], other]
    return None
