"""Decisions of people: lines that are never lost or doubled, and the rate that the card states."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from massannot.dataset.acceptance import (
    Acceptance,
    AcceptedShare,
    StratumAcceptance,
    reviewed,
    wilson,
)
from massannot.dataset.corrections import corrections_of
from massannot.dataset.layout import Layout
from massannot.dataset.publish import publish
from massannot.dataset.reading import open_dataset
from massannot.dataset.reviews_of_run import ReviewFile, all_decisions, hash_of_rows, standing
from massannot.errors import UsageError
from massannot.jobs.review import desk_of
from tests.looked_at import clip_id_of, write_looked_at

N = 30


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Thirty clips of two phrases."""
    out = tmp_path_factory.mktemp("reviewed") / "out"
    return write_looked_at(out, [(f"clip {n}", "a ball" if n % 3 else "a hoop") for n in range(N)])


@pytest.fixture
def empty(layout: Layout, tmp_path: Path) -> Layout:
    """A folder of a run in which nobody has decided."""
    return Layout(tmp_path / "out")


def decision(number: int, clip: int = 0, what: str = "accept", **more: object) -> dict[str, object]:
    reason = {"reason": "mask"} if what == "reject" else {}
    return {"request": f"request-{number}", "clip_id": clip_id_of(clip), "decision": what,
            **reason, **more}  # fmt: skip


def box(*corners: float) -> dict[str, object]:
    return {"kind": "box", "box": list(corners), "frame": 0}


def outline(*corners: float) -> dict[str, object]:
    return {"kind": "mask", "mask": list(corners), "frame": 0, "entity": 0}


def add(file: ReviewFile, *decisions: dict[str, object], rows_hash: str = "h") -> None:
    for values in decisions:
        file.add(values, rows_hash=rows_hash, sample=None, stratum=None)


@pytest.mark.parametrize(
    ("accepted", "n", "said"),
    [
        (171, 200, "171 of 200 accepted: 85.5 % (80.0 to 89.7)"),
        (0, 10, "0 of 10 accepted: 0.0 % (0.0 to 27.8)"),
        (10, 10, "10 of 10 accepted: 100.0 % (72.2 to 100.0)"),
    ],
)
def test_a_share_stands_beside_wilsons_interval(accepted: int, n: int, said: str) -> None:
    assert str(AcceptedShare(accepted, n)) == said


def test_of_nothing_nothing_is_known() -> None:
    assert wilson(0.0, 0) == (0.0, 1.0)


def test_a_request_that_comes_twice_is_one_line(empty: Layout) -> None:
    file = ReviewFile(empty, "ada")
    add(file, decision(1), decision(2, clip=1), decision(1))
    assert [d.number for d in file.read()] == [1, 2]
    assert len({d.review for d in file.read()}) == 2


def test_a_torn_line_is_no_decision_and_harms_none(empty: Layout) -> None:
    file = ReviewFile(empty, "ada")
    add(file, decision(1))
    with file.path.open("ab") as cut:
        cut.write(json.dumps({"number": 2, "reviewer": "ada"}).encode()[:-4])
    add(file, decision(2, clip=1))
    assert [(d.number, d.request) for d in file.read()] == [(1, "request-1"), (2, "request-2")]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (b'{"number": 1', "line 2: found no JSON"),
        (b'{"number": 1}', "line 2: found no clip_id"),
        ({"clip_id": ["a"]}, "line 2: clip_id is list, expected str"),
        ({"number": True}, "line 2: number is bool, expected int"),
        ({"start_s": "1"}, "line 2: start_s is str, expected float | None"),
    ],
)
def test_a_damaged_line_in_the_middle_is_named(
    empty: Layout, damage: bytes | dict[str, Any], said: str
) -> None:
    file = ReviewFile(empty, "ada")
    add(file, decision(1), decision(2, clip=1), decision(3, clip=2))
    lines = file.path.read_bytes().split(b"\n")
    if isinstance(damage, dict):
        damage = json.dumps(json.loads(lines[1]) | damage).encode()
    file.path.write_bytes(b"\n".join([lines[0], damage, *lines[2:]]))
    for read in (file.read, lambda: all_decisions(empty)):
        with pytest.raises(UsageError) as caught:
            read()
        assert f"ada.jsonl, {said}" in str(caught.value)
    file.path.write_bytes(b"\n".join([lines[0], *lines[2:]]))
    assert [d.number for d in file.read()] == [1, 3]


