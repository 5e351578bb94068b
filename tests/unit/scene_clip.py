"""A rendered scene as the Clip and Frames that stages and models get, without a film between."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from massannot import tables
from massannot.clip import Clip, Frames, Phrase, Video
from massannot.scenes.render import render
from massannot.scenes.scene_record import SceneRecord
from massannot.scenes.world import SCENE_VERSION, Scene

VIDEO_ID = "5ce9e0" + "0" * 26


def scene_frames(
    scene: Scene, *, first: int = 0, step: int = 1, size: tuple[int, int] | None = None
) -> Frames:
    """Every `step`-th picture from `first` on; `size` (width, height) if it is another one."""
    at = range(first, scene.n_frames, step)
    width, height = scene.options.width, scene.options.height
    pixels = np.stack([render(scene, k).rgb for k in at])
    if size is not None:
        rows = (np.arange(size[1]) + 0.5) * height // size[1]
        columns = (np.arange(size[0]) + 0.5) * width // size[0]
        pixels = pixels[:, rows.astype(int)][:, :, columns.astype(int)]
    return Frames(
        pixels,
        VIDEO_ID,
        "scene",
        np.array([512 * k for k in at]),
        np.array([k / scene.options.fps for k in at]),
        Fraction(1, 512 * scene.options.fps),
        width,
        height,
    )


def scene_clip(scene: Scene, frames: Frames | None = None) -> Clip:
    """The clip with the tables `clips`, `videos` and `frames` that reading a film gives."""
    frames = frames or scene_frames(scene)
    video = Video(
        uri="videos/scene.mp4",
        video_id=VIDEO_ID,
        source_id=None,
        size_bytes=1000,
        container="mp4",
        codec="h264",
        pixel_format="yuv420p",
        width=frames.source_width,
        height=frames.source_height,
        rotation=0,
        sample_aspect=Fraction(1),
        color_space="smpte170m",
        color_range="limited",
        time_base=frames.time_base,
        first_pts=0,
        duration_s=scene.n_frames / scene.options.fps,
        n_frames=scene.n_frames,
        variable_rate=False,
        damaged=False,
    )
    end_pts = int(frames.pts[-1]) + 512
    phrases = tuple(Phrase(text, "scene") for text in scene.phrases())
    clip = Clip("c" * 32, 0, video, int(frames.pts[0]), end_pts, "all", phrases, frames)
    rows: list[dict[str, Any]] = [
        {
            "clip_id": clip.clip_id,
            "frame": i,
            "pts": int(pts),
            "t_s": float(t_s),
            "keyframe": i == 0,
            "damaged": False,
        }
        for i, (pts, t_s) in enumerate(zip(frames.pts, frames.t_s, strict=True))
    ]
    return clip.with_table("frames", tables.spec("frames").from_rows(rows))


def write_record(scene: Scene, folder: Path) -> None:
    """The JSON by which oracles find the scene of `scene_frames`."""
    record = SceneRecord(
        scene.seed, scene.options, SCENE_VERSION, "videos/scene.mp4", VIDEO_ID, scene.describe()
    )
    (folder / "scenes").mkdir(parents=True, exist_ok=True)
    (folder / "scenes" / "scene.json").write_text(record.to_json())
