"""Training: rows and a recipe in; `before/` (where there is a warm-up), `model/`, checkpoints and
TensorBoard's files out. `run.json` records the settings, for `rft eval` and for the next start.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from massannot import plugins
from massannot.counts import counted
from massannot.errors import OtherRecipe, UsageError
from massannot.rft import training_rows
from massannot.rft.geometry_tokens import SELECTOR
from massannot.rft.memory_needs import MemoryEstimate, lora_settings, memory_estimate
from massannot.rft.run_folder import (
    AFTER,
    BEFORE,
    RUN,
    last_checkpoint,
    refuse_other_run,
    save,
    settings_of,
    step_of,
    trained_before,
)
from massannot.rft.training_recipes import METHODS, Method, Recipe
from massannot.rft.training_rows import Evidence, TrainingRows, balanced, load, trl_dataset
from massannot.rft.trl_configs import grpo_config, sft_config

Log = Callable[[str], None]


def train(
    name: str,
    recipe: Recipe,
    *,
    data: Path,
    out: Path,
    method: Method = "tgrpo",
    after: Path | None = None,
    evidence: Evidence = "frames+profile",
    geometry: Path | None = None,
    model: str | None = None,
    seed: int = 0,
    resume: bool = False,
    log: Log = print,
) -> None:
    """Warm up, train, save; in a folder that holds the same training, go on from its last
    checkpoint, or do nothing where it has ended.

    `after`: a training whose model is gone on from, in place of a warm-up. `model`: a folder or hub
    id in place of the recipe's. `geometry`: the folder of the clips' points, for evidence with
    geometry; None: an export's rows name them. `resume`: there has to be a checkpoint.

    Raises UsageError for held-out questions among the data, for an `after` that has not ended and
    for a model that would not be used; OtherRecipe for a folder of another training and an `after`
    of another model."""
    _refuse_unused(name, recipe, model=model, method=method, after=after)
    settings = {
        "recipe": plugins.absolute(name),
        "method": method,
        "evidence": evidence,
        "seed": seed,
        "model": model or recipe.model,
        "warm_up": None if after or recipe.warm_up is None else asdict(recipe.warm_up),
        "after": None if after is None else _gone_on_from(after, recipe),
    }
    refuse_other_run(out, settings)
    checkpoint = last_checkpoint(out)
    if resume and checkpoint is None:
        raise UsageError(f"{out}: found no checkpoint to resume from")
    rows = _to_train_on(read_rows(recipe, data, evidence=evidence, geometry=geometry))
    log(f"{counted(len(rows.rows), 'question')} to train on, {len(rows.left_out)} left out")
    settings["questions_digest"] = training_rows.digest_of(rows.rows)
    settings["geometry_digest"] = rows.geometry_digest()
    refuse_other_run(out, settings)
    if checkpoint is not None:
        done = step_of(checkpoint) >= _n_steps(recipe, method)
        if done and (out / AFTER).exists():
            log(f"{out}: has ended, at step {step_of(checkpoint)}; there is nothing to do")
            return
        log(f"{out}: continues from step {step_of(checkpoint)}")
    repeated = balanced(rows) if recipe.balanced else rows
    if after is not None:
        policy, processor = load_policy(recipe, after / AFTER, evidence=evidence)
    else:
        policy, processor = _policy(
            recipe, repeated, evidence=evidence, model=model, seed=seed, out=out, log=log
        )
    out.mkdir(parents=True, exist_ok=True)
    chain = [*_chain(after), method]
    run_record = {**settings, "methods": chain, "data": str(data), "n_questions": len(rows.rows)}
    (out / RUN).write_text(json.dumps(run_record, indent=1) + "\n")
    training_rows.remember(out, rows.rows)
    give_bank(policy, rows, processor)
    trainer = make_trainer(recipe, repeated, policy, processor, method=method, out=out, seed=seed)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    save(trainer.model, processor, out / AFTER)


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a training would be: its data, settings and first prompt."""

    recipe: str
    summary: str
    method: Method
    model: str
    questions: int
    left_out: int
    evidence: Evidence
    settings: Mapping[str, Any]
    """Of TRL, as far as the recipe names them."""
    rewards: tuple[str, ...]
    """None in supervised tuning."""
    lora: Mapping[str, Any] | None
    memory: MemoryEstimate | None
    """None: nobody says how large the model is."""
    prompt: str

    @property
    def text(self) -> str:
        questions = f"{counted(self.questions, 'question')}, {self.left_out} left out"
        lines = [f"recipe {self.recipe}: {self.summary}", f"method: {self.method}"]
        lines += [f"model: {self.model}", f"{questions}; prompts keep {self.evidence}"]
        lines += [f"  {key} = {value}" for key, value in self.settings.items()]
        lines += [f"  rewards = {', '.join(self.rewards)}"] if self.rewards else []
        lines += [f"  lora = {self.lora}"]
        lines += [] if self.memory is None else self.memory.lines
        return "\n".join([*lines, "", self.prompt])


