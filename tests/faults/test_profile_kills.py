"""Each profile's models, at toy sizes with random weights: killed and started again, a run ends
with the bytes of one that nobody disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from massannot.dataset.reading import open_dataset
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from tests.faults.tiny_run import data_files
from tests.timm_here import why_not
from tests.tiny_models import (
    tiny_depth,
    tiny_depth_pro,
    tiny_detector,
    tiny_edgetam,
    tiny_mm_detector,
    tiny_sam2,
    tiny_sam3,
    tiny_tracker,
)

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="kills a group of processes"),
]
N_VIDEOS = 4
EVERYTHING = "--set detect.box_threshold=0 --set detect.text_threshold=0"


Made = Mapping[str, Callable[[Path], Path]]
DINO_AND_SAM2: Made = {
    "detect": tiny_detector, "masks": tiny_sam2, "depth": tiny_depth, "tracks": tiny_tracker,
}  # fmt: skip
PROFILES: Mapping[str, tuple[Made, str]] = {
    "small": (DINO_AND_SAM2, EVERYTHING),
    "fast": (
        {"detect": tiny_detector, "masks": tiny_edgetam, "depth": tiny_depth},
        EVERYTHING,
    ),
    "recent": (
        {**DINO_AND_SAM2, "detect": tiny_mm_detector, "depth": tiny_depth_pro,
         "cameras": tiny_depth_pro},
        EVERYTHING,
    ),
    "frontier": (
        {"detect": tiny_sam3, "masks": tiny_sam3, "depth": tiny_depth_pro,
         "cameras": tiny_depth_pro, "tracks": tiny_tracker},
        "",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    options = SceneOptions(width=64, height=48, n_frames=8)
    write_scenes(folder, seeds=range(60, 60 + N_VIDEOS), options=options)
    return folder / "videos"


def begun(command: list[str], out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "massannot", *command, "-o", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip


def finished(command: list[str], out: Path) -> None:
    process = begun(command, out)
    said, _ = process.communicate(timeout=500)
    assert process.returncode == 0, said.decode()


@pytest.mark.seen("killed and continued", "random weights")
@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_killed_twice_ends_as_if_nothing_had_been(
    videos: Path, tmp_path: Path, name: str
) -> None:
    made, options = PROFILES[name]
    if tiny_edgetam in made.values() and why_not():
        pytest.skip(why_not())
    folders: dict[Callable[[Path], Path], Path] = {}
    for make in made.values():
        if make not in folders:
            (folder := tmp_path / f"weights{len(folders)}").mkdir()
            folders[make] = make(folder)
    weights = [word for job, make in made.items()
               for word in ("--weights", f"{job}={folders[make]}")]  # fmt: skip
    phrase = "a" if name == "frontier" else "a red ball"
    command = ["annotate", *sorted(map(str, videos.glob("*.mp4"))), "-p", phrase]
    command += ["--profile", name, *weights, *options.split()]
    command += ["--fps", "all", "--no-films", "--device", "cpu", "-q"]
    finished(command, tmp_path / "whole")
    whole = data_files(tmp_path / "whole")
    assert open_dataset(tmp_path / "whole").table("failures").num_rows == 0
    assert open_dataset(tmp_path / "whole").table("entities").num_rows > 0
    out = tmp_path / "killed"
    for least, later_s in ((1, 0.1), (2, 1.0)):
        process = begun(command, out)
        while len(list(out.glob("data/clips/*.parquet"))) < least and process.poll() is None:
            time.sleep(0.01)
        time.sleep(later_s)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it was over before it was killed"
    finished(command, out)
    assert data_files(out) == whole
