"""What `rft train` refuses before it trains, and how often it asks what."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from massannot.errors import OtherRecipe, UsageError
from massannot.questions.scene_dataset import write_scene_questions
from massannot.rft.tiny_model import read_tiny
from massannot.rft.train import dry_run, train, with_steps
from massannot.rft.training_recipes import recipe
from massannot.rft.training_rows import TrainingRows, balanced
from tests.in_process import run_massannot


def test_the_folder_of_another_run_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    said = json.dumps({"recipe": "tiny", "evidence": "frames", "seed": 0, "model": None})
    (tmp_path / "run.json").write_text(said)
    with pytest.raises(OtherRecipe, match=r"evidence 'frames', expected 'frames\+profile'"):
        train("tiny", recipe("tiny"), data=tmp_path / "asked", out=tmp_path)
    assert (tmp_path / "run.json").read_text() == said


def test_a_folder_that_was_trained_on_other_questions_is_refused(tmp_path: Path) -> None:
    seeds = range(1_000_000, 1_000_012)
    write_scene_questions(tmp_path / "asked", seeds=seeds, names=("hits",))
    said = {"recipe": "tiny", "evidence": "frames+profile", "questions_digest": "ab" * 16}
    (tmp_path / "run.json").write_text(json.dumps(said))
    with pytest.raises(OtherRecipe, match="found a run with questions_digest 'abab"):
        train("tiny", recipe("tiny"), data=tmp_path / "asked", out=tmp_path, log=lambda text: None)


def test_a_run_without_a_checkpoint_is_not_resumed(tmp_path: Path) -> None:
    """Said before the warm-up: there is no data yet, and nothing is written."""
    with pytest.raises(UsageError, match="found no checkpoint to resume from"):
        train("tiny", recipe("tiny"), data=tmp_path / "asked", out=tmp_path / "run", resume=True)
    assert not list(tmp_path.iterdir())


OWN_RECIPE = """
from dataclasses import replace
from massannot.rft.training_recipes import TINY

RECIPE = replace(TINY, summary="mine", frames=2)
"""


def test_a_recipe_from_outside_of_the_package_is_described_as_ours_are(tmp_path: Path) -> None:
    file = tmp_path / "my_recipe.py"
    file.write_text(OWN_RECIPE)
    write_scene_questions(tmp_path / "asked", seeds=range(1_000_000, 1_000_012), names=("hits",))
    text = dry_run(
        str(file),
        recipe(str(file)),
        data=tmp_path / "asked",
        out=tmp_path,
        evidence="frames",
    ).text
    assert text.startswith(f"recipe {file}: mine\n")
    assert text.count("<image>") == 2
    options = "--data asked -o trained --evidence frames --dry-run --json"
    found = json.loads(run_massannot(f"rft train {file} {options}", tmp_path))
    assert (found["summary"], found["method"]) == ("mine", "tgrpo")
    assert found["settings"]["scale_rewards"] == "batch"
    assert found["rewards"][-1] == "temporal"
    assert found["prompt"].count("<image>") == 2


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "huge",
            "no recipe 'huge'; recipes: qwen2_5_vl_7b, qwen2_5_vl_7b_evidence, qwen2_5_vl_7b_geo",
        ),
        ("./absent.py", "recipe ./absent.py: found no such file"),
        ("massannot.errors", "recipe massannot.errors: found NoneType as RECIPE"),
    ],
)
def test_a_name_that_leads_to_no_recipe_is_refused(name: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        recipe(name)


def test_a_warm_up_that_was_killed_while_it_was_saved_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = range(1_000_000, 1_000_012)
    write_scene_questions(tmp_path / "asked", seeds=seeds, names=("hits",))
    short, run = with_steps(recipe("tiny"), steps=1, warm_up_steps=1), tmp_path / "run"
    said: list[str] = []

    def train_until_killed_in(place: str) -> None:
        def killed(*args: Any, **kwargs: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(place, killed)
            with pytest.raises(KeyboardInterrupt):
                train("tiny", short, data=tmp_path / "asked", out=run, log=said.append)

    train_until_killed_in("transformers.LlavaProcessor.save_pretrained")
    assert not (run / "before").exists()
    train_until_killed_in("massannot.rft.train.make_trainer")
    read_tiny(run / "before")
    assert not any("taken as it is" in text for text in said)


def test_a_model_in_place_of_one_that_begins_from_nothing_is_refused(tmp_path: Path) -> None:
    options = {"data": tmp_path / "asked", "out": tmp_path / "run", "model": "qwen/qwen"}
    for does in (train, dry_run):
        with pytest.raises(UsageError, match="--model qwen/qwen: found the recipe tiny"):
            does("tiny", recipe("tiny"), evidence="frames", **options)


def test_questions_of_rarer_categories_are_repeated_until_all_are_as_frequent() -> None:
    asked = {"faster": "abcde", "in_front": "fg", "right_of": "h"}
    rows = [
        {"category": category, "question_id": name}
        for category, names in asked.items()
        for name in names
    ]
    found = balanced(TrainingRows(tuple(rows), Path("asked")))
    repeated = {
        category: "".join(row["question_id"] for row in found.rows if row["category"] == category)
        for category in asked
    }
    assert repeated == {"faster": "abcde", "in_front": "fgfgf", "right_of": "hhhhh"}
