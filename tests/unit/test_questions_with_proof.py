"""Questions that are programs over tables: what is asked, its proof, what a blind solver can."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from massannot import tables
from massannot.dataset import record as run_record
from massannot.dataset.layout import Layout
from massannot.dataset.reading import open_dataset
from massannot.dataset.record import RunRecord
from massannot.errors import BadQuestion, UsageError
from massannot.exporters._published_questions import PublishOptions, publish_questions
from massannot.inputs.manifest import read_manifests
from massannot.questions.ask import program as p
from massannot.questions.ask.ask_dataset import Asking, ask
from massannot.questions.ask.audit_answers import audit
from massannot.questions.ask.blind_check import check_manifest, read_rows
from massannot.questions.ask.cited_rows import ClipRows, DatasetRows, MissingRow
from massannot.questions.ask.derivation import Derivation, derivation
from massannot.questions.ask.family import families_of
from massannot.questions.ask.phases import levels, up_and_down
from massannot.questions.ask.questions_of_clip import answered
from massannot.questions.ask.run_program import ProgramRun
from massannot.questions.ask.seen_to_hold import offered, profile_of
from massannot.storage.parquet import read_parquet, write_parquet
from massannot.viewers.clip_questions import ClipQuestions
from massannot.viewers.question_page import write_question_page
from tests.asked_tables import N, way_of, write_asked_about
from tests.looked_at import clip_id_of
from tests.looked_at import rows_of as looked_at_rows

FEW = ("travelled_distance", "speed_comparison", "distance_comparison", "dsr_distance",
       "event_order", "event_time")  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_asked_about(tmp_path_factory.mktemp("data") / "out", n_clips=20)


@pytest.fixture(scope="module")
def asked(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("asked") / "asked"
    ask(data, dest, Asking(families=FEW, per_clip=6, min_margin=1.0, twins=True))
    return dest


def rows_of(data: Path, number: int) -> Any:
    clip_id = f"{number:032x}"
    return DatasetRows(open_dataset(data)).of([clip_id])[clip_id]


def test_a_program_is_the_same_after_its_json() -> None:
    program = p.Compare(p.Speed(p.FirstTo(("stop",)), "world"), p.Path(1, "camera"))
    assert p.from_json(p.as_json(program)) == program
    assert p.depth(program) == 3
    with pytest.raises(BadQuestion, match="expected operations"):
        p.from_json('{"op": "Delete"}')


@pytest.mark.parametrize(
    ("program", "truth"),
    [
        (p.Path(0, "world"), lambda w: np.linalg.norm(w[0][-1] - w[0][0])),
        (p.Speed(1, "world"), lambda w: np.linalg.norm(w[1][-1] - w[1][0]) / ((N - 1) / 12)),
        (p.Displacement(2, "camera"), lambda w: np.linalg.norm(w[2][-1] - w[2][0])),
        (p.Distance(0, 1, 5), lambda w: np.linalg.norm(w[0][5] - w[1][5])),
        (p.Distance(p.CAMERA, 1, 5), lambda w: np.linalg.norm(w[1][5])),
    ],
)  # fmt: skip
def test_a_number_is_what_plain_geometry_says(data: Path, program: p.Operation, truth: Any) -> None:
    ways = [way_of(3, thing) for thing in range(3)]
    _, gives = answered(rows_of(data, 3), program)
    assert gives is not None
    assert gives.value == pytest.approx(truth(ways), rel=1e-5)
    assert gives.sigma is not None
    assert gives.sigma > 0


def test_a_straight_way_stays_at_twelve_and_its_mirror_image_too(data: Path) -> None:
    program = p.DirectionClock(0, (0, 6), (17, 23), "world")
    for each in (
        program,
        p.Counterfactual("mirrored", program),
        p.Counterfactual("reversed", program),
    ):
        assert answered(rows_of(data, 3), each)[1].value == 12  # type: ignore[union-attr]


def test_a_film_played_backwards_turns_coming_into_going(data: Path) -> None:
    turned = {("up",): ("down",), ("down",): ("up",)}
    seen = set()
    for number in range(12):
        program = p.StateSequence("distance", 1, p.CAMERA, "relative", 0, N - 1, 0.05)
        _, gives = answered(rows_of(data, number), program)
        _, back = answered(rows_of(data, number), p.Counterfactual("reversed", program))
        if gives is not None and gives.value:
            assert back is not None
            assert back.value == turned[gives.value]  # type: ignore[index]
            seen.add(gives.value)
    assert seen == set(turned)


def test_phases_that_depend_on_how_much_counts_are_none() -> None:
    assert up_and_down(np.array([0, 1, 2, 1, 0.0]), least=0.5).names == ("up", "down")  # type: ignore[union-attr]
    assert up_and_down(np.array([0, 1, 2, 1.45, 1.45]), least=0.5) is None
    assert up_and_down(np.zeros(4), least=0.5).names == ()  # type: ignore[union-attr]
    assert levels(np.array([2, 2, -2.0]), least=1) is None


def test_a_program_reads_nothing_but_what_was_cited(data: Path) -> None:
    rows = rows_of(data, 1)
    run, _ = answered(rows, p.Path(0, "world"))
    only = frozenset(run.rows.cited)
    assert ProgramRun(rows.fresh(only)).result(p.Path(0, "world")).value > 0  # type: ignore[operator]
    with pytest.raises(MissingRow, match="not among what was cited"):
        ProgramRun(rows.fresh(only)).result(p.Path(1, "world"))


def test_a_column_that_a_later_version_adds_breaks_no_proof(data: Path) -> None:
    rows = rows_of(data, 1)
    motions = rows.tables["motions"]
    key = (rows.clip_id, 0)
    later = motions.append_column("later", pa.nulls(motions.num_rows))
    assert ClipRows({"motions": later}, rows.clip_id).digest("motions", key) == rows.digest(
        "motions", key
    )
    known = motions.append_column("later", pa.array([0.0] * motions.num_rows))
    assert ClipRows({"motions": known}, rows.clip_id).digest("motions", key) != rows.digest(
        "motions", key
    )


def test_every_answer_is_proved(asked: Path) -> None:
    found = audit(asked)
    assert found.questions > 40
    assert found.findings == ()
    programs = open_dataset(asked).table("question_programs")
    assert len(set(programs["family"].to_pylist())) >= 5
    assert {"mirrored", "reversed", "paraphrased", None} == set(programs["twin_kind"].to_pylist())
    manifest = [json.loads(line) for line in (asked / "questions.jsonl").read_text().splitlines()]
    assert len(manifest) == found.questions
    assert all(row["end_s"] > row["start_s"] and row["answer"] for row in manifest)


def test_the_manifest_names_films_from_where_it_lies(data: Path, tmp_path: Path) -> None:
    """The tables name them from where the run was begun, another folder."""
    out, dest = tmp_path / "run" / "out", tmp_path / "far" / "asked"
    shutil.copytree(data, out)
    record = RunRecord(spec={"folder": str(tmp_path / "run"), "sampling": {"fps": None}})
    run_record.begin(Layout(out), record)
    ask(out, dest, Asking(families=FEW, min_margin=1.0))
    films = {question.uri for question in read_manifests([str(dest / "questions.jsonl")])}
    uris = open_dataset(out).table("clips")["uri"].to_pylist()
    assert films
    assert films <= {str(tmp_path / "run" / uri) for uri in uris}


def test_only_a_simulation_makes_events_exact(data: Path, asked: Path) -> None:
    programs = open_dataset(asked).table("question_programs").to_pylist()
    events = {row["basis"] for row in programs if row["family"].startswith("event_")}
    assert events
    assert "exact" not in events | {row["basis"] for row in programs}


def test_equal_arguments_give_equal_bytes(data: Path, tmp_path: Path) -> None:
    asked, again = tmp_path / "one", tmp_path / "again"
    for dest in (asked, again):
        ask(data, dest, Asking(families=("event_order", "speed_comparison"), min_margin=1.0))
    for name in ("questions", "question_programs", "question_evidence"):
        path = f"data/{name}/questions.parquet"
        assert (again / path).read_bytes() == (asked / path).read_bytes()


def test_a_changed_cell_row_program_or_answer_is_named(
    data: Path, asked: Path, tmp_path: Path
) -> None:
    chance = random.Random(0)
    for kind in ("cell", "row", "answer", "program", "version"):
        out, dest = tmp_path / f"{kind}-out", tmp_path / f"{kind}-asked"
        shutil.copytree(data, out)
        shutil.copytree(asked, dest)
        expected = _damage(kind, out, dest, chance)
        found = audit(dest, data=out)
        assert {f.question_id for f in found.findings} == expected, kind
        assert expected, kind


def _damage(kind: str, out: Path, dest: Path, chance: random.Random) -> set[str]:
    """Change one thing; returns the questions whose proof it breaks."""
    evidence = open_dataset(dest).table("question_evidence").to_pylist()
    if kind in ("cell", "row"):
        cited = [row for row in evidence if row["table"] == "motions"]
        clip_id, *rest = json.loads(chance.choice(cited)["row_key"])

        def change(row: dict[str, Any]) -> dict[str, Any] | None:
            if (row["clip_id"], row["entity"]) != (clip_id, rest[0]):
                return row
            return {**row, "quality": 0.123} if kind == "cell" else None

        _rewrite(out, "motions", "00000", change)
        key = json.dumps([clip_id, *rest])
        return {row["question_id"] for row in cited if row["row_key"] == key}
    one = chance.choice(evidence)["question_id"]
    changed: dict[str, tuple[str, dict[str, Any]]] = {
        "answer": ("questions", {"answer": "Z"}),
        "program": ("question_programs", {"program": p.as_json(p.Count(("stop",), 0))}),
        "version": ("question_programs", {"version": 99}),
    }
    name, cells = changed[kind]
    _rewrite(dest, name, "questions", lambda r: {**r, **cells} if r["question_id"] == one else r)
    return {one}


def _rewrite(folder: Path, name: str, file: str, change: Any) -> None:
    path = folder / "data" / name / f"{file}.parquet"
    rows = [change(row) for row in read_parquet(path, name=name).to_pylist()]
    table: pa.Table = tables.spec(name).from_rows([row for row in rows if row is not None])
    write_parquet(path, [table], spec=tables.spec(name))


def test_without_intervals_what_needs_metres_is_not_asked(tmp_path: Path) -> None:
    out = write_asked_about(tmp_path / "out", n_clips=16, basis="none")
    counts = ask(out, tmp_path / "asked", Asking(per_clip=6))
    asked = {name for name, n in counts.items() if n["asked"]}
    assert len(asked) >= 5
    assert not asked & {"travelled_distance", "travelling_speed", "composed_first"}
    assert audit(tmp_path / "asked").findings == ()


def test_a_family_of_ones_own_is_one_file(data: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from massannot.questions.ask.family import AskedFamily, Proposal\n"
        "from massannot.questions.ask.program import Compare, Distance, CAMERA\n"
        "def propose(sight):\n"
        "    for a, b in sight.pairs(sight.whole):\n"
        "        ends = [Distance(CAMERA, t.entity, sight.last) for t in (a, b)]\n"
        "        yield Proposal('At the end, which is farther away, {0} or {1}?',\n"
        "                       (a.entity, b.entity), Compare(*ends))\n"
        "FAMILIES = (AskedFamily('farther_away', 'Spatial Dynamics', 'multiple_choice', propose,\n"
        "            choices=('first', 'second'), say={'first': '{0}', 'second': '{1}'}),)\n"
    )
    counts = ask(data, tmp_path / "asked", Asking(families=(str(mine),), mark="boxes"))
    assert counts["farther_away"]["asked"] > 10
    assert audit(tmp_path / "asked").findings == ()
    with pytest.raises(UsageError, match="no question family 'nothing'; question families: "):
        ask(data, tmp_path / "other", Asking(families=("nothing",)))


def manifest_of(path: Path, *, leak: bool, n: int = 400) -> Path:
    chance = np.random.default_rng(0)
    rows = []
    for i in range(n):
        right = int(chance.integers(2))
        word = ("quickly", "slowly")[right if leak else int(chance.integers(2))]
        rows.append(
            {"video": f"v{i // 4}", "question": f"Which moves {word}?", "family": "f",
             "options": ["the ball", "the box"], "answer": "AB"[right]}
        )  # fmt: skip
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_a_family_of_several_kinds_is_several_families(tmp_path: Path) -> None:
    """Metres, hours of the clock and choices under one name, as benches' categories have them."""
    kinds = [
        {"question": "How far?", "answer": "3 m"},
        {"question": "How long?", "answer": "3 s"},
        {"question": "Is it red?", "answer": "yes"},
        {"question": "Which?", "options": ["the ball", "the box"], "answer": "A"},
        {"question": "What happens?", "answer": "it falls over"},
    ]
    rows = [row | {"video": f"v{i}", "category": "c"} for i in range(6) for row in kinds]
    rows.append({"video": "v0", "category": "c", "question": "Which?", "answer": None})
    path = tmp_path / "mixed.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = check_manifest(path)
    assert {family.family for family in found.families} == {
        "c, number of length", "c, number of time", "c, yes_no", "c, multiple_choice", "c, text"
    }  # fmt: skip
    assert {family.questions for family in found.families} == {6}
    assert (found.unread, len(found.blind_score)) == ((30,), 30)


