"""`massannot plan`: look at every video once, and write down what is to be done in which order.

Reads headers, no pictures. Interrupted, the same command goes on; finished, the plan is never
changed: the same command finds it equal, and any other is refused with the difference.
`annotate` plans in the same way, into its output folder.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa

from massannot.clip import Phrase
from massannot.counts import counted
from massannot.dataset import record as run_record
from massannot.dataset.differences import shown_differences
from massannot.dataset.plans import difference_of_plans
from massannot.dataset.record import RunRecord
from massannot.errors import OtherRecipe, UsageError
from massannot.inputs.manifest import read_manifests
from massannot.inputs.sources import chosen, find
from massannot.inputs.span import Span
from massannot.inputs.text import TextColumn
from massannot.models.recorded.video_names import GoesByName, VideoName
from massannot.models.text_prompts import expected_words, unknown_words
from massannot.plan import folder as plan_folder
from massannot.plan.deal import deal
from massannot.plan.folder import FinishedPlan
from massannot.plan.join_questions import planned_videos, problems_of
from massannot.plan.planned_videos import PlannedVideo, PlannedVideos, with_file_states
from massannot.plan.probe import Expected, Probed, expected, probe_all, with_expected
from massannot.recipes.digests import record_of
from massannot.recipes.models import JOBS, model, pinned, vocabulary_of_detector
from massannot.recipes.spec import RunSpec
from massannot.storage import durable
from massannot.storage.json_text import our_own, parsed
from massannot.storage.path import BucketPath, place
from massannot.video.sampling import Sampling

SPEC = "spec.json"
PROBES = ".probes"
Say = Callable[[str], None]


def make_plan(spec: RunSpec, folder: Path, *, say: Say = lambda line: None) -> FinishedPlan:
    """The finished plan in `folder`. `say` is told how far probing is.

    Raises UsageError, MissingWeights, OtherRecipe when the folder holds another plan.
    """
    if isinstance(place(folder), BucketPath):
        raise UsageError(f"-o {folder}: found a bucket, expected a folder that workers can see")
    spec = pinned(spec)
    pipeline = spec.pipeline()
    record = record_of(spec, pipeline)

    def written(where: Path) -> FinishedPlan:
        found = videos_of(spec, needs_phrases=pipeline.uses_phrases, say=say)
        videos, totals = probed(spec, found, where / PROBES, say=say)
        del found  # a million are large
        pa.default_memory_pool().release_unused()
        return _written(spec, record, videos, totals, where)

    existing = plan_folder.read_finished(folder)
    if existing is None:
        return written(folder)
    _refuse_other_plan(folder, read_record(folder), record)
    again = folder.with_name(f".{folder.name}")
    try:
        plan = written(again)
        if _tables(plan) != _tables(existing):
            raise OtherRecipe(
                f"{folder} holds a plan of other videos:\n"
                f"{difference_of_plans(folder, again)}choose another folder"
            )
    finally:
        shutil.rmtree(again, ignore_errors=True)
    return existing


def _written(
    spec: RunSpec, record: RunRecord, videos: PlannedVideos, totals: Totals, folder: Path
) -> FinishedPlan:
    n_shards = plan_folder.write_tables(folder, deal(videos, shard_cost=spec.shard_pixels))
    content = json.dumps(record.to_json(), indent=1, ensure_ascii=False) + "\n"
    durable.write_over(folder / SPEC, content.encode())
    names = (plan_folder.VIDEOS, plan_folder.SHARDS, SPEC)
    plan = FinishedPlan(
        counts={
            "videos": len(videos),
            "spans": sum(max(1, len(spans)) for spans in videos.spans),
            "shards": n_shards,
            "expected_clips": totals.clips,
            "expected_frames": totals.frames,
            "cost": float(videos.costs.sum()),
            "cannot_be_opened": dict(sorted(totals.problems.items())),
            **_question_counts(videos),
        },
        files={name: durable.sha256_of(folder / name) for name in names},
    )
    plan_folder.write_finished(folder, plan)
    shutil.rmtree(folder / PROBES, ignore_errors=True)
    return plan


def videos_of(
    spec: RunSpec, *, needs_phrases: bool = True, say: Say = lambda line: None
) -> PlannedVideos:
    """The videos that the spec selects, each with its spans and phrases, and what manifests ask.

    What a question's or a caption's text names in words that the detector's vocabulary lacks is not
    looked for; `say` is told. `needs_phrases`: whether the recipe looks for anything. Raises
    UsageError for a source that is missing, gives no video or is no manifest, and when the recipe
    needs phrases and no span of any video has one.
    """
    select = spec.select
    phrases = tuple(Phrase(text) for text in spec.phrases)
    found = find(spec.sources)
    rows = (*found.rows, *read_manifests(found.manifests, root=select.root))
    subset = {"limit": select.limit, "sample": select.sample, "seed": select.seed}
    stretch = (select.start_s, select.end_s)
    videos: Iterable[PlannedVideo]
    vocabulary = vocabulary_of_detector(spec)
    unknown: dict[str, tuple[str, ...]] = {}
    if rows:

        def knows(text: str) -> bool:
            unknown.update(unknown_words([text], vocabulary))
            return text not in unknown

        joined = planned_videos(found.videos, rows, prompts=phrases, stretch=stretch, knows=knows)
        if unknown:
            say(
                f"warning: {counted(len(unknown), 'phrase')} of questions and captions not looked "
                f"for, such as {min(unknown)!r}: profile {spec.profile} does not know the words"
            )
        videos = chosen(joined, **subset)  # type: ignore[arg-type]
    else:
        named = chosen(found.videos, **subset)  # type: ignore[arg-type]
        (like,) = planned_videos(["any"], (), prompts=phrases, stretch=stretch)  # of a million
        uris = named.drained() if isinstance(named, TextColumn) else iter(named)
        videos = (PlannedVideo(uri, like.spans) for uri in uris)
    planned = PlannedVideos(with_file_states(videos))
    if needs_phrases and not any(span.phrases for spans in planned.spans for span in spans):
        if unknown:
            raise _no_such_words(spec, unknown, vocabulary)
        bad = [row.problem.message for row in rows if row.problem is not None]
        raise UsageError(
            "nothing to look for: found no -p and no manifest that names entities; say what, "
            'for example -p "a ball"'
            + (f"; {counted(len(bad), 'row')} cannot be asked, the first: {bad[0]}" if bad else "")
        )
    refuse_unknown_words(spec, planned, vocabulary)
    _refuse_unclear_answers(spec, planned)
    _refuse_sizes_of_nothing(spec, planned)
    return planned


def _refuse_unclear_answers(spec: RunSpec, videos: PlannedVideos) -> None:
    """Raises UsageError for a file that names no video, which every one of several would take, and
    for answers that two of them would share, because both go by one name."""
    files = [job for job, answerer in spec.models.items() if answerer.kind == "file"]
    twins = _of_one_name(videos) if files and len(videos) > 1 else []
    for job in files if len(videos) > 1 else ():
        path = spec.models[job].name
        if not Path(path).is_file() and not (twins and Path(path).is_dir()):
            continue  # a folder names videos by its entries; a missing one is the workers' to find
        answers = cast(GoesByName, model(spec, job))
        answers.setup(device="cpu")
        if not answers.names_videos:
            raise UsageError(
                f"{JOBS[job].flag} {path}: names no video, and there are {len(videos)}; "
                "expected names in the file (docs/answers.md), or a folder with a file a video, "
                "named by the video's id or its name without the ending"
            )
        first_with: dict[str, str] = {}
        for name, uri in twins:
            answer = answers.answer_for(name)
            other = uri if answer is None else first_with.setdefault(answer, uri)
            if other != uri:
                raise UsageError(
                    f"{JOBS[job].flag} {path}: {other} and {uri} would both be answered by "
                    f"{answer}; expected names with their folders, such as "
                    f"{'/'.join(name.parts[-2:])!r} (docs/answers.md)"
                )


def _of_one_name(videos: PlannedVideos) -> list[tuple[VideoName, str]]:
    """The names and addresses of videos whose file's name, or own id, is another's too."""
    of_each = ({each for name in _names(video) for each in name.alone} for video in videos)
    hashes = np.fromiter((hash(each) for names in of_each for each in names), np.int64)
    values, counts = np.unique(hashes, return_counts=True)
    shared = set(values[counts > 1].tolist())
    if not shared:
        return []
    return [
        (name, video.uri)
        for video in videos
        for name in _names(video)
        if shared & {hash(each) for each in name.alone}
    ]


def _names(video: PlannedVideo) -> list[VideoName]:
    """A name for each of its own ids, or one without."""
    ids = dict.fromkeys([video.source_id, *(span.source_id for span in video.spans)])
    return [VideoName.at(video.uri, own_id=own_id) for own_id in ids]


def _refuse_sizes_of_nothing(spec: RunSpec, videos: PlannedVideos) -> None:
    """Raises UsageError for --known-size of a phrase that no video is asked for."""
    if not spec.known_sizes:
        return
    texts = {phrase.text for spans in videos.spans for s in spans for phrase in s.phrases}
    for phrase in set(spec.known_sizes) - texts:
        raise UsageError(
            f"--known-size {phrase!r}: no video is asked for it; expected one of the phrases, such "
            f"as {', '.join(map(repr, sorted(texts)[:5]))}"
        )


def refuse_unknown_words(
    spec: RunSpec, videos: PlannedVideos, vocabulary: frozenset[str] | None
) -> None:
    """Raises UsageError for -p with words that the detector's vocabulary lacks, and where no phrase
    of any manifest has other ones; a clip with a few such phrases fails later, by name."""
    if vocabulary is None:
        return
    unknown = unknown_words(spec.phrases, vocabulary)
    if not unknown:
        texts = {phrase.text for spans in videos.spans for s in spans for phrase in s.phrases}
        unknown = unknown_words(texts, vocabulary)
        if not texts or set(unknown) != texts:
            return
    raise _no_such_words(spec, unknown, vocabulary)


def _no_such_words(
    spec: RunSpec, unknown: Mapping[str, Sequence[str]], vocabulary: frozenset[str] | None
) -> UsageError:
    phrase, words = min(unknown.items())
    return UsageError(
        f"{phrase!r}: profile {spec.profile} does not know {', '.join(map(repr, words))}; expected "
        f"{expected_words(vocabulary)}; profiles with an open vocabulary: `massannot models list`"
    )


def probed(
    spec: RunSpec, videos: PlannedVideos, folder: Path, *, say: Say
) -> tuple[PlannedVideos, Totals]:
    """The videos with the clips and pixels that their headers promise, and the sums of these.

    `folder` holds what is read until the plan is written, so that an interrupted plan goes on.
    """
    totals = Totals()
    read = f"{counted(len(videos), 'header')} read"
    headers = probe_all(videos, folder, each=lambda n: say(f"{n} of {read}"))
    return with_expected(videos, totals.adding(videos.spans, headers, spec.sampling)), totals


@dataclass
class Totals:
    """What the headers promise in all."""

    clips: int = 0
    frames: int = 0
    problems: Counter[str] = field(default_factory=Counter)

    def adding(
        self, spans: Iterable[Sequence[Span]], headers: Iterable[Probed], sampling: Sampling
    ) -> Iterator[Expected | None]:
        """Yield each video's expected work and add it to the totals."""
        for of_video, header in zip(spans, headers, strict=True):
            work = expected(of_video, header, sampling)
            if work is not None:
                self.clips += work.clips
                self.frames += work.frames
            if header.problem:
                self.problems[header.problem] += 1
            yield work


