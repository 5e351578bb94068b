"""Killed from outside at any moment, a run that is started again ends as if nothing had been."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from massannot.io.commits import damage
from massannot.io.layout import Layout
from tests.faults import killing, tiny_run
from tests.faults.tiny_run import data_files, done

N_VIDEOS = 8
N_CLIPS = N_VIDEOS * tiny_run.CLIPS_PER_VIDEO
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes through /proc")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    tiny_run.write_videos(folder, N_VIDEOS)
    return folder


@pytest.fixture(scope="module")
def undisturbed(videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(killing.start(folder / "out", videos, folder / "tally", workers=1))
    return folder / "out"


def finish(process: subprocess.Popen) -> dict:
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return json.loads(text)


class Siege:
    """A run that is killed and started again, folder after folder, and what must hold meanwhile."""

    def __init__(self, videos: Path, undisturbed: Path, folder: Path, *, workers: int):
        self.videos, self.undisturbed, self.folder = videos, undisturbed, folder
        self.workers = workers
        self.hits: Counter[str] = Counter()
        self.folders = 0
        self._new_folder()

    def kill(self, phase: str | None, *, whom: str, delay_s: float) -> None:
        """One kill; when the run ends before the moment comes, it is checked and another begun."""
        while True:
            seen = killing.kill_in(self._running(), self.layout, phase, whom=whom, delay_s=delay_s)
            if seen is not None:
                break
            self.end()
        self.hits[seen] += 1
        if whom == "driver":
            self.process.wait()
            self.process = None
            time.sleep(0.1)  # its workers notice that it is gone
        self._check_what_is_there()

    def end(self) -> None:
        """Let the run end and compare it with the undisturbed one."""
        summary = finish(self._running())
        self._check_what_is_there()
        assert (summary["planned"], summary["done"]) == (N_CLIPS, N_CLIPS)
        counts = done(self.tally)
        assert {clip: counts[clip] for clip in self.finished} == self.finished
        assert len(self.finished) == N_CLIPS
        assert data_files(self.layout.out) == data_files(self.undisturbed)
        assert list(damage(self.layout)) == []
        assert list(self.layout.staging.iterdir()) == []
        shutil.rmtree(self.layout.out)
        self._new_folder()

    def _check_what_is_there(self) -> None:
        committed = {path.stem for path in self.layout.commits.glob("*.json")}
        assert {path.stem for path in self.layout.data.rglob("*.parquet")} <= committed
        counts = done(self.tally)
        for clip in killing.finished_clips(self.layout):
            self.finished.setdefault(clip, counts[clip])

    def _new_folder(self) -> None:
        self.folders += 1
        self.layout = Layout(self.folder / f"out{self.folders}")
        self.tally = self.folder / f"tally{self.folders}"
        self.finished: dict[str, int] = {}
        self.process: subprocess.Popen | None = None

    def _running(self) -> subprocess.Popen:
        if self.process is None:
            self.process = killing.start(
                self.layout.out, self.videos, self.tally, workers=self.workers
            )
        return self.process


@pytest.mark.parametrize("whom", ["driver", pytest.param("worker", marks=pytest.mark.faults)])
def test_a_run_killed_in_every_phase_ends_as_if_nothing_had_been(
    videos, undisturbed, tmp_path, whom
):
    siege = Siege(videos, undisturbed, tmp_path, workers=1)
    for place, phase in enumerate(killing.PHASES):
        siege.kill(phase, whom=whom, delay_s=0.05 * place)
    siege.end()
    assert siege.hits == dict.fromkeys(killing.PHASES, 1)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(5))
def test_a_run_killed_at_seeded_moments_ends_as_if_nothing_had_been(
    videos, undisturbed, tmp_path, seed
):
    moments = random.Random(seed)
    siege = Siege(videos, undisturbed, tmp_path, workers=2)
    for number in range(20):
        siege.kill(
            (None, *killing.PHASES)[number % 6],
            whom=moments.choice(["driver", "worker"]),
            delay_s=moments.uniform(0, 0.5),
        )
    siege.end()
    print(f"seed {seed}: kills by phase {dict(siege.hits)}")
    assert set(siege.hits) == set(killing.PHASES)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.faults)]
)
def test_a_signal_lets_the_clip_in_hand_finish_and_the_same_command_continues(
    videos, undisturbed, tmp_path, number
):
    layout, tally = Layout(tmp_path / "out"), tmp_path / "tally"
    process = killing.start(layout.out, videos, tally, workers=1)
    while len(done(tally)) < 3:
        time.sleep(0.005)
    process.send_signal(number)
    first = finish(process)
    assert first["interrupted"]
    assert first["planned"] == first["done"] + first["remaining"]
    assert first["done"] == sum(done(tally).values()) < N_CLIPS
    second = finish(killing.start(layout.out, videos, tally, workers=1))
    assert (second["interrupted"], second["done"]) == (False, N_CLIPS)
    assert max(done(tally).values()) == 1
    assert data_files(layout.out) == data_files(undisturbed)


def test_a_second_ctrl_c_ends_the_run_at_once(videos, tmp_path):
    process = killing.start(tmp_path / "out", videos, tmp_path / "tally", workers=1)
    while not done(tmp_path / "tally"):
        time.sleep(0.005)
    workers = killing.children(process.pid)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode in (1, -signal.SIGINT)  # KeyboardInterrupt left the program
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(3))
def test_two_drivers_on_one_folder_make_one_dataset(videos, undisturbed, tmp_path, seed):
    layout, tally = Layout(tmp_path / "out"), tmp_path / "tally"
    first = killing.start(layout.out, videos, tally, workers=1)
    time.sleep(random.Random(seed).uniform(0, 0.5))
    second = killing.start(layout.out, videos, tally, workers=1)
    for driver in (first, second):
        assert finish(driver)["done"] == N_CLIPS
    assert data_files(layout.out) == data_files(undisturbed)
    assert list(damage(layout)) == []
    assert layout.shards_in_staging() == set()
