"""How often a zoom and a rolling shutter are told on rendered films, and how often wrongly.

    python -m tools.measure_lens [--clips 12] [--first-seed 906000]

Scenes are rendered eight times as often as the film shows them. A rolling shutter takes each eighth
of a picture's rows from another moment; a zoom changes the lens from frame to frame. Corners are
found and followed as `annotate` does, depth is that of the scene.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from massannot.clip import Frames
from massannot.geometry.depth_sampling import sample_depth
from massannot.geometry.rolling_shutter import rolling_shutter
from massannot.geometry.zoom import zooms
from massannot.models.background_corners import BackgroundCorners
from massannot.scenes.camera_path import CameraMove
from massannot.scenes.render import render
from massannot.scenes.world import Scene, SceneOptions, make_scene

SIZE, FPS, N_FRAMES, STRIPS = (160, 128), 12, 24, 8


@dataclass(frozen=True)
class Film:
    """A kind of film."""

    name: str
    move: CameraMove
    shake: bool = False
    """A hand that shakes: ten centimetres, faster than a second."""
    readout: float = 0.0
    """Share of the frame interval between the first row and the last."""
    zoom: float = 1.0
    """The last frame's focal length, in the first one's."""


FILMS = (
    Film("still", "static"),
    Film("pan", "pan"),
    Film("dolly", "dolly"),
    Film("orbit", "orbit"),
    Film("shaken", "handheld", shake=True),
    Film("pan, readout 0.25", "pan", readout=0.25),
    Film("pan, readout 0.5", "pan", readout=0.5),
    Film("pan, readout 0.75", "pan", readout=0.75),
    Film("shaken, readout 0.5", "handheld", shake=True, readout=0.5),
    Film("still, zooms in by 1.3", "static", zoom=1.3),
    Film("still, zooms out by 1.3", "static", zoom=1 / 1.3),
    Film("pan, zooms in by 1.3", "pan", zoom=1.3),
)


def told(film: Film, seed: int) -> tuple[bool | None, bool | None]:
    """(zooms, rolling_shutter) as they are told of a film."""
    fine = SceneOptions(
        width=SIZE[0], height=SIZE[1], camera=film.move, fps=FPS * STRIPS,
        n_frames=N_FRAMES * STRIPS,
    )  # fmt: skip
    scene = make_scene(seed, fine)
    if film.shake:
        rng = np.random.default_rng(seed)
        sway = rng.choice([-1, 1], 3) * rng.uniform(0.06, 0.1, 3)
        scene = replace(scene, camera=replace(scene.camera, sway=sway, period_s=0.8))
    pictures, depths, ids = [], [], []
    for frame in range(N_FRAMES):
        factor = 1 + (film.zoom - 1) * frame / (N_FRAMES - 1)
        shown = _lens_times(scene, factor)
        strips = [
            render(shown, frame * STRIPS + int(film.readout * s)) for s in range(STRIPS)
        ] if film.readout else [render(shown, frame * STRIPS)] * STRIPS  # fmt: skip
        rows = np.array_split(np.arange(SIZE[1]), STRIPS)
        pictures.append(np.concatenate([p.rgb[r] for p, r in zip(strips, rows, strict=True)]))
        depths.append(np.concatenate([p.depth_m[r] for p, r in zip(strips, rows, strict=True)]))
        ids.append(np.concatenate([p.ids[r] for p, r in zip(strips, rows, strict=True)]))
    frames = Frames(
        np.stack(pictures), f"scene-{seed}", film.name, np.arange(N_FRAMES),
        np.arange(N_FRAMES) / FPS, Fraction(1, FPS), *SIZE,
    )  # fmt: skip
    tracks = BackgroundCorners().follow(frames, free=np.stack(ids) == 0)
    sampled = sample_depth(np.stack(depths), tracks.xy, picture_size=SIZE)
    lens = scene.camera.lens
    intrinsics = np.tile([lens.focal_px, lens.focal_px, lens.cx, lens.cy], (N_FRAMES, 1))
    z = np.where(sampled.reliable, sampled.z, np.nan)
    return (
        zooms(tracks.xy, tracks.visible, z, intrinsics=intrinsics),
        rolling_shutter(tracks.xy, tracks.visible, picture_size=SIZE, intrinsics=intrinsics),
    )


def _lens_times(scene: Scene, factor: float) -> Scene:
    camera = scene.camera
    lens = replace(camera.lens, focal_px=camera.lens.focal_px * factor)
    return replace(scene, camera=replace(camera, lens=lens))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--first-seed", type=int, default=906000)
    asked = parser.parse_args()
    words = {True: "yes", False: "no", None: "not told"}
    print(f"of {asked.clips} clips | zooms: yes, no, not told | rolling shutter: the same")
    for film in FILMS:
        said = [told(film, asked.first_seed + k) for k in range(asked.clips)]
        columns = [Counter(words[each[k]] for each in said) for k in range(2)]
        cells = [", ".join(str(c[word]) for word in words.values()) for c in columns]
        print(f"| {film.name} | {cells[0]} | {cells[1]} |", flush=True)


if __name__ == "__main__":
    main()
