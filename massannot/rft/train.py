"""Training: rows and a recipe in; `before/` (where there is a warm-up), `model/`, checkpoints and
TensorBoard's files out. `run.json` records the settings, for `rft eval`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from massannot import plugins
from massannot.errors import OtherRecipe, UsageError
from massannot.rft import training_rows
from massannot.rft.training_recipes import Recipe
from massannot.rft.training_rows import Evidence, TrainingRows, balanced, load

Log = Callable[[str], None]
RUN = "run.json"
BEFORE, AFTER, CHECKPOINTS = "before", "model", "checkpoints"


def train(
    name: str,
    recipe: Recipe,
    *,
    data: Path,
    out: Path,
    evidence: Evidence = "frames+profile",
    model: str | None = None,
    seed: int = 0,
    resume: bool = False,
    log: Log = print,
) -> None:
    """Warm up, reinforce, save. `model`: a folder or hub id in place of the recipe's; `resume`
    continues from the last checkpoint. Raises UsageError for held-out questions among the data, for
    a folder of another run or without a checkpoint, and for a model that would not be used."""
    _refuse_unused_model(name, recipe, model)
    settings = {
        "recipe": plugins.absolute(name),
        "evidence": evidence,
        "seed": seed,
        "model": model or recipe.model,
    }
    _refuse_other_run(out, settings)
    checkpoint = str(_last_checkpoint(out)) if resume else None
    rows = _to_train_on(read_rows(recipe, data, evidence=evidence))
    log(f"{len(rows.rows)} questions to train on, {len(rows.left_out)} left out")
    settings["questions_digest"] = training_rows.digest_of(rows.rows)
    _refuse_other_run(out, settings)
    repeated = balanced(rows) if recipe.balanced else rows
    policy, processor = _policy(recipe, repeated, model=model, seed=seed, out=out, log=log)
    out.mkdir(parents=True, exist_ok=True)
    run_record = {**settings, "data": str(data), "n_questions": len(rows.rows)}
    (out / RUN).write_text(json.dumps(run_record, indent=1) + "\n")
    training_rows.remember(out, rows.rows)
    trainer = make_trainer(recipe, repeated, policy, processor, out=out, seed=seed)
    trainer.train(resume_from_checkpoint=checkpoint)
    _save(trainer.model, processor, out / AFTER)


def described(
    name: str,
    recipe: Recipe,
    *,
    data: Path,
    out: Path,
    evidence: Evidence,
    model: str | None = None,
) -> str:
    """The settings and the first prompt of a training, as text. Loads no weights."""
    _refuse_unused_model(name, recipe, model)
    rows = _to_train_on(read_rows(recipe, data, evidence=evidence))
    config = grpo_config(recipe, out=out, seed=0)
    shown = {key: getattr(config, key) for key in sorted((*recipe.grpo, "scale_rewards"))}
    lines = [f"recipe {name}: {recipe.summary}", f"model: {model or recipe.model or 'untrained'}"]
    lines += [f"{len(rows.rows)} questions, {len(rows.left_out)} left out; prompts keep {evidence}"]
    lines += [f"  {key} = {value}" for key, value in shown.items()]
    lines += [f"  rewards = {', '.join((*recipe.rewards, 'temporal'))}", f"  lora = {recipe.lora}"]
    parts = rows.rows[0]["prompt"][0]["content"]
    return "\n".join([*lines, "", *(part.get("text") or "<image>" for part in parts)])


def read_rows(
    recipe: Recipe, data: Path, *, evidence: Evidence, held_out: bool = False
) -> TrainingRows:
    """As `load`, with the recipe's frames and template. Raises UsageError for an export that a
    model from nothing is to read: it knows the words and the pictures of scenes."""
    rows = load(
        data,
        evidence=evidence,
        frames=recipe.frames,
        template=recipe.template,
        held_out=held_out,
    )
    if recipe.model is None and rows.export is not None:
        raise UsageError(
            f"{data}: found an export, expected questions about scenes (`massannot questions "
            "scenes`): a model that begins from nothing reads nothing else"
        )
    return rows


def make_trainer(
    recipe: Recipe, rows: TrainingRows, policy: Any, processor: Any, *, out: Path, seed: int
) -> Any:
    """A TGRPOTrainer, ready to train."""
    from massannot.rft.trainer import TGRPOTrainer
    from massannot.rft.trl_rewards import reward_functions

    lora = None
    if recipe.lora is not None:
        from peft import LoraConfig

        lora = LoraConfig(task_type="CAUSAL_LM", **recipe.lora)
    return TGRPOTrainer(
        model=policy,
        reward_funcs=reward_functions(recipe.rewards),
        args=grpo_config(recipe, out=out, seed=seed),
        train_dataset=trl_dataset(rows),
        processing_class=processor,
        peft_config=lora,
        tgrpo=recipe.tgrpo,
        shuffle_profile=recipe.shuffle_profile,
    )


def grpo_config(recipe: Recipe, *, out: Path, seed: int) -> Any:
    """The recipe's trl.GRPOConfig; on a machine without CUDA, its CPU form."""
    import torch
    from trl import GRPOConfig

    cuda = torch.cuda.is_available()
    settings = dict(recipe.grpo)
    return GRPOConfig(
        output_dir=str(out / CHECKPOINTS),
        seed=seed,
        use_cpu=not cuda,
        bf16=settings.pop("bf16", False) and cuda,
        gradient_checkpointing=settings.pop("gradient_checkpointing", False),
        max_completion_length=recipe.max_completion_tokens,
        scale_rewards=recipe.tgrpo.scaling,
        report_to=["tensorboard"],
        save_total_limit=2,
        log_multimodal=False,
        disable_tqdm=True,
        **settings,
    )