def test_a_few_questions_that_are_all_guessed_prove_nothing(tmp_path: Path) -> None:
    rows = [{"video": f"v{i}", "question": "Is it?", "answer": "yes"} for i in range(4)]
    path = tmp_path / "few.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (few,) = check_manifest(path).families
    assert (few.best.accuracy, few.leaks) == (1.0, False)
    assert 0.3 < few.best.low < 0.6
    assert few.best.high == 1.0


def test_a_planted_clue_is_found_and_nothing_else(tmp_path: Path) -> None:
    (leaky,) = check_manifest(manifest_of(tmp_path / "a.jsonl", leak=True)).families
    assert leaky.leaks
    assert leaky.best.solver == "words"
    assert leaky.best.accuracy > 0.95
    (fair,) = check_manifest(manifest_of(tmp_path / "b.jsonl", leak=False), bound=0.1).families
    assert not fair.leaks
    assert fair.chance == 0.5


@pytest.mark.parametrize(
    "name", ["questions.jsonl", "data/train-00000.parquet", "data/questions/part-0.parquet"]
)
def test_a_folder_of_questions_is_checked_like_their_manifest(tmp_path: Path, name: str) -> None:
    """As `questions ask`, `questions publish` and `questions scenes` or `annotate` write it."""
    manifest = manifest_of(tmp_path / "a.jsonl", leak=True)
    file = tmp_path / "folder" / name
    file.parent.mkdir(parents=True)
    rows = read_rows(manifest)
    if file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    else:
        shutil.copyfile(manifest, file)
    assert check_manifest(tmp_path / "folder") == check_manifest(manifest)


