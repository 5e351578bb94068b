"""From Python: `massannot.annotate("ball.mp4", prompts=["a ball"])` does what the command does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from massannot.clip import Phrase
from massannot.dataset import record as run_record
from massannot.dataset.frames_again import clips_again
from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset
from massannot.engine import local
from massannot.engine.progress import Progress, silent
from massannot.engine.tally import RunSummary
from massannot.errors import UsageError
from massannot.inputs.manifest import read_manifests
from massannot.inputs.phrase_list import phrases_of as phrases_of
from massannot.inputs.sources import chosen, find
from massannot.inputs.span import Span
from massannot.inputs.text import TextColumn
from massannot.jobs.estimate import patience_with
from massannot.jobs.kept_choice import KeptChoice, keeping
from massannot.jobs.reuse import reusing
from massannot.plan.folder import PlanFolder
from massannot.plan.join_questions import planned_videos
from massannot.plan.planned_videos import Plan, PlannedVideo, all_seen_now, deal
from massannot.recipes.models import pinned, pins_of
from massannot.recipes.spec import Choice
from massannot.storage.path import place
from massannot.video.sampling import Sampling
from massannot.viewers.film import render
from massannot.viewers.report import Heading, write_report

DEFAULT_OUT = "massannot-out"


@dataclass(frozen=True)
class Annotated:
    """A finished run: `dataset` is None when no clip could be annotated."""

    out: Path
    run: RunSummary
    dataset: Dataset | None


def refuse_nothing_asked(spans: Iterable[Span]) -> None:
    """Raises UsageError where no span of any video asks for anything."""
    if not any(span.phrases for span in spans):
        raise UsageError(
            "nothing to look for: found no -p and no manifest that names entities; say what, "
            'for example -p "a ball"'
        )


def videos_of(
    sources: Sequence[str],
    *,
    phrases: Sequence[Phrase],
    limit: int | None = None,
    sample: str = "first",
    seed: int = 0,
    root: str | None = None,
) -> Iterator[PlannedVideo]:
    """Whole videos, each asked for the same phrases, and what manifests ask besides.

    `limit`: so many videos, the first or a `random` sample. `root`: no manifest may name a video
    outside of it. Raises UsageError for a source that is not there, gives no video, or is no
    manifest.
    """
    found = find(sources)
    rows = (*found.rows, *read_manifests(found.manifests, root=root))
    if rows:
        videos = planned_videos(found.videos, rows, prompts=phrases)
        return all_seen_now(chosen(videos, limit=limit, sample=sample, seed=seed))
    named = chosen(found.videos, limit=limit, sample=sample, seed=seed)
    (like,) = planned_videos(["any"], (), prompts=phrases)  # a million videos, one span
    uris = named.drained() if isinstance(named, TextColumn) else iter(named)
    return all_seen_now(PlannedVideo(uri, like.spans) for uri in uris)


def annotate(
    videos: str | Path | Sequence[str | Path],
    *,
    prompts: Sequence[str] = (),
    out: str | Path = DEFAULT_OUT,
    profile: str = "auto",
    choice: Choice | None = None,
    sampling: Sampling = Sampling(),
    device: str = "auto",
    workers: int | None = None,
    limit: int | None = None,
    reuse: str | Path | None = None,
    keep_depth: bool = False,
    progress: Progress = silent,
) -> Annotated:
    """Annotate videos into the folder `out`; what it already holds is not done again.

    `videos` are files, folders, globs, addresses, @lists and more (see io/sources.py), or
    manifests (see io/manifest.py), which also say what to look for in their own videos. `prompts`
    name what to look for everywhere. `choice` decides everything else a recipe can be asked (see
    recipe.Choice); without it only `profile` counts.
    Raises UsageError, NothingToRun; a clip that fails is a row of the table `failures`.
    """
    named = [videos] if isinstance(videos, str | Path) else list(videos)
    phrases = phrases_of(prompts)
    return annotate_plan(
        deal(videos_of([str(v) for v in named], phrases=phrases, limit=limit)),
        choice=choice or Choice(profile=profile),
        out=place(out),
        sampling=sampling,
        workers=workers,
        device=device,
        reuse=None if reuse is None else place(reuse),
        keep_depth=keep_depth,
        progress=progress,
    )


def annotate_plan(
    plan: Plan | PlanFolder,
    *,
    choice: Choice,
    out: Path,
    sampling: Sampling = Sampling(),
    device: str = "auto",
    workers: int | None = None,
    reuse: Path | None = None,
    keep_depth: bool = False,
    progress: Progress = silent,
) -> Annotated:
    """Annotate what is planned; see `annotate`."""
    pinned_choice = as_begun(choice, out)
    summary = local.run(
        plan,
        reusing(pinned_choice, sampling, out=out, reuse=reuse, keep_depth=keep_depth),
        out=out,
        sampling=sampling,
        workers=workers,
        device=device,
        patience=patience_with(choice.profile),
        progress=keeping(Layout(out), KeptChoice(pinned_choice, sampling), progress),
    )
    dataset = Dataset(Layout(out))  # an interrupted run may have published nothing yet
    return Annotated(out, summary, dataset if dataset.names else None)


def as_begun(choice: Choice, out: Path) -> Choice:
    """`choice` with every model of a hub at the commit that `out` was begun with, or else at the
    present one: workers ask the hub nothing, and a branch that moves on does not end a run.
    Raises MissingWeights."""
    record = run_record.read(Layout(out))
    return pinned(choice, known={} if record is None else pins_of(record.identity.recipe))


def films_of(
    dataset: Dataset, *, clip_ids: Sequence[str] | None = None, each: Callable[[Path], None]
) -> list[Path]:
    """Render the overlay films (and stills) of clips into OUT/films, of a bucket into its working
    folder; `each` hears of every film."""
    layout = dataset.layout
    made = []
    for clip in clips_again(layout, set(clip_ids if clip_ids is not None else dataset.clip_ids)):
        pictures = iter(clip.frames.pixels_THWC)
        rendered = render(dataset.clip(clip.clip_id).table, pictures, layout.local / "films")
        made.append(rendered.film)
        each(rendered.film)
    return made


def report_of(
    dataset: Dataset, *, sample: int = 60, seed: int = 0, min_quality: float | None = None
) -> Path:
    """Write OUT/report/index.html and a page per clip; returns the index. See write_report."""
    record = run_record.read(dataset.layout)
    heading = Heading(
        title=f"massannot: {dataset.layout.out.name}",
        lines=() if record is None else (f"profile {record.identity.recipe.get('profile', '')}",),
        notes=() if record is None else tuple(record.notes),
    )
    return write_report(
        dataset.table_or_empty,
        lambda clip_id: dataset.clip(clip_id).table,
        dataset.layout.local / "report",
        films=dataset.layout.local / "films",
        heading=heading,
        sample=sample,
        seed=seed,
        min_quality=min_quality,
    )
