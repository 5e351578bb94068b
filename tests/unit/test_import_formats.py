"""Files of published question sets, written after what their public loaders read.

Every row of such a file is right or refused by name.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from massannot.errors import UsageError
from massannot.inputs.question import Question
from massannot.questions.answers import kind_of
from massannot.questions.import_files import import_questions, read_as
from massannot.questions.import_formats import parse_map

Rows = Sequence[dict[str, Any]]
VSI: Rows = [
    {
        "id": 1,
        "dataset": "arkitscenes",
        "scene_name": "41069025",
        "question_type": "object_abs_distance",
        "question": "What is the distance between the tv and the stove (in meters)?",
        "ground_truth": "2.6",
        "options": None,
    },
    {
        "id": 2,
        "dataset": "scannet",
        "scene_name": "scene0011_00",
        "question_type": "object_counting",
        "question": "How many chair(s) are in this room?",
        "ground_truth": "4",
        "options": None,
    },
    {
        "id": 3,
        "dataset": "scannet",
        "scene_name": "scene0011_00",
        "question_type": "room_size_estimation",
        "question": "What is the size of this room (in square meters)?",
        "ground_truth": "20.4",
        "options": None,
    },
    {
        "id": 4,
        "dataset": "scannet",
        "scene_name": "scene0011_00",
        "question_type": "object_rel_distance",
        "question": "Which of these is closest to the tv?",
        "ground_truth": "C",
        "options": ["A. bed", "B. sofa", "C. stove", "D. desk"],
    },
    {
        "id": 5,
        "dataset": "scannet",
        "scene_name": "scene0011_00",
        "question_type": "object_size_estimation",
        "question": "How long is the sofa, measured in centimeters?",
        "ground_truth": "long",
        "options": None,
    },
]
STI: Rows = [
    {
        "Video": "scene1.mp4",
        "ID": 0,
        "time_start": 1.0,
        "time_end": 4.5,
        "Task": "Displacement & Path Length",
        "Scene": "indoor",
        "Question": "How far does the camera move?",
        "Candidates": '{"A": "1 m", "B": "2 m", "C": "3 m", "D": "4 m", "E": "5 m"}',
        "Answer": "E",
    },
    {
        "Video": "000012.mp4",
        "ID": 0,
        "time_start": 0.0,
        "time_end": 2.0,
        "Task": "Speed",
        "Scene": "desktop",
        "Question": "How fast is the hand?",
        "Candidates": '{"A": "slow", "B": "fast"}',
        "Answer": "C",
    },
]
DSR: Rows = [
    {
        "videoID": "-0Abc_1",
        "question": "Between 1.0s and 3.0s, how does the distance change?",
        "options": ["A. (1) larger", "B. (1) smaller"],
        "answer": "B",
    },
    {
        "videoID": None,
        "question": "And the speed?",
        "options": ["A. x", "B. y"],
        "answer": "B",
    },
]
DSR_TSV: Rows = [
    {
        "index": 7,
        "video": "clips/a.mp4",
        "question": "How does the speed change?",
        "options": "['A. (1) larger', 'B. (1) constant']",
        "answer": "A",
        "task_type": "abs_spd",
    },
    {
        "index": 8,
        "video": "clips/a.mp4",
        "question": "How?",
        "options": "['A. x', 'B. y']",
        "answer": "Z",
        "task_type": "rel_dis",
    },
]
VLM4D: Rows = [
    {
        "id": "v1",
        "video": "https://hub.example/datasets/x/VLM4D/resolve/main/videos_real/davis/bear.mp4",
        "question_type": "multiple-choice",
        "question": "Which way does the bear walk?",
        "choices": {"A": "left", "B": "right", "C": "not moving", "D": "no bear there"},
        "answer": "right",
    },
    {
        "id": "v2",
        "video": "videos_synthetic/synth_003.mp4",
        "question_type": "multiple-choice",
        "question": "Which way does the drone fly?",
        "choices": {"A": "left", "B": "right"},
        "answer": "up",
    },
]
NEXT: Rows = [
    {
        "video": 4010069381,
        "frame_count": 369,
        "width": 640,
        "height": 480,
        "question": "how do the two man play the instrument",
        "answer": 0,
        "qid": 6,
        "type": "CH",
        **{f"a{n}": text for n, text in enumerate(["roll", "tap", "strum", "hit", "pat"])},
    },
    {
        "video": 4010069381,
        "frame_count": 369,
        "width": 640,
        "height": 480,
        "question": "why",
        "answer": 5,
        "qid": 7,
        "type": "CW",
        **{f"a{n}": text for n, text in enumerate(["a 1", "b 2", "c 3", "d 4", "e 5"])},
    },
]
PLAIN: Rows = [
    {"video": "a.mp4", "id": "1", "question": "Which way?", "answer": "left",
     "candidates": ["left", "right"]},
    {"video": "a.mp4", "id": "2", "question": "In which direction does it move?",
     "answer": "in the direction of 10 o'clock", "candidates": None},
    {"video": "a.mp4", "id": "3", "question": "In which direction?", "answer": "10:00",
     "candidates": None},
    {"video": "a.mp4", "id": "4", "question": "When does it move?", "answer": "[3.5, 4.5]",
     "candidates": None},
    {"video": "a.mp4", "id": "5", "question": "How many balls are there?", "answer": "ten",
     "candidates": None},
    {"video": "a.mp4", "id": "6", "question": "How far?", "answer": "3 furlongs",
     "candidates": None},
]  # fmt: skip

FORMATS: list[tuple[str, Rows, dict[str, tuple[str, str, str | None]], dict[str, str]]] = [
    (
        "vsi.parquet",
        VSI,
        {
            "1": ("arkitscenes/41069025.mp4", "2.6 m", "object_abs_distance"),
            "2": ("scannet/scene0011_00.mp4", "4", "object_counting"),
            "3": ("scannet/scene0011_00.mp4", "20.4 m^2", "room_size_estimation"),
            "4": ("scannet/scene0011_00.mp4", "C. stove", "object_rel_distance"),
        },
        {"5": "bad_answer"},
    ),
    (
        "sti.parquet",
        STI,
        {"scene1.mp4#0": ("scene1.mp4", "E. 5 m", "Displacement & Path Length")},
        {"000012.mp4#0": "bad_answer"},
    ),
    ("dsr.parquet", DSR, {"*": ("-0Abc_1.mp4", "B. (1) smaller", None)}, {"*": "no_video"}),
    (
        "dsr.tsv",
        DSR_TSV,
        {"7": ("clips/a.mp4", "A. (1) larger", "abs_spd")},
        {"8": "bad_answer"},
    ),
    (
        "vlm4d.json",
        VLM4D,
        {"v1": ("videos_real/davis/bear.mp4", "B. right", None)},
        {"v2": "bad_answer"},
    ),
    (
        "next.csv",
        NEXT,
        {"4010069381_6": ("4010069381.mp4", "A. roll", "CH")},
        {"4010069381_7": "bad_answer"},
    ),
    (
        "plain.json",
        PLAIN,
        {
            "1": ("a.mp4", "A. left", None),
            "2": ("a.mp4", "10 o'clock", None),
            "3": ("a.mp4", "10 o'clock", None),
            "4": ("a.mp4", "3.5 to 4.5 s", None),
            "5": ("a.mp4", "10", None),
        },
        {"6": "unknown_unit"},
    ),
]


def write_file(path: Path, rows: Rows) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix in (".csv", ".tsv"):
        with path.open("w", newline="") as file:
            delimiter = "\t" if path.suffix == ".tsv" else ","
            table = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
            table.writeheader()
            table.writerows(rows)
    else:
        path.write_text(json.dumps(list(rows)))
    return path


@pytest.mark.parametrize(("name", "rows", "right", "wrong"), FORMATS, ids=[f[0] for f in FORMATS])
def test_every_row_of_a_public_format_is_right_or_refused_by_name(
    tmp_path: Path,
    name: str,
    rows: Rows,
    right: dict[str, tuple[str, str, str | None]],
    wrong: dict[str, str],
) -> None:
    found = import_questions([write_file(tmp_path / name, rows)])

    def key(question: Question) -> str:
        return "*" if "*" in right else question.question_id

    read = {key(q): (q.uri, read_as(q), q.category) for q in found.questions}
    assert read == {
        name: (str(tmp_path / video), answer, category)
        for name, (video, answer, category) in right.items()
    }
    assert {key(q): q.problem and q.problem.reason for q in found.refused} == wrong


def test_a_span_and_the_evaluators_own_measure_are_kept(tmp_path: Path) -> None:
    (sti,) = import_questions([write_file(tmp_path / "sti.parquet", STI)]).questions
    assert (sti.start_s, sti.end_s) == (1.0, 4.5)
    vsi = import_questions([write_file(tmp_path / "vsi.parquet", VSI)]).questions
    assert [q.accuracy for q in vsi] == ["mean_relative_accuracy"] * 3 + [None]


LLAVA = [
    {
        "id": 3,
        "video": "a.mp4",
        "conversations": [
            {"from": "human", "value": "<video>\nHow many balls?"},
            {"from": "gpt", "value": "3"},
        ],
    }
]


def test_another_format_is_refused_with_the_flags_that_read_it(tmp_path: Path) -> None:
    file = write_file(tmp_path / "llava.json", LLAVA)
    with pytest.raises(UsageError, match=r"--map question=conversations\.0\.value"):
        import_questions([file])
    mapped = parse_map(["question=conversations.0.value", "answer=conversations.1.value"])
    (question,) = import_questions([file], mapped=mapped).questions
    assert (question.question, question.answer, question.tolerance) == ("How many balls?", "3", 0)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [(["quest=a"], "expected OURS=THEIRS"), (["question"], "expected OURS=THEIRS")],
    ids=["no such column", "no ="],
)
def test_a_map_to_nothing_is_refused(pairs: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_map(pairs)


def test_a_map_from_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    file = write_file(tmp_path / "llava.json", LLAVA)
    with pytest.raises(UsageError, match=r"found no such column in .*, which has conversations"):
        import_questions([file], mapped={"question": "prompt", "answer": "id"})


def test_one_id_in_two_files_names_two_questions(tmp_path: Path) -> None:
    other = [{**row, "question": f"{row['question']} Again?"} for row in PLAIN[:2]]
    files = [
        write_file(tmp_path / "val.json", PLAIN[:3]),
        write_file(tmp_path / "test.json", other),
    ]
    found = import_questions(files)
    assert [q.question_id for q in found.questions] == ["3", "test:1", "test:2", "val:1", "val:2"]
    assert not found.refused


@pytest.mark.parametrize(
    ("answer", "question", "kind", "unit"),
    [
        ("12", "How many seconds does it take?", "number", "s"),
        ("12", "How fast is it (in km/h)?", "number", "km/h"),
        ("12", "How many cars are there?", "number", None),
        ("ten", "What is written on the sign?", "text", None),
        ("10:00", "What does the clock tower show at 3 s?", "clock", None),
        ("10:00", "What is written on the sign?", "text", None),
        ("[3.5, 4.5]", "Where is the ball?", "text", None),
        ("4 to 6", "When is it hidden?", "interval", None),
        ("3 m/sec", None, "number", "m/s"),
        ("30 mph", None, "number", "mph"),
    ],
)
def test_kinds_and_units_are_read_as_a_person_reads_them(
    answer: str, question: str | None, kind: str, unit: str | None
) -> None:
    assert kind_of(answer, question=question) == (kind, unit)