def read_record(folder: Path) -> RunRecord:
    """The record of a plan's spec.json."""
    path = folder / SPEC
    with our_own(path, plan_folder.PLAN_ANEW):
        return run_record.from_json(parsed(path.read_bytes()))


def _refuse_other_plan(folder: Path, existing: RunRecord, wanted: RunRecord) -> None:
    found = shown_differences(
        *({"spec": r.spec, "code": r.code, "answers": r.answers} for r in (existing, wanted))
    )
    if found:
        raise OtherRecipe(
            f"{folder} holds a plan for something else:\n{found}choose another folder"
        )


def _tables(plan: FinishedPlan) -> dict[str, str]:
    return {name: digest for name, digest in plan.files.items() if name != SPEC}


def _question_counts(videos: PlannedVideos) -> dict[str, Any]:
    """How many rows of manifests ask something, and how many cannot be asked, by class."""
    questions = [q for spans in videos.spans for span in spans for q in span.questions]
    return {"questions": len(questions), "cannot_be_asked": problems_of(questions)}


def as_text(folder: Path, plan: FinishedPlan, sampling: Sampling) -> str:
    """The plan in a few lines."""
    counts = plan.counts
    bad, unasked = counts["cannot_be_opened"], counts["cannot_be_asked"]
    clips, frames = (counted(counts[f"expected_{name}s"], name) for name in ("clip", "frame"))
    size = f"about {clips}, {frames}"
    spans = f"{counted(counts['videos'], 'video')}, {counted(counts['spans'], 'planned span')}"
    lines = [f"{spans}: {size}; {counted(counts['shards'], 'shard')} in {folder}"]
    if bad:
        shown = ", ".join(f"{reason} {n}" for reason, n in bad.items())
        lines.append(f"{sum(bad.values())} cannot be opened and will be failures: {shown}")
    if counts["questions"]:
        shown = "".join(f", {n} cannot be asked: {reason}" for reason, n in unasked.items())
        rows = counted(counts["questions"], "row of manifests", many="rows of manifests")
        lines.append(f"{rows}{shown}")
    if sentence := sampling.shorter_clips:
        lines.append(f"NOTE: {sentence}")
    lines.append(f"next: massannot run {folder} -o OUT")
    return "\n".join(lines)
