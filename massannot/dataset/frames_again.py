"""A dataset's pictures once more: tables hold none, so the videos are read again the same way.

The folder's own plan and sampling give the very same clips, found again by their id. In a folder
without a run (a published dataset, rendered scenes) the table `clips` says enough to try.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pyarrow.compute as pc

from massannot.clip import Clip
from massannot.dataset import plans
from massannot.dataset import record as run_record
from massannot.dataset.layout import Layout
from massannot.dataset.record import RunRecord
from massannot.errors import ClipError
from massannot.inputs.span import VideoSource
from massannot.storage.parquet import read_parquet
from massannot.video.reader import read_clips, release
from massannot.video.sampling import Sampling
from massannot.video.shot_rule import ShotRule


def clips_again(
    layout: Layout, wanted: Collection[str], *, uris: Collection[str] | None = None
) -> Iterator[Clip]:
    """The wanted clips with their frames, video by video; each is given back before the next.

    Videos that cannot be read any more are left out. `uris`: the videos they are of, where that is
    known; no other one is opened.
    """
    missing = set(wanted)
    record = run_record.read(layout)
    folder = None if record is None else record.spec.get("folder")
    if not missing:
        return
    for source, sampling in _planned(layout, record):
        if not missing:
            return
        if uris is not None and source.uri not in uris:
            continue
        try:
            for clip in read_clips(source, sampling=sampling, folder=folder):
                if isinstance(clip, Clip):
                    if clip.clip_id in missing:
                        missing.discard(clip.clip_id)
                        yield clip
                    release(clip)
        except ClipError:
            continue


def _planned(layout: Layout, record: RunRecord | None) -> Iterator[tuple[VideoSource, Sampling]]:
    """Each video, with its spans, and how its frames were chosen."""
    if record is not None:
        sampling = Sampling.from_json(record.spec["sampling"])
        for shard in plans.stored(layout):
            for video in shard.videos:
                yield VideoSource(video.uri, video.spans), sampling
        return
    sharing = _sharing(layout)
    videos: dict[tuple[str, str, bool, bool], None] = {}
    for path in sorted((layout.data / "clips").glob("*.parquet")):
        columns = (
            read_parquet(path, name="clips")[name].to_pylist()
            for name in ("uri", "sampling", "shot", "clip_id")
        )
        for uri, name, shot, clip_id in zip(*columns, strict=True):
            videos[uri, name, shot is not None, clip_id in sharing] = None
    for uri, name, has_shots, shares in videos:
        fps = None if name == "all" else float(name)
        shots = ShotRule() if has_shots else None
        yield VideoSource(uri), Sampling(fps=fps, shots=shots, shared_frames=shares)


def _sharing(layout: Layout) -> set[str]:
    """Clips cut so that they share their boundary frames."""
    found: set[str] = set()
    for path in sorted((layout.data / "frames").glob("*.parquet")):
        frames = read_parquet(path, name="frames").select(["clip_id", "shared"])
        found.update(frames.filter(pc.is_valid(frames["shared"]))["clip_id"].to_pylist())
    return found
