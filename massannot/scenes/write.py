"""Scenes as files: films to annotate, and a dataset of their truth.

    OUT/videos/scene-7.mp4      H.264, frame k at exactly k / fps
    OUT/scenes/scene-7.json     seed and options: enough to render the very same scene again
    OUT/videos/scene-7-gravity.mp4    its twin with `violate="gravity"`, likewise
    OUT/data/<table>/scene-7.parquet, OUT/README.md    the truth, in the annotator's own tables

The film is read back as the annotator will read it, so ids, times and key frames are those of the
file and not of an intention.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import pyarrow.parquet as pq

from massannot import tables
from massannot.clip import Clip, Video
from massannot.counts import counted
from massannot.dataset.card import card_text
from massannot.dataset.layout import Layout
from massannot.dataset.record import RunRecord, refuse_foreign_card, this_start
from massannot.errors import UsageError
from massannot.scenes.render import render
from massannot.scenes.scene_record import SceneRecord
from massannot.scenes.truth_tables import truth_tables
from massannot.scenes.world import SCENE_VERSION, Scene, SceneOptions, make_scene
from massannot.storage.parquet import write_parquet
from massannot.video.film_encoder import FilmWriter
from massannot.video.reader import VideoEnd, read_clips, release
from massannot.video.sampling import Sampling
from massannot.video.video_id import video_id, video_row

CRF = 12
"""H.264's quality: noise and texture survive, so that a film is as hard as its pictures."""
_LAST = "clips"  # a clip seen in the dataset is complete in every other table


def write_scenes(
    out: str | Path,
    *,
    seeds: Iterable[int],
    options: SceneOptions | None = None,
    progress: Callable[[SceneRecord], None] = lambda record: None,
) -> list[SceneRecord]:
    """Render the scenes of `seeds` into folder `out`, with their truth; `progress` after each. Of
    long scenes, which no single clip holds, the film and the record alone are written.

    A scene that is there already is written again, to the same bytes. Raises UsageError for odd
    sizes, which H.264 would pad, and for a clip longer than 256 frames or 20 s.
    """
    options = options or SceneOptions()
    _refuse_what_a_clip_cannot_hold(options)
    layout = Layout(Path(out))
    refuse_foreign_card(layout)
    records = []
    for seed in seeds:
        record = _write(layout, make_scene(seed, options))
        records.append(record)
        progress(record)
    if records and not options.long:
        _write_card(layout)
    return records


def _write(layout: Layout, scene: Scene) -> SceneRecord:
    name = f"scene-{scene.seed}" + (f"-{scene.options.violate}" if scene.options.violate else "")
    film = layout.out / "videos" / f"{name}.mp4"
    film.parent.mkdir(parents=True, exist_ok=True)
    lens, fps = scene.camera.lens, Fraction(scene.options.fps)
    with FilmWriter(film, width=lens.width, height=lens.height, fps=fps, crf=CRF) as writer:
        for frame in range(scene.n_frames):
            writer.write(render(scene, frame).rgb)
    if scene.options.long:
        with film.open("rb") as file:
            identity = video_id(file)
    else:
        clip, video = _read_back(film, scene)
        identity = video.video_id
        truth = {**truth_tables(scene, clip), "videos": video_row(video)}
        release(clip)
        for table in sorted(truth, key=lambda table: (table == _LAST, table)):
            path = layout.published(table, name)
            write_parquet(path, [truth[table]], spec=tables.spec(table))
    record = SceneRecord(
        seed=scene.seed,
        options=scene.options,
        version=SCENE_VERSION,
        video=film.relative_to(layout.out).as_posix(),
        video_id=identity,
        description=scene.describe(),
    )
    path = layout.out / "scenes" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record.to_json())
    return record


def _read_back(film: Path, scene: Scene) -> tuple[Clip, Video]:
    """The one clip of the film, all frames."""
    *clips, end = read_clips(str(film), sampling=Sampling(fps=None))
    if len(clips) != 1 or not isinstance(end, VideoEnd) or not isinstance(clips[0], Clip):
        raise RuntimeError(f"{film}: found {len(clips)} clips, expected the one just written")
    if len(clips[0]) != scene.n_frames:
        raise RuntimeError(f"{film}: found {len(clips[0])} frames, expected {scene.n_frames}")
    return clips[0], end.video


def _write_card(layout: Layout) -> None:
    rows = {
        folder.name: sum(pq.read_metadata(path).num_rows for path in folder.glob("*.parquet"))
        for folder in sorted(layout.data.iterdir())
    }
    record = RunRecord(
        spec={"sampling": {"fps": None}},
        recipe={"recipe": "scenes render"},
        notes=(f"Exact truth of rendered scenes, version {SCENE_VERSION}; nothing was estimated.",),
        starts=(this_start(),),
    )
    layout.card.write_text(card_text(rows, record=record, license="apache-2.0"))


def _refuse_what_a_clip_cannot_hold(options: SceneOptions) -> None:
    if options.width % 2 or options.height % 2:
        raise UsageError(
            f"scenes: found {options.width}x{options.height}, expected even sizes: H.264 pads odd "
            "ones and the picture would no longer be the scene's"
        )
    sampling = Sampling()
    if options.long:
        return
    if options.n_frames > sampling.max_frames or options.n_frames > sampling.clip_s * options.fps:
        raise UsageError(
            f"scenes: found {counted(options.n_frames, 'frame')} at {options.fps} a second, "
            f"expected at most {counted(sampling.max_frames, 'frame')} and {sampling.clip_s:.0f} "
            "s, which is one clip"
        )
