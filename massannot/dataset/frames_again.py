"""A dataset's pictures once more: tables hold none, so the videos are read again the same way.

The folder's own plan and sampling give the very same clips, found again by their id. In a folder
without a run (a published dataset, rendered scenes) the table `clips` says enough to try.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from massannot.clip import Clip
from massannot.dataset import adopt_plan
from massannot.dataset import record as run_record
from massannot.dataset.layout import Layout
from massannot.errors import ClipError, UsageError
from massannot.inputs.span import Span, VideoSource
from massannot.storage.parquet import read_parquet
from massannot.video.reader import read_clips, release
from massannot.video.sampling import Sampling


def clips_again(layout: Layout, wanted: Collection[str]) -> Iterator[Clip]:
    """The wanted clips with their frames, video by video; each is given back before the next.

    Videos that cannot be read any more are left out.
    """
    missing = set(wanted)
    if not missing:
        return
    for uri, spans, sampling in _planned(layout):
        if not missing:
            return
        try:
            for clip in read_clips(VideoSource(uri, spans), sampling=sampling):
                if isinstance(clip, Clip):
                    if clip.clip_id in missing:
                        missing.discard(clip.clip_id)
                        yield clip
                    release(clip)
        except ClipError:
            continue


def _planned(layout: Layout) -> Iterator[tuple[str, tuple[Span, ...], Sampling]]:
    """Each video, its spans, and how its frames were chosen."""
    record = run_record.read(layout)
    if record is not None:
        sampling = _sampling(record.identity.sampling)
        for shard in adopt_plan.stored(layout):
            for video in shard.videos:
                yield video.uri, video.spans or (Span(),), sampling
        return
    videos: dict[tuple[str, str], list[Span]] = {}
    for path in sorted((layout.data / "clips").glob("*.parquet")):
        columns = (
            read_parquet(path, name="clips")[name].to_pylist() for name in ("uri", "sampling")
        )
        for uri, name in zip(*columns, strict=True):
            videos.setdefault((uri, name), [Span()])
    for (uri, name), spans in videos.items():
        yield uri, tuple(spans), Sampling(fps=None if name == "all" else float(name))


def _sampling(text: str) -> Sampling:
    """The Sampling whose repr a run's record keeps."""
    call = ast.parse(text, mode="eval").body
    if not isinstance(call, ast.Call):
        raise UsageError(f"run.json: {text!r} is not a sampling")
    return Sampling(**{k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg})