def test_random_distractors_beside_smooth_answers_are_found(tmp_path: Path) -> None:
    """As in DSR's code: the answer describes a smooth way, the others are noise."""
    chance = np.random.default_rng(1)
    words = ("It moves left.", "It moves right.", "It comes closer.", "It gets farther.")
    rows = []
    for i in range(240):
        smooth = list(chance.permutation(4)[: chance.integers(1, 3)])
        noisy = [list(chance.integers(0, 4, chance.integers(4, 7))) for _ in range(3)]
        place = int(chance.integers(4))
        all_four = [*noisy[:place], smooth, *noisy[place:]]
        options = [" ".join(f"{k + 1}. {words[s]}" for k, s in enumerate(o)) for o in all_four]
        rows.append({"video": f"v{i}", "question": "How does it move?", "options": options,
                     "answer": "ABCD"[place], "category": "dsr"})  # fmt: skip
    path = tmp_path / "dsr.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (found,) = check_manifest(path).families
    assert found.leaks
    assert found.best.accuracy > 0.8


def test_each_of_many_options_has_its_letter() -> None:
    """As a writer of the user's may give."""
    options = [str(number) for number in range(12)]
    found = Derivation({"options": options}, {}, (), (), (), {}).options
    assert (found[0], found[-1], len(found)) == ("A. 0", "L. 11", 12)


