"""An output folder keeps its plan, so that the same command, later or with more videos, continues.

`_run/plan/` holds a plan folder for each time that videos were added, named after its first shard.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from massannot.dataset import commits
from massannot.dataset.layout import Layout
from massannot.dataset.merge import can_be_retried
from massannot.errors import OtherRecipe
from massannot.inputs.span import Span
from massannot.plan import folder as plan_folder
from massannot.plan.folder import PlanFolder, PlannedShard, Retry
from massannot.plan.planned_videos import Plan, PlannedVideo, Shard, deal
from massannot.storage import durable

FIRST = f"{0:06d}"

Asked = Plan | PlanFolder | Retry
"""What a run may be given to do."""


def adopt(layout: Layout, asked: Asked) -> tuple[PlannedShard, ...]:
    """The shards to be done, as the folder's own plan has them from now on.

    Raises OtherRecipe when the folder holds another plan, or a video with other spans or phrases.
    """
    if isinstance(asked, PlanFolder):
        return asked.share_of(_adopt_whole(layout, asked.folder))
    if isinstance(asked, Retry):
        return _retried(layout, asked.statuses)
    return _adopt_videos(layout, asked)


def _retried(layout: Layout, statuses: tuple[str, ...]) -> tuple[PlannedShard, ...]:
    """Every shard, those with clips that ended so marked."""
    again = {c.shard for c in commits.read_all(layout) if can_be_retried(c, statuses)}
    return tuple(
        replace(shard, retry=statuses) if shard.id in again else shard
        for shard in shard_table(layout)
    )


def _adopt_whole(layout: Layout, folder: Path) -> tuple[PlannedShard, ...]:
    """A finished plan is taken as it is, into a folder that has none or this very one."""
    plan_folder.copy_once(folder, layout.plans / FIRST)
    kept = folders(layout)
    same = [durable.sha256_of(path / plan_folder.VIDEOS) for path in (folder, *kept)]
    if len(kept) != 1 or same[0] != same[1]:
        raise OtherRecipe(
            f"{layout.out} belongs to another plan than {folder}: found {_counted(kept)}, expected "
            f"{_counted([folder])}; choose another output folder"
        )
    return plan_folder.shard_table(kept[0])


def _counted(folders: Sequence[Path]) -> str:
    shards = [shard for folder in folders for shard in plan_folder.shard_table(folder)]
    return f"{len(shards)} shards with {sum(shard.n_spans for shard in shards)} planned spans"


def difference_of_plans(there: Path, asked: Path) -> str:
    """What the second plan has that the first has not, and the other way round, by video."""
    first, second = (
        {video.uri: video for shard in plan_folder.read_shards(folder) for video in shard.videos}
        for folder in (there, asked)
    )
    both = first.keys() & second.keys()
    groups = {
        "only there": first.keys() - second.keys(),
        "only asked for": second.keys() - first.keys(),
        "changed": {uri for uri in both if first[uri] != second[uri]},
    }
    return "".join(
        f"  {name}: {len(uris)} videos, {', '.join(sorted(uris)[:3])}\n"
        for name, uris in groups.items()
        if uris
    )


def _adopt_videos(layout: Layout, asked: Plan) -> tuple[PlannedShard, ...]:
    """The folder's own shards of the videos asked for; new videos get shards of their own."""
    wanted = {video.uri: video for video in asked.videos}
    while True:
        kept = shard_table(layout)
        known, with_wanted = set[str](), set[str]()
        for shard in stored(layout):
            for video in shard.videos:
                if video.uri in wanted:
                    _refuse_changed(layout, wanted[video.uri], video)
                    known.add(video.uri)
                    with_wanted.add(shard.id)
        new = [video for video in wanted.values() if video.uri not in known]
        if not new:
            return tuple(shard for shard in kept if shard.id in with_wanted)
        per_shard = max(len(shard.videos) for shard in asked.shards)
        more = deal(new, per_shard=per_shard, first_number=len(kept))
        # Another driver may have been first: then its plan is read and this one tried again.
        plan_folder.write_once(layout.plans / f"{len(kept):06d}", more.shards)


def shard_table(layout: Layout) -> tuple[PlannedShard, ...]:
    """Every shard of the folder's plan, without its videos; none where it has no plan yet."""
    return tuple(shard for folder in folders(layout) for shard in plan_folder.shard_table(folder))


def stored(layout: Layout) -> Iterator[Shard]:
    """Every shard of the folder's plan; none where it has no plan yet."""
    for folder in folders(layout):
        yield from plan_folder.read_shards(folder)


def folders(layout: Layout) -> list[Path]:
    """The plan folders of an output folder, in order."""
    return sorted(path for path in layout.plans.glob("[0-9]*") if path.is_dir())


def _refuse_changed(layout: Layout, asked: PlannedVideo, there: PlannedVideo) -> None:
    if there.spans != asked.spans:
        raise OtherRecipe(
            f"{layout.out} holds {asked.uri} with {_spoken(there.spans)}, asked for is "
            f"{_spoken(asked.spans)}; a video is annotated once for all that is asked of it: give "
            "all phrases and manifests in one command, into a new folder"
        )


def _spoken(spans: Sequence[Span]) -> str:
    def one(span: Span) -> str:
        start, end = span.start_s or 0, "the end" if span.end_s is None else f"{span.end_s:g} s"
        asked = f" and {len(span.questions)} questions" if span.questions else ""
        return f"{start:g} s to {end} {[phrase.text for phrase in span.phrases]}{asked}"

    return "; ".join(map(one, spans[:3])) + ("; ..." if len(spans) > 3 else "") or "no spans"
