"""The plans of an output folder, so that the same command, later or with more videos, continues.

`_run/plan/` holds a plan folder for each time that videos were added, named after its first shard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from massannot.counts import counted
from massannot.dataset import commits
from massannot.dataset.corrections import corrected_shards
from massannot.dataset.layout import Layout
from massannot.dataset.reopening import ADDED, CORRECTED, can_be_retried
from massannot.dataset.steps import shards_lacking
from massannot.dataset.table_steps import refuse_added
from massannot.errors import OtherRecipe
from massannot.inputs.span import Span
from massannot.plan import folder as plan_folder
from massannot.plan.folder import PlannedShard
from massannot.plan.planned_videos import PlannedVideo, PlannedVideos, Shard
from massannot.storage import durable

FIRST = f"{0:06d}"


def adopt(layout: Layout, folder: Path) -> tuple[PlannedShard, ...]:
    """The shards of a finished plan, copied into an output folder that has none or this very one.

    Raises OtherRecipe when the output folder holds another plan.
    """
    plan_folder.copy_once(folder, layout.plans / FIRST)
    stored = folders(layout)
    digests = [durable.sha256_of(path / plan_folder.VIDEOS) for path in (folder, *stored)]
    if len(stored) != 1 or digests[0] != digests[1]:
        raise OtherRecipe(
            f"{layout.out} belongs to another plan than {folder}: found {_counted(stored)}, "
            f"expected {_counted([folder])}; choose another output folder"
        )
    return plan_folder.shard_table(stored[0])


def retried(layout: Layout, statuses: tuple[str, ...]) -> tuple[PlannedShard, ...]:
    """Every shard of the folder, those with clips of these statuses in their next generation.
    Raises UsageError for a folder to which tables were added."""
    refuse_added(layout)
    again = {c.shard for c in commits.read_all(layout) if can_be_retried(c, statuses)}
    if CORRECTED in statuses:
        again |= corrected_shards(layout)[0].keys()
    if ADDED in statuses:
        again |= set(shards_lacking(layout))
    generation = commits.newest(layout)
    return tuple(
        replace(shard, retry=statuses, generation=generation[shard.id] + 1)
        if shard.id in again
        else replace(shard, generation=generation.get(shard.id, 0))
        for shard in shard_table(layout)
    )


def add_new(
    layout: Layout,
    videos: PlannedVideos,
    sharded: Callable[[PlannedVideos, int], Iterable[Shard]],
) -> None:
    """Plan the videos that no plan of the folder has yet: `sharded` makes shards of them, numbered
    from a first number.

    Another driver may be adding the same videos: which number is next is asked before which videos
    are new, so that whoever writes second finds the number taken, and looks again. Raises
    OtherRecipe for a video that the folder has with other spans or phrases.
    """
    while True:
        first_number = len(shard_table(layout))
        new = new_videos(layout, videos)
        if not new or add(layout, sharded(new, first_number), first_number=first_number):
            return


def new_videos(layout: Layout, videos: PlannedVideos) -> PlannedVideos:
    """The videos that no plan of the folder has yet.

    Raises OtherRecipe for a video that it has with other spans or phrases.
    """
    if not folders(layout):
        return videos
    wanted = {video.uri: video for video in videos}
    for shard in stored(layout):
        for video in shard.videos:
            if (known := wanted.pop(video.uri, None)) is not None:
                _refuse_changed(layout, known, video)
    return videos if len(wanted) == len(videos) else PlannedVideos(wanted.values())


def add(layout: Layout, shards: Iterable[Shard], *, first_number: int) -> bool:
    """Write a further plan, whose shards are numbered from `first_number`; False: another driver
    has just added videos of its own, so that these numbers are taken."""
    return plan_folder.write_once(layout.plans / f"{first_number:06d}", shards)


def shards_of(layout: Layout, videos: PlannedVideos) -> tuple[PlannedShard, ...]:
    """The folder's shards that hold any of the videos."""
    table = shard_table(layout)
    if sum(shard.n_videos for shard in table) == len(videos):
        return table  # all of them: no need to read a million names
    wanted = {video.uri for video in videos}
    holding = {shard.id for shard in stored(layout) if any(v.uri in wanted for v in shard.videos)}
    return tuple(shard for shard in table if shard.id in holding)


def _counted(folders: Sequence[Path]) -> str:
    shards = [shard for folder in folders for shard in plan_folder.shard_table(folder)]
    return (
        f"{counted(len(shards), 'shard')} with "
        f"{counted(sum(shard.n_spans for shard in shards), 'planned span')}"
    )


def difference_of_plans(stored: Path, wanted: Path) -> str:
    """Lines for people: the videos that only one of two plan folders has, or has otherwise."""
    first, second = (
        {video.uri: video for shard in plan_folder.read_shards(folder) for video in shard.videos}
        for folder in (stored, wanted)
    )
    both = first.keys() & second.keys()
    groups = {
        "only stored": first.keys() - second.keys(),
        "only wanted": second.keys() - first.keys(),
        "changed": {uri for uri in both if first[uri] != second[uri]},
    }
    return "".join(
        f"  {name}: {counted(len(uris), 'video')}, {', '.join(sorted(uris)[:3])}\n"
        for name, uris in groups.items()
        if uris
    )


def shard_table(layout: Layout) -> tuple[PlannedShard, ...]:
    """Every shard of the folder's plans, without its videos; none where it has no plan yet."""
    return tuple(shard for folder in folders(layout) for shard in plan_folder.shard_table(folder))


def stored(layout: Layout) -> Iterator[Shard]:
    """Every shard of the folder's plans with its videos, one at a time."""
    for folder in folders(layout):
        yield from plan_folder.read_shards(folder)


def folders(layout: Layout) -> list[Path]:
    """The plan folders of an output folder, in order."""
    return sorted(path for path in layout.plans.glob("[0-9]*") if path.is_dir())


def _refuse_changed(layout: Layout, wanted: PlannedVideo, stored: PlannedVideo) -> None:
    if stored.spans != wanted.spans:
        raise OtherRecipe(
            f"{layout.out} holds {wanted.uri} with {_spoken(stored.spans)}, wanted is "
            f"{_spoken(wanted.spans)}; a video is annotated once for all that is asked of it: give "
            "all phrases and manifests in one command, into a new folder"
        )


def _spoken(spans: Sequence[Span]) -> str:
    def one(span: Span) -> str:
        start, end = span.start_s or 0, "the end" if span.end_s is None else f"{span.end_s:g} s"
        more = f" and {counted(len(span.questions), 'question')}" if span.questions else ""
        return f"{start:g} s to {end} {[phrase.text for phrase in span.phrases]}{more}"

    return "; ".join(map(one, spans[:3])) + ("; ..." if len(spans) > 3 else "") or "no spans"
