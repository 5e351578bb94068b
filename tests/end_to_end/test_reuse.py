"""--reuse takes what would come out the same, runs the rest, and the bytes are a fresh run's."""

import re
from collections import Counter
from pathlib import Path

import pytest

from massannot import stages
from massannot.dataset.layout import Layout
from massannot.dataset.reading import open_dataset
from massannot.dataset.validate import problems
from massannot.engine.progress import ClipDone
from massannot.engine.settings import ExecutorSettings
from massannot.errors import OtherRecipe, UsageError
from massannot.jobs import annotate as job
from massannot.models.oracle import OracleDepth, OracleMasks
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.models import NEEDED
from massannot.scenes.scene_record import SceneLibrary
from massannot.video.sampling import Sampling
from tests.end_to_end.conftest import names_of
from tests.faults.tiny_run import data_files

EMBEDDED = {
    "profile": "embedded",
    "oracles": ("masks", "depth", "tracks", "cameras"),
}
LATE = {"measure_motions.min_background_points": "5"}


class Run:
    """Two clips annotated here, and which stages ran how often."""

    def __init__(self, world: SceneLibrary, out: Path, prompts: list[str], **options):
        self.out = out
        self.stages: Counter[str] = Counter()
        models = options.pop("models", {"profile": "none", "oracles": NEEDED})
        flags = ModelFlags(scenes=str(world.folder), **models)
        job.annotate(
            [str(world.folder / f"videos/scene-{n}.mp4") for n in (11, 12)],
            prompts=prompts,
            out=out,
            spec=run_spec(
                flags=flags,
                options=options.pop("options", {}),
                sampling=options.pop("sampling", Sampling(fps=5)),
                calibration=options.pop("calibration", "auto"),
            ),
            settings=ExecutorSettings(device="cpu", workers=0),
            progress=self.hear,
            **options,
        )

    def detections(self, *texts: str) -> list[tuple[object, ...]]:
        """Boxes and scores that were found for these phrases."""
        dataset = open_dataset(self.out)
        text_of = {r["phrase"]: r["text"] for r in dataset.table("phrases").to_pylist()}
        names = ("clip_id", "frame", "x0", "y0", "x1", "y1", "score")
        rows = dataset.table("detections").to_pylist()
        return sorted(
            (text_of[row["phrase"]], *(row[name] for name in names))
            for row in rows
            if text_of[row["phrase"]] in texts
        )

    def hear(self, event: object) -> None:
        if isinstance(event, ClipDone):
            self.stages.update(time.stage for time in event.times)


@pytest.fixture(scope="module")
def first(world, tmp_path_factory) -> Run:
    out = tmp_path_factory.mktemp("first") / "out"
    return Run(world, out, names_of(world)[:2], keep_depth=True)


@pytest.fixture
def calls(monkeypatch) -> Counter[str]:
    """How often the models were asked."""
    asked: Counter[str] = Counter()
    for model, method in ((OracleDepth, "estimate_depth"), (OracleMasks, "session")):
        before = getattr(model, method)

        def counted(*args, before=before, name=model.__name__, **named):
            asked[name] += 1
            return before(*args, **named)

        monkeypatch.setattr(model, method, counted)
    return asked


@pytest.mark.seen("reuse of another run", "oracle")
def test_other_phrases_do_not_ask_the_depth_model_again(world, first, tmp_path, calls):
    other = names_of(world)[1:3]
    again = Run(world, tmp_path / "again", other, reuse=first.out)
    assert calls == {"OracleMasks": 2}
    assert "estimate_depth" not in again.stages
    assert again.stages["detect_phrases"] == 2
    fresh = Run(world, tmp_path / "fresh", other)
    assert calls["OracleDepth"] == 2
    assert data_files(again.out) == data_files(fresh.out)


