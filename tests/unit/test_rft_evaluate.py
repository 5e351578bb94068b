"""What `rft eval` is asked to compare, and under which names it scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from massannot.errors import UsageError
from massannot.rft.answer import Answered, _conditions, answers
from massannot.rft.scores import as_text, picture, scores, write
from massannot.rft.training_curves import curves_of
from massannot.rft.training_curves import picture as curves_picture


def test_two_runs_with_the_same_evidence_and_method_are_not_scored_as_one(tmp_path: Path) -> None:
    runs = [tmp_path / name for name in ("one", "other")]
    for run in runs:
        run.mkdir()
        (run / "run.json").write_text(json.dumps({"recipe": "tiny", "evidence": "frames"}))
    with pytest.raises(UsageError, match=r"other: found plain \+ T-GRPO, as in .*one"):
        answers(runs, data=tmp_path)


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
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps({"recipe": "tiny", **settings}))
    for name in ("sft", "grpo"):
        (tmp_path / name / "before").mkdir()
    found = _conditions([tmp_path / name for name in about])
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


def answered(category: str, problem_type: str, accuracy: float) -> Answered:
    said = {"condition": "plain", "question_id": "q", "group": "v", "solution": "1", "said": "1"}
    return Answered(
        **said, category=category, problem_type=problem_type, accuracy=accuracy, format=1.0
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
