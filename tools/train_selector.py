"""Teach the tiny model's selector to read points: `train_selector.py --data FILE.npz --validation
FILE.npz -o DIR`.

Not part of the installed tool. A question of arithmetic follows from a few numbers in metres: where
a named thing is at the end, how far it gets in a segment. The selector learns to say these, one a
token, as the language model's embedding says numbers; which answer follows from them it is not
told. It learns the words too by which a question names a thing and the points do. Half of all clips
are mirrored, in half the two things change places, and each gets the name of any shape.

`--draw N` simulates the scenes of N seeds first. Seeds come from TRAINING_SEEDS, far from those
that `make geometry` asks about; the card holds what validation seeds measured.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from dataclasses import replace
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from massannot.questions.prompts import TypedQuestion, build_prompt
from massannot.questions.scene_story import OPTIONS, stories
from massannot.rft.geometry_selector import GeometrySelector, SelectorOptions
from massannot.rft.geometry_tokens import BankEntry, ClipGeometry
from massannot.rft.tiny_model import (
    SPREAD,
    number_embeddings,
    save_selector,
    tiny_model,
    tiny_processor,
)
from massannot.rft.training_recipes import TINY
from massannot.scenes.shapes import SHAPE_NAMES
from massannot.scenes.world import VALIDATION_SEEDS, make_scene
from tools import train_tiny
from tools.draw_points import Clip, draw, mixed, read

FIRST_SEED = 6_000_000
VIEWS = 12
JUDGED = VALIDATION_SEEDS[:60]
THINNED = 64
"""Points of a clip in a lesson."""
VALUE = 21
"""Of a number's embedding, the dimension that is proportional to it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="points; drawn if absent")
    parser.add_argument("--validation", type=Path, required=True, help="the same, held out")
    parser.add_argument("--draw", type=int, default=240, help="seeds to simulate scenes of")
    parser.add_argument("--clips", type=int, default=12_000, help="to draw, of those motions")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=96, help="questions in a step")
    parser.add_argument("--lr", type=float, default=2e-3)
    args = parser.parse_args()
    if not args.data.exists():
        scenes = [make_scene(FIRST_SEED + number, OPTIONS) for number in range(args.draw)]
        draw(mixed(scenes, count=args.clips), args.data)
    if not args.validation.exists():
        every = (story.scene for story in stories(JUDGED, views=VIEWS))
        draw((scene for scene in every if scene is not None), args.validation)
    clips, held_out = read(args.data), read(args.validation)
    tokenizer = tiny_processor(words()).tokenizer
    selector, table = untaught()
    learn(selector, table, clips, tokenizer, args=args, held_out=held_out)
    card = {
        "trained_on": f"{len(clips)} clips of scenes of version 1, seeds from {FIRST_SEED}",
        **{name: getattr(args, name) for name in ("steps", "batch", "lr")},
        "validation": measured(selector, table, held_out, tokenizer),
    }
    save_selector(selector, table, tokenizer, new_words(tokenizer), args.output)
    (args.output / "card.json").write_text(json.dumps(card, indent=1) + "\n")


def untaught() -> tuple[GeometrySelector, torch.Tensor]:
    """A selector as `tiny` has it, and the table of words of the model that sees."""
    torch.manual_seed(0)
    table = tiny_model(tiny_processor(words())).get_input_embeddings().weight
    options = SelectorOptions(
        n_tokens=TINY.geometry.selected,
        width=TINY.geometry.width,
        layers=1,
        model_width=table.shape[1],
        size=SPREAD,
    )
    selector = GeometrySelector(options)
    with torch.no_grad():
        begin(selector, table)
    return selector, table


def begin(selector: GeometrySelector, table: torch.Tensor) -> None:
    """A thing's name is one vector wherever it stands, beside one for the letter of its option, and
    what attends looks for what is like itself, so that a query that has read a name finds the
    points of that name."""
    tokenizer = tiny_processor(words()).tokenizer
    shapes = {shape: SPREAD * torch.randn(table.shape[1]) for shape in SHAPE_NAMES}
    letters = {letter: SPREAD * torch.randn(table.shape[1]) for letter in "AB"}
    for shape, of_shape in shapes.items():
        table[tokenizer.convert_tokens_to_ids(f"a {shape}")] = of_shape
        for letter, of_letter in letters.items():
            word = tokenizer.convert_tokens_to_ids(f"{letter}. the {shape}")
            table[word] = of_shape + of_letter
    for linear in (selector.names, selector.words):
        torch.nn.init.eye_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    for former in (selector.condenser, selector.relevant):
        for layer in former.layers:
            attention = layer.multihead_attn
            attention.in_proj_weight.copy_(torch.eye(selector.options.width).repeat(3, 1))
            torch.nn.init.eye_(attention.out_proj.weight)


def new_words(tokenizer: Any) -> list[str]:
    """Those that the model that sees was not taught."""
    known = tiny_processor(train_tiny.words()).tokenizer.get_vocab()
    return sorted(set(tokenizer.get_vocab()) - set(known))


def learn(
    selector: GeometrySelector,
    table: torch.Tensor,
    clips: list[Clip],
    tokenizer: Any,
    *,
    args: argparse.Namespace,
    held_out: list[Clip],
) -> None:
    """Trains in place the selector and the embeddings of words that are new."""
    new = torch.tensor(tokenizer.convert_tokens_to_ids(new_words(tokenizer)))
    is_new = torch.zeros(len(table), 1).index_fill_(0, new, 1.0)
    chance, weights = random.Random(0), [*selector.parameters(), table]
    optimizer = torch.optim.AdamW(weights, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, args.lr, total_steps=args.steps, pct_start=0.05
    )
    recent: list[float] = []
    for step in range(args.steps):
        entries, numbers = lesson(chance.choices(clips, k=args.batch), chance, tokenizer)
        loss = loss_of(selector, table, entries, numbers)
        optimizer.zero_grad()
        loss.backward()
        assert table.grad is not None
        table.grad *= is_new
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        recent.append(loss.item())
        if (step + 1) % 100 == 0:
            print(f"{step + 1}/{args.steps}: loss {np.mean(recent):.4f}", flush=True)
            recent = []
        if (step + 1) % 500 == 0:
            print(measured(selector, table, held_out, tokenizer), flush=True)


