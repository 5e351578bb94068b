"""Teach the tiny model to see: `train_tiny.py --data FILE.npz --validation FILE.npz -o DIR`.

Not part of the installed tool. Encoder, projector and language model learn together, from eyes that
`train_eyes.py` trained: to say what is where in each picture, and to answer which colour is there,
on which side a thing is and where it was first. A curriculum: one picture, in the place of any of
four; then four, half of the time in another order, about which the same question has another
answer. Half of all scenes are mirrored. Questions are balanced, so that no words tell an answer.

`--draw N` renders the scenes of N seeds first. Seeds come from TRAINING_SEEDS, far from those that
`make rft` asks about; the card holds what validation seeds measured.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from massannot.questions.prompts import TypedQuestion, build_prompt
from massannot.questions.scene_dataset import N_PICTURES, picture_frames
from massannot.questions.scene_families import FAMILIES, ask_of_answers
from massannot.questions.scene_story import OPTIONS, Story, stories
from massannot.questions.sight_questions import described
from massannot.rft.tgrpo import shuffled_order
from massannot.rft.tiny_model import save_seeing, tiny_model, tiny_processor
from massannot.rft.tiny_warm_up import DESCRIBE, Lesson, completion, describing, judged, learn
from massannot.rft.training_recipes import WarmUp
from massannot.rft.training_rows import Row
from massannot.scenes.render import render
from massannot.scenes.world import COLOUR_NAMES, VALIDATION_SEEDS

FIRST_SEED = 5_000_000
VIEWS = 2
TAUGHT = ("colour", "side", "order")
QUESTIONS = 6
"""Of a scene in a step."""
TIMES_S = tuple(frame / OPTIONS.fps for frame in picture_frames(OPTIONS.n_frames))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="pictures; drawn if absent")
    parser.add_argument("--validation", type=Path, required=True, help="the same, held out")
    parser.add_argument("--draw", type=int, default=1300, help="seeds to draw pictures of")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--one", type=int, default=700, help="steps with one picture")
    parser.add_argument("--steps", type=int, default=1500, help="steps with four pictures")
    parser.add_argument(
        "--scenes", type=int, default=8, help="in a step; sixteen times as many with one picture"
    )
    parser.add_argument("--lr", type=float, default=3e-3)
    args = parser.parse_args()
    if not args.data.exists():
        draw(range(FIRST_SEED, FIRST_SEED + args.draw), args.data)
    if not args.validation.exists():
        draw(VALIDATION_SEEDS, args.validation)
    shown, held_out = read(args.data), read(args.validation)
    processor = tiny_processor(words())
    model = tiny_model(processor, seeing=False)
    settings = {"one": args.one, "steps": args.steps, "scenes": args.scenes, "rate": args.lr}
    for steps, scenes, of in (
        (args.one, 16 * args.scenes, lesson_of_one),
        (args.steps, args.scenes, lesson_of_four),
    ):
        lesson = taught(shown, scenes=scenes, of=of)
        learn(
            model,
            processor,
            lesson,
            WarmUp(steps=steps, scenes=scenes, learning_rate=args.lr),
            log=lambda text: print(text, flush=True),
        )
        print(measured(model, processor, held_out), flush=True)
    card = {
        "trained_on": f"{len(shown)} clips of scenes of version 1, seeds from {FIRST_SEED}",
        **settings,
        "validation": measured(model, processor, held_out),
    }
    save_seeing(model, processor.tokenizer, args.output)
    (args.output / "card.json").write_text(json.dumps(card, indent=1) + "\n")


@dataclass(frozen=True, eq=False, kw_only=True)
class ShownScene(Story):
    """A scene as its pictures show it."""

    pictures: NDArray[np.uint8]
    """(F, H, W, 3)."""
    across: NDArray[np.float32]
    """(F, K) as `picture_x`, NaN for None."""

    def picture_x(self, frame: int, entity: int) -> float | None:
        x = float(self.across[frame, entity])
        return None if np.isnan(x) else x

    def in_order(self, order: tuple[int, ...]) -> ShownScene:
        return replace(self, pictures=self.pictures[[*order]], across=self.across[[*order]])

    def mirrored(self) -> ShownScene:
        return replace(self, pictures=self.pictures[:, :, ::-1], across=-self.across)


def draw(seeds: range, file: Path) -> None:
    """Write rgb (N,F,H,W,3), x (N,F,K) and colour (N,K), numbers of COLOUR_NAMES."""
    found: dict[str, list[Any]] = {"rgb": [], "x": [], "colour": []}
    frames = picture_frames(OPTIONS.n_frames)
    for story in stories(seeds, views=VIEWS):
        assert story.scene is not None
        found["rgb"].append([render(story.scene, frame).rgb for frame in frames])
        places = [[story.picture_x(f, k) for k in range(OPTIONS.n_bodies)] for f in frames]
        found["x"].append(np.array(places, np.float32))
        found["colour"].append([COLOUR_NAMES.index(colour) for colour in story.colours])
    np.savez_compressed(file, **{name: np.array(values) for name, values in found.items()})


def read(file: Path) -> list[ShownScene]:
    stored = np.load(file)
    every = zip(stored["rgb"], stored["x"], stored["colour"], strict=True)
    return [
        _shown(pictures, across, tuple(COLOUR_NAMES[c] for c in colours))
        for pictures, across, colours in every
    ]


def _shown(
    pictures: NDArray[np.uint8], across: NDArray[np.float32], colours: tuple[str, ...]
) -> ShownScene:
    return ShownScene(
        seed=0,
        view=0,
        names=("a thing", "a thing"),
        shapes=("thing", "thing"),
        centres_m=np.zeros((N_PICTURES, OPTIONS.n_bodies, 3)),
        t_s=np.array(TIMES_S),
        contacts=(),
        colours=colours,
        pictures=pictures,
        across=across,
    )


def taught(
    scenes_shown: list[ShownScene],
    *,
    scenes: int,
    of: Callable[[ShownScene, random.Random], list[Row]],
) -> Callable[[int], Lesson]:
    """The lesson of each step; every scene comes up before one comes again."""
    chance = random.Random(0)
    waiting: list[ShownScene] = []

    def lesson(step: int) -> Lesson:
        nonlocal waiting
        if len(waiting) < scenes:
            waiting = chance.sample(scenes_shown, len(scenes_shown))
        chosen, waiting = waiting[:scenes], waiting[scenes:]
        tasks = [of(s.mirrored() if chance.random() < 0.5 else s, chance) for s in chosen]
        return Lesson(tasks, [list(rows[0]["pictures"]) for rows in tasks])

    return lesson


def lesson_of_one(shown: ShownScene, chance: random.Random) -> list[Row]:
    """What is where in one of its pictures, which stands in the place of any of four. No question:
    their answers are of one bit, and a step has sixteen times the scenes without."""
    alone = shown.in_order((chance.randrange(N_PICTURES),) * N_PICTURES)
    return [_only(describing(_row(alone, "", "", "")), chance.randrange(N_PICTURES))]


def lesson_of_four(shown: ShownScene, chance: random.Random) -> list[Row]:
    """All of its pictures, half of the time in any order."""
    order = tuple(range(N_PICTURES))
    if chance.random() < 0.5:
        order = tuple(chance.sample(order, N_PICTURES))
    now = shown.in_order(order)
    return [*_asked(now, chance, families=TAUGHT), describing(_row(now, "", "", ""))]


def _asked(shown: ShownScene, chance: random.Random, *, families: tuple[str, ...]) -> list[Row]:
    """QUESTIONS of them, each family as often as another, and yes as often as no."""
    possible = {name: ask_of_answers(FAMILIES[name], shown) for name in families}
    asked = []
    for _ in range(QUESTIONS):
        some = [name for name in families if possible[name]]
        if some:
            name = chance.choice(some)
            answer = chance.choice(sorted({question.answer for question in possible[name]}))
            question = chance.choice([q for q in possible[name] if q.answer == answer])
            asked.append(_row(shown, question.text, question.answer, name, question.options))
    return asked


def _row(
    shown: ShownScene, text: str, answer: str, family: str, options: tuple[str, ...] = ()
) -> Row:
    """As `training_rows` makes it of a dataset."""
    question = TypedQuestion(
        question_id=f"{shown.seed}",
        text=text or DESCRIBE,
        problem_type=FAMILIES[family].kind if family else "yes_no",
        options=options,
    )
    frames = tuple(zip(range(N_PICTURES), TIMES_S, strict=True))
    return {
        "prompt": build_prompt(question, frames=frames).messages,
        "solution": answer,
        "category": family,
        "described": described(shown, range(N_PICTURES)),
        "pictures": shown.pictures,
    }


def _only(row: Row, place: int) -> Row:
    """The same with one picture, in its place among four."""
    (message,) = row["prompt"]
    *shared, question = message["content"]
    content = [*shared[2 * place : 2 * place + 2], question]
    said = row["described"].split()
    each = len(said) // N_PICTURES
    return {
        **row,
        "prompt": [{**message, "content": content}],
        "described": " ".join(said[:each]),
        "pictures": row["pictures"][:1],
        "picture_place": place,
    }


def words() -> list[str]:
    """All texts of these lessons."""
    texts = [DESCRIBE]
    blank = np.zeros((N_PICTURES, OPTIONS.height, OPTIONS.width, 3), np.uint8)
    for colour, other in zip(COLOUR_NAMES, reversed(COLOUR_NAMES), strict=True):
        to_the_right = np.linspace(-0.5, 0.5, N_PICTURES, dtype=np.float32)
        across = np.stack([to_the_right, -to_the_right], axis=1)
        shown = _shown(blank, across, (colour, other))
        for name in TAUGHT:
            for asked in ask_of_answers(FAMILIES[name], shown):
                row = _row(shown, asked.text, asked.answer, name, asked.options)
                texts += [part.get("text", "") for part in row["prompt"][0]["content"]]
                texts.append(completion(row))
    return texts


@torch.no_grad()
def measured(model: Any, processor: Any, held_out: list[ShownScene]) -> dict[str, dict[str, float]]:
    """Percent right of each family's questions, with frames in order and shuffled, and their
    number. Of the colours that are not there two are asked, as many as are."""
    found: dict[str, dict[str, float]] = {}
    for condition in ("in order", "shuffled"):
        right: dict[str, list[bool]] = {name: [] for name in TAUGHT}
        for start in range(0, len(held_out), BATCH):
            tasks, pictures = [], []
            for number, shown in enumerate(held_out[start : start + BATCH], start=start):
                order = shuffled_order(N_PICTURES, seed=number)
                rows = questions_about(shown, random.Random(number))
                if rows:
                    tasks.append(rows)
                    now = shown.in_order(order) if order and condition == "shuffled" else shown
                    pictures.append(list(now.pictures))
            for family, is_right in judged(model, processor, Lesson(tasks, pictures)):
                right[family].append(is_right)
        for name, answers in right.items():
            found.setdefault(name, {"questions": len(answers)})
            found[name][condition] = round(100 * float(np.mean(answers)), 1)
    return found


def questions_about(shown: ShownScene, chance: random.Random) -> list[Row]:
    rows = []
    for name in TAUGHT:
        asked = ask_of_answers(FAMILIES[name], shown)
        if name == "colour":
            absent = [question for question in asked if question.answer == "no"]
            there = [question for question in asked if question.answer == "yes"]
            asked = there + chance.sample(absent, len(there))
        rows += [_row(shown, q.text, q.answer, name, q.options) for q in asked]
    return rows


BATCH = 32