def test_a_torn_last_line_is_noted(empty: Layout, caplog: pytest.LogCaptureFixture) -> None:
    file = ReviewFile(empty, "ada")
    add(file, decision(1))
    with file.path.open("ab") as cut:
        cut.write(b'{"number": 2')
    assert [d.number for d in file.read()] == [1]
    assert "ada.jsonl: left out line 2" in caplog.text


def test_many_writers_of_one_name_share_no_number(empty: Layout) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: add(ReviewFile(empty, "ada"), decision(k)), range(24)))
    assert sorted(d.number for d in ReviewFile(empty, "ada").read()) == list(range(1, 25))


def test_the_last_decision_of_each_reviewer_stands(empty: Layout) -> None:
    add(ReviewFile(empty, "ada"), decision(1), decision(2, what="reject"))
    add(ReviewFile(empty, "bob"), decision(3), decision(4, clip=1), decision(5, what="withdraw"))
    stands = {(d.reviewer, d.clip_id, d.decision) for d in standing(all_decisions(empty))}
    assert stands == {("ada", clip_id_of(0), "reject"), ("bob", clip_id_of(1), "accept")}


def of(kind: str, entity: int | None, frame: int, value: object) -> dict[str, object]:
    return {"kind": kind, "entity": entity, "frame": frame, kind: value}


REMOVED = {"kind": "remove", "entity": 0}