def test_too_few_videos_are_refused_before_a_film_is_written(asked: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found too few for a test and a val split"):
        publish_questions(asked, tmp_path / "new", options=PublishOptions(val=0.5, test=0.5))
    assert not (tmp_path / "new").exists()


def test_an_explanation_says_each_step_and_what_does_not_hold(
    asked: Path, data: Path, tmp_path: Path
) -> None:
    programs = open_dataset(asked).table("question_programs").to_pylist()
    one = next(row for row in programs if row["family"] == "speed_comparison")
    found = derivation(asked, one["question_id"])
    assert found.problems == ()
    assert len(found.lines) == 4  # two speeds, which is greater, how sure
    assert "standard deviations away" in found.lines[-1]
    as_json = json.loads(json.dumps(found.as_json, allow_nan=False))
    assert as_json["answer"] == found.question["answer"]
    assert as_json["lines"] == list(found.lines)
    assert {row["table"] for row in as_json["evidence"]} <= set(tables.names())
    assert not write_question_page(tmp_path / "why.html", [found], data=data)  # no such film
    assert found.question["question"] in (tmp_path / "why.html").read_text()
    out = tmp_path / "out"
    shutil.copytree(data, out)
    _rewrite(out, "motions", "00000", lambda row: {**row, "path": row["path"] * 2})
    assert "a cell differs" in derivation(asked, one["question_id"], data=out).text
    with pytest.raises(UsageError, match="expected one"):
        derivation(asked, "zz")


def test_every_family_of_ours_loads_and_has_its_own_name() -> None:
    names = [family.name for family in families_of(())]
    assert len(names) == len(set(names)) > 20


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([("scene", "s"), ("scene", "s")], "oracle"),
        ([("model", "embedded"), ("scene", "s")], "embedded"),
        ([("model", "mass")], None),
        ([("file", "boxes.json"), ("model", "embedded")], None),
    ],
)
def test_families_are_offered_by_the_models_that_answered(
    data: Path, tmp_path: Path, kinds: list[tuple[str, str]], expected: str | None
) -> None:
    models = {str(i): {"kind": kind, "name": name} for i, (kind, name) in enumerate(kinds)}
    (tmp_path / "massannot.json").write_text(json.dumps({"spec": {"models": models}}))
    (tmp_path / "data").symlink_to(data / "data")
    assert profile_of(open_dataset(tmp_path)) == expected
    n = len(offered(families_of(()), expected))  # type: ignore[arg-type]
    assert (n > 20) == (expected is None)


