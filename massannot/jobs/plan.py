"""`massannot plan`: look at every video once, and write down what is to be done in which order.

Reads headers, no pictures. Interrupted, the same command goes on; finished, the plan is never
changed: the same command finds it equal, and any other is refused with the difference.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from massannot.dataset.adopt_plan import difference_of_plans
from massannot.dataset.record import shown_differences
from massannot.errors import OtherRecipe, UsageError
from massannot.jobs import api
from massannot.plan import folder as plan_folder
from massannot.plan import record as plan_record
from massannot.plan.columns import PlannedVideos
from massannot.plan.deal import deal_by_cost
from massannot.plan.planned_videos import PlannedVideo
from massannot.plan.probe import Expected, Probed, expected, probe_all, with_expected
from massannot.plan.question_counts import problems_of
from massannot.plan.record import PlanRecord
from massannot.recipes.digests import choice_to_json, digests
from massannot.recipes.models import pinned
from massannot.recipes.spec import Choice
from massannot.storage import durable
from massannot.storage.path import BucketPath, place
from massannot.video.sampling import Sampling

PIXELS_A_SECOND = 5e6
"""What a worker gets through until `plan --estimate` has measured it: 10 s of GPU for a 10 s clip
of 960x540 at 10 frames a second."""
SHARD_MINUTES = 7.5
"""Short enough that little is lost with a worker, long enough that files stay few."""
PROBES = ".probes"


@dataclass(frozen=True)
class Wish:
    """What was asked for on the command line."""

    sources: tuple[str, ...]
    prompts: tuple[str, ...]
    folder: Path
    choice: Choice
    sampling: Sampling = field(default_factory=Sampling)
    limit: int | None = None
    sample: Literal["first", "random"] = "first"
    seed: int = 0
    root: str | None = None
    """No manifest may name a video outside of it."""
    shard_minutes: float = SHARD_MINUTES
    pixels_a_second: float = PIXELS_A_SECOND


def make(wish: Wish, *, say: Callable[[str], None] = lambda line: None) -> PlanRecord:
    """The finished plan in `wish.folder`. `say` hears how far probing is.

    Raises UsageError, OtherRecipe when the folder holds another plan.
    """
    if isinstance(place(wish.folder), BucketPath):
        raise UsageError(
            f"-o {wish.folder}: found a bucket, expected a folder that workers can see"
        )
    choice = pinned(wish.choice)
    there = plan_record.read(wish.folder)
    intent = _intent(wish, choice)
    if there is not None:
        _refuse_other(wish.folder, there, intent)
    videos = _videos(wish)
    kept = wish.folder / PROBES if there is None else wish.folder.with_name(f".{wish.folder.name}")
    try:
        return _written(wish, intent, videos, kept, say, there)
    finally:
        if there is not None:
            shutil.rmtree(kept, ignore_errors=True)


def _written(
    wish: Wish,
    intent: PlanRecord,
    videos: PlannedVideos,
    kept: Path,
    say: Callable[[str], None],
    there: PlanRecord | None,
) -> PlanRecord:
    seen = Seen()
    probes = probe_all(videos, kept, each=lambda n: say(f"{n} of {len(videos)} headers read"))
    videos = with_expected(videos, seen.all(videos, probes, wish.sampling))
    shards = deal_by_cost(videos, shard_cost=intent.shard_cost)
    folder = wish.folder if there is None else kept
    n_shards = plan_folder.write_tables(folder, shards)
    tables = (plan_folder.VIDEOS, plan_folder.SHARDS)
    record = PlanRecord(
        **{
            **{name: getattr(intent, name) for name in _INTENT},
            "counts": {
                "videos": len(videos),
                "spans": sum(max(1, len(spans)) for spans in videos.spans),
                "shards": n_shards,
                "expected_clips": seen.clips,
                "expected_frames": seen.frames,
                "cost": float(videos.costs.sum()),
                "cannot_be_opened": dict(sorted(seen.problems.items())),
                **_questions(videos),
            },
            "files": {name: durable.sha256_of(folder / name) for name in tables},
        }
    )
    if there is None:
        plan_record.write(wish.folder, record)
        shutil.rmtree(kept, ignore_errors=True)
    elif record.files != there.files:
        raise OtherRecipe(
            f"{wish.folder} holds a plan of other videos:\n"
            f"{difference_of_plans(wish.folder, kept)}choose another folder"
        )
    return record


@dataclass
class Seen:
    """What the headers say in all."""

    clips: int = 0
    frames: int = 0
    problems: Counter[str] = field(default_factory=Counter)

    def all(
        self, videos: Iterable[PlannedVideo], probes: Iterable[Probed], sampling: Sampling
    ) -> Iterator[Expected | None]:
        """What each video will ask for, counted on its way."""
        for video, probed in zip(videos, probes, strict=True):
            work = expected(video, probed, sampling)
            if work is not None:
                self.clips += work.clips
                self.frames += work.frames
            if probed.problem:
                self.problems[probed.problem] += 1
            yield work


def _questions(videos: PlannedVideos) -> dict[str, Any]:
    """How many rows of manifests ask something, and how many cannot be asked, by class."""
    asked = [q for spans in videos.spans for span in spans for q in span.questions]
    return {"questions": len(asked), "cannot_be_asked": problems_of(asked)}


_INTENT = ("sources", "chosen", "shard_cost", "prompts", "sampling", "choice", "digests")


def _intent(wish: Wish, choice: Choice) -> PlanRecord:
    """What the plan is for, before anything is known of the videos."""
    return PlanRecord(
        sources=wish.sources,
        chosen={n: getattr(wish, n) for n in ("limit", "sample", "seed", "root")},
        shard_cost=wish.shard_minutes * 60 * wish.pixels_a_second,
        prompts=tuple(phrase.text for phrase in api.phrases_of(wish.prompts)),
        sampling=asdict(wish.sampling),
        choice=choice_to_json(choice),
        digests=digests(choice, choice.build()),
        counts={},
        files={},
    )


def _refuse_other(folder: Path, there: PlanRecord, asked: PlanRecord) -> None:
    plain: list[dict[str, Any]] = [
        {name: record.plain()[name] for name in _INTENT} for record in (there, asked)
    ]
    found = shown_differences(*plain)
    if found:
        raise OtherRecipe(
            f"{folder} holds a plan for something else:\n{found}choose another folder"
        )


def _videos(wish: Wish) -> PlannedVideos:
    videos = PlannedVideos(
        api.videos_of(
            wish.sources,
            phrases=api.phrases_of(wish.prompts),
            limit=wish.limit,
            sample=wish.sample,
            seed=wish.seed,
            root=wish.root,
        )
    )
    api.refuse_nothing_asked(span for spans in videos.spans for span in spans)
    return videos


def as_text(folder: Path, record: PlanRecord) -> str:
    """The plan in a few lines."""
    counts = record.counts
    bad, unasked = counts["cannot_be_opened"], counts["cannot_be_asked"]
    planned = (
        f"{counts['videos']} videos, {counts['spans']} planned spans: about "
        f"{counts['expected_clips']} clips, {counts['expected_frames']} frames; "
        f"{counts['shards']} shards in {folder}"
    )
    lines = [planned]
    if bad:
        shown = ", ".join(f"{reason} {n}" for reason, n in bad.items())
        lines.append(f"{sum(bad.values())} cannot be opened and will be failures: {shown}")
    if counts["questions"]:
        shown = "".join(f", {n} cannot be asked: {reason}" for reason, n in unasked.items())
        lines.append(f"{counts['questions']} rows of manifests{shown}")
    lines.append(f"next: massannot run {folder} -o OUT")
    return "\n".join(lines)
