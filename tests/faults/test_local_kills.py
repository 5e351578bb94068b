"""Killed from outside at any moment, a run that is started again ends as if nothing had been."""

import random
import signal
import sys
import time
from pathlib import Path

import pytest

from massannot.dataset.commits import damage
from massannot.dataset.layout import Layout
from tests.faults import killing, tiny_run
from tests.faults.siege import Siege, finish
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


@pytest.mark.seen("killed and continued", "engine alone")
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
    workers = killing.workers_of(Layout(tmp_path / "out"))
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
    assert sum(done(tally).values()) == N_CLIPS  # no clip was paid for twice
    assert data_files(layout.out) == data_files(undisturbed)
    assert list(damage(layout)) == []
    assert layout.shards_in_staging() == set()
