"""A film of three clips that share frames: killed and continued, or on other workers, one story."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from massannot.engine.progress import ClipDone, Event, silent
from massannot.engine.settings import ExecutorSettings
from massannot.jobs import annotate as job
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from massannot.video.sampling import Sampling
from tests.faults.tiny_run import data_files

OPTIONS = SceneOptions(width=96, height=80, n_frames=24, fps=4, camera="orbit")
N_CLIPS = 3
"""Six seconds, cut every two."""


def annotate(
    scenes: Path, out: Path, *, workers: int = 0, progress: Callable[[Event], None] = silent
) -> job.Annotated:
    """Everything but the cameras from the truth: their poses are estimated."""
    library = SceneLibrary(scenes)
    (video_id,) = library.records
    flags = ModelFlags(
        profile="none",
        scenes=str(scenes),
        oracles=("detect", "masks", "depth", "tracks"),
        poses="estimate",
    )
    return job.annotate(
        sorted((scenes / "videos").glob("*.mp4")),
        prompts=sorted(set(library.scene(video_id).phrases())),
        out=out,
        spec=run_spec(flags=flags, sampling=Sampling(fps=None, clip_s=2, shared_frames=True)),
        settings=ExecutorSettings(device="cpu", workers=workers),
        progress=progress,
    )


def die(event: Event) -> None:
    """At once and without a word, when the second clip is done."""
    if isinstance(event, ClipDone) and event.clip_index == 1:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, seeds=[73], options=OPTIONS)
    return folder


@pytest.fixture(scope="module")
def whole(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    done = annotate(scenes, out)
    assert (done.run.done, done.run.failed) == (N_CLIPS, 0)
    assert done.dataset is not None
    links = done.dataset.table("identities")["how"].to_pylist()
    assert "shared_frame" in links
    return out


@pytest.mark.seen("killed and continued", "oracle")
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_film_that_was_killed_between_its_clips_ends_with_the_same_bytes(
    scenes: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    killed = subprocess.run(
        [sys.executable, "-m", "tests.faults.test_long_film_kills", str(scenes), str(out)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert not (out / "data" / "clips").exists()
    again = annotate(scenes, out)
    assert again.run.done == N_CLIPS
    assert data_files(out) == data_files(whole)


def test_a_film_has_the_same_bytes_on_two_workers(
    scenes: Path, whole: Path, tmp_path: Path
) -> None:
    annotate(scenes, tmp_path / "out", workers=2)
    assert data_files(tmp_path / "out") == data_files(whole)


if __name__ == "__main__":
    annotate(Path(sys.argv[1]), Path(sys.argv[2]), progress=die)
