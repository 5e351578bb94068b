"""Manifests of four kinds say the same; a bad row has a name and the others go on."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from massannot import tables
from massannot.errors import MassannotWarning, UsageError
from massannot.inputs.manifest import read_manifests
from massannot.inputs.question import Question

ROWS = [
    {
        "video": "v/a.mp4",
        "id": "q1",
        "start_s": 1.5,
        "end_s": 3.0,
        "question": "Does the ball rise?",
        "answer": "no, it falls",
        "category": "physics",
        "entities": "ball; hoop",
        "license": "CC0",
        "Human Score": "4",
    },
    {"video": "b.mp4", "id": "q2", "question": "What?", "caption": "a cat", "split": "test"},
]


def write(folder: Path, ending: str, rows: list[dict[str, object]], name: str = "m") -> str:
    path = folder / f"{name}.{ending}"
    names = list(dict.fromkeys(key for row in rows for key in row))
    if ending == "csv":
        quoted = [[str(row.get(n, "")).replace('"', '""') for n in names] for row in rows]
        lines = [",".join(f'"{cell}"' for cell in cells) for cells in [names, *quoted]]
        path.write_text("\ufeff" + "\r\n".join(lines) + "\r\n", encoding="utf-8")
    elif ending == "json":
        path.write_text(json.dumps({"data": rows}))
    elif ending == "jsonl":
        path.write_text("\n\n".join(json.dumps(row) for row in rows))
    else:
        pq.write_table(pa.table({n: [row.get(n) for row in rows] for n in names}), path)
    return str(path)


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_four_kinds_of_file_say_the_same(tmp_path: Path, ending: str) -> None:
    assert read_manifests([write(tmp_path, ending, ROWS)]) == (
        Question(
            question_id="q1",
            uri=str(tmp_path / "v/a.mp4"),
            source_id="q1",
            start_s=1.5,
            end_s=3.0,
            question="Does the ball rise?",
            answer="no, it falls",
            category="physics",
            entities=("ball", "hoop"),
            license="CC0",
            further='{"human score": "4"}',
        ),
        Question(
            question_id="q2",
            uri=str(tmp_path / "b.mp4"),
            source_id="q2",
            question="What?",
            caption="a cat",
            split="test",
        ),
    )


def test_a_row_without_an_id_has_the_same_one_in_every_kind_of_file(tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "id"} for row in ROWS]
    kinds = ("csv", "json", "jsonl", "parquet")
    found = [read_manifests([write(tmp_path, kind, rows)]) for kind in kinds]
    ids = [[question.question_id for question in questions] for questions in found]
    assert ids == [ids[0]] * 4
    assert len(set(ids[0])) == 2


def test_one_manifest_or_two_in_any_order_say_the_same(tmp_path: Path) -> None:
    both = write(tmp_path, "csv", ROWS, "both")
    first, second = (write(tmp_path, "csv", [row], f"m{n}") for n, row in enumerate(ROWS))
    expected = read_manifests([both])
    assert read_manifests([second, first]) == read_manifests([first, second]) == expected
    assert read_manifests([both, first]) == expected  # a row that stands there twice counts once


BAD = [
    ({"question": None}, "bad_question", "a null question"),
    ({"start_s": -1}, "span_outside_video", "a span before the video"),
    ({"start_s": 3, "end_s": 3}, "span_outside_video", "an empty span"),
    ({"end_s": "soon"}, "bad_question", "a time that is none"),
    ({"start_s": 0, "end_s": "inf"}, "bad_question", "an endless time"),
    ({"video": None}, "no_video", "no video"),
    ({"entities": ["ball", " "]}, "bad_phrase", "an empty entity"),
    ({"entities": "a ball.a hoop"}, "bad_phrase", "a full stop inside"),
    ({"entities": "what?"}, "bad_phrase", "a question mark inside"),
    ({"entities": 7}, "bad_phrase", "entities that are no texts"),
    ({"id": "good"}, "duplicate_id", "an id taken"),
    ({"options": 7}, "bad_question", "options that are no list"),
    ({"tolerance": "some"}, "bad_question", "a tolerance that is no number"),
    ({"unit": 3}, "bad_question", "a unit that is no text"),
    ({"evidence_boxes": [[1, 2, 3]]}, "bad_question", "a box without its corners"),
    ({"entity_spans": [1]}, "bad_question", "a span without an end"),
    ({"entity_spans": [0, 1]}, "bad_question", "a span of no entity"),
    ({"entities": ["X"], "entity_spans": [0, 3]}, "bad_question", "a span beyond the question"),
    ({"entities": ["X"], "entity_spans": [0, None]}, "bad_question", "half a span"),
]


@pytest.mark.parametrize(
    ("change", "reason"), [pytest.param(c, reason, id=why) for c, reason, why in BAD]
)
def test_a_bad_row_has_a_name_and_the_rest_goes_on(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    good = {"video": "a.mp4", "id": "good", "question": "Good?"}
    path = write(tmp_path, "json", [good, {"video": "a.mp4", "id": "x", "question": "X?"} | change])
    found = {q.question_id: q for q in read_manifests([path])}
    assert len(found) == 2
    problem_of = {key: q.problem and q.problem.reason for key, q in found.items()}
    assert problem_of.pop("good") is None
    assert list(problem_of.values()) == [reason]


HALF = "half \ud83d"
BROKEN = [
    ({"question": HALF}, "not_unicode", "question"),
    ({"answer": HALF}, "not_unicode", "answer"),
    ({"caption": HALF}, "not_unicode", "caption"),
    ({"category": HALF}, "not_unicode", "category"),
    ({"license": HALF}, "not_unicode", "license"),
    ({"id": HALF}, "not_unicode", "question_id, source_id"),
    ({"options": ["yes", HALF]}, "not_unicode", "options"),
    ({"made by": HALF}, "not_unicode", "further"),
    ({HALF: 1}, "not_unicode", "further"),
    ({"entities": ["a ball", HALF]}, "bad_phrase", "no valid Unicode"),
    ({"unit": 3, "answer": HALF}, "bad_question", "unit"),
    ({"video": f"{HALF}.mp4"}, "impossible_name", "half a surrogate pair"),
    ({"video": "nu\0l.mp4"}, "impossible_name", "NUL"),
    ({"video": "x" * 300 + ".mp4"}, "impossible_name", "304 bytes"),
    ({"video": "é" * 200 + ".mp4"}, "impossible_name", "404 bytes"),
    ({"video": "deep/" * 1000 + "a.mp4"}, "impossible_name", "too long"),
    ({"video": "s3://bucket/" + "x" * 1100}, "impossible_name", "1100 bytes"),
]


@pytest.mark.parametrize(
    ("change", "reason", "says"), BROKEN, ids=[f"{says}-{r}" for _, r, says in BROKEN]
)
@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_text_that_no_table_holds_and_names_that_no_file_has_cost_their_row_alone(
    tmp_path: Path, change: dict[str, object], reason: str, says: str, ending: str
) -> None:
    good = {"video": "a.mp4", "id": "good", "question": "Good? 😀"}
    path = write(tmp_path, ending, [{"video": "a.mp4", "id": "x", "question": "X?"} | change, good])
    found = {q.problem and q.problem.reason: q for q in read_manifests([path])}
    assert set(found) == {None, reason}
    problem = found[reason].problem
    assert problem is not None
    assert f"m.{ending}, row 1" in problem.message
    assert says in problem.message
    table = tables.spec("questions").from_rows([q.row() for q in found.values()])
    assert table.num_rows == 2  # Arrow takes every text
    assert found[None].question == "Good? 😀"


def test_text_is_spelt_out_where_it_is_no_valid_unicode(tmp_path: Path) -> None:
    path = write(tmp_path, "json", [{"video": "a.mp4", "id": "x", "caption": HALF}])
    assert read_manifests([path])[0].caption == "half \\ud83d"


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json", "parquet"])
def test_bytes_that_are_no_utf_8_cost_their_row_alone(tmp_path: Path, ending: str) -> None:
    """As when a few rows of another encoding were pasted into a file."""
    rows: list[dict[str, object]] = [
        {"video": "a.mp4", "id": "good", "caption": "a café"},
        {"video": "b.mp4", "id": "bad", "caption": "a cafXX"},
    ]
    path = Path(write(tmp_path, ending, rows))
    path.write_bytes(path.read_bytes().replace(b"cafXX", b"caf\xe9 "))
    if ending == "parquet":  # its statistics, pages and footer hold the text as it was written
        names = ("video", "id", "caption")
        texts = [[str(row[name]).encode() for row in rows] for name in names]
        texts[2][1] = b"a caf\xe9 "
        columns = [pa.array(column, pa.binary()).view(pa.string()) for column in texts]
        pq.write_table(pa.table(dict(zip(names, columns, strict=True))), path)
    bad, good = read_manifests([str(path)])
    assert (good.caption, good.problem) == ("a café", None)
    assert bad.problem is not None
    assert (bad.caption, bad.problem.reason) == ("a caf\\udce9", "not_unicode")


@pytest.mark.parametrize(
    "cells",
    [
        {"start": 1, "end": 2},
        {" Start": 1, "END": 2},
        {"start_time": "1", "end_time": "2.0"},
        {"time_start": 1, "time_end": 2},
        {"start_sec": 1, "end_seconds": 2},
    ],
    ids=str,
)
def test_start_and_end_have_many_names(tmp_path: Path, cells: dict[str, object]) -> None:
    (row,) = read_manifests([write(tmp_path, "json", [{"video": "a.mp4"} | cells])])
    assert (row.start_s, row.end_s, row.further) == (1.0, 2.0, None)


def test_a_span_under_another_name_is_checked_like_others(tmp_path: Path) -> None:
    (row,) = read_manifests([write(tmp_path, "json", [{"video": "a.mp4", "start": "0:05"}])])
    assert row.problem is not None
    assert "found start_s '0:05', expected seconds" in row.problem.message


@pytest.mark.parametrize(
    "cells",
    [
        {"start_frame": 10, "end_frame": 20},
        {"start_s": 1, "start": 10},
        {"segment": [1, 2]},
        {"video timestamps": "1-2"},
    ],
    ids=str,
)
def test_columns_that_look_like_spans_and_are_not_used_are_a_warning(
    tmp_path: Path, cells: dict[str, object]
) -> None:
    path = write(tmp_path, "json", [{"video": "a.mp4"} | cells])
    with pytest.warns(MassannotWarning, match="look like spans and are only carried through"):
        (row,) = read_manifests([path])
    assert row.further is not None
    assert row.end_s is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("ball, hoop", ("ball", "hoop"), id="commas"),
        pytest.param("ball . hoop .", ("ball", "hoop"), id="as Grounding DINO's users write it"),
        pytest.param('["a ball", "hoop, net"]', ("a ball", "hoop, net"), id="a JSON list"),
        pytest.param("ball|ball", ("ball",), id="named twice"),
        pytest.param("ボール", ("ボール",), id="any letters: the detector decides"),
    ],
)
def test_entities_in_one_text(tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
    path = write(tmp_path, "json", [{"video": "a.mp4", "entities": text}])
    assert read_manifests([path])[0].entities == expected


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        pytest.param("m.csv", "file,question\na.mp4,why\n", "'video'", id="no column video"),
        pytest.param("m.csv", "video,question\na.mp4,why,now\n", "line 2", id="too many cells"),
        pytest.param("m.csv", "video,Video\na,b\n", "twice", id="a column twice"),
        pytest.param("m.json", "{", "not JSON", id="not JSON"),
        pytest.param("m.json", '"a.mp4"', "expected a list", id="not a list"),
        pytest.param("m.jsonl", '{"video": "a"}\n[1]', "line 2", id="a line that is no object"),
        pytest.param("m.parquet", "PAR1", "cannot be read", id="not Parquet"),
        pytest.param("m.csv", "\xff\xfev\0i\0d\0e\0o\0", "UTF-16", id="UTF-16"),
        pytest.param(
            "m.csv", "video,question,question\na,b,c\n", "more than once", id="equal names"
        ),
    ],
)
def test_a_file_that_is_no_manifest_is_refused(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError, match=says):
        read_manifests([str(tmp_path / name)])


def test_what_is_said_of_the_answer_is_typed_the_same_in_every_kind_of_file(
    tmp_path: Path,
) -> None:
    said: dict[str, object] = {
        "video": "a.mp4",
        "id": "q",
        "question": "How far does the ball roll?",
        "problem_type": "number",
        "options": '["1 m", "2; 3 m"]',
        "unit": "m",
        "tolerance": 0.1,
        "tolerance_abs": 0.05,
        "accuracy": "numeric",
        "evidence_times_s": "[0.5, 1]",
        "evidence_boxes": "[[0.5, 1, 2, 3, 4], [1, 5, 6, 7, 8]]",
        "entities": "ball; dog",
        "entity_spans": "[13, 17, null, null]",
    }
    for kind in ("csv", "json", "jsonl", "parquet"):
        (found,) = read_manifests([write(tmp_path, kind, [said])])
        assert found.problem is None
        row = tables.spec("questions").from_rows([found.row()]).to_pylist()[0]
        assert row["problem_type"] == "number"
        assert row["options"] == ["1 m", "2; 3 m"]
        assert (row["unit"], row["tolerance"], row["tolerance_abs"]) == ("m", 0.1, 0.05)
        assert (row["accuracy"], row["evidence_times_s"]) == ("numeric", [0.5, 1.0])
        assert row["evidence_boxes"] == [0.5, 1.0, 2.0, 3.0, 4.0, 1.0, 5.0, 6.0, 7.0, 8.0]
        assert row["entity_spans"] == [13, 17, None, None]
        assert Question.from_json(found.to_json()) == found


def test_a_question_survives_its_json(tmp_path: Path) -> None:
    rows = [*ROWS, {"video": "c.mp4", "id": "q3"}]  # the last one has a null question
    for question in read_manifests([write(tmp_path, "json", rows)]):
        assert Question.from_json(question.to_json()) == question
