"""An estimate is in proportion to its pilot, knows the plan's shards, and states how sure it is."""

from pathlib import Path

import pytest

from massannot.errors import NothingToRun
from massannot.geometry.intervals import ConfidenceInterval
from massannot.jobs import estimate as estimates
from massannot.jobs.estimate import Pilot, in_proportion
from massannot.jobs.plan import make_plan
from massannot.plan.folder import PlannedShard
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.models import NEEDED
from massannot.recipes.spec import RunSpec
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from massannot.video.sampling import Sampling

PILOT = Pilot(
    clips=4,
    frames=400,
    pixels=2e8,
    stage_s={"detect_phrases": 10.0, "propagate_masks": 30.0},
    seconds_a_pixel=ConfidenceInterval(2e-7, 1e-7, 4e-7, 4),
    decode_s=3.0,
    decode_pixels=5e7,
    table_bytes={"masks": 6_000_000, "clips": 2_000_000},
    bytes_a_frame={
        "masks": ConfidenceInterval(15_000.0, 10_000.0, 20_000.0, 4),
        "clips": ConfidenceInterval(5_000.0, float("nan"), float("nan"), 1),
    },
)
COUNTS = {"cost": 2e12, "expected_frames": 4_000_000}


def shards(*costs: float) -> list[PlannedShard]:
    return [PlannedShard(f"{n:06d}", cost, 1, 1, 1, "plan") for n, cost in enumerate(costs)]


def estimate(*costs: float, cores: float = 4) -> estimates.Estimate:
    return in_proportion(PILOT, COUNTS, shards(*costs), device="cuda:0", cores=cores)


def test_everything_grows_with_the_plan():
    found = estimate(*[2e12 / 24] * 24)
    hours = 40 * 1e4 / 3600
    assert found.device_hours.value == pytest.approx(hours)
    assert (found.device_hours.low, found.device_hours.high) == (
        pytest.approx(hours / 2),
        pytest.approx(hours * 2),
    )
    assert found.decode_core_hours == pytest.approx(12 * 1e4 / 3600)
    assert found.cores_a_worker == pytest.approx(12 / 40)
    assert found.table_bytes["masks"].value == pytest.approx(6e10)
    assert found.table_bytes["masks"].low == pytest.approx(4e10)


def test_more_workers_than_shards_do_not_help():
    found = estimate(*[2e12 / 24] * 24)
    hours = found.device_hours.value
    assert found.hours == {
        1: pytest.approx(hours),
        8: pytest.approx(hours / 8),
        64: pytest.approx(hours / 24),
        512: pytest.approx(hours / 24),
    }


def test_the_longest_shard_is_waited_for():
    found = estimate(1e12, *[1e12 / 99] * 99)
    assert found.hours[512] == pytest.approx(found.device_hours.value / 2)


@pytest.mark.parametrize(
    ("cores", "sentence"),
    [
        (4.0, "propagate_masks: 75% of the models' time"),
        (0.25, "decoding: a worker needs 0.3 cores, this machine has 0.2 for each"),
    ],
)
def test_the_narrowest_place_is_named(cores, sentence):
    assert estimate(2e12, cores=cores).bottleneck == sentence


def test_an_estimate_is_read_in_hours_and_terabytes_a_table():
    assert estimates.as_text(estimate(*[2e12 / 24] * 24)).split("\n") == [
        "pilot: 4 clips, 400 frames, one worker on cuda:0",
        "device: 111 (56 to 222) GPU-hours, 90% interval over clips",
        "24 shards; workers: 4.6 days on 1, 13.9 h on 8, 4.6 h on 64, 4.6 h on 512",
        "decode: 33 CPU-hours, 0.3 cores for each worker",
        "tables: 80.0 GB in all",
        "  masks          60.0 GB (40.0 GB to 80.0 GB)",
        "  clips          20.0 GB",
        "narrowest: propagate_masks: 75% of the models' time",
    ]


def test_an_unknown_bound_is_null_in_json():
    assert estimates.as_json(estimate(2e12))["table_bytes"]["clips"]["low"] is None


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_scenes(folder, seeds=[3, 4], options=SceneOptions(width=64, height=48, n_frames=8))
    return folder


def spec_of(world: Path, *, sources: str = "videos") -> RunSpec:
    flags = ModelFlags(profile="none", scenes=str(world), oracles=NEEDED)
    return run_spec([str(world / sources)], ["a ball"], flags=flags, sampling=Sampling(fps=None))


def test_a_plan_is_measured_on_its_own_clips_and_leaves_nothing_behind(world, tmp_path):
    plan = make_plan(spec_of(world), tmp_path / "plan")
    before = sorted(path.name for path in (tmp_path / "plan").iterdir())
    found = estimates.of_folder(tmp_path / "plan", plan, device="cpu", progress=lambda event: None)
    pilot = found.pilot
    assert (pilot.clips, pilot.frames, found.n_shards) == (2, 16, 2)
    assert pilot.pixels == plan.counts["cost"], "of so few all are measured"
    assert pilot.decode_pixels == pilot.pixels
    assert {n: size.value for n, size in found.table_bytes.items()} == {
        n: pytest.approx(size) for n, size in pilot.table_bytes.items()
    }
    assert min(pilot.table_bytes.values()) > 0
    interval = found.device_hours
    assert interval.value * 3600 == pytest.approx(sum(pilot.stage_s.values()))
    assert interval.low <= interval.value <= interval.high
    assert sorted(path.name for path in (tmp_path / "plan").iterdir()) == before


def test_a_pilot_has_as_many_clips_as_were_asked_for(world, tmp_path):
    plan = make_plan(spec_of(world), tmp_path / "plan")
    found = estimates.of_folder(
        tmp_path / "plan", plan, device="cpu", pilot_clips=1, progress=lambda event: None
    )
    assert found.pilot.clips == 1


def test_a_plan_of_which_nothing_can_be_done_has_no_estimate(world, tmp_path):
    (world / "texts").mkdir()
    (world / "texts" / "text.mp4").write_text("no video")
    plan = make_plan(spec_of(world, sources="texts"), tmp_path / "plan")
    with pytest.raises(NothingToRun, match="none of 1 clip could be annotated"):
        estimates.of_folder(tmp_path / "plan", plan, device="cpu", progress=lambda event: None)
