"""`rft train --method`: each goes on from a kill with the same bits, and from another training."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from massannot.errors import OtherRecipe, UsageError
from massannot.questions.scene_dataset import write_scene_questions
from massannot.rft import tiny_warm_up
from massannot.rft.rewards import Completion, reward
from massannot.rft.run_folder import trained_before
from massannot.rft.tiny_model import read_tiny
from massannot.rft.train import completion, dry_run, make_trainer, read_rows, train
from massannot.rft.training_recipes import METHODS, Recipe, WarmUp, recipe
from massannot.rft.trl_rewards import _expected

LETTERS = """
def letters(completion, *, expected):
    return len(completion.text) % 5 / 4
"""
"""A reward that a model earns before it knows anything."""
LORA = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"}


def short(**changed: Any) -> Recipe:
    """Three steps with a checkpoint after the second."""
    tiny = recipe("tiny")
    length = {"max_steps": 3, "per_device_train_batch_size": 8, "save_steps": 2, "warmup_steps": 1}
    return replace(
        tiny,
        grpo={**tiny.grpo, **length},
        sft={**tiny.sft, **length},
        warm_up=WarmUp(steps=2, scenes=2, learning_rate=3e-3),
        **changed,
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions, and a supervised training on them."""
    world = tmp_path_factory.mktemp("methods")
    seeds = range(1_000_000, 1_000_003)
    write_scene_questions(world / "asked", seeds=seeds, views=4, names=("faster", "colour"))
    (world / "paid.py").write_text(LETTERS)
    run(world, "sft", method="sft")
    return world


def run(world: Path, folder: str, *, of: Recipe | None = None, **options: Any) -> list[str]:
    said: list[str] = []
    train("tiny", of or short(), data=world / "asked", out=world / folder, log=said.append,
          **options)  # fmt: skip
    return said


def weights(folder: Path) -> dict[str, torch.Tensor]:
    model: torch.nn.Module = read_tiny(folder)[0]
    return model.state_dict()


@pytest.mark.parametrize(
    ("method", "lora"),
    [
        ("sft", LORA),
        ("tgrpo", None),
        pytest.param("sft", None, marks=pytest.mark.slow),
        pytest.param("grpo", None, marks=pytest.mark.slow),
    ],
)
def test_a_killed_training_goes_on_by_itself_and_ends_with_the_same_bits(
    world: Path, method: str, lora: dict[str, Any] | None
) -> None:
    """Killed in the third of three steps, when the last checkpoint is the second's."""
    name, of = f"{method}-{lora is None}", short(lora=lora, rewards=(f"{world}/paid.py:letters",))
    run(world, name, of=of, method=method)
    killed = world / f"{name}-killed"
    shutil.copytree(world / name, killed)
    shutil.rmtree(killed / "checkpoints" / "checkpoint-3")
    shutil.rmtree(killed / "model")
    said = run(world, killed.name, of=of, method=method)
    assert f"{killed}: continues from step 2" in said
    whole, resumed = weights(world / name / "model"), weights(killed / "model")
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    before = weights(world / name / "before")
    assert any(not torch.equal(whole[key], before[key]) for key in whole)
    assert any("there is nothing to do" in text for text in run(world, name, of=of, method=method))


def test_one_goes_on_from_another_and_says_so(world: Path) -> None:
    run(world, "both", method="grpo", after=world / "sft")
    about = json.loads((world / "both" / "run.json").read_text())
    assert about["methods"] == ["sft", "grpo"]
    assert about["after"] == trained_before(world / "sft")["weights"]
    assert not (world / "both" / "before").exists()


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("another method", {"method": "grpo"}, "found a run with method 'sft', expected 'grpo'"),
    ("another warm-up", {"of": replace(short(), warm_up=None), "method": "sft"},
     "found a run with warm_up {'steps': 2, 'scenes': 2, 'learning_rate': 0.003}, expected None"),
    ("another beginning", {"after": "sft", "method": "sft"}, "found a run with warm_up"),
    ("another seed", {"method": "sft", "seed": 1}, "found a run with seed 0, expected 1"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "sentence"), [row[1:] for row in REFUSED],
                         ids=[row[0] for row in REFUSED])  # fmt: skip