@pytest.mark.seen("reuse of another run", "embedded")
def test_an_added_phrase_leaves_the_detections_of_the_others_as_they_were(world, tmp_path):
    """The detector reads all phrases in one text, so a fresh run of all of them would not."""
    a, b, c, d = names_of(world)[:4]
    two = Run(world, tmp_path / "two", [a, b], models=EMBEDDED)
    three = Run(world, tmp_path / "three", [a, c, b], models=EMBEDDED, reuse=two.out)
    four = Run(world, tmp_path / "four", [d, a, b, c], models=EMBEDDED, reuse=three.out)
    assert four.detections(a, b) == three.detections(a, b) == two.detections(a, b)
    assert four.detections(c) == three.detections(c) != []
    fresh = Run(world, tmp_path / "fresh", [a, b, c], models=EMBEDDED)
    assert fresh.detections(c) == three.detections(c)  # c was read behind a and b in both
    assert fresh.detections(a, b) != three.detections(a, b)
    phrases = open_dataset(four.out).table("phrases").to_pylist()
    assert {(row["text"], row["added"]) for row in phrases} == {
        (a, None), (b, None), (c, 1), (d, 2)
    }  # fmt: skip
    assert list(problems(open_dataset(four.out))) == []


def test_a_late_option_runs_that_stage_and_what_follows_alone(world, first, tmp_path, calls):
    prompts = names_of(world)[:2]
    again = Run(world, tmp_path / "again", prompts, reuse=first.out, options=LATE)
    assert calls == {}
    late = ("measure_motions", "score_quality", "state_intervals", "find_events")
    assert again.stages == dict.fromkeys(late, 2)
    fresh = Run(world, tmp_path / "fresh", prompts, options=LATE)
    assert data_files(again.out) == data_files(fresh.out)


def test_without_a_calibration_quality_is_that_of_the_clip_again(world, first, tmp_path):
    """The calibrated one stands in the same column, so what was there before has to be made."""
    prompts = names_of(world)[:2]
    again = Run(world, tmp_path / "again", prompts, reuse=first.out, calibration="none")
    assert set(again.stages) == {"score_quality", "state_intervals", "find_events"}
    fresh = Run(world, tmp_path / "fresh", prompts, calibration="none")
    assert data_files(again.out) == data_files(fresh.out)


def test_the_same_again_runs_nothing(world, first, tmp_path):
    again = Run(world, tmp_path / "again", names_of(world)[:2], reuse=first.out)
    assert again.stages == {}
    assert data_files(again.out) == data_files(first.out)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"sampling": Sampling(fps=5, long_side=96)}, id="smaller pictures"),
        pytest.param({"sampling": Sampling(fps=4)}, id="other frames"),
    ],
)
def test_other_pictures_take_nothing(world, first, tmp_path, change):
    again = Run(world, tmp_path / "again", names_of(world)[:1], reuse=first.out, **change)
    assert set(again.stages.values()) == {2}
    assert "estimate_depth" in again.stages


def test_a_run_that_kept_no_depth_gives_its_tables_alone(world, first, tmp_path, calls):
    bare = Run(world, tmp_path / "bare", names_of(world)[:2])
    again = Run(world, tmp_path / "again", names_of(world)[1:3], reuse=bare.out)
    assert calls["OracleDepth"] == 4
    assert not {"split_segments"} & set(again.stages)


def test_a_run_of_other_code_is_refused(world, first, tmp_path):
    kept = Layout(first.out).record
    before = kept.read_text()
    kept.write_text(re.sub(r'"models": "\w+"', '"models": "0"', before))
    try:
        with pytest.raises(OtherRecipe, match=r"its code differs:(?s:.*)models\s+0"):
            Run(world, tmp_path / "again", names_of(world)[:2], reuse=first.out)
    finally:
        kept.write_text(before)
    assert not (tmp_path / "again").exists()


def test_a_folder_without_a_run_is_refused(world, tmp_path):
    with pytest.raises(UsageError, match="found no run in it"):
        Run(world, tmp_path / "again", names_of(world)[:1], reuse=tmp_path / "nothing")


def test_every_stage_that_looks_at_phrases_says_so():
    folder = Path(stages.__file__ or stages.__path__[0])
    folder = folder if folder.is_dir() else folder.parent
    looking = {p.stem for p in folder.glob("*.py") if " clip.phrases" in p.read_text()}
    saying = {p.stem for p in folder.glob("*.py") if "] = True" in p.read_text()}
    assert looking == saying == {"detect_phrases"}