def test_the_page_of_a_clip_has_its_questions_with_derivation_and_proof(
    data: Path, asked: Path
) -> None:
    row = open_dataset(asked).table("questions").to_pylist()[0]
    shown = ClipQuestions(open_dataset(data), asked).of(row["clip_id"])
    (mine,) = (one for one in shown if one["id"] == row["question_id"])
    assert (mine["question"], mine["answer"]) == (row["question"], row["answer"])
    assert mine["lines"] == list(derivation(asked, row["question_id"], data=data).lines)
    assert mine["evidence"]
    assert {one["clip_id"] for one in open_dataset(asked).table("questions").to_pylist()
            if one["question_id"] in {s["id"] for s in shown}} == {row["clip_id"]}  # fmt: skip


def test_the_page_of_a_clip_has_all_its_questions(tmp_path: Path) -> None:
    rows = looked_at_rows(0, "clip", "a ball", Path("film.mp4"))
    (question,) = rows["questions"]
    ids = [f"q{number:03}" for number in range(90)]
    rows["questions"] = [{**question, "question_id": name} for name in ids]
    for name in ("clips", "frames", "questions"):
        spec = tables.spec(name)
        path = Layout(tmp_path).published(name, "00000")
        write_parquet(path, [spec.from_rows(rows[name])], spec=spec)
    found = ClipQuestions(open_dataset(tmp_path))
    assert [one["id"] for one in found.of(clip_id_of(0))] == ids
    assert found.ids_of(clip_id_of(0)) == {*ids}