@pytest.mark.parametrize(
    ("earlier", "later", "counts"),
    [
        (outline(1, 1, 9, 1, 9, 9), outline(2, 2, 8, 2, 8, 8), "later"),
        (outline(1, 1, 9, 1, 9, 9), outline(), "later"),
        (of("box", 0, 0, [1, 1, 9, 9]), of("box", 0, 0, [2, 2, 8, 8]), "later"),
        (outline(1, 1, 9, 1, 9, 9), of("box", 0, 0, [2, 2, 8, 8]), "later"),
        (of("box", 0, 0, [1, 1, 9, 9]), of("box", 0, 1, [1, 1, 9, 9]), "both"),
        (of("box", 0, 0, [1, 1, 9, 9]), of("box", 1, 0, [1, 1, 9, 9]), "both"),
        (of("point", 0, 0, [1, 1]), of("point", 0, 0, [2, 2]), "both"),
        (of("box", None, 0, [1, 1, 9, 9]), of("box", None, 0, [1, 1, 9, 9]), "both"),
        (of("box", 0, 0, [1, 1, 9, 9]), REMOVED, "later"),
        (REMOVED, of("box", 0, 0, [1, 1, 9, 9]), "later"),
        (REMOVED, of("box", 1, 0, [1, 1, 9, 9]), "both"),
        ({"kind": "name", "entity": 0, "name": "a"}, {"kind": "name", "entity": 0, "name": "b"},
         "later"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("reviewers", [("ada", "bob"), ("bob", "ada")])
def test_of_two_people_the_later_one_counts_where_both_put_the_same_right(
    reviewers: tuple[str, str], earlier: dict, later: dict, counts: str, layout: Layout,
    empty: Layout,
) -> None:  # fmt: skip
    """Whatever their names, by which files are read."""
    clip = open_dataset(layout.out).clip(clip_id_of(0))
    for reviewer, fix in zip(reviewers, (earlier, later), strict=True):
        values = decision(1, what="reject", fixes=[fix])
        add(ReviewFile(empty, reviewer), values, rows_hash=hash_of_rows(clip))
    decisions = [
        replace(d, when=f"2026-01-01T00:00:0{reviewers.index(d.reviewer)}Z")
        for d in all_decisions(empty)
    ]
    (found,) = corrections_of(decisions, lambda _: clip).usable
    expected = {"later": [later], "both": [earlier, later]}[counts]
    assert [dict(fix) for fix in found.fixes] == [{"entity": None, **fix} for fix in expected]


def test_things_that_two_people_found_missing_are_theirs(layout: Layout, empty: Layout) -> None:
    clip = open_dataset(layout.out).clip(clip_id_of(0))
    fixes = [of("box", -1, 0, [1, 1, 9, 9]), of("box", -1, 1, [1, 1, 9, 9])]
    for reviewer in ("ada", "bob"):
        values = decision(1, what="reject", fixes=fixes)
        add(ReviewFile(empty, reviewer), values, rows_hash=hash_of_rows(clip))
    (found,) = corrections_of(all_decisions(empty), lambda _: clip).usable
    assert [fix["entity"] for fix in found.fixes] == [-1, -1, -2, -2]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (decision(1, what="maybe"), "decision: found 'maybe'"),
        (decision(1, what="reject", reason=None), "reason: found none"),
        (decision(1, fixes=[{"kind": "box"}]), "fixes: found 1 beside accept"),
        (decision(1, what="reject", fixes=[box(1, 2)]), "expected a box"),
        (decision(1, what="reject", fixes=[box(5, 5, 1, 9)]), "an empty box"),
        (decision(1, what="reject", fixes=[outline(1, 2, 3, 4)]), "4 numbers of a mask"),
        (decision(1, what="reject", fixes=[outline(1, 2, 3, 4, 5, 1e999)]), "not finite"),
        (decision(1, what="reject", fixes=[outline() | {"mask": "0\n"}]), "run lengths of other"),
        (decision(1, what="reject", fixes=[{"kind": "remove"}]), "a removal of what is missing"),
        (decision(1, note="x" * 5000), "note: expected a text"),
        ({"clip_id": "c", "decision": "accept"}, "request: expected"),
    ],
)
def test_what_is_no_decision_is_refused(empty: Layout, wrong: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        add(ReviewFile(empty, "ada"), wrong)
    assert all_decisions(empty) == []


@pytest.mark.parametrize("name", ["../ada", "", "a/b", ".hidden", "a b"])
def test_a_reviewers_name_is_no_path(empty: Layout, name: str) -> None:
    with pytest.raises(UsageError, match="--reviewer"):
        ReviewFile(empty, name)


def test_a_sample_is_the_same_for_a_seed_and_covers_every_stratum(layout: Layout) -> None:
    dataset = open_dataset(layout.out)

    def drawn(seed: int) -> list[str]:
        by = ("phrase", "quality")
        return desk_of(dataset, sample=12, by=by, seed=seed, reviewer="ada").order

    desk = desk_of(dataset, sample=12, by=("phrase", "quality"), seed=1, reviewer="ada")
    assert len(desk.order) == 12
    assert drawn(1) == desk.order != drawn(2)
    assert sum(desk.sample.strata.values()) == N
    assert set(desk.sample.clips.values()) == set(desk.sample.strata)


def test_publishing_takes_the_decisions_into_table_and_card(
    tmp_path: Path,
) -> None:
    n = 15
    names = [(f"clip {k}", "a ball" if k % 3 else "a hoop") for k in range(n)]
    layout = write_looked_at(tmp_path / "out", names)
    dataset = open_dataset(layout.out)
    desk = desk_of(dataset, sample=6, by=("phrase",), seed=1, reviewer="ada")
    for number, clip_id in enumerate(desk.order):
        what = "reject" if number < 2 else "accept"
        values = decision(number, what=what) | {
            "clip_id": clip_id, "rows_hash": hash_of_rows(dataset.clip(clip_id))
        }  # fmt: skip
        desk._save(values)
    found = reviewed(layout, lambda clip_id: hash_of_rows(dataset.clip(clip_id)))
    assert found is not None
    assert found.acceptance is not None
    share, n_effective = found.acceptance.weighted or (0, 0)
    by_hand = sum(s.population / n * s.found.accepted / s.found.n for s in found.acceptance.strata)
    assert share == pytest.approx(by_hand)
    assert n_effective == pytest.approx(6, abs=0.2)  # drawn in proportion
    done = publish(layout.out, tmp_path / "whole", min_acceptance=0.5)
    card = (done.dest / "README.md").read_text()
    assert "4 of 6 accepted: 66.7 % (30.0 to 90.3) of 6 clips drawn, by ada" in card
    published = open_dataset(done.dest)
    assert published.table("reviews").num_rows == 6
    assert published.table("clips").num_rows == n
    with pytest.raises(UsageError, match=r"--min-acceptance 0\.95"):
        publish(layout.out, tmp_path / "none", min_acceptance=0.95)
    assert not (tmp_path / "none").exists()
    publish(layout.out, tmp_path / "accepted", accepted_only=True)
    kept = open_dataset(tmp_path / "accepted")
    assert set(kept.clip_ids) == set(desk.order[2:])
    assert set(kept.table("masks")["clip_id"].to_pylist()) == set(desk.order[2:])


def test_a_decision_about_rows_that_changed_is_counted_nowhere(layout: Layout) -> None:
    dataset = open_dataset(layout.out)
    desk = desk_of(dataset, sample=4, by=(), seed=1, reviewer="eve")
    shown = hash_of_rows(dataset.clip(desk.order[0]))
    with pytest.raises(UsageError, match="changed since"):
        desk._save(decision(1) | {"clip_id": desk.order[0], "rows_hash": "old"})
    desk._save(decision(2) | {"clip_id": desk.order[0], "rows_hash": shown})
    found = reviewed(layout, lambda clip_id: "another")
    assert found is not None
    assert (found.n_stale, found.acceptance, found.table["counted"].to_pylist()) == (
        1,
        None,
        [False],
    )


def test_two_people_who_differ_have_not_accepted(tmp_path: Path) -> None:
    layout = write_looked_at(tmp_path / "out", [("a", "a ball"), ("b", "a ball")])
    dataset = open_dataset(layout.out)
    for reviewer, what in (("ada", "accept"), ("bob", "reject")):
        desk = desk_of(dataset, sample=2, by=(), seed=1, reviewer=reviewer)
        for number, clip_id in enumerate(desk.order):
            shown = {"clip_id": clip_id, "rows_hash": hash_of_rows(dataset.clip(clip_id))}
            desk._save(decision(number, what=what if number else "accept") | shown)
    found = reviewed(layout, lambda clip_id: hash_of_rows(dataset.clip(clip_id)))
    assert found is not None
    assert found.acceptance is not None
    assert (found.acceptance.whole, found.acceptance.n_differ) == (AcceptedShare(1, 2), 1)


def test_the_card_names_few_strata_and_gives_those_with_few_decisions_together() -> None:
    strata = [
        StratumAcceptance("balls", 40, AcceptedShare(2, 4)),
        StratumAcceptance("cones", 20, AcceptedShare(1, 1)),
        StratumAcceptance("boxes", 20, AcceptedShare(0, 2)),
        *(StratumAcceptance(f"s{k}", 5, AcceptedShare(0, 0)) for k in range(7)),
    ]
    lines = Acceptance("s", AcceptedShare(3, 7), tuple(strata), ("ada",), 7, 0, {}).lines
    assert lines[2:] == [
        "not looked at: s0; s1; s2; s3; s4; and 2 more strata",
        "balls (40 clips): 2 of 4 accepted: 50.0 % (15.0 to 85.0)",
        "2 strata of fewer than 3 decisions: 1 of 3 accepted: 33.3 % (6.1 to 79.2)",
    ]
