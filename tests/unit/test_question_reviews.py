"""Decisions about questions: lines like those about clips, and what an export makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from massannot import tables
from massannot.dataset.acceptance import AcceptedShare, refuse_less, reviewed
from massannot.dataset.accepted_clips import AcceptedClips
from massannot.dataset.layout import Layout
from massannot.dataset.publish import publish
from massannot.dataset.question_edits import EDITS
from massannot.dataset.question_verdicts import question_verdicts
from massannot.dataset.reading import Dataset, open_dataset
from massannot.dataset.reviews_of_run import ReviewFile, hash_of_rows, standing
from massannot.errors import UsageError
from massannot.exporters import mass_bench
from massannot.jobs.review import desk_of
from massannot.viewers.review_routes import ReviewDesk
from tests.asked_scenes import annotate, questions_about, write_world


def about(name: str, what: str = "accept", **more: object) -> dict[str, object]:
    reason = {"reason": "ambiguous"} if what == "reject" else {}
    return {"request": f"request of {name} {what}", "kind": "question", "clip_id": "c",
            "question_id": name, "decision": what, **reason, **more}  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A scene with three questions, of which ada and bob looked at two."""
    world = write_world(tmp_path_factory.mktemp("world"))
    one, whole = questions_about(world)[:2]
    rows = [one, whole, {**one, "id": "open-3"}]
    made = annotate(world, tmp_path_factory.mktemp("one") / "out", [rows])
    ada, bob = (desk(made, name) for name in ("ada", "bob"))
    edits = {"question": "Does the thing move?", "category": "kinematics", "start_s": 0.1,
             "end_s": 0.3, "event": "It rolls to the left."}  # fmt: skip
    save(ada, about("one-3", **edits))
    save(bob, about("one-3", category="motion of things"))
    save(ada, about("all-3"))
    save(bob, about("all-3", "reject"))
    save(ada, about("open-3"))
    save(ada, about("open-3", "withdraw"))
    return made


def desk(dataset: Dataset, reviewer: str) -> ReviewDesk:
    return desk_of(dataset, sample=1, by=(), seed=1, reviewer=reviewer)


def save(at: ReviewDesk, values: dict[str, object], **more: object) -> None:
    rows = at.served.dataset.table("questions").to_pylist()
    clip_id = {row["question_id"]: row["clip_id"] for row in rows}[values["question_id"]]
    shown = hash_of_rows(at.served.dataset.clip(clip_id))
    at._save({**values, "clip_id": clip_id, "rows_hash": shown, **more})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (about("q", start_s=1.0), "start_s, end_s: found one"),
        (about("q", start_s=2.0, end_s=1.0), "start_s: found 2, expected less"),
        (about("q", start_s=float("nan"), end_s=1.0), "start_s: found nan"),
        (about("q", question="x" * 3000), "question: expected a text"),
        (about("q", "reject", category="x"), "category: found beside reject"),
        (about("q", event="x") | {"kind": "clip"}, "event: found beside accept of a clip"),
        (about("q", "reject", reason="mask"), "reason: found 'mask'"),
        (about("q") | {"question_id": None}, "question: expected its question_id"),
    ],
)
def test_what_is_no_decision_about_a_question_is_refused(
    tmp_path: Path, wrong: dict[str, object], said: str
) -> None:
    file = ReviewFile(Layout(tmp_path), "ada")
    with pytest.raises(UsageError, match=said):
        file.add(wrong, rows_hash="h", sample=None, stratum=None)
    assert file.read() == []


def test_a_line_from_before_questions_were_reviewed_is_read(tmp_path: Path) -> None:
    file = ReviewFile(Layout(tmp_path), "ada")
    made = file.add(about("q"), rows_hash="h", sample=None, stratum=None)
    line = json.loads(file.path.read_text())
    file.path.write_text(json.dumps({k: v for k, v in line.items() if k not in EDITS}) + "\n")
    assert file.read() == [made]