def dry_run(
    name: str,
    recipe: Recipe,
    *,
    data: Path,
    out: Path,
    evidence: Evidence,
    method: Method = "tgrpo",
    after: Path | None = None,
    geometry: Path | None = None,
    model: str | None = None,
) -> DryRun:
    """Check the data and the settings of a training. Loads no weights."""
    _refuse_unused(name, recipe, model=model, method=method, after=after)
    rows = _to_train_on(read_rows(recipe, data, evidence=evidence, geometry=geometry))
    config, of_recipe, rewards = sft_config(recipe, out=out, seed=0), sorted(recipe.sft), ()
    if method != "sft":
        config = grpo_config(recipe, out=out, seed=0)
        of_recipe = sorted((*recipe.grpo, "scale_rewards"))
        rewards = (*recipe.rewards, *(("temporal",) if method == "tgrpo" else ()))
    memory = None
    if recipe.sizes is not None and model is None:
        choice, n_places = _choice(evidence), rows.n_places
        memory = memory_estimate(
            recipe, recipe.sizes, method=method, n_places=n_places, choice=choice
        )
    parts = rows.rows[0]["prompt"][0]["content"]
    return DryRun(
        recipe=name,
        summary=recipe.summary,
        method=method,
        model=str(after or model or recipe.model or "the tiny model"),
        questions=len(rows.rows),
        left_out=len(rows.left_out),
        evidence=evidence,
        settings={key: getattr(config, key) for key in of_recipe},
        rewards=rewards,
        lora=recipe.lora,
        memory=memory,
        prompt="\n".join(part.get("text") or "<image>" for part in parts),
    )


def read_rows(
    recipe: Recipe,
    data: Path,
    *,
    evidence: Evidence,
    held_out: bool = False,
    geometry: Path | None = None,
) -> TrainingRows:
    """As `load`, with the recipe's frames and template. Raises UsageError for an export that a
    tiny model is to read: it knows the words and the pictures of scenes."""
    rows = load(
        data,
        evidence=evidence,
        frames=recipe.frames,
        template=recipe.template,
        held_out=held_out,
        geometry=geometry,
        n_tokens=recipe.geometry.all if _choice(evidence) == "all" else recipe.geometry.selected,
    )
    if recipe.model is None and rows.export is not None:
        raise UsageError(
            f"{data}: found an export, expected questions about scenes (`massannot questions "
            "scenes`): the tiny model reads nothing else"
        )
    return rows


def make_trainer(
    recipe: Recipe,
    rows: TrainingRows,
    policy: Any,
    processor: Any,
    *,
    method: Method = "tgrpo",
    out: Path,
    seed: int,
) -> Any:
    """One of TRL's trainers, ready to train."""
    lora = None
    if recipe.lora is not None:
        from peft import LoraConfig

        lora = LoraConfig(**lora_settings(recipe, policy))
    shared: dict[str, Any] = {"model": policy, "processing_class": processor, "peft_config": lora}
    from massannot.rft.trainer import FramesTrainer, SupervisedTrainer, TGRPOTrainer

    if method == "sft":
        answered = trl_dataset(rows, completion=completion)
        config = sft_config(recipe, out=out, seed=seed)
        return SupervisedTrainer(args=config, train_dataset=answered, **shared)
    from massannot.rft.trl_rewards import reward_functions

    shared |= {
        "reward_funcs": reward_functions(recipe.rewards),
        "args": grpo_config(recipe, out=out, seed=seed),
        "train_dataset": trl_dataset(rows),
    }
    if method == "grpo":
        trainer: Any = FramesTrainer(**shared)
    else:
        trainer = TGRPOTrainer(tgrpo=recipe.tgrpo, shuffle_profile=recipe.shuffle_profile, **shared)
    if trainer.ref_model is not None:  # read once more from its folder
        trainer.accelerator.unwrap_model(trainer.ref_model).geometry_bank = policy.geometry_bank
    return trainer


def completion(row: training_rows.Row) -> str:
    """The text that supervised tuning teaches: the right answer in the form that is rewarded, and
    nothing thought, for the data hold no reasoning."""
    bare = row["solution"].strip().removeprefix("<answer>").removesuffix("</answer>").strip()
    return f"<think> </think> <answer> {bare} </answer>"


def _n_steps(recipe: Recipe, method: Method) -> float:
    """Of optimisation; infinite where epochs decide."""
    settings = recipe.sft if method == "sft" else recipe.grpo
    return float(settings.get("max_steps", "inf"))


def load_policy(recipe: Recipe, folder: str | Path, *, evidence: Evidence) -> tuple[Any, Any]:
    """(model, processor) of a folder that was trained, or of a hub id; with a geometry selector
    where the evidence wants one."""
    if recipe.model is None:
        from massannot.rft.tiny_model import read_tiny

        return read_tiny(Path(folder))
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(folder, padding_side="left")
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype="auto")
    model.geometry_bank = ()
    if (choice := _choice(evidence)) is not None:
        from massannot.rft.geometry_selector import attach_to

        wanted = recipe.geometry
        n_tokens = wanted.all if choice == "all" else wanted.selected
        attach_to(model, processor, choice=choice, n_tokens=n_tokens, width=wanted.width)
    return model, processor


