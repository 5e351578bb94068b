"""Tiny films whose every answer lies in files, as other tools would have written them: boxes of
three things that move and come closer or go away, depth with noise, tracks and one camera."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from massannot.dataset.reading import Dataset
from massannot.engine.settings import ExecutorSettings
from massannot.jobs import annotate as job
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.video.film_encoder import FilmWriter
from massannot.video.sampling import Sampling

F64 = NDArray[np.float64]
WIDTH, HEIGHT, T, FPS = 160, 96, 16, 10
NAMES = ("ball", "box", "cone")
HALF_M = 0.25
FOCAL = 150.0
NOISE = 0.002


def annotated_from_files(folder: Path, *, n_films: int, kind: str = "metric") -> Dataset:
    """`kind` of the depth; there is no calibration for such answers."""
    films, depths, tracks, cameras = (folder / n for n in ("films", "depth", "tracks", "cameras"))
    for each in (films, depths, tracks, cameras):
        each.mkdir(parents=True)
    lens = np.array([FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2])
    poses = np.broadcast_to(np.eye(4), (T, 4, 4))
    images, boxes = [], []
    for number in range(n_films):
        name, places = f"film-{number}", [_places(number, thing) for thing in range(len(NAMES))]
        _draw(films / f"{name}.mp4", places)
        np.savez(depths / f"{name}.npz", depth=_depth(number, places), fps=FPS, kind=kind)
        np.savez(tracks / f"{name}.npz", origin="corner", fps=FPS, **_tracks(places))
        np.savez(cameras / f"{name}.npz", K=lens, cam_from_world=poses, fps=FPS)
        for t in range(T):
            image = number * T + t
            images.append({"id": image, "file_name": f"{name}/{t:04d}.jpg", "width": WIDTH,
                           "height": HEIGHT, "frame_index": t, "t_s": t / FPS})  # fmt: skip
            for thing, place in enumerate(places):
                x0, x1, y0, y1 = _sides(place[t])
                box = [x0, y0, x1 - x0, y1 - y0]
                boxes.append({"id": len(boxes), "image_id": image, "category_id": thing,
                              "track_id": number * 8 + thing, "bbox": box})  # fmt: skip
    categories = [{"id": thing, "name": name} for thing, name in enumerate(NAMES)]
    labels = {"images": images, "annotations": boxes, "categories": categories}
    (folder / "boxes.json").write_text(json.dumps(labels))
    files = {
        "detect": str(folder / "boxes.json"),
        "masks": str(folder / "boxes.json"),
        "depth": str(depths),
        "tracks": str(tracks),
        "cameras": str(cameras),
    }
    done = job.annotate(
        str(films),
        prompts=NAMES,
        out=folder / "out",
        spec=run_spec(
            flags=ModelFlags(profile="none", files=files),  # type: ignore[arg-type]
            sampling=Sampling(fps=None),
        ),
        settings=ExecutorSettings(device="cpu", workers=0),
    )
    assert done.dataset is not None
    return done.dataset


def _places(number: int, thing: int) -> F64:
    """(T, 3) x, y in pixels and the distance, drawn from the numbers alone."""
    chance = np.random.default_rng([number, thing])
    t = np.linspace(0, 1, T)
    x = 30 + 48 * thing + chance.uniform(-12, 12) * t
    y = HEIGHT / 2 + chance.uniform(-25, 25) * t
    return np.stack([x, y, 4 + chance.uniform(-2, 2) * t], axis=1)


def _sides(place: F64) -> tuple[int, int, int, int]:
    """x0, x1, y0, y1 of a thing in whole pixels: smaller where it is farther away."""
    (x, y), half = place[:2], FOCAL * HALF_M / place[2]
    return round(x - half), round(x + half), round(y - half), round(y + half)


def _draw(path: Path, places: list[F64]) -> None:
    ground = np.random.default_rng(0).integers(90, 160, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    with FilmWriter(path, width=WIDTH, height=HEIGHT, fps=Fraction(FPS), crf=28) as film:
        for t in range(T):
            picture = ground.copy()
            for thing, place in enumerate(places):
                x0, x1, y0, y1 = _sides(place[t])
                picture[y0:y1, x0:x1] = 250 * (np.arange(3) == thing)
            film.write(picture)


def _depth(number: int, places: list[F64]) -> NDArray[np.float32]:
    depth = np.full((T, HEIGHT, WIDTH), 8.0)
    for place in places:
        for t in range(T):
            x0, x1, y0, y1 = _sides(place[t])
            depth[t, y0:y1, x0:x1] = place[t, 2]
    noise = np.random.default_rng(number).normal(0, NOISE, (T, 1, 1))
    return (depth * (1 + noise)).astype(np.float32)


def _tracks(places: list[F64]) -> dict[str, NDArray[np.generic]]:
    """Every second pixel of a thing, and of the ground beside."""
    own = np.stack(np.meshgrid(*[np.linspace(-0.8, 0.8, 7)] * 2), -1).reshape(-1, 2)
    still = np.stack(np.meshgrid(np.arange(4, WIDTH, 8), [6, HEIGHT - 6]), -1).reshape(-1, 2)
    half = FOCAL * HALF_M
    moving = [place[:, None, :2] + own * (half / place[:, 2])[:, None, None] for place in places]
    tracks = np.concatenate([*moving, np.broadcast_to(still, (T, *still.shape))], axis=1)
    return {"tracks": tracks.astype(np.float32), "visible": np.ones(tracks.shape[:2], bool)}
