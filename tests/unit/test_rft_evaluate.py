"""What `rft eval` is asked to compare, and under which names it scores."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from massannot.errors import UsageError
from massannot.rft.answer import (
    Answered,
    answers,
    conditions_of,
    curve_names,
    refuse_other_baseline,
)
from massannot.rft.scores import as_text, picture, scores, write
from massannot.rft.training_curves import curves_of
from massannot.rft.training_curves import picture as curves_picture


def run_of(folder: Path, *, seed: int = 0, **settings: object) -> Path:
    folder.mkdir()
    about = {"recipe": "tiny", "evidence": "frames", "seed": seed, **settings}
    (folder / "run.json").write_text(json.dumps(about))
    return folder


def test_two_runs_with_the_same_evidence_method_and_seed_are_not_scored_as_one(
    tmp_path: Path,
) -> None:
    runs = [run_of(tmp_path / name) for name in ("one", "other")]
    with pytest.raises(UsageError, match=r"other: found plain \+ T-GRPO with seed 0, as in .*one"):
        answers(runs, data=tmp_path)


def test_runs_that_differ_in_their_seed_are_one_condition(tmp_path: Path) -> None:
    runs = [run_of(tmp_path / f"of {seed}", seed=seed) for seed in (0, 7)]
    for run in runs:
        (run / "before").mkdir()
    names = ["plain", "plain + T-GRPO", "plain + T-GRPO, frames shuffled"]
    assert [[name for name, *_ in of_run] for of_run in conditions_of(runs).values()] == [names] * 2
    assert list(curve_names(runs)) == ["plain + T-GRPO, seed 0", "plain + T-GRPO, seed 7"]
    assert list(curve_names(runs[1:])) == ["plain + T-GRPO"]
    refuse_other_baseline(runs, "plain")
    with pytest.raises(UsageError, match=r"no such condition, expected one of plain, plain \+ T-"):
        refuse_other_baseline(runs, "profile")
    runs.append(run_of(tmp_path / "sft", method="sft"))
    with pytest.raises(UsageError, match=r"found seeds \[0, 7\] of it and \[0\] of plain \+ SFT"):
        refuse_other_baseline(runs, "plain + T-GRPO")


def test_runs_are_named_by_evidence_and_methods_and_one_warm_up_answers_once(
    tmp_path: Path,
) -> None:
    about = {
        "sft": {"evidence": "frames", "method": "sft", "methods": ["sft"]},
        "both": {"evidence": "frames", "method": "tgrpo", "methods": ["sft", "tgrpo"]},
        "grpo": {"evidence": "frames", "method": "grpo", "methods": ["grpo"]},
        "geometry": {"evidence": "frames+geometry+profile", "method": "grpo"},
    }
    for name, settings in about.items():
        run_of(tmp_path / name, **settings)
    for name in ("sft", "grpo"):
        (tmp_path / name / "before").mkdir()
    found = conditions_of([tmp_path / name for name in about])
    assert {run.name: [condition[0] for condition in of_run] for run, of_run in found.items()} == {
        "sft": ["plain", "plain + SFT", "plain + SFT, frames shuffled"],
        "both": ["plain + SFT + T-GRPO", "plain + SFT + T-GRPO, frames shuffled"],
        "grpo": ["plain + GRPO", "plain + GRPO, frames shuffled"],
        "geometry": [
            f"selected geometry and profile + GRPO{shuffled}"
            for shuffled in ("", ", frames shuffled", ", frames and profile shuffled")
        ],
    }


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"found no run\.json"):
        answers([tmp_path], data=tmp_path)


def answered(
    category: str,
    problem_type: str,
    accuracy: float,
    *,
    condition: str = "plain",
    group: str = "v",
    seed: int = 0,
) -> Answered:
    return Answered(
        condition=condition,
        question_id="q",
        group=group,
        solution="1",
        said="1",
        category=category,
        problem_type=problem_type,
        accuracy=accuracy,
        format=1.0,
        seed=seed,
    )


def test_a_category_called_as_an_answer_type_is_scored_apart_from_it() -> None:
    rows = scores([answered("number", "text", 1.0), answered("all", "number", 0.0)])
    found = {(row.by, row.what): row.accuracy.value for row in rows}
    assert found == {
        ("category", "all"): 0.0,
        ("category", "number"): 1.0,
        ("answer type", "number"): 0.0,
        ("answer type", "text"): 1.0,
        ("all", "all"): 0.5,
    }
    header, _, plain, _, n_questions = as_text(rows).splitlines()
    assert header == (
        "| condition | all | number | answers: number | answers: text | all questions |"
    )
    assert [cell.split(" ")[1] for cell in plain.split("|")[2:-1]] == ["0", "100", "0", "100", "50"]
    assert n_questions == "| questions | 1 | 1 | 1 | 1 | 2 |"
    assert picture(rows).width > 0


def test_seeds_of_one_condition_give_their_mean_and_their_spread_widens_the_interval() -> None:
    """40 videos of one question: seed 0 answers half of them, seed 1 three quarters."""
    right = [(seed, n, float(n % 4 < 2 + seed)) for seed in (0, 1) for n in range(40)]
    found = [answered("a", "text", ok, group=str(n), seed=seed) for seed, n, ok in right]
    both, one = (scores(some)[0] for some in (found, found[:40]))
    assert (both.accuracy.value, both.n_questions, both.of_seeds) == (0.625, 40, {0: 0.5, 1: 0.75})
    assert (one.accuracy.value, one.n_questions, one.of_seeds) == (0.5, 40, {})
    alike = [replace(answer, seed=seed) for seed in (0, 1) for answer in found[:40]]
    width = [row.accuracy.high - row.accuracy.low for row in (both, scores(alike)[0], one)]
    assert width[0] > 1.15 * width[1]
    assert width[1] == width[2]


def test_a_gain_is_paired_by_video_and_seed() -> None:
    """Each video and seed gains the same, so that the gain is exact though the scores are not."""
    found = [
        answered("a", "text", share + gain, condition=name, group=str(n), seed=seed)
        for name, gain in (("plain", 0.0), ("profile", 0.25))
        for seed in (3, 4)
        for n, share in enumerate((0.0, 0.125, 0.5, 0.75))
    ]
    rows = {row.condition: row for row in scores(found, against="plain") if row.by == "all"}
    assert rows["plain"].gain is None
    gain = rows["profile"].gain
    assert gain is not None
    assert (gain.value, gain.low, gain.high) == (0.25, 0.25, 0.25)
    assert rows["profile"].accuracy.high > rows["profile"].accuracy.low + 0.2
    text = as_text(scores(found, against="plain"))
    assert "| points above plain | a | answers: text | all questions |" in text
    assert "| profile | 25.0 (25.0 to 25.0) | 25.0 (25.0" in text
    assert "points above" not in as_text(scores(found))


def test_families_of_scenes_are_also_scored_by_what_they_follow_from() -> None:
    said = {"faster": 1.0, "right_of": 0.0, "colour": 1.0}
    rows = scores([answered(name, "multiple_choice", right) for name, right in said.items()])
    found = {row.what: row.accuracy.value for row in rows if row.by == "needs"}
    assert found == {"profile": 0.5, "pictures": 1.0}
    foreign = scores([answered(name, "text", 1.0) for name in ("colour", "another's")])
    assert not [row for row in foreign if row.by == "needs"]


def test_scores_of_one_video_have_no_interval(tmp_path: Path) -> None:
    rows = scores([answered("motion", "number", 1.0)])
    table, found, *_ = write(rows, [], tmp_path)
    assert "| plain | 100 | 100 | 100 |" in table.read_text().splitlines()
    said = json.loads(found.read_text(), parse_constant=pytest.fail)
    assert [each["accuracy"] for each in said] == [
        {"value": 1.0, "low": None, "high": None, "n": 1}
    ] * 3


def test_curves_are_those_of_the_last_checkpoints(tmp_path: Path) -> None:
    def log(run: str, step: int, *rows: dict[str, float]) -> None:
        folder = tmp_path / run / "checkpoints" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "trainer_state.json").write_text(json.dumps({"log_history": rows}))

    taught = [{"step": 5 * n, "mean_token_accuracy": n / 10} for n in range(1, 9)]
    log("sft", 10, *taught[:2])
    log("sft", 40, *taught, {"step": 40, "train_loss": 0.5})
    log("grpo", 9, {"step": 9, "rewards/accuracy/mean": 0.75})
    names = ("sft", "grpo", "not begun")
    taught_line, sampled = curves_of({name: tmp_path / name for name in names})
    assert (taught_line.name, sampled.name) == ("sft", "grpo")
    assert taught_line.steps == tuple(range(5, 45, 5))
    assert taught_line.percent == pytest.approx([10, 15, 20, 25, 30, 40, 50, 60])
    assert (sampled.steps, sampled.percent) == ((9,), [75.0])
    both, one = (curves_picture(some) for some in ([taught_line, sampled], [sampled]))
    assert both.height == 2 * one.height
    assert one.getcolors() != both.getcolors()
