"""Every example of docs/answers.md is a file that is read, and the commands run as printed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from massannot.models.recorded.camera_files import RecordedCameras
from massannot.models.recorded.cuboid_files import RecordedCuboids
from massannot.models.recorded.depth_files import RecordedDepth
from massannot.models.recorded.object_files import RecordedBoxes, RecordedMasks
from massannot.models.recorded.track_files import RecordedTracks
from massannot.video.film_encoder import FilmWriter
from tests.unit.test_answers import frames_at

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "answers.md").read_text(encoding="utf-8")
FILES = {
    "boxes.json": RecordedBoxes,
    "masks.json": RecordedMasks,
    "depth.npz": RecordedDepth,
    "millimetres.npz": RecordedDepth,
    "tracks.npz": RecordedTracks,
    "cameras.json": RecordedCameras,
    "cuboids.json": RecordedCuboids,
}


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files of the page."""
    monkeypatch.chdir(tmp_path)
    for name, content in re.findall(r"`(\w+\.json)`[^`]*```json\n(.*?)^```$", PAGE, re.S | re.M):
        (tmp_path / name).write_text(content)
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.S | re.M):
        exec(block, {"np": np})
    return tmp_path


def test_every_example_is_a_file_that_is_read(examples: Path) -> None:
    assert {file.name for file in examples.iterdir()} == set(FILES)
    n_blocks = len(re.findall(r"^```(?:json|python)$", PAGE, re.M))
    assert n_blocks == 6
    models = {name: kind(str(examples / name)) for name, kind in FILES.items()}
    for model in models.values():
        model.setup(device="cpu")
    frames = frames_at()
    found = models["boxes.json"].detect(frames, at=range(10), phrases=["a ball"])
    assert [(int(f), b.tolist()) for f, b in zip(found.frame, found.boxes_xyxy)] == [
        (3, [19, 20, 35, 36]),
        (6, [28, 20, 44, 36]),
    ]
    session = models["masks.json"].session(frames)
    session.add_box(1, frame=3, box_xyxy=np.float32([19, 20, 35, 36]))
    areas = {m.frame: int(m.masks.sum()) for m in session.propagate(first=0, end=10)}
    assert {frame: area for frame, area in areas.items() if area} == {3: 256, 6: 256}
    assert [f for f in range(10) if session.is_known(1, frame=f)] == [3, 4, 6]
    for name in ("depth.npz", "millimetres.npz"):
        assert np.all(models[name].estimate_depth(frames).values == 2)
    tracks = models["tracks.npz"].track(frames, queries_txy=np.array([[3, 28.0, 28.0]]))
    assert tracks.visible.all()
    cuboids = models["cuboids.json"].cuboids(frames)
    assert np.flatnonzero(np.isfinite(cuboids.centre[0, :, 0])).tolist() == [3, 6]
    assert np.round(cuboids.centre[0, 3], 6).tolist() == [-0.35, -0.07, 1.5]
    assert models["cameras.json"].estimate_cameras(frames).intrinsics[9].tolist() == [
        90,
        90,
        48,
        32,
    ]


@pytest.mark.seen("exports", "oracle")
@pytest.mark.slow
def test_the_commands_run_as_printed(examples: Path) -> None:
    with FilmWriter(examples / "ball.mp4", width=96, height=64, fps=Fraction(10)) as film:
        for picture in frames_at().pixels_THWC:
            film.write(picture)
    blocks = re.findall(r"^```\n(.*?)^```$", PAGE, re.S | re.M)
    commands = [line for line in "".join(blocks).splitlines() if line.startswith("massannot ")]
    assert len(commands) == 10
    for command in commands:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "from massannot.cli import main; main()",
                *shlex.split(command)[1:],
            ],
            cwd=examples,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        if "annotate" in command:
            assert re.search(r"\d+ (annotations|tracks|recordings|cuboids) read", done.stdout)
    for out in ("out", "again", "from-coco", "from-cvat", "from-rerun"):
        (file,) = (examples / out / "data" / "masks").glob("*.parquet")
        rows = pq.read_table(file).to_pylist()
        assert [(r["frame"], r["x0"], r["state"], r["origin"]) for r in rows] == [
            (3, 19, "visible", "given"),
            (4, None, "absent", "given"),
            (6, 28, "visible", "given"),
        ]
