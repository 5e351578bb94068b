"""What may be asked beside the families: options from counterfactual tracks, other words, fronts,
and questions that somebody's own function writes."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from massannot import tables
from massannot.dataset.reading import open_dataset
from massannot.errors import UsageError
from massannot.questions.ask import program as p
from massannot.questions.ask.ask_dataset import Asking, ask
from massannot.questions.ask.audit_answers import audit
from massannot.questions.ask.blind_check import check_manifest, write_scored
from massannot.questions.ask.cited_rows import DatasetRows
from massannot.questions.ask.questions_of_clip import answered
from massannot.storage.parquet import read_parquet, write_parquet
from tests.asked_tables import N, write_asked_about

ORIENTATIONS = ("dsr_orientation",)
NUMBERS = ("travelled_distance", "travelling_speed")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_asked_about(tmp_path_factory.mktemp("data") / "out", n_clips=12)


def manifest(dest: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (dest / "questions.jsonl").read_text().splitlines()]


def test_each_option_is_what_the_program_gives_for_another_thing_or_video(tmp_path: Path) -> None:
    data, dest = write_asked_about(tmp_path / "out", n_clips=6, unlike=2), tmp_path / "asked"
    asking = Asking(families=NUMBERS, options=True, per_clip=6, mark="boxes", min_margin=1)
    ask(data, dest, asking)
    assert audit(dest).findings == ()
    programs = {
        r["question_id"]: r for r in open_dataset(dest).table("question_programs").to_pylist()
    }
    places = Counter()
    for row in open_dataset(dest).table("questions").to_pylist():
        assert row["problem_type"] == "multiple_choice"
        assert row["unit"] is None
        program = p.from_json(programs[row["question_id"]]["program"])
        clip = DatasetRows(open_dataset(data)).of([row["clip_id"]])[row["clip_id"]]
        about = [program, *(p.with_things(program, {program.thing: k}) for k in range(3))]  # type: ignore[attr-defined]
        about += [p.Counterfactual(how, q) for how in ("mirrored", "reversed", "shifted")
                  for q in about[:4]]  # fmt: skip
        given = [answered(clip, q)[1] for q in about]
        unit = "m" if isinstance(program, p.Path) else "m/s"
        possible = {f"{g.value:.2f} {unit}" for g in given if g is not None}
        assert set(row["options"]) <= possible
        assert len(set(row["options"])) == 3
        places[row["answer"]] += 1
    assert len(places) == 3
    assert len(set(places.values())) == 1


def test_scores_of_blind_solvers_are_a_column_of_the_manifest(data: Path, tmp_path: Path) -> None:
    dest = tmp_path / "asked"
    ask(data, dest, Asking(families=("speed_comparison",), per_clip=6))
    found = check_manifest(dest)
    for name in ("scored.jsonl", "scored.parquet"):
        write_scored(tmp_path / name, dest, found)
    lines = list(map(json.loads, (tmp_path / "scored.jsonl").read_text().splitlines()))
    assert [{**line, "blind_score": None} for line in lines] == [
        {**row, "blind_score": None} for row in manifest(dest)
    ]
    scores = [line["blind_score"] for line in lines]
    assert all(0 <= score <= 1 for score in scores)
    assert len(set(scores)) > 1
    assert pq.read_table(tmp_path / "scored.parquet")["blind_score"].to_pylist() == scores


WRITER = """
from massannot.questions.ask.program import Path, Speed, Compare

def write(rows):
    length = {r["entity"]: r["path"] for r in rows["motions"] if r["reference"] == "world"}
    yield {"question": "How long is the way of the ball?", "problem_type": "number",
           "program": Path(0, "world"), "answer": length[0]}
    yield {"question": "How long is the way of the ball, in feet?", "problem_type": "number",
           "program": Path(0, "world"), "unit": "ft"}
    yield {"question": "How long is the way of the box?", "problem_type": "number",
           "program": Path(1, "world"), "answer": 2 * length[1]}
    yield {"question": "Is {0} faster than {1}?", "problem_type": "multiple_choice",
           "program": Compare(Speed(0, "world"), Speed(1, "world")), "things": [0, 1],
           "choices": ["first", "second"], "options": ["yes, {0}", "no"]}
    yield {"question": "How long is nothing?", "problem_type": "number",
           "program": {"op": "Path", "thing": 9, "reference": "world"}}
    yield {"question": "What is it?", "problem_type": "essay", "program": {"op": "Delete"}}
