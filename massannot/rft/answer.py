"""Answers of a trained model, question by question, decoded greedily; `scores` counts them.

A run is judged on the evidence that it was trained with; one that sees frames also answers with
them in another order, with the profile's segments in order and in another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from massannot.counts import counted
from massannot.errors import UsageError
from massannot.rft import training_rows
from massannot.rft.run_folder import AFTER, BEFORE, settings_of
from massannot.rft.train import give_bank, load_policy, read_rows
from massannot.rft.training_recipes import recipe as recipe_named
from massannot.rft.training_rows import Evidence, Row, TrainingRows

Log = Callable[[str], None]

CONDITIONS: dict[Evidence, str] = {
    "none": "blind",
    "frames": "plain",
    "frames+profile": "profile",
    "frames+geometry": "selected geometry",
    "frames+all-geometry": "all geometry",
    "frames+geometry+profile": "selected geometry and profile",
}
BATCH = 128


@dataclass(frozen=True)
class Answered:
    """One question under one condition."""

    condition: str
    question_id: str
    group: str
    """Questions of one group are not independent."""
    category: str
    problem_type: str
    solution: str
    said: str
    accuracy: float
    format: float
    seed: int = 0
    """Of the training; trainings that differ in nothing else are one condition."""
    sources: tuple[str, ...] = ()
    """What the manifest says of where the video is from, such as `source_kind=generated`."""


def answers(
    runs: list[Path],
    *,
    data: Path,
    geometry: Path | None = None,
    limit: int | None = None,
    log: Log = print,
) -> list[Answered]:
    """The answers of every run, before training and after. Raises UsageError for a folder without
    a run, and for two runs with the same evidence, method and seed."""
    import torch

    answered: list[Answered] = []
    for run, conditions in conditions_of(runs).items():
        settings = settings_of(run)
        recipe = recipe_named(settings["recipe"])
        evidence = settings["evidence"]
        rows = read_rows(recipe, data, evidence=evidence, held_out=True, geometry=geometry)
        some = replace(rows, rows=rows.rows[:limit]) if limit else rows
        if (warning := training_rows.seen_before(run, some.rows)) is not None:
            log(f"warning: {warning}")
        for condition, folder, shuffle in conditions:
            policy, processor = load_policy(recipe, folder, evidence=evidence)
            give_bank(policy, rows, processor)
            policy.to("cuda" if torch.cuda.is_available() else "cpu")
            n_tokens = recipe.max_completion_tokens
            said = list(_answered(condition, some, shuffle, policy, processor, n_tokens=n_tokens))
            answered += [replace(answer, seed=settings["seed"]) for answer in said]
            right = sum(answer.accuracy for answer in said) / max(1, len(said))
            log(
                f"{condition}, seed {settings['seed']}: {right:.3f} of "
                f"{counted(len(said), 'question')}"
            )
    return answered


Condition = tuple[str, Path, str]
"""Name, folder of the model, the shuffled evidence."""
SPELLED = {"sft": "SFT", "grpo": "GRPO", "tgrpo": "T-GRPO"}


def name_of(run: Path) -> str:
    """What a training's model had before it and how it was trained: "profile + SFT + T-GRPO"."""
    settings = settings_of(run)
    methods = settings.get("methods") or [settings["method"]]
    return " + ".join([CONDITIONS[settings["evidence"]], *(SPELLED[m] for m in methods)])


def curve_names(runs: list[Path]) -> dict[str, Path]:
    """The trainings by name, with their seeds where these differ."""
    n_seeds = len({settings_of(run)["seed"] for run in runs})
    return {
        name_of(run) + (f", seed {settings_of(run)['seed']}" if n_seeds > 1 else ""): run
        for run in runs
    }


def refuse_other_baseline(runs: list[Path], against: str) -> None:
    """Raises UsageError where no run has the condition `against`, or where a condition to compare
    with it was trained with other seeds."""
    seeds: dict[str, set[int]] = {}
    for run, conditions in conditions_of(runs).items():
        for name, *_ in conditions:
            seeds.setdefault(name, set()).add(settings_of(run)["seed"])
    if against not in seeds:
        raise UsageError(
            f"--against {against}: found no such condition, expected one of {', '.join(seeds)}"
        )
    for name, found in seeds.items():
        if found != seeds[against]:
            raise UsageError(
                f"--against {against}: found seeds {sorted(seeds[against])} of it and "
                f"{sorted(found)} of {name}, expected the same"
            )


