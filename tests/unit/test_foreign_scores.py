"""Answers of other people's models: read from their files, judged by each bench's own rule."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from massannot.cli import app
from massannot.errors import UsageError
from massannot.questions.answer_files import read_answers
from massannot.rft.foreign_answers import RULES
from massannot.rft.foreign_scores import score
from massannot.rft.judges import judge

QUESTIONS: list[dict[str, Any]] = [
    {"video": "a.mp4", "id": "far", "question": "How far?", "answer": "2 m", "unit": "m",
     "problem_type": "number", "category": "distance"},
    {"video": "b.mp4", "id": "near", "question": "How near?", "answer": "1 m", "unit": "m",
     "problem_type": "number", "category": "distance"},
    {"video": "b.mp4", "id": "way", "question": "Which way?", "answer": "B", "category": "side",
     "options": ["left", "right"]},
    {"video": "a.mp4", "id": "hour", "question": "Which hour?", "answer": "11 o'clock",
     "category": "direction"},
    {"video": "a.mp4", "id": "span", "question": "When?", "answer": "2 to 4 s", "category": "when"},
    {"video": "b.mp4", "id": "why", "question": "Why?", "answer": "from top to bottom",
     "category": "why"},
]  # fmt: skip
SAID = {
    "far": "about 2.2 m",  # 10 % off: a threshold of MRA
    "near": "1",
    "way": "**B**",
    "hour": "in the 12 o'clock direction",
    "span": "from 3 s to 5 s",
    "why": "from bottom to top",
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return lines(tmp_path / "questions.jsonl", QUESTIONS)


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answers(folder: Path, said: dict[str, str] = SAID) -> Path:
    rows = [{"question_id": name, "response": text} for name, text in said.items()]
    return lines(folder / "answers.jsonl", rows)


SCORES = [
    # within 25 %; the hour exactly; the span's IoU is 1/3; words shared with the opposite
    ("ours", "lenient", {"distance": 1.0, "side": 1.0, "direction": 0.0, "when": 1 / 3}),
    ("vsi", "lenient", {"distance": 0.95, "side": 1.0}),
    ("stkit", "lenient", {"distance": 1.0, "direction": 0.0, "when": 0.0}),
    ("video-r1", "lenient", {"distance": 0.5, "side": 1.0}),
    ("ours", "strict", {"distance": 0.5, "side": 0.0, "direction": 0.0, "when": 1 / 3}),
]


@pytest.mark.parametrize(("rule", "reader", "right"), SCORES)
def test_a_rule_counts_as_its_bench_does(
    rule: str, reader: Any, right: dict[str, float], data: Path, tmp_path: Path
) -> None:
    found = score(answers(tmp_path), data=data, rule=rule, reader=reader)
    values = {row.what: row.accuracy.value for row in found.rows if row.by == "category"}
    assert {name: values[name] for name in right} == pytest.approx(right)


def test_mean_errors_are_in_base_units(data: Path, tmp_path: Path) -> None:
    found = score(answers(tmp_path, SAID | {"near": "150 cm"}), data=data)
    assert found.errors["distance"] == [("m", pytest.approx(0.35), 2)]
    assert found.errors["direction"] == [("h of the clock", 1.0, 1)]
    assert found.errors["when"] == [("s", 1.0, 1)]


def test_a_lost_answer_counts_as_wrong_unless_told_otherwise(data: Path, tmp_path: Path) -> None:
    file = answers(tmp_path, {"far": "2 m", "other": "3"})
    found = score(file, data=data)
    by = {(row.by, row.what): row for row in found.rows}
    assert by["category", "distance"].accuracy.value == 0.5
    assert "5 questions have no answer" in found.notes[0]
    assert "1 answer is to no question" in found.notes[1]
    only = score(file, data=data, answered_only=True)
    assert [(row.what, row.n_questions) for row in only.rows if row.by == "all"] == [("all", 1)]


def test_an_empty_answer_is_wrong_and_stops_nothing(data: Path, tmp_path: Path) -> None:
    rows = [{"question_id": name, "answer": said} for name, said in SAID.items()]
    whole = score(lines(tmp_path / "a.jsonl", rows), data=data).rows[-1].accuracy.value
    rows[0]["answer"] = None
    lost = score(lines(tmp_path / "b.jsonl", rows), data=data).rows[-1].accuracy.value
    assert lost < whole
    with pytest.raises(UsageError, match="found no row, expected a question's id"):
        score(lines(tmp_path / "c.jsonl", []), data=data)


def test_samples_of_lmms_eval_are_read(tmp_path: Path) -> None:
    samples = [
        {"doc_id": 0, "doc": {"question_id": "far"}, "filtered_resps": ["2 m"], "resps": [["x"]]},
        {"doc_id": 1, "doc": {"id": 7, "scene_name": "s", "dataset": "d", "question_type": "t",
                              "ground_truth": "4"}, "resps": [["4"]]},
        {"doc_id": 2, "doc": {"video": 5, "qid": 6, "frame_count": 9}, "resps": [["B"]]},
    ]  # fmt: skip
    found = read_answers(lines(tmp_path / "samples.jsonl", samples))
    assert found == {"far": "2 m", "7": "4", "5_6": "B"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": 1, "answer": "a"}, {"id": 1, "answer": "b"}], "a second answer to '1'"),
        ([{"answer": "a"}], "expected one of question_id"),
        ([{"id": 1}], "expected one of filtered_resps"),
        ([{"id": "x", "answer": "a"}], "none of which is a question's"),
    ],
    ids=["two answers", "no id", "no answer", "other ids"],
)
def test_a_file_that_answers_nothing_is_refused(
    rows: list[dict[str, Any]], said: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        score(lines(tmp_path / "answers.jsonl", rows), data=data)


def test_the_command_writes_what_it_shows(data: Path, tmp_path: Path) -> None:
    command = ["rft", "score", str(answers(tmp_path)), "--data", str(data), "-o", str(tmp_path)]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.output
    assert (tmp_path / "scores.md").read_text() in shown.output
    assert "| distance | 100.0" in shown.output
    assert len((tmp_path / "judged.jsonl").read_text().splitlines()) == len(QUESTIONS)
    assert set(RULES) == {"ours", "vsi", "video-r1", "stkit"}


class _Model(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = body["messages"][0]["content"]
        same = "True answer: from top to bottom\nGiven answer: from top" in request
        reply = {"choices": [{"message": {"content": f"{float(same)}"}}]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""


@pytest.fixture
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Model)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


def test_a_judge_decides_free_text_where_it_is_named(
    data: Path, tmp_path: Path, address: str
) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("def same(question, truth, said):\n    return float(said == truth)\n")
    for chosen in (judge(f"{mine}:same"), judge(address, model="any")):
        found = score(answers(tmp_path), data=data, judge=chosen)
        (why,) = (row for row in found.rows if row.what == "why")
        assert why.accuracy.value == 0.0  # shared words alone pay half
    (paid,) = (row for row in score(answers(tmp_path), data=data).rows if row.what == "why")
    assert paid.accuracy.value == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("http://example.com/v1", "expected an address of this machine"),
        ("http://localhost:1/v1", "expected --judge-model"),
        ("rouge", "expected ./mine.py:function"),
    ],
)
def test_a_judge_elsewhere_is_refused(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        judge(name)


def test_scores_are_split_by_where_videos_are_from(tmp_path: Path) -> None:
    made = {"source_kind": "generated", "generator": "a model"}
    stated = [q | made if q["video"] == "b.mp4" else q for q in QUESTIONS]
    found = score(answers(tmp_path), data=lines(tmp_path / "questions.jsonl", stated))
    split = {r.what: (r.accuracy.value, r.n_questions) for r in found.rows if r.by == "source"}
    right = pytest.approx(2.5 / 3)  # near, way and half of why
    assert split == {"generator=a model": (right, 3), "source_kind=generated": (right, 3)}