"""


def test_of_a_writers_questions_those_that_hold_are_asked(data: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(WRITER)
    counts = ask(data, tmp_path / "asked", Asking(writer=f"{mine}:write", min_margin=1))
    assert counts["written_number"]["written"] == 4 * 12
    assert 0 < counts["written_number"]["asked"] <= 12
    assert counts["written_multiple_choice"]["asked"] > 0
    assert counts["written_unread"] == {"askable": 0, "asked": 0, "written": 12}
    assert audit(tmp_path / "asked").findings == ()
    rows = manifest(tmp_path / "asked")
    texts = {"How long is the way of the ball?", "Is the ball faster than the box?"}
    assert {row["question"] for row in rows} == texts
    assert ["yes, {0}", "no"] in [row.get("options") for row in rows]
    with pytest.raises(UsageError, match="--writer nothing"):
        ask(data, tmp_path / "other", Asking(writer="nothing"))


def test_only_what_has_a_front_is_asked_how_it_turns(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no balanced question"):
        ask(data, tmp_path / "none", Asking(families=ORIENTATIONS))
    angles = [
        {"clip_id": f"{clip:032x}", "entity": 1, "frame": frame, "sd_deg": 2.0,
         "azimuth_deg": (1, -1)[clip % 2] * 60.0 * frame / N}
        for clip in range(12) for frame in range(N)
    ]  # fmt: skip
    path = tmp_path / "angles.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in angles))
    dest = tmp_path / "asked"
    ask(data, dest, Asking(families=ORIENTATIONS, orientations=str(path), twins=True))
    _sees(dest, "the box", way="?")
    cited = open_dataset(dest).table("question_evidence").to_pylist()
    assert len([row for row in cited if row["table"] == "orientations"]) >= 12 * N


def test_fronts_that_the_positions_hold_are_read_there(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(data, out)
    path = out / "data" / "positions" / "00000.parquet"
    rows = read_parquet(path, name="positions").to_pylist()
    for row in rows:
        angle = row["frame"] / N * (1 if int(row["clip_id"], 16) % 2 == 0 else -1)
        if row["entity"] == 2:
            row |= {"front_x": math.sin(angle), "front_y": 0.0, "front_z": math.cos(angle)}
    spec = tables.spec("positions")
    write_parquet(path, [spec.from_rows(rows)], spec=spec)
    ask(out, tmp_path / "asked", Asking(families=ORIENTATIONS, twins=True))
    _sees(tmp_path / "asked", "the cone", way="?")


def test_else_a_front_is_taken_to_point_where_the_thing_moves_and_this_is_said(
    tmp_path: Path,
) -> None:
    nouns = ("car", "box", "dog")
    out = write_asked_about(tmp_path / "out", n_clips=12, nouns=nouns, bend=1.0, sd_m=0.001)
    dest = tmp_path / "asked"
    ask(out, dest, Asking(families=ORIENTATIONS, twins=True, even=False))
    _sees(dest, "the car|the dog", way=", taking its front to point where it moves?")


def _sees(dest: Path, things: str, *, way: str) -> None:
    """Even clips turn clockwise, as do odd ones that are mirrored or reversed."""
    assert audit(dest).findings == ()
    kinds = set()
    for row in open_dataset(dest).table("questions").to_pylist():
        kind = json.loads(row["further"]).get("video_is")
        clockwise = (int(row["clip_id"], 16) % 2 == 0) == (kind is None)
        right = row["options"]["ABCD".index(row["answer"])]
        assert right == f"1. It turns {'clockwise' if clockwise else 'anticlockwise'}."
        assert any(thing in row["question"] for thing in things.split("|"))
        assert row["question"].endswith(way)
        kinds.add(kind)
    assert kinds == {None, "mirrored", "reversed"}
