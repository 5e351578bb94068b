"""From scenes to a trained model and its scores, with the tiny recipe cut to a few steps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from massannot.errors import UsageError
from massannot.questions.scene_dataset import write_scene_questions
from massannot.rft import scores
from massannot.rft.answer import answers
from massannot.rft.run_folder import ended
from massannot.rft.tiny_model import read_tiny
from massannot.rft.tiny_warm_up import _packed, _questions
from massannot.rft.train import dry_run, train, with_steps
from massannot.rft.training_recipes import Recipe, WarmUp, names, recipe
from massannot.rft.training_rows import EVIDENCE, Row, load, seen_before

FAMILIES = ("faster", "in_front")


def short(*, steps: int) -> Recipe:
    from dataclasses import replace

    cut = with_steps(recipe("tiny"), steps=steps, warm_up_steps=None)
    form = WarmUp(steps=40, scenes=4, learning_rate=3e-3)  # else no answer has the form of one
    grpo = dict(cut.grpo) | {"per_device_train_batch_size": 16, "save_steps": 1, "logging_steps": 1}
    return replace(cut, grpo=grpo, warm_up=form)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions to train on, questions held out, and a run of two steps on the former."""
    world = tmp_path_factory.mktemp("world")
    for name, seed in (("asked", 1_000_000), ("held-out", 900_256)):
        write_scene_questions(world / name, seeds=range(seed, seed + 20), views=2, names=FAMILIES)
    train("tiny", short(steps=2), data=world / "asked", out=world / "run", log=lambda text: None)
    return world


def test_a_run_leaves_the_model_before_and_after_checkpoints_and_metrics(world: Path) -> None:
    run = world / "run"
    before, after = (read_tiny(run / name)[0].state_dict() for name in ("before", "model"))
    assert any((before[name] != after[name]).any() for name in before)
    assert {path.name for path in (run / "checkpoints").glob("checkpoint-*")} == {
        "checkpoint-1",
        "checkpoint-2",
    }
    assert list((run / "checkpoints").rglob("events.out.tfevents.*"))
    asked = load(world / "asked", evidence="none").rows
    about = json.loads((run / "run.json").read_text())
    assert (about["data"], about["n_questions"]) == (str(world / "asked"), len(asked))
    assert f"trained on {len(asked)} of these {len(asked)}" in (seen_before(run, asked) or "")
    history = json.loads((run / "checkpoints/checkpoint-2/trainer_state.json").read_text())
    first = history["log_history"][0]
    assert {"rewards/accuracy/mean", "rewards/temporal/mean", "tgrpo/gate"} <= set(first)


def test_how_a_training_ended_is_known_from_its_folder(world: Path) -> None:
    end = ended(world / "run")
    assert (end["step"], end["method"], end["n_questions"] > 0) == (2, "tgrpo", True)
    assert Path(end["model_folder"], "model.safetensors").exists()
    assert "train_loss" in end["logged"] or "loss" in end["logged"]


def test_a_resumed_run_goes_on_from_its_checkpoint_with_the_same_warm_up(
    world: Path, tmp_path: Path
) -> None:
    import shutil

    run = tmp_path / "run"
    shutil.copytree(world / "run", run)
    train("tiny", short(steps=3), data=world / "asked", out=run, resume=True, log=lambda text: None)
    history = json.loads((run / "checkpoints/checkpoint-3/trainer_state.json").read_text())
    assert [each["step"] for each in history["log_history"] if "reward" in each] == [1, 2, 3]


def test_scores_have_every_condition_family_and_chance(world: Path, tmp_path: Path) -> None:
    log: list[str] = []
    found = answers([world / "run"], data=world / "held-out", limit=24, log=log.append)
    assert not any("was trained on" in line for line in log)
    rows = scores.scores(found)
    assert {row.condition for row in rows} == {
        "profile",
        "profile + T-GRPO",
        "profile + T-GRPO, frames shuffled",
        "profile + T-GRPO, frames and profile shuffled",
    }
    assert {(row.by, row.what) for row in rows} == {
        *(("category", name) for name in FAMILIES),
        ("answer type", "multiple_choice"),
        ("needs", "profile"),
        ("all", "all"),
    }
    assert all(row.chance == 0.5 for row in rows)
    for path in scores.write(rows, found, tmp_path):
        assert path.stat().st_size > 100


def test_packed_questions_are_read_as_if_each_stood_alone(world: Path) -> None:
    """The first scene with two questions: logits of the second equal those without the first."""
    rows = load(world / "asked", evidence="frames+profile").rows
    by_clip: dict[str, list[Row]] = {}
    for row in rows:
        by_clip.setdefault(row["clip_id"], []).append(row)
    pair = next(some[:2] for some in by_clip.values() if len(some) > 1)
    model, processor = read_tiny(world / "run" / "before")
    pictures = processor.image_processor(
        [load(world / "asked", evidence="frames").pictures(pair[0])]
    )
    logits = []
    for some in (pair, pair[1:]):
        scene = _questions(some, processor.tokenizer)
        inputs, _ = _packed([scene])
        own = len(scene.tokens) - scene.question.index(len(some))
        with torch.no_grad():
            logits.append(model(**inputs, **pictures).logits[0, -own:])
    assert torch.allclose(logits[0], logits[1], atol=1e-4)


@pytest.mark.parametrize("evidence", [each for each in EVIDENCE if "geometry" not in each])
def test_evidence_says_what_prompts_keep(world: Path, evidence: str) -> None:
    row = load(world / "asked", evidence=evidence).rows[0]  # type: ignore[arg-type]
    parts = row["prompt"][0]["content"]
    assert any(part["type"] == "image" for part in parts) == (evidence != "none")
    texts = " ".join(part.get("text") or "" for part in parts)
    assert ("Motion Profile" in texts) == (evidence == "frames+profile")


def test_held_out_questions_are_refused(world: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="held-out questions"):
        train("tiny", short(steps=1), data=world / "held-out", out=tmp_path)


def test_a_folder_without_questions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a dataset nor"):
        load(tmp_path, evidence="frames")


@pytest.mark.parametrize("name", names())
def test_every_recipe_can_be_described_without_weights(
    world: Path, tmp_path: Path, name: str
) -> None:
    text = dry_run(
        name, recipe(name), data=world / "asked", out=tmp_path, evidence="frames+profile"
    ).text
    assert "scale_rewards = batch" in text
    assert "Motion Profile" in text