def trl_dataset(rows: TrainingRows) -> Any:
    """A `datasets.Dataset` whose pictures are loaded row by row and never stored in it."""
    from datasets import Dataset

    shown = any(part["type"] == "image" for part in rows.rows[0]["prompt"][0]["content"])
    stored = [{k: v for k, v in row.items() if k != "images"} for row in rows.rows]
    pictures = {row["question_id"]: row for row in rows.rows}

    def with_pictures(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        if not shown:
            return batch
        return {
            **batch,
            "images": [rows.pictures(pictures[name]) for name in batch["question_id"]],
        }

    return Dataset.from_list(stored).with_transform(with_pictures)


def load_policy(recipe: Recipe, folder: str | Path) -> tuple[Any, Any]:
    """(model, processor) of a folder that was trained, or of a hub id."""
    if recipe.model is None:
        from massannot.rft.tiny_model import read_tiny

        return read_tiny(Path(folder))
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(folder, padding_side="left")
    return AutoModelForImageTextToText.from_pretrained(folder, dtype="auto"), processor


def _refuse_unused_model(name: str, recipe: Recipe, model: str | None) -> None:
    if model is not None and recipe.model is None:
        raise UsageError(
            f"--model {model}: found the recipe {name}, whose model begins from nothing; expected "
            "a recipe with a model to put another in its place"
        )


def _refuse_other_run(out: Path, settings: dict[str, Any]) -> None:
    """Its warm-up would be taken for this one's."""
    if not (out / RUN).exists():
        return
    existing = json.loads((out / RUN).read_text())
    for key, wanted in settings.items():
        if existing.get(key, wanted) != wanted:
            raise OtherRecipe(
                f"{out}: found a run with {key} {existing[key]!r}, expected {wanted!r}; "
                "take another folder"
            )


def _to_train_on(rows: TrainingRows) -> TrainingRows:
    held_out = [row["question_id"] for row in rows.rows if row["split"] == "test"]
    if held_out:
        raise UsageError(
            f"training data: found {len(held_out)} held-out questions, {held_out[0]} the first, "
            "expected none; they judge what was trained"
        )
    if not rows.rows:
        reasons = "".join(f"\n  {reason}" for reason in rows.left_out[:5])
        raise UsageError(f"training data: found no question to train on{reasons}")
    return rows


def _policy(
    recipe: Recipe, rows: TrainingRows, *, model: str | None, seed: int, out: Path, log: Log
) -> tuple[Any, Any]:
    if recipe.model is not None:
        return load_policy(recipe, model or recipe.model)
    if (out / BEFORE).exists():
        log(f"the warm-up of {out / BEFORE} is taken as it is")
        return load_policy(recipe, out / BEFORE)
    from massannot.rft.tiny_model import tiny_model, tiny_processor
    from massannot.rft.tiny_warm_up import completion, warm_up

    texts = [part.get("text", "") for row in rows.rows for part in row["prompt"][0]["content"]]
    processor = tiny_processor([*texts, *map(completion, rows.rows)])
    policy = tiny_model(processor, seed=seed)
    if recipe.warm_up is not None:
        warm_up(policy, processor, rows, recipe.warm_up, seed=seed, log=log)
    unfinished = out / f".{BEFORE}"  # half a warm-up must not be taken for one
    _save(policy, processor, unfinished)
    unfinished.rename(out / BEFORE)
    return load_policy(recipe, out / BEFORE)  # so that it knows its folder, as what TRL's KL is of


def _save(model: Any, processor: Any, folder: Path) -> None:
    if hasattr(model, "merge_and_unload"):  # LoRA: what is saved runs without peft
        model = model.merge_and_unload()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _last_checkpoint(out: Path) -> Path:
    checkpoints = sorted(
        (out / CHECKPOINTS).glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1])
    )
    if not checkpoints:
        raise UsageError(f"{out}: found no checkpoint to resume from")
    return checkpoints[-1]


def with_steps(recipe: Recipe, *, steps: int | None, warm_up_steps: int | None) -> Recipe:
    """The recipe, shorter or longer."""
    grpo = dict(recipe.grpo) | ({"max_steps": steps} if steps is not None else {})
    warm_up = recipe.warm_up
    if warm_up is not None and warm_up_steps is not None:
        warm_up = replace(warm_up, steps=warm_up_steps)
    return replace(recipe, grpo=grpo, warm_up=warm_up)