def test_a_question_is_one_thing_on_the_pages_of_its_clips(tmp_path: Path) -> None:
    file = ReviewFile(Layout(tmp_path), "ada")
    for values in (about("q"), about("q", "reject", clip_id="another")):
        file.add(values, rows_hash="h", sample=None, stratum=None)
    assert [d.decision for d in standing(file.read())] == ["reject"]


def test_the_door_takes_questions_of_the_clip_alone(dataset: Dataset) -> None:
    eve = desk(dataset, "eve")
    clip_id = eve.order[0]
    with pytest.raises(UsageError, match="question_id: found 'none'"):
        eve._save(about("none", clip_id=clip_id, rows_hash="x"))
    with pytest.raises(UsageError, match="changed since"):
        save(eve, about("all-3"), rows_hash="old")
    assert eve.file.read() == []


def test_a_clips_page_is_told_how_its_questions_stand(dataset: Dataset) -> None:
    ada = desk(dataset, "ada")
    rows = dataset.table("questions").to_pylist()
    clip_id = next(row["clip_id"] for row in rows if row["question_id"] == "one-3")
    stands = ada.of_clip(clip_id)
    assert {q: d["decision"] for q, d in stands["questions"].items()} == {
        "one-3": "accept",
        "all-3": "accept",
    }
    assert stands["questions"]["one-3"]["event"] == "It rolls to the left."
    assert (stands["mine"], stands["done"]) == (None, 0)


def test_an_export_carries_what_people_made_of_the_questions(
    dataset: Dataset, tmp_path: Path
) -> None:
    done = mass_bench.export(dataset, tmp_path / "run")
    text = (tmp_path / "run" / mass_bench.FILE).read_text()
    lines = {line["question_id"]: line for line in map(json.loads, text.splitlines())}
    assert set(lines) == {"one-3", "open-3"}
    assert done.left_out == ("question all-3: rejected by a reviewer",)
    assert done.notes == ("questions looked at: 2, of which 1 rejected and left out",)
    one = lines["one-3"]
    assert (one["question"], one["start_s"], one["end_s"], one["event"], one["verified_by"]) == (
        "Does the thing move?", 0.1, 0.3, "It rolls to the left.", ["ada", "bob"]
    )  # fmt: skip
    assert one["category"] == "motion of things"
    assert (lines["open-3"]["verified_by"], lines["open-3"]["event"]) == ([], None)
    published = publish(dataset.layout.out, tmp_path / "whole")
    card = (published.dest / "README.md").read_text()
    assert "questions looked at: 1 of 2 accepted: 50.0 %" in card
    mass_bench.export(open_dataset(published.dest), tmp_path / "again")
    assert (tmp_path / "again" / mass_bench.FILE).read_text() == text
    with pytest.raises(UsageError, match="--accepted-only: found nothing that people accepted"):
        publish(dataset.layout.out, tmp_path / "accepted", accepted_only=True)


def test_accepted_clips_are_published_without_rejected_questions(tmp_path: Path) -> None:
    rows = [{"question_id": name, "uri": "v", "clip_id": clip, "further": "{}"}
            for name, clip in (("a", "c"), ("b", "c"), ("d", "other"), ("e", None))]  # fmt: skip
    accepted = AcceptedClips(Layout(tmp_path), {"c"}, {"b"})
    left = accepted.left("questions", tables.spec("questions").from_rows(rows))
    assert left["question_id"].to_pylist() == ["a", "e"]


def test_the_interval_of_questions_is_that_of_as_many_clips() -> None:
    assert str(AcceptedShare(9, 12, clips=4)) == "9 of 12 accepted: 75.0 % (30.1 to 95.4)"
    with pytest.raises(UsageError, match=r"--min-acceptance 0.8: found 9 of 12 accepted"):
        refuse_less(AcceptedShare(9, 12, clips=4), 0.8)
    refuse_less(AcceptedShare(9, 12, clips=4), 0.75)


def test_a_decision_about_changed_rows_says_nothing_of_a_question(dataset: Dataset) -> None:
    found = reviewed(dataset.layout, lambda clip_id: "another")
    assert found is not None
    assert (found.questions, found.n_stale) == (AcceptedShare(0, 0, 0), 4)
    assert set(question_verdicts(dataset)) == {"one-3", "all-3"}
