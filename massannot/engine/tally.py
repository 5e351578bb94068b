"""RunSummary: how a run stands, in clips. The counts always close."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from massannot.counts import counted
from massannot.dataset import commits
from massannot.dataset.commits import FailureCount
from massannot.dataset.journal import read_past
from massannot.dataset.layout import Layout
from massannot.dataset.merge import clips_left, failure_counts
from massannot.engine.progress import ClipDone, Event, ShardDone
from massannot.plan.folder import PlannedShard, read_shard
from massannot.plan.join_questions import QuestionCounts, together


@dataclass(frozen=True)
class RunSummary:
    """planned = done + failed + quarantined + remaining.

    How many clips a video has is known when it has been read. Until then it counts for what the
    plan expects of it; where nobody has read its header, for one clip more than have been seen, or
    for its planned spans if those are more.
    """

    planned: int
    done: int
    failed: int
    quarantined: int
    remaining: int
    failures: tuple[FailureCount, ...]
    """Failed and quarantined clips by class, most frequent first."""
    copies: int
    """Videos of committed shards that are byte copies of others and share their clips: they have
    no clips of their own, so they are in none of the counts above."""
    done_now: int
    """Clips that this start finished; the rest of `done` was there before."""
    frames_now: int
    seconds: float
    stage_seconds: Mapping[str, float]
    """Seconds in each stage, summed over clips and workers of this start; `read`: waiting for
    decoded clips."""
    interrupted: bool
    """Stopped on request before everything was settled: the same command continues."""
    questions: QuestionCounts = field(default_factory=QuestionCounts)
    """Of manifests, about the videos of committed shards; no clips, so not among `failed`."""
    warnings: tuple[str, ...] = ()
    """Of the clips of this start, each sentence once."""

    @property
    def counts(self) -> str:
        """The counts as people read them."""
        return (
            f"{counted(self.planned, 'clip')} planned = {self.done} done + "
            f"{self.failed} failed + {self.quarantined} quarantined + {self.remaining} remaining"
        )

    @property
    def copy_lines(self) -> list[str]:
        """For people; nothing where there are no copies."""
        if not self.copies:
            return []
        are = "s are byte copies" if self.copies > 1 else " is a byte copy"
        return [f"{self.copies} video{are} of others and share their clips (videos.same_as)"]


class Tally:
    """Adds up what this start does, from its progress events."""

    def __init__(self) -> None:
        self.clips = 0
        self.frames = 0
        self.stage_seconds: Counter[str] = Counter()
        self.shards: set[str] = set()
        self.warnings: dict[str, None] = {}

    def add(self, event: Event) -> None:
        if isinstance(event, ClipDone):
            self.clips += 1
            self.frames += event.n_frames
            self.warnings.update(dict.fromkeys(event.warnings))
            self.stage_seconds["read"] += event.waited_s  # type: ignore[assignment]  # seconds
            for time in event.times:
                self.stage_seconds[time.stage] += time.seconds  # type: ignore[assignment]
        elif isinstance(event, ShardDone):
            self.shards.add(event.shard)


def summarize(
    layout: Layout,
    shards: Sequence[PlannedShard],
    *,
    tally: Tally,
    seconds: float,
    interrupted: bool,
) -> RunSummary:
    """How the planned shards stand, read from commits and, where there is none, journals."""
    left, begun = {shard.id: shard for shard in shards}, layout.shards_in_staging()
    done = remaining = copies = 0
    questions = []
    failures: Counter[tuple[str, str]] = Counter()
    for commit in commits.read_all(layout):
        if left.pop(commit.shard, None) is not None:
            done += commit.clips_done
            copies += commit.copies
            questions.append(commit.questions)
            for count in commit.failures:
                failures[count.reason, count.status] += count.clips
    for shard in left.values():
        if shard.edition not in begun:
            remaining += shard.n_clips
            continue
        more_done, more_remaining, counts = _unfinished(layout, shard)
        done += more_done
        remaining += more_remaining
        for count in counts:
            failures[count.reason, count.status] += count.clips
    by_status: Counter[str] = Counter()
    for (_, status), clips in failures.items():
        by_status[status] += clips
    failed, quarantined = by_status["failed"], by_status["quarantined"]
    return RunSummary(
        planned=done + failed + quarantined + remaining,
        done=done,
        failed=failed,
        quarantined=quarantined,
        remaining=remaining,
        failures=tuple(FailureCount(*key, clips) for key, clips in failures.most_common()),
        copies=copies,
        done_now=tally.clips,
        frames_now=tally.frames,
        seconds=seconds,
        stage_seconds=dict(tally.stage_seconds),
        interrupted=interrupted,
        questions=together(questions),
        warnings=tuple(tally.warnings),
    )


def _unfinished(layout: Layout, begun: PlannedShard) -> tuple[int, int, tuple[FailureCount, ...]]:
    """(done, remaining, failures) of a shard without a commit."""
    shard, past = read_shard(begun), read_past(layout, begun.edition)
    remaining = 0
    for video in shard.videos:
        if video.uri not in past.videos and video.uri not in past.copies:
            remaining += clips_left(video, past)
    return len(past.finished), remaining, failure_counts(shard, past)
