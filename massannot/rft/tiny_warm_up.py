"""Supervised steps of the tiny model: each scene's prompt once, then several of its questions with
their answers, packed so that none sees another.

It teaches the form of an answer, with no thinking, and to see: where pictures are shown, one more
task says what is where in each of them. Yes or no alone teach it neither which colour nor where: of
one bit each, 400 steps leave it at chance. Where some questions need no arithmetic, only those are
asked here, so that what it knows of numbers it learns later, by the method that is compared.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from massannot.questions.scene_families import FAMILIES
from massannot.rft.tiny_model import N_PATCHES
from massannot.rft.training_recipes import WarmUp
from massannot.rft.training_rows import Row, TrainingRows

Log = Callable[[str], None]
QUESTIONS = 8
"""At most, of a scene in a step."""


def completion(row: Row) -> str:
    """The text that the model should generate."""
    if row["solution"] == _DESCRIBED:
        return str(row["described"])
    answer = row["solution"].split()[0]  # the unit goes without saying
    return f"<think> </think> <answer> {answer} </answer>"


DESCRIBE = "Say what is where."
_DESCRIBED = "described"


def describing(row: Row) -> Row:
    """The same prompt with another task in the place of its question."""
    (message,) = row["prompt"]
    seen = [part for part in message["content"] if part["role"] not in _OWN]
    task = {"type": "text", "text": DESCRIBE, "role": "question"}
    return {**row, "solution": _DESCRIBED, "prompt": [{**message, "content": [*seen, task]}]}


def _without_arithmetic(rows: Sequence[Row]) -> list[Row]:
    """Those of families whose answers need no line of the profile; all, where there are none."""
    easy = {name for name, family in FAMILIES.items() if family.n_lines == 0}
    chosen = [row for row in rows if row["category"] in easy]
    return chosen or list(rows)


@dataclass(frozen=True)
class Lesson:
    """What one step teaches: of each scene its tasks, with one prompt but for the question."""

    tasks: list[list[Row]]
    pictures: list[list[Any]] | None
    """Of each scene; None: nothing is shown."""


def warm_up(
    model: Any, processor: Any, data: TrainingRows, options: WarmUp, *, seed: int, log: Log
) -> None:
    """Trains in place, on questions of the data."""
    scenes: dict[str, list[Row]] = defaultdict(list)
    for row in _without_arithmetic(data.rows):
        scenes[row["clip_id"]].append(row)
    chance = random.Random(seed)
    waiting: list[str] = []

    def lesson(step: int) -> Lesson:
        nonlocal waiting
        if len(waiting) < options.scenes:
            waiting = chance.sample(sorted(scenes), len(scenes))
        chosen, waiting = waiting[: options.scenes], waiting[options.scenes :]
        chosen_rows = [chance.sample(scenes[s], min(QUESTIONS, len(scenes[s]))) for s in chosen]
        shown = any(part["type"] == "image" for part in _parts(chosen_rows[0][0]))
        tasks = [
            [*rows, describing(rows[0])] if shown and rows[0]["described"] else rows
            for rows in chosen_rows
        ]
        return Lesson(tasks, [data.pictures(rows[0]) for rows in tasks] if shown else None)

    learn(model, processor, lesson, options, log=log)


def learn(
    model: Any, processor: Any, lesson: Callable[[int], Lesson], options: WarmUp, *, log: Log
) -> None:
    """Trains in place on the lesson of every step: AdamW, whose rate rises over 50 steps and falls
    to a tenth at the end."""
    import torch

    tokenizer = processor.tokenizer
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, betas=(0.9, 0.98))
    recent: list[float] = []
    model.train()
    for step in range(options.steps):
        factor = min(1.0, (step + 1) / 50) * (1 - 0.9 * step / options.steps)
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * factor
        current = lesson(step)
        inputs, labels = _packed([_questions(rows, tokenizer) for rows in current.tasks])
        if current.pictures is not None:
            inputs |= processor.image_processor(current.pictures)
        hidden = model.model(**inputs).last_hidden_state[:, :-1]
        learned = labels[:, 1:] != _NOT_LEARNED
        loss = torch.nn.functional.cross_entropy(
            model.lm_head(hidden[learned]), labels[:, 1:][learned]
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        recent.append(loss.item())
        if (step + 1) % 50 == 0:
            log(f"warm-up {step + 1}/{options.steps}: loss {sum(recent) / len(recent):.3f}")
            recent = []


def judged(model: Any, processor: Any, lesson: Lesson) -> Iterator[tuple[str, bool]]:
    """Family of each question, and whether the model finds its answer likeliest behind the words
    that open an answer."""
    model.eval()
    scenes = [_questions(rows, processor.tokenizer) for rows in lesson.tasks]
    inputs, labels = _packed(scenes)
    if lesson.pictures is not None:
        inputs |= processor.image_processor(lesson.pictures)
    likeliest = model(**inputs).logits[:, :-1].argmax(dim=-1)
    is_right = likeliest == labels[:, 1:]
    for number, (rows, scene) in enumerate(zip(lesson.tasks, scenes, strict=True)):
        for task, row in enumerate(rows, start=1):
            learned = [
                place
                for place, (question, label) in enumerate(
                    zip(scene.question, scene.labels, strict=True)
                )
                if question == task and label != _NOT_LEARNED
            ]
            yield row["category"], bool(is_right[number, learned[_OPENING] - 1])


@dataclass
class _Scene:
    """One prompt and its questions, one after the other: (L,) each."""

    tokens: list[int]
    labels: list[int]
    """The tokens to learn, elsewhere _NOT_LEARNED."""
    question: list[int]
    """From 1; 0: what all of them share."""
    place: list[int]
    """As if the question stood there alone."""


def _questions(rows: list[Row], tokenizer: Any) -> _Scene:
    shared = [part for part in _parts(rows[0]) if part["role"] not in _OWN]
    picture = "<image>" * N_PATCHES
    text = "\n".join(picture if part["type"] == "image" else part["text"] for part in shared)
    tokens = tokenizer(text)["input_ids"] if text else []
    n, first = len(tokens), rows[0].get("picture_place", 0) * (1 + N_PATCHES)
    scene = _Scene(tokens, [_NOT_LEARNED] * n, [0] * n, list(range(first, first + n)))
    for number, row in enumerate(rows, start=1):
        own = "\n".join(part["text"] for part in _parts(row) if part["role"] in _OWN)
        question = tokenizer(own)["input_ids"]
        answer = [*tokenizer(completion(row))["input_ids"], tokenizer.eos_token_id]
        scene.tokens += question + answer
        scene.labels += [_NOT_LEARNED] * len(question) + answer
        scene.question += [number] * len(question + answer)
        scene.place += range(first + n, first + n + len(question + answer))
    return scene


def _parts(row: Row) -> list[Row]:
    parts: list[Row] = row["prompt"][0]["content"]
    return parts


_OPENING = 3
"""Words before an answer's own: <think> </think> <answer>."""
_OWN = ("geometry", "question")
"""Parts that are not those of the other questions of a scene."""


def _packed(scenes: list[_Scene]) -> tuple[dict[str, Any], Any]:
    """(inputs, labels (B, L)): a question sees what is shared and itself, and no other question."""
    import torch

    length = max(len(scene.tokens) for scene in scenes)

    def padded(lists: list[list[int]], value: int) -> Any:
        return torch.tensor([values + [value] * (length - len(values)) for values in lists])

    question = padded([scene.question for scene in scenes], -1)
    seen = (question[:, None, :] == 0) | (question[:, None, :] == question[:, :, None])
    seen &= torch.ones(length, length).tril().bool()
    hidden = torch.where(seen, 0.0, torch.finfo(torch.float32).min)[:, None]
    inputs = {
        "input_ids": padded([scene.tokens for scene in scenes], 0),
        "attention_mask": hidden,
        "position_ids": padded([scene.place for scene in scenes], 0),
    }
    return inputs, padded([scene.labels for scene in scenes], _NOT_LEARNED)


_NOT_LEARNED = -100
