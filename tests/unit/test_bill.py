"""The bill is in proportion to what was measured, and names what is narrowest."""

from pathlib import Path

import pytest

from massannot.errors import NothingToRun
from massannot.jobs import estimate as bill
from massannot.jobs import plan as planning
from massannot.jobs import run as running
from massannot.jobs.estimate import Measured, bill_of
from massannot.jobs.plan import Wish
from massannot.recipes.spec import STEPS, Choice
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from massannot.video.sampling import Sampling

MEASURED = Measured(
    clips=4,
    frames=400,
    pixels=2e8,
    stage_s={"detect_phrases": 10.0, "propagate_masks": 30.0},
    decode_s=3.0,
    decode_pixels=5e7,
    table_bytes=8_000_000,
)
COUNTS = {"cost": 2e12, "expected_frames": 4_000_000}


def test_everything_grows_with_the_plan():
    found = bill_of(MEASURED, COUNTS, device="cuda:0", cores=4)
    assert found.device_hours == pytest.approx(40 * 1e4 / 3600)
    assert found.decode_core_hours == pytest.approx(12 * 1e4 / 3600)
    assert found.cores_a_worker == pytest.approx(12 / 40)
    assert found.table_bytes == pytest.approx(8e6 * 1e4)
    assert found.hours == {n: pytest.approx(found.device_hours / n) for n in (1, 8, 64, 512)}


@pytest.mark.parametrize(
    ("cores", "says"),
    [
        (4.0, "propagate_masks: 75% of the models' time"),
        (0.25, "decoding: a worker needs 0.3 cores, this machine has 0.2 for each"),
    ],
)
def test_the_narrowest_place_is_named(cores, says):
    assert bill_of(MEASURED, COUNTS, device="cuda:0", cores=cores).bottleneck == says


def test_a_bill_is_read_in_hours_and_terabytes():
    said = bill.as_text(bill_of(MEASURED, COUNTS, device="cuda:0", cores=4)).split("\n")
    assert said == [
        "measured on 4 clips, 400 frames, one worker on cuda:0:",
        "device: 111 GPU-hours; workers: 4.6 days on 1, 13.9 h on 8, 1.7 h on 64, 13.0 min on 512",
        "decode: 33 core-hours, 0.3 cores for each worker",
        "tables: 80.0 GB",
        "narrowest: propagate_masks: 75% of the models' time",
    ]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_scenes(folder, seeds=[3, 4], options=SceneOptions(width=64, height=48, n_frames=8))
    return folder


def wish(world: Path, folder: Path, *, sources: str = "videos") -> Wish:
    choice = Choice(profile="none", scenes=str(world), oracles=STEPS)
    return Wish((str(world / sources),), ("a ball",), folder, choice, Sampling(fps=None))


def test_a_plan_is_measured_on_its_own_clips_and_leaves_nothing_behind(world, tmp_path):
    record = planning.make(wish(world, tmp_path / "plan"))
    before = sorted(path.name for path in (tmp_path / "plan").iterdir())
    found = running.estimate(tmp_path / "plan", record, device="cpu", progress=lambda event: None)
    assert (found.measured.clips, found.measured.frames) == (2, 16)
    assert found.measured.pixels == record.counts["cost"], "so few are measured all"
    assert found.measured.decode_pixels == found.measured.pixels
    assert found.table_bytes == found.measured.table_bytes > 0
    assert found.device_hours * 3600 == pytest.approx(sum(found.measured.stage_s.values()))
    assert sorted(path.name for path in (tmp_path / "plan").iterdir()) == before
    said = bill.as_text(found)
    assert "measured on 2 clips, 16 frames, one worker on cpu" in said
    assert "narrowest: " in said


def test_a_plan_of_which_nothing_can_be_done_has_no_bill(world, tmp_path):
    (world / "texts").mkdir()
    (world / "texts" / "text.mp4").write_text("no video")
    record = planning.make(wish(world, tmp_path / "plan", sources="texts"))
    with pytest.raises(NothingToRun, match="none of 1 clips could be annotated"):
        running.estimate(tmp_path / "plan", record, device="cpu", progress=lambda event: None)