Numbers = list[tuple[float, ...]]


def lesson(
    clips: list[Clip], chance: random.Random, tokenizer: Any
) -> tuple[list[BankEntry], Numbers]:
    """One question of each clip that has any, and the numbers that it needs."""
    entries, numbers = [], []
    for clip in clips:
        now = clip.mirrored if chance.random() < 0.5 else clip
        now = now.exchanged if chance.random() < 0.5 else now
        if now.lessons:
            text, needed = chance.choice(now.lessons)
            whole = entry_of(now, text, chance.sample(SHAPE_NAMES, 2), tokenizer)
            entries.append(replace(whole, geometry=thinned(whole.geometry, chance)))
            numbers.append(needed)
    return entries, numbers


def entry_of(clip: Clip, text: str, shapes: list[str], tokenizer: Any) -> BankEntry:
    return BankEntry(
        geometry=clip.geometry,
        names=tuple(_ids(f"a {shape}", tokenizer) for shape in shapes),
        question=_ids(_asked(text, shapes), tokenizer),
    )


def thinned(geometry: ClipGeometry, chance: random.Random) -> ClipGeometry:
    """THINNED of its points, and those on things first: most are the room's, and take time."""
    on_thing, others = (np.flatnonzero((geometry.thing > 0) == on).tolist() for on in (True, False))
    chosen = chance.sample(on_thing, min(len(on_thing), THINNED))
    chosen += chance.sample(others, THINNED - len(chosen))
    return replace(
        geometry,
        features=geometry.features[chosen],
        valid=geometry.valid[chosen],
        thing=geometry.thing[chosen],
        grid=(1, 1, THINNED),
    )


def _asked(text: str, shapes: list[str]) -> str:
    """As a prompt has it."""
    question = TypedQuestion(
        question_id="",
        text=text,
        problem_type="multiple_choice",
        options=tuple(f"the {shape}" for shape in shapes),
    )
    return str(build_prompt(question, frames=()).messages[0]["content"][-1]["text"])


@cache
def _ids(text: str, tokenizer: Any) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def loss_of(
    selector: GeometrySelector, table: torch.Tensor, entries: list[BankEntry], numbers: Numbers
) -> torch.Tensor:
    """Mean square of what a token says otherwise than the number's embedding, in its own size;
    tokens beyond the numbers say nothing."""
    size, n_tokens = selector.options.size, selector.options.n_tokens
    there = torch.tensor([[k < len(each) for k in range(n_tokens)] for each in numbers])
    values = torch.tensor([[*each, *[0.0] * (n_tokens - len(each))] for each in numbers])
    wanted = number_embeddings(values, table.shape[1]) * there[..., None]
    tokens = selector(entries, table, words_learn=True)
    squares = ((tokens - wanted) / size) ** 2
    return squares.mean(dim=-1)[there].mean() + 0.1 * squares[~there].mean()


def words() -> list[str]:
    """All texts of these lessons."""
    texts = ["In video segment 1, which is faster?", "In video segment 2, which is faster?"]
    texts += [
        "At the end, which is nearer to the camera?",
        "At the end, which is farther to the right?",
    ]
    pairs = [list(pair) for pair in permutations(SHAPE_NAMES, 2)]
    return [f"a {shape}" for shape in SHAPE_NAMES] + [
        _asked(text, pair) for text in texts for pair in pairs
    ]


@torch.no_grad()
def measured(
    selector: GeometrySelector, table: torch.Tensor, held_out: list[Clip], tokenizer: Any
) -> dict[str, dict[str, float]]:
    """Of each wording: the number of questions; root mean square of a number's error, in metres,
    and that of the numbers about their mean; and percent right of a program that compares what the
    tokens say."""
    chance, found = random.Random(0), {}
    asked = [(clip, text, numbers) for clip in held_out for text, numbers in clip.lessons]
    said: dict[str, list[Any]] = {}
    for start in range(0, len(asked), 128):
        some = asked[start : start + 128]
        entries = [
            entry_of(clip, text, chance.sample(SHAPE_NAMES, 2), tokenizer) for clip, text, _ in some
        ]
        tokens = selector(entries, table)
        values = 3 * tokens[:, :, VALUE] / selector.options.size
        for (_, text, needed), value in zip(some, values, strict=True):
            said.setdefault(text, []).append((needed, value[: len(needed)].tolist()))
    for text, pairs in said.items():
        true, read_ = (np.array(each) for each in zip(*pairs, strict=True))
        found[text] = {
            "questions": len(pairs),
            "error_m": round(float(np.sqrt(((true - read_) ** 2).mean())), 3),
            "spread_m": round(float(np.sqrt(((true - true.mean(0)) ** 2).mean())), 3),
            "right": round(100 * float(np.mean(_first(true) == _first(read_))), 1),
        }
    return found


def _first(numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N,) whether the first thing's are the longer."""
    half = numbers.shape[1] // 2
    one, other = numbers[:, :half], numbers[:, half:]
    if half == 1:
        return np.asarray(one[:, 0] > other[:, 0])
    return np.asarray(np.linalg.norm(one, axis=1) > np.linalg.norm(other, axis=1))


if __name__ == "__main__":
    main()