def give_bank(policy: Any, rows: TrainingRows, processor: Any) -> None:
    """Tell the model what its prompts' geometry tokens are of. Raises UsageError where its selector
    gives another number of them than the prompts have places."""
    selector = getattr(policy, SELECTOR, None)
    has = 0 if selector is None else selector.options.n_tokens
    if has != rows.n_places:
        raise UsageError(
            f"geometry tokens: found a model that gives {has}, expected {rows.n_places}, the "
            "places of its prompts; go on from a training with the same evidence and recipe"
        )
    policy.geometry_bank = rows.bank(processor)


def _choice(evidence: Evidence) -> Literal["selected", "all"] | None:
    """Of the geometry tokens; None: the evidence has none."""
    if "geometry" not in evidence:
        return None
    return "all" if "all-geometry" in evidence else "selected"


def _refuse_unused(
    name: str, recipe: Recipe, *, model: str | None, method: Method, after: Path | None
) -> None:
    if method not in METHODS:
        raise UsageError(f"--method {method}: expected one of {', '.join(METHODS)}")
    if model is not None and after is not None:
        raise UsageError(
            f"--model {model} with --after {after}: found two models to begin with, expected one"
        )
    if model is not None and recipe.model is None:
        raise UsageError(
            f"--model {model}: found the recipe {name}, whose model is the tiny one; expected "
            "a recipe with a model to put another in its place"
        )


def _gone_on_from(after: Path, recipe: Recipe) -> str:
    """The digest of its weights. Raises OtherRecipe for a training of another model."""
    settings = trained_before(after)
    if (settings["model"] is None) != (recipe.model is None):
        raise OtherRecipe(
            f"--after {after}: found a training of {settings['model'] or 'the tiny model'}, "
            f"expected one of {recipe.model or 'the tiny model'}"
        )
    return str(settings["weights"])


def _chain(after: Path | None) -> list[str]:
    if after is None:
        return []
    settings = settings_of(after)
    return list(settings.get("methods") or [settings["method"]])


def _to_train_on(rows: TrainingRows) -> TrainingRows:
    held_out = [row["question_id"] for row in rows.rows if row["split"] == "test"]
    if held_out:
        raise UsageError(
            f"training data: found {counted(len(held_out), 'held-out question')}, {held_out[0]} "
            "the first, expected none; they judge what was trained"
        )
    if not rows.rows:
        reasons = "".join(f"\n  {reason}" for reason in rows.left_out[:5])
        raise UsageError(f"training data: found no question to train on{reasons}")
    return rows


def _policy(
    recipe: Recipe,
    rows: TrainingRows,
    *,
    evidence: Evidence,
    model: str | None,
    seed: int,
    out: Path,
    log: Log,
) -> tuple[Any, Any]:
    if recipe.model is not None:
        return load_policy(recipe, model or recipe.model, evidence=evidence)
    if (out / BEFORE).exists():
        log(f"the warm-up of {out / BEFORE} is taken as it is")
        return load_policy(recipe, out / BEFORE, evidence=evidence)
    from massannot.rft.tiny_model import tiny_model, tiny_processor
    from massannot.rft.tiny_warm_up import DESCRIBE, completion, warm_up

    texts = [part.get("text", "") for row in rows.rows for part in row["prompt"][0]["content"]]
    texts += [*map(completion, rows.rows), *rows.names(), DESCRIBE]
    processor = tiny_processor(texts)
    selector = None
    if (choice := _choice(evidence)) is not None:
        wanted = recipe.geometry
        n_tokens = wanted.all if choice == "all" else wanted.selected
        selector = {"choice": choice, "n_tokens": n_tokens, "width": wanted.width, "layers": 1}
    policy = tiny_model(processor, seed=seed, geometry=selector)
    give_bank(policy, rows, processor)
    if recipe.warm_up is not None:
        warm_up(policy, processor, rows, recipe.warm_up, seed=seed, log=log)
    save(policy, processor, out / BEFORE)
    # so that it knows its folder, as what TRL's KL is of
    return load_policy(recipe, out / BEFORE, evidence=evidence)


def with_steps(recipe: Recipe, *, steps: int | None, warm_up_steps: int | None) -> Recipe:
    """The recipe, shorter or longer."""
    length = {"max_steps": steps} if steps is not None else {}
    warm_up = recipe.warm_up
    if warm_up is not None and warm_up_steps is not None:
        warm_up = replace(warm_up, steps=warm_up_steps)
    return replace(
        recipe, grpo={**recipe.grpo, **length}, sft={**recipe.sft, **length}, warm_up=warm_up
    )
