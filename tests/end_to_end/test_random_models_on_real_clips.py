"""Random networks of the real architectures, at toy sizes, on the first frames of real clips: their
detectors answer everywhere, so the limits on boxes and entities are what holds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch

from massannot.dataset.reading import Dataset
from massannot.dataset.validate import problems
from massannot.engine.settings import ExecutorSettings
from massannot.jobs import annotate as job
from massannot.models.cotracker3.checkpoint import save_cotracker3
from massannot.models.cotracker3.net import CoTracker3Net, CoTracker3Sizes
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.video.reader import probe
from massannot.video.sampling import Sampling
from tests.tiny_models import tiny_depth, tiny_detector, tiny_sam2

MEDIA = Path(__file__).parents[3] / "shared" / "media"
CLIPS = sorted(MEDIA.glob("*.mp4"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CLIPS, reason="no clips in ../shared/media"),
]

N_FRAMES = 16
PHRASES = ("a ball", "a person", "a hand")
NOUNS = "ball box cube cone sphere person man woman child dog cat car truck bike bird table chair"
NOUNS += " bed door window hand bottle cup hoop phone"
MOST_ENTITIES, MOST_PER_PHRASE = 20, 10


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> ModelFlags:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    sizes = CoTracker3Sizes(
        encoder_widths=(8, 8, 8, 8), encoder_hidden=16, feature_dim=16, correlation_hidden=16,
        correlation_dim=8, width=16, n_heads=2, n_layers=1, n_virtual=4,
    )  # fmt: skip
    save_cotracker3(CoTracker3Net(sizes=sizes), folder / "tracks")
    made = {
        "detect": tiny_detector(folder / "detect"),
        "masks": tiny_sam2(folder / "masks"),
        "depth": tiny_depth(folder / "depth"),
        "tracks": folder / "tracks",
    }
    return ModelFlags(
        profile="small",
        weights={name: str(where) for name, where in made.items()},
        box_threshold=0.0,
        text_threshold=0.0,
    )


def annotate(
    film: Path,
    phrases: Sequence[str],
    flags: ModelFlags,
    folder: Path,
    options: Mapping[str, str] | None = None,
) -> Dataset:
    end_s = (N_FRAMES - 0.5) / float(probe(str(film)).frame_rate or 25)
    manifest = folder / "first_frames.json"
    manifest.write_text(json.dumps([{"video": str(film), "start_s": 0, "end_s": end_s}]))
    done = job.annotate(
        manifest,
        prompts=phrases,
        out=folder / "out",
        spec=run_spec(flags=flags, options=options, sampling=Sampling(fps=None)),
        settings=ExecutorSettings(device="cpu", workers=0),
    )
    assert done.run.failed == 0, done.run.failures
    assert done.dataset is not None
    return done.dataset


@pytest.fixture(scope="module", params=CLIPS, ids=lambda path: path.stem)
def annotated(
    request: pytest.FixtureRequest, flags: ModelFlags, tmp_path_factory: pytest.TempPathFactory
) -> Dataset:
    return annotate(request.param, PHRASES, flags, tmp_path_factory.mktemp("out"))


def test_the_limits_hold_and_every_rejection_is_recorded(annotated: Dataset) -> None:
    detections = annotated.table("detections").to_pylist()
    kept = Counter(
        (row["frame"], row["phrase"])
        for row in detections
        if row["rejected"] != "over_phrase_limit"
    )
    assert set(kept) == {(frame, phrase) for frame in (0, N_FRAMES - 1) for phrase in range(3)}
    assert max(kept.values()) == MOST_PER_PHRASE
    assert 0 < annotated.table("entities").num_rows <= MOST_ENTITIES
    assert all((row["entity"] is None) == (row["rejected"] is not None) for row in detections)


@pytest.mark.seen("boxes from phrases", "random weights")
@pytest.mark.seen("masks through time", "random weights")
@pytest.mark.seen("point tracks", "random weights")
@pytest.mark.seen("depth", "random weights")
def test_the_tables_are_sound(annotated: Dataset) -> None:
    assert annotated.table("frames").num_rows == N_FRAMES
    assert list(problems(annotated)) == []


def test_more_things_than_a_clip_may_have_are_rejected_by_name(
    flags: ModelFlags, tmp_path: Path
) -> None:
    """25 phrases, and things of different phrases count as different wherever they lie."""
    apart = {"propagate_masks.duplicate_overlap": "1.01"}
    dataset = annotate(CLIPS[0], NOUNS.split(), flags, tmp_path, apart)
    rejected = Counter(dataset.table("detections")["rejected"].to_pylist())
    assert rejected["over_entity_limit"] > 0
    assert 0 < dataset.table("entities").num_rows <= MOST_ENTITIES
