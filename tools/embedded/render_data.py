"""Pictures to train on, rendered from training seeds into many small files that appear whole.

Two kinds of file. `stills-*.npz` hold one picture of each of many scenes: the widest variety for
the price. `clips-*.npz` hold one simulated motion under several looks (other colours, textures,
lamps and cameras), eight frames each: the motion is what costs. Trainers read whatever is there and
look again now and then, so they may start while this still runs.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from massannot.scenes.render import render
from massannot.scenes.shapes import SHAPE_NAMES
from massannot.scenes.textures import draw_skin
from massannot.scenes.world import (
    COLOURS,
    TRAINING_SEEDS,
    VALIDATION_SEEDS,
    Scene,
    SceneOptions,
    make_scene,
    refuse_held_out,
)

FRAMES_PER_CLIP = 8
STRIDES = (1, 2, 3, 4, 6)
LOOKS = 3
STILLS_PER_FILE = 24
MOST_BODIES = 6

_COLOUR_NAMES = [name for name, _ in COLOURS]


@dataclass(frozen=True)
class Shots:
    """F pictures of S scenes as arrays: what a file holds."""

    rgb: np.ndarray
    """(S, F, H, W, 3) uint8."""
    depth_m: np.ndarray
    """(S, F, H, W) float16, along z."""
    ids: np.ndarray
    """(S, F, H, W) uint8, 0 the room, i + 1 body i."""
    names: np.ndarray
    """(S, MOST_BODIES, 2) int8 indices of colour and shape, -1 where there is no body."""
    focal_px: np.ndarray
    """(S,) float32."""

    def save(self, path: Path) -> None:
        """Whole or not at all."""
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **self.__dict__)
        part.rename(path)

    @classmethod
    def load(cls, path: Path) -> Shots:
        with np.load(path) as arrays:
            return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})


def stills(seeds: Iterator[int], count: int) -> Shots:
    """The first picture of `count` scenes."""
    options = SceneOptions(n_frames=1)
    return _shots([(make_scene(next(seeds), options), (0,)) for _ in range(count)])


def clips(seeds: Iterator[int]) -> Shots:
    """One motion under LOOKS looks, FRAMES_PER_CLIP frames each, at one stride per look."""
    scene = make_scene(next(seeds))
    taken = []
    for look in range(LOOKS):
        shown = scene if look == 0 else restyled(scene, next(seeds))
        rng = np.random.default_rng([shown.seed, 11])
        stride = int(rng.choice(STRIDES))
        first = int(rng.integers(0, scene.n_frames - (FRAMES_PER_CLIP - 1) * stride))
        taken.append((shown, tuple(first + stride * k for k in range(FRAMES_PER_CLIP))))
    return _shots(taken)


def restyled(scene: Scene, seed: int) -> Scene:
    """The same motion with everything that can be seen drawn again from `seed`."""
    donor = make_scene(seed, SceneOptions(n_frames=1))
    rng = np.random.default_rng([seed, 12])
    entities, used = [], set()
    for entity in scene.entities:
        shape = entity.shape_name
        colour = int(rng.choice([c for c in range(len(COLOURS)) if (c, shape) not in used]))
        used.add((colour, shape))
        name, rgb = COLOURS[colour]
        entities.append(replace(entity, colour=name, skin=draw_skin(rng, rgb)))
    period_s = donor.camera.period_s
    if donor.camera.move != "handheld":  # the donor's clip was one frame long
        period_s = scene.n_frames / scene.options.fps
    room = replace(
        scene.room, floor=donor.room.floor, walls=donor.room.walls, ceiling=donor.room.ceiling
    )
    return replace(
        scene, seed=seed, room=room, ambient=donor.ambient, exposure=donor.exposure,
        noise_level=donor.noise_level, camera=replace(donor.camera, period_s=period_s),
        entities=tuple(entities),
    )  # fmt: skip


def seeds_of_worker(worker: int, start: int) -> Iterator[int]:
    """Training seeds that no other worker draws. Raises ValueError at a held-out one."""
    seed = TRAINING_SEEDS.start + start + worker * 10_000_000
    while True:
        refuse_held_out([seed])
        yield seed
        seed += 1


def validation_shots(count: int, frames: tuple[int, ...]) -> Shots:
    """Frames of the first `count` validation scenes."""
    return _shots([(make_scene(seed), frames) for seed in VALIDATION_SEEDS[:count]])


def _shots(taken: list[tuple[Scene, tuple[int, ...]]]) -> Shots:
    rgb, depth, ids, focal = [], [], [], []
    names = np.full((len(taken), MOST_BODIES, 2), -1, np.int8)
    for row, (scene, frames) in enumerate(taken):
        pictures = [render(scene, frame) for frame in frames]
        rgb.append(np.stack([p.rgb for p in pictures]))
        depth.append(np.stack([p.depth_m for p in pictures]).astype(np.float16))
        ids.append(np.stack([p.ids for p in pictures]))
        focal.append(scene.camera.lens.focal_px)
        for i, entity in enumerate(scene.entities):
            names[row, i] = (
                _COLOUR_NAMES.index(entity.colour),
                SHAPE_NAMES.index(entity.shape_name),
            )
    return Shots(np.stack(rgb), np.stack(depth), np.stack(ids), names, np.array(focal, np.float32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="skip so many seeds: another run's")
    parser.add_argument("--minutes", type=float, default=5, help="stop after this long")
    parser.add_argument("--validation", type=int, default=0, help="only that: so many scenes")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.validation:
        validation_shots(args.validation, tuple(range(0, 48, 6))).save(args.out / "validation.npz")
        return
    seeds = seeds_of_worker(args.worker, args.start)
    began, turn = time.monotonic(), 0
    while time.monotonic() - began < 60 * args.minutes:
        # One file of stills (24 pictures) for every file of clips (24 pictures of one motion).
        name = f"{args.worker:02d}-{args.start + turn:07d}.npz"
        if turn % 2:
            clips(seeds).save(args.out / f"clips-{name}")
        else:
            stills(seeds, STILLS_PER_FILE).save(args.out / f"stills-{name}")
        turn += 1
        if turn % 20 == 0:
            seconds = time.monotonic() - began
            print(f"worker {args.worker}: {turn} files, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
