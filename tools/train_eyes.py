"""Train the tiny model's picture encoder on scenes: `train_eyes.py --data FILE.npz -o DIR`.

Not part of the installed tool. Each patch of a thumbnail is asked for the share of each colour and
each shape among its pixels, from the renderer's own id pictures; of the two linear heads that of
colours is kept, for the model's projector. `--draw N` renders the scenes of N seeds first. Seeds
come from TRAINING_SEEDS, far from those that `make rft` asks about; the card holds what validation
seeds measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from massannot.questions.scene_dataset import picture_frames
from massannot.questions.scene_story import OPTIONS, stories
from massannot.rft.tiny_model import PATCH_PX, TinySize, picture_encoder, pixel_values, save_eyes
from massannot.scenes.render import render
from massannot.scenes.shapes import SHAPE_NAMES
from massannot.scenes.world import COLOUR_NAMES, VALIDATION_SEEDS

FIRST_SEED = 5_000_000
VIEWS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="pictures; drawn if absent")
    parser.add_argument("--validation", type=Path, required=True, help="the same, held out")
    parser.add_argument("--draw", type=int, default=1500, help="seeds to draw pictures of")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    args = parser.parse_args()
    if not args.data.exists():
        draw(range(FIRST_SEED, FIRST_SEED + args.draw), args.data)
    if not args.validation.exists():
        draw(VALIDATION_SEEDS, args.validation)
    torch.manual_seed(0)
    eyes = picture_encoder(TinySize())
    heads = torch.nn.Linear(eyes.config.hidden_size, N_COLOURS + N_SHAPES)
    pictures, shares = read(args.data)
    held_out = read(args.validation)
    weights = [*eyes.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=args.lr, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, args.lr, total_steps=args.steps, pct_start=0.05
    )
    chance = np.random.default_rng(0)
    for step in range(args.steps):
        chosen = chance.choice(len(pictures), args.batch, replace=False)
        mirrored = chance.random() < 0.5
        loss = loss_of(eyes, heads, pictures[chosen], shares[chosen], mirrored=mirrored)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 500 == 0:
            print(step + 1, round(loss.item(), 4), measured(eyes, heads, *held_out), flush=True)
    card = {
        "trained_on": f"{len(pictures)} thumbnails of scenes of version 1",
        "steps": args.steps,
        "batch": args.batch,
        "learning_rate": args.lr,
        "validation": measured(eyes, heads, *held_out),
    }
    colours = torch.nn.Linear(eyes.config.hidden_size, len(COLOUR_NAMES))
    with torch.no_grad():
        colours.weight.copy_(heads.weight[: len(COLOUR_NAMES)])
        colours.bias.copy_(heads.bias[: len(COLOUR_NAMES)])
    save_eyes(eyes, colours, args.output)
    (args.output / "card.json").write_text(json.dumps(card, indent=1) + "\n")


N_COLOURS, N_SHAPES = len(COLOUR_NAMES) + 1, len(SHAPE_NAMES) + 1  # the last is the room


def draw(seeds: range, file: Path) -> None:
    """Write rgb (N,H,W,3), ids (N,H,W), and (N,K) names of colours and shapes."""
    found: dict[str, list[object]] = {"rgb": [], "ids": [], "colour": [], "shape": []}
    for story in stories(seeds, views=VIEWS):
        assert story.scene is not None
        for frame in picture_frames(OPTIONS.n_frames):
            picture = render(story.scene, frame)
            found["rgb"].append(picture.rgb)
            found["ids"].append(picture.ids)
            found["colour"].append(story.colours)
            found["shape"].append(story.shapes)
    np.savez_compressed(file, **{name: np.array(values) for name, values in found.items()})


def read(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """(pictures (N,H,W,3), (N, patches, N_COLOURS + N_SHAPES) shares of their pixels)."""
    stored = np.load(file)
    ids = stored["ids"]
    n, height, width = ids.shape
    shares = [_shares(ids, _numbers(stored["colour"], COLOUR_NAMES), N_COLOURS)]
    shares += [_shares(ids, _numbers(stored["shape"], SHAPE_NAMES), N_SHAPES)]
    blocks = np.concatenate(shares, axis=-1).reshape(
        n, height // PATCH_PX, PATCH_PX, width // PATCH_PX, PATCH_PX, -1
    )
    patches = blocks.mean(axis=(2, 4), dtype=np.float32)
    return stored["rgb"], patches.reshape(n, -1, patches.shape[-1])


def _numbers(names: np.ndarray, known: tuple[str, ...]) -> np.ndarray:
    """(N, K + 1) numbers of the room, then of each body."""
    numbers = np.array([[known.index(name) for name in row] for row in names])
    return np.concatenate([np.full((len(numbers), 1), len(known)), numbers], axis=1)


def _shares(ids: np.ndarray, numbers: np.ndarray, n: int) -> np.ndarray:
    """(N,H,W,n) of 0 and 1."""
    kind = np.take_along_axis(numbers, ids.reshape(len(ids), -1), axis=1).reshape(ids.shape)
    return np.asarray(kind[..., None] == np.arange(n))


def loss_of(
    eyes: torch.nn.Module,
    heads: torch.nn.Module,
    pictures: np.ndarray,
    shares: np.ndarray,
    *,
    mirrored: bool,
) -> torch.Tensor:
    """Cross-entropy of both heads; `mirrored`: left and right change sides."""
    wanted = torch.from_numpy(shares)
    if mirrored:
        side = OPTIONS.width // PATCH_PX
        pictures = pictures[:, :, ::-1]
        wanted = wanted.view(len(wanted), side, side, -1).flip(2).flatten(1, 2)
    colours, shapes = predicted(eyes, heads, pictures)
    wanted_colours, wanted_shapes = wanted.split([N_COLOURS, N_SHAPES], dim=-1)
    return (
        -(wanted_colours * colours.log_softmax(-1)).sum(-1).mean()
        - (wanted_shapes * shapes.log_softmax(-1)).sum(-1).mean()
    )


def predicted(
    eyes: torch.nn.Module, heads: torch.nn.Module, pictures: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (N, patches, N_COLOURS) and (N, patches, N_SHAPES)."""
    tokens = eyes(pixel_values(pictures)).last_hidden_state[:, 1:]
    colours, shapes = heads(tokens).split([N_COLOURS, N_SHAPES], dim=-1)
    return colours, shapes


@torch.no_grad()
def measured(
    eyes: torch.nn.Module, heads: torch.nn.Module, pictures: np.ndarray, shares: np.ndarray
) -> dict[str, float]:
    """Of patches mostly covered by one body: how often its colour and its shape are named, where
    the room may not be; beside them the share of the commonest."""
    colours, shapes = predicted(eyes, heads, pictures)
    found = {}
    for name, logits, wanted in (
        ("colour", colours, torch.from_numpy(shares[..., :N_COLOURS])),
        ("shape", shapes, torch.from_numpy(shares[..., N_COLOURS:])),
    ):
        most, which = wanted[..., :-1].max(dim=-1)
        of_body = most > 0.5
        right = logits[..., :-1].argmax(-1)[of_body] == which[of_body]
        found[name] = round(right.float().mean().item(), 3)
        commonest = which[of_body].bincount().max() / of_body.sum()
        found[f"{name}_commonest"] = round(commonest.item(), 3)
    return found


if __name__ == "__main__":
    main()