def conditions_of(runs: list[Path]) -> dict[Path, list[Condition]]:
    """What each run answers. One warm-up answers once, whoever went on from it. Raises UsageError
    for a folder without a run, and where two runs differ in nothing that they are named by."""
    of_name: dict[tuple[str, int], Path] = {}
    conditions: dict[Path, list[Condition]] = {}
    warmed_up = set()
    for run in runs:
        settings = settings_of(run)
        name, trained, seed = CONDITIONS[settings["evidence"]], name_of(run), settings["seed"]
        other = of_name.setdefault((trained, seed), run)
        if other is not run:
            raise UsageError(
                f"{run}: found {trained} with seed {seed}, as in {other}, expected runs that "
                "differ in evidence, method or seed; score these two one by one"
            )
        conditions[run] = []
        if (run / BEFORE).exists() and (name, seed) not in warmed_up:
            warmed_up.add((name, seed))
            conditions[run].append((name, run / BEFORE, ""))
        conditions[run].append((trained, run / AFTER, ""))
        if settings["evidence"] != "none":
            conditions[run].append((f"{trained}, frames shuffled", run / AFTER, "frames"))
        if "profile" in settings["evidence"]:
            both = f"{trained}, frames and profile shuffled"
            conditions[run].append((both, run / AFTER, "frames and profile"))
    return conditions


def _conversations(data: TrainingRows, rows: list[Row], what: str) -> list[list[dict[str, Any]]]:
    """The conversation of every row with its pictures; the evidence `what` is shuffled."""
    from trl.data_utils import prepare_multimodal_messages

    from massannot.rft.trainer import shuffled_prompt

    prompts = []
    for row in rows:
        shown = any(part["type"] == "image" for part in row["prompt"][0]["content"])
        pictures = data.pictures(row) if shown else []
        prompt = prepare_multimodal_messages(row["prompt"], images=pictures)
        if what:
            other = shuffled_prompt(prompt, seed=row["question_id"], profile="profile" in what)
            prompt = prompt if other is None else other
        prompts.append(prompt)
    return prompts


def _answered(
    condition: str,
    data: TrainingRows,
    shuffle: str,
    policy: Any,
    processor: Any,
    *,
    n_tokens: int,
) -> Iterator[Answered]:
    from massannot.rft.trl_rewards import reward_functions

    accuracy, form = reward_functions(("accuracy", "format"))
    for start in range(0, len(data.rows), BATCH):
        some = list(data.rows[start : start + BATCH])
        prompts = _conversations(data, some, shuffle)
        completions = generate(policy, processor, prompts, n_tokens=n_tokens)
        columns = {name: [row.get(name) for row in some] for name in some[0]}
        for row, text, right, formed in zip(
            some,
            completions,
            accuracy(prompts=completions, completions=completions, **_without(columns, "prompt")),
            form(prompts=completions, completions=completions, **_without(columns, "prompt")),
            strict=True,
        ):
            yield _of_row(row, condition, text, right, formed)


def generate(policy: Any, processor: Any, prompts: list[Any], *, n_tokens: int) -> list[str]:
    """The likeliest completion of every conversation."""
    import torch

    inputs = processor.apply_chat_template(
        conversation=prompts,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        padding=True,
        return_tensors="pt",
    ).to(policy.device)
    policy.eval()
    with torch.no_grad():
        ids = policy.generate(
            **inputs,
            max_new_tokens=n_tokens,
            do_sample=False,
            pad_token_id=processor.tokenizer.pad_token_id,
        )
    new = ids[:, inputs["input_ids"].shape[1] :]
    return list(processor.batch_decode(new, skip_special_tokens=True))


def _of_row(row: Row, condition: str, completion: str, right: float, formed: float) -> Answered:
    return Answered(
        condition=condition,
        question_id=row["question_id"],
        group=row["group"],
        category=row["category"] or "none",
        problem_type=row["problem_type"],
        solution=row["solution"],
        said=completion,
        accuracy=right,
        format=formed,
    )


def _without(columns: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in columns.items() if key != name}
