"""Questions of other datasets: their answers typed, and what cannot be judged refused by name."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from massannot.errors import UsageError
from massannot.inputs.manifest import read_manifests
from massannot.inputs.question import Question
from massannot.questions.import_files import (
    Imported,
    import_questions,
    write_questions,
    write_refused,
)

Rows = Sequence[dict[str, Any]]

HALLU: Rows = [
    {
        "RowID": 1,
        "Model": "Sora",
        "Caption Notes": "",
        "annotator": "a",
        "video_path": "sora/1.mp4",
        "Prompt": "a ball falls",
        "Question": "Does the ball fall?",
        "Answer": "No, it rises",
        "Categorization-1": "Physics",
        "Categorization-2": "Motion",
    },
    {
        "RowID": 2,
        "Model": "Veo2",
        "video_path": "veo/2.mp4",
        "Question": "What is in the box?",
        "Answer": "A cat.",
        "Categorization-1": "Alignment",
        "Categorization-2": "Counting",
    },
    {"RowID": 3, "video_path": "veo/2.mp4", "Question": "How many?", "Answer": "3"},
    {"RowID": 4, "video_path": "veo/2.mp4", "Question": "How many?", "Answer": ""},
]

R1: Rows = [
    {
        "problem_id": 7,
        "problem": "Which way does it go?",
        "data_type": "video",
        "problem_type": "multiple choice",
        "options": ["A. left", "B. right"],
        "process": "",
        "solution": "<answer>B</answer>",
        "path": "./LLaVA/7.mp4",
        "data_source": "LLaVA",
    },
    {
        "problem_id": 8,
        "problem": "How far is it?",
        "data_type": "video",
        "problem_type": "regression",
        "options": [],
        "solution": "<answer>2.5</answer>",
        "path": "./STAR/8.mp4",
        "data_source": "STAR",
    },
]


def r1(**changes: Any) -> dict[str, Any]:
    return {**R1[0], "problem_id": 9, **changes}


def written(folder: Path, name: str, rows: Rows) -> Path:
    path = folder / name
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    else:
        path.write_text(json.dumps(list(rows)))
    return path


def by_id(found: Imported) -> dict[str, Question]:
    return {question.question_id: question for question in found.questions}


@pytest.mark.parametrize("name", ["hallu.csv", "hallu.json"])
def test_videohallu_is_read_and_its_answers_are_typed(tmp_path: Path, name: str) -> None:
    found = import_questions([written(tmp_path, name, HALLU)])
    first, second, third = found.questions
    assert first.uri == str(tmp_path / "sora/1.mp4")
    assert (first.question, first.answer) == ("Does the ball fall?", "No, it rises")
    assert (first.caption, first.category) == ("a ball falls", "Physics")
    assert json.loads(first.further or "")["categorization-2"] == "Motion"
    assert [q.problem_type for q in found.questions] == ["yes_no", "text", "number"]
    assert (first.tolerance, second.tolerance, third.tolerance) == (None, None, 0)  # a count
    assert dict(found.kinds) == {"yes_no": 1, "text": 1, "number": 1}
    assert dict(found.reasons) == {"no_answer": 1}
    assert [q.question_id for q in found.refused] == ["4"]


def test_video_r1_is_read_with_its_problem_types(tmp_path: Path) -> None:
    found = by_id(import_questions([written(tmp_path, "r1.json", R1)], videos=tmp_path / "data"))
    choice, far = found["7"], found["8"]
    assert choice.uri == str(tmp_path / "data/LLaVA/7.mp4")
    assert (choice.problem_type, choice.answer) == ("multiple_choice", "B")
    assert choice.options == ("A. left", "B. right")
    assert (far.problem_type, far.accuracy, far.answer) == ("number", "regression", "2.5")
    assert far.category == "STAR"


REFUSED = [
    pytest.param(r1(problem=None), "bad_question", "is null", id="no problem"),
    pytest.param(r1(data_type="image"), "not_about_a_video", "image", id="an image"),
    pytest.param(r1(path=None), "no_video", "no video", id="no video"),
    pytest.param(r1(solution=None), "no_answer", "no answer", id="no answer"),
    pytest.param(
        r1(solution="<answer>C</answer>"), "bad_answer", "one of A, B", id="no such option"
    ),
    pytest.param(r1(options=["left"]), "bad_question", "found 1, expected 2", id="one option"),
    pytest.param(r1(options=7), "bad_question", "expected a list", id="options that are none"),
    pytest.param(r1(problem_type="OCR"), "bad_question", "'OCR'", id="a type nobody judges"),
    pytest.param(
        r1(problem_type="numerical", options=[], solution="3 furlongs"),
        "unknown_unit",
        "'furlongs'",
        id="a unit in the answer that is none",
    ),
    pytest.param(
        r1(problem="How far?", problem_type=None, options=[], solution="3 furlongs"),
        "unknown_unit",
        "say problem_type text",
        id="a measure in no unit, of no type",
    ),
    pytest.param(
        r1(problem_type="numerical", options=[], solution="3", unit="cubit"),
        "unknown_unit",
        "'cubit'",
        id="an unknown unit",
    ),
    pytest.param(
        r1(problem_type="clock", options=[], solution="13"), "bad_answer", "1 to 12", id="no hour"
    ),
    pytest.param(r1(start_s=3, end_s=2), "span_outside_video", "start_s < end_s", id="no span"),
    pytest.param(r1(entities=["what?"]), "bad_phrase", "'what?'", id="no phrase"),
    pytest.param(r1(problem_id=7, problem="And up?"), "duplicate_id", "'7'", id="an id taken"),
]


@pytest.mark.parametrize(("row", "reason", "says"), REFUSED)
def test_a_row_that_cannot_be_judged_is_refused_by_name_and_the_rest_goes_on(
    tmp_path: Path, row: dict[str, Any], reason: str, says: str
) -> None:
    found = import_questions([written(tmp_path, "r1.json", [*R1, row])])
    assert tuple(by_id(found)) == ("7", "8")
    (refused,) = found.refused
    assert refused.problem is not None
    assert refused.problem.reason == reason
    assert says in refused.problem.message
    write_refused(tmp_path / "refused.jsonl", found.refused)
    (line,) = (tmp_path / "refused.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "id": refused.question_id,
        "class": reason,
        "message": refused.problem.message,
    }


TYPED = [
    pytest.param({"answer": "2 m"}, ("number", "m", None), id="a number and its unit"),
    pytest.param({"answer": "4 o'clock"}, ("clock", None, None), id="a direction"),
    pytest.param({"answer": "1 to 2 s"}, ("interval", None, None), id="an interval"),
    pytest.param({"answer": "2", "unit": "metres"}, ("number", "m", None), id="a unit in a column"),
    pytest.param(
        {"answer": "1 to 2", "unit": "seconds"}, ("interval", "s", None), id="an interval's unit"
    ),
    pytest.param(
        {"answer": "2", "problem_type": "number", "tolerance": 0.5},
        ("number", None, 0.5),
        id="a tolerance",
    ),
    pytest.param(
        {"answer": "red", "options": "red; blue"}, ("multiple_choice", None, None), id="C"
    ),
    pytest.param({"answer": "yes", "problem_type": "text"}, ("text", None, None), id="as it says"),
]


@pytest.mark.parametrize(("said", "expected"), TYPED)
def test_any_manifest_gets_types_where_it_says_none(
    tmp_path: Path, said: dict[str, Any], expected: tuple[str, str | None, float | None]
) -> None:
    row = {"video": "a.mp4", "id": "q", "question": "So?", **said}
    (found,) = import_questions([written(tmp_path, "m.json", [row])]).questions
    assert (found.problem_type, found.unit, found.tolerance) == expected


def test_entities_have_their_places_in_the_question(tmp_path: Path) -> None:
    text = "Does the red ball hit a hoop?"
    rows = [
        {"video": "a.mp4", "id": "named", "question": text, "answer": "no"},
        {"video": "a.mp4", "id": "not", "question": text, "answer": "no"},
    ]
    rows[0]["entities"] = "a Hoop; dog; the red ball"
    path = written(tmp_path, "m.json", rows)
    named, unnamed = import_questions([path]).questions
    assert named.entities == ("a Hoop", "dog", "the red ball")
    assert named.entity_spans == (24, 28, None, None, 9, 17)
    assert (unnamed.entities, unnamed.entity_spans) == (None, None)
    _, found = import_questions([path], find_entities=True).questions
    assert found.entities == ("red ball", "hoop")
    assert found.entity_spans == (9, 17, 24, 28)


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_what_was_imported_reads_back_as_a_manifest(tmp_path: Path, ending: str) -> None:
    files = [written(tmp_path, "hallu.csv", HALLU), written(tmp_path, "r1.json", R1)]
    found = import_questions(files, find_entities=True)
    path = tmp_path / "elsewhere" / f"questions.{ending}"
    write_questions(path, found.questions)
    back = read_manifests([str(path)])
    assert [question.question_id for question in back] == ["1", "2", "3", "7", "8"]
    assert back == found.questions
    first = path.read_bytes()
    write_questions(path, found.questions)
    assert path.read_bytes() == first


def test_what_was_imported_may_be_imported_again(tmp_path: Path) -> None:
    found = import_questions([written(tmp_path, "r1.json", R1)])
    write_questions(tmp_path / "again.parquet", found.questions)
    assert pq.read_table(tmp_path / "again.parquet")["problem_type"].to_pylist() == [
        "multiple_choice",
        "number",
    ]
    assert import_questions([tmp_path / "again.parquet"]).questions == found.questions


def test_a_row_of_an_address_that_is_not_read_costs_itself(tmp_path: Path) -> None:
    rows = [
        {"video": video, "question": "How many?", "answer": "2"}
        for video in ("s5://a.mp4", "https://films.example/a.mp4", "a.mp4")
    ]
    found = import_questions([written(tmp_path, "m.json", rows)])
    assert [q.uri.rpartition("/")[2] for q in found.questions] == ["a.mp4"]
    assert found.reasons == {"impossible_name": 2}


@pytest.mark.parametrize(
    ("rows", "form", "says"),
    [
        pytest.param([{"clip": "a.mp4"}], None, "expected those of a format", id="no format"),
    ],
)
def test_a_file_of_no_known_format_is_refused(
    tmp_path: Path, rows: Rows, form: Any, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        import_questions([written(tmp_path, "m.json", rows)], form=form)