def test_the_folder_of_another_training_is_refused_by_what_differs(
    world: Path, options: dict[str, Any], sentence: str
) -> None:
    named = dict(options)
    if "after" in named:
        named["after"] = world / named["after"]
    with pytest.raises(OtherRecipe, match=re.escape(sentence)):
        run(world, "sft", **named)


def test_a_folder_without_an_ended_training_is_not_gone_on_from(world: Path) -> None:
    with pytest.raises(UsageError, match=r"asked: found no run\.json"):
        run(world, "new", after=world / "asked")
    unfinished = world / "unfinished"
    unfinished.mkdir()
    shutil.copy(world / "sft" / "run.json", unfinished)
    with pytest.raises(UsageError, match=r"unfinished: found no model/, expected a training that"):
        run(world, "new", after=unfinished)
    with pytest.raises(UsageError, match="--method dpo: expected one of sft, grpo, tgrpo"):
        run(world, "new", method="dpo")
    assert not (world / "new").exists()


@pytest.mark.parametrize("evidence", ["frames+profile", "none"])
def test_supervised_tuning_learns_the_completion_and_its_end_alone(
    world: Path, tmp_path: Path, evidence: str
) -> None:
    rows = read_rows(short(), world / "asked", evidence=evidence)  # type: ignore[arg-type]
    policy, processor = read_tiny(world / "sft" / "before")
    trainer = make_trainer(short(), rows, policy, processor, method="sft", out=tmp_path, seed=0)
    batch = next(iter(trainer.get_train_dataloader()))
    learned = batch["labels"] != -100
    for row, mask in zip(batch["labels"], learned, strict=True):
        text = processor.tokenizer.decode(row[mask])
        assert re.fullmatch(r"<think> </think> <answer> (A|B|yes|no) </answer> <end>", text), text
    n_pictures = 0 if evidence == "none" else 4 * len(learned)
    assert len(batch.get("pixel_values", ())) == n_pictures


def test_a_warm_up_describes_and_asks_nothing_that_needs_arithmetic(world: Path) -> None:
    rows = read_rows(short(), world / "asked", evidence="frames+profile").rows
    faster = [{**row, "category": "faster"} for row in rows[:2]]
    asked = tiny_warm_up._without_arithmetic([*faster, *rows])
    assert {row["category"] for row in asked} == {"colour"}
    assert tiny_warm_up._without_arithmetic(faster) == faster
    described = tiny_warm_up.describing(rows[0])
    *shared, task = described["prompt"][0]["content"]
    assert task["text"] == tiny_warm_up.DESCRIBE
    assert shared == rows[0]["prompt"][0]["content"][:-1]
    said = tiny_warm_up.completion(described).split()
    assert len(said) == 4 * 2 * 2  # pictures, things, colour and column


def test_what_supervised_tuning_teaches_is_paid_in_full(world: Path) -> None:
    rows = read_rows(short(), world / "asked", evidence="none").rows
    columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    for name in ("accuracy", "format"):
        judge = reward(name)
        for row, expected in zip(rows, _expected(columns, n=len(rows)), strict=True):
            assert judge(Completion(completion(row), None), expected=expected) == 1.0


@pytest.mark.parametrize("method", METHODS)
def test_a_dry_run_shows_the_settings_of_its_method(world: Path, method: str) -> None:
    text = dry_run("qwen2_5_vl_7b", recipe("qwen2_5_vl_7b"), data=world / "asked",
                   out=world / "new", evidence="frames", method=method).text  # type: ignore[arg-type]  # fmt: skip
    assert f"method: {method}" in text
    assert ("num_generations = 8" in text) == (method != "sft")
    assert ("temporal" in text) == (method == "tgrpo")
