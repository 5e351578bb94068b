"""Pictures for trainers: frames of a dataset's videos, decoded again and resized for one family.

Each video is decoded once for all of its questions. An image is a JPEG, a film an MP4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from massannot.dataset.frames_again import clips_again
from massannot.dataset.reading import Dataset
from massannot.questions.examples import Example
from massannot.questions.model_families import Size
from massannot.questions.question_view import Film, Shot
from massannot.questions.scene_dataset import SCHEME, scene_pictures
from massannot.questions.shown_video import ShownVideo
from massannot.video.film_encoder import FilmWriter

RGB = npt.NDArray[np.uint8]


def image_name(shot: Shot, shown: ShownVideo) -> str:
    return f"images/{shot.clip_id}{shown.picture_name}/{shot.frame:05d}.jpg"


def film_name(film: Film, shown: ShownVideo) -> str:
    more = f"-{len(film.clip_ids)}" if len(film.clip_ids) > 1 else ""
    return f"videos/{film.clip_ids[0]}{more}{shown.name}.mp4"


def write_images(dataset: Dataset, examples: Sequence[Example], folder: Path) -> set[str]:
    """Write a file for every frame of the examples; returns the names of the files written."""
    wanted: dict[str, dict[str, tuple[Shot, Example]]] = {}
    for example in examples:
        for shot in example.shots:
            of_clip = wanted.setdefault(shot.clip_id, {})
            of_clip[image_name(shot, example.shown)] = (shot, example)
    written = set()
    frames_of = {
        clip_id: {shot.frame for shot, _ in of_clip.values()} for clip_id, of_clip in wanted.items()
    }
    for clip_id, pixels in pixels_of(dataset, frames_of):
        for name, (shot, example) in sorted(wanted[clip_id].items()):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # 4:4:4: small coloured things keep their colour
            _drawn(pixels, shot, example).save(path, quality=95, subsampling=0)
            written.add(name)
    return written


def write_films(dataset: Dataset, examples: Sequence[Example], folder: Path) -> set[str]:
    """Write a film for every span of the examples; returns the names of the films written."""
    films = {
        film_name(example.film, example.shown): (example.film, example)
        for example in examples
        if example.film is not None
    }
    by_clip: dict[str, list[str]] = {}
    for name, (film, _) in films.items():
        for clip_id in film.clip_ids:
            by_clip.setdefault(clip_id, []).append(name)
    frames_of: dict[str, set[int]] = {}
    for film, _ in films.values():
        for shot in film.shots:
            frames_of.setdefault(shot.clip_id, set()).add(shot.frame)
    left = {name: len(film.shots) for name, (film, _) in films.items()}
    open_films: dict[str, FilmWriter] = {}
    try:
        for clip_id, pixels in pixels_of(dataset, frames_of):
            for name in by_clip[clip_id]:
                film, example = films[name]
                if name not in open_films:
                    open_films[name] = _writer(folder / name, film, example.size)
                for shot in film.shots:
                    if shot.clip_id == clip_id:
                        open_films[name].write(np.asarray(_drawn(pixels, shot, example)))
                        left[name] -= 1
                if not left[name]:
                    open_films.pop(name).close()
    finally:
        for unfinished in open_films.values():  # a clip of the span is gone
            unfinished.discard()
    return {name for name in left if not left[name]}


def _writer(path: Path, film: Film, size: Size) -> FilmWriter:
    path.parent.mkdir(parents=True, exist_ok=True)
    return FilmWriter(path, width=size[0], height=size[1], fps=film.fps, crf=12)


def pixels_of(
    dataset: Dataset, frames_of: Mapping[str, set[int]]
) -> Iterator[tuple[str, Mapping[int, RGB]]]:
    """(clip id, (H, W, 3) uint8 RGB by frame), video by video, in order of time. Scenes, of which
    there is no film, are drawn again."""
    clips = dataset.table("clips").select(["clip_id", "uri"]).to_pylist()
    scenes = {row["clip_id"]: row["uri"] for row in clips if row["uri"].startswith(SCHEME)}
    for clip_id in sorted(set(scenes) & set(frames_of)):
        frames = sorted(frames_of[clip_id])
        drawn = scene_pictures(dataset.layout.out, clip_id, uri=scenes[clip_id], frames=frames)
        yield clip_id, dict(zip(frames, drawn, strict=True))
    films = set(frames_of) - set(scenes)
    if films:
        for clip in clips_again(dataset.layout, films):
            yield clip.clip_id, dict(enumerate(clip.frames.pixels_THWC))


def _drawn(pixels: Mapping[int, RGB], shot: Shot, example: Example) -> Image.Image:
    """The frame as the example shows it, at its size."""
    rgb = example.shown.picture(pixels[shot.frame], t_s=shot.t_s, source_width=example.source_width)
    return Image.fromarray(rgb).resize(example.size, Image.Resampling.BICUBIC)
